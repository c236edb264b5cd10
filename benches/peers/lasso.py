"""`samplewise-lasso` beside scikit-learn, celer, skglm, adelie, glmnet, linfa-elasticnet, sparseglm and HiGHS."""

from __future__ import annotations

import json
import statistics
import struct
import tempfile
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import (
    DATA, HERE, OURS, Disagreement, Failure, Row, Session, call, environment, our_program, say, write_atomically,
)
from linalg import check_close, doubles

SPARSEGLM = "0.1.0"
NATIVE = 'build.rustflags=["-C", "target-cpu=native"]'
AVX512 = "OPENBLAS_CORETYPE=SkylakeX"  # kernels that OpenBLAS does not always choose where the processor has them
LEVELS = (1e-3, 1e-6, 1e-10)  # of the relative gap
SHOWN = 1  # the level whose times are in the columns `median s` and `ratio to ours`
TABLES = {"A": (10, 100), "B": (10,), "C": (100,), "D": (10, 100), "D2": (100,)}  # divisors of the largest lambda
DENSE, PATHS = ("A", "B", "C"), ("A", "B", "C", "D")
PATH_PEERS = ("celer", "skglm", "adelie", "glmnet")  # of `lasso-paths`; scikit-learn takes minutes for one of them
COUNT, RATIO, FOLDS = 100, 0.01, 5  # lambdas of a path, the last over the first; folds of cross-validation
SMALL = ((20, 300), (50, 1000))
PATIENCE = 200.0  # seconds for the settings of a tool on one work, and half of it for the runs of each that is chosen


def decades(first: float, count: int) -> tuple[float, ...]:
    return tuple(float(f"{first * 10.0**-k:.0e}") for k in range(count))


@dataclass(frozen=True)
class Tool:
    """A peer: its settings from loose to tight, what it is asked, and how."""

    settings: tuple[Any, ...]
    tables: tuple[str, ...] = tuple(TABLES)
    single: bool = True
    path: bool = True
    small: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()  # of OpenBLAS


PEERS = {
    "scikit-learn": Tool(decades(5e-3, 11), small=("small",)),
    "scikit-learn, Gram": Tool(decades(5e-3, 11), ("C",)),
    "scikit-learn, Gram, AVX-512": Tool(decades(5e-3, 11), ("C",), kernels=("env", AVX512)),
    "scikit-learn LARS": Tool((True,), ("C",), single=False, small=("small", "least-l1")),
    "celer": Tool(decades(1e-2, 13)),
    "skglm": Tool(decades(1e-1, 10)),
    "adelie": Tool(decades(1e-6, 17)),
    "adelie, covariance": Tool(decades(1e-6, 17), ("C",)),
    "glmnet": Tool(decades(1e-6, 17)),
    "glmnet, covariance": Tool(decades(1e-6, 17), ("C",)),
    "linfa-elasticnet": Tool(decades(5e-3, 11), ("A", "C"), path=False, small=("small",)),
    "sparseglm": Tool(decades(1e-1, 10), path=False),
    "HiGHS": Tool(("primal highs-ds", "dual highs-ds", "primal highs-ipm", "dual highs-ipm"), (), small=("least-l1",)),
}
MINE = Tool(LEVELS, small=("small", "least-l1"))


class Lasso:
    """One run: the tools, and where they are."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.home = Session("lasso", session.quick, session.repeats)  # of the environment, whatever the run is called
        self.python = environment(self.home)
        self.program = our_program(session, "peer-lasso")
        self.peers = dict(PEERS)
        self.commands = {OURS: [self.program, "ours"], "linfa-elasticnet": [self.program, "linfa"]}
        for tool, find in (("glmnet", self.glmnet), ("sparseglm", self.sparseglm), ("AVX-512", self.avx512)):
            try:
                find()
            except Failure as failure:
                self.peers = {name: peer for name, peer in self.peers.items() if tool not in name}
                self.note(f"{tool} is left out: {failure}")
        if session.quick:
            self.peers = {name: peer for name, peer in self.peers.items() if "covariance" not in name}

    def glmnet(self) -> None:
        """Of the system (Debian: r-base-core, r-cran-glmnet)."""
        said = call(["Rscript", "-e", 'cat(as.character(getRversion()), as.character(packageVersion("glmnet")))'])
        self.session.versions |= dict(zip(("R", "glmnet"), said.split()))
        for method, tool in (("naive", "glmnet"), ("covariance", "glmnet, covariance")):
            self.commands[tool] = ["Rscript", HERE / "lasso_glmnet.R", method]

    def sparseglm(self) -> None:
        """A project of its own, compiled for this machine: the crate needs an older ndarray than ours."""
        project = self.home.folder / "sparseglm"
        project.mkdir(parents=True, exist_ok=True)
        manifest = (
            '[package]\nname = "lasso-sparseglm"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n'
            f'[[bin]]\nname = "lasso-sparseglm"\npath = "{HERE / "lasso_sparseglm.rs"}"\n[dependencies]\n'
            f'sparseglm = "={SPARSEGLM}"\nndarray = "0.15"\n[profile.release]\ndebug = false\n'
        )
        (project / "Cargo.toml").write_text(manifest, encoding="utf-8")
        target = self.home.folder / "sparseglm-target"
        say(f"building sparseglm {SPARSEGLM}")
        command = ["cargo", "build", "--release", "--manifest-path", project / "Cargo.toml"]
        call([*command, "--target-dir", target, "--config", NATIVE])
        self.session.versions["sparseglm"] = f"{SPARSEGLM}, -C target-cpu=native"
        self.commands["sparseglm"] = [target / "release" / "lasso-sparseglm"]

    def avx512(self) -> None:
        try:
            flags = Path("/proc/cpuinfo").read_text()
        except OSError:
            flags = ""
        if " avx512f " not in flags:
            raise Failure("this processor has no such kernels")

    def note(self, text: str) -> None:
        say(f"lasso: {text}")
        if text not in self.session.notes:
            self.session.notes.append(text)

    def worker(self, task: str, kernels: tuple[str, ...] = (), **ask: Any) -> dict[str, Any]:
        words = json.dumps({"task": task} | ask, default=str)
        reply = json.loads(call([*kernels, self.python, HERE / "lasso_tools.py"], 1, words))
        suffix = f" with {kernels[-1]}" if kernels else ""
        self.session.versions |= reply["versions"] | {name + suffix: said for name, said in reply["kernels"].items()}
        return dict(reply)

    def table(self, name: str) -> tuple[dict[str, Any], float]:
        """What a worker is told, and the largest lambda; the file of facts comes last, so all are there with it."""
        stem = DATA / f"lasso-{name}"
        kinds = {"x": "f64"} if name in DENSE else {"offsets": "u64", "indices": "u32", "values": "f64"}
        files = {key: Path(f"{stem}.{key}.{kind}") for key, kind in (kinds | {"y": "f64"}).items()}
        facts = Path(f"{stem}.json")
        if not facts.is_file():
            say(f"lasso: making {name}")
            DATA.mkdir(parents=True, exist_ok=True)
            reply = self.worker("make table", data=name, files=files)
            kept = {key: reply[key] for key in ("rows", "columns", "largest")}
            write_atomically(facts, json.dumps(kept).encode())
        said = json.loads(facts.read_text())
        return {"rows": said["rows"], "columns": said["columns"], **files}, said["largest"]

    def small(self, rows: int, columns: int, count: int) -> dict[str, Any]:
        stem, sizes = DATA / f"lasso-{rows}-{columns}-{count}", {"rows": rows, "columns": columns, "count": count}
        files = {key: Path(f"{stem}.{key}.f64") for key in ("x", "y", "lambdas")}
        if not files["lambdas"].is_file():  # the last to be written
            DATA.mkdir(parents=True, exist_ok=True)
            self.worker("make small", files=files, seed=rows, **sizes)
        return {**sizes, **files}

    def settings(self, peer: Tool) -> tuple[Any, ...]:
        """Quick: about five of them, where there are more."""
        step = len(peer.settings) // 5 if self.session.quick else 1
        return peer.settings[1::step] if step > 1 else peer.settings

    def sweep(self, name: str, folder: Path, works: dict[str, dict[str, Any]], hasty: float = 2.0, **ask: Any) -> None:
        """Rows of a tool: `works` has what a worker is asked, by the names of the cases; `hasty` is for quick runs."""
        peer = MINE if name == OURS else self.peers[name]
        say(f"lasso: {', '.join(works)}: {name}")
        limits = {"levels": LEVELS, "runs": self.session.repeats, "patience": hasty if self.session.quick else PATIENCE}
        who = {"command": self.commands[name]} if name in self.commands else {"tool": name.removesuffix(", AVX-512")}
        ask |= {"works": list(works.values()), "folder": folder, "ordered": name != "HiGHS"} | limits | who
        try:
            replies = self.worker("sweep", peer.kernels, **ask)["works"]
        except Failure as failure:
            if name == OURS:
                raise
            self.note(f"{', '.join(works)}, {name}: {failure}")
            return
        for case, work, reply in zip(works, works.values(), replies, strict=True):
            if name == OURS:
                check_ours(case, reply)
            if reply["failed"]:
                self.note(f"{case}, {name}: {reply['failed']}")
            if reply["left_out"] and not self.session.quick:
                tightest = work["settings"][-reply["left_out"]]
                self.note(f"{case}, {name}: patience ended before setting {tightest}")
            self.session.rows.append(row_of(case, name, reply))


def row_of(case: str, name: str, reply: dict[str, Any]) -> Row:
    """`median s` is the time to `LEVELS[SHOWN]`, the other levels are columns of their own."""
    points = reply["points"]
    best = [None if i is None else points[i] for i in reply["best"]]
    extras: dict[str, Any] = {}
    for k, point in enumerate(best):
        if k != SHOWN:
            extras[f"s_to_{LEVELS[k]:.0e}"] = None if point is None else statistics.median(point["seconds"])
            extras[f"ratio_at_{LEVELS[k]:.0e}"] = None
    extras["least_error"] = f"{min(point['error'] for point in points):.1e}" if points else None
    for key in ("nonzeros", "chosen"):
        if points and key in points[-1]:
            extras[key] = points[-1][key]
    extras["points"] = points
    shown = best[SHOWN]
    return Row(case, name, 1, [] if shown is None else shown["seconds"], extras)


def check_ours(case: str, reply: dict[str, Any]) -> None:
    """What was asked is what the referee finds, rounding aside."""
    if reply["failed"]:
        raise Failure(f"{case}: {OURS}: {reply['failed']}")
    for point in reply["points"]:
        if "chosen" in point:
            wrong = point["setting"] == LEVELS[-1] and point["chosen"] != point["best"]
        else:
            wrong = not point["error"] <= point["setting"] * (1.0 + 1e-6) + 1e-14
        if wrong:
            raise Disagreement(f"{case}: {OURS}, asked for {point['setting']:.0e}, has {point}")


def run_lasso(session: Session) -> None:
    tools = Lasso(session)
    with tempfile.TemporaryDirectory(dir=tools.home.folder) as name:
        folder = Path(name)
        for table in TABLES:
            if table != "B" or not session.quick:
                compare_table(tools, folder, table, TABLES[table], table in (("C",) if session.quick else PATHS))
        compare_cross_validation(tools, folder)
        for rows, columns in SMALL:
            compare_small(tools, folder, rows, columns)
    for k, level in enumerate(LEVELS):
        if k != SHOWN:
            add_ratios(session.rows, f"{level:.0e}")


def run_lasso_paths(session: Session) -> None:
    """The paths that are too long for a quick run, and with B one lambda."""
    tools = Lasso(session)
    tools.peers = {name: peer for name, peer in tools.peers.items() if name in PATH_PEERS}
    with tempfile.TemporaryDirectory(dir=tools.home.folder) as name:
        folder = Path(name)
        for table in ("A", "D", "B"):
            compare_table(tools, folder, table, {"B": (10,)}.get(table, ()), path=True, hasty=40.0)
    for k, level in enumerate(LEVELS):
        if k != SHOWN:
            add_ratios(session.rows, f"{level:.0e}")


def grid(largest: float) -> list[float]:
    return [largest * RATIO ** (k / (COUNT - 1)) for k in range(COUNT)]


def write_lambdas(path: Path, lambdas: list[float]) -> Path:
    write_atomically(path, struct.pack(f"<{len(lambdas)}d", *lambdas))
    return path


def compare_table(
    tools: Lasso, folder: Path, name: str, divisors: tuple[int, ...], path: bool, hasty: float = 2.0
) -> None:
    table, largest = tools.table(name)
    lambdas = {f"{name}/{k}": [largest / k] for k in divisors}
    if path:
        lambdas[f"path {name}"] = grid(largest)
    files = {case: write_lambdas(folder / case.replace("/", "-"), values) for case, values in lambdas.items()}
    first = len(tools.session.rows)
    for tool, peer in {OURS: MINE, **tools.peers}.items():
        asked = [case for case, values in lambdas.items() if (peer.path if len(values) > 1 else peer.single)]
        if name in peer.tables and asked:
            settings = tools.settings(peer)
            works = {case: {"kind": "table", "settings": settings, "lambdas": files[case]} for case in asked}
            tools.sweep(tool, folder, works, hasty, table=table)
    rows = tools.session.rows
    rows[first:] = sorted(rows[first:], key=lambda row: list(lambdas).index(row.case))


def compare_cross_validation(tools: Lasso, folder: Path) -> None:
    """Our folds, given to the peer as well."""
    case = f"{FOLDS}-fold cross-validation, path C"
    table, largest = tools.table("C")
    out, lambdas = folder / "cross-validation", grid(largest)
    words = [table["rows"], table["columns"], table["x"], table["y"], FOLDS, COUNT]
    call([str(word) for word in (*tools.commands[OURS], 1, out, LEVELS[-1], "cross-validation", *words)])
    found = doubles(out)
    check_close(case, f"lambdas of {OURS}", found[table["rows"] : table["rows"] + COUNT], array("d", lambdas), 1e-12)
    folds = folder / "folds"
    write_atomically(folds, struct.pack(f"<{table['rows']}d", *found[: table["rows"]]))
    work = {"kind": "cross-validation", "lambdas": write_lambdas(folder / "grid", lambdas), "folds": folds}
    peers = ["scikit-learn, Gram", "scikit-learn, Gram, AVX-512"]
    if not tools.session.quick:
        peers.insert(0, "scikit-learn")
    for tool, peer in {OURS: MINE, **tools.peers}.items():
        if tool in (OURS, *peers):
            asked = work | {"settings": tools.settings(peer), "gram": "Gram" in tool}
            tools.sweep(tool, folder, {case: asked}, hasty=20.0, table=table)


def compare_small(tools: Lasso, folder: Path, rows: int, columns: int) -> None:
    count = 100 if tools.session.quick else 300
    files = tools.small(rows, columns, count)
    for kind, title in (("small", "lambda_max/100"), ("least-l1", "least l1")):
        case = f"{count} x {rows} x {columns}, {title}"
        for tool, peer in {OURS: MINE, **tools.peers}.items():
            if kind not in peer.small:
                continue
            asked = {"kind": kind, "settings": LEVELS[-1:] if tool == OURS else tools.settings(peer), **files}
            if tool == "scikit-learn LARS":
                asked["settings"] = (False,)
            if tool == "HiGHS":
                asked["count"] = count // 10
            tools.sweep(tool, folder, {case: asked})


def add_ratios(rows: list[Row], level: str) -> None:
    mine = {row.case: row.extras[f"s_to_{level}"] for row in rows if row.tool == OURS}
    for row in rows:
        own, base = row.extras[f"s_to_{level}"], mine.get(row.case)
        row.extras[f"ratio_at_{level}"] = own / base if own and base else None
