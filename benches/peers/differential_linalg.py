"""Problems of dense linear algebra: residuals of what came, in long doubles, and the values of LAPACK."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from differential_wire import EMPTY, Answer, Case, Kind, Long, Vector, Verdict, numbers, power_of_two

EPSILON = 2.0**-53
BOUND = 1e-12
LEAST_SQUARES, SVD, EIGEN, CHOLESKY, GRAM, TSQR, LEVERAGE = range(7)
AUTO, BY_TSQR, BY_GRAM, SKETCHED, PRECONDITIONED = range(5)


# --- problems ------------------------------------------------------------------------------------


def asked(task: int, a: Vector, b: Vector = EMPTY, method: int = AUTO, unit: int = 0, **known: Any) -> Case:
    head = numbers(task, *a.shape, method)
    return Case([[head, np.ldexp(a, unit), b]], {"a": a, "b": b, "unit": unit} | known)


def matrix(rng: np.random.Generator, m: int, n: int) -> tuple[Vector, str]:
    """Of several hostile shapes."""
    a = rng.standard_normal((m, n))
    shape = str(rng.choice(["normal", "graded", "deficient", "zero columns", "ill", "counts", "nearly constant"]))
    if shape == "graded":
        a = a * 10.0 ** rng.uniform(-8.0, 8.0, n)
    elif shape == "deficient":
        k = int(rng.integers(1, min(m, n) + 1))
        a = rng.standard_normal((m, k)) @ rng.standard_normal((k, n))
    elif shape == "zero columns":
        a[:, rng.integers(n)] = 0.0
    elif shape == "ill":
        u, _, v = np.linalg.svd(a, full_matrices=False)
        a = (u * 10.0 ** -np.linspace(0.0, rng.uniform(2.0, 14.0), min(m, n))) @ v
    elif shape == "counts":
        a = rng.poisson(0.5, (m, n)).astype(float)
    elif shape == "nearly constant":
        a[:, 0] = 1.0
        a[:, -1] = 10.0 ** rng.uniform(2.0, 6.0) + 1e-3 * a[:, -1]
    return a, shape


def sizes(rng: np.random.Generator, m: int, n: int) -> tuple[int, int]:
    return int(np.exp(rng.uniform(0.0, np.log(m)))), int(np.exp(rng.uniform(0.0, np.log(n))))


def least_squares(rng: np.random.Generator, method: int, scales: bool = False) -> Case:
    m, n = sizes(rng, 300, 30)
    if method in (BY_GRAM, SKETCHED, PRECONDITIONED):
        m, n = n * int(rng.integers(9, 30)), n
    a, shape = matrix(rng, m, n)
    b = a @ rng.standard_normal(n) + rng.choice([0.0, 1e-6, 1.0]) * rng.standard_normal(m)
    unit = power_of_two(rng, 900) if scales else 0
    return asked(LEAST_SQUARES, a, b, method, unit, shape=shape)


def svd(rng: np.random.Generator) -> Case:
    a, _ = matrix(rng, *sizes(rng, 80, 60))
    return asked(SVD, a, unit=power_of_two(rng, 990) if rng.integers(4) == 0 else 0)


def eigen(rng: np.random.Generator) -> Case:
    n = sizes(rng, 1, 60)[1]
    a, _ = matrix(rng, n, n)
    a = a + a.T if rng.integers(2) else a.T @ a
    return asked(EIGEN, a, unit=power_of_two(rng, 900) if rng.integers(4) == 0 else 0)


def cholesky(rng: np.random.Generator) -> Case:
    n = int(np.exp(rng.uniform(0.0, np.log(100))))
    x = rng.standard_normal((2 * n + 2, n)) * 10.0 ** rng.uniform(-4.0, 4.0, n)
    return asked(CHOLESKY, x.T @ x)


def triangle(rng: np.random.Generator) -> Case:
    m, n = sizes(rng, 400, 20)
    a, _ = matrix(rng, m + n, n)
    return asked(TSQR, a, unit=power_of_two(rng, 450) if rng.integers(4) == 0 else 0)


def products(rng: np.random.Generator) -> Case:
    a, _ = matrix(rng, *sizes(rng, 200, 20))
    return asked(GRAM, a, rng.random(len(a)) if rng.integers(2) else EMPTY)


def leverage(rng: np.random.Generator) -> Case:
    m, n = sizes(rng, 300, 15)
    a = rng.standard_normal((m + n, n)) * 10.0 ** rng.uniform(-3.0, 3.0, n)
    if rng.integers(3) == 0:
        a = np.hstack([a, a @ rng.standard_normal((n, 1))])
    if rng.integers(3) == 0:
        a[rng.integers(len(a))] *= 1e4
    return asked(LEVERAGE, a, unit=power_of_two(rng, 900) if rng.integers(4) == 0 else 0)


def misuse(rng: np.random.Generator) -> Case:
    """Shapes and numbers that have no answer."""
    draw, n = int(rng.integers(6)), int(rng.integers(1, 8))
    a = rng.standard_normal((n + 1, n))
    bad = float(rng.choice([np.nan, np.inf, -np.inf]))
    if draw == 0:
        return asked(CHOLESKY, a if rng.integers(2) else a.T)
    if draw == 1:
        return asked(EIGEN, a if rng.integers(2) else a.T)
    if draw == 2:
        weights = rng.random(n + 1)
        weights[rng.integers(n + 1)] = bad
        return asked(GRAM, a, weights)
    if draw == 3:
        s = -(a.T @ a)
        return asked(CHOLESKY, s)
    a[rng.integers(n + 1), rng.integers(n)] = bad
    if draw == 4:
        return asked(int(rng.choice([SVD, GRAM, TSQR, LEVERAGE])), a)
    return asked(LEAST_SQUARES, a, rng.standard_normal(n + 1), int(rng.choice([AUTO, BY_TSQR])))


# --- the judge -----------------------------------------------------------------------------------


def long_norm(x: Any) -> Any:
    return np.sqrt((np.asarray(x, Long) ** 2).sum())


def judge_least_squares(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    """The residual beside the least, and whether what is said of it is so."""
    a, b, unit = case.known["a"], case.known["b"], case.known["unit"]
    (_, said), x = answers[0].parts
    x = np.ldexp(x, unit)
    residual = long_norm(b - a.astype(Long) @ x.astype(Long))
    scale = np.linalg.norm(a, axis=0)
    scaled = a / np.where(scale > 0.0, scale, 1.0)
    best = np.linalg.lstsq(scaled, b, rcond=4 * EPSILON * max(a.shape))[0]
    least = long_norm(b - scaled.astype(Long) @ best.astype(Long))
    size = np.linalg.norm(b) + np.linalg.norm(np.abs(scaled) @ np.abs(best)) or 1.0
    verdict.measure(float((residual - least) / size), BOUND, "residual above the least")
    rounding = 1e-13 * (size + np.linalg.norm(np.abs(a) @ np.abs(x)))
    if not abs(said - residual) <= 1e-8 * residual + rounding:
        verdict.off.append("says another residual")


def orthonormal(q: Vector) -> float:
    return float(np.abs(q.T @ q - np.eye(q.shape[1])).max(initial=0.0))


def judge_svd(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    a = case.known["a"]
    m, n = a.shape
    k = min(m, n)
    u, s, v = answers[0].parts
    u, s, v = u.reshape(m, k), np.ldexp(s, -case.known["unit"]), v.reshape(n, k)
    size = np.linalg.norm(a) or 1.0
    verdict.measure(float(np.abs((u * s) @ v.T - a).max() / size), BOUND, "product")
    verdict.measure(max(orthonormal(u), orthonormal(v)), BOUND, "not orthonormal")
    verdict.measure(float(np.abs(s - np.linalg.svd(a, compute_uv=False)).max() / size), BOUND, "values")
    if (np.diff(s) > 0.0).any() or (s < 0.0).any():
        verdict.off.append("order")


def judge_eigen(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    a = case.known["a"]
    values, vectors = answers[0].parts
    values, vectors = np.ldexp(values, -case.known["unit"]), vectors.reshape(a.shape)
    size = np.linalg.norm(a) or 1.0
    verdict.measure(float(np.abs(a @ vectors - vectors * values).max() / size), BOUND, "product")
    verdict.measure(orthonormal(vectors), BOUND, "not orthonormal")
    verdict.measure(float(np.abs(values - np.linalg.eigvalsh(a)).max() / size), BOUND, "values")


def judge_product(case: Case, answers: list[Answer], verdict: Verdict, task: int) -> None:
    """Of triangular factors and Gram matrices: entry by entry, beside the diagonal."""
    a, unit = case.known["a"].astype(Long), case.known["unit"]
    n = a.shape[1]
    found = np.ldexp(answers[0].parts[0], -unit if task == TSQR else 0).reshape(n, n).astype(Long)
    if task == CHOLESKY:
        wanted, found, triangular = a, found @ found.T, np.triu(found, 1)
    elif task == TSQR:
        wanted, found, triangular = a.T @ a, found.T @ found, np.tril(found, -1)
    else:
        weights = case.known["b"].astype(Long) if case.known["b"].size else np.ones(len(a), Long)
        wanted, triangular = (a.T * weights) @ a, np.zeros(1)
    root = np.sqrt(np.diag(wanted))
    size = np.where(root > 0.0, root, 1.0)
    verdict.measure(float(np.abs((found - wanted) / np.outer(size, size)).max()), BOUND, "product")
    if triangular.any():
        verdict.off.append("not triangular")


def judge_leverage(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    a = case.known["a"]
    scaled = a / np.linalg.norm(a, axis=0)
    u, s, _ = np.linalg.svd(scaled, full_matrices=False)
    wanted = (u[:, s > 1e-10 * s[0]] ** 2).sum(axis=1)
    verdict.measure(float(np.abs(answers[0].parts[0] - wanted).max()), 1e-9, "scores")


def judge_misuse(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    """Only who is asked for the impossible and answers comes here."""
    verdict.off.append("answered")
    verdict.worst = 1.0


def kinds() -> list[Kind]:
    def kind(name: str, count: int, make: Any, judge: Any, reference: str = "long doubles", **more: Any) -> Kind:
        return Kind(name, reference, BOUND, count, make, judge, **more)

    methods = {"automatic": AUTO, "TSQR": BY_TSQR, "Gram": BY_GRAM, "sketched": SKETCHED, "preconditioned": PRECONDITIONED}
    out = []
    for name, method in methods.items():
        make, count = partial(least_squares, method=method), 1500 if method == AUTO else 500
        more = {"refusals": method == BY_GRAM}
        out.append(kind(f"least squares, {name}", count, make, judge_least_squares, "LAPACK gelsd", **more))
    units = partial(least_squares, method=AUTO, scales=True)
    return [
        *out,
        kind("least squares, units of 2^-900 to 2^900", 400, units, judge_least_squares, "LAPACK gelsd"),
        kind("singular values", 800, svd, judge_svd, "LAPACK gesdd"),
        kind("eigenvalues", 800, eigen, judge_eigen, "LAPACK syevd"),
        kind("Cholesky", 500, cholesky, partial(judge_product, task=CHOLESKY)),
        kind("Gram matrix", 500, products, partial(judge_product, task=GRAM)),
        kind("R by TSQR", 500, triangle, partial(judge_product, task=TSQR)),
        Kind("leverage scores", "LAPACK gesdd", 1e-9, 500, leverage, judge_leverage),
        kind("no answer exists", 300, misuse, judge_misuse, "refusal", refusals=True),
    ]
