"""Tables beyond one machine: the same bits on every engine, and what passes cost beside the table in memory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from common import HERE, OURS, ROOT, Disagreement, Row, Session, call, environment, say
from python_package import installed

ENGINES = ("pyarrow", "Sail", "DuckDB", "polars", "Dask", "DataFusion")
SCALE_PARTS = ("engines", "rows", "lasso", "large")


def ask(python: Path, folder: Path, task: str, **request: Any) -> dict[str, Any]:
    words = json.dumps({"task": task, "folder": str(folder), **request})
    out: dict[str, Any] = json.loads(call([python, HERE / "scale_tools.py"], 1, words, timeout=1_800).splitlines()[-1])
    return out


def run_scale(session: Session) -> None:
    python = installed(session)
    data = ROOT / "target" / "data" / "scale"
    shutil.rmtree(data, ignore_errors=True)
    rows = 500_000 if session.quick else 5_000_000
    say(f"scale: generating {rows:,} rows")
    session.versions |= ask(python, data, "generate", rows=rows)
    if "engines" not in session.without:
        engines(session, python, data, rows)
    if "rows" not in session.without:
        for d in (11, 21, 51, 101):
            for kind in ("sums", "keyed coreset", "numbered coreset"):
                found = ask(python, data, "rows", kind=kind, columns=d, repeats=session.repeats)
                case = f"processor time of 1,000 rows of {d} columns"
                session.rows.append(Row(case, kind, 1, [s * 1e3 for s in found["seconds"]]))
    if "lasso" not in session.without:
        found = ask(python, data, "lasso", rows=20_000 if session.quick else 200_000, columns=200)
        case = f"Lasso, 50 penalties and 5 folds, {found['rows']:,} x 200, processor time"
        session.rows.append(Row(case, OURS, 1, [found["sums_s"]], {"apart": found["apart"]}))
        session.rows.append(Row(case, "the table in memory", 1, [found["table_s"]]))
        session.notes.append("apart: largest difference of coefficients of the path, relative to the largest of them")
    if "large" not in session.without:
        many = 10_000_000 if session.quick else 100_000_000
        say(f"scale: {many:,} generated rows")
        for kind in ("keyed coreset", "numbered coreset"):
            found = ask(python, data, "large", kind=kind, rows=many)
            case = f"coreset of 5,000 from {many:,} x 20 generated rows, processor time"
            tool = OURS if kind == "keyed coreset" else kind
            session.rows.append(Row(case, tool, 1, [found["seconds"]], {"resident_mb": found["resident_mb"]}))


def engines(session: Session, python: Path, data: Path, rows: int) -> None:
    digests: dict[str, set[str]] = {}
    for engine in ENGINES:
        say(f"scale: {engine}")
        try:
            found = ask(python, data, "engine", engine=engine, rows=rows)
        except Exception as failure:
            session.off.append(f"{engine}: {failure}")
            continue
        for what in ("coreset", "median"):
            case = f"{'coreset of 5,000' if what == 'coreset' else 'exact median'}, {rows:,} x 11 from Parquet, wall time"
            tool = OURS if engine == "pyarrow" else engine
            extras = {"digest": found[what]["digest"], "gap": found[what].get("gap"), "passes": found[what].get("passes")}
            session.rows.append(Row(case, tool, 1, [found[what]["seconds"]], extras))
            digests.setdefault(what, set()).add(found[what]["digest"])
    for what, all_of_them in digests.items():
        if len(all_of_them) != 1:
            raise Disagreement(f"{what}: the engines gave {len(all_of_them)} different answers")
        session.notes.append(f"{what}: the same bits on all engines, digest {min(all_of_them)}")
    found = ask(python, data, "memory", rows=rows)
    case = f"exact median, {rows:,} x 11 in memory, processor time"
    session.rows.append(Row(case, OURS, 1, [found["passes_s"]], {"gap": found["gap"]}))
    session.rows.append(Row(case, "regress, all rows at once", 1, [found["regress_s"]], {"gap": found["regress_gap"]}))
    session.notes.append("samplewise in the rows from Parquet: row groups read by pyarrow, one after another")
