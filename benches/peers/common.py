"""What the comparisons of all cores share: rows, processes, files, the table and the saved result."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
# Before a Python of ours whose OpenBLAS is current: some machines force AVX2 kernels on all programs, for old builds.
FREE = ("env", "-u", "OPENBLAS_CORETYPE", "-u", "OPENBLAS_L2_SIZE")


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
    build: bool = True
    without: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    versions: dict[str, str | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    off: list[str] = field(default_factory=list)  # what is wrong and recorded all the same

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


def our_program(session: Session, name: str) -> Path:
    """One of our programs of the package `samplewise-benches`, built unless the session says not to."""
    if session.build:
        say(f"building target/release/{name}")
        words = ["--release", "--package", "samplewise-benches", "--features", "peers", "--bin", name]
        call(["cargo", "build", *words])
    program = ROOT / "target" / "release" / name
    if not program.is_file():
        raise Failure(f"target/release/{name} is not there; leave --no-build away")
    return program


def call(command: Sequence[str | Path], threads: int = 1, stdin: str | None = None, timeout: int = TIMEOUT_S) -> str:
    """Standard output of a command that must succeed."""
    words = [str(word) for word in command]
    count = str(threads)
    names = ("RAYON", "OMP", "NUMBA", "OPENBLAS", "MKL")
    environment = os.environ | {f"{name}_NUM_THREADS": count for name in names}
    environment["LOKY_MAX_CPU_COUNT"] = count  # joblib and LightGBM ask for this one
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
            timeout=timeout,
        )
    except OSError as error:
        raise Failure(f"{shown}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{shown}: no answer in {timeout} s") from error
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


def environment(session: Session, interpreter: str = sys.executable, name: str | None = None) -> Path:
    """Python of a pinned environment, that of the session unless named; made again when the requirements or Python change."""
    name = name or session.name
    folder = WORK / name
    requirements = HERE / "requirements" / f"{name}.txt"
    python = folder / "bin" / "python"
    marker = folder / "requirements.sha256"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode() + interpreter.encode()).hexdigest()
    if marker.is_file() and marker.read_text() == digest and python.exists():
        return python
    say(f"making the environment target/peers/{name}")
    shutil.rmtree(folder, ignore_errors=True)
    call([interpreter, "-m", "venv", folder])
    pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    # Everything is pinned, so nothing may come along by itself; `check` finds what is missing.
    # Of all of them only pyspark-client has no wheel.
    call([*pip, "install", "--no-deps", "--only-binary=:all:", "--no-binary=pyspark-client", "-r", requirements])
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
    columns = [c for c in columns if c not in ("failures", "points")]
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
