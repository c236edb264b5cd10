"""Where in phage lambda does a piece of E. coli come from? Mismatches at every position.

Run from the root of the repository: python crates/python/examples/hamming.py [PICTURE]
"""

# %% A genome and a piece.
import gzip
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from samplewise.hamming import distances, search

with gzip.open("examples/data/lambda.fa.gz", "rt") as file:
    genome = "".join(line.strip() for line in file if not line.startswith(">"))
with open("examples/data/ecoli_patterns.fa") as file:
    piece = "".join(line.strip() for line in file.read().split(">")[1].splitlines()[1:])

# %% All distances, and the best place.
found = distances(piece, genome, alphabet="dna")
print(found)
at, least = found.best()
print(f"position {at[0]}: {least[0]} of {len(piece)} letters differ")

# %% Short words with few mismatches, on both strands.
hits = search(["GATTACAGATTACA", "ACGTTGCAACGTTG"], genome, 4, alphabet="dna", both_strands=True)
print(hits.to_dict()["position"][:5], hits.distance[:5])

# %% Picture.
figure, axes = plt.subplots(figsize=(7, 3))
axes.plot(found.values[::20], lw=0.5)
axes.set(xlabel="position / 20", ylabel="letters that differ", title=f"a piece of {len(piece)} letters along phage lambda")
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "hamming.svg")
