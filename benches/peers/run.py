#!/usr/bin/env python3
"""Runs one core of samplewise beside the tools that people use today for the same task.

    python3 benches/peers/run.py NAME [--quick] [--repeats R] [--no-build] [--allow-stalled]

Input is generated once, answers are compared, and only then is anything timed. The table goes to
standard output, `benches/results/NAME.json` gets the same rows with machine, versions and commit.
Exit codes: 0 done, 1 a disagreement or a failed step, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import math
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import add, sub
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "benches" / "peers"
WORK = ROOT / "target" / "peers"
DATA = WORK / "data"
CLI = ROOT / "target" / "release" / "samplewise"
THREADS = (1, 2)
OURS = "samplewise"
TIMEOUT_S = 1800


class Failure(Exception):
    """Why there is no result, in one line."""


class Disagreement(Failure):
    """Two tools gave different answers to the same question."""


@dataclass
class Row:
    """One tool on one case with one number of threads."""

    case: str
    tool: str
    threads: int
    seconds: list[float]
    extras: dict[str, Any] = field(default_factory=dict)

    def median(self) -> float | None:
        return statistics.median(self.seconds) if self.seconds else None


@dataclass
class Session:
    """What the functions of all cores need."""

    name: str
    quick: bool
    repeats: int
    allow_stalled: bool = False
    rows: list[Row] = field(default_factory=list)
    versions: dict[str, str | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return WORK / self.name


# --- processes -----------------------------------------------------------------------------------


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def relative(text: str) -> str:
    """Text without paths of this machine: a result is read on others."""
    for folder, short in (
        (str(ROOT), "."),
        (tempfile.gettempdir(), "TMP"),
        (str(Path.home()), "~"),
    ):
        if len(folder) > 1:
            text = text.replace(folder + os.sep, short + os.sep)
    return text


def call(command: Sequence[str | Path], threads: int = 1, stdin: str | None = None) -> str:
    """Standard output of a command that must succeed."""
    words = [str(word) for word in command]
    count = str(threads)
    names = ("RAYON", "OMP", "NUMBA", "OPENBLAS", "MKL")
    environment = os.environ | {f"{name}_NUM_THREADS": count for name in names}
    shown = relative(" ".join(words))
    try:
        done = subprocess.run(
            words,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment,
            timeout=TIMEOUT_S,
        )
    except OSError as error:
        raise Failure(f"{shown}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{shown}: no answer in {TIMEOUT_S} s") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["(nothing on standard error)"]
        raise Failure(f"{shown}: exit code {done.returncode}: {relative(lines[-1])}")
    return done.stdout


def first_line(command: Sequence[str]) -> str | None:
    """What a tool says about its version, or None where there is no such tool."""
    try:
        return call(command).strip().splitlines()[0]
    except (Failure, IndexError):
        return None


def ours(arguments: Sequence[str | Path], threads: int) -> dict[str, Any]:
    """The JSON answer of our command line."""
    text = call([CLI, *arguments, "--json", "--threads", str(threads)], threads)
    try:
        answer: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise Failure(f"{OURS} {arguments[0]}: no JSON on standard output: {error}") from error
    if answer["threads"] != threads:
        raise Failure(f"{OURS} used {answer['threads']} threads, {threads} were asked")
    return answer


def compute_seconds(answer: dict[str, Any]) -> float:
    return float(answer["report"]["stages"]["compute"])


def environment(session: Session) -> Path:
    """Python of the pinned environment; made again when the requirements or Python change."""
    requirements = HERE / "requirements" / f"{session.name}.txt"
    python = session.folder / "bin" / "python"
    marker = session.folder / "requirements.sha256"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if marker.is_file() and marker.read_text() == digest and python.exists():
        return python
    say(f"making the environment target/peers/{session.name}")
    shutil.rmtree(session.folder, ignore_errors=True)
    call([sys.executable, "-m", "venv", session.folder])
    pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    # Everything is pinned, so nothing may come along by itself; `check` finds what is missing.
    call([*pip, "install", "--no-deps", "--only-binary=:all:", "-r", requirements])
    call([*pip, "check"])
    marker.write_text(digest)
    return python


# --- files ---------------------------------------------------------------------------------------


def write_atomically(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def generated(name: str, make: Callable[[], bytes]) -> Path:
    """A file of target/peers/data, made when it is not there yet; the name says all parameters."""
    path = DATA / name
    if not path.is_file():
        write_atomically(path, make())
    return path


def npy_bytes(values: array[float]) -> bytes:
    """A float64 vector in the .npy format, version 1.0."""
    if sys.byteorder == "big":
        values = array("d", values)
        values.byteswap()
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({len(values)},), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return (
        b"\x93NUMPY\x01\x00"
        + len(header).to_bytes(2, "little")
        + header.encode()
        + values.tobytes()
    )


def read_u32_npy(path: Path) -> array[int]:
    raw = path.read_bytes()
    if raw[:6] != b"\x93NUMPY" or raw[6] not in (1, 2, 3):
        raise Failure(f"{path.name}: not a .npy file")
    width = 2 if raw[6] == 1 else 4
    start = 8 + width + int.from_bytes(raw[8 : 8 + width], "little")
    header = ast.literal_eval(raw[8 + width : start].decode("latin-1"))
    if header["descr"] not in ("<u4", "=u4") or len(header["shape"]) != 1:
        raise Failure(f"{path.name}: {header} is no vector of uint32")
    values = u32_array(raw[start:])
    if len(values) != header["shape"][0]:
        raise Failure(f"{path.name}: {len(values)} values, the header says {header['shape'][0]}")
    return values


def u32_array(raw: bytes) -> array[int]:
    code = next(c for c in "ILH" if array(c).itemsize == 4)
    values = array(code)
    values.frombytes(raw)
    if sys.byteorder == "big":
        values.byteswap()
    return values


# --- hamming -------------------------------------------------------------------------------------

CC_FLAGS = ("-O3", "-march=native", "-std=c11")
PATTERN_LENGTHS = (32, 100, 1_000, 10_000)


def dna(letters: int) -> bytes:
    four = [bytes(b"ACGT"[byte >> shift & 3] for shift in (0, 2, 4, 6)) for byte in range(256)]
    source = random.Random(f"dna {letters}").randbytes((letters + 3) // 4)
    return b"".join(map(four.__getitem__, source))[:letters]


def first_record(fasta: bytes) -> bytes:
    """The sequence of the first record, in upper case."""
    body = fasta.split(b"\n>", 1)[0].partition(b"\n")[2]
    return b"".join(body.split()).upper()


def pattern_of(text: bytes, m: int) -> bytes:
    """The m letters at one third of the text, one in ten replaced by another letter."""
    rng = random.Random(f"pattern {m}")
    start = len(text) // 3
    pattern = bytearray(text[start : start + m])
    for position in rng.sample(range(m), round(0.1 * m)):
        pattern[position] = rng.choice([c for c in b"ACGT" if c != pattern[position]])
    return bytes(pattern)


def dna_texts(session: Session) -> list[tuple[str, Path]]:
    letters = 400_000 if session.quick else 4_000_000
    texts = [(f"dna {letters:,}", generated(f"dna-{letters}.raw", lambda: dna(letters)))]
    folder = Path(os.environ.get("SAMPLEWISE_DATA") or ROOT / "target" / "data")
    ecoli = folder / "ecoli" / "ecoli_MG1655.fa"
    if ecoli.is_file():
        genome = first_record(ecoli.read_bytes())
        genome = genome[:letters] if session.quick else genome
        digest = hashlib.sha256(genome).hexdigest()[:12]
        path = generated(f"ecoli-{len(genome)}-{digest}.raw", lambda: genome)
        texts.append((f"E. coli {len(genome):,}", path))
    else:
        session.notes.append("E. coli left out: scripts/fetch_data.py fetch ecoli was not run")
    return texts


def check_distances(case: str, tool: str, found: array[int], expected: array[int]) -> None:
    if found == expected:
        return
    if len(found) != len(expected):
        raise Disagreement(f"{case}: {tool} gives {len(found)} distances, {len(expected)} expected")
    at = next(i for i, (a, b) in enumerate(zip(found, expected)) if a != b)
    many = sum(a != b for a, b in zip(found, expected))
    raise Disagreement(
        f"{case}: {tool} says distance {found[at]} at alignment {at}, hamming_loop loop says "
        f"{expected[at]}; {many} of {len(expected)} differ"
    )


def run_hamming(session: Session) -> None:
    session.folder.mkdir(parents=True, exist_ok=True)
    program = session.folder / "hamming_loop"
    call(["cc", *CC_FLAGS, HERE / "hamming_loop.c", "-o", program])
    session.versions["cc flags"] = " ".join(CC_FLAGS)
    for text_name, text_path in dna_texts(session):
        text = text_path.read_bytes()
        for m in PATTERN_LENGTHS:
            pattern = pattern_of(text, m)
            name = f"pattern-{text_path.stem}-{m}.raw"
            compare_hamming(session, program, f"{text_name}, m={m}", text_path, name, text, pattern)


def compare_hamming(
    session: Session,
    program: Path,
    case: str,
    text_path: Path,
    pattern_name: str,
    text: bytes,
    pattern: bytes,
) -> None:
    say(f"hamming: {case}")
    pattern_path = generated(pattern_name, lambda: pattern)
    m = len(pattern)

    def definition(i: int) -> int:
        return sum(a != b for a, b in zip(text[i : i + m], pattern))

    with tempfile.TemporaryDirectory(dir=session.folder) as folder:
        out = Path(folder) / "distances"
        call([program, "loop", text_path, pattern_path, out])
        expected = u32_array(out.read_bytes())
        # The loop is the referee of all others, so it is held against the definition first.
        for i in (0, len(text) // 3, len(text) - m):
            if len(expected) != len(text) - m + 1 or expected[i] != definition(i):
                raise Disagreement(
                    f"{case}: hamming_loop loop breaks the definition at alignment {i}"
                )
        call([program, "vertical", text_path, pattern_path, out])
        check_distances(case, "hamming_loop vertical", u32_array(out.read_bytes()), expected)
        npy = Path(folder) / "distances.npy"
        path = ""
        for threads in THREADS:
            answer = ours(["hamming", text_path, pattern_path, "--out", npy], threads)
            path = str(answer["report"]["path"])
            check_distances(case, f"{OURS} --threads {threads}", read_u32_npy(npy), expected)
    mine = [Row(case, OURS, threads, [], {"path": path}) for threads in THREADS]
    loops = [Row(case, f"C {kind}", 1, [], {"path": kind}) for kind in ("loop", "vertical")]
    for _ in range(session.repeats):  # in turn, so that a busy moment hits all alike
        for row in mine:
            answer = ours(["hamming", text_path, pattern_path], row.threads)
            row.seconds.append(compute_seconds(answer))
        for row in loops:
            kind = row.extras["path"]
            row.seconds.append(float(call([program, kind, text_path, pattern_path, "-"])))
    for row in mine + loops:
        row.extras["gcmp_per_s"] = len(expected) * m / 1e9 / (row.median() or math.inf)
    session.rows += mine + loops


# --- wht -----------------------------------------------------------------------------------------

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
class WhtCase:
    """Random supports; `snr` is Σ X[k]²/σ², None without noise.

    The peer has no rule for its own sizes. Its settings are tuned on 60 seeds that are not used
    here: the fewest samples with a success rate of at least 0.95 (table in README.md). With noise
    there are two, one for each meaning of success.
    """

    name: str
    variables: int
    sparsity: int
    snr: float | None
    spread: bool
    peers: tuple[PeerSetting, ...]


SOFT, SINGLE, EXACT = "nso-soft", "nso-soft-single", "identity-single"
WHT_CASES = (
    WhtCase(
        "n=14 K=26 10 dB",
        14,
        26,
        10.0,
        False,
        (PeerSetting(SOFT, 3, 5, 1), PeerSetting(SINGLE, 4, 4, 4)),
    ),
    WhtCase(
        "n=18 K=64 10 dB",
        18,
        64,
        10.0,
        False,
        (PeerSetting(SOFT, 3, 6, 1), PeerSetting(SINGLE, 3, 6, 2)),
    ),
    WhtCase("n=16 K=64 exact, unit", 16, 64, None, False, (PeerSetting(EXACT, 4, 5, 1),)),
    WhtCase("n=16 K=64 exact, spread", 16, 64, None, True, (PeerSetting(EXACT, 4, 5, 1),)),
)


@dataclass(frozen=True)
class Signal:
    seed: int
    truth: dict[int, float]
    noise_std: float
    path: Path


def walsh_hadamard(values: list[float]) -> list[float]:
    """Unnormalised, natural order: each pass transforms the last bit and moves it to the front."""
    for _ in range(len(values).bit_length() - 1):
        even, odd = values[0::2], values[1::2]
        values = [*map(add, even, odd), *map(sub, even, odd)]
    return values


def make_signal(case: WhtCase, seed: int) -> Signal:
    n, sparsity = case.variables, case.sparsity
    kind = "spread" if case.spread else "unit"
    stem = f"wht-n{n}-k{sparsity}-snr{case.snr}-{kind}-{seed}"
    rng = random.Random(stem)
    support = rng.sample(range(1 << n), sparsity)
    low, high = (0.5, 1.5) if case.spread else (1.0, 1.0)
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


def run_wht(session: Session) -> None:
    python = environment(session)
    seeds = range(5 if session.quick else 20)
    session.notes += [
        "SNR is sum of X[k]^2 over sigma^2; amplitudes are +-1, in 'spread' +-[0.5, 1.5]",
        "samplewise: all of compute (plan, reading, decoding, held-out samples, which count);"
        " sparse-transform: its own run time (transforms and peeling), whole_s adds its queries",
        "exact: the returned support is the true one; exact_above_half: coefficients below half"
        " the smallest true magnitude are ignored, for every tool; both of so many trials",
    ]
    for case in WHT_CASES:
        say(f"wht: {case.name}")
        compare_wht(session, python, case, [make_signal(case, seed) for seed in seeds])


def our_wht(case: WhtCase, signal: Signal, threads: int) -> dict[str, Any]:
    noise = ["--noise-std", repr(signal.noise_std)] if case.snr else []
    known = ["--sparsity", str(case.sparsity), "--seed", str(signal.seed)]
    return ours(["wht", "sparse", signal.path, *known, *noise], threads)


def compare_wht(session: Session, python: Path, case: WhtCase, signals: list[Signal]) -> None:
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
    theirs = []
    for setting in case.peers:
        tool = f"sparse-transform {setting}"
        score, failures = Score(least), []
        for signal, reply in zip(signals, ask_peer(session, python, case, setting, signals, 0)):
            found = {int(k): float(v) for k, v in reply["coefficients"]}
            score.count(signal, found, reply["samples"])
            wrong = first_wrong(signal, found, n) if case.snr is None else None
            if reply["error"] or wrong:
                failures.append(relative(reply["error"] or wrong or ""))
                say(f"  failure of {tool}: {failures[-1]}")
        row = Row(case.name, tool, 1, [], score.extras() | {"failures": failures})
        whole: list[float] = []
        for reply in ask_peer(session, python, case, setting, signals, session.repeats):
            row.seconds += reply["decode_s"]
            whole += reply["whole_s"]
        row.extras["whole_s"] = statistics.median(whole) if whole else None
        theirs.append(row)
    for _ in range(session.repeats):
        for signal in signals:
            for row in mine:
                row.seconds.append(compute_seconds(our_wht(case, signal, row.threads)))
    for row in mine:
        row.extras["whole_s"] = row.median()
    session.rows += mine + theirs


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
        "runs": runs,
        "signals": [
            {"seed": s.seed, "values": str(s.path), "noise_std": s.noise_std} for s in signals
        ],
    }
    reply = json.loads(call([python, HERE / "wht_sparse_transform.py"], 1, json.dumps(request)))
    session.versions |= reply["versions"]
    answers: list[dict[str, Any]] = reply["signals"]
    return answers


# --- table and file ------------------------------------------------------------------------------


def number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:#.3g}".removesuffix(".") if value < 999.5 else f"{value:.0f}"


def ratios(rows: list[Row]) -> list[float | None]:
    """Time over that of samplewise with one thread on the same case."""
    base = {row.case: row.median() for row in rows if row.tool == OURS and row.threads == 1}
    out = []
    for row in rows:
        mine, time_s = base.get(row.case), row.median()
        out.append(time_s / mine if mine and time_s is not None else None)
    return out


def table(rows: list[Row]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row.extras))
    columns = [c for c in columns if c != "failures"]
    lines = [["case", "tool", "threads", "median s", "ratio to ours", *columns]]
    for row, ratio in zip(rows, ratios(rows)):
        line = [row.case, row.tool, str(row.threads), number(row.median()), number(ratio)]
        for column in columns:
            value = row.extras.get(column)
            plain = isinstance(value, (int, str))
            line.append(str(value) if plain else number(value))
        lines.append(line)
    widths = [max(map(len, cells)) for cells in zip(*lines)]
    is_text = [not any(cell[:1].isdigit() for cell in cells[1:]) for cells in zip(*lines)]
    is_text[:2] = [True, True]
    out = []
    for i, line in enumerate(lines):
        cells = [c.ljust(w) if left else c.rjust(w) for c, w, left in zip(line, widths, is_text)]
        if 0 < i and lines[i - 1][0] not in (line[0], "case"):
            out.append("")
        out.append("  ".join(cells).rstrip())
    return "\n".join(out)


def cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def git_state() -> dict[str, Any]:
    """Commit, and whether anything but earlier results differs; None where git cannot say."""
    try:
        commit = call(["git", "rev-parse", "HEAD"]).strip()
        others = ["--", ".", ":(exclude)benches/results"]
        status = call(["git", "--no-optional-locks", "status", "--porcelain", *others])
    except Failure:
        return {"commit": None, "dirty": None}
    return {"commit": commit, "dirty": bool(status.strip())}


def save(session: Session, words: list[str], git: dict[str, Any]) -> None:
    versions = {
        "python": platform.python_version(),
        OURS: first_line([str(CLI), "--version"]),
        "rustc": first_line(["rustc", "--version"]),
        "cc": first_line(["cc", "--version"]),
        **session.versions,
    }
    rows = []
    for row, ratio in zip(session.rows, ratios(session.rows)):
        times = row.seconds
        rows.append(
            {
                "case": row.case,
                "tool": row.tool,
                "threads": row.threads,
                "median_s": row.median(),
                "min_s": min(times, default=None),
                "max_s": max(times, default=None),
                "runs": len(times),
                "ratio_to_ours_1_thread": ratio,
                **row.extras,
            }
        )
    document = {
        "name": session.name,
        "date_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": relative(" ".join(["python3", "benches/peers/run.py", *words])),
        "quick": session.quick,
        "machine": {
            "cpu": cpu_model(),
            "cores": os.cpu_count(),
            "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        },
        "versions": versions,
        "git": git,
        "notes": session.notes,
        "rows": rows,
    }
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if str(ROOT) in text or str(Path.home()) + os.sep in text:
        raise Failure(f"a path of this machine is in the result of {session.name}; nothing written")
    write_atomically(ROOT / "benches" / "results" / f"{session.name}.json", text.encode())


# --- command line --------------------------------------------------------------------------------

# None: nobody has written the comparison yet.
CORES: dict[str, tuple[str, Callable[[Session], None] | None]] = {
    "completion": ("low-rank completion", None),
    "wht": ("sparse Walsh-Hadamard transform: sparse-transform", run_wht),
    "hamming": ("all Hamming distances: C loops", run_hamming),
    "sensitivity": ("row sensitivities and coresets", None),
    "lasso": ("lasso and elastic net", None),
    "mtrl": ("multi-task representation learning", None),
    "linalg": ("dense linear algebra", None),
}


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="run.py", description="samplewise beside its peers")
    parser.add_argument("name", choices=CORES, metavar="NAME", help=", ".join(CORES))
    parser.add_argument("--quick", action="store_true", help="small inputs and few seeds")
    parser.add_argument("--repeats", type=positive, metavar="R", help="timed runs (5; quick: 3)")
    parser.add_argument("--no-build", action="store_true", help="use the binary that is there")
    parser.add_argument(
        "--allow-stalled",
        action="store_true",
        help="wht without noise: count an answer of ours that calls itself incomplete as a failure"
        " instead of ending; a wrong one that calls itself complete ends the run all the same",
    )
    arguments = parser.parse_args(words)
    title, run = CORES[arguments.name]
    if run is None:
        say(f"run.py: {arguments.name} ({title}): the peers of this core are not written yet")
        return 2
    repeats = arguments.repeats or (3 if arguments.quick else 5)
    session = Session(arguments.name, arguments.quick, repeats, arguments.allow_stalled)
    try:
        if not arguments.no_build:
            say("building target/release/samplewise")
            call(["cargo", "build", "--release", "-p", "samplewise-cli"])
        if not CLI.is_file():
            raise Failure("target/release/samplewise is not there; leave --no-build away")
        git = git_state()  # before the run: a change made meanwhile is not in the binary
        run(session)
        save(session, words, git)
    except Failure as failure:
        say(f"run.py: {arguments.name}: {failure}")
        return 1
    except KeyboardInterrupt:
        say(f"run.py: {arguments.name}: interrupted, nothing written")
        return 130
    print(table(session.rows))
    for note in session.notes:
        print(f"note: {note}")
    print(f"written: benches/results/{session.name}.json")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
