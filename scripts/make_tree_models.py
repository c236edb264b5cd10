#!/usr/bin/env python3
"""Train the small gradient-boosted trees in `examples/data`.

Masking the features of one instance turns such a model into a function of 0/1 vectors with a
sparse Walsh-Hadamard spectrum. This script is the only source of these files. It trains with
fixed seeds on data that are part of scikit-learn, writes what scoring needs, and checks that
the written numbers score as scikit-learn does.

Python 3.11 or newer. The packages below are installed into `target/tree-models`. The same
packages give the same bytes; on another kind of processor the last digits of a leaf may differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from make_fixtures import FIXTURES, ROOT, SIZE_LIMIT, FixtureError, check, gzip_stable, write

REQUIREMENTS = (
    "scikit-learn==1.9.1",
    "cloudpickle==3.1.3",
    "joblib==1.6.0",
    "narwhals==2.29.0",
    "numpy==2.4.6",
    "scipy==1.17.1",
    "threadpoolctl==3.8.0",
)
ENVIRONMENT = ROOT / "target" / "tree-models"
INSTANCES = 10
MASKS = 1_000
TOLERANCE = 1e-9

Model = dict[str, Any]


def score(model: Model, row: Sequence[float]) -> float:
    """The score from the written numbers alone, as a reader of the file computes it."""
    total = 0.0
    for tree in model["trees"]:
        node = 0
        while (feature := tree["feature"][node]) >= 0:
            goes_left = row[feature] <= tree["threshold"][node]
            node = tree["left" if goes_left else "right"][node]
        total += tree["value"][node]
    return float(model["base"] + model["scale"] * total)


def written_tree(tree: Any) -> dict[str, list[Any]]:
    """One tree; a leaf has feature -1, and only leaves have a value."""
    leaf = [left < 0 for left in tree.children_left.tolist()]

    def unless(absent: list[bool], values: Iterable[Any], other: Any) -> list[Any]:
        return [other if gone else value for gone, value in zip(absent, values)]

    return {
        "feature": unless(leaf, tree.feature.tolist(), -1),
        "threshold": unless(leaf, tree.threshold.tolist(), 0),
        "left": tree.children_left.tolist(),
        "right": tree.children_right.tolist(),
        "value": unless([not x for x in leaf], tree.value[:, 0, 0].tolist(), 0),
    }


def evenly_spaced(length: int, count: int) -> list[int]:
    """`count` row numbers from first to last."""
    return [(2 * i * (length - 1) + count - 1) // (2 * (count - 1)) for i in range(count)]


def compare(name: str, model: Model, rows: Any, scores: Callable[[Any], Any]) -> None:
    """Hold the written model against scikit-learn's own scores."""
    for number, (row, expected) in enumerate(zip(rows.tolist(), scores(rows).tolist())):
        if not math.isclose(score(model, row), expected, rel_tol=0, abs_tol=TOLERANCE):
            raise FixtureError(f"{name}: row {number}: scikit-learn gives {expected}")


def train(name: str, data: Any, target: Any, classify: bool, trees: int, binary: bool) -> bytes:
    """Train, write and check one model."""
    import numpy as np
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    # scikit-learn compares float32 inputs with float64 thresholds. Rounded here, a plain
    # comparison of the written numbers goes the same way.
    rows = np.asarray(data.data, dtype=np.float64)
    if binary:
        rows = (rows > np.median(rows, axis=0)).astype(np.float64)
    rounded = rows.astype(np.float32).astype(np.float64)
    kind = GradientBoostingClassifier if classify else GradientBoostingRegressor
    fitted = kind(n_estimators=trees, max_depth=3, random_state=0).fit(rows, target)
    scores = fitted.decision_function if classify else fitted.predict
    model: Model = {"name": name, "features": [str(f) for f in data.feature_names]}
    if not binary:
        background = rows.mean(axis=0).astype(np.float32).astype(np.float64)
        chosen = rounded[evenly_spaced(len(rows), INSTANCES)]
        model |= {"background": background.tolist(), "instances": chosen.tolist()}
    model |= {
        "base": float(fitted._raw_predict_init(rounded[:1])[0, 0]),
        "scale": float(fitted.learning_rate),
        "trees": [written_tree(tree.tree_) for tree in fitted.estimators_[:, 0]],
    }
    model = json.loads(text := json.dumps(model, separators=(",", ":"), allow_nan=False))
    compare(name, model, rounded, scores)
    rng = random.Random(name)
    masks = np.array([[rng.getrandbits(1) for _ in model["features"]] for _ in range(MASKS)])
    if not binary:
        present = chosen[np.arange(MASKS) % INSTANCES]
        masks = np.where(masks == 1, present, background)
    compare(name, model, masks.astype(np.float64), scores)
    return gzip_stable((text + "\n").encode())


def make_all(folder: Path) -> None:
    """All models, into `folder`; runs with the Python of the environment."""
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine

    cancer, diabetes = load_breast_cancer(), load_diabetes()
    wine, digits = load_wine(), load_digits()
    jobs: dict[str, tuple[Any, Any, bool, int, bool]] = {
        "breast_cancer": (cancer, cancer.target, True, 100, False),
        "diabetes": (diabetes, diabetes.target, False, 100, False),
        "wine": (wine, wine.target == 0, True, 100, False),
        "digits": (digits, digits.target == 3, True, 50, False),
        "breast_cancer_binary": (cancer, cancer.target, True, 100, True),
    }
    for name, job in jobs.items():
        (folder / f"trees_{name}.json.gz").write_bytes(train(name, *job))


def environment() -> Path:
    """Python of the pinned environment; made again when the pins or Python change."""
    python = ENVIRONMENT / "bin" / "python"
    marker = ENVIRONMENT / "requirements.sha256"
    digest = hashlib.sha256(repr((REQUIREMENTS, sys.version)).encode()).hexdigest()
    if marker.is_file() and marker.read_text() == digest and python.exists():
        return python
    print("making the environment target/tree-models", file=sys.stderr, flush=True)
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    for command in (
        [sys.executable, "-m", "venv", str(ENVIRONMENT)],
        [*pip, "install", "--no-deps", "--only-binary=:all:", *REQUIREMENTS],
        [*pip, "check"],
    ):
        subprocess.run(command, check=True)
    marker.write_text(digest)
    return python


def main(arguments: Sequence[str] | None = None) -> int:
    """Make or check the models; 0 if all went well, 1 otherwise."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        if options.inside:
            make_all(options.inside)
            return 0
        python = environment()
        folder = ENVIRONMENT / "made"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        subprocess.run([str(python), __file__, "--inside", str(folder)], check=True)
        for path in sorted(folder.iterdir()):
            made = path.read_bytes()
            if len(made) >= SIZE_LIMIT:
                raise FixtureError(f"{path.name}: {len(made):,} bytes, the limit is {SIZE_LIMIT:,}")
            outcome = "written"
            if options.check:
                outcome = check(FIXTURES / path.name, made)
            else:
                write(FIXTURES / path.name, made)
            print(f"{path.name}: {len(made):,} bytes, {outcome}", flush=True)
    except subprocess.CalledProcessError as error:
        print(f"error: a step ended with exit code {error.returncode}", file=sys.stderr)
        return 1
    except (FixtureError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Stopped; no half-written fixture was left.", file=sys.stderr)
        sys.exit(130)
