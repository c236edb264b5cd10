"""What the judges of all cores share: problems and answers as `peer-differential` has them, and the count of a kind."""

from __future__ import annotations

import math
import struct
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Long = np.longdouble
SEED = 27
RARE = 1e-3  # as many false claims as were seen, or more, must be less likely than this to be called off
SAT = 3  # the exit code of the program when a problem took too long
LIMITS = 1e-4  # of all problems may end at the limit of steps
DEATHS = 3  # of the program, after which the rest of a kind is not asked


@dataclass
class Answer:
    """Of one problem: what came, or why nothing did."""

    seconds: float = 0.0
    refused: str | None = None
    broken: str | None = None
    parts: list[Vector] = field(default_factory=list)
    text: str = ""


@dataclass
class Case:
    """The problems that one judgement is about (several where answers are compared), and what the judge knows of them."""

    problems: list[list[Vector]]
    known: dict[str, Any]


@dataclass
class Verdict:
    """`worst` is in the units of the bound; `off` are faults, `said` is what is counted without being one.

    `claims` are probabilities with which a claim may be false, `false` of them were: whether that is too many is judged
    over the whole kind."""

    worst: float = 0.0
    off: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    claims: list[float] = field(default_factory=list)
    false: int = 0

    def measure(self, value: float, bound: float, fault: str) -> None:
        """NaN is beyond every bound."""
        self.worst = max(self.worst, math.inf if math.isnan(value) else value)
        if not value <= bound:
            self.off.append(fault)


@dataclass(frozen=True)
class Kind:
    """One line of the table: problems of one shape, and who judges them."""

    name: str
    reference: str
    bound: float
    count: int
    make: Callable[[np.random.Generator], Case]
    judge: Callable[[Case, list[Answer], Verdict], None]
    refusals: bool = False  # an error is an answer too, unless the case knows better (`refusable`)
    limits: bool = False  # how often it says "limit" counts for the rate of the core


def numbers(*values: float) -> Vector:
    return np.array(values, dtype=np.float64)


EMPTY = numbers()


# --- the program ---------------------------------------------------------------------------------


def encoded(problem: Sequence[Vector]) -> bytes:
    parts = [np.ascontiguousarray(part, dtype="<f8").ravel() for part in problem]
    return struct.pack("<I", len(parts)) + b"".join(struct.pack("<Q", part.size) + part.tobytes() for part in parts)


def decoded(raw: bytes) -> list[Answer]:
    """All whole answers of a file."""
    out, at = [], 0
    try:
        while at < len(raw):
            outcome, seconds, length = struct.unpack_from("<BdI", raw, at)
            at += 13
            text = raw[at : at + length].decode(errors="replace")
            at += length
            (count,) = struct.unpack_from("<I", raw, at)
            at += 4
            parts = []
            for _ in range(count):
                (size,) = struct.unpack_from("<Q", raw, at)
                parts.append(np.frombuffer(raw, "<f8", size, at + 8))
                at += 8 + 8 * size
            out.append(Answer(seconds, text if outcome == 1 else None, "panic" if outcome == 2 else None, parts, text))
    except (struct.error, ValueError):
        pass
    return out


def answers_of(program: Path, core: str, problems: list[list[Vector]]) -> list[Answer]:
    """A problem on which the program dies, or sits, is an answer of its own; those after it are asked again."""
    out: list[Answer] = []
    deaths = 0
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "problems", Path(folder) / "answers"
        while len(out) < len(problems) and deaths < DEATHS:
            asked.write_bytes(b"".join(map(encoded, problems[len(out) :])))
            answered.write_bytes(b"")
            done = subprocess.run([program, core, asked, answered], capture_output=True, text=True)
            out += decoded(answered.read_bytes())
            if len(out) < len(problems):
                why = "no answer in time" if done.returncode == SAT else "end of the process"
                out.append(Answer(broken=why))
                deaths += 1
    return out + [Answer(broken="not asked") for _ in problems[len(out) :]]


# --- the count -----------------------------------------------------------------------------------


def case_of(core: str, kind: Kind, index: int) -> Case:
    """Every problem has a generator of its own, so that it can be made again alone."""
    words = [SEED, *core.encode(), 0, *kind.name.encode(), index]
    return kind.make(np.random.default_rng(words))


def verdict_of(kind: Kind, case: Case, answers: list[Answer]) -> Verdict:
    verdict = Verdict()
    broken = [answer.broken for answer in answers if answer.broken is not None]
    refused = [answer.refused for answer in answers if answer.refused is not None]
    if broken:
        verdict.off += broken
        verdict.worst = math.inf
    elif refused and not case.known.get("refusable", kind.refusals):
        verdict.off.append("error")
        verdict.worst = math.inf
    elif refused:
        verdict.said.append("refused")
    else:
        kind.judge(case, answers, verdict)
    return verdict


def judged(program: Path, core: str, kind: Kind, count: int) -> dict[str, Any]:
    """The line of a kind. What was asked is made again for the judge, rather than kept."""
    start = time.monotonic()
    cases = [case_of(core, kind, index) for index in range(count)]
    answers = answers_of(program, core, [problem for case in cases for problem in case.problems])
    seconds, at = sum(answer.seconds for answer in answers), 0
    verdicts = []
    for case in cases:
        own = answers[at : at + len(case.problems)]
        at += len(case.problems)
        verdicts.append(verdict_of(kind, case, own))
    off, first = Counter[str](), dict[str, int]()
    for index, verdict in enumerate(verdicts):
        for fault in dict.fromkeys(verdict.off):
            off[fault] += 1
            first.setdefault(fault, index)
    wrong = sum(bool(verdict.off) for verdict in verdicts)
    false, allowed = int(sum(v.false for v in verdicts)), float(sum(sum(v.claims) for v in verdicts))
    if false and poisson_tail(false, allowed) < RARE:
        off["false claim"] += false
        first["false claim"] = next(index for index, verdict in enumerate(verdicts) if verdict.false)
        wrong += sum(bool(verdict.false) and not verdict.off for verdict in verdicts)
    said = Counter(word for verdict in verdicts for word in dict.fromkeys(verdict.said))
    if any(verdict.claims for verdict in verdicts):
        said[f"false of {sum(len(v.claims) for v in verdicts):,} claims with {allowed:.2g} allowed"] = false
    limits = [index for index, verdict in enumerate(verdicts) if "limit" in verdict.said] if kind.limits else None
    return {
        "limits": limits,
        "kind": kind.name,
        "reference": kind.reference,
        "problems": count,
        "worst": max((verdict.worst for verdict in verdicts), default=0.0),
        "bound": kind.bound,
        "off": wrong,
        "faults": dict(off),
        "first": first,
        "said": dict(said),
        "seconds": seconds,
        "judged_s": time.monotonic() - start,
    }


def limit_line(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Of all kinds that count it: how often the solver's steps end before its tolerance is met."""
    lines = [line for line in lines if line["limits"] is not None]
    problems, seen = sum(line["problems"] for line in lines), sum(len(line["limits"]) for line in lines)
    off = seen if seen > LIMITS * problems else 0
    first = next((f"{line['kind']} {line['limits'][0]}" for line in lines if line["limits"]), "")
    return {
        "kind": f"rate of the limit in {len(lines)} of these kinds",
        "reference": "count",
        "problems": problems,
        "worst": seen / problems,
        "bound": LIMITS,
        "off": off,
        "faults": {"limit": off} if off else {},
        "first": {"limit": first},
        "said": {} if off else {"limit": seen},
        "seconds": 0.0,
        "judged_s": 0.0,
    }


def poisson_tail(seen: int, expected: float) -> float:
    """The probability of so many or more."""
    if seen == 0:
        return 1.0
    term, below = math.exp(-expected), 0.0
    for k in range(seen):
        below += term
        term *= expected / (k + 1)
    return max(1.0 - below, term if expected < 1.0 else 0.0)


# --- numbers -------------------------------------------------------------------------------------


def power_of_two(rng: np.random.Generator, largest: int = 1000) -> int:
    """An exponent of a unit: small ones and extreme ones alike."""
    size = int(rng.choice([10, 60, 200, 400, 490, 520, 700, largest]))
    return int(rng.choice([-1, 1])) * min(size + int(rng.integers(0, 10)), largest)
