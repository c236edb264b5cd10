"""Problems of matrix completion: what is claimed, beside the truth and what the entries determine of it.

An entry is determined when its gradient lies in the span of those of the entries seen, at the truth: then no small change of
the factors that keeps what was seen moves it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from differential_wire import Answer, Case, Kind, Vector, Verdict, numbers, power_of_two

VERIFIED = 0.0
TOLERANCE = 1e-6
BOUND = 1e-3  # of the spread of the values, for one entry; the root mean square that is claimed is a thousandth of it
SEEN = 1e-9  # singular values below this share of the largest are directions that the entries do not see
NONE = -1.0


# --- problems ------------------------------------------------------------------------------------


def asked(rng: np.random.Generator, table: Vector, mask: Any, rank: int, units: tuple[int, ...] = (0,), **more: Any) -> Case:
    """One problem for each unit; entries in a random order."""
    rows, columns = np.nonzero(mask)
    order = rng.permutation(rows.size)
    rows, columns = rows[order].astype(np.float64), columns[order].astype(np.float64)
    seed = int(rng.integers(1 << 31))
    tolerance, biases, ridge = more.get("tolerance", TOLERANCE), more.get("biases", False), more.get("ridge", NONE)
    head = numbers(*table.shape, more.get("told", rank), tolerance, biases, ridge, seed)
    values = table[mask][order]
    problems = [[head, rows, columns, np.ldexp(values, unit)] for unit in units]
    return Case(problems, {"table": table, "mask": mask, "units": units, "spread": float(np.std(values))} | more)


def factors(rng: np.random.Generator, rank: int, size: tuple[int, int] = (12, 21)) -> tuple[Vector, Vector]:
    m, n = (int(v) for v in rng.integers(*size, 2))
    return rng.standard_normal((m, rank)), rng.standard_normal((n, rank))


def gradients(u: Vector, v: Vector, mask: Any) -> Vector:
    """One row for each entry of the mask: its derivatives by all factors."""
    (m, k), n = u.shape, len(v)
    rows, columns = np.nonzero(mask)
    out = np.zeros((rows.size, (m + n) * k))
    at = np.arange(rows.size)[:, None]
    out[at, rows[:, None] * k + np.arange(k)] = v[columns]
    out[at, (m + columns[:, None]) * k + np.arange(k)] = u[rows]
    return out


def determined(u: Vector, v: Vector, mask: Any) -> Any:
    """Of every entry."""
    everything = gradients(u, v, np.ones(mask.shape, bool))
    _, s, vt = np.linalg.svd(gradients(u, v, mask), full_matrices=True)
    rank = int((s > SEEN * s[0]).sum())
    blind = everything @ vt[rank:].T
    size = np.linalg.norm(everything, axis=1)
    return (np.linalg.norm(blind, axis=1) <= 1e-6 * size).reshape(mask.shape)


def full(rng: np.random.Generator, told: bool = True, scales: bool = False) -> Case:
    """Everything is determined, with some entries to spare."""
    rank = int(rng.integers(1, 4))
    u, v = factors(rng, rank)
    while True:
        mask = rng.random((len(u), len(v))) < rng.uniform(0.55, 0.95)
        enough = min(mask.sum(axis=0).min(), mask.sum(axis=1).min()) > rank + 1
        if enough and determined(u, v, mask).all():
            break
    units = (0, power_of_two(rng)) if scales else (0,)
    more = {"told": rank if told else 0, "tolerance": float(rng.choice([0.0, TOLERANCE])) if told else 0.0}
    return asked(rng, u @ v.T, mask, rank, units, determined=np.ones(mask.shape, bool), **more)


def scarce(rng: np.random.Generator) -> Case:
    """As many entries as fall, so that some are not determined."""
    rank = int(rng.integers(1, 4))
    u, v = factors(rng, rank)
    degrees = rank * (len(u) + len(v) - rank)
    count = min(int(degrees * rng.uniform(0.9, 1.8)) + 4, len(u) * len(v))
    mask = np.zeros(len(u) * len(v), bool)
    mask[rng.choice(mask.size, count, replace=False)] = True
    mask = mask.reshape(len(u), len(v))
    return asked(rng, u @ v.T, mask, rank, determined=determined(u, v, mask))


def blocks(rng: np.random.Generator, shared: bool) -> Case:
    """Two or three blocks, disjoint or with fewer lines in common than the rank."""
    rank = int(rng.integers(2, 4) if shared else rng.integers(1, 4))
    parts = int(rng.integers(2, 4))
    m, n = 10 * parts, 10 * parts
    u, v = rng.standard_normal((m, rank)), rng.standard_normal((n, rank))
    block_of_row, block_of_column = np.arange(m) // 10, np.arange(n) // 10
    mask = block_of_row[:, None] == block_of_column
    if shared:
        mask[: int(rng.integers(1, rank))] = True
    mask &= rng.random(mask.shape) < rng.choice([0.85, 1.0])
    rows, columns = rng.permutation(m), rng.permutation(n)
    u, v, mask = u[rows], v[columns], mask[rows][:, columns]
    return asked(rng, u @ v.T, mask, rank, determined=determined(u, v, mask))


def noise(rng: np.random.Generator, told: bool) -> Case:
    """Nothing to be found, in any unit."""
    m, n = (int(v) for v in rng.integers(12, 21, 2))
    mask = rng.random((m, n)) < rng.uniform(0.6, 1.0)
    unit = power_of_two(rng)
    more = {"told": int(rng.integers(1, 4)) if told else 0, "tolerance": float(rng.choice([0.0, TOLERANCE]))}
    return asked(rng, rng.standard_normal((m, n)), mask, 1, (unit,), **more)


def additive(rng: np.random.Generator) -> Case:
    """What mean and biases fit exactly, without a ridge."""
    m, n = (int(v) for v in rng.integers(12, 21, 2))
    table = 10.0 * rng.standard_normal() + 10.0 * rng.standard_normal((m, 1)) + 3.0 * rng.standard_normal(n)
    mask = rng.random((m, n)) < rng.uniform(0.7, 0.95)
    return asked(rng, table, mask, 1, biases=True, ridge=0.0, tolerance=0.0)


# --- the judge -----------------------------------------------------------------------------------


def errors(case: Case, answer: Answer, unit: int) -> tuple[float, Any, Any]:
    """Status, difference of every entry over the spread, and whether the answer stands for the entry."""
    head, rows, columns, predicted = answer.parts
    shape = case.known["table"].shape
    found = np.ldexp(predicted, -unit).reshape(shape)
    claimed = ~np.isnan(found)
    claimed[rows.astype(int)] = False
    claimed[:, columns.astype(int)] = False
    difference = np.abs(np.nan_to_num(found, nan=np.inf) - case.known["table"]) / case.known["spread"]
    return float(head[0]), difference, claimed


def judge(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    """Verified entries are right, and determined; among those that are seen and stay in their place is a fault as well."""
    status, difference, claimed = errors(case, answers[0], case.known["units"][0])
    if status != VERIFIED:
        verdict.said.append("not verified")
        return
    known = case.known["determined"]
    for fault, at in (("verified, determined, wrong", claimed & known), ("verified, not determined", claimed & ~known)):
        verdict.measure(float(difference[at].max(initial=0.0)), BOUND, fault)


def judge_full(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    judge(case, answers, verdict)
    status, _, claimed = errors(case, answers[0], case.known["units"][0])
    if status == VERIFIED and not claimed.all():
        verdict.said.append("some called undetermined")


def judge_scales(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    """The unit of the values changes nothing but the unit of the answer."""
    first, second = (errors(case, answer, unit) for answer, unit in zip(answers, case.known["units"]))
    if first[0] != second[0]:
        verdict.off.append("another status")
        verdict.worst = max(verdict.worst, float(second[1].max()))
    elif first[0] == VERIFIED:
        verdict.measure(float(second[1][second[2]].max(initial=0.0)), BOUND, "verified, determined, wrong")
    else:
        verdict.said.append("not verified")


def judge_noise(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    if answers[0].parts[0][0] == VERIFIED:
        verdict.off.append("noise verified")
        verdict.worst = 1.0
    predicted = answers[0].parts[3]
    if np.isnan(predicted).any():
        verdict.said.append("not all determined")
    if np.isinf(predicted).any():
        verdict.off.append("a prediction is infinite")


def judge_additive(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    _, difference, claimed = errors(case, answers[0], 0)
    verdict.measure(float(difference[claimed].max(initial=0.0)), BOUND, "shrunk")
    baseline = answers[0].parts[0][2] / case.known["spread"]
    if np.isfinite(baseline):
        verdict.measure(float(baseline), BOUND, "baseline shrunk")


def kinds() -> list[Kind]:
    def kind(name: str, count: int, make: Any, judge: Any = judge, reference: str = "truth", **more: Any) -> Kind:
        return Kind(name, reference, BOUND, count, make, judge, **more)

    ranks = "truth, rank of the gradients"
    return [
        kind("all determined, rank told", 1500, full, judge_full, ranks),
        kind("all determined, rank not told", 500, partial(full, told=False), judge_full, ranks),
        kind("scarce entries", 700, scarce, reference=ranks),
        kind("disjoint blocks", 500, partial(blocks, shared=False), reference=ranks),
        kind("blocks that share fewer lines than the rank", 400, partial(blocks, shared=True), reference=ranks),
        kind("units of 2^-1000 to 2^1000", 500, partial(full, scales=True), judge_scales),
        kind("noise in such units, rank told", 500, partial(noise, told=True), judge_noise),
        kind("noise in such units, rank not told", 200, partial(noise, told=False), judge_noise),
        kind("mean and biases without a ridge", 400, additive, judge_additive),
    ]
