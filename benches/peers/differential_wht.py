"""Problems of the sparse Walsh-Hadamard transform: what is claimed of an answer, beside all values of the function."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from differential_wire import EMPTY, Answer, Case, Kind, Long, Vector, Verdict, numbers, power_of_two

EXACT, VERIFIED, CONSTANT, STOPPED = 0.0, 1.0, 5.0, 6.0
AGREES = 1e-8  # of the spread of the values: what "exact" has to mean
ROUNDING = 64 * 2.0**-53  # of the largest value, where nothing better can be told
MOST, ASKED = 20_000, 3_000  # questions at which the program ends, and that a constant function may cost
NONE, KNOWN, UNKNOWN = range(3)  # noise
SPARSE, IN_MEMORY = range(2)  # way


def transform(values: Any) -> Any:
    """In long doubles, without a factor."""
    out = values.astype(Long)
    width = 1
    while width < out.size:
        pairs = out.reshape(-1, 2, width)
        out = np.concatenate([pairs[:, :1] + pairs[:, 1:], pairs[:, :1] - pairs[:, 1:]], axis=1).reshape(-1)
        width *= 2
    return out


def values_of(variables: int, indices: Vector, coefficients: Any) -> Any:
    spectrum = np.zeros(1 << variables, Long)
    np.add.at(spectrum, indices.astype(int), np.asarray(coefficients, Long))
    return transform(spectrum)


# --- problems ------------------------------------------------------------------------------------


def asked(rng: np.random.Generator, variables: int, **known: Any) -> Case:
    """`values` or `indices` and `coefficients` say what the function is."""
    known = {"way": SPARSE, "noise": NONE, "sigma": 0.0, "decoder": 0, "delta": 0.01, "values": EMPTY, "unit": 0} | known
    known |= {"indices": known.get("indices", EMPTY), "coefficients": known.get("coefficients", EMPTY)}
    known["variables"] = variables
    known["planned"] = min(max(known["planned"], 1), 1 << variables)
    told = [known["known"], known["planned"], known["noise"], math.ldexp(known["sigma"], known["unit"])]
    seed = int(rng.integers(1 << 31))
    head = numbers(known["way"], variables, *told, known["decoder"], seed, known["delta"], MOST)
    function = [np.ldexp(known["values"], known["unit"]), known["indices"], known["coefficients"]]
    return Case([[head, *function]], known)


def terms(rng: np.random.Generator, variables: int, count: int) -> tuple[Vector, Vector]:
    """Distinct interactions other than the empty one."""
    indices = np.unique(rng.integers(1, 1 << variables, count)).astype(np.float64)
    values = rng.standard_normal(indices.size) + 0.0
    draw = int(rng.integers(3))
    if draw == 0:
        values = rng.choice([-2.0, -1.0, 1.0, 2.0], indices.size)
    elif draw == 1:
        values = values * 10.0 ** rng.uniform(-3.0, 3.0, indices.size)
    return indices, values


def told(rng: np.random.Generator, count: int) -> dict[str, Any]:
    if rng.integers(2):
        return {"known": True, "planned": count + int(rng.integers(3))}
    return {"known": False, "planned": int(rng.choice([count + 2, 4 * count + 4, 100]))}


def small(rng: np.random.Generator, shape: str, noise: int = NONE) -> Case:
    """Up to 12 variables, all values in a table."""
    n = int(rng.integers(1, 5) if shape == "tiny" else rng.integers(1, 13))
    indices, coefficients = terms(rng, n, int(rng.integers(1, max(2, min(12, (1 << n) // 4)))))
    if shape == "constant plus small":
        indices = np.append(0.0, indices)
        offset = rng.choice([-1.0, 1.0]) * 10.0 ** rng.uniform(3.0, 12.0)
        coefficients = np.append(offset, coefficients * rng.choice([1.0, 1e-3]))
    elif shape == "noise":
        keep = int(rng.integers(2))
        indices, coefficients = np.zeros(keep), numbers(3.0)[:keep]
    elif shape == "tiny":
        indices, coefficients = indices[:1], numbers(rng.choice([0.0, 1.0, 5.0]))
    signal = float(np.abs(coefficients[indices > 0.0]).max(initial=0.0)) or 1.0
    sigma = signal * float(rng.choice([0.01, 0.3, 1.0])) if noise else 0.0
    if shape == "tiny":
        sigma = 1.0
    function = values_of(n, indices, coefficients).astype(np.float64)
    table = function + sigma * rng.standard_normal(function.size)
    known = told(rng, indices.size) | {"way": int(rng.integers(2)), "noise": noise, "sigma": sigma}
    if known["noise"] == UNKNOWN:
        known["delta"] = float(rng.choice([0.01, 0.01, 1e-4]))
    known["decoder"] = 1 if shape == "tiny" else int(rng.integers(4) == 0)
    unit = power_of_two(rng, 1010) if shape == "units" else 0
    return asked(rng, n, values=table, function=function, unit=unit, **known)


def large(rng: np.random.Generator) -> Case:
    n = int(rng.integers(13, 51))
    indices, coefficients = terms(rng, n, int(rng.integers(1, 20)))
    if rng.integers(2):
        indices = np.append(0.0, indices)
        coefficients = np.append(10.0 ** rng.uniform(0.0, 6.0), coefficients)
    return asked(rng, n, indices=indices, coefficients=coefficients, **told(rng, indices.size))


def constant(rng: np.random.Generator, zero: bool) -> Case:
    n = int(rng.integers(13, 65))
    value = 0.0 if zero else float(rng.choice([3.5, -1.0, 1e9, 1e-9]))
    noise = int(rng.choice([NONE, NONE, KNOWN, UNKNOWN]))
    more = {"known": bool(rng.integers(2)), "planned": int(rng.choice([1, 5, 100, 1000])), "noise": noise, "sigma": 0.1}
    if more["known"]:
        more["planned"] = min(more["planned"], 5)
    return asked(rng, n, indices=numbers(0.0), coefficients=numbers(value), **more)


def needle(rng: np.random.Generator) -> Case:
    """One value that differs: 2^n coefficients, far more than is said."""
    n = int(rng.integers(6, 13))
    table = np.zeros(1 << n)
    table[rng.integers(1 << n)] = 1.0
    known, sparsity = bool(rng.integers(2)), int(rng.choice([1, 2, 10]))
    return asked(rng, n, values=table, function=table, known=known, planned=sparsity)


# --- the judge -----------------------------------------------------------------------------------


def judge(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    """All values of the function beside all values of the answer."""
    known, (head, indices, values) = case.known, answers[0].parts
    status, claim, delta, samples = head
    function = known["function"].astype(Long)
    if not np.isfinite(values).all():
        verdict.off.append("not finite")
        return
    answer = values_of(known["variables"], indices, np.ldexp(values, -known["unit"]))
    spread, largest = np.sqrt(((function - function.mean()) ** 2).mean()), np.abs(function).max()
    error = np.abs(function - answer).max()
    if status == EXACT:
        judge_exact(known, verdict, (error, AGREES * spread + ROUNDING * largest, spread, delta, samples))
    elif status == CONSTANT:
        away = max(AGREES * spread + ROUNDING * largest, 6.0 * known["sigma"])
        share = float((np.abs(function - answer) > away).mean())
        verdict.said.append("called constant")
        verdict.claims.append(delta)
        verdict.false += share > claim
    elif status == VERIFIED:
        sigma = Long(known["sigma"])
        missed, all_of_it = ((function - answer) ** 2).mean() + sigma**2, spread**2 + sigma**2
        if not math.isfinite(claim):
            verdict.said.append("verified without R2")
        elif all_of_it == 0.0:
            verdict.off.append("R2 of a constant")
        else:
            excess = float(claim - (1 - missed / all_of_it))
            verdict.worst = max(verdict.worst, excess)
            verdict.claims.append(delta)
            share = float(ROUNDING * largest / np.sqrt(all_of_it))
            verdict.false += excess > 1e-9 + share * share + 2.0 * share * math.sqrt(missed / all_of_it)
    else:
        verdict.said.append("nothing claimed")


def judge_exact(known: dict[str, Any], verdict: Verdict, measured: tuple[Any, Any, Any, float, float]) -> None:
    error, allowed, spread, delta, samples = measured
    verdict.worst = max(verdict.worst, float(error / (spread or 1)))
    if delta == 0.0:
        if error > allowed:
            verdict.off.append("exact without doubt, wrong")
        elif samples < 2.0 ** known["variables"]:
            verdict.off.append("exact without doubt, values not seen")
    else:
        verdict.claims.append(delta)
        verdict.false += bool(error > allowed)


def judge_needle(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    """What was told is not so, and premises excuse all claims but those without any."""
    status, _, delta, _ = answers[0].parts[0]
    if status == CONSTANT or (status == EXACT and delta == 0.0):
        judge(case, answers, verdict)
    else:
        verdict.said.append("nothing claimed without premise")


def judge_large(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    """By coefficients: the values cannot all be looked at."""
    known, (head, indices, values) = case.known, answers[0].parts
    rest = {int(k): Long(v) for k, v in zip(known["indices"], known["coefficients"])}
    spread = np.sqrt(sum(v * v for k, v in rest.items() if k))
    largest = sum(abs(v) for v in rest.values())
    for k, v in zip(indices, values):
        rest[int(k)] = rest.get(int(k), Long(0)) - Long(v)
    error = sum(abs(v) for v in rest.values())
    if head[0] == EXACT:
        judge_exact(known, verdict, (error, AGREES * spread + ROUNDING * largest, spread, head[2], head[3]))
    elif head[0] == VERIFIED and math.isfinite(head[1]):
        missed = sum(v * v for v in rest.values())
        excess = float(head[1] - (1 - missed / spread**2))
        verdict.worst = max(verdict.worst, excess)
        verdict.claims.append(head[2])
        verdict.false += excess > 1e-9 + ROUNDING * float(largest / spread)
    else:
        verdict.said.append("nothing claimed")


def judge_constant(case: Case, answers: list[Answer], verdict: Verdict) -> None:
    """The value and the questions; the largest number of them is what is shown as the worst."""
    (status, claim, _, samples), indices, values = answers[0].parts
    value = case.known["coefficients"][0]
    wanted = [] if value == 0.0 else [0.0]
    verdict.measure(samples, ASKED, "more questions")
    if status == STOPPED:
        return
    if list(indices) != wanted or (value != 0.0 and abs(values[0] / value - 1.0) > 1e-12):
        verdict.off.append("other coefficients")
    if status not in (EXACT, VERIFIED, CONSTANT):
        verdict.off.append("not verified")
    elif status == EXACT and samples < 2.0 ** case.known["variables"]:
        verdict.off.append("exact, values not seen")
    if status == VERIFIED and math.isfinite(claim):
        verdict.off.append("R2 of a constant")


def kinds() -> list[Kind]:
    def kind(name: str, count: int, shape: str, noise: int = NONE, **more: Any) -> Kind:
        return Kind(name, "all values", AGREES, count, partial(small, shape=shape, noise=noise), judge, **more)

    return [
        kind("few terms", 1200, "plain"),
        kind("constant of 1e3 to 1e12 plus small terms", 1000, "constant plus small"),
        kind("the same with known noise", 500, "constant plus small", KNOWN),
        kind("the same with unknown noise", 500, "constant plus small", UNKNOWN),
        kind("few terms with known noise", 400, "plain", KNOWN),
        kind("few terms with unknown noise", 400, "plain", UNKNOWN),
        kind("known noise alone", 300, "noise", KNOWN),
        kind("unknown noise alone", 300, "noise", UNKNOWN),
        kind("1 to 4 variables, unknown noise", 4000, "tiny", UNKNOWN),
        kind("units of 2^-1010 to 2^1010", 800, "units"),
        Kind("few terms of 13 to 50 variables", "coefficients", AGREES, 600, large, judge_large),
        Kind("needle in a haystack", "all values", AGREES, 300, needle, judge_needle),
        Kind("zero everywhere, 13 to 64 variables", "questions", ASKED, 120, partial(constant, zero=True), judge_constant),
        Kind("constant, 13 to 64 variables", "questions", ASKED, 120, partial(constant, zero=False), judge_constant),
    ]
