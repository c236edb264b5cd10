"""The Lasso, judged by objective and dual value that are computed from the coefficients alone."""

from __future__ import annotations

import math
import warnings
from functools import partial
from typing import Any

import numpy as np
from sklearn.linear_model import ElasticNet

import differential_lasso_problems as problems
from differential_lasso_problems import row_weights
from differential_wire import Answer, Case, Kind, Long, Vector, Verdict

FAILED = 3.0  # status
BOUND = 1.01e-8  # of the null model's objective: what was asked, and a hundredth for rounding


def residual(known: dict[str, Any], w: Vector, b: float) -> Any:
    """Of the coefficients as they are: products in two doubles, sums without rounding."""
    support = np.flatnonzero(w)
    x, w = known["x"][:, support], w[support]
    product = x * w
    if not (np.isfinite(product).all() and math.isfinite(b)):
        return np.full(len(known["y"]), np.nan, Long)
    if np.abs(product).max(initial=0.0) < 1e6:
        return known["y"].astype(Long) - x.astype(Long) @ w.astype(Long) - Long(b)
    (xh, xl), (wh, wl) = split(x), split(w)
    low = ((xh * wh - product) + xh * wl + xl * wh) + xl * wl
    rows = zip(known["y"], product, low)
    return np.array([math.fsum([y, -b, *(-high), *(-rest)]) for y, high, rest in rows], Long)


def split(x: Vector) -> tuple[Vector, Vector]:
    """Veltkamp's halves."""
    c = x * 134217729.0
    high = c - (c - x)
    return high, x - high


def objective(known: dict[str, Any], w: Vector, b: float, s: Any) -> tuple[Any, Any]:
    """And the residual."""
    r, mix = residual(known, w, b), known["mix"]
    factors = np.ones(w.size) if known["factors"] is None else known["factors"]
    size = np.abs(w.astype(Long))
    penalty = (factors * (mix * size + (1.0 - mix) / 2.0 * size * size)).sum()
    return (s * r * r).sum() / (2 * len(r)) + known["lambda"] * penalty, r


def null_objective(known: dict[str, Any], s: Any) -> Any:
    y = known["y"].astype(Long)
    if known["intercept"]:
        y = y - (s * y).sum() / s.sum()
    return (s * y * y).sum() / (2 * len(y))


def dual(known: dict[str, Any], r: Any, s: Any) -> Any:
    """The best bound from below along the residual, made orthogonal to what is not penalised."""
    n, p = known["x"].shape
    x = known["x"]
    if known["intercept"]:
        near = np.abs(x - x[0]).max(axis=0) < 0.25 * np.abs(x[0])
        x = np.where(near, x - x[0], x)  # without rounding, and the same up to the intercept
    x = x.astype(Long)
    factors = np.ones(p) if known["factors"] is None else known["factors"]
    lower = np.full(p, -np.inf) if known["lower"] is None else known["lower"]
    upper = np.full(p, np.inf) if known["upper"] is None else known["upper"]
    if known["positive"]:
        lower = np.maximum(lower, 0.0)
    free = (factors == 0.0) & np.isinf(lower) & np.isinf(upper)
    basis = [np.ones(n, Long)] * known["intercept"] + list(x[:, free].T)
    r = orthogonal(r, basis, s)
    c = x.T @ (s * r) / n
    c[free] = 0.0
    along, squares = (s * known["y"] * r).sum() / n, (s * r * r).sum() / n
    a, q = known["lambda"] * factors * known["mix"], known["lambda"] * factors * (1.0 - known["mix"])
    bound = np.where(c > 0.0, upper, -lower).astype(Long)
    hard = np.isinf(bound) & (q == 0.0) & (np.abs(c) > a)
    limit = min([Long(1.0), *(a[hard] / np.abs(c[hard]))])

    def value(t: Any) -> Any:
        over = np.abs(t * c) - a
        at = (over > 0.0) & ~hard
        quadratic, most = q[at], bound[at]
        step = np.where(quadratic > 0.0, np.minimum(over[at] / np.where(quadratic > 0.0, quadratic, 1.0), most), most)
        return t * along - t * t * squares / 2 - (over[at] * step - quadratic * step * step / 2).sum()

    if squares == 0.0:
        return Long(0.0)
    best = min(max(along / squares / limit, Long(0.0)), Long(1.0))
    return max(value(limit * t) for t in (1.0, 1.0 - 1e-9, 1.0 - 1e-6, 1.0 - 1e-4, 0.99, best))


def orthogonal(r: Any, basis: list[Any], s: Any) -> Any:
    """Modified Gram-Schmidt with the weights, all twice."""
    kept: list[Any] = []
    for column in basis:
        first = math.sqrt((s * column * column).sum())
        for _ in range(2):
            for q in kept:
                column = column - (s * q * column).sum() * q
        size = np.sqrt((s * column * column).sum())
        if size > 1e-15 * first:
            kept.append(column / size)
    for _ in range(2):
        for q in kept:
            r = r - (s * q * r).sum() * q
    return r


def judge(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    """Every lambda; and the objective falls with it."""
    parts, before = answers[0].parts, math.inf
    for k, value in enumerate(case.known["lambdas"]):
        known = case.known | {"lambda": value}
        after, allowed = judge_one(known, parts[3 * k : 3 * k + 3], verdict)
        if not after <= before + allowed:
            verdict.off.append("objective rises as lambda falls")
        before = after


def judge_one(known: dict[str, Any], parts: list[Vector], verdict: Verdict) -> tuple[Any, Any]:
    """The objective, and by how much it may be above the least."""
    head, indices, values = parts
    kx, ky = known["kx"], known["ky"]
    w, s = np.zeros(known["x"].shape[1]), row_weights(known)
    w[indices.astype(int)] = np.ldexp(values, kx - ky)
    value, r = objective(known, w, float(np.ldexp(head[5], -ky)), s)
    null = null_objective(known, s)
    scale = null if null > 0.0 else Long(1.0)
    told = abs(2 * ky) < 1000  # squares of the unit are numbers
    if np.isnan(head).any() or (told and not np.isfinite(head).all()):
        verdict.off.append("not finite")
    if outside(known, w):
        verdict.off.append("outside the bounds")
    converged = head[0] == 0.0
    gap = float((value - dual(known, r, s)) / scale) if np.isfinite(float(value)) else math.inf
    if converged:
        verdict.measure(gap, BOUND, "gap above the tolerance, converged")
    else:
        verdict.said += ["limit"] + ["certificate failed"] * bool(head[0] == FAILED)
        verdict.said += ["limit with a gap above 1e-3"] * (not gap <= 1e-3)
    if not value <= null * (1 + 1e-12):
        verdict.off.append("worse than the null model")
    if told:
        primal, bound = (Long(np.ldexp(head[k], -2 * ky)) for k in (1, 2))
        if not abs(primal - value) <= 1e-9 * scale:
            verdict.off.append("primal is not the objective")
        if not bound <= value + 1e-12 * scale:
            verdict.off.append("dual above the objective")
        if known["sklearn"] and comparable(known):
            check_sklearn(known, verdict, s, (value, bound, scale, converged))
    return value, BOUND * scale if converged else Long(math.inf)


def outside(known: dict[str, Any], w: Vector) -> bool:
    lower = -np.inf if known["lower"] is None else known["lower"]
    upper = np.inf if known["upper"] is None else known["upper"]
    return bool((w < lower).any() or (w > upper).any() or (known["positive"] and (w < 0.0).any()))


def comparable(known: dict[str, Any]) -> bool:
    return known["lower"] is None and known["factors"] is None


def check_sklearn(known: dict[str, Any], verdict: Verdict, s: Any, ours: tuple[Any, Any, Any, bool]) -> None:
    value, bound, scale, converged = ours
    options = {"fit_intercept": known["intercept"], "positive": known["positive"], "tol": 1e-12, "max_iter": 20_000}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ElasticNet(alpha=known["lambda"], l1_ratio=known["mix"], **options)
        model.fit(known["x"], known["y"], sample_weight=known["weights"])
    best, _ = objective(known, np.asarray(model.coef_), float(model.intercept_), s)
    if not bound <= best + 1e-12 * scale:
        verdict.off.append("dual above scikit-learn's objective")
    if converged and not value <= best + BOUND * scale:
        verdict.off.append("objective above scikit-learn's")


KKT = "own dual value"
BOTH = "own dual value, scikit-learn"


def kinds() -> list[Kind]:
    def kind(name: str, count: int, make: Any, reference: str = KKT, limits: bool = True, **more: Any) -> Kind:
        return Kind(name, reference, BOUND, count, make, judge, limits=limits, **more)

    def share(rng: np.random.Generator, _: Vector) -> float:
        return float(rng.choice([0.05, 0.5, 0.95]))

    return [
        kind("ordinary", 2500, problems.ordinary, reference=BOTH),
        kind("few rows, many columns", 2500, partial(problems.ordinary, few_rows=True), reference=BOTH),
        kind("signs", 1500, partial(problems.ordinary, positive=True), reference=BOTH),
        kind("few rows, signs", 1500, partial(problems.ordinary, few_rows=True, positive=True), reference=BOTH),
        kind("bounds", 1500, problems.bounded),
        kind("elastic net", 1200, partial(problems.ordinary, mix=share), reference=BOTH),
        kind("weights, zeros among them", 1200, problems.weighted, reference=BOTH),
        kind("duplicated and constant columns", 1500, problems.duplicated, reference=BOTH),
        kind("correlated columns", 1000, problems.correlated, reference=BOTH),
        kind("unpenalised columns", 1500, problems.unpenalised),
        kind("standardized columns", 800, problems.standardized),
        kind("sparse counts", 1200, problems.counts, reference=BOTH),
        kind("paths of 2 to 12 lambdas", 500, problems.path),
        kind("nearly constant column", 1000, problems.nearly_constant, limits=False),
        kind("units of 2^-1000 to 2^1000", 1200, problems.scaled),
        kind("working set", 800, partial(problems.solver, number=1), reference=BOTH),
        kind("homotopy", 800, partial(problems.solver, number=2), reference=BOTH),
        kind("coordinate descent", 800, partial(problems.solver, number=3), BOTH, False),
    ]
