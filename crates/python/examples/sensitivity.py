"""What delays flights? Certified quantile regression, of all rows and of few.

Run from the root of the repository: python crates/python/examples/sensitivity.py [PICTURE]
"""

# %% Flights: delay at departure, distance and time in the air against the delay at arrival.
import csv
import gzip
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from samplewise.sensitivity import regress

with gzip.open("examples/data/flights.csv.gz", "rt") as file:
    rows = list(csv.DictReader(file))
columns = ("dep_delay", "distance", "air_time")
X = np.array([[float(row[c]) for c in columns] for row in rows])
y = np.array([float(row["arr_delay"]) for row in rows])

# %% Every fit says that nothing is better by more than its gap.
quantiles = np.linspace(0.05, 0.95, 19)
fits = [regress(X, y, quantile=q, fit_intercept=True) for q in quantiles]
print(fits[9])
print(f"largest relative gap: {max(f.objective / f.lower_bound - 1 for f in fits):.1e}")
few = regress(X, y, quantile=0.5, fit_intercept=True, coreset_size=300)
print(f"from {few.report['n_rows_used']} rows: {100 * (few.objective / fits[9].objective - 1):.2f} % above the optimum of all {len(y)}")

# %% Picture.
figure, axes = plt.subplots(figsize=(5, 4))
axes.plot(quantiles, [f.coef[0] for f in fits], marker=".")
axes.set(xlabel="quantile of the delay at arrival", ylabel="minutes for a minute at departure")
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "sensitivity.svg")
