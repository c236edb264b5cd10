"""Problems of multi-task learning: fits beside the truth, allocations beside their definition, relevance beside HiGHS."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from scipy.optimize import linprog

from differential_wire import EMPTY, Answer, Case, Kind, Long, Vector, Verdict, numbers, power_of_two

FIT, ALLOCATE, RISK, RELEVANCE = range(4)
L2, LEAST_L1 = range(2)
BOUND = 1e-6


# --- problems ------------------------------------------------------------------------------------


def fit(rng: np.random.Generator, sigma: float, units: bool = False) -> Case:
    d, tasks, k = int(rng.integers(2, 13)), int(rng.integers(3, 13)), int(rng.integers(1, 4))
    k = min(k, d, tasks)
    rows = int(rng.integers(2 * d, 4 * d + 1))
    basis, _ = np.linalg.qr(rng.standard_normal((d, k)))
    weights = rng.standard_normal((k, tasks))
    x = rng.standard_normal((tasks, rows, d))
    y = np.einsum("tnd,dt->tn", x, basis @ weights) + sigma * rng.standard_normal((tasks, rows))
    scales = (0, power_of_two(rng)) if units else (0,)
    head = numbers(FIT, d, tasks, rows, k, int(rng.integers(1 << 31)))
    problems = [[head, x, np.ldexp(y, unit)] for unit in scales]
    return Case(problems, {"x": x, "y": y, "k": k, "basis": basis, "units": scales})


def allocation(rng: np.random.Generator, caps: bool) -> Case:
    tasks = int(rng.integers(1, 20))
    shares = rng.random(tasks) ** float(rng.choice([1.0, 5.0])) * (rng.random(tasks) < 0.8)
    budget = int(np.exp(rng.uniform(0.0, np.log(1e6))))
    most = np.floor(np.exp(rng.uniform(0.0, np.log(2.0 * budget / tasks + 2.0), tasks))) if caps else EMPTY
    if caps and rng.integers(3) == 0:
        most[rng.integers(tasks)] = 0.0
    return Case([[numbers(ALLOCATE, budget), shares, most]], {"shares": shares, "budget": budget, "caps": most})


def allocation_misuse(rng: np.random.Generator) -> Case:
    """Shares that are no numbers, caps that are too few, budgets beyond reason."""
    tasks = int(rng.integers(2, 9))
    shares, caps, budget = rng.random(tasks), EMPTY, 100.0
    draw = int(rng.integers(3))
    if draw == 0:
        budget = float(rng.choice([2.0**53, 2.0**63, 2.0**64]))
    elif draw == 1:
        caps = np.full(tasks - 1, 50.0)
    else:
        shares[rng.integers(tasks)] = rng.choice([np.nan, np.inf, -1.0])
    return Case([[numbers(ALLOCATE, budget), shares, caps]], {"shares": shares, "budget": budget, "caps": caps})


def risk(rng: np.random.Generator, misuse: bool = False) -> Case:
    k, tasks = int(rng.integers(1, 6)), int(rng.integers(6, 20))
    weights, target = rng.standard_normal((k, tasks)), rng.standard_normal(k)
    samples = np.floor(np.exp(rng.uniform(0.0, 7.0, tasks)))
    if misuse:
        draw = int(rng.integers(3))
        if draw == 0:
            target = rng.standard_normal(k + int(rng.choice([-1, 1, 2])))
        elif draw == 1:
            target[rng.integers(k)] = np.nan
        else:
            samples = samples[:-1]
    return Case([[numbers(RISK, k), weights, target, samples]], {"w": weights, "target": target, "samples": samples})


def relevance(rng: np.random.Generator, strategy: int) -> Case:
    k = int(rng.integers(1, 7))
    tasks = k + int(rng.integers(0, 30))
    weights, target = rng.standard_normal((k, tasks)), rng.standard_normal(k)
    if tasks > k + 1:  # so that the target is still reached
        first, second = rng.choice(tasks, 2, replace=False)
        weights[:, first] = weights[:, second] if rng.integers(2) else 0.0
    unit = 10.0 ** rng.uniform(-6.0, 6.0) if rng.integers(2) else 1.0
    return Case([[numbers(RELEVANCE, k, strategy), weights * unit, target]], {"w": weights * unit, "target": target})


# --- the judge -----------------------------------------------------------------------------------


def loss_of(case: Case, basis: Any, weights: Any) -> Any:
    x, y = case.known["x"].astype(Long), case.known["y"].astype(Long)
    return ((np.einsum("tnd,dt->tn", x, basis.astype(Long) @ weights.astype(Long)) - y) ** 2).sum()


def least_loss(case: Case, basis: Vector) -> Any:
    """With the best weights for a basis."""
    pairs = zip(case.known["x"], case.known["y"])
    weights = np.column_stack([np.linalg.lstsq(x @ basis, y, rcond=None)[0] for x, y in pairs])
    return loss_of(case, basis, weights)


def judge_fit(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    """Not above the truth, whatever the unit of the labels; and what is said of the loss is so."""
    (_, _, d), k = case.known["x"].shape, case.known["k"]
    square = (case.known["y"].astype(Long) ** 2).sum()
    wanted = least_loss(case, case.known["basis"])
    for unit, answer in zip(case.known["units"], answers):
        (said, limit), basis, weights = answer.parts
        basis, weights = basis.reshape(d, k), np.ldexp(weights, -unit).reshape(k, -1)
        loss = loss_of(case, basis, weights)
        if limit and answers[0].parts[0][1]:  # a unit is no excuse
            verdict.said.append("limit")
        else:
            excess = float((loss - wanted) / (wanted + 1e-3 * square))
            verdict.measure(excess, BOUND, "loss above the truth's" + scaled(unit))
        if abs(2 * unit) < 1000 and not abs(Long(np.ldexp(said, -2 * unit)) - loss) <= 1e-9 * square:
            verdict.off.append("says another loss" + scaled(unit))
        if not np.abs(basis.T @ basis - np.eye(k)).max() <= 1e-10:
            verdict.off.append("basis not orthonormal" + scaled(unit))


def scaled(unit: int) -> str:
    return ", scaled" if unit else ""


def judge_allocation(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    """Nothing over the caps, all of the budget while they allow it, and without caps within one of the share."""
    shares, budget, caps, found = *(case.known[key] for key in ("shares", "budget", "caps")), answers[0].parts[0]
    room = caps.sum() if caps.size else math.inf
    if found.size != shares.size or not (found >= 0.0).all():
        verdict.off.append("no allocation")
        return
    verdict.measure(abs(float(found.sum() - min(budget, room))), 0.0, "not the budget")
    if caps.size and (found > caps).any():
        verdict.off.append("above a cap")
    total = np.maximum(shares, 0.0).sum()
    if not caps.size and np.isfinite(total) and total > 0.0:
        exact = np.maximum(shares, 0.0) / total * budget
        verdict.measure(float(np.abs(found - exact).max()) - 1.0, 1e-9 * budget, "not the share")
    elif caps.size and total > 0.0:
        # Who is below its cap has no less, for its share, than any other.
        below, at = (found < caps) & (shares > 0.0), (found > 0.0) & (shares > 0.0)
        least = ((found + 1.0) / np.where(below, shares, 1.0))[below].min(initial=math.inf)
        most = ((found - 1.0 - shares.size) / np.where(at, shares, 1.0))[at].max(initial=0.0)
        if most > least * (1 + 1e-9) + 1.0 and below.any() and room > budget:
            verdict.said.append("unequal beside the caps")


def judge_answered(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    verdict.off.append("answered")
    verdict.worst = 1.0


def judge_allocation_misuse(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    """Nothing beyond the budget, but for the rounding of counts above 2^53, which come as doubles."""
    if not answers[0].parts[0].sum() <= case.known["budget"] * (1 + 1e-15):
        verdict.off.append("above the budget")


def judge_risk(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    w, target, samples = (case.known[key] for key in ("w", "target", "samples"))
    wanted = target @ np.linalg.solve((w * samples) @ w.T, target)
    verdict.measure(abs(float(answers[0].parts[0][0] / wanted - 1.0)), 1e-9, "risk")


def judge_relevance(case: Case, answers: list[Answer], verdict: Verdict, strategy: int) -> None:
    w, target, (_, nu, shares) = case.known["w"], case.known["target"], answers[0].parts
    if strategy == L2:
        best = np.linalg.lstsq(w, target, rcond=None)[0]
        size, least = np.linalg.norm(nu), np.linalg.norm(best)
    else:
        unit = np.abs(w).max()
        double = np.hstack([w, -w]) / unit
        found = linprog(np.ones(double.shape[1]), A_eq=double, b_eq=target, method="highs")
        if found.status != 0:
            verdict.said.append("HiGHS failed")
            return
        size, least = np.abs(nu).sum(), float(found.fun) / unit
    verdict.measure(abs(float(size / least - 1.0)), BOUND, "norm")
    verdict.measure(float(np.linalg.norm(w @ nu - target) / np.linalg.norm(target)), BOUND, "does not reach the target")
    if not abs(shares.sum() - 1.0) <= 1e-9 or (shares < 0.0).any():
        verdict.off.append("shares")


def kinds() -> list[Kind]:
    def kind(name: str, reference: str, count: int, make: Any, judge: Any, bound: float = BOUND, **more: Any) -> Kind:
        return Kind(name, reference, bound, count, make, judge, **more)

    truth, definition = "loss of the truth", "definition"
    def of_strategy(name: str, reference: str, strategy: int) -> Kind:
        make, judge = partial(relevance, strategy=strategy), partial(judge_relevance, strategy=strategy)
        return kind(f"relevance, {name}", reference, 600, make, judge)

    return [
        kind("fit without noise", truth, 600, partial(fit, sigma=0.0), judge_fit),
        kind("fit with noise", truth, 600, partial(fit, sigma=0.3), judge_fit),
        kind("fit in units of 2^-1000 to 2^1000", truth, 400, partial(fit, sigma=0.1, units=True), judge_fit),
        kind("allocation", definition, 800, partial(allocation, caps=False), judge_allocation, 0.0),
        kind("allocation, caps", definition, 800, partial(allocation, caps=True), judge_allocation, 0.0),
        kind("allocation, misuse", "no panic", 150, allocation_misuse, judge_allocation_misuse, 0.0, refusals=True),
        kind("risk", "numpy", 800, risk, judge_risk, 1e-9),
        kind("risk, misuse", "refusal", 150, partial(risk, misuse=True), judge_answered, 0.0, refusals=True),
        of_strategy("least squares", "LAPACK", L2),
        of_strategy("least l1", "HiGHS", LEAST_L1),
    ]
