"""`samplewise-mtrl` beside AltGDmin (`mtrl_tools.py`), scikit-learn and HiGHS."""

from __future__ import annotations

import json
import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import HERE, OURS, FREE, Disagreement, Row, Session, call, environment, our_program, say

FEATURES, DIMENSION, TASKS = 100, 5, 100
FORMS = ("rows", "Gram")
USUAL, STEPS = 0.5, (0.5, 0.75, 1.0, 1.25)  # over the curvature: one row has the first, one the fastest of all
LIMIT, LONG = 300, 1000  # iterations of AltGDmin: to the goal, and as far as it goes
SAME = 1e-6  # how far above the best a loss, an objective or a norm may be
BUDGET = 50_000
LASSO, LASSO_TIGHT, LARS, HIGHS = (
    "scikit-learn Lasso", "scikit-learn Lasso, tol 1e-8", "scikit-learn lars_path", "HiGHS",
)
LOOSE = 1e-3  # the share of the largest λ that stands for zero with scikit-learn's Lasso: less takes minutes


class Mtrl:
    """One run: the tools, and where they are."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.python = environment(session)
        self.program = our_program(session, "peer-mtrl")

    def note(self, text: str) -> None:
        say(f"mtrl: {text}")
        if text not in self.session.notes:
            self.session.notes.append(text)

    def worker(self, task: str, **ask: Any) -> dict[str, Any]:
        words = {key: str(value) if isinstance(value, Path) else value for key, value in ask.items()}
        reply = json.loads(call([*FREE, self.python, HERE / "mtrl_tools.py"], 1, json.dumps({"task": task} | words)))
        self.session.versions |= reply["versions"]
        return dict(reply)

    def rust(self, runs: int, out: Path, *task: Any) -> list[dict[str, Any]]:
        lines = call([self.program, str(runs), out, *map(str, task)]).splitlines()
        return [json.loads(line) for line in lines]

    def rounds(self) -> int:
        """Processes of each tool, in turn."""
        return 1 if self.session.quick else 2


@dataclass
class Fit:
    """Of one tool on the tasks: the row, how AltGDmin is run, files of bases."""

    row: Row
    setting: dict[str, Any] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    reached: bool = True


def run_mtrl(session: Session) -> None:
    tools = Mtrl(session)
    with tempfile.TemporaryDirectory(dir=session.folder) as folder:
        for n in (40, 100):
            compare_fits(tools, Path(folder), n)
        compare_relevance(tools, Path(folder))
        compare_least_norm(tools, Path(folder))


def compare_fits(tools: Mtrl, folder: Path, n: int) -> None:
    """Time to a loss within `SAME` of the best known, from the rows; AltGDmin is told that loss and stops at once."""
    session = tools.session
    case = f"representation, {n} samples a task"
    say(f"mtrl: {case}")
    x, y, best_file = folder / "x", folder / "y", folder / f"best-{n}"
    ask: dict[str, Any] = {"shape": [FEATURES, DIMENSION, TASKS, n], "x": x, "y": y}
    tools.worker("make tasks", noise=1.0, seed=1, **ask)
    tools.worker("descend", form="rows", step=0.75, goal=None, limit=LONG, runs=1, out=best_file, **ask)

    def ours(runs: int, out: Path) -> list[dict[str, Any]]:
        return tools.rust(runs, out, "fit", *ask["shape"], x, y)

    first = folder / f"first-{n}"
    ours(1, first)
    judged = tools.worker("judge bases", solutions=[str(best_file), str(first)], **ask)["losses"]
    best = min(map(min, judged))
    goal = best * (1.0 + SAME)

    def descend(setting: dict[str, Any], runs: int, out: Path) -> dict[str, Any]:
        return tools.worker("descend", goal=goal, limit=LIMIT, runs=runs, out=out, **setting, **ask)

    settings = [{"form": form, "step": step} for form in FORMS for step in STEPS]
    tried = [(descend(setting, 1 if session.quick else 3, folder / "tried"), setting) for setting in settings]
    seconds = [(min(reply["seconds"]), i) for i, (reply, _) in enumerate(tried) if reply["reached"]]
    if not seconds:
        raise Disagreement(f"{case}: AltGDmin never comes within {SAME:g} of a loss of {best}")
    usual = [(s, i) for s, i in seconds if settings[i]["step"] == USUAL] or seconds
    fits = [Fit(Row(case, OURS, 1, []))]
    for label, choices in ((f"AltGDmin, step {USUAL:g}", usual), ("AltGDmin, best step", seconds)):
        fits.append(Fit(Row(case, label, 1, []), settings[min(choices)[1]]))
    for turn in range(tools.rounds()):
        for i, fit in enumerate(fits):
            row, out = fit.row, folder / f"fit-{n}-{i}-{turn}"
            if row.tool == OURS:
                replies = ours(session.repeats, out)
                row.seconds += [reply["seconds"] for reply in replies]
                row.extras["statistics_s"] = statistics.median(reply["statistics"] for reply in replies)
            else:
                reply = descend(fit.setting, session.repeats, out)
                row.seconds += reply["seconds"]
                row.extras |= {"iterations": reply["iterations"], "form": fit.setting["form"]}
                row.extras["step"] = f"{fit.setting['step']:g}"
                fit.reached = fit.reached and reply["reached"]
            fit.files.append(out)
    files = [file for fit in fits for file in fit.files]
    losses = iter(tools.worker("judge bases", solutions=list(map(str, files)), **ask)["losses"])
    for fit in fits:
        found = max(loss for _ in fit.files for loss in next(losses))
        excess = found / best - 1.0
        fit.row.extras["excess"] = f"{excess:.1e}"
        if fit.row.tool == OURS and excess > SAME:
            raise Disagreement(f"{case}: {OURS} has a loss of {found}, the best known is {best}")
        if not fit.reached:
            fit.row.seconds = []
            tools.note(f"{case}, {fit.row.tool}: not within {SAME:g} of the best after {LIMIT} iterations: no time")
    session.rows += [fit.row for fit in fits]


def targets(tools: Mtrl, folder: Path, share: float) -> dict[str, Any]:
    """Problems of the size that the planner has to manage; those of another share differ in λ alone."""
    shape = [3 if tools.session.quick else 10, 50, 1000]
    ask = {"shape": shape} | {name: folder / f"{name}-{share:g}" for name in ("w", "target", "lambda")}
    tools.worker("make targets", share=share, seed=2, **ask)
    return ask


def solve(tools: Mtrl, folder: Path, row: Row, ask: dict[str, Any]) -> Path:
    """Times a tool on all problems; the file of its answers, the same in every round."""
    out = folder / f"{row.tool}-{ask['w'].name}".replace(" ", "-")
    if row.tool.startswith(OURS):
        problems, k, m = ask["shape"]
        replies = tools.rust(problems, out, "plan", k, m, BUDGET, ask["w"], ask["target"], ask["lambda"])
        row.seconds += [reply["seconds"] for reply in replies]
        if any(reply["samples"] != BUDGET for reply in replies):
            raise Disagreement(f"{row.case}: {OURS} does not spend {BUDGET} samples")
    else:
        row.seconds += tools.worker("relevance", tool=row.tool, out=out, **ask)["seconds"]
    return out


def compare_relevance(tools: Mtrl, folder: Path) -> None:
    """The Lasso of the planner, λ 5 % of the largest."""
    session = tools.session
    case = "planner, 1,000 tasks, K = 50, Lasso"
    say(f"mtrl: {case}")
    ask = targets(tools, folder, 0.05)
    rows = [Row(case, tool, 1, []) for tool in (OURS, LASSO, LASSO_TIGHT, LARS)]
    for _ in range(tools.rounds()):
        files = [solve(tools, folder, row, ask) for row in rows]
    objectives = tools.worker("judge relevances", solutions=list(map(str, files)), **ask)["objectives"]
    best = [min(found) for found in zip(*objectives)]
    for row, found in zip(rows, objectives):
        excess = max(value / least - 1.0 for value, least in zip(found, best))
        row.extras["excess"] = f"{excess:.1e}"
        if row.tool == OURS and excess > SAME:
            raise Disagreement(f"{case}: {OURS} is {excess:.1e} above the best objective")
    session.rows += rows


def compare_least_norm(tools: Mtrl, folder: Path) -> None:
    """The ν of least ℓ1 norm with Wν = w: an exact vertex, or the Lasso with λ next to zero, whose norm is less."""
    session = tools.session
    case = "planner, 1,000 tasks, K = 50, least norm"
    say(f"mtrl: {case}")
    ask = targets(tools, folder, 0.0)
    rows = [Row(case, tool, 1, []) for tool in (OURS, LARS, HIGHS)]
    for _ in range(tools.rounds()):
        files = [solve(tools, folder, row, ask) for row in rows]
    if not session.quick:
        rows.append(Row(case, LASSO, 1, [], {"lambda": f"{LOOSE:g} of the largest"}))
        files.append(solve(tools, folder, rows[-1], targets(tools, folder, LOOSE)))
    judged = tools.worker("judge relevances", solutions=list(map(str, files)), **ask)
    exact = judged["norms"][[row.tool for row in rows].index(HIGHS)]
    for row, norms, residuals in zip(rows, judged["norms"], judged["residuals"]):
        excess = max((norm / least - 1.0 for norm, least in zip(norms, exact)), key=abs)
        row.extras |= {"excess": f"{excess:.1e}", "residual": f"{max(residuals):.1e}"}
        if row.tool == OURS and (excess > SAME or max(residuals) > 10.0 * SAME):
            raise Disagreement(f"{case}: {OURS} has a norm {excess:.1e} off, a residual of {max(residuals):.1e}")
    session.rows += rows
