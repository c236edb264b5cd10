"""Measures for `run.py scale`: one task for each start, JSON from standard input to standard output."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from samplewise import _core, lasso, partitions, sensitivity
from samplewise.partitions import Columns

FEATURES = [f"x{j}" for j in range(10)]
COLUMNS = Columns(FEATURES, target="y", key="id")
ONE = {"threads": 1, "callback": None}


def generate(request: dict[str, Any]) -> dict[str, Any]:
    folder = Path(request["folder"])
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    first, n = 0, request["rows"]
    for k in range(7):
        last = n * (k + 1) // 7
        x = rng.normal(size=(last - first, 10))
        x[:, 9] = np.arange(first, last) % 10_000 == 3
        y = x.sum(axis=1) + rng.standard_t(2, last - first) * (1 + 0.3 * np.abs(x[:, 0]))
        columns = {"id": np.arange(first, last), **dict(zip(FEATURES, x.T, strict=True)), "y": y}
        pq.write_table(pa.table(columns), folder / f"{k}.parquet", row_group_size=131_072)
        first = last
    names = ("samplewise", "numpy", "pyarrow", "pysail", "pyspark-client", "duckdb", "polars", "dask", "datafusion")
    return {name: version(name) for name in names}


def digest(*arrays: Any) -> str:
    h = hashlib.sha256()
    for a in arrays:
        h.update(np.ascontiguousarray(a).tobytes())
    return h.hexdigest()[:16]


def runner(engine: str, folder: str) -> Callable[[Any], Any]:
    files = sorted(glob.glob(folder + "/*.parquet"))
    if engine == "pyarrow":
        return lambda task: [task(pq.ParquetFile(file).iter_batches(65_536)) for file in files]
    if engine == "Sail":
        from pysail.spark import SparkConnectServer
        from pyspark.sql import SparkSession

        from samplewise import spark

        server = SparkConnectServer(ip="127.0.0.1", port=0)
        server.start()
        runner.server = server  # type: ignore[attr-defined]
        session = SparkSession.builder.remote(f"sc://127.0.0.1:{server.listening_address[1]}").getOrCreate()
        return spark._run(session.read.parquet(folder))
    if engine == "DuckDB":
        import duckdb

        base = duckdb.connect()
        return lambda task: [task(base.execute(f"SELECT * FROM '{folder}/*.parquet'").to_arrow_reader(65_536))]
    if engine == "polars":
        import polars as pl

        return lambda task: [task(pl.scan_parquet(folder + "/*.parquet").collect_batches(chunk_size=65_536))]
    if engine == "Dask":
        import dask

        def part(task: Any, file: str) -> Any:
            return task(pq.ParquetFile(file).iter_batches(65_536))

        return lambda task: dask.compute(*[dask.delayed(part)(task, file) for file in files])
    if engine == "DataFusion":
        from datafusion import SessionConfig, SessionContext

        context = SessionContext(SessionConfig().set("datafusion.execution.collect_statistics", "false"))
        context.register_parquet("t", folder)

        def streams(task: Any) -> Any:
            return [task(b.to_pyarrow() for b in s) for s in context.sql("SELECT * FROM t").execute_stream_partitioned()]

        return streams
    raise ValueError(engine)


def engine(request: dict[str, Any]) -> dict[str, Any]:
    run = runner(request["engine"], request["folder"])
    n = request["rows"]
    start = time.perf_counter()
    few = partitions.coreset(run, COLUMNS, size=5_000, random_state=7, expect_rows=n)
    coreset = {"seconds": time.perf_counter() - start, "digest": digest(few.keys, few.sample_weight, few.data)}
    start = time.perf_counter()
    fit = partitions.quantile(run, COLUMNS, quantile=0.5, expect_rows=n)
    median = {
        "seconds": time.perf_counter() - start,
        "digest": digest(fit.coef, [fit.intercept, fit.objective, fit.lower_bound]),
        "gap": fit.gap / fit.objective,
        "passes": len(fit.passes),
    }
    return {"coreset": coreset, "median": median}


def memory(request: dict[str, Any]) -> dict[str, Any]:
    table = pa.concat_tables([pq.read_table(file) for file in sorted(glob.glob(request["folder"] + "/*.parquet"))])
    keys = np.ascontiguousarray(table["id"].to_numpy()).view(np.uint64)
    rows = np.stack([table[name].to_numpy() for name in [*FEATURES, "y"]], axis=1)
    del table
    start = time.process_time()
    settings = {"fit_intercept": True, "tol": 1e-9, "sample_rows": 50_000, "most_rows": 500_000, "max_passes": 30, "random_state": 0}
    driver = _core.QuantilePasses(10, 0.5, settings)
    while (asked := driver.ask()) is not None:
        summary = _core.Summary.of_question(asked[0])
        for first in range(0, len(keys), 65_536):
            summary.update(ONE, keys[first : first + 65_536], rows[first : first + 65_536])
        driver.tell(ONE, summary)
    found = driver.finish()
    passes_s = time.process_time() - start
    x, y = np.ascontiguousarray(rows[:, :10]), np.ascontiguousarray(rows[:, 10])
    start = time.process_time()
    fit = sensitivity.regress(x, y, quantile=0.5, fit_intercept=True, n_jobs=1)
    regress_s = time.process_time() - start
    if abs(fit.objective / found["objective"] - 1) > 1e-8:
        raise ValueError(f"objectives differ: {fit.objective} and {found['objective']}")
    gap = (found["objective"] - found["lower_bound"]) / found["objective"]
    return {"passes_s": passes_s, "gap": gap, "regress_s": regress_s, "regress_gap": 1 - fit.lower_bound / fit.objective}


def made(kind: str, d: int, block: int) -> Callable[[int, Any, Any], None]:
    wanted = (5_000, 1.0, "root_leverage", 7)
    if kind == "numbered coreset":
        stream = _core.CoresetStream(d, wanted)
        return lambda first, keys, x: stream.update(ONE, first, x)
    summary = _core.Summary.folds(np.zeros(d), 1, 0) if kind == "sums" else _core.Summary.coreset(d, wanted)
    return lambda first, keys, x: summary.update(ONE, keys, x)


def rows(request: dict[str, Any]) -> dict[str, Any]:
    """Processor seconds a row."""
    d, block = request["columns"], 65_536
    x = np.random.default_rng(0).normal(size=(block, d))
    seconds = []
    for _ in range(request["repeats"]):
        add = made(request["kind"], d, block)
        count = 6 if d > 30 else 12
        start = time.process_time()
        for k in range(count):
            add(k * block, np.arange(k * block, (k + 1) * block, dtype=np.uint64), x)
        seconds.append((time.process_time() - start) / (count * block))
    return {"seconds": seconds}


def large(request: dict[str, Any]) -> dict[str, Any]:
    block, n = 262_144, request["rows"]
    rng = np.random.Generator(np.random.SFC64(3))
    base = rng.normal(size=(block, 20))
    add, spent = made(request["kind"], 20, block), 0.0
    for first in range(0, n, block):
        count = min(block, n - first)
        # Other rows in each block, for little: a shift of the columns and a factor for each row.
        x = np.roll(base[:count], first // block % 20, axis=1) * rng.uniform(0.5, 2.0, (count, 1))
        keys = np.arange(first, first + count, dtype=np.uint64)
        start = time.process_time()
        add(first, keys, x)
        spent += time.process_time() - start
    return {"seconds": spent, "resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}


def lasso_(request: dict[str, Any]) -> dict[str, Any]:
    n, p = request["rows"], request["columns"]
    rng = np.random.default_rng(5)
    x = rng.normal(size=(n, p)) + rng.normal(size=(n, 1))
    y = x[:, :20] @ rng.normal(size=20) + 5 * rng.normal(size=n)
    names = [f"x{j}" for j in range(p)]
    table = pa.table({"id": np.arange(n), **dict(zip(names, x.T, strict=True)), "y": y})
    columns = Columns(names, target="y", key="id")
    times = []
    for _ in range(3):
        start = time.process_time()
        sums = partitions.lasso(lambda task: [task(table.to_batches(max_chunksize=65_536))], columns, cv=5, alphas=50, n_jobs=1)
        times.append(time.process_time() - start)
    start = time.process_time()
    whole = lasso.cross_validate(x, y, cv=5, alphas=50, n_jobs=1)
    table_s = time.process_time() - start
    ours, own = sums.path.coefs.toarray(), whole.path.coefs.toarray()
    apart = float(np.abs(ours - own).max() / np.abs(own).max())
    return {"sums_s": statistics.median(times), "table_s": table_s, "apart": apart, "rows": n}


if __name__ == "__main__":
    request = json.load(sys.stdin)
    tasks = {"generate": generate, "engine": engine, "memory": memory, "rows": rows, "large": large, "lasso": lasso_}
    print(json.dumps(tasks[request["task"]](request)), flush=True)
    os._exit(0)  # A server that was started is not waited for.
