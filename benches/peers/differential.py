"""Random problems of every core beside HiGHS, scikit-learn, scipy, LAPACK and brute force.

One line for each kind of problem: how many, the worst difference, the bound, how many are off. Problems are made from fixed
seeds, each alone, so that one can be asked again:

    target/peers/differential/bin/python benches/peers/differential_judge.py target/release/peer-differential CORE KIND INDEX
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from common import HERE, Row, Session, call, environment, our_program, say

CORES = ("lasso", "sensitivity", "wht", "hamming", "completion", "linalg", "mtrl")
QUICK_SHARE = 0.05  # of the problems
AT_ONCE = 2  # cores


def run_differential(session: Session) -> None:
    python, program = environment(session), our_program(session, "peer-differential")
    with ThreadPoolExecutor(min(AT_ONCE, os.cpu_count() or 1)) as pool:
        replies = list(pool.map(lambda core: ask(session, python, program, core), CORES))
    for core, (versions, lines) in zip(CORES, replies):
        session.versions |= versions
        for line in lines:
            session.rows.append(row_of(core, line))
            if line["off"]:
                count = f"{line['off']:,} of {line['problems']:,} are off"
                session.off.append(f"{core}, {line['kind']}: {count}: {faults(line)}")


def ask(session: Session, python: Path, program: Path, core: str) -> tuple[dict[str, str], list[dict[str, Any]]]:
    say(f"differential: {core}")
    share = QUICK_SHARE if session.quick else 1.0
    lines = call([python, HERE / "differential_judge.py", program, core, str(share)]).splitlines()
    say(f"differential: {core} is judged")
    versions, *kinds = map(json.loads, lines)
    return versions["versions"], kinds


def row_of(core: str, line: dict[str, Any]) -> Row:
    """The time is ours, for all problems of the kind; that of the judge is in the record."""
    extras: dict[str, Any] = {key: line[key] for key in ("reference", "problems", "off")}
    extras |= {"worst": f"{float(line['worst']):.1e}", "bound": f"{line['bound']:.1e}"}
    extras["judged_s"] = round(line["judged_s"], 2)
    extras["remarks"] = "; ".join(filter(None, (faults(line), counted(line))))
    return Row(core, line["kind"], 1, [line["seconds"]], extras)


def faults(line: dict[str, Any]) -> str:
    """Each with the first problem that has it."""
    return ", ".join(f"{fault} x {times:,} (first {line['first'][fault]})" for fault, times in line["faults"].items())


def counted(line: dict[str, Any]) -> str:
    """What is no fault."""
    return ", ".join(f"{what}: {times:,}" for what, times in line["said"].items())
