#!/usr/bin/env python3
"""Instructions of one representative call per core, and of the tour, counted by callgrind on one thread.

    python3 scripts/instructions.py            prints them, beside those that were kept
    python3 scripts/instructions.py --write    keeps them in benches/results/instructions.json
    python3 scripts/instructions.py --tour     counts the tour too, which takes a quarter of an hour

A change of the house must not change them by more than two in a hundred. Valgrind has no AVX-512: the AVX2 paths are counted.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLI = ROOT / "target/release/samplewise"
TOUR = ROOT / "target/release/examples/tour"
RECORD = ROOT / "benches/results/instructions.json"


def inputs(folder: Path) -> dict[str, list[str]]:
    """Calls of the command line on small inputs from a fixed seed."""
    draw = random.Random(5)
    normal = lambda: draw.gauss(0.0, 1.0)  # noqa: E731
    u, v = [[[normal() for _ in range(4)] for _ in range(n)] for n in (300, 200)]
    with open(folder / "triplets.csv", "w") as out:
        out.write("row,column,value\n")
        for i in range(300):
            for j in range(200):
                if draw.random() < 0.25:
                    out.write(f"{i},{j},{sum(a * b for a, b in zip(u[i], v[j])) + 0.3 * normal():.6f}\n")
    with open(folder / "table.csv", "w") as out:
        out.write(",".join([f"x{j}" for j in range(20)] + ["y"]) + "\n")
        for _ in range(4000):
            x = [normal() for _ in range(20)]
            out.write(",".join(f"{a:.6f}" for a in [*x, x[0] - 2.0 * x[3] + normal()]) + "\n")
    (folder / "text.fa").write_text(">t\n" + "".join(draw.choice("ACGT") for _ in range(400_000)) + "\n")
    (folder / "pattern.fa").write_text(">p\n" + "".join(draw.choice("ACGT") for _ in range(1_000)) + "\n")
    with open(folder / "values.txt", "w") as out:
        terms = [(draw.randrange(1 << 14), normal()) for _ in range(20)]
        for m in range(1 << 14):
            total = sum(-c if bin(m & k).count("1") % 2 else c for k, c in terms)
            out.write(f"{total + 0.1 * normal():.6f}\n")
    tasks = folder / "tasks"
    tasks.mkdir()
    direction = [normal() for _ in range(8)]
    for name in ["target", *(f"t{m}" for m in range(12))]:
        scale = normal()
        with open(tasks / f"{name}.csv", "w") as out:
            out.write(",".join([f"x{j}" for j in range(8)] + ["y"]) + "\n")
            for _ in range(30 if name == "target" else 200):
                x = [normal() for _ in range(8)]
                y = scale * sum(a * b for a, b in zip(x, direction)) + 0.2 * normal()
                out.write(",".join(f"{a:.6f}" for a in [*x, y]) + "\n")
    at = lambda name: str(folder / name)  # noqa: E731
    return {
        "completion": ["complete", at("triplets.csv"), "--rank", "4"],
        "posterior": ["complete", at("triplets.csv"), "--rank", "4", "--solver", "gibbs", "--samples", "20"],
        "wht": ["wht", "sparse", at("values.txt"), "--sparsity", "20", "--noise-std", "0.1"],
        "hamming": ["hamming", at("text.fa"), at("pattern.fa"), "--alphabet", "dna"],
        "search": ["hamming", at("text.fa"), at("pattern.fa"), "--max-distance", "30"],
        "sensitivity": ["sensitivity", at("table.csv"), "--regress", "y", "--quantile", "0.9", "--exact"],
        "coreset": ["sensitivity", at("table.csv"), "--size", "400"],
        "lasso": ["lasso", at("table.csv"), "--target", "y", "--path", "50"],
        "mtrl": ["mtrl", at("tasks"), "--target", "target", "--dimension", "1"],
    }


def instructions(call: list[str]) -> int:
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    environment = os.environ | {"RAYON_NUM_THREADS": "1"}
    done = subprocess.run([*valgrind, *call], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{call}: {done.stderr[-500:]}")
    found = re.search(r"Collected : (\d+)", done.stderr)
    if not found:
        sys.exit(f"{call}: no count\n{done.stderr[-500:]}")
    return int(found[1])


def main(words: list[str]) -> None:
    tour = "--tour" in words
    build = ["cargo", "build", "--release", "-p", "samplewise-cli", "--bins"]
    subprocess.run(build, cwd=ROOT, check=True)
    if tour:
        subprocess.run(["cargo", "build", "--release", "--example", "tour"], cwd=ROOT, check=True)
    before = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    found: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        calls = {name: [str(CLI), *call] for name, call in inputs(Path(folder)).items()}
        for name, call in (calls | ({"tour": [str(TOUR)]} if tour else {})).items():
            found[name] = instructions(call)
            change = f"{100.0 * (found[name] / before[name] - 1.0):+.2f} %" if name in before else ""
            print(f"{name:12} {found[name] / 1e6:12.1f} million  {change}", flush=True)
    if "--write" in words:
        RECORD.write_text(json.dumps(before | found, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
