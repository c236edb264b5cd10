"""The Python package: what a call costs beside the crate inside, memory, and its estimators beside scikit-learn's own."""

from __future__ import annotations

import json
import os
import shutil
import statistics
from pathlib import Path
from typing import Any

import wht_surrogate
from common import HERE, OURS, ROOT, Failure, Row, Session, call, environment, say

FETCHED = {"flights": "flights/flights.csv", "cpssw8": "cpssw8/design.csv", "diamonds": "diamonds/design.csv", "english": "english/kjv.txt"}
PYTHON_PARTS = ("costs", "memory", "regressions", "imputation", "import", "interrupts", "approximators")
EVALUATIONS = 600


def ask(python: Path, task: str, **request: Any) -> list[dict[str, Any]]:
    words = json.dumps({"task": task, "data": str(ROOT / "target" / "data"), **request})
    reply: list[dict[str, Any]] = json.loads(call([python, HERE / "python_package_tools.py"], 1, words))
    return reply


def installed(session: Session) -> Path:
    """The pinned environment with the package of this tree in it, as a wheel of the release profile."""
    python = environment(session)
    if session.build:
        wheels = session.folder / "wheels"
        shutil.rmtree(wheels, ignore_errors=True)
        say("building the wheel")
        pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        os.environ.setdefault("CARGO_TARGET_DIR", str(ROOT / "target"))
        call([*pip, "wheel", "--no-deps", "--wheel-dir", wheels, ROOT], timeout=7_200)
        call([*pip, "install", "--no-deps", "--force-reinstall", *wheels.glob("samplewise-*.whl")])
        size = sum(p.stat().st_size for p in wheels.glob("samplewise-*.whl"))
        session.notes.append(f"wheel: {size / 1e6:.2f} MB")
    return python


def run_python(session: Session) -> None:
    python = installed(session)
    missing = [name for name, file in FETCHED.items() if not (ROOT / "target" / "data" / file).is_file()]
    if missing:
        raise Failure(f"data are not there: python3 scripts/fetch_data.py fetch {' '.join(missing)}")
    session.versions |= ask(python, "versions")[0]
    quick = session.quick
    if "costs" not in session.without:
        say("python: what a call costs")
        for reply in ask(python, "costs", repeats=5 if quick else 21):
            extras = {k: reply[k] for k in ("inside_s", "over_us", "pass_us", "bar_us", "within")}
            session.rows.append(Row(f"processor time of {reply['call']}", OURS, 1, [reply["whole_s"]], extras))
        session.notes.append(
            "over_us: processor time of a call that is not the crate's own; bar_us: 100 µs and one pass over the input, for"
            " estimators also scikit-learn's own validation of it"
        )
    if "memory" not in session.without:
        say("python: memory")
        for what in ("Lasso.fit", "QuantileRegressor.fit", "hamming.distances", "completion.complete"):
            reply = ask(python, "memory", what=what, quick=quick)[0]
            extras = {k: reply[k] for k in ("input_mb", "extra_mb", "share", "bar")}
            session.rows.append(Row(f"extra memory of {what}", OURS, 1, [], extras))
        session.notes.append("share: extra peak memory over that of the input (hamming: over that of the answer)")
    if "regressions" not in session.without:
        regressions(session, python)
    if "imputation" not in session.without:
        imputation(session, python)
    if "import" not in session.without:
        reply = ask(python, "import", repeats=5 if quick else 15)[0]
        session.rows.append(Row("import beyond numpy's own", OURS, 1, reply["seconds"]))
    if "interrupts" not in session.without:
        slowest = 0.0
        for what in ask(python, "long calls")[0]["names"]:
            say(f"python: Ctrl-C, {what}")
            delays = ask(python, "interrupts", what=what, moments=[0.15, 0.4] if quick else [0.1, 0.25, 0.5, 0.8, 1.2])[0]["delays"]
            session.rows.append(Row(f"from Ctrl-C to its exception, {what}", OURS, 1, delays))
            slowest = max([slowest, *delays])
        session.notes.append(f"Ctrl-C: {slowest:.3f} s at most, in calls that were still under way")
    if "approximators" not in session.without:
        approximators(session)


def regressions(session: Session, python: Path) -> None:
    ratios: dict[str, list[float]] = {}
    many: list[str] = []
    for model in ("Lasso", "LassoCV", "QuantileRegressor"):
        for name in ("diabetes", "diamonds", "digits", "flights", "cpssw8", "english"):
            if session.quick and name not in ("diabetes", "digits"):
                continue
            say(f"python: {model} on {name}")
            reply = ask(python, "regression", model=model, table=name, repeats=3 if session.quick else session.repeats)[0]
            case = f"{model}, {name}, {reply['rows']:,} x {reply['columns']:,}"
            for tool in (OURS, "scikit-learn"):
                extras = {"excess": reply["excess"][tool], "apart": reply["apart"] if tool == OURS else None}
                session.rows.append(Row(case, tool, 1, reply["seconds"][tool], extras))
            if reply["apart"] > 1e-5 and max(reply["excess"].values()) < 1e-12:
                many.append(f"{model} on {name}")
            ours, theirs = (statistics.median(reply["seconds"][t]) for t in (OURS, "scikit-learn"))
            ratios.setdefault(model, []).append(theirs / ours)
    for model, all_of_them in ratios.items():
        session.notes.append(f"{model}: {statistics.median(all_of_them):.3g} times as fast as scikit-learn's own in the median")
    if many:
        session.notes.append(f"equal objectives with other coefficients, so that the optimum is not unique: {', '.join(many)}")
    session.notes.append("excess: objective above the least that was found, relative; apart: largest difference of coefficients")


def imputation(session: Session, python: Path) -> None:
    wins: dict[str, int] = {}
    cases = 0
    for name in ("diabetes", "breast_cancer", "wine", "iris", "digits"):
        for pattern in ("at random", "in blocks", "not at random"):
            say(f"python: imputation of {name}, {pattern}")
            reply = ask(python, "imputation", table=name, pattern=pattern)
            case = f"imputation, {name}, 20 % missing {pattern}"
            session.rows += [Row(case, r["tool"], 1, [r["seconds"]], {"rmse": r["rmse"]}) for r in reply]
            best = min(reply, key=lambda r: r["rmse"])["tool"]
            wins[best] = wins.get(best, 0) + 1
            cases += 1
    session.notes.append("rmse: of the missing entries, in standard deviations of their columns; least in " + ", ".join(
        f"{count} of {cases}: {tool}" for tool, count in sorted(wins.items(), key=lambda w: -w[1])))


def approximators(session: Session) -> None:
    """SPEX of both versions of shapiq, and ours in them."""
    wheels = list((session.folder / "wheels").glob("samplewise-*.whl"))
    between = wht_surrogate.python_between
    for name, python in (("wht-surrogate-1.4.1", between((3, 10), (3, 14))), ("wht-surrogate", between((3, 12), (3, 15)))):
        own = environment(session, python, name)
        call([own, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps", "--force-reinstall", *wheels])
        ratios, wins, cases = [], 0, 0
        games = wht_surrogate.GAMES[:3] if session.quick else wht_surrogate.GAMES
        for game in games:
            say(f"python: SPEX on {game}, {name}")
            try:
                words = {"game": game, "budget": EVALUATIONS, "seeds": [0, 1, 2], "fresh": 2_000}
                reply = wht_surrogate.ask(own, task="approximators", **words)
            except Failure as failure:
                say(f"  failure: {failure}")
                continue
            case = f"SPEX on {game}, at most {EVALUATIONS} evaluations, shapiq {reply['version']}"
            medians = {}
            for tool, runs in ((OURS, reply["ours"]), ("shapiq", reply["theirs"])):
                extras = {"r2": statistics.median(r["r2"] for r in runs), "evaluations": runs[0]["evaluations"]}
                session.rows.append(Row(case, tool, 1, [r["seconds"] for r in runs], extras))
                medians[tool] = (extras["r2"], statistics.median(r["seconds"] for r in runs))
            cases += 1
            wins += medians[OURS][0] >= medians["shapiq"][0] - 1e-9
            ratios.append(medians["shapiq"][1] / medians[OURS][1])
        if cases:
            text = f"SPEX in shapiq {reply['version']}: R² at least its own in {wins} of {cases} games"
            session.notes.append(f"{text}, {statistics.median(ratios):.3g} times as fast in the median")
