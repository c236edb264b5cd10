"""Which of thirty related tasks are worth the samples, for a target with forty labels?

Run from the root of the repository: python crates/python/examples/mtrl.py [PICTURE]
"""

# %% Tasks that share three directions of forty features; the target is like five of them.
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from samplewise.mtrl import learn

rng = np.random.default_rng(0)
basis = np.linalg.qr(rng.normal(size=(40, 3)))[0]
weights = rng.normal(size=(3, 30)) * np.array([[1.0], [1.0], [0.1]])
weights[:, :5] = rng.normal(size=(3, 5)) * np.array([[0.1], [0.1], [1.0]])
target = weights[:, :5].sum(axis=1)


def draw(task, n):
    x = rng.normal(size=(n, 40))
    return x, x @ basis @ (target if task is None else weights[:, task]) + rng.normal(size=n)


# %% The same budget, by relevance and evenly.
told = draw(None, 40)
fits = {strategy: learn(draw, 30, told, 1500, dimension=3, strategy=strategy) for strategy in ("guarded", "uniform")}
x = rng.normal(size=(4000, 40))
for strategy, fit in fits.items():
    print(f"{strategy}: mean squared error {np.mean((fit.predict(x) - x @ basis @ target) ** 2):.3f}, beside noise of 1")
print(fits["guarded"])

# %% Picture.
figure, axes = plt.subplots(figsize=(6, 3))
axes.bar(range(30), fits["guarded"].samples)
axes.set(xlabel="task", ylabel="samples", title="the target is like the first five")
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "mtrl.svg")
