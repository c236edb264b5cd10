"""Problems of quantile and lp regression, judged by objectives that are computed from the coefficients alone."""

from __future__ import annotations

import math
import warnings
from functools import partial
from typing import Any

import numpy as np
from scipy.linalg import qr
from scipy.optimize import linprog, minimize

from differential_wire import Answer, Case, Kind, Long, Vector, Verdict, numbers, power_of_two

QUANTILES = (0.0005, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9995)
EXPONENTS = (1.01, 1.1, 1.5, 3.0, 4.0, 8.0, 12.0, 32.0)
QUANTILE_BOUND, LP_BOUND = 1e-8, 1e-6
FLOOR = 1e-5  # of the loss of x = 0 and the sizes added: what a bound is relative to, where the optimum is nothing
SIDE = 1e-9  # a multiplier may be outside its interval by this
AUTO, ALWAYS, NEVER = range(3)


# --- problems ------------------------------------------------------------------------------------


def asked(
    a: Vector, b: Vector, kind: int, value: float, way: int = AUTO, sparse: bool = False, units: tuple[int, int] = (0, 0)
) -> Case:
    """Units are powers of two, of the table and of the target."""
    head = numbers(*a.shape, kind, value, way, 1e-9, sparse)
    known = {"a": a, "b": b, "value": value, "unit": units[1], "unit of x": units[1] - units[0]}
    known["refusable"] = kind == 1 and value * (abs(units[1]) + 20) > 1000  # a loss that is no number
    return Case([[head, np.ldexp(a, units[0]), np.ldexp(b, units[1])]], known)


def units_of(rng: np.random.Generator, largest: int) -> tuple[int, int]:
    table, target = power_of_two(rng, largest) if rng.integers(2) else 0, power_of_two(rng, largest)
    return (table, target) if abs(target - table) <= 900 else (0, target)


def design(rng: np.random.Generator, n: int, d: int) -> Vector:
    a = rng.standard_normal((n, d))
    a[:, 0] = 1.0
    return a


def noise(rng: np.random.Generator, n: int) -> Vector:
    draw = int(rng.integers(4))
    if draw == 0:
        return rng.standard_normal(n)
    if draw == 1:
        return rng.exponential(size=n)
    return rng.standard_t(2.5, n) if draw == 2 else rng.uniform(-1.0, 1.0, n)


def quantile(rng: np.random.Generator, rows: tuple[int, int], shape: str, way: int | None = None) -> Case:
    n, d = int(np.exp(rng.uniform(*np.log(rows)))), int(rng.integers(1, 9))
    if shape == "n below d":
        n, d = int(rng.integers(1, 7)), int(rng.integers(3, 12))
    a = design(rng, n, d)
    b = a @ rng.standard_normal(d) + noise(rng, n)
    if shape == "heavy tails":
        b = a @ rng.standard_normal(d) + rng.standard_t(rng.choice([0.5, 1.0, 1.5]), n)
    elif shape == "counts":
        a = np.hstack([np.ones((n, 1)), rng.poisson(rng.choice([0.3, 2.0]), (n, d - 1)).astype(float)])
        b = rng.poisson(rng.choice([0.3, 1.0, 5.0]), n).astype(float)
    elif shape == "duplicates":
        at = rng.integers(0, max(1, n // 3), n)
        a, b = a[at], b[at] + (rng.random(n) < 0.3)
    elif shape == "collinear":
        extra = a @ rng.standard_normal((d, 2))
        a = np.hstack([a, extra * rng.choice([1.0, 1e3]), np.ones((n, 1))])
    value, way = float(rng.choice(QUANTILES)), int(rng.integers(3)) if way is None else way
    units = units_of(rng, 900) if shape == "units" else (0, 0)
    return asked(a, b, 0, value, way, bool(shape == "counts" and rng.integers(2)), units)


def power(rng: np.random.Generator, p: float, units: bool = False) -> Case:
    n, d = int(np.exp(rng.uniform(*np.log((8, 200))))), int(rng.integers(1, 8))
    if rng.random() < 0.15:
        n, d = int(rng.integers(2, 6)), int(rng.integers(3, 9))
    a = design(rng, n, d)
    b = a @ rng.standard_normal(d) + (rng.standard_t(1.5, n) if rng.integers(3) == 0 else noise(rng, n))
    if rng.integers(2):
        at = rng.integers(n)
        b[at] += 10.0 ** rng.uniform(1.0, 4.0)
        if rng.integers(2):
            a[at, -1] *= 10.0 ** rng.uniform(0.0, 4.0)
    if rng.random() < 0.1:
        a = np.hstack([a, a @ rng.standard_normal((d, 1))])
    if rng.random() < 0.1:
        a, b = np.vstack([a, a]), np.concatenate([b, b])
    return asked(a, b, 1, p, units=units_of(rng, 900) if units else (0, 0))


# --- quantiles -----------------------------------------------------------------------------------


def check_loss(a: Vector, b: Vector, x: Any, tau: float) -> Any:
    """In long doubles."""
    if not np.isfinite(x).all():
        return Long(math.inf)
    r = b.astype(Long) - a.astype(Long) @ np.asarray(x, Long)
    return (np.where(r < 0.0, Long(tau) - 1, Long(tau)) * r).sum()


def vertex(a: Vector, b: Vector, x: Any, tau: float) -> tuple[Any, bool]:
    """The vertex through the rows nearest to an answer, and whether its multipliers prove that it is optimal."""
    r = np.abs(b - a @ np.asarray(x, np.float64))
    order = np.argsort(r, kind="stable")[: 4 * a.shape[1] + 20]
    rows, basis = [], np.zeros((0, a.shape[1]))
    for i in order:
        rest = a[i] - basis.T @ (basis @ a[i])
        rest -= basis.T @ (basis @ rest)
        size = np.linalg.norm(rest)
        if size > 1e-9 * np.linalg.norm(a[i]):
            rows.append(int(i))
            basis = np.vstack([basis, rest / size])
        if len(rows) == a.shape[1]:
            break
    if len(rows) < a.shape[1]:
        return x, False
    try:
        x = np.linalg.solve(a[rows], b[rows])
        r = b - a @ x
        outside = np.ones(len(b), bool)
        outside[rows] = False
        side = np.where(r < 0.0, tau - 1.0, tau) * outside
        y = np.linalg.solve(a[rows].T, -a.T @ side)
    except np.linalg.LinAlgError:
        return x, False
    return x, bool((y >= tau - 1.0 - SIDE).all() and (y <= tau + SIDE).all())


def independent(a: Vector, x: Vector) -> tuple[Vector, Vector]:
    """Columns that span the same, and coefficients of them with the same fit."""
    _, r, order = qr(a, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(r))
    rank = int((diagonal > 1e-11 * diagonal.max(initial=0.0)).sum())
    if rank == a.shape[1]:
        return a, x
    a, fit = a[:, np.sort(order[:rank])], a @ x
    return a, np.linalg.lstsq(a, fit, rcond=None)[0] if np.isfinite(fit).all() else np.zeros(rank)


def highs(a: Vector, b: Vector, tau: float) -> Any:
    """The coefficients by the dual problem: max b'y, A'y = 0, y between tau - 1 and tau."""
    unit = np.abs(b).max(initial=0.0) or 1.0
    found = linprog(-b / unit, A_eq=a.T, b_eq=np.zeros(a.shape[1]), bounds=(tau - 1.0, tau), method="highs")
    if found.status != 0:
        return np.linalg.lstsq(a, b, rcond=None)[0], False
    x = -np.asarray(found.eqlin.marginals) * unit
    return min((x, -x), key=lambda v: check_loss(a, b, v, tau)), True


def judge_quantile(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    a, b, tau, unit = (case.known[key] for key in ("a", "b", "value", "unit"))
    (status, objective, lower, _), x = answers[0].parts
    objective, lower, x = np.ldexp(objective, -unit), np.ldexp(lower, -unit), np.ldexp(x, -case.known["unit of x"])
    ours = check_loss(a, b, x, tau)
    a, fitted = independent(a, x)
    near, proved = vertex(a, b, fitted, tau) if np.isfinite(x).all() else (fitted, False)
    best = check_loss(a, b, near, tau) if proved else Long(math.inf)
    if not proved or not ours <= best * (1 + QUANTILE_BOUND):
        found, solved = highs(a, b, tau)
        near = min((near, found, vertex(a, b, found, tau)[0]), key=lambda v: check_loss(a, b, v, tau))
        best = check_loss(a, b, near, tau)
        if not solved:
            verdict.said.append("HiGHS failed")
    size = check_loss(a, b, np.zeros(a.shape[1]), tau) + (np.abs(a) @ np.abs(near)).sum()
    scale = best + FLOOR * size
    scale = scale if scale > 0.0 else Long(1.0)
    verdict.measure(float((ours - best) / scale), QUANTILE_BOUND, above(status))
    if not abs(objective - ours) <= 1e-9 * ours + 1e-13 * size:
        verdict.off.append("says another objective")
    if not (ours - lower) / scale <= QUANTILE_BOUND:
        verdict.off.append("gap")
    if lower > min(ours, best) + 1e-12 * scale:
        verdict.off.append("bound above the optimum")
    if status != 0.0:
        verdict.said.append("limit")


def above(status: float) -> str:
    return "above the optimum, converged" if status == 0.0 else "above the optimum"


# --- powers --------------------------------------------------------------------------------------


def norm(a: Vector, b: Vector, x: Any, p: float) -> Any:
    """Logarithm of the p-norm of the residual."""
    if not np.isfinite(x).all():
        return Long(math.inf)
    r = np.abs(b.astype(Long) - a.astype(Long) @ np.asarray(x, Long))
    largest = r.max()
    if largest == 0.0:
        return Long(-math.inf)
    return np.log(largest) + np.log(((r / largest) ** Long(p)).sum()) / Long(p)


def smooth(z: Vector, q: Vector, b: Vector, p: float) -> tuple[float, Vector]:
    r = b - q @ z
    largest = np.abs(r).max()
    if largest == 0.0:
        return -700.0, np.zeros_like(z)
    size = np.abs(r) / largest
    total = (size**p).sum()
    slope = np.sign(r) * size ** (p - 1.0) / (total * largest)
    return math.log(largest) + math.log(total) / p, -(q.T @ slope)


def reweighted(q: Vector, b: Vector, p: float) -> Vector:
    """Damped iteratively reweighted least squares."""
    z = q.T @ b
    step = 1.0 if p < 2.0 else 1.0 / (p - 1.0)
    for _ in range(40):
        r = np.abs(b - q @ z)
        w = np.maximum(r / (r.max() or 1.0), 1e-9) ** (p - 2.0)
        w = w / w.max()
        try:
            z = z + step * (np.linalg.solve((q.T * w) @ q + 1e-14 * np.eye(len(z)), (q.T * w) @ b) - z)
        except np.linalg.LinAlgError:
            break
    return z


def quasi_newton(a: Vector, b: Vector, p: float, ours: Vector) -> Any:
    """The best of three starts: least squares, reweighted least squares, and our answer; by the logarithm of the norm."""
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    kept = s > 1e-12 * s.max(initial=0.0)
    q, back = u[:, kept], vt[kept].T / s[kept]
    starts = [q.T @ b, reweighted(q, b, p)]
    if np.isfinite(ours).all():
        starts.append(q.T @ (a @ ours))
    values = []
    for start in starts:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options = {"maxiter": 400, "maxfun": 800, "ftol": 1e-15, "gtol": 1e-12, "maxcor": 20}
            found = minimize(smooth, start, (q, b, p), "L-BFGS-B", True, options=options)
        values += [norm(a, b, back @ found.x, p), norm(a, b, back @ start, p)]
    return min(values)


def judge_power(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    a, b, p = case.known["a"], case.known["b"], case.known["value"]
    (status, objective, lower, _), x = answers[0].parts
    unit = np.exp2(Long(-p * case.known["unit"]))
    objective, lower, x = unit * objective, unit * lower, np.ldexp(x, -case.known["unit of x"])
    ours, null = norm(a, b, x, p), norm(a, b, np.zeros(a.shape[1]), p)
    best = min(quasi_newton(a, b, p, x), ours)
    floor = max(best, null + math.log(1e-9)) if np.isfinite(float(null)) else best
    difference = math.expm1(min(float(p * (ours - floor)), 700.0)) if ours > floor else 0.0
    verdict.measure(difference, LP_BOUND, above(status))
    value = np.exp(p * ours)
    told = not case.known["refusable"]
    if told and ours > floor and not abs(objective - value) <= 1e-8 * value:
        verdict.off.append("says another objective")
    if told and lower > 0.0 and not np.log(lower) <= p * best + 1e-11:
        verdict.off.append("bound above the optimum")
    if status != 0.0:
        verdict.said.append("limit")


def kinds() -> list[Kind]:
    small, large = (10, 300), (1000, 10_000)
    shapes = {"normal": 800, "heavy tails": 800, "counts": 800, "duplicates": 600, "collinear": 600, "n below d": 600}

    def kind(name: str, count: int, rows: tuple[int, int], shape: str, **more: Any) -> Kind:
        make, reference = partial(quantile, rows=rows, shape=shape), "own multipliers, HiGHS"
        return Kind(f"quantiles, {name}", reference, QUANTILE_BOUND, count, make, judge_quantile, **more)

    out = [kind(shape, count, small, shape) for shape, count in shapes.items()]
    out += [kind(f"{shape}, 1,000 to 10,000 rows", 400, large, shape) for shape in list(shapes)[:5]]
    out.append(kind("units of 2^-900 to 2^900", 400, small, "units"))
    for p in EXPONENTS:
        make, reference = partial(power, p=p), "L-BFGS from three starts"
        out.append(Kind(f"p = {p:g}", reference, LP_BOUND, 500, make, judge_power))
    units = partial(power, p=3.0, units=True)
    return [*out, Kind("p = 3, units of 2^-900 to 2^900", "L-BFGS from three starts", LP_BOUND, 400, units, judge_power)]
