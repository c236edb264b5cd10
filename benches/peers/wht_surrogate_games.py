"""Games, peers and truths for `run.py wht-surrogate`: shapiq's explainers on seventeen functions of on/off features.

`run.py` starts this file with the Python of the peers' environment, one JSON object on standard input, and reads one JSON
object from standard output. Every request has `task` and `data` (the folder of `trees_*.json.gz`):

- `tables`: `games`, `budgets`, `seeds`, `fresh`, `folder`. Writes GAME-SEED.csv (masks and values, as many rows as the largest
  budget) and GAME-fresh.csv (masks) to `folder`. Reply: `versions`, `variables` and the fresh `values` of every game.
- `spectrum`: `game`, `budgets`, `seeds`, `fresh`, `method` (ProxySPEX or SPEX). Reply: `version` of shapiq, and `runs`, one for
  each budget and seed in this order: `r2` on the fresh masks, `seconds`, or `error`.
- `approximators`: `game`, `budget`, `seeds`. SPEX of shapiq, and that of `samplewise.shapiq` with as many evaluations as it
  took. Reply: `version` of shapiq, and for both `r2`, `evaluations` and `seconds` without the game, one for each seed.
- `answers`: `game`, `files`, each a file of lines of 0 and 1 and one to which a value for each line is written.
- `judge`: `game`, `fresh`, `spectra`, each with `sets` and `values`. Reply: `r2` of each on the fresh masks.
- `designs`: `game`, `budgets`, `seeds`, `folder`. Writes GAME-design-BUDGET-SEED.csv, tables of pairs of complements with uniform
  sizes. Reply: `truth`, Shapley values from `permutations` antithetic permutations.
- `shapley`: `game`, `budgets`, `seeds`, `methods`. Reply: `runs`, one for each budget, seed and method: `values`, `seconds`, or
  `error`.

Random masks of one game and seed are the same in all tasks. Absent features have their mean.
"""

from __future__ import annotations

import csv
import functools
import json
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from wht_spex import Game

PACKAGES = ("shapiq", "numpy", "scipy", "scikit-learn", "lightgbm")
Function = Callable[[Any], Any]


def trees(data: Path, name: str, instance: int) -> tuple[int, Function]:
    import gzip

    with gzip.open(data / f"trees_{name}.json.gz") as file:
        game = Game(json.load(file), instance)
    return game.n, lambda masks: np.asarray(game(masks), float)


def explained(x: Any, y: Any, row: int, model: Any, score: Callable[[Any, Any], Any]) -> tuple[int, Function]:
    """A fitted model at one row of scaled features; zero is their mean."""
    scaler = StandardScaler().fit(x)
    fitted = model.fit(scaler.transform(x), y)
    present = scaler.transform(x[row : row + 1])[0]

    def function(masks: Any) -> Any:
        parts = np.array_split(np.asarray(masks, bool), max(1, len(masks) // 2000))
        return np.concatenate([score(fitted, part * present) for part in parts])

    return x.shape[1], function


def margin(model: Any, x: Any) -> Any:
    return model.decision_function(x)


def probability(model: Any, x: Any) -> Any:
    return model.predict_proba(x)[:, 1]


def network(model: Any, x: Any) -> Any:
    """The output of a network before the logistic function."""
    for layer, (weights, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        x = x @ weights + bias
        if layer < len(model.coefs_) - 1:
            x = np.maximum(x, 0)
    return x[:, 0]


def nk(n: int, k: int) -> tuple[int, Function]:
    """An NK landscape: every variable has a random table of itself and k others."""
    rng = np.random.default_rng(0)
    near = [np.concatenate([[i], rng.permutation([j for j in range(n) if j != i])[:k]]) for i in range(n)]
    tables = rng.normal(size=(n, 2 ** (k + 1)))

    def function(masks: Any) -> Any:
        bits = np.asarray(masks, int)
        return sum(tables[i][bits[:, near[i]] @ (1 << np.arange(k + 1))] for i in range(n)) / np.sqrt(n)

    return n, function


def digit(row: int) -> tuple[Any, Any]:
    x, y = load_digits(return_X_y=True)
    return x, (y == y[row]).astype(int)


def wide() -> tuple[Any, Any]:
    return make_classification(
        1500, 256, n_informative=40, n_redundant=60, n_clusters_per_class=6, random_state=3, class_sep=1.5
    )


@functools.cache
def game(name: str, data: Path) -> tuple[int, Function]:
    cancer = lambda: load_breast_cancer(return_X_y=True)  # noqa: E731
    mlp = lambda: MLPClassifier((64, 64), max_iter=400, random_state=0, alpha=1e-3)  # noqa: E731
    makers: dict[str, Callable[[], tuple[int, Function]]] = {
        "trees-cancer": lambda: trees(data, "breast_cancer", 0),
        "trees-cancer-binary": lambda: trees(data, "breast_cancer_binary", 0),
        "trees-digits": lambda: trees(data, "digits", 1),
        "trees-diabetes": lambda: trees(data, "diabetes", 0),
        "trees-wine": lambda: trees(data, "wine", 0),
        "mlp-cancer": lambda: explained(*cancer(), 0, mlp(), network),
        "mlp-digits": lambda: explained(*digit(3), 3, mlp(), network),
        "svm-cancer": lambda: explained(*cancer(), 0, SVC(kernel="rbf"), margin),
        "svm-digits": lambda: explained(*digit(3), 3, SVC(kernel="rbf"), margin),
        "logit-cancer": lambda: explained(*cancer(), 0, LogisticRegression(max_iter=1000), probability),
        "knn-cancer": lambda: explained(*cancer(), 0, KNeighborsClassifier(15), probability),
        "forest-cancer": lambda: explained(
            *cancer(), 0, RandomForestClassifier(100, random_state=0, n_jobs=1), probability
        ),
        "forest-digits": lambda: explained(
            *digit(3), 3, RandomForestClassifier(60, random_state=0, n_jobs=1), probability
        ),
        "mlp-256": lambda: explained(*wide(), 0, mlp(), network),
        "boosting-256": lambda: explained(
            *wide(),
            0,
            GradientBoostingClassifier(n_estimators=80, max_depth=4, max_features=16, random_state=0),
            margin,
        ),
        "nk-20-2": lambda: nk(20, 2),
        "nk-30-4": lambda: nk(30, 4),
    }
    return makers[name]()


def of_masks(name: str, data: Path) -> tuple[int, Function]:
    """A game as the peers call it: of one mask or several, of any type."""
    n, function = game(name, data)
    return n, lambda given: np.asarray(function(np.atleast_2d(given).astype(int)), float)


def masks(n: int, count: int, seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 2, (count, n))


def write(path: str | Path, rows: Any, values: Any | None) -> None:
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        names = [f"v{i}" for i in range(rows.shape[1])]
        out.writerow(names + ([] if values is None else ["value"]))
        for j, row in enumerate(rows):
            out.writerow([*map(int, row)] + ([] if values is None else [repr(float(values[j]))]))


def fresh_values(name: str, data: Path, count: int) -> tuple[Any, Any]:
    n, function = game(name, data)
    rows = masks(n, count, 1)
    return rows, function(rows)


def tables(request: dict[str, Any], data: Path) -> dict[str, Any]:
    folder = Path(request["folder"])
    reply: dict[str, Any] = {"versions": {p: version(p) for p in PACKAGES}, "variables": {}, "values": {}}
    for name in request["games"]:
        n, function = game(name, data)
        rows, values = fresh_values(name, data, request["fresh"])
        write(folder / f"{name}-fresh.csv", rows, None)
        reply["variables"][name] = n
        reply["values"][name] = values.tolist()
        for seed in request["seeds"]:
            train = masks(n, max(request["budgets"]), 7 + seed)
            write(folder / f"{name}-{seed}.csv", train, function(train))
    return reply


def spectrum(request: dict[str, Any], data: Path) -> dict[str, Any]:
    import shapiq.approximator  # noqa: F401 (not in the time of the first run)

    finder = {"ProxySPEX": of_proxyspex, "SPEX": of_spex}[request["method"]]
    n, function = of_masks(request["game"], data)
    rows, values = fresh_values(request["game"], data, request["fresh"])
    runs: list[dict[str, Any]] = []
    for budget in request["budgets"]:
        for seed in request["seeds"]:
            start = time.process_time()
            try:
                found = finder(n, function, budget, seed)
            except Exception as error:  # whatever the package raises is its failure on this game
                runs.append({"error": f"{type(error).__name__}: {error}"})
                continue
            seconds = time.process_time() - start
            runs.append({"r2": r2_of(found, rows, values), "seconds": seconds})
    return {"version": version("shapiq"), "runs": runs}


def r2_of(found: dict[tuple[int, ...], float], rows: Any, values: Any) -> float:
    members = np.zeros((len(found), rows.shape[1]))
    for j, key in enumerate(found):
        members[j, list(key)] = 1
    left = values - (1 - 2 * ((rows.astype(float) @ members.T) % 2)) @ np.array(list(found.values()))
    return float(1 - (left @ left) / ((values - values.mean()) ** 2).sum())


def of_proxyspex(n: int, function: Function, budget: int, seed: int) -> dict[tuple[int, ...], float]:
    from shapiq.approximator import ProxySPEX

    spex = ProxySPEX(n=n, max_order=n, index="FBII", random_state=seed)
    kept: dict[tuple[int, ...], float] = {}
    refine = spex._refine

    class Done(Exception):
        pass

    def stop(*arguments: Any, **named: Any) -> None:
        # The spectrum is what is compared; its Moebius transform may have any number of terms.
        kept.update(refine(*arguments, **named))
        raise Done

    spex._refine = stop
    try:
        spex.approximate(budget, function)
    except Done:
        pass
    return kept


def of_spex(
    n: int, function: Function, budget: int, seed: int, whole: bool = False
) -> dict[tuple[int, ...], float]:
    """The spectrum that SPEX finds, and with `whole` also makes interactions of."""
    import inspect

    from shapiq import SPEX
    from shapiq.approximator.sparse import base

    own_transform = base.sparse_fourier_transform
    kept: dict[tuple[int, ...], float] = {}

    class Done(Exception):
        pass

    def transform(*arguments: Any, **named: Any) -> Any:
        found = own_transform(*arguments, **named)
        for key, value in found.items():
            kept[tuple(i for i, bit in enumerate(key) if bit)] = float(np.real(value))
        if whole:
            return found
        raise Done

    base.sparse_fourier_transform = transform
    try:
        # 1.4.1 takes ProxySPEX for SPEX unless it is told.
        words = {"decoder_type": "soft"} if "decoder_type" in inspect.signature(SPEX).parameters else {}
        spex = SPEX(n=n, random_state=seed, **words)
        np.random.seed(seed)  # the package draws its groups from the global generator
        spex.approximate(budget, function)
    except Done:
        pass
    finally:
        base.sparse_fourier_transform = own_transform
    return kept


def approximators(request: dict[str, Any], data: Path) -> dict[str, Any]:
    import samplewise.shapiq

    n, function = of_masks(request["game"], data)
    rows, values = fresh_values(request["game"], data, request["fresh"])
    asked = [0.0, 0]

    def game_of(masks: Any) -> Any:
        start = time.process_time()
        answer = function(masks)
        asked[0] += time.process_time() - start
        asked[1] += len(answer)
        return answer

    def timed(find: Callable[[], dict[tuple[int, ...], float]]) -> dict[str, Any]:
        asked[:] = [0.0, 0]
        start = time.process_time()
        found = find()
        took = time.process_time() - start - asked[0]
        return {"r2": r2_of(found, rows, values), "evaluations": asked[1], "seconds": took}

    def ours(budget: int, seed: int) -> dict[tuple[int, ...], float]:
        spex = samplewise.shapiq.SPEX(n, random_state=seed, n_jobs=1)
        spex.approximate(budget, game_of)
        return spex.spectrum_.to_dict()

    of_spex(n, function, request["budget"], 0)  # compiled once
    ours(request["budget"], 0)
    runs: dict[str, list[dict[str, Any]]] = {"theirs": [], "ours": []}
    for seed in request["seeds"]:
        # Whole calls, the interactions included.
        theirs = timed(lambda: of_spex(n, game_of, request["budget"], seed, whole=True))  # noqa: B023
        runs["theirs"].append(theirs)
        runs["ours"].append(timed(lambda: ours(theirs["evaluations"], seed)))  # noqa: B023
    return {"version": version("shapiq"), **runs}


def answers(request: dict[str, Any], data: Path) -> dict[str, Any]:
    _, function = game(request["game"], data)
    for queries, path in request["files"]:
        lines = Path(queries).read_text(encoding="ascii").split()
        values = function(np.array([list(map(int, line)) for line in lines]))
        Path(path).write_text("".join(f"{v!r}\n" for v in np.asarray(values, float).tolist()))
    return {}


def judge(request: dict[str, Any], data: Path) -> dict[str, Any]:
    rows, values = fresh_values(request["game"], data, request["fresh"])
    spectra = [dict(zip(map(tuple, s["sets"]), s["values"], strict=True)) for s in request["spectra"]]
    return {"r2": [r2_of(found, rows, values) for found in spectra]}


def design(n: int, budget: int, seed: int) -> Any:
    rng = np.random.default_rng(100 + seed)
    rows = [np.zeros(n, int), np.ones(n, int)]
    while len(rows) < budget:
        row = np.zeros(n, int)
        row[rng.permutation(n)[: rng.integers(1, n)]] = 1
        rows += [row, 1 - row]
    return np.array(rows[:budget])


def designs(request: dict[str, Any], data: Path) -> dict[str, Any]:
    n, function = game(request["game"], data)
    for budget in request["budgets"]:
        for seed in request["seeds"]:
            table = design(n, budget, seed)
            write(Path(request["folder"], f"{request['game']}-design-{budget}-{seed}.csv"), table, function(table))
    rng = np.random.default_rng(5)
    total = np.zeros(n)
    for _ in range(request["permutations"]):
        order = rng.permutation(n)
        for one in (order, order[::-1]):
            steps = np.tril(np.ones((n + 1, n), int), -1)
            walk = np.zeros((n + 1, n), int)
            walk[:, one] = steps
            total[one] += np.diff(function(walk))
    return {"truth": (total / (2 * request["permutations"])).tolist()}


def shapley(request: dict[str, Any], data: Path) -> dict[str, Any]:
    from shapiq import approximator

    n, function = of_masks(request["game"], data)
    makers: dict[str, Callable[[int], Any]] = {
        "KernelSHAP": lambda seed: approximator.KernelSHAP(n, pairing_trick=True, random_state=seed),
        "permutations": lambda seed: approximator.PermutationSamplingSV(n, random_state=seed),
        "OddSHAP": lambda seed: approximator.OddSHAP(n, random_state=seed),
        "RegressionMSR": lambda seed: approximator.RegressionMSR(n, "SV", proxy_model="lightgbm", random_state=seed),
        "ProxySHAP": lambda seed: approximator.ProxySHAP(
            n, max_order=1, index="SV", proxy_model="lightgbm", random_state=seed
        ),
    }
    runs: list[dict[str, Any]] = []
    for budget in request["budgets"]:
        for seed in request["seeds"]:
            for method in request["methods"]:
                start = time.process_time()
                try:
                    found = makers[method](seed).approximate(budget, function)
                    values = [float(found[(i,)]) for i in range(n)]
                    runs.append({"values": values, "seconds": time.process_time() - start})
                except Exception as error:
                    runs.append({"error": f"{type(error).__name__}: {error}"})
    return {"runs": runs}


def main() -> None:
    warnings.filterwarnings("ignore")
    request = json.load(sys.stdin)
    tasks = {
        "tables": tables,
        "spectrum": spectrum,
        "answers": answers,
        "approximators": approximators,
        "judge": judge,
        "designs": designs,
        "shapley": shapley,
    }
    out = sys.stdout
    # What the peers print is not the answer.
    sys.stdout = sys.stderr
    reply = tasks[request["task"]](request, Path(request["data"]))
    json.dump(reply, out)


if __name__ == "__main__":
    main()
