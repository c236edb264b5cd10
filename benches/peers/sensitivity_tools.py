"""Makes the tables of `sensitivity`, runs the peers that are Python and judges every answer.

`run.py` starts this file with the Python of the peers' environment, one JSON object on standard input, and reads one
from standard output. Tables lie in raw little-endian float64 files, by rows. The tasks:

- `make matrix`: `rows`, `columns`, `seed`, `a`. Normal entries.
- `make regression`: `data` (a key of `MADE`), `source` (CSV), `a`, `b`. Reply: `rows`, `columns`.
- `leverage`: `tool`, `rows`, `columns`, `a`, `out`, `runs`. Reply: `seconds`.
- `certified`: `p`, `solve` (rows), `rows`, `columns`, `a`. Reply: `seconds`, `sensitivities`, `statuses` of those.
- `median`: `leverage`'s with `b`; `out` gets the coefficients of every timed run. Reply: `seconds`, `warnings`.
- `judge`: `rows`, `columns`, `a`, `b`, `solutions` (files like `out`). Reply: `objectives`, sums of absolute errors.
"""

from __future__ import annotations

import csv
import datetime
import json
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray

Table = NDArray[Any]
BLOCK = 2048
SCALE = 0.2  # `c` of `certified`: all the same by homogeneity, but with 1 Clarabel gives up on some rows


def raw(path: str, *shape: int) -> Table:
    return np.fromfile(path, dtype="<f8").reshape(shape)


def repeat(runs: int, run: Callable[[], Table]) -> tuple[list[Table], list[float]]:
    """Answers and times, after a first run that does not count where there is more than one."""
    if runs > 1:
        run()
    answers, seconds = [], []
    for seed in range(runs):
        np.random.seed(seed)  # what subsamples are drawn with
        start = time.perf_counter()
        answers.append(run())
        seconds.append(time.perf_counter() - start)
    return answers, seconds


# --- tables --------------------------------------------------------------------------------------


def make_matrix(ask: dict[str, Any]) -> dict[str, Any]:
    np.random.default_rng(ask["seed"]).standard_normal((ask["rows"], ask["columns"])).tofile(ask["a"])
    return {}


def design(source: str) -> tuple[Table, Table]:
    table = np.loadtxt(source, delimiter=",", skiprows=1)
    return table[:, :-1], table[:, -1]


def first_rows(source: str) -> tuple[Table, Table]:
    a, b = design(source)
    return a[:5000], b[:5000]


def flights(source: str, numbers: tuple[str, ...], categories: tuple[str, ...]) -> tuple[Table, Table]:
    """Arrival delays of all complete flights; of every category all levels but the first get a column."""
    needed = {"arr_delay", "dep_delay", "air_time", *numbers} - {"weekend"}
    with open(source, encoding="ascii", newline="") as file:
        rows = [row for row in csv.DictReader(file) if all(row[name] not in ("", "NA") for name in needed)]
    for row in rows:
        day = datetime.date(*(int(row[name]) for name in ("year", "month", "day")))
        row["weekend"] = str(int(day.weekday() >= 5))
    columns: list[Table] = [np.ones(len(rows))]
    columns += [np.array([float(row[name]) for row in rows]) for name in numbers]
    for name in categories:
        values = np.array([row[name] for row in rows])
        columns += [(values == level).astype(float) for level in np.unique(values)[1:]]
    return np.column_stack(columns), np.array([float(row["arr_delay"]) for row in rows])


def flights7(source: str) -> tuple[Table, Table]:
    return flights(source, ("dep_delay", "distance", "air_time", "hour", "month", "day"), ())


def flights_mid(source: str) -> tuple[Table, Table]:
    numbers = ("dep_delay", "distance", "air_time", "day", "minute", "weekend")
    return flights(source, numbers, ("carrier", "origin", "month", "hour"))


def t_noise(_: str = "", rows: int = 1_000_000) -> tuple[Table, Table]:
    rng = np.random.default_rng(5)
    a = rng.standard_normal((rows, 10))
    return a, a @ rng.standard_normal(10) + rng.standard_t(2, len(a))


MADE: dict[str, Callable[[str], tuple[Table, Table]]] = {
    "cpssw8": design,
    "cpssw8-5000": first_rows,
    "diamonds": design,
    "gss": design,
    "flights7": flights7,
    "flights_mid": flights_mid,
    "t-noise": t_noise,
}


def make_regression(ask: dict[str, Any]) -> dict[str, Any]:
    a, b = MADE[ask["data"]](ask["source"])
    np.ascontiguousarray(a).tofile(ask["a"])
    b.tofile(ask["b"])
    return {"rows": a.shape[0], "columns": a.shape[1]}


# --- leverage scores -----------------------------------------------------------------------------


def norms(q: Table) -> Table:
    return np.asarray(np.einsum("ij,ij->i", q, q))


def numpy_qr(a: Table) -> Table:
    return norms(np.linalg.qr(a)[0])


def scipy_qr(a: Table) -> Table:
    return norms(scipy.linalg.qr(a, mode="economic", check_finite=False)[0])


def blocked_cholesky(a: Table) -> Table:
    n, d = a.shape
    gram = np.zeros((d, d))
    for i in range(0, n, BLOCK):
        gram += a[i : i + BLOCK].T @ a[i : i + BLOCK]
    inverse = scipy.linalg.solve_triangular(scipy.linalg.cholesky(gram), np.eye(d))
    scores = np.empty(n)
    for i in range(0, n, BLOCK):
        scores[i : i + BLOCK] = norms(a[i : i + BLOCK] @ inverse)
    return scores


LEVERAGE = {"numpy qr": numpy_qr, "scipy qr": scipy_qr, "numpy blocked Cholesky": blocked_cholesky}


def leverage(ask: dict[str, Any]) -> dict[str, Any]:
    a = raw(ask["a"], ask["rows"], ask["columns"])
    answers, seconds = repeat(ask["runs"], lambda: LEVERAGE[ask["tool"]](a))
    answers[0].tofile(ask["out"])
    return {"seconds": seconds}


# --- certified sensitivities ---------------------------------------------------------------------


def certified(ask: dict[str, Any]) -> dict[str, Any]:
    """The sensitivity of row `i` is `c^p` over the least sum of `t` with `|a_k x|^p <= t_k` and `a_i x = c`."""
    import clarabel

    n, d, p = ask["rows"], ask["columns"], ask["p"]
    a = raw(ask["a"], n, d)
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.max_threads = False, 1
    cones = [clarabel.ZeroConeT(1)] + [clarabel.PowerConeT(1.0 / p)] * n
    # The slacks of row k: t_k, 1, a_k x. The variables: x, t.
    images = np.zeros((3 * n, d))
    images[2::3] = -a
    bounds = scipy.sparse.csc_matrix((-np.ones(n), (3 * np.arange(n), np.arange(n))), shape=(3 * n, n))
    cost = np.append(np.zeros(d), np.ones(n))
    right = np.append(SCALE, np.tile([0.0, 1.0, 0.0], n))
    quadratic = scipy.sparse.csc_matrix((n + d, n + d))
    seconds, sensitivities, statuses = [], [], []
    for i in ask["solve"]:
        blocks = [[scipy.sparse.csc_matrix(a[i : i + 1]), None], [scipy.sparse.csc_matrix(images), bounds]]
        matrix = scipy.sparse.bmat(blocks, format="csc")
        start = time.perf_counter()
        solution = clarabel.DefaultSolver(quadratic, cost, matrix, right, cones, settings).solve()
        seconds.append(time.perf_counter() - start)
        sensitivities.append(SCALE**p / solution.obj_val)
        statuses.append(str(solution.status))
    return {"seconds": seconds, "sensitivities": sensitivities, "statuses": statuses}


# --- median regression ---------------------------------------------------------------------------


def pinball(method: str) -> Callable[[Table, Table], Table]:
    def solve(a: Table, b: Table) -> Table:
        from pinball.linear.solvers import get_solver

        return np.asarray(get_solver(method).solve(a, b, 0.5).coefficients)

    return solve


def highs(a: Table, b: Table) -> Table:
    from sklearn.linear_model import QuantileRegressor

    return np.asarray(QuantileRegressor(quantile=0.5, alpha=0.0, fit_intercept=False, solver="highs").fit(a, b).coef_)


MEDIAN = {"pinball fn": pinball("fn"), "pinball pfn": pinball("pfn"), "scikit-learn HiGHS": highs}


def median(ask: dict[str, Any]) -> dict[str, Any]:
    a, b = raw(ask["a"], ask["rows"], ask["columns"]), raw(ask["b"], ask["rows"])
    MEDIAN[ask["tool"]](*t_noise(rows=100))  # imports
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answers, seconds = repeat(ask["runs"], lambda: MEDIAN[ask["tool"]](a, b))
    np.array(answers).tofile(ask["out"])
    return {"seconds": seconds, "warnings": [str(warning.message) for warning in caught]}


def judge(ask: dict[str, Any]) -> dict[str, Any]:
    a, b = raw(ask["a"], ask["rows"], ask["columns"]), raw(ask["b"], ask["rows"])
    found = (raw(path, -1, ask["columns"]) for path in ask["solutions"])
    return {"objectives": [[float(np.abs(b - a @ x).sum()) for x in solutions] for solutions in found]}


PEERS = ("numpy", "scipy", "pinball-qr", "scikit-learn", "clarabel")
TASKS = {
    "make matrix": make_matrix,
    "make regression": make_regression,
    "leverage": leverage,
    "certified": certified,
    "median": median,
    "judge": judge,
}

if __name__ == "__main__":
    request = json.load(sys.stdin)
    reply = TASKS[request["task"]](request)
    reply["versions"] = {name: version(name) for name in PEERS}
    json.dump(reply, sys.stdout, allow_nan=False)
