"""`samplewise-sensitivity` and leverage scores beside numpy, scipy, R quantreg, pinball-qr, scikit-learn, Clarabel."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import (
    DATA, HERE, OURS, FREE, ROOT, THREADS, Disagreement, Failure, Row, Session, call, environment, our_program, say,
    write_atomically,
)
from linalg import check_close, doubles

FETCHED = ROOT / "target" / "data"
# Tables of median regression and what they are made from.
TABLES = {
    "cpssw8-5000": "cpssw8/design.csv",
    "cpssw8": "cpssw8/design.csv",
    "diamonds": "diamonds/design.csv",
    "gss": "gss/design.csv",
    "flights7": "flights/flights.csv",
    "flights_mid": "flights/flights.csv",
    "t-noise": None,
}
LEVERAGE_PEERS = ("numpy qr", "scipy qr", "numpy blocked Cholesky")
MEDIAN_PEERS = ("R quantreg fn", "R quantreg pfn", "pinball fn", "pinball pfn")
HIGHS = "scikit-learn HiGHS"
CLARABEL, SOLVED, ACCURACY = "Clarabel", 10, 1e-5  # tool, rows that it solves, its relative error
SAME = 1e-6  # how far above the best an objective may be
CORESET = ("flights_mid", 5300, 20)  # table, rows, seeds


@dataclass
class Table:
    """A table and its target in raw files."""

    name: str
    a: Path
    b: Path
    rows: int
    columns: int

    def ask(self) -> dict[str, Any]:
        return {"a": self.a, "b": self.b, "rows": self.rows, "columns": self.columns}

    def words(self) -> tuple[Any, ...]:
        return self.rows, self.columns, self.a, self.b


class Sensitivity:
    """One run: the tools, and where they are."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.python = environment(session)
        self.program = our_program(session, "peer-sensitivity")
        self.r = True
        try:
            call(["Rscript", "-e", "packageVersion('quantreg')"])
        except Failure:
            self.r = False
            self.note("R with quantreg is not there (Debian: r-base-core, r-cran-quantreg); its rows are left out")

    def note(self, text: str) -> None:
        say(f"sensitivity: {text}")
        if text not in self.session.notes:
            self.session.notes.append(text)

    def worker(self, task: str, **ask: Any) -> dict[str, Any]:
        words = {key: str(value) if isinstance(value, Path) else value for key, value in ask.items()}
        command = [*FREE, self.python, HERE / "sensitivity_tools.py"]
        reply = json.loads(call(command, 1, json.dumps({"task": task} | words)))
        self.session.versions |= reply["versions"]
        return dict(reply)

    def rust(self, threads: int, runs: int, out: Path, *task: Any) -> list[dict[str, Any]]:
        lines = call([self.program, str(runs), out, *map(str, task)], threads).splitlines()
        return [json.loads(line) for line in lines]

    def quantreg(self, method: str, table: Table, out: Path, runs: int) -> dict[str, Any]:
        script = HERE / "sensitivity_quantreg.R"
        reply = json.loads(call(["Rscript", script, method, *map(str, table.words()), out, str(runs)]))
        self.session.versions |= reply["versions"]
        if reply["versions"]["BLAS of R"] == "blas":
            self.note("R has the reference BLAS; its pfn is faster with OpenBLAS (Debian: libopenblas0-pthread)")
        return dict(reply)

    def table(self, name: str) -> Table:
        """Made once; the file of facts comes last, so it is there only when the others are."""
        stem, source = DATA / f"sensitivity-{name}", TABLES[name]
        a, b, facts = (Path(f"{stem}.{kind}") for kind in ("a.f64", "b.f64", "json"))
        if not facts.is_file():
            say(f"sensitivity: making {name}")
            DATA.mkdir(parents=True, exist_ok=True)
            reply = self.worker("make regression", data=name, source=FETCHED / (source or ""), a=a, b=b)
            write_atomically(facts, json.dumps({key: reply[key] for key in ("rows", "columns")}).encode())
        return Table(name, a, b, **json.loads(facts.read_text()))

    def rounds(self) -> int:
        """Processes of each tool, in turn."""
        return 1 if self.session.quick else 2


@dataclass
class Answers:
    """Of one tool on a table: the row, files of coefficients, what ours says of every run, what a peer warns of."""

    row: Row
    files: list[Path] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)
    warned: Counter[str] = field(default_factory=Counter)


def run_sensitivity(session: Session) -> None:
    sources = sorted({source for source in TABLES.values() if source and not (FETCHED / source).is_file()})
    if sources:
        names = " ".join(Path(source).parent.name for source in sources)
        raise Failure(f"target/data/{sources[0]} is not there: python3 scripts/fetch_data.py fetch {names}")
    tools = Sensitivity(session)
    with tempfile.TemporaryDirectory(dir=session.folder) as folder:
        compare_leverage(tools, Path(folder))
        compare_certified(tools, Path(folder))
        compare_median(tools, Path(folder))


def compare_leverage(tools: Sensitivity, folder: Path) -> None:
    session = tools.session
    shapes = [(100_000, 10), (100_000, 50)]
    if not session.quick:
        shapes += [(100_000, 100), (1_000_000, 10)]
    for n, d in shapes:
        case = f"leverage scores of {n:,} x {d}"
        say(f"sensitivity: {case}")
        a, out = folder / "a", folder / "out"
        tools.worker("make matrix", rows=n, columns=d, seed=1, a=a)
        rows = [Row(case, OURS, t, []) for t in THREADS] + [Row(case, tool, 1, []) for tool in LEVERAGE_PEERS]
        first = None
        for _ in range(tools.rounds()):
            for row in rows:
                if row.tool == OURS:
                    replies = tools.rust(row.threads, session.repeats, out, "leverage", n, d, a)
                    row.seconds += [reply["seconds"] for reply in replies]
                else:
                    ask = {"tool": row.tool, "rows": n, "columns": d, "a": a, "out": out, "runs": session.repeats}
                    row.seconds += tools.worker("leverage", **ask)["seconds"]
                found = doubles(out)
                first = first or found
                if row.tool == OURS and found != first:
                    raise Disagreement(f"{case}: {OURS} has other bits with {row.threads} threads")
                check_close(case, row.tool, found, first, 1e-12)
        session.rows += rows


def compare_certified(tools: Sensitivity, folder: Path) -> None:
    session = tools.session
    n, d = 2000, 8 if session.quick else 24
    solve = [n * k // SOLVED for k in range(SOLVED)]
    a, out = folder / "a", folder / "out"
    tools.worker("make matrix", rows=n, columns=d, seed=1, a=a)
    for p in (3.0,) if session.quick else (1.5, 3.0, 4.0):
        case = f"certified sensitivities of {n:,} x {d}, p = {p:g}"
        say(f"sensitivity: {case}")
        rows = [Row(case, OURS, t, []) for t in THREADS]
        peer = Row(case, CLARABEL, 1, [], {"extrapolated": True})
        first = None
        for _ in range(tools.rounds()):
            for row in rows:
                replies = tools.rust(row.threads, session.repeats, out, "certified", p, n, d, a)
                row.seconds += [reply["seconds"] for reply in replies]
                found = doubles(out)
                first = first or found
                if found != first:
                    raise Disagreement(f"{case}: {OURS} has other bits with {row.threads} threads")
                row.extras["gap"] = f"{max(upper / lower for lower, upper in zip(found, found[n:])) - 1.0:.1e}"
            reply = tools.worker("certified", p=p, solve=solve, rows=n, columns=d, a=a)
            for status, times in Counter(reply["statuses"]).items():
                if status != "Solved":
                    tools.note(f"{case}, {CLARABEL}: {times} of {SOLVED} rows end as {status}")
            solved = [k for k, status in enumerate(reply["statuses"]) if status in ("Solved", "AlmostSolved")]
            peer.extras["rows_solved"] = len(solved)
            if solved:
                peer.seconds.append(statistics.median(reply["seconds"][k] for k in solved) * n)
            for k in solved:
                i, value = solve[k], reply["sensitivities"][k]
                lower, upper = found[i], found[n + i]
                if not lower * (1.0 - ACCURACY) <= value <= upper * (1.0 + ACCURACY):
                    raise Disagreement(f"{case}: {CLARABEL} says {value} for row {i}, {OURS} {lower} to {upper}")
        session.rows += [*rows, peer]


def compare_median(tools: Sensitivity, folder: Path) -> None:
    session = tools.session
    for name in TABLES:
        if name == ("t-noise" if session.quick else "cpssw8-5000"):
            continue
        table = tools.table(name)
        case = f"median regression, {name}, {table.rows:,} x {table.columns}"
        say(f"sensitivity: {case}")
        peers = [tool for tool in MEDIAN_PEERS if tools.r or not tool.startswith("R ")]
        if name == ("cpssw8-5000" if session.quick else "cpssw8"):
            peers.append(HIGHS)
        rows = [Row(case, OURS, t, []) for t in THREADS] + [Row(case, tool, 1, []) for tool in peers]
        answers = [Answers(row) for row in rows]
        for turn in range(tools.rounds()):
            for answer in list(answers):
                if answer.row.tool == HIGHS and turn:
                    continue  # minutes: once is enough
                out = folder / f"{name}-{answer.row.tool}-{answer.row.threads}-{turn}".replace(" ", "-")
                try:
                    ask_median(tools, answer, table, out)
                except Failure as failure:
                    if answer.row.tool == OURS:
                        raise
                    tools.note(f"{case}, {answer.row.tool}: {failure}")
                    answers.remove(answer)
        best = check_median(tools, case, table, answers)
        session.rows += [answer.row for answer in answers]
        if name == CORESET[0]:
            compare_coreset(tools, folder, table, best, answers)


def ask_median(tools: Sensitivity, answer: Answers, table: Table, out: Path) -> None:
    row, runs = answer.row, tools.session.repeats
    if row.tool == OURS:
        replies = tools.rust(row.threads, runs, out, "l1", *table.words())
        row.seconds += [reply["seconds"] for reply in replies]
        answer.said += replies
    elif row.tool.startswith("R "):
        reply = tools.quantreg(row.tool.split()[-1], table, out, runs)
    else:
        reply = tools.worker("median", tool=row.tool, out=out, runs=1 if row.tool == HIGHS else runs, **table.ask())
    if row.tool != OURS:
        row.seconds += reply["seconds"]
        answer.warned.update("singular design" if "singular" in text else text for text in reply["warnings"])
    answer.files.append(out)


def check_median(tools: Sensitivity, case: str, table: Table, answers: list[Answers]) -> float:
    """The least objective of all; the worst run of each tool is compared with it."""
    files = [file for answer in answers for file in answer.files]
    judged = iter(tools.worker("judge", solutions=list(map(str, files)), **table.ask())["objectives"])
    objectives: list[list[float]] = [[v for _ in answer.files for v in next(judged)] for answer in answers]
    best = min(map(min, objectives))
    for answer, found in zip(answers, objectives):
        row, excess = answer.row, max(found) / best - 1.0
        if answer.warned:
            shown = "; ".join(f"{times} x {text}" for text, times in answer.warned.items())
            tools.note(f"{case}, {row.tool} warns in {len(found)} runs and those before them: {shown}")
        row.extras["excess"] = f"{excess:.1e}"
        for said in answer.said:
            check_certificate(case, said, max(found), best)
            row.extras["gap"] = f"{1.0 - said['lower_bound'] / said['objective']:.1e}"
        if row.tool == OURS and answer.files[0].read_bytes() != answers[0].files[0].read_bytes():
            raise Disagreement(f"{case}: {OURS} has other bits with {row.threads} threads")
        if excess > SAME and row.tool == OURS:
            raise Disagreement(f"{case}: {OURS} has {max(found)}, another tool {best}")
        if not excess <= SAME:
            row.seconds = []
            tools.note(f"{case}, {row.tool}: {excess:.1e} above the best is another answer, so it has no time")
    return best


def check_certificate(case: str, said: dict[str, Any], judged: float, best: float) -> None:
    if abs(said["objective"] / judged - 1.0) > 1e-9:
        raise Disagreement(f"{case}: {OURS} says objective {said['objective']}, its coefficients have {judged}")
    if said["lower_bound"] > best * (1.0 + 1e-12):
        raise Disagreement(f"{case}: {OURS} says that nothing is below {said['lower_bound']}, a tool has {best}")


def compare_coreset(tools: Sensitivity, folder: Path, table: Table, best: float, exact: list[Answers]) -> None:
    name, size, seeds = CORESET
    case = f"coreset of {size:,} rows, {name}"
    for method, label in (("lewis", OURS), ("uniform", f"{OURS}, uniform rows")):
        for threads in THREADS:
            say(f"sensitivity: {case}, {method}")
            out = folder / f"coreset-{method}"
            replies = tools.rust(threads, seeds, out, method, size, *table.words())
            objectives = tools.worker("judge", solutions=[str(out)], **table.ask())["objectives"][0]
            for said, objective in zip(replies, objectives, strict=True):
                check_certificate(case, said, objective, best)
            excess = [objective / best - 1.0 for objective in objectives]
            extras = {
                "excess": f"{statistics.median(excess):.1e}",
                "gap": f"{statistics.median(1.0 - r['lower_bound'] / r['objective'] for r in replies):.1e}",
                "worst": f"{max(excess):.1e}",
                "within_1_percent": f"{sum(e <= 0.01 for e in excess)} of {seeds}",
                "full_rank": f"{sum(reply['rank'] == table.columns for reply in replies)} of {seeds}",
            }
            tools.session.rows.append(Row(case, label, threads, [reply["seconds"] for reply in replies], extras))
    for answer in exact:
        if answer.row.threads == 1 and answer.row.tool in (OURS, "R quantreg fn"):
            row = Row(case, f"{answer.row.tool}, all rows", 1, answer.row.seconds, dict(answer.row.extras))
            tools.session.rows.append(row)
