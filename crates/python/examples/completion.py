"""How fit are the protein double mutants that nobody measured? A table of which a fifth is seen, completed.

Run from the root of the repository: python crates/python/examples/completion.py [PICTURE]
"""

# %% A table of pairs of mutations of protein GB1, logarithms of their fitness.
import csv
import gzip
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from samplewise.completion import sample_posterior

with gzip.open("examples/data/gb1_crop.csv.gz", "rt") as file:
    rows = list(csv.reader(file))[1:]
names = [sorted({row[k] for row in rows}) for k in (0, 1)]
first, second = (np.array([names[k].index(row[k]) for row in rows]) for k in (0, 1))
fitness = np.array([float(row[2]) for row in rows])

# %% A fifth of the measured pairs is seen; draws of the posterior say what the others are, and how sure that is.
seen = np.random.default_rng(0).random(len(fitness)) < 0.2
shape = (len(names[0]), len(names[1]))
draws = sample_posterior((first[seen], second[seen], fitness[seen]), 5, shape=shape)
mean, deviation = draws.predict(first[~seen], second[~seen], return_std=True)
truth = fitness[~seen]
r2 = 1 - np.mean((truth - mean) ** 2) / truth.var()
held = np.mean(np.abs(truth - mean) <= 1.645 * deviation)
print(f"{seen.sum()} of {len(fitness)} pairs seen: R2 {r2:.3f} on the others, 90 % intervals hold {100 * held:.0f} %")

# %% Picture.
figure, axes = plt.subplots(figsize=(5, 5))
axes.errorbar(truth[::40], mean[::40], deviation[::40], fmt=".", alpha=0.4)
axes.set(xlabel="measured", ylabel="predicted, one deviation", title="pairs that were not seen")
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "completion.svg")
