#!/usr/bin/env python3
"""Runs one core of samplewise beside the tools that people use today for the same task.

    python3 benches/peers/run.py NAME [--quick] [--repeats R] [--without PEER] [--no-build] [--allow-stalled]

Input is generated once, answers are compared, and only then is anything timed. The table goes to
standard output, `benches/results/NAME.json` gets the same rows with machine, versions and commit.
Exit codes: 0 done, 1 a disagreement or a failed step, 2 wrong use, 130 interrupted. `differential` writes what it has found
before it ends with 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from common import CLI, Failure, Session, call, git_state, save, say, table
from completion import MOVIELENS_PEERS, SYNTHETIC_PEERS, run_completion, run_completion_synthetic
from differential import run_differential
from hamming import run_hamming
from lasso import run_lasso, run_lasso_paths
from linalg import run_linalg
from mtrl import run_mtrl
from python_package import PYTHON_PARTS, run_python
from scale import SCALE_PARTS, run_scale
from sensitivity import run_sensitivity
from wht import run_spex, run_wht
from wht_curves import run_curves
from wht_degree import run_degree
from wht_surrogate import SURROGATE_PARTS, run_surrogate

# None: nobody has written the comparison yet.
CORES: dict[str, tuple[str, Callable[[Session], None] | None]] = {
    "completion": ("low-rank completion, ratings: LIBMF, Cornac, cmfrec, Surprise", run_completion),
    "completion-synthetic": ("low-rank completion, large: LIBMF, Cornac, cmfrec", run_completion_synthetic),
    "wht": ("sparse Walsh-Hadamard transform: sparse-transform, SparseFHT", run_wht),
    "wht-degree": ("sparse transform of low degree, too large to store: sparse-transform", run_degree),
    "wht-spex": ("boosted trees explained by a sparse transform: SPEX of shapiq", run_spex),
    "wht-surrogate": ("nearly sparse functions, Shapley values: ProxySPEX, KernelSHAP and others of shapiq", run_surrogate),
    "wht-curves": ("success against samples in noise: sparse-transform", run_curves),
    "hamming": ("all Hamming distances: C loops; few mismatches, and reads with indels: sassy", run_hamming),
    "sensitivity": ("leverage scores, median regression: numpy, R quantreg, pinball-qr, HiGHS", run_sensitivity),
    "lasso": ("Lasso: scikit-learn, celer, skglm, adelie, glmnet, linfa-elasticnet, sparseglm, HiGHS", run_lasso),
    "lasso-paths": ("paths of 100 Lasso fits: celer, skglm, adelie, glmnet", run_lasso_paths),
    "mtrl": ("multi-task representation learning: AltGDmin, scikit-learn, HiGHS", run_mtrl),
    "python": ("the Python package: costs of a call, memory, scikit-learn's own estimators, imputers", run_python),
    "scale": ("tables in parts: coresets and regression on Sail, DuckDB, polars, Dask, DataFusion", run_scale),
    "linalg": ("linear algebra: LAPACK, numpy, scipy.sparse, faer, FFHT", run_linalg),
    "differential": ("random problems of every core: HiGHS, scikit-learn, scipy, LAPACK, brute force", run_differential),
}


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="run.py", description="samplewise beside its peers")
    parser.add_argument("name", choices=CORES, metavar="NAME", help=", ".join(CORES))
    parser.add_argument("--quick", action="store_true", help="small inputs and few seeds")
    parser.add_argument("--repeats", type=positive, metavar="R", help="timed runs (5; quick: 3)")
    parser.add_argument(
        "--without", action="append", default=[], metavar="PEER", help="completion, wht-surrogate, python, scale: leave this one out; may be repeated"
    )
    parser.add_argument("--no-build", action="store_true", help="use the binary that is there")
    parser.add_argument(
        "--allow-stalled",
        action="store_true",
        help="wht without noise: count an answer of ours that calls itself incomplete as a failure"
        " instead of ending; a wrong one that calls itself complete ends the run all the same",
    )
    arguments = parser.parse_args(words)
    title, run = CORES[arguments.name]
    if run is None:
        say(f"run.py: {arguments.name} ({title}): the peers of this core are not written yet")
        return 2
    repeats = arguments.repeats or (3 if arguments.quick else 5)
    parts = {"completion": MOVIELENS_PEERS, "completion-synthetic": SYNTHETIC_PEERS, "wht-surrogate": SURROGATE_PARTS, "python": PYTHON_PARTS, "scale": SCALE_PARTS}
    peers = parts.get(arguments.name, ())
    for name in arguments.without:
        if name not in peers:
            allowed = ", ".join(peers) or "nothing: it is for the comparisons of completion, wht-surrogate, python and scale"
            say(f"run.py: --without {name!r}: allowed with {arguments.name} is {allowed}")
            return 2
    session = Session(
        arguments.name, arguments.quick, repeats, arguments.allow_stalled, not arguments.no_build, arguments.without
    )
    try:
        if not arguments.no_build:
            say("building target/release/samplewise")
            call(["cargo", "build", "--release", "-p", "samplewise-cli"])
        if not CLI.is_file():
            raise Failure("target/release/samplewise is not there; leave --no-build away")
        git = git_state()  # before the run: a change made meanwhile is not in the binary
        run(session)
        save(session, words, git)
    except Failure as failure:
        say(f"run.py: {arguments.name}: {failure}")
        return 1
    except KeyboardInterrupt:
        say(f"run.py: {arguments.name}: interrupted, nothing written")
        return 130
    print(table(session.rows))
    for note in session.notes:
        print(f"note: {note}")
    print(f"written: benches/results/{session.name}.json")
    for line in session.off:
        say(f"run.py: {arguments.name}: {line}")
    return 1 if session.off else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
