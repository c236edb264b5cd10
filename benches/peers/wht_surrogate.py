"""The surrogate beside SPEX, ProxySPEX and the Shapley estimators of shapiq, at equal evaluations of seventeen functions."""

from __future__ import annotations

import csv
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import HERE, OURS, ROOT, Failure, Row, Session, call, compute_seconds, environment, ours, say

GAMES = (
    "trees-cancer", "trees-cancer-binary", "trees-digits", "trees-diabetes", "trees-wine", "mlp-cancer", "mlp-digits",
    "svm-cancer", "svm-digits", "logit-cancer", "knn-cancer", "forest-cancer", "forest-digits", "mlp-256", "boosting-256",
    "nk-20-2", "nk-30-4",
)
BUDGETS = (100, 150, 300, 600, 1_200)
# Games that are exactly sparse, from how many evaluations on the pursuit recovers them.
EXACT = {
    "trees-cancer": 300, "trees-digits": 300, "trees-diabetes": 100, "trees-wine": 100, "boosting-256": 600, "nk-20-2": 600,
}
DEGREE = 5
# Shapley values: games, evaluations for each feature, and the estimators of shapiq.
EXPLAINED = ("trees-cancer", "trees-cancer-binary", "mlp-cancer", "svm-cancer", "forest-cancer", "mlp-digits")
MULTIPLES = (5, 10, 20)
ESTIMATORS = ("KernelSHAP", "permutations", "OddSHAP", "RegressionMSR", "ProxySHAP")
PURSUIT, AUTO = "samplewise, pursuit alone", "samplewise, decoder auto"
PROXY, PROXY_OLD, SPEX = "ProxySPEX", "ProxySPEX of 1.4.1", "SPEX"
# What may be left out: a peer, a budget, a multiple of the features.
SURROGATE_PARTS = (PROXY, PROXY_OLD, SPEX, *ESTIMATORS, *map(str, BUDGETS), *(f"{m}n" for m in MULTIPLES))
FRESH = 2_000
LEVELS = {"50": 0, "90": 1, "95": 2}  # place in `interval_scale` of the report
AT_A_TIME = 2


def python_between(least: tuple[int, int], beyond: tuple[int, int]) -> str:
    """A Python that peers can be installed for: this one, or the newest that is there by name."""
    if least <= sys.version_info[:2] < beyond:
        return sys.executable
    shims = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3"), reverse=True)
    for candidate in [*map(str, shims), *(f"python3.{minor}" for minor in range(beyond[1] - 1, least[1] - 1, -1))]:
        found = shutil.which(candidate)
        if found is None:
            continue
        words = [found, "-c", f"import sys; print({least} <= sys.version_info[:2] < {beyond})"]
        if subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip() == "True":
            return found
    names = [".".join(map(str, v)) for v in (least, beyond)]
    raise Failure(f"a Python from {names[0]} to before {names[1]} is needed, and none was found: install one, or run with it")


def ask(python: Path, **request: Any) -> dict[str, Any]:
    words = json.dumps(request | {"data": str(ROOT / "examples" / "data")})
    reply: dict[str, Any] = json.loads(call([python, HERE / "wht_surrogate_games.py"], 1, words))
    return reply


@dataclass
class Setting:
    """What all comparisons of one run share."""

    session: Session
    python: Path
    folder: Path
    seeds: list[int]
    variables: dict[str, int]

    def without(self, part: str) -> bool:
        return part in self.session.without

    def budgets(self, game: str) -> list[int]:
        """Numbers of evaluations: most of the points of a small game are no sample."""
        all_of_them = (150,) if self.session.quick else BUDGETS
        return [b for b in all_of_them if not self.without(str(b)) and b <= 0.8 * 2 ** self.variables[game]]

    def case(self, game: str, budget: int) -> str:
        return f"{game} n={self.variables[game]}, {budget} evaluations"


def run_surrogate(session: Session) -> None:
    python = environment(session, python_between((3, 12), (3, 15)))
    # One set of random masks for each repeat, three at most.
    seeds = [0] if session.quick else list(range(min(session.repeats, 3)))
    games = GAMES[:2] + ("svm-cancer",) if session.quick else GAMES
    session.notes += [
        f"r2: share of the variance explained on {FRESH} fresh uniform masks, median of {len(seeds)} sets of masks, which are the"
        " same for all that take a table (the pursuit, SPEX and ProxySPEX choose theirs); one thread each, without evaluations;"
        " seconds of shapiq are processor time",
        "held_50, held_90, held_95: shares of the fresh values within these intervals; said: R² that was said from held-out values;"
        " off: the largest of said - R² over the sets of masks",
        "error: squared error of the Shapley values over the sum of their squares, mean over the sets of masks; held_90: share of"
        " the values within 1.645 deviations; truth from antithetic permutations",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        budgets = (150,) if session.quick else BUDGETS
        say("wht-surrogate: tables")
        reply = ask(python, task="tables", games=games, budgets=budgets, seeds=seeds, fresh=FRESH, folder=name)
        session.versions |= reply["versions"]
        setting = Setting(session, python, folder, seeds, reply["variables"])
        others = spectra(setting, games)
        for game in games:
            say(f"wht-surrogate: {game}")
            others += pursuit(setting, game)
            for budget in setting.budgets(game):
                session.rows.append(our_fit(setting, game, budget, reply["values"][game]))
                session.rows += [row for row in others if row.case == session.rows[-1].case]
        explained = [game for game in EXPLAINED if game in games]
        for rows in ThreadPoolExecutor(AT_A_TIME).map(lambda game: explain(setting, game), explained):
            session.rows += rows
    session.notes += list(summary(session.rows))


def spectra(setting: Setting, games: Iterable[str]) -> list[Row]:
    """What SPEX and ProxySPEX explain: each game in a process of its own, few at a time."""
    session, jobs = setting.session, []
    old = None
    if not setting.without(PROXY_OLD):
        old = environment(session, python_between((3, 10), (3, 14)), "wht-surrogate-1.4.1")
    peers = ((PROXY, PROXY, setting.python), (SPEX, SPEX, setting.python), (PROXY_OLD, PROXY, old))
    for game in games:
        jobs += [(game, *peer) for peer in peers if not setting.without(peer[0])]

    def one(job: tuple[str, str, str, Path]) -> list[Row]:
        game, tool, method, python = job
        budgets = setting.budgets(game)
        say(f"wht-surrogate: {tool} on {game}")
        words = {"game": game, "budgets": budgets, "seeds": setting.seeds, "fresh": FRESH, "method": method}
        reply = ask(python, task="spectrum", **words)
        if tool == PROXY_OLD:
            session.versions["shapiq of " + tool] = reply["version"]
        rows, each = [], len(setting.seeds)
        for at, budget in enumerate(budgets):
            runs = reply["runs"][each * at : each * (at + 1)]
            case = setting.case(game, budget)
            failed = next((r["error"] for r in runs if "error" in r), None)
            if failed is not None:
                say(f"  failure of {tool}: {case}: {failed}")
                continue
            rows.append(Row(case, tool, 1, [r["seconds"] for r in runs], {"r2": statistics.median(r["r2"] for r in runs)}))
        return rows

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return [row for rows in pool.map(one, jobs) for row in rows]


def our_fit(setting: Setting, game: str, budget: int, values: list[float]) -> Row:
    seconds, r2s, saids, off = [], [], [], []
    held: dict[str, list[float]] = {level: [] for level in LEVELS}
    folder = setting.folder
    for seed in setting.seeds:
        train, out = folder / "train.csv", folder / "predictions.csv"
        head(folder / f"{game}-{seed}.csv", budget, train)
        words = ["wht", "fit", train, "--value", "value", "--predict", folder / f"{game}-fresh.csv", "--predictions", out]
        answer = ours([*words, "--seed", str(seed), "--quiet"], 1)
        with open(out, newline="") as file:
            rows = [(float(r["value"]), float(r["deviation"])) for r in csv.DictReader(file)]
        mean = statistics.fmean(values)
        left = sum((v - p) ** 2 for v, (p, _) in zip(values, rows, strict=True))
        r2s.append(1 - left / sum((v - mean) ** 2 for v in values))
        for level, place in LEVELS.items():
            scale = answer["report"]["interval_scale"][place]
            near = sum(abs(v - p) <= scale * d for v, (p, d) in zip(values, rows, strict=True))
            held[level].append(near / len(values))
        seconds.append(compute_seconds(answer))
        said = answer["result"]["held_out_r2"]
        if said is not None:
            saids.append(said)
            off.append(said - r2s[-1])
    extras: dict[str, Any] = {"r2": statistics.median(r2s)}
    extras |= {f"held_{level}": statistics.median(shares) for level, shares in held.items()}
    extras |= {"said": statistics.median(saids) if saids else None, "off": max(off, default=None)}
    return Row(setting.case(game, budget), OURS, 1, seconds, extras)


def pursuit(setting: Setting, game: str) -> list[Row]:
    """What was the default before the surrogate, and where the game is exactly sparse the default of today beside it."""
    folder, n = setting.folder, setting.variables[game]
    cells, files, times = [], [], []
    for budget in setting.budgets(game):
        cells.append((budget, PURSUIT, "heredity"))
        if budget >= EXACT.get(game, budget + 1):
            cells.append((budget, AUTO, "auto"))
    works = [(*cell, seed) for cell in cells for seed in setting.seeds]

    def path(at: int, kind: str) -> Path:
        return folder / f"{game}-{at}.{kind}"

    for at, (budget, _, decoder, seed) in enumerate(works):
        prior = ["--sparsity", str(budget), "--samples", str(budget), "--holdout", "0", "--degree", str(min(DEGREE, n))]
        prior += ["--hereditary", "--noise-std", "auto", "--decoder", decoder, "--seed", str(seed), "--quiet"]
        out = ["--out", path(at, "json"), "--queries", path(at, "queries")]
        ours(["wht", "plan", "--variables", str(n), *prior, *out], 1)
        files.append((str(path(at, "queries")), str(path(at, "answers"))))
    ask(setting.python, task="answers", game=game, files=files)
    spectra = []
    for at in range(len(works)):
        answer = ours(["wht", "decode", path(at, "json"), "--answers", path(at, "answers"), "--quiet"], 1)
        terms = answer["result"]["coefficients"]
        spectra.append({"sets": [t["set"] for t in terms], "values": [t["value"] for t in terms]})
        times.append(compute_seconds(answer))
    judged = ask(setting.python, task="judge", game=game, fresh=FRESH, spectra=spectra)["r2"]
    rows, each = [], len(setting.seeds)
    for at, (budget, tool, _) in enumerate(cells):
        part = slice(each * at, each * (at + 1))
        rows.append(Row(setting.case(game, budget), tool, 1, times[part], {"r2": statistics.median(judged[part])}))
    return rows


def head(source: Path, count: int, target: Path) -> None:
    with open(source) as file:
        target.write_text("".join(line for _, line in zip(range(count + 1), file, strict=False)))


def explain(setting: Setting, game: str) -> list[Row]:
    """Shapley values of one game by all estimators."""
    session, n = setting.session, setting.variables[game]
    multiples = [m for m in (MULTIPLES[:1] if session.quick else MULTIPLES) if not setting.without(f"{m}n")]
    budgets = [m * n for m in multiples]
    say(f"wht-surrogate: Shapley values of {game}")
    words: dict[str, Any] = {"game": game, "budgets": budgets, "seeds": setting.seeds}
    permutations = 300 if session.quick else 1_000
    truth = ask(setting.python, task="designs", folder=str(setting.folder), permutations=permutations, **words)["truth"]
    methods = [m for m in ESTIMATORS if not setting.without(m)]
    runs = iter(ask(setting.python, task="shapley", methods=methods, **words)["runs"])
    size = sum(t * t for t in truth)

    def error(values: Iterable[float]) -> float:
        return sum((v - t) ** 2 for v, t in zip(values, truth, strict=True)) / size

    rows = []
    for budget in budgets:
        case = f"Shapley values, {game} n={n}, {budget} evaluations"
        errors: dict[str, list[float]] = {}
        seconds: dict[str, list[float]] = {}
        held = []
        for seed in setting.seeds:
            table = setting.folder / f"{game}-design-{budget}-{seed}.csv"
            answer = ours(["wht", "fit", table, "--value", "value", "--seed", str(seed), "--quiet"], 1)
            found = answer["result"]["shapley"]
            near = sum(abs(e["mean"] - t) <= 1.645 * e["deviation"] for e, t in zip(found, truth, strict=True))
            held.append(near / n)
            errors.setdefault(OURS, []).append(error(e["mean"] for e in found))
            seconds.setdefault(OURS, []).append(compute_seconds(answer))
            for method in methods:
                run = next(runs)
                if "error" in run:
                    say(f"  failure of {method}: {case}: {run['error']}")
                    continue
                errors.setdefault(method, []).append(error(run["values"]))
                seconds.setdefault(method, []).append(run["seconds"])
        for tool, each in errors.items():
            extras: dict[str, Any] = {"error": statistics.fmean(each)}
            if tool == OURS:
                extras["held_90"] = statistics.median(held)
            rows.append(Row(case, tool, 1, seconds[tool], extras))
    return rows


def summary(rows: list[Row]) -> Iterable[str]:
    """The medians that the bars are about, as notes of the record."""
    by_case: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_case.setdefault(row.case, {})[row.tool] = row
    cells = {case: tools for case, tools in by_case.items() if not case.startswith("Shapley")}
    for peers in ((PROXY,), (PROXY_OLD,), (SPEX,), (PROXY, PROXY_OLD, PURSUIT)):
        yield from against(cells, peers)
    for peer in (PROXY, PROXY_OLD):
        halves, wins = 0, 0
        for case, tools in cells.items():
            name, budget = case.removesuffix(" evaluations").rsplit(", ", 1)
            twice = cells.get(f"{name}, {2 * int(budget)} evaluations", {}).get(peer)
            if twice is not None and int(budget) > 100:
                halves += 1
                wins += tools[OURS].extras["r2"] >= twice.extras["r2"] - 0.002
        if halves:
            yield f"at least {peer} with twice the evaluations - 0.002: {wins} of {halves} cells"
    our = [tools[OURS] for tools in cells.values()]
    # Where every value is explained to rounding there is nothing for an interval to hold or not.
    open_cells = [row for row in our if row.extras["r2"] < 0.99999]
    for level in LEVELS:
        shares = [row.extras[f"held_{level}"] for row in open_cells]
        if shares:
            yield f"{level} % intervals hold {statistics.median(shares):.3f} in the median of cells not explained to rounding"
    shares = [row.extras["held_90"] for row in open_cells]
    near = [sum(low <= s <= high for s in shares) for low, high in ((0.8, 0.98), (0.85, 0.95))]
    yield f"90 % intervals hold 0.80 to 0.98 in {near[0]}, 0.85 to 0.95 in {near[1]} of these {len(shares)} cells"
    judged = [(row.extras["said"] - row.extras["r2"], row.extras["off"], row.case) for row in our if row.extras["said"] is not None]
    if judged:
        median = statistics.median(abs(apart) for apart, *_ in judged)
        beyond = [case for _, off, case in judged if off > 0.1]
        yield f"R² that was said is {median:.3f} off in the median, more than 0.1 above it in: {'; '.join(beyond) or 'no cell'}"
    exact = [(tools[AUTO], tools[PURSUIT]) for tools in cells.values() if AUTO in tools]
    if exact:
        least = min(row.extras["r2"] for row, _ in exact)
        slower = max((row.median() or 0.0) / (pursued.median() or 1.0) for row, pursued in exact)
        yield f"exactly sparse: least R² {least:.6f} in {len(exact)} cells, at most {slower:.2f} times the seconds of the pursuit alone"
    explained = [tools for case, tools in by_case.items() if case.startswith("Shapley") and len(tools) > 1]
    if explained:
        ratios = [t[OURS].extras["error"] / min(r.extras["error"] for tool, r in t.items() if tool != OURS) for t in explained]
        yield f"Shapley error over that of the best peer: median {statistics.median(ratios):.3f}, worst {max(ratios):.3f}"
        shares = [t[OURS].extras["held_90"] for t in explained]
        yield f"1.645 deviations of Shapley values hold {statistics.median(shares):.3f} in the median, least {min(shares):.3f}"


def against(cells: dict[str, dict[str, Row]], peers: tuple[str, ...]) -> Iterable[str]:
    """Cells won against the best of some peers, and the unexplained variance beside theirs."""
    ratios: dict[str, list[float]] = {}
    lost, count = [], 0
    for case, tools in cells.items():
        theirs = [tools[peer].extras["r2"] for peer in peers if peer in tools]
        if not theirs:
            continue
        our, best = tools[OURS].extras["r2"], max(theirs)
        count += 1
        if our < best - 0.002:
            lost.append(f"{case} ({our:.4f} against {best:.4f})")
        if our < 0.99999:
            ratios.setdefault(case.removesuffix(" evaluations").rsplit(", ", 1)[1], []).append((1 - our) / (1 - best))
    if count:
        name = peers[0] if len(peers) == 1 else "the best of " + ", ".join(peers)
        text = f"at least {name} - 0.002 in {count - len(lost)} of {count} cells"
        medians = ", ".join(f"{statistics.median(r):.3f} at {budget}" for budget, r in ratios.items())
        yield text + (f"; median of unexplained over its: {medians}" if medians else "") + (f"; lost: {'; '.join(lost)}" if lost else "")
