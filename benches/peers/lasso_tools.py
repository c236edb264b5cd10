"""Makes the tables of `lasso`, runs the peers, and computes every gap from the coefficients that were returned.

`run.py` starts this file with the Python of the peers' environment, one JSON object on standard input, and reads one
from standard output. A table is a dense matrix by columns (`x`, raw little-endian float64) or a sparse one by columns
(`offsets`, uint64, `indices`, uint32, `values`). The tasks:

- `make table`: `data` (a key of `MADE`), `files`. Reply: `rows`, `columns`, `largest` (the least lambda with all zero).
- `make small`: `rows`, `columns`, `count`, `seed`, `files`. Tables one after the other, as many targets and lambdas.
- `sweep`: `tool` (a key of `TOOLS`) or `command`; `table` and `works`, each with its `kind` and `settings`, which may
  be `ordered` from loose to tight; `levels`, `runs`, `patience`, `folder`. Reply: `works`, each with the `points` of
  its settings and the `best` point of every level.

A command is called with runs, a file for the answer, the setting and the problem (`Work.words`). It writes the nonzero
coefficients of a run as triplets of float64 (position of the problem or lambda, column, value) and prints one JSON
object with `seconds` for every timed run.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg  # loads the OpenBLAS of scipy, for `versions`
import scipy.optimize
import scipy.sparse
from common import Failure, call
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

Array = NDArray[Any]
Fit = Callable[[Array, Any], Array]  # lambdas and setting to coefficients, one column for each lambda
MANY = 1_000_000  # iterations: what ends a run is its tolerance


def raw(path: str, kind: str = "<f8") -> Array:
    return np.fromfile(path, dtype=kind)


# --- tables --------------------------------------------------------------------------------------


def correlated(rows: int, columns: int, seed: int) -> Array:
    """Neighbouring columns have correlation 0.6, stored by columns."""
    rng = np.random.default_rng(seed)
    x = np.empty((columns, rows))
    x[0] = rng.standard_normal(rows)
    for j in range(1, columns):
        x[j] = 0.6 * x[j - 1] + 0.8 * rng.standard_normal(rows)
    return x.T


def zipf(rows: int, columns: int, nonzeros: int, signed: bool) -> Any:
    """Columns drawn with weight (10 + j)^-0.8, values exponential, with random signs if asked, rows of length 1."""
    rng = np.random.default_rng(4)
    share = np.cumsum((10.0 + np.arange(columns)) ** -0.8)
    keys = np.empty(0, dtype=np.int64)
    while len(keys) < nonzeros:
        drawn = np.searchsorted(share, share[-1] * rng.random(nonzeros - len(keys) + 1000))
        keys = np.unique(np.concatenate([keys, drawn * rows + rng.integers(0, rows, len(drawn))]))
    keys = np.sort(rng.permutation(keys)[:nonzeros])
    values, at = rng.exponential(size=nonzeros), keys % rows
    if signed:
        values *= rng.choice([-1.0, 1.0], nonzeros)
    values /= np.sqrt(np.bincount(at, values**2, minlength=rows))[at]
    offsets = np.concatenate([[0], np.bincount(keys // rows, minlength=columns).cumsum()])
    return sparse(rows, columns, offsets, at, values)


def sparse(rows: int, columns: int, offsets: Array, indices: Array, values: Array) -> Any:
    return scipy.sparse.csc_matrix((values, indices.astype(np.int32), offsets.astype(np.int32)), shape=(rows, columns))


# The table, and the seed of its target.
MADE: dict[str, tuple[Callable[[], Any], int]] = {
    "A": (lambda: correlated(1_000, 10_000, 1), 1),
    "B": (lambda: correlated(1_000, 100_000, 2), 2),
    "C": (lambda: correlated(10_000, 1_000, 3), 3),
    "D": (lambda: zipf(20_000, 100_000, 4_000_000, signed=False), 17),
    "D2": (lambda: zipf(20_000, 100_000, 4_000_000, signed=True), 17),
}


def make_table(ask: dict[str, Any]) -> dict[str, Any]:
    """100 columns with normal coefficients in the unit in which columns have length 1; the noise is a third of the
    signal in length."""
    make, seed = MADE[ask["data"]]
    x, rng = make(), np.random.default_rng(seed)
    rows, columns = x.shape
    chosen, truth = rng.choice(columns, 100, replace=False), np.zeros(columns)
    lengths = np.sqrt((x[:, chosen].T @ x[:, chosen]).diagonal())
    truth[chosen] = rng.standard_normal(100) / lengths
    signal, noise = x @ truth, rng.standard_normal(rows)
    y = signal + noise * (np.linalg.norm(signal) / np.linalg.norm(noise) / 3.0)
    files = ask["files"]
    y.tofile(files["y"])
    if scipy.sparse.issparse(x):
        x.indptr.astype("<u8").tofile(files["offsets"])
        x.indices.astype("<u4").tofile(files["indices"])
        x.data.tofile(files["values"])
    else:
        x.T.tofile(files["x"])
    return {"rows": rows, "columns": columns, "largest": float(np.abs(x.T @ y).max() / rows)}


def make_small(ask: dict[str, Any]) -> dict[str, Any]:
    """Tasks of normal weights, as the columns, and a target like one of them; a hundredth of the largest lambda."""
    rng = np.random.default_rng(ask["seed"])
    x = rng.standard_normal((ask["count"], ask["columns"], ask["rows"]))
    y = rng.standard_normal((ask["count"], ask["rows"]))
    x.tofile(ask["files"]["x"])
    y.tofile(ask["files"]["y"])
    largest = np.abs(np.einsum("cmk,ck->cm", x, y)).max(axis=1) / ask["rows"]
    (largest / 100.0).tofile(ask["files"]["lambdas"])
    return {}


# --- peers ---------------------------------------------------------------------------------------


def scikit_learn(x: Any, y: Array, gram: bool = False) -> Fit:
    from sklearn.linear_model import lasso_path

    def fit(lambdas: Array, tolerance: float) -> Array:
        options = {"max_iter": MANY, "copy_X": False, "check_input": False}
        return np.asarray(lasso_path(x, y, alphas=lambdas, tol=tolerance, precompute=gram, **options)[1])

    return fit


def scikit_learn_lars(x: Any, y: Array) -> Fit:
    """The whole path down to the smallest lambda; it is linear between its events."""
    from sklearn.linear_model import lars_path

    def fit(lambdas: Array, gram: str | bool) -> Array:
        options = {"alpha_min": lambdas[-1], "max_iter": MANY, "Gram": gram or None}
        alphas, _, events = lars_path(x, y, method="lasso", **options)  # a copy of x is its own: it swaps columns
        at = np.clip(np.searchsorted(-alphas, -lambdas, side="right") - 1, 0, max(len(alphas) - 2, 0))
        steps = np.diff(alphas)[at] if len(alphas) > 1 else np.ones_like(lambdas)
        share = np.clip((lambdas - alphas[at]) / steps, 0.0, 1.0)
        after = np.minimum(at + 1, len(alphas) - 1)
        return np.asarray(events[:, at] * (1.0 - share) + events[:, after] * share)

    return fit


def celer(x: Any, y: Array) -> Fit:
    from celer import celer_path

    def fit(lambdas: Array, tolerance: float) -> Array:
        options = {"tol": tolerance, "max_iter": 200, "max_epochs": MANY}
        return np.asarray(celer_path(x, y, pb="lasso", alphas=lambdas, **options)[1])

    return fit


def skglm(x: Any, y: Array) -> Fit:
    from skglm.datafits import Quadratic
    from skglm.penalties import L1
    from skglm.solvers import AndersonCD
    from skglm.utils.jit_compilation import compiled_clone

    datafit, penalty = compiled_clone(Quadratic()), compiled_clone(L1(1.0))

    def fit(lambdas: Array, share: float) -> Array:
        """Its tolerance is a bound on the distance to the subdifferential, so it has the unit of lambda."""
        solver = AndersonCD(max_iter=200, max_epochs=MANY, tol=share * lambdas[-1], fit_intercept=False)
        return np.asarray(solver.path(x, y, datafit, penalty, alphas=lambdas)[1])

    return fit


def adelie(x: Any, y: Array) -> Fit:
    import adelie

    matrix = (adelie.matrix.sparse if scipy.sparse.issparse(x) else adelie.matrix.dense)(x, method="naive", n_threads=1)
    model = adelie.glm.gaussian(y)

    def fit(lambdas: Array, tolerance: float) -> Array:
        options = {"intercept": False, "early_exit": False, "progress_bar": False, "max_iters": MANY}
        state = adelie.grpnet(matrix, model, lmda_path=lambdas, tol=tolerance, **options)
        return np.asarray(state.betas.toarray()).T

    return fit


def adelie_covariance(x: Any, y: Array) -> Fit:
    import adelie

    def fit(lambdas: Array, tolerance: float) -> Array:
        gram = adelie.matrix.dense(np.asfortranarray(x.T @ x / len(y)), method="cov", n_threads=1)
        options = {"early_exit": False, "progress_bar": False, "max_iters": MANY}
        state = adelie.gaussian_cov(gram, x.T @ y / len(y), lmda_path=lambdas, tol=tolerance, **options)
        return np.asarray(state.betas.toarray()).T

    return fit


def highs(x: Any, y: Array) -> Fit:
    """The least sum of absolute values: the linear program in both signs, or its dual."""

    def fit(_: Array, setting: str) -> Array:
        form, method = setting.split()
        if form == "primal":
            images = np.hstack([x, -x])
            found = scipy.optimize.linprog(np.ones(images.shape[1]), A_eq=images, b_eq=y, method=method)
            positive, negative = np.split(found.x, 2)
            return (positive - negative)[:, None]
        images = np.vstack([x.T, -x.T])
        free = (None, None)
        found = scipy.optimize.linprog(-y, A_ub=images, b_ub=np.ones(len(images)), bounds=free, method=method)
        positive, negative = np.split(-found.ineqlin.marginals, 2)
        return (positive - negative)[:, None]

    return fit


TOOLS: dict[str, Callable[[Any, Array], Fit]] = {
    "scikit-learn": scikit_learn,
    "scikit-learn, Gram": lambda x, y: scikit_learn(x, y, gram=True),
    "scikit-learn LARS": scikit_learn_lars,
    "celer": celer,
    "skglm": skglm,
    "adelie": adelie,
    "adelie, covariance": adelie_covariance,
    "HiGHS": highs,
}


# --- the referee ---------------------------------------------------------------------------------


def largest_gap(x: Any, y: Array, lambdas: Array, coefficients: Any) -> float:
    """Duality gap over the objective of zero, the largest of all lambdas; the dual point is the best feasible multiple
    of the residual."""
    n = len(y)
    w = scipy.sparse.csr_matrix(coefficients)
    used = np.flatnonzero(np.diff(w.indptr))
    residual = y[:, None] - x[:, used] @ w[used].toarray()
    limit = lambdas * n / np.abs(x.T @ residual).max(axis=0)
    squares, along = (residual**2).sum(axis=0), residual.T @ y
    scale = np.minimum(limit, along / squares)
    primal = 0.5 * squares + lambdas * n * np.asarray(abs(w).sum(axis=0)).ravel()
    dual = scale * along - 0.5 * scale**2 * squares
    return float(((primal - dual) / (0.5 * y @ y)).max())


def least_l1_error(x: Array, y: Array, coefficients: Any) -> float:
    """Relative residual, or relative distance from the bound of the dual point that the support determines."""
    w = np.asarray(scipy.sparse.csr_matrix(coefficients).todense()).ravel()
    total = np.abs(w).sum()
    support = np.abs(w) > 1e-9 * total
    dual = np.linalg.lstsq(x[:, support].T, np.sign(w[support]), rcond=None)[0]
    bound = y @ dual / np.abs(x.T @ dual).max()
    return float(max(np.linalg.norm(y - x @ w) / np.linalg.norm(y), (total - bound) / total))


# --- works ---------------------------------------------------------------------------------------


Judge = Callable[[list[Any]], dict[str, Any]]  # answers to `error` and what else there is to say


def judge_by(error: Callable[..., float], problems: list[tuple[Any, ...]]) -> Judge:
    """The largest error, and the nonzero coefficients of the last lambda of all problems."""

    def judge(answers: list[Any]) -> dict[str, Any]:
        last = [scipy.sparse.csc_matrix(answer)[:, [-1]] for answer in answers]
        errors = [error(*problem, answer) for problem, answer in zip(problems, answers, strict=True)]
        if not np.isfinite(errors).all():
            raise Failure("the coefficients are not finite")
        return {"error": max(errors), "nonzeros": sum(int(w.count_nonzero()) for w in last)}

    return judge


@dataclass
class Work:
    """Problems that are timed together: tables with their targets and lambdas, and who judges an answer."""

    tables: list[tuple[Any, Array, Array]]
    judge: Judge
    words: list[str]
    count: int = 1  # what a time is divided by


def read_table(ask: dict[str, Any]) -> Any:
    if "x" in ask:
        return raw(ask["x"]).reshape(ask["columns"], ask["rows"]).T
    parts = raw(ask["offsets"], "<u8"), raw(ask["indices"], "<u4"), raw(ask["values"])
    return sparse(ask["rows"], ask["columns"], *parts)


def table_work(ask: dict[str, Any], x: Any) -> Work:
    y, lambdas = raw(ask["y"]), raw(ask["lambdas"])
    kind = ["dense", "x"] if "x" in ask else ["sparse", "offsets", "indices", "values"]
    words = [kind[0], str(ask["rows"]), str(ask["columns"]), *(ask[name] for name in [*kind[1:], "y", "lambdas"])]
    tables = [(x, y, lambdas)]
    return Work(tables, judge_by(largest_gap, tables), words)


def small_work(ask: dict[str, Any]) -> Work:
    count, rows, columns = ask["count"], ask["rows"], ask["columns"]
    xs = raw(ask["x"]).reshape(-1, columns, rows)[:count]
    ys = raw(ask["y"]).reshape(-1, rows)[:count]
    words = [ask["kind"], *map(str, (count, rows, columns)), ask["x"], ask["y"]]
    if ask["kind"] == "least-l1":
        pairs = [(x.T, y) for x, y in zip(xs, ys)]
        return Work([(*pair, np.zeros(1)) for pair in pairs], judge_by(least_l1_error, pairs), words, count)
    tables = [(x.T, y, raw(ask["lambdas"])[i : i + 1]) for i, (x, y) in enumerate(zip(xs, ys))]
    return Work(tables, judge_by(largest_gap, tables), [*words, ask["lambdas"]], count)


Run = Callable[[Any, int], tuple[list[Any], list[float]]]  # setting and timed runs to answers and seconds


def in_process(tool: str, work: Work) -> Run:
    make = TOOLS[tool]
    x, y, lambdas = work.tables[0]
    fits = [(make(x, y), lambdas) for x, y, lambdas in work.tables]

    def run(setting: Any, runs: int) -> tuple[list[Any], list[float]]:
        seconds = []
        for _ in range(runs):
            start = time.perf_counter()
            answers = [fit(lambdas, setting) for fit, lambdas in fits]
            seconds.append((time.perf_counter() - start) / work.count)
        return answers, seconds

    return run


def by_command(ask: dict[str, Any], work: Work) -> Run:
    def run(setting: Any, runs: int) -> tuple[list[Any], list[float]]:
        lines = call([*ask["command"], str(runs), ask["out"], str(setting), *work.words]).splitlines()
        position, column, value = raw(ask["out"]).reshape(-1, 3).T
        shape = work.tables[0][0].shape[1], max(len(work.tables), len(work.tables[0][2]))
        found = scipy.sparse.csc_matrix((value, (column.astype(int), position.astype(int))), shape=shape)
        answers = [found] if len(work.tables) == 1 else [found[:, [i]] for i in range(len(work.tables))]
        return answers, [json.loads(line)["seconds"] / work.count for line in lines]

    return run


# --- cross-validation ----------------------------------------------------------------------------


def cross_validation(ask: dict[str, Any], x: Array) -> tuple[Run, Judge]:
    """On given folds; an answer is the curve of mean squared errors, its error the largest relative distance from that
    of fits whose gaps were computed."""
    from sklearn.linear_model import LassoCV

    y, lambdas, fold = raw(ask["y"]), raw(ask["lambdas"]), raw(ask["folds"])
    folds = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in np.unique(fold)]
    errors = []
    for train, test in folds:
        part = np.asfortranarray(x[train])
        w = scikit_learn(part, y[train], gram=True)(lambdas, 1e-14)
        gap = largest_gap(part, y[train], lambdas, w)
        if gap > 1e-11:
            raise Failure(f"the fits that judge cross-validation have a gap of {gap:.1e}")
        errors.append(((y[test][:, None] - x[test] @ w) ** 2).mean(axis=0))
    curve = np.mean(errors, axis=0)

    def judge(answers: list[Any]) -> dict[str, Any]:
        error = float(np.abs(answers[0] / curve - 1.0).max())
        return {"error": error, "chosen": int(answers[0].argmin()), "best": int(curve.argmin())}

    def by_scikit_learn(setting: Any, runs: int) -> tuple[list[Any], list[float]]:
        seconds = []
        for _ in range(runs):
            options = {"alphas": lambdas, "cv": folds, "max_iter": MANY, "fit_intercept": False, "copy_X": False}
            model = LassoCV(tol=setting, precompute=ask["gram"], **options)
            start = time.perf_counter()
            model.fit(x, y)
            seconds.append(time.perf_counter() - start)
        return [model.mse_path_.mean(axis=1)], seconds

    def by_us(setting: Any, runs: int) -> tuple[list[Any], list[float]]:
        words = ["cross-validation", *(str(ask[name]) for name in ("rows", "columns", "x", "y")), str(len(folds))]
        lines = call([*ask["command"], str(runs), ask["out"], str(setting), *words, str(len(lambdas))]).splitlines()
        their_fold, grid, found = np.split(raw(ask["out"]), [len(y), len(y) + len(lambdas)])
        if (their_fold != fold).any() or np.abs(grid / lambdas - 1.0).max() > 1e-12:
            raise Failure("other folds or lambdas than before")
        return [found], [json.loads(line)["seconds"] for line in lines]

    return by_us if "command" in ask else by_scikit_learn, judge


# --- sweeps --------------------------------------------------------------------------------------


def sweep_one(run: Run, judge: Judge, count: int, ask: dict[str, Any]) -> dict[str, Any]:
    """Every setting once until patience is spent, ordered ones until the last level is met; then, of every level, more
    runs of the fastest setting that meets it."""
    levels, patience = ask["levels"], ask["patience"]
    points: list[dict[str, Any]] = []
    spent, left_out, failed = 0.0, 0, None
    for setting in ask["settings"]:
        if points and spent + count * points[-1]["seconds"][0] > patience:
            left_out = len(ask["settings"]) - len(points)
            break
        try:
            answers, seconds = run(setting, 1)
            points.append({"setting": setting, "seconds": seconds} | judge(answers))
        except (Failure, ValueError, RuntimeError) as failure:
            failed = f"setting {setting}: {str(failure).strip().splitlines()[-1]}"
            break
        spent += count * seconds[0]
        if points[-1]["error"] <= levels[-1] and ask["ordered"]:
            break
    best = []
    for level in levels:
        within = [i for i, point in enumerate(points) if point["error"] <= level]
        best.append(min(within, key=lambda i: points[i]["seconds"][0], default=None))
    for i in sorted({i for i in best if i is not None}):
        point = points[i]
        runs = min(ask["runs"], int(patience / (2.0 * count * point["seconds"][0])))
        if runs > 1:
            answers, point["seconds"] = run(point["setting"], runs)
            point["error"] = max(point["error"], judge(answers)["error"])
    return {"points": points, "best": best, "left_out": left_out, "failed": failed}


def warm_up(make: Callable[[Any, Array], Fit], x: Any, ask: dict[str, Any]) -> None:
    """Imports and just-in-time compilation, on a small part."""
    if x is None:
        part, y, _ = small_work(ask["works"][0]).tables[0]
    else:
        part, y = x[:50, :100], raw(ask["table"]["y"])[:50]
        part = part.tocsc() if scipy.sparse.issparse(part) else np.asfortranarray(part)
    lambdas = np.abs(part.T @ y).max() / len(y) / np.array([2.0, 4.0])
    make(part, y)(lambdas, ask["works"][0]["settings"][0])


def sweep(ask: dict[str, Any]) -> dict[str, Any]:
    import sklearn

    sklearn.set_config(assume_finite=True, skip_parameter_validation=True)
    warnings.simplefilter("ignore")  # what a run reached is computed
    tool, replies = ask.get("tool"), []
    x = read_table(ask["table"]) if "table" in ask else None
    if tool in TOOLS and ask["works"][0]["kind"] != "cross-validation":
        warm_up(TOOLS[tool], x, ask)
    with tempfile.TemporaryDirectory(dir=ask["folder"]) as folder:
        shared = {key: ask[key] for key in ("levels", "runs", "patience", "ordered", "command") if key in ask}
        for one in ask["works"]:
            whole = ask.get("table", {}) | one | shared | {"out": str(Path(folder) / "out")}
            if one["kind"] == "cross-validation":
                replies.append(sweep_one(*cross_validation(whole, x), 1, whole))
                continue
            work = table_work(whole, x) if one["kind"] == "table" else small_work(whole)
            run = by_command(whole, work) if "command" in ask else in_process(ask["tool"], work)
            replies.append(sweep_one(run, work.judge, work.count, whole))
    return {"works": replies}


def openblas() -> dict[str, str]:
    """The kernels that the OpenBLAS of numpy and that of scipy have chosen."""
    found = {}
    for library in threadpool_info():
        if library["internal_api"] == "openblas":
            owner = "scipy" if "scipy" in Path(library["filepath"]).name else "numpy"
            found[f"OpenBLAS of {owner}"] = f"{library['version']}, {library['architecture']}"
    return found


PEERS = ("numpy", "scipy", "scikit-learn", "celer", "skglm", "numba", "adelie")
TASKS = {"make table": make_table, "make small": make_small, "sweep": sweep}

if __name__ == "__main__":
    request = json.load(sys.stdin)
    reply = TASKS[request["task"]](request)
    reply["versions"] = {name: version(name) for name in PEERS}
    reply["kernels"] = openblas()
    json.dump(reply, sys.stdout, allow_nan=False)
