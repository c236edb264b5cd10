"""`samplewise wht` beside sparse-transform and SparseFHT, and beside SPEX on games made of boosted trees."""

from __future__ import annotations

import json
import math
import mmap
import random
import statistics
import struct
import tempfile
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import add, sub
from pathlib import Path
from typing import Any

from common import (
    DATA, HERE, OURS, ROOT, THREADS, Disagreement, Failure, Row, Session, call, compute_seconds,
    environment, generated, npy_bytes, ours, relative, say,
)
from wht_landscape import Landscape
from wht_sparsefht import FhtSetting, ask_sparsefht, sparsefht_program

# Smaller values are what rounding leaves of a coefficient that was found and taken back.
NOTHING = 1e-6


@dataclass(frozen=True)
class PeerSetting:
    """Sizes for sparse-transform: groups · repeats · (variables + 1) · 2^bins_log2 samples."""

    method: str
    groups: int
    bins_log2: int
    repeats: int

    def __str__(self) -> str:
        shape = f"C={self.groups} b={self.bins_log2}"
        return f"{self.method} {shape}" + (f" R={self.repeats}" if self.repeats > 1 else "")


@dataclass(frozen=True)
class OurPlan:
    """What `wht plan` is asked for beside size, noise and seed. Nothing is held out: the peer does not either."""

    samples: int
    decoder: str = "auto"


@dataclass(frozen=True)
class WhtCase:
    """Random supports; `snr` is Σ X[k]²/σ², None without noise.

    The peer has no rule for its own sizes. Its settings are tuned on 60 seeds that are not used
    here: the fewest samples with a success rate of at least 0.95 (table in README.md). With noise
    there are two, one for each meaning of success. `amplitudes`: unit ±1, spread ±[0.5, 1.5], gauss.
    `plans`: what is compared is decoding alone, for each of these plans of ours. `degree`: a bound that is told
    to both tools.
    """

    name: str
    variables: int
    sparsity: int
    snr: float | None
    amplitudes: str
    peers: tuple[PeerSetting, ...]
    fht: tuple[FhtSetting, ...] = ()
    seeds: int = 20
    plans: tuple[OurPlan, ...] = ()
    degree: int | None = None


SOFT, SINGLE, EXACT = "nso-soft", "nso-soft-single", "identity-single"
WHT_CASES = (
    WhtCase(
        "n=14 K=26 10 dB",
        14,
        26,
        10.0,
        "unit",
        (PeerSetting(SOFT, 3, 5, 1), PeerSetting(SINGLE, 4, 4, 4)),
    ),
    WhtCase(
        "n=18 K=64 10 dB",
        18,
        64,
        10.0,
        "unit",
        (PeerSetting(SOFT, 3, 6, 1), PeerSetting(SINGLE, 3, 6, 2)),
    ),
    WhtCase(
        "n=20 K=102 10 dB",
        20,
        102,
        10.0,
        "unit",
        (PeerSetting(SOFT, 3, 7, 1),),
        plans=(OurPlan(2048), OurPlan(4096)),
    ),
    WhtCase("n=16 K=64 exact, unit", 16, 64, None, "unit", (PeerSetting(EXACT, 4, 5, 1),)),
    WhtCase("n=16 K=64 exact, spread", 16, 64, None, "spread", (PeerSetting(EXACT, 4, 5, 1),)),
    WhtCase(
        "n=20 K=1024 exact, gauss",
        20,
        1024,
        None,
        "gauss",
        (),
        (FhtSetting("optimized", 3, 9), FhtSetting("random", 3, 9)),
        50,
    ),
    WhtCase(
        "n=20 K=1024 exact, unit",
        20,
        1024,
        None,
        "unit",
        (),
        (FhtSetting("optimized", 2, 15), FhtSetting("random", 2, 15)),
        50,
    ),
)


@dataclass(frozen=True)
class Signal:
    seed: int
    truth: dict[int, float]
    noise_std: float
    values: Path | Landscape

    @property
    def path(self) -> Path:
        if isinstance(self.values, Landscape):
            raise Failure(f"{self.values.name} is no file")
        return self.values

    def answers(self, queries: list[int]) -> list[float]:
        if isinstance(self.values, Landscape):
            return [self.values(query) for query in queries]
        with self.values.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            (header,) = struct.unpack_from("<H", raw, 8)  # as `npy_bytes` wrote it
            return [struct.unpack_from("<d", raw, 10 + header + 8 * query)[0] for query in queries]

    def request(self) -> dict[str, Any]:
        """For `wht_sparse_transform.py`."""
        common = {"seed": self.seed, "noise_std": self.noise_std}
        if isinstance(self.values, Landscape):
            return common | {"name": self.values.name, "coefficients": list(self.truth.items())}
        return common | {"values": str(self.values)}


def walsh_hadamard(values: list[float]) -> list[float]:
    """Unnormalised, natural order: each pass transforms the last bit and moves it to the front."""
    for _ in range(len(values).bit_length() - 1):
        even, odd = values[0::2], values[1::2]
        values = [*map(add, even, odd), *map(sub, even, odd)]
    return values


def make_signal(case: WhtCase, seed: int) -> Signal:
    n, sparsity = case.variables, case.sparsity
    stem = f"wht-n{n}-k{sparsity}-snr{case.snr}-{case.amplitudes}-{seed}"
    rng = random.Random(stem)
    support = rng.sample(range(1 << n), sparsity)
    low, high = (0.5, 1.5) if case.amplitudes == "spread" else (1.0, 1.0)
    if case.amplitudes == "gauss":
        truth = {k: rng.gauss(0.0, 1.0) for k in support}
    else:
        truth = {k: rng.uniform(low, high) * rng.choice((-1.0, 1.0)) for k in support}
    energy = sum(v * v for v in truth.values())
    noise_std = math.sqrt(energy / case.snr) if case.snr else 0.0

    def make() -> bytes:
        spectrum = [0.0] * (1 << n)
        for k, value in truth.items():
            spectrum[k] = value
        values = walsh_hadamard(spectrum)
        if noise_std > 0.0:
            values = [v + rng.gauss(0.0, noise_std) for v in values]
        return npy_bytes(array("d", values))

    return Signal(seed, truth, noise_std, generated(f"{stem}.npy", make))


def support(coefficients: Iterable[tuple[int, float]], least: float) -> set[int]:
    return {k for k, value in coefficients if abs(value) >= least}


def first_wrong(signal: Signal, found: dict[int, float], n: int) -> str | None:
    """The first coefficient, by index, at which an answer without noise is not the truth."""
    for k in sorted(signal.truth.keys() | found.keys()):
        truth, value = signal.truth.get(k, 0.0), found.get(k, 0.0)
        if abs(value - truth) >= NOTHING:
            return f"seed {signal.seed}: coefficient {k:0{n}b} is {value}, the truth is {truth}"
    return None


@dataclass
class Score:
    """Success counted in two ways; the same rule for every tool."""

    least: float
    trials: int = 0
    returned: int = 0
    large: int = 0
    samples: list[int] = field(default_factory=list)

    def count(self, signal: Signal, found: dict[int, float], samples: int | None) -> None:
        truth = set(signal.truth)
        self.trials += 1
        self.returned += support(found.items(), NOTHING) == truth
        self.large += support(found.items(), self.least) == truth
        if samples is not None:
            self.samples.append(samples)

    def extras(self) -> dict[str, Any]:
        return {
            "samples": statistics.median_low(self.samples) if self.samples else None,
            "trials": self.trials,
            "exact": self.returned,
            "exact_above_half": self.large,
        }


EXACT_MEANS = (
    "exact: the returned support is the true one; exact_above_half: coefficients below half"
    " the smallest true magnitude are ignored, for every tool; both of so many trials"
)
PLANS_MEAN = (
    "time is decoding alone, from the answers to the coefficients, of samplewise the stage compute of"
    " wht decode; whole_s adds making the queries; no samples are held out; one measurement of"
    " sparse-transform stands beside every plan of ours"
)


def run_wht(session: Session) -> None:
    python = environment(session)
    fht = sparsefht_program(session)
    session.notes += [
        "SNR is sum of X[k]^2 over sigma^2; amplitudes are +-1, in 'spread' +-[0.5, 1.5]",
        "SparseFHT: one call of its function with the values in memory, sparsity known; whole_s: with the"
        " file mapped anew",
        "samplewise: all of compute (plan, reading, decoding, held-out samples, which count);"
        " sparse-transform: its own run time (transforms and peeling), whole_s adds its queries",
        EXACT_MEANS,
        "where the number of samples is part of the case: " + PLANS_MEAN,
    ]
    for case in WHT_CASES:
        say(f"wht: {case.name}")
        seeds = range(5 if session.quick else case.seeds)
        signals = [make_signal(case, seed) for seed in seeds]
        if case.plans:
            compare_plans(session, python, case, signals)
        else:
            compare_wht(session, python, fht, case, signals)


def our_wht(case: WhtCase, signal: Signal, threads: int) -> dict[str, Any]:
    noise = ["--noise-std", repr(signal.noise_std)] if case.snr else []
    known = ["--sparsity", str(case.sparsity), "--seed", str(signal.seed)]
    return ours(["wht", "sparse", signal.path, *known, *noise], threads)


def compare_wht(
    session: Session, python: Path, fht: Path | None, case: WhtCase, signals: list[Signal]
) -> None:
    n = case.variables
    least = 0.5 * min(abs(v) for s in signals for v in s.truth.values())
    score = Score(least)
    path, stalled = "", []
    for signal in signals:
        results = [our_wht(case, signal, threads) for threads in THREADS]
        if any(r["result"] != results[0]["result"] for r in results):
            raise Disagreement(f"{case.name}: seed {signal.seed}: {OURS} depends on its threads")
        result = results[0]["result"]
        path = str(results[0]["report"]["path"])
        found = {int(c["index"], 2): float(c["value"]) for c in result["coefficients"]}
        wrong = first_wrong(signal, found, n) if case.snr is None else None
        if wrong:
            says = "complete" if result["complete"] else "stalled, and says so"
            wrong = f"{case.name}: {OURS} ({says}): {wrong}"
            if result["complete"] or not session.allow_stalled:
                raise Disagreement(wrong)
            stalled.append(wrong)
            say(f"  failure: {wrong}")
        score.count(signal, found, int(result["samples"]))
    extras = score.extras() | {"path": path, "failures": stalled}
    mine = [Row(case.name, OURS, threads, [], dict(extras)) for threads in THREADS]
    theirs = [sparse_transform_row(session, python, case, setting, signals, least) for setting in case.peers]
    if fht is not None:
        theirs += [sparsefht_row(session, fht, case, sizes, signals, least) for sizes in case.fht]
    for _ in range(session.repeats):
        for signal in signals:
            for row in mine:
                row.seconds.append(compute_seconds(our_wht(case, signal, row.threads)))
    for row in mine:
        row.extras["whole_s"] = row.median()
    session.rows += mine + theirs


def compare_plans(session: Session, python: Path, case: WhtCase, signals: list[Signal]) -> None:
    """Each plan of ours, as a case of its own, beside the same rows of the peer."""
    least = 0.5 * min(abs(v) for s in signals for v in s.truth.values())
    theirs = [sparse_transform_row(session, python, case, setting, signals, least) for setting in case.peers]
    for plan in case.plans:
        decoder = "" if plan.decoder == "auto" else f" {plan.decoder}"
        name = f"{case.name},{decoder} {plan.samples} samples"
        score, path = Score(least), ""
        rows = [Row(name, OURS, threads, []) for threads in THREADS]
        whole: dict[int, list[float]] = {threads: [] for threads in THREADS}
        for signal in signals:
            with tempfile.TemporaryDirectory() as folder:
                decode, samples = our_plan(case, plan, signal, Path(folder))
                results = []
                for row in rows:
                    # The first run is the answer that is judged, and is not timed.
                    for run in range(session.repeats + 1):
                        reply = decode(row.threads)
                        if run:
                            row.seconds.append(compute_seconds(reply))
                            making = float(reply["report"]["stages"]["plan"])
                            whole[row.threads].append(making + row.seconds[-1])
                    results.append(reply["result"])
            if any(result != results[0] for result in results):
                raise Disagreement(f"{name}: seed {signal.seed}: {OURS} depends on its threads")
            path = str(reply["report"]["path"])
            found = {int(c["index"], 2): float(c["value"]) for c in results[0]["coefficients"]}
            score.count(signal, found, samples)
        for row in rows:
            row.extras = score.extras() | {"path": path, "whole_s": statistics.median(whole[row.threads])}
        session.rows += rows
        session.rows += [Row(name, row.tool, 1, list(row.seconds), dict(row.extras)) for row in theirs]


def our_plan(
    case: WhtCase, plan: OurPlan, signal: Signal, folder: Path
) -> tuple[Callable[[int], dict[str, Any]], int]:
    """Decoding with so many threads, and the number of samples; the answers are in `folder`."""
    file, queries, answers = (folder / part for part in ("plan.json", "queries", "answers"))
    size = ["--variables", str(case.variables), "--sparsity", str(case.sparsity), "--seed", str(signal.seed)]
    if case.degree is not None:
        size += ["--degree", str(case.degree)]
    noise = ["--noise-std", repr(signal.noise_std)]
    budget = ["--decoder", plan.decoder, "--samples", str(plan.samples), "--holdout", "0"]
    ours(["wht", "plan", *size, *noise, *budget, "--out", str(file), "--queries", str(queries)], 1)
    asked = [int(line, 2) for line in queries.read_text().split()]
    answers.write_text("".join(f"{value!r}\n" for value in signal.answers(asked)))
    return (lambda threads: ours(["wht", "decode", file, "--answers", answers], threads)), len(asked)


def sparse_transform_row(
    session: Session,
    python: Path,
    case: WhtCase,
    setting: PeerSetting,
    signals: list[Signal],
    least: float,
) -> Row:
    tool = f"sparse-transform {setting}"
    score, failures = Score(least), []
    for signal, reply in zip(signals, ask_peer(session, python, case, setting, signals, 0)):
        found = {int(k): float(v) for k, v in reply["coefficients"]}
        score.count(signal, found, reply["samples"])
        wrong = first_wrong(signal, found, case.variables) if case.snr is None else None
        if reply["error"] or wrong:
            failures.append(relative(reply["error"] or wrong or ""))
            say(f"  failure of {tool}: {failures[-1]}")
    row = Row(case.name, tool, 1, [], score.extras() | {"failures": failures})
    whole: list[float] = []
    for reply in ask_peer(session, python, case, setting, signals, session.repeats):
        row.seconds += reply["decode_s"]
        whole += reply["whole_s"]
    row.extras["whole_s"] = statistics.median(whole) if whole else None
    return row


def sparsefht_row(
    session: Session,
    program: Path,
    case: WhtCase,
    setting: FhtSetting,
    signals: list[Signal],
    least: float,
) -> Row:
    n = case.variables
    score, failures = Score(least), []
    whole: list[float] = []
    row = Row(case.name, f"SparseFHT {setting}", 1, [])
    files = [(signal.seed, signal.path) for signal in signals]
    replies = ask_sparsefht(program, setting, n, case.sparsity, session.repeats, files)
    for signal, reply in zip(signals, replies):
        found = {int(k): float(v) for k, v in reply["coefficients"]}
        score.count(signal, found, setting.samples(n))
        wrong = first_wrong(signal, found, n)
        if wrong:
            failures.append(wrong)
            say(f"  failure of {row.tool}: {wrong}")
        row.seconds += reply["decode_s"]
        whole += reply["whole_s"]
    row.extras = score.extras() | {"failures": failures, "whole_s": statistics.median(whole)}
    return row


def ask_peer(
    session: Session,
    python: Path,
    case: WhtCase,
    setting: PeerSetting,
    signals: list[Signal],
    runs: int,
) -> list[dict[str, Any]]:
    request = {
        "variables": case.variables,
        "method": setting.method,
        "groups": setting.groups,
        "bins_log2": setting.bins_log2,
        "repeats": setting.repeats,
        "degree": case.degree,
        "runs": runs,
        "signals": [signal.request() for signal in signals],
    }
    reply = json.loads(call([python, HERE / "wht_sparse_transform.py"], 1, json.dumps(request)))
    session.versions |= reply["versions"]
    answers: list[dict[str, Any]] = reply["signals"]
    return answers


# --- boosted trees, SPEX -------------------------------------------------------------------------

SPEX_MODELS = ("breast_cancer", "diabetes", "wine", "digits", "breast_cancer_binary")
SPEX_BUDGETS = (312, 600, 1200)
SPEX_DEGREE = 5


def run_spex(session: Session) -> None:
    python = environment(session)
    session.notes += [
        "r2: share of the variance explained on 4000 fresh masks, over the instances (10, quick 2);"
        " K: nonzero coefficients of the exact spectrum, mean over the instances",
        "time: from answers to coefficients; whole_s adds making the queries, and of SPEX the"
        " conversion into interactions; evaluating the model is never in it",
        "no samples are held out: all of the budget goes into decoding, as with SPEX",
    ]
    for model in SPEX_MODELS:
        say(f"wht-spex: {model}")
        instances = 1 if model.endswith("_binary") else 2 if session.quick else 10
        runs = session.repeats * (5 if instances == 1 else 1)
        request = {
            "model": str(ROOT / "examples" / "data" / f"trees_{model}.json.gz"),
            "instances": list(range(instances)),
            "held_out": 4_000,
        }

        def ask(task: str, common: dict[str, Any] = request, **more: Any) -> dict[str, Any]:
            words = json.dumps(common | {"task": task} | more)
            reply: dict[str, Any] = json.loads(call([python, HERE / "wht_spex.py"], 1, words))
            return reply

        theirs = ask("spex", budgets=SPEX_BUDGETS, runs=runs, folder=str(DATA))
        session.versions |= theirs["versions"]
        n = theirs["variables"]
        size = statistics.mean(game["coefficients"] for game in theirs["games"])
        for budget in SPEX_BUDGETS:
            case = f"{model} n={n}, {budget} samples"
            rows = our_spex(session, case, n, budget, runs, ask)
            replies = [run for run in theirs["runs"] if run["budget"] == budget]
            row = Row(case, "SPEX", 1, [t for run in replies for t in run["decode_s"]])
            row.extras = fidelity([run["r2"] for run in replies])
            row.extras["evaluations"] = replies[0]["evaluations"]
            whole = [t for run in replies for t in run["whole_s"]]
            row.extras["whole_s"] = statistics.median(whole) if whole else None
            row.extras["failures"] = [relative(run["error"]) for run in replies if run["error"]]
            for failure in dict.fromkeys(row.extras["failures"]):
                say(f"  failure of SPEX: {case}: {failure}")
            rows.append(row)
            for each in rows:
                each.extras["K"] = size
            session.rows += rows


def our_spex(
    session: Session, case: str, n: int, budget: int, runs: int, ask: Callable[..., dict[str, Any]]
) -> list[Row]:
    """Plan, answers from the model, decoding of every instance; the judge is that of SPEX."""
    with tempfile.TemporaryDirectory() as name:
        plan, queries, answers = (Path(name, part) for part in ("plan.json", "queries", "answers"))
        try:
            prior = ["--degree", str(SPEX_DEGREE), "--hereditary", "--noise-std", "auto"]
            size = ["--variables", str(n), "--samples", str(budget), "--holdout", "0"]
            files = ["--out", str(plan), "--queries", str(queries)]
            planned = compute_seconds(ours(["wht", "plan", *size, *prior, *files], 1))
        except Failure as failure:
            if budget == max(SPEX_BUDGETS):
                raise  # fewer samples may be too few for a plan, these never are
            say(f"  failure: {case}: {failure}")
            extras = fidelity([]) | {"evaluations": None, "whole_s": None}
            extras["failures"] = [str(failure)]
            return [Row(case, OURS, threads, [], dict(extras)) for threads in THREADS]
        evaluations = len(queries.read_text().split())
        rows = [Row(case, OURS, threads, []) for threads in THREADS]
        found = []
        for values in ask("answers", queries=str(queries))["answers"]:
            answers.write_text("".join(f"{value!r}\n" for value in values))
            results = []
            for row in rows:
                # The first run is the answer that is judged, and is not timed.
                for run in range(runs + 1):
                    reply = ours(["wht", "decode", plan, "--answers", answers], row.threads)
                    stages = reply["report"]["stages"]
                    if run:
                        row.seconds.append(float(stages.get("decode", stages.get("compute"))))
                results.append(reply["result"])
            if any(result != results[0] for result in results):
                raise Disagreement(f"{case}: {OURS} depends on its threads")
            found.append([[c["index"], c["value"]] for c in results[0]["coefficients"]])
    extras = fidelity(ask("judge", found=found)["r2"])
    for row in rows:
        whole = planned + statistics.median(row.seconds)
        row.extras = extras | {"evaluations": evaluations, "whole_s": whole, "failures": []}
    return rows


def fidelity(shares: list[float | None]) -> dict[str, Any]:
    """Over the instances whose game is not constant."""
    known = [share for share in shares if share is not None]
    mean = statistics.mean(known) if known else None
    return {"r2_mean": mean, "r2_min": min(known, default=None)}
