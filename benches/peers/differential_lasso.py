"""Problems of the Lasso, judged by objective and dual value that are computed from the coefficients alone."""

from __future__ import annotations

import math
import warnings
from functools import partial
from typing import Any

import numpy as np
from sklearn.linear_model import ElasticNet

from differential_wire import EMPTY, Answer, Case, Kind, Long, Vector, Verdict, numbers, power_of_two

TOLERANCE = 1e-8
BOUND = 1.01e-8  # of the null model's objective
SHARES = (0.3, 0.1, 0.03, 0.01)  # of the largest lambda
SKLEARN_EVERY = 5
DEFAULTS: dict[str, Any] = {
    "intercept": True, "positive": False, "mix": 1.0, "solver": 0, "sparse": False, "lower": None, "upper": None,
    "weights": None, "factors": None, "kx": 0, "ky": 0,
}  # fmt: skip


# --- problems ------------------------------------------------------------------------------------


def table(rng: np.random.Generator, n: int, p: int, correlated: float = 0.0) -> tuple[Vector, Vector]:
    """Normal columns, a few of which matter."""
    x = rng.standard_normal((n, p))
    if correlated:
        x = math.sqrt(1.0 - correlated) * x + math.sqrt(correlated) * rng.standard_normal((n, 1))
    support = rng.choice(p, int(rng.integers(0, min(p, 8) + 1)), replace=False)
    noise = rng.choice([0.0, 0.1, 1.0])
    y = x[:, support] @ rng.standard_normal(support.size) * 2.0 + noise * rng.standard_normal(n)
    if not y.any():
        y = rng.standard_normal(n)
    return x, y + rng.choice([0.0, 3.0])


def sizes(rng: np.random.Generator, few_rows: bool = False) -> tuple[int, int]:
    n = int(rng.integers(2, 21) if few_rows else rng.integers(1, 61))
    return n, int(rng.integers(n, 201) if few_rows else rng.integers(1, 201))


def finish(rng: np.random.Generator, x: Vector, y: Vector, **options: Any) -> Case:
    """Shares of the largest lambda, which is computed here."""
    known = DEFAULTS | {"x": x, "y": y} | options
    known.setdefault("shares", numbers(rng.choice(SHARES)))
    largest = largest_lambda(known)
    known["lambdas"] = known["shares"] * (largest if largest > 1e-12 else 1.0)
    known["sklearn"] = bool(rng.integers(SKLEARN_EVERY) == 0)
    kx, ky = known["kx"], known["ky"]
    known["refusable"] = 2 * max(abs(kx), abs(ky)) > 980  # squares that are no numbers
    head = [*x.shape, known["intercept"], known["positive"], known["mix"], False, TOLERANCE, known["solver"]]
    bounds = [EMPTY if known[key] is None else np.ldexp(known[key], ky - kx) for key in ("lower", "upper")]
    rest = [EMPTY if known[key] is None else known[key] for key in ("weights", "factors")]
    scaled = [np.ldexp(x, kx), np.ldexp(y, ky), np.ldexp(known["lambdas"], kx + ky)]
    return Case([[numbers(*head, known["sparse"]), *scaled, *bounds, *rest]], known)


def largest_lambda(known: dict[str, Any]) -> float:
    x, y, n = known["x"], known["y"], len(known["y"])
    s = row_weights(known).astype(np.float64)
    factors = np.ones(x.shape[1]) if known["factors"] is None else known["factors"]
    free = [np.ones((n, 1))] * known["intercept"] + [x[:, factors == 0.0]]
    z = np.hstack(free) * np.sqrt(s)[:, None]
    r = y.copy()
    if z.shape[1]:
        r = r - np.hstack(free) @ np.linalg.lstsq(z, np.sqrt(s) * y, rcond=None)[0]
    c = x.T @ (s * r) / n
    c = np.maximum(c, 0.0) if known["positive"] else np.abs(c)
    held = factors > 0.0
    return float(np.max(c[held] / (factors[held] * known["mix"]), initial=0.0))


def ordinary(rng: np.random.Generator, few_rows: bool = False, **options: Any) -> Case:
    x, y = table(rng, *sizes(rng, few_rows))
    options = {key: value(rng, x) if callable(value) else value for key, value in options.items()}
    return finish(rng, x, y, intercept=bool(rng.integers(2)), **options)


def solver(rng: np.random.Generator, number: int) -> Case:
    x, y = table(rng, *sizes(rng, bool(rng.integers(2))))
    return finish(rng, x, y, intercept=bool(rng.integers(2)), solver=number)


def correlated(rng: np.random.Generator) -> Case:
    x, y = table(rng, *sizes(rng), correlated=float(rng.choice([0.5, 0.9, 0.99, 0.9999])))
    return finish(rng, x, y, intercept=bool(rng.integers(2)))


def bounded(rng: np.random.Generator) -> Case:
    x, y = table(rng, *sizes(rng, bool(rng.integers(2))))
    p = x.shape[1]
    size = float(rng.choice([0.01, 0.3, 3.0]))
    lower, upper = -size * rng.random(p), size * rng.random(p)
    lower[rng.random(p) < 0.3], upper[rng.random(p) < 0.3] = -np.inf, np.inf
    lower[rng.random(p) < 0.2] = 0.0
    return finish(rng, x, y, intercept=bool(rng.integers(2)), lower=lower, upper=upper)


def weighted(rng: np.random.Generator) -> Case:
    x, y = table(rng, *sizes(rng))
    weights = rng.random(len(y)) * (rng.random(len(y)) < 0.8)
    weights[rng.integers(len(y))] = 1.0
    return finish(rng, x, y, intercept=bool(rng.integers(2)), weights=weights)


def duplicated(rng: np.random.Generator) -> Case:
    x, y = table(rng, *sizes(rng))
    p = x.shape[1]
    for _ in range(int(rng.integers(1, 4))):
        x[:, rng.integers(p)] = x[:, rng.integers(p)] * rng.choice([1.0, -1.0, 1.0 + 1e-9])
    if rng.integers(2):
        x[:, rng.integers(p)] = rng.choice([0.0, 1.0, 1e4])
    return finish(rng, x, y, intercept=bool(rng.integers(2)))


def unpenalised(rng: np.random.Generator) -> Case:
    x, y = table(rng, *sizes(rng))
    factors = rng.choice([0.0, 0.5, 1.0, 2.0], x.shape[1], p=[0.05, 0.2, 0.5, 0.25])
    factors[rng.integers(x.shape[1])] = 0.0
    return finish(rng, x, y, intercept=bool(rng.integers(2)), factors=factors)


def counts(rng: np.random.Generator, scale: float = 1.0) -> Case:
    """Sparse columns, counts with ties."""
    n, p = sizes(rng)
    x = rng.poisson(0.2, (n, p)) * scale
    y = x[:, : min(3, p)].sum(axis=1) / scale + rng.standard_normal(n)
    return finish(rng, x, y, intercept=bool(rng.integers(2)), sparse=True)


def path(rng: np.random.Generator) -> Case:
    """A few rows and many lambdas."""
    x, y = table(rng, int(rng.integers(2, 13)), int(rng.integers(2, 41)))
    shares = np.geomspace(1.0, 1e-3, int(rng.integers(2, 13)))
    return finish(rng, x, y, intercept=bool(rng.integers(2)), positive=bool(rng.integers(2)), shares=shares)


def nearly_constant(rng: np.random.Generator) -> Case:
    n, p = int(rng.integers(5, 61)), int(rng.integers(2, 11))
    x, y = table(rng, n, p)
    factors = np.ones(p)
    factors[0] = float(rng.choice([0.0, 0.0, 1.0]))
    x[:, 0] = 10.0 ** rng.uniform(4.0, 6.0) + 1e-7 * rng.standard_normal(n)
    return finish(rng, x, y, factors=factors)


def scaled(rng: np.random.Generator) -> Case:
    x, y = table(rng, *sizes(rng))
    ky = power_of_two(rng)
    kx = power_of_two(rng) if rng.integers(2) else 0
    if abs(kx + ky) > 1000 or abs(ky - kx) > 1000:
        kx = 0
    return finish(rng, x, y, intercept=bool(rng.integers(2)), kx=kx, ky=ky, sparse=bool(rng.integers(2)))


# --- the judge -----------------------------------------------------------------------------------


def row_weights(known: dict[str, Any]) -> Any:
    n = len(known["y"])
    if known["weights"] is None:
        return np.ones(n, Long)
    return known["weights"].astype(Long) * n / known["weights"].astype(Long).sum()


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
        verdict.said += ["limit"] + ["limit with a gap above 1e-3"] * (not gap <= 1e-3)
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

    def half(_: np.random.Generator, x: Vector) -> float:
        return float(_.choice([0.05, 0.5, 0.95]))

    return [
        kind("ordinary", 2500, ordinary, reference=BOTH),
        kind("few rows, many columns", 2500, partial(ordinary, few_rows=True), reference=BOTH),
        kind("signs", 1500, partial(ordinary, positive=True), reference=BOTH),
        kind("few rows, many columns, signs", 1500, partial(ordinary, few_rows=True, positive=True), reference=BOTH),
        kind("bounds", 1500, bounded),
        kind("elastic net", 1200, partial(ordinary, mix=half), reference=BOTH),
        kind("weights, zeros among them", 1200, weighted, reference=BOTH),
        kind("duplicated and constant columns", 1500, duplicated, reference=BOTH),
        kind("correlated columns", 1000, correlated, reference=BOTH),
        kind("unpenalised columns", 1500, unpenalised),
        kind("sparse counts", 1200, counts, reference=BOTH),
        kind("paths of 2 to 12 lambdas", 500, path),
        kind("nearly constant column", 1000, nearly_constant, limits=False),
        kind("units of 2^-1000 to 2^1000", 1200, scaled),
        kind("working set", 800, partial(solver, number=1), reference=BOTH),
        kind("homotopy", 800, partial(solver, number=2), reference=BOTH),
        kind("coordinate descent", 800, partial(solver, number=3), BOTH, False),
    ]
