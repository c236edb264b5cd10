"""What drives the score of boosted trees? Interactions from a few hundred evaluations.

Run from the root of the repository: python crates/python/examples/wht.py [PICTURE]
"""

# %% A model of 80 trees on ten features, as a function of which features have the values of one patient.
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor

from samplewise.wht import recover

X, y = load_diabetes(return_X_y=True)
names = load_diabetes().feature_names
model = GradientBoostingRegressor(n_estimators=80, max_depth=2, random_state=0).fit(X, y)
patient, mean = X[0], X.mean(axis=0)


def score(Z):
    return model.predict(np.where(Z == 1, patient, mean))


# %% Asked until fresh points agree.
found = recover(score, X.shape[1], max_degree=2, hereditary=True)
print(found)
values = found.shapley()
difference = float(score(np.ones((1, 10)))[0] - score(np.zeros((1, 10)))[0])
print(f"Shapley values add up to {values.sum():.6f}, the difference of the ends is {difference:.6f}")

# %% Picture.
order = np.argsort(values)
figure, axes = plt.subplots(figsize=(5, 4))
axes.barh([names[i] for i in order], values[order])
axes.set(title=f"Shapley values from {found.report['n_samples']} evaluations")
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "wht.svg")
