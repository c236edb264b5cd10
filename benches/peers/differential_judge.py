"""The process that `run.py differential` asks for one core, in the pinned environment.

    differential_judge.py PROGRAM CORE SHARE          every kind, one JSON line each
    differential_judge.py PROGRAM CORE KIND INDEX     one problem again: what was asked, what came, what is off
"""

from __future__ import annotations

import importlib
import json
import math
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from differential_wire import Kind, answers_of, case_of, judged, limit_line, verdict_of

QUICK_LEAST = 30  # problems of a kind, however small the share


def kinds_of(core: str) -> list[Kind]:
    found: list[Kind] = importlib.import_module(f"differential_{core}").kinds()
    return found


def plain(value: Any) -> Any:
    """JSON has no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def all_kinds(program: Path, core: str, share: float) -> None:
    packages = ("numpy", "scipy", "scikit-learn")
    print(json.dumps({"versions": {name: version(name) for name in packages}}))
    lines = []
    for kind in kinds_of(core):
        count = kind.count if share >= 1.0 else min(kind.count, max(QUICK_LEAST, round(kind.count * share)))
        lines.append(judged(program, core, kind, count))
    if any(line["limits"] is not None for line in lines):
        lines.append(limit_line(lines))
    for line in lines:
        print(json.dumps({key: plain(value) for key, value in line.items()}))


def one_problem(program: Path, core: str, name: str, index: int) -> None:
    kind = next(kind for kind in kinds_of(core) if kind.name == name)
    np.set_printoptions(threshold=10_000, linewidth=160, precision=17)
    case = case_of(core, kind, index)
    answers = answers_of(program, core, case.problems)
    for problem, answer in zip(case.problems, answers):
        for part in problem:
            print("asked:", part)
        print("broken:", answer.broken, "said:", answer.text or None, "seconds:", answer.seconds)
        for part in answer.parts:
            print("came:", part)
    print(verdict_of(kind, case, answers))


def main(words: list[str]) -> None:
    program, core = Path(words[0]), words[1]
    if len(words) == 3:
        all_kinds(program, core, float(words[2]))
    else:
        one_problem(program, core, words[2], int(words[3]))


if __name__ == "__main__":
    main(sys.argv[1:])
