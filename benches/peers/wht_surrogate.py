"""`samplewise wht fit` beside ProxySPEX and the Shapley estimators of shapiq, at equal evaluations of seventeen functions."""

from __future__ import annotations

import csv
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import HERE, OURS, ROOT, Failure, Row, Session, call, compute_seconds, environment, ours, say

GAMES = (
    "trees-cancer", "trees-cancer-binary", "trees-digits", "trees-diabetes", "trees-wine", "mlp-cancer", "mlp-digits",
    "svm-cancer", "svm-digits", "logit-cancer", "knn-cancer", "forest-cancer", "forest-digits", "mlp-256", "boosting-256",
    "nk-20-2", "nk-30-4",
)
BUDGETS = (100, 150, 300, 600)
# Shapley values: games, evaluations for each feature, and the estimators of shapiq.
EXPLAINED = ("trees-cancer", "trees-cancer-binary", "mlp-cancer", "svm-cancer", "forest-cancer", "mlp-digits")
MULTIPLES = (5, 10, 20)
ESTIMATORS = ("KernelSHAP", "permutations", "OddSHAP", "RegressionMSR", "ProxySHAP")
# What may be left out: a peer, a budget, a multiple of the features.
SURROGATE_PARTS = ("ProxySPEX", *ESTIMATORS, *map(str, BUDGETS), *(f"{m}n" for m in MULTIPLES))
FRESH = 2_000
LEAST_PYTHON = (3, 12)


def newest_python() -> str:
    """A Python that the peers can be installed for: this one, or one that is there by name."""
    if sys.version_info >= LEAST_PYTHON:
        return sys.executable
    shims = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3"), reverse=True)
    for candidate in [*map(str, shims), *(f"python3.{minor}" for minor in range(15, 11, -1))]:
        found = shutil.which(candidate)
        if found is None:
            continue
        words = [found, "-c", "import sys; print(sys.version_info >= (3, 12) and sys.version_info < (3, 15))"]
        if subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip() == "True":
            return found
    raise Failure("shapiq 1.8 needs Python 3.12 or newer, and none was found: install one, or run with it")


def ask(python: Path, **request: Any) -> dict[str, Any]:
    words = json.dumps(request | {"data": str(ROOT / "examples" / "data")})
    reply: dict[str, Any] = json.loads(call([python, HERE / "wht_surrogate_games.py"], 1, words))
    return reply


def r2_of(path: Path, values: list[float]) -> tuple[float, float]:
    """R² of predictions in a table, and the share of values within their intervals."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    mean = statistics.fmean(values)
    left = sum((v - float(r["value"])) ** 2 for v, r in zip(values, rows, strict=True))
    inside = sum(float(r["low"]) <= v <= float(r["high"]) for v, r in zip(values, rows, strict=True))
    return 1 - left / sum((v - mean) ** 2 for v in values), inside / len(values)


def head(source: Path, count: int, target: Path) -> None:
    with open(source) as file:
        target.write_text("".join(line for _, line in zip(range(count + 1), file, strict=False)))


def run_surrogate(session: Session) -> None:
    python = environment(session, newest_python())
    # One set of random masks for each repeat, three at most.
    seeds = [0] if session.quick else list(range(min(session.repeats, 3)))
    games = GAMES[:2] + ("svm-cancer",) if session.quick else GAMES
    # `--without 600` leaves a budget out, `--without 20n` one of the Shapley values.
    budgets = (150,) if session.quick else tuple(b for b in BUDGETS if str(b) not in session.without)
    session.notes += [
        f"r2: share of the variance explained on {FRESH} fresh uniform masks, median of {len(seeds)} sets of masks;"
        " one thread each; seconds without evaluations",
        "held: share of the fresh values within the 90 % intervals; said: R² that was said from held-out values",
        "error: squared error of the Shapley values over the sum of their squares; truth from antithetic permutations",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reply = ask(python, task="tables", games=games, budgets=budgets, seeds=seeds, fresh=FRESH, folder=name)
        session.versions |= reply["versions"]
        for game in games:
            for budget in budgets:
                if budget > 0.8 * 2 ** reply["variables"][game]:
                    continue
                say(f"wht-surrogate: {game}, {budget} evaluations")
                case = f"{game} n={reply['variables'][game]}, {budget} evaluations"
                session.rows.append(our_fit(folder, game, budget, seeds, reply["values"][game], case))
                if "ProxySPEX" not in session.without:
                    runs = [ask(python, task="proxyspex", game=game, budget=budget, seed=s, fresh=FRESH) for s in seeds]
                    extras = {"r2": statistics.median(r["r2"] for r in runs)}
                    session.rows.append(Row(case, "ProxySPEX", 1, [r["seconds"] for r in runs], extras))
        for game in EXPLAINED[:1] if session.quick else EXPLAINED:
            explain(session, python, folder, game, reply["variables"].get(game), seeds)
    summary(session)


def our_fit(folder: Path, game: str, budget: int, seeds: list[int], values: list[float], case: str) -> Row:
    seconds, r2s, helds, saids = [], [], [], []
    for seed in seeds:
        train, out = folder / "train.csv", folder / "predictions.csv"
        head(folder / f"{game}-{seed}.csv", budget, train)
        words = ["wht", "fit", train, "--value", "value", "--predict", folder / f"{game}-fresh.csv", "--predictions", out]
        answer = ours([*words, "--seed", str(seed), "--quiet"], 1)
        r2, held = r2_of(out, values)
        seconds.append(compute_seconds(answer))
        r2s.append(r2)
        helds.append(held)
        saids.append(answer["result"]["held_out_r2"])
    said = [s for s in saids if s is not None]
    extras = {
        "r2": statistics.median(r2s),
        "held": statistics.median(helds),
        "said": statistics.median(said) if said else None,
    }
    return Row(case, OURS, 1, seconds, extras)


def explain(session: Session, python: Path, folder: Path, game: str, n: int | None, seeds: list[int]) -> None:
    if n is None:
        return
    for multiple in MULTIPLES[:1] if session.quick else MULTIPLES:
        if f"{multiple}n" in session.without:
            continue
        budget = multiple * n
        say(f"wht-surrogate: Shapley values of {game}, {budget} evaluations")
        case = f"Shapley values, {game} n={n}, {budget} evaluations"
        table = folder / "design.csv"
        errors: dict[str, list[float]] = {}
        seconds: dict[str, list[float]] = {}
        for seed in seeds:
            permutations = 300 if session.quick else 1_000
            request = {"game": game, "budget": budget, "seed": seed}
            truth = ask(python, task="design", path=str(table), permutations=permutations, **request)["truth"]
            size = sum(t * t for t in truth)
            answer = ours(["wht", "fit", table, "--value", "value", "--seed", str(seed), "--quiet"], 1)
            found = {OURS: ([e["mean"] for e in answer["result"]["shapley"]], compute_seconds(answer))}
            for method in ESTIMATORS:
                if method in session.without:
                    continue
                try:
                    reply = ask(python, task="shapley", method=method, **request)
                except Failure as failure:
                    say(f"  failure of {method}: {case}: {failure}")
                    continue
                found[method] = (reply["values"], reply["seconds"])
            for tool, (values, time) in found.items():
                error = sum((v - t) ** 2 for v, t in zip(values, truth, strict=True)) / size
                errors.setdefault(tool, []).append(error)
                seconds.setdefault(tool, []).append(time)
        for tool, each in errors.items():
            session.rows.append(Row(case, tool, 1, seconds[tool], {"error": statistics.fmean(each)}))


def summary(session: Session) -> None:
    """The medians that the bars are about, as notes of the record."""
    by_case: dict[str, dict[str, Row]] = {}
    for row in session.rows:
        by_case.setdefault(row.case, {})[row.tool] = row
    ratios, wins, cells, shapley = [], 0, 0, []
    for case, tools in by_case.items():
        if "ProxySPEX" in tools:
            our, their = tools[OURS].extras["r2"], tools["ProxySPEX"].extras["r2"]
            cells += 1
            wins += our >= their - 0.002
            if our < 0.99999:
                ratios.append((1 - our) / (1 - their))
        elif case.startswith("Shapley"):
            others = [row.extras["error"] for tool, row in tools.items() if tool != OURS]
            if others:
                shapley.append(tools[OURS].extras["error"] / min(others))
    if cells:
        note = f"at least ProxySPEX - 0.002 in {wins} of {cells} cells"
        session.notes.append(note + (f"; median of unexplained over its {statistics.median(ratios):.3f}" if ratios else ""))
    if shapley:
        session.notes.append(
            f"Shapley error over that of the best peer: median {statistics.median(shapley):.3f}, worst {max(shapley):.3f}"
        )
