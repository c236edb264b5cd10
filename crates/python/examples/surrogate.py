"""How well is an RNA splice site recognised, and which bases act together?

Run from the root of the repository: python crates/python/examples/surrogate.py [PICTURE]
"""

# %% Measured variants: words of letters and values.
import csv
import gzip
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from samplewise import surrogate

with gzip.open("examples/data/mpsa.csv.gz", "rt") as file:
    rows = list(csv.reader(file))[1:]
words, values = [row[0] for row in rows], np.array([float(row[1]) for row in rows])

# %% Learned from 600 of them, judged by the others.
order = np.random.default_rng(0).permutation(len(words))
told, others = order[:600], order[600:4600]
model = surrogate.fit([words[j] for j in told], values[told], alphabet="ACGU")
print(model)
said = model.estimate([words[j] for j in others])
r2 = 1 - np.mean((values[others] - said.mean) ** 2) / values[others].var()
held = np.mean((said.low <= values[others]) & (values[others] <= said.high))
print(f"R2 {r2:.3f} on variants never told, 90 % intervals hold {100 * held:.0f} %")
found = model.interactions(5)
for positions, letters, share in zip(found.positions, found.letters, found.share):
    print(f"positions {positions}, largest for {'/'.join(letters)}: {100 * share:.1f} % of the variance")
print("to measure next:", model.propose(3, "maximum"))

# %% Picture: what every letter does at every position.
effects = np.array([model.effects(i).mean for i in range(len(model.levels)) if len(model.levels[i]) == 4])
figure, axes = plt.subplots(figsize=(6, 3))
image = axes.imshow(effects.T, cmap="RdBu", vmin=-abs(effects).max(), vmax=abs(effects).max())
axes.set(yticks=range(4), yticklabels=list("ACGU"), xlabel="position", title="effect on the logarithm of inclusion")
figure.colorbar(image)
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "surrogate.svg")
