"""Which pixels tell a digit? A path of certified Lasso fits, and the penalty that held-out rows prefer.

Run from the root of the repository: python crates/python/examples/lasso.py [PICTURE]
"""

# %% Images of digits.
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from samplewise.lasso import cross_validate

X, labels = load_digits(return_X_y=True)
y = (labels == 3).astype(float)
keep = X.std(axis=0) > 0

# %% One call: the path of all rows, and the error of each penalty on rows held out.
found = cross_validate(X[:, keep], y, cv=10)
print(found)
print(found.path)
best = found.path.solution(found.one_standard_error)
print(best)

# %% Picture: the path, and the pixels.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
left.semilogx(found.path.alphas, found.path.coefs.toarray(), lw=0.8)
left.axvline(best.alpha, color="k", lw=0.5)
left.set(xlabel="alpha", ylabel="coefficients")
image = np.zeros(64)
image[keep] = best.coef
right.imshow(image.reshape(8, 8), cmap="RdBu", vmin=-abs(image).max(), vmax=abs(image).max())
right.set(title="pixels for a three")
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "lasso.svg")
