"""Random problems of the Lasso."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from differential_wire import EMPTY, Case, Long, Vector, numbers, power_of_two

TOLERANCE = 1e-8
SHARES = (0.3, 0.1, 0.03, 0.01)  # of the largest lambda
SKLEARN_EVERY = 5
DEFAULTS: dict[str, Any] = {
    "intercept": True, "positive": False, "mix": 1.0, "solver": 0, "sparse": False, "lower": None, "upper": None,
    "weights": None, "factors": None, "kx": 0, "ky": 0, "standardize": False,
}  # fmt: skip


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
    head = [*x.shape, known["intercept"], known["positive"], known["mix"], known["standardize"], TOLERANCE, known["solver"]]
    bounds = [EMPTY if known[key] is None else np.ldexp(known[key], ky - kx) for key in ("lower", "upper")]
    given = known | {"factors": None} if known["standardize"] else known
    rest = [EMPTY if given[key] is None else given[key] for key in ("weights", "factors")]
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


def row_weights(known: dict[str, Any]) -> Any:
    n = len(known["y"])
    if known["weights"] is None:
        return np.ones(n, Long)
    return known["weights"].astype(Long) * n / known["weights"].astype(Long).sum()


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


def standardized(rng: np.random.Generator) -> Case:
    """The same as penalty factors, which the judge is told instead."""
    x, y = table(rng, *sizes(rng))
    intercept = bool(rng.integers(2)) and len(y) > 1
    x = x * 10.0 ** rng.uniform(-3.0, 3.0, x.shape[1])
    factors = x.std(axis=0) if intercept else np.sqrt((x * x).mean(axis=0))
    return finish(rng, x, y, intercept=intercept, standardize=True, factors=factors)


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
