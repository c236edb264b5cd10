"""Makes the tasks of `mtrl`, runs the peers, all of them Python, and judges every answer.

`run.py` starts this file with the Python of the peers' environment, one JSON object on standard input, and reads one
from standard output. Arrays lie in raw little-endian float64 files, the last index fastest. `shape` is `[d, K, M, n]`:
features, dimension, tasks, samples of a task; `x` is M × n × d, `y` is M × n. The tasks:

- `make tasks`: `shape`, `noise`, `seed`, `x`, `y`. Normal features, weights and noise, a random basis.
- `descend`: `shape`, `x`, `y`, `form`, `step`, `goal` (a loss or null), `limit` (iterations), `runs`, `out`. AltGDmin.
  `out` gets the basis (d × K) of every timed run. Reply: `seconds`, `iterations`, `reached`.
- `judge bases`: `shape`, `x`, `y`, `solutions` (files like `out`). Reply: `losses`, with exact weights.
- `make targets`: `shape` `[P, K, M]`, `share`, `seed`, `w` (P × K × M), `target` (P × K), `lambda` (P). Normal entries;
  λ of `1/(2K) ‖Wν − w‖² + λ‖ν‖₁` is that share of the least one with ν = 0.
- `relevance`: `shape`, `tool`, `w`, `target`, `lambda`, `out`. `out` gets ν (P × M). Reply: `seconds` of each problem.
- `judge relevances`: `shape`, `w`, `target`, `lambda`, `solutions`. Reply: `objectives`, `norms` (ℓ1) and `residuals`
  (of Wν = w, relative), of each file and problem.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from sklearn.linear_model import Lasso, lars_path

Table = NDArray[Any]
Descent = tuple[Table, int, bool]  # basis, iterations, whether the goal was reached


def raw(path: str, *shape: int) -> Table:
    return np.fromfile(path, dtype="<f8").reshape(shape)


# --- representation ------------------------------------------------------------------------------


def make_tasks(ask: dict[str, Any]) -> dict[str, Any]:
    d, k, m, n = ask["shape"]
    rng = np.random.default_rng(ask["seed"])
    basis = np.linalg.qr(rng.standard_normal((d, k)))[0]
    weights = rng.standard_normal((m, k))
    x = rng.standard_normal((m, n, d))
    y = np.matmul(x, (weights @ basis.T)[:, :, None])[:, :, 0] + ask["noise"] * rng.standard_normal((m, n))
    x.tofile(ask["x"])
    y.tofile(ask["y"])
    return {}


def start(moments: Table, k: int) -> Table:
    """Largest left singular vectors of the `X_mᵀy_m`; those of the small Gram matrix cost less than an SVD."""
    return np.linalg.eigh(moments.T @ moments)[1][:, -k:]


def descent_step(basis: Table, gradient: Table, weights: Table, n: int, step: float) -> Table:
    """Down the gradient and back to orthonormal columns; `n·‖W‖²` is about the largest curvature."""
    curvature = n * np.linalg.eigvalsh(weights.T @ weights)[-1]
    return np.linalg.qr(basis - step / curvature * gradient)[0]


def descend_rows(x: Table, y: Table, k: int, step: float, goal: float, limit: int) -> Descent:
    """Products with all rows at once."""
    m, n, d = x.shape
    rows, total = x.reshape(m * n, d), np.vdot(y, y)
    basis = start(np.matmul(y[:, None, :], x)[:, 0], k)
    for iteration in range(limit + 1):
        a = (rows @ basis).reshape(m, n, k)
        transposed = a.transpose(0, 2, 1)
        right = transposed @ y[:, :, None]
        w = np.linalg.solve(transposed @ a, right)
        if total - np.vdot(right, w) <= goal or iteration == limit:
            break
        residuals = (a @ w)[:, :, 0] - y
        weights = w[:, :, 0]
        gradient = ((residuals[:, :, None] * weights[:, None, :]).reshape(m * n, k).T @ rows).T
        basis = descent_step(basis, gradient, weights, n, step)
    return basis, iteration, bool(total - np.vdot(right, w) <= goal)


def descend_grams(x: Table, y: Table, k: int, step: float, goal: float, limit: int) -> Descent:
    """One product with the Gram matrices of all tasks serves the weights and the gradient."""
    m, n, d = x.shape
    grams, total = (x.transpose(0, 2, 1) @ x).reshape(m * d, d), np.vdot(y, y)
    moments = np.matmul(y[:, None, :], x)[:, 0]
    basis = start(moments, k)
    for iteration in range(limit + 1):
        images = (grams @ basis).reshape(m, d, k)
        right = moments @ basis
        w = np.linalg.solve(basis.T @ images, right[:, :, None])
        if total - np.vdot(right, w) <= goal or iteration == limit:
            break
        weights = w[:, :, 0]
        gradient = ((images @ w)[:, :, 0] - moments).T @ weights
        basis = descent_step(basis, gradient, weights, n, step)
    return basis, iteration, bool(total - np.vdot(right, w) <= goal)


DESCENT = {"rows": descend_rows, "Gram": descend_grams}


def descend(ask: dict[str, Any]) -> dict[str, Any]:
    d, k, m, n = ask["shape"]
    x, y = raw(ask["x"], m, n, d), raw(ask["y"], m, n)
    goal = -np.inf if ask["goal"] is None else ask["goal"]
    run, step, limit = DESCENT[ask["form"]], ask["step"], ask["limit"]
    run(x, y, k, step, goal, 3)
    seconds, bases, found = [], [], None
    for _ in range(ask["runs"]):
        begin = time.perf_counter()
        found = run(x, y, k, step, goal, limit)
        seconds.append(time.perf_counter() - begin)
        bases.append(found[0])
    assert found is not None
    np.array(bases).tofile(ask["out"])
    return {"seconds": seconds, "iterations": found[1], "reached": found[2]}


def judge_bases(ask: dict[str, Any]) -> dict[str, Any]:
    d, k, m, n = ask["shape"]
    x, y = raw(ask["x"], m, n, d), raw(ask["y"], m, n)

    def loss(basis: Table) -> float:
        total = 0.0
        for rows, values in zip(x @ basis, y):
            total += float(((rows @ np.linalg.lstsq(rows, values)[0] - values) ** 2).sum())
        return total

    return {"losses": [[loss(basis) for basis in raw(path, -1, d, k)] for path in ask["solutions"]]}


# --- relevance -----------------------------------------------------------------------------------


def make_targets(ask: dict[str, Any]) -> dict[str, Any]:
    p, k, m = ask["shape"]
    rng = np.random.default_rng(ask["seed"])
    w, target = rng.standard_normal((p, k, m)), rng.standard_normal((p, k))
    largest = np.abs(np.matmul(target[:, None, :], w)).max((1, 2)) / k
    w.tofile(ask["w"])
    target.tofile(ask["target"])
    (ask["share"] * largest).tofile(ask["lambda"])
    return {}


def sklearn_lasso(tolerance: float) -> Callable[[Table, Table, float], Table]:
    def solve(w: Table, target: Table, least: float) -> Table:
        model = Lasso(alpha=least, fit_intercept=False, tol=tolerance, max_iter=1_000_000)
        return np.asarray(model.fit(w, target).coef_)

    return solve


def lars(w: Table, target: Table, least: float) -> Table:
    return np.asarray(lars_path(w, target, Gram=None, method="lasso", alpha_min=least, return_path=False)[2])


def highs(w: Table, target: Table, _: float) -> Table:
    """The least ℓ1 norm with Wν = w: ν is a difference of two vectors that are not negative."""
    m = w.shape[1]
    parts = linprog(np.ones(2 * m), A_eq=np.hstack([w, -w]), b_eq=target, method="highs").x
    return np.asarray(parts[:m] - parts[m:])


RELEVANCE: dict[str, Callable[[Table, Table, float], Table]] = {
    "scikit-learn Lasso": sklearn_lasso(1e-4),
    "scikit-learn Lasso, tol 1e-8": sklearn_lasso(1e-8),
    "scikit-learn lars_path": lars,
    "HiGHS": highs,
}


def problems(ask: dict[str, Any]) -> list[tuple[Table, Table, float]]:
    p, k, m = ask["shape"]
    return list(zip(raw(ask["w"], p, k, m), raw(ask["target"], p, k), map(float, raw(ask["lambda"], p))))


def relevance(ask: dict[str, Any]) -> dict[str, Any]:
    solve, given = RELEVANCE[ask["tool"]], problems(ask)
    if len(given) > 1:
        solve(*given[0])
    seconds, found = [], []
    for problem in given:
        begin = time.perf_counter()
        found.append(solve(*problem))
        seconds.append(time.perf_counter() - begin)
    np.array(found).tofile(ask["out"])
    return {"seconds": seconds}


def judge_relevances(ask: dict[str, Any]) -> dict[str, Any]:
    given, (p, k, m) = problems(ask), ask["shape"]
    reply: dict[str, list[list[float]]] = {"objectives": [], "norms": [], "residuals": []}
    for path in ask["solutions"]:
        found = list(zip(given, raw(path, p, m), strict=True))
        away = [float(np.linalg.norm(w @ nu - target)) for (w, target, _), nu in found]
        norms = [float(np.abs(nu).sum()) for _, nu in found]
        reply["objectives"].append([r * r / (2 * k) + least * s for r, s, (_, _, least) in zip(away, norms, given)])
        reply["norms"].append(norms)
        reply["residuals"].append([r / float(np.linalg.norm(target)) for r, (_, target, _) in zip(away, given)])
    return reply


PEERS = ("numpy", "scipy", "scikit-learn")
TASKS = {
    "make tasks": make_tasks,
    "descend": descend,
    "judge bases": judge_bases,
    "make targets": make_targets,
    "relevance": relevance,
    "judge relevances": judge_relevances,
}

if __name__ == "__main__":
    request = json.load(sys.stdin)
    reply = TASKS[request["task"]](request)
    reply["versions"] = {name: version(name) for name in PEERS}
    json.dump(reply, sys.stdout, allow_nan=False)
