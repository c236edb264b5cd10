"""`samplewise-linalg` beside LAPACK (scipy), numpy, scipy.sparse, faer and FFHT."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import tarfile
import tempfile
import urllib.parse
import urllib.request
from array import array
from pathlib import Path
from typing import Any

from common import (
    DATA, HERE, OURS, FREE, THREADS, Disagreement, Failure, Row, Session, call, environment, our_program, say,
    write_atomically,
)

FALCONN = "FALCONN-1.3.1.tar.gz"
FALCONN_SHA256 = "00cf778a97e9f2d9b501e86c16ff6f39528d70142302028675b3947e4a565eef"
FHT_FLAGS = ("-O3", "-march=native", "-std=gnu99", "-fgnu89-inline")
CONDITIONS = (1e2, 1e4, 1e6, 1e8, 1e10, 1e11, 1e12, 1e13, 1e14)


class Linalg:
    """One run: the tools, and where they are."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.python = environment(session)
        self.program = our_program(session, "peer-linalg")

    def numpy(self, threads: int, **ask: Any) -> dict[str, Any]:
        words = {key: str(value) if isinstance(value, Path) else value for key, value in ask.items()}
        reply = json.loads(call([*FREE, self.python, HERE / "linalg_numpy.py"], threads, json.dumps(words)))
        self.session.versions |= reply["versions"]
        return dict(reply)

    def rust(self, threads: int, runs: int, out: Path, *task: Any) -> list[float]:
        return list(json.loads(call([self.program, str(runs), out, *map(str, task)], threads)))

    def rounds(self) -> tuple[int, int]:
        """Processes of each tool, in turn, and runs inside each."""
        return (1, self.session.repeats) if self.session.quick else (2, self.session.repeats)


def run_linalg(session: Session) -> None:
    tools = Linalg(session)
    with tempfile.TemporaryDirectory(dir=session.folder) as folder:
        compare_qr(tools, Path(folder))
        compare_least_squares(tools, Path(folder))
        compare_sparse(tools, Path(folder))
        compare_walsh_hadamard(tools, Path(folder))


def doubles(path: Path) -> array[float]:
    values = array("d")
    values.frombytes(path.read_bytes())
    return values


def check_close(case: str, tool: str, found: array[float], expected: array[float], least: float) -> None:
    if len(found) != len(expected):
        raise Disagreement(f"{case}: {tool} gives {len(found)} numbers, {len(expected)} expected")
    scale = max(map(abs, expected))
    for i, (a, b) in enumerate(zip(found, expected)):
        if not abs(a - b) <= least * scale:
            raise Disagreement(f"{case}: {tool} says {a} at {i}, {b} expected")


def compare_qr(tools: Linalg, folder: Path) -> None:
    session = tools.session
    shapes = [(20_000, 20), (20_000, 100)] if session.quick else [(1_000_000, 20), (1_000_000, 100)]
    for n, d in shapes:
        case = f"R of {n:,} x {d}"
        say(f"linalg: {case}")
        a, out, truth = folder / "a", folder / "out", folder / "truth"
        tools.numpy(1, task="make matrix", rows=n, columns=d, seed=1, a=a)
        rows = [Row(case, tool, t, []) for tool in (OURS, "faer qr", "LAPACK geqrf") for t in THREADS]
        processes, runs = tools.rounds()
        for _ in range(processes):
            for row in rows:
                if row.tool == "LAPACK geqrf":
                    ask = {"task": "qr", "rows": n, "columns": d, "runs": runs, "a": a, "out": out}
                    row.seconds += tools.numpy(row.threads, **ask)["seconds"]
                else:
                    task = "qr" if row.tool == OURS else "faer-qr"
                    row.seconds += tools.rust(row.threads, runs, out, task, n, d, a)
                found = doubles(out)
                if row.tool == OURS and row.threads == 1:
                    first = found
                if row.tool == OURS and found != first:
                    raise Disagreement(f"{case}: {OURS} has other bits with {row.threads} threads")
                # The upper triangle without signs: a row of R may have either.
                found = array("d", (abs(found[i * d + j]) for i in range(d) for j in range(i, d)))
                if not truth.is_file():
                    truth.write_bytes(found.tobytes())
                check_close(case, row.tool, found, doubles(truth), 1e-9)
        truth.unlink()
        a.unlink()
        session.rows += rows


def compare_least_squares(tools: Linalg, folder: Path) -> None:
    """The error against rational arithmetic, largest entry relative to the largest of the solution."""
    session = tools.session
    n, d = (5_000, 20) if session.quick else (200_000, 20)
    for residual in (0.0, 1e-3):
        for condition in CONDITIONS:
            case = f"least squares {n:,} x {d}, condition {condition:.0e}, residual {residual:g}"
            say(f"linalg: {case}")
            a, b, x, out = (folder / name for name in ("a", "b", "x", "out"))
            tools.numpy(
                2, task="make system", rows=n, columns=d, condition=condition, residual=residual, seed=7, a=a, b=b, x=x
            )
            truth = json.loads(x.read_text())
            for tool in (OURS, "faer qr", "numpy lstsq", "scipy lstsq gelsy"):
                if tool in (OURS, "faer qr"):
                    task = "lstsq" if tool == OURS else "faer-lstsq"
                    seconds = tools.rust(1, session.repeats, out, task, n, d, a, b)
                else:
                    ask = {"task": "lstsq", "tool": tool, "rows": n, "columns": d, "runs": session.repeats}
                    seconds = tools.numpy(1, **ask, a=a, b=b, out=out)["seconds"]
                found = doubles(out)
                differences = [abs(f - t) for f, t in zip(found, truth)]
                bad = not all(map(math.isfinite, found))
                error = "not finite" if bad else f"{max(differences) / max(map(abs, truth)):.1e}"
                session.rows.append(Row(case, tool, 1, seconds, {"error": error}))
                # What any backward stable method promises, with room.
                allowed = 1e3 * 2.2e-16 * (condition + residual * condition**2)
                if tool == OURS and allowed < 0.1 and (bad or float(error) > allowed):
                    raise Disagreement(f"{case}: error {error}, a stable method has below {allowed:.0e}")


def compare_sparse(tools: Linalg, folder: Path) -> None:
    session = tools.session
    widths = [1, 8, 16, 32]
    for n in [10_000] if session.quick else [10_000, 500_000]:
        files = {name: folder / f"sparse-{name}" for name in ("offsets", "indices", "values", "x")}
        tools.numpy(1, task="make sparse", rows=n, per_row=20, widths=widths, seed=3, **files)
        structure = [files["offsets"], files["indices"]]
        for kind, name in (("f8", "f64"), ("f4", "f32")):
            values = Path(f"{files['values']}.{kind}")
            for k in widths if kind == "f8" else widths[1:]:
                case = f"CSR of {20 * n:,} nonzeros times {k} {'column' if k == 1 else 'columns'}, {name}"
                say(f"linalg: {case}")
                x = Path(f"{files['x']}.{k}.{kind}")
                mine, theirs = Row(case, OURS, 1, []), Row(case, "scipy.sparse", 1, [])
                out, other = folder / "out", folder / "other"
                sizes = ["spmv", n, n] if k == 1 else ["spmm", name, n, n, k]
                ask = {"task": "spmm", "kind": kind, "rows": n, "width": k, "x": x, "values": values, "out": other}
                processes, runs = tools.rounds()
                runs = max(runs, 200_000 // n)
                for _ in range(processes):
                    mine.seconds += tools.rust(1, runs, out, *sizes, *structure, values, x)
                    reply = tools.numpy(1, **ask, offsets=structure[0], indices=structure[1], runs=runs)
                    theirs.seconds += reply["seconds"]
                check_close(case, OURS, doubles(out), doubles(other), 1e-12 if kind == "f8" else 1e-5)
                session.rows += [mine, theirs]


def compare_walsh_hadamard(tools: Linalg, folder: Path) -> None:
    session = tools.session
    program = fht_program(session)
    logs = [4, 6, 8, 12, 16] if session.quick else [4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26]
    for kind in ("f32", "f64"):
        for lg in logs:
            case = f"Walsh-Hadamard 2^{lg}, {kind}"
            say(f"linalg: {case}")
            times = max(1, (1 << 22) >> lg)
            rows = [Row(case, OURS, t, []) for t in (THREADS if lg >= 20 else THREADS[:1])]
            peer = Row(case, "FFHT", 1, [])
            out, other = folder / "out", folder / "other"
            processes, runs = tools.rounds()
            for _ in range(processes):
                for row in rows:
                    row.seconds += tools.rust(row.threads, runs, out, "fwht", kind, lg, times)
                lines = call([program, kind, str(lg), str(times), str(runs), other])
                peer.seconds += map(float, lines.split())
                check_close(case, OURS, doubles(out), doubles(other), 1e-12 if kind == "f64" else 1e-5)
            session.rows += [*rows, peer]


def fht_program(session: Session) -> Path:
    """The loop around FFHT, built from the source distribution of FALCONN."""
    folder = session.folder / "fht"
    program = folder / "fht_loop"
    source = DATA / FALCONN
    if not source.is_file():
        write_atomically(source, fetch_falconn())
    if hashlib.sha256(source.read_bytes()).hexdigest() != FALCONN_SHA256:
        raise Failure(f"{FALCONN}: not the file that was pinned; delete target/peers/data/{FALCONN}")
    with tarfile.open(source) as packed:
        for name in ("fht_impl.h",):
            member = packed.extractfile(f"FALCONN-1.3.1/include/falconn/ffht/{name}")
            assert member is not None
            write_atomically(folder / name, member.read())
    call(["cc", *FHT_FLAGS, f"-I{folder}", HERE / "fht_loop.c", "-o", program, "-lm"])
    session.versions |= {"FFHT": "FALCONN 1.3.1", "fht flags": " ".join(FHT_FLAGS)}
    return program


def fetch_falconn() -> bytes:
    """From the package index: pip would try to build the package, and its setup fails on current compilers."""
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/falconn/"
    try:
        with urllib.request.urlopen(index, timeout=60) as page:
            links = re.findall(r'href="([^"#]+)', page.read().decode())
        link = next(link for link in links if link.lower().endswith(FALCONN.lower()))
        with urllib.request.urlopen(urllib.parse.urljoin(index, link), timeout=60) as file:
            return bytes(file.read())
    except (OSError, StopIteration) as error:
        raise Failure(f"{FALCONN}: the package index does not give it: {error}") from error
