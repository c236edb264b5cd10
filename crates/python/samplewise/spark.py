"""Answers about Spark data frames: coresets, quantile regression and the Lasso of tables beyond one machine.

Only `select`, `mapInArrow`, `distinct` and `toArrow` are called, so that the same code runs on Apache Spark 3.5 and newer, classic
or Connect, and on Sail. `samplewise` must be installed on every executor. Answers have the same bits on each of them, for every
partition of the rows: see :mod:`samplewise.partitions`.

Sail up to 0.7.2, like DataFusion before its fix #25228, replaces a column of a Parquet file by a constant where only some of its
row groups have statistics. Local files for which that happens are refused; read such files with another engine, or write them
anew.

Examples
--------
>>> from samplewise.spark import quantile  # doctest: +SKIP
>>> fit = quantile(spark.read.parquet("flights"), ["distance", "air_time"], "arr_delay", key="id", quantile=0.9)  # doctest: +SKIP
>>> fit.coef, fit.objective, fit.lower_bound  # doctest: +SKIP
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import partitions
from ._call import Callback, integer
from .hamming import Searcher
from .lasso import CrossValidated, LassoPath
from .partitions import Columns, Coreset, QuantileFit, Task
from .wht import Plan

__all__ = ["answer", "coreset", "hamming", "lasso", "quantile"]

Categories = Mapping[str, Sequence[str]] | Sequence[str] | str | None

#: Levels of a column at most.
_MOST_LEVELS = 1_000
_SCHEMA = "part binary"
#: Footers of Parquet files that are looked at.
_MOST_FILES = 1_000


class _Mapped:
    """What a partition does: one row with its answer, or none."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        answer = self.task(batches)
        if answer is not None:
            yield pa.RecordBatch.from_arrays([pa.array([answer], pa.binary())], names=["part"])


def _run(df: Any) -> partitions.Run:
    def run(task: Task) -> list[bytes | None]:
        mapped = _Mapped(task)

        # A function of its own: Spark wants one, not an object.
        def part(batches: Iterator[Any]) -> Iterator[Any]:
            return mapped(batches)

        out = df.select(*task.columns.needed).mapInArrow(part, _SCHEMA)
        if hasattr(out, "toArrow"):
            answers: list[bytes | None] = out.toArrow().column("part").to_pylist()
            return answers
        return [bytes(row[0]) for row in out.collect()]

    return run


def _columns(
    df: Any,
    features: str | Iterable[str],
    target: str | None,
    key: str | Iterable[str],
    categories: Categories,
    nulls: str,
) -> Columns:
    own = (features,) if isinstance(features, str) else tuple(features)
    there = list(df.columns)
    levels: dict[str, Sequence[str]] = {}
    if isinstance(categories, Mapping):
        levels = dict(categories)
    elif categories is not None:
        for name in (categories,) if isinstance(categories, str) else categories:
            if name not in there:
                raise ValueError(f"there is no column {name!r}, only {there}")
            # One job: the levels must be fixed before the passes.
            found = [row[0] for row in df.select(name).distinct().limit(_MOST_LEVELS + 2).collect()]
            texts = sorted((str(v) for v in found if v is not None), key=lambda text: text.encode())
            if len(texts) > _MOST_LEVELS:
                raise ValueError(f"column {name!r} has more than {_MOST_LEVELS} levels")
            levels[name] = texts
    columns = Columns(own, target=target, key=key, categories=levels, nulls=nulls)
    for name in columns.needed:
        if name not in there:
            raise ValueError(f"there is no column {name!r}, only {there}")
    _check_files(df, columns.needed)
    return columns


def _suspicious(metadata: Any, name: str) -> tuple[Any, int] | None:
    """The constant of a column in some row group, and another row group that has no statistics."""
    constant, without = None, None
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group)
        for at in range(rows.num_columns):
            column = rows.column(at)
            if column.path_in_schema != name or column.num_values == 0:
                continue
            found = column.statistics
            if found is None or not found.has_min_max:
                without = group
            elif found.min == found.max:
                constant = found.min
    return None if constant is None or without is None else (constant, without)


def _check_files(df: Any, names: Sequence[str]) -> None:
    """Refuses Parquet files of which the engine reads a column as the constant of one row group, where another has none."""
    import pyarrow.parquet as pq

    try:
        files = [f.removeprefix("file://") for f in df.inputFiles() if f.endswith(".parquet")][:_MOST_FILES]
    except Exception:  # Not every engine and frame knows its files.
        return
    for file in files:
        if not os.path.isfile(file):
            continue
        with pq.ParquetFile(file) as there:
            for name in names:
                found = _suspicious(there.metadata, name)
                if found is None:
                    continue
                constant, group = found
                read = df.sparkSession.read.parquet(file).select(name).distinct().limit(2).collect()
                own = there.read_row_group(group, [name]).column(0)
                others = [v for v in own.unique().to_pylist()[:2] if v != constant]
                if len(read) == 1 and others:
                    raise ValueError(
                        f"the engine reads column {name!r} of {file} as {constant!r} in every row, the file has {others[0]!r}, "
                        "too (apache/datafusion #25226): write the file with statistics in all of its row groups, or in none"
                    )


def coreset(
    df: Any,
    features: str | Iterable[str],
    *,
    size: int,
    key: str | Iterable[str],
    p: float = 1.0,
    method: str = "root_leverage",
    random_state: Any = 0,
    target: str | None = None,
    categories: Categories = None,
    nulls: str = "error",
    passes: str | int = "auto",
    expect_rows: int | None = None,
) -> Coreset:
    """Draws about `size` rows of a data frame by how much each can matter.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    features : str or sequence of str
        Columns of numbers, or of levels where `categories` names them.
    key : str or sequence of str
        Columns that identify a row; "rows" where there are none. Partition numbers are no key: engines give a partition other
        rows each time.
    categories : mapping of str to sequence of str, or names, optional
        The levels of columns of texts, or the columns whose levels are looked up first, sorted by their bytes.
    size, p, method, random_state, nulls, passes, expect_rows
        As of :func:`samplewise.partitions.coreset` and :class:`samplewise.partitions.Columns`.
    target : str, optional
        Column that is scored with the features.

    Returns
    -------
    samplewise.partitions.Coreset
    """
    columns = _columns(df, features, target, key, categories, nulls)
    settings = {"p": p, "method": method, "random_state": random_state, "passes": passes, "expect_rows": expect_rows}
    return partitions.coreset(_run(df), columns, size=size, **settings)


def quantile(
    df: Any,
    features: str | Iterable[str],
    target: str,
    *,
    key: str | Iterable[str],
    quantile: float = 0.5,
    fit_intercept: bool = True,
    tol: float = 1e-9,
    sample_rows: int = 50_000,
    most_rows: int = 500_000,
    max_passes: int = 30,
    random_state: Any = 0,
    categories: Categories = None,
    nulls: str = "error",
    expect_rows: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    callback: Callback | None = None,
) -> QuantileFit:
    """The quantile regression of all rows of a data frame, exact and proven, in four to seven passes.

    Parameters
    ----------
    df, features, key, categories
        As of :func:`coreset`.
    target : str
        Column of numbers.
    quantile, fit_intercept, tol, sample_rows, most_rows, max_passes, random_state, nulls, expect_rows, resume, callback
        As of :func:`samplewise.partitions.quantile`.

    Returns
    -------
    samplewise.partitions.QuantileFit
    """
    return partitions.quantile(
        _run(df),
        _columns(df, features, target, key, categories, nulls),
        quantile=quantile,
        fit_intercept=fit_intercept,
        tol=tol,
        sample_rows=sample_rows,
        most_rows=most_rows,
        max_passes=max_passes,
        random_state=random_state,
        expect_rows=expect_rows,
        resume=resume,
        callback=callback,
    )


def lasso(
    df: Any,
    features: str | Iterable[str],
    target: str,
    *,
    key: str | Iterable[str],
    cv: int | None = 5,
    alphas: int | Any = 100,
    eps: float = 1e-3,
    l1_ratio: float = 1.0,
    fit_intercept: bool = True,
    positive: bool = False,
    tol: float = 1e-8,
    random_state: Any = 0,
    categories: Categories = None,
    nulls: str = "error",
    expect_rows: int | None = None,
    n_jobs: int | None = None,
    callback: Callback | None = None,
) -> CrossValidated | LassoPath:
    """The Lasso of all rows of a data frame along a path, from sums of products, in one or two passes.

    Parameters
    ----------
    df, features, key, categories
        As of :func:`coreset`.
    target : str
        Column of numbers.
    cv, alphas, eps, l1_ratio, fit_intercept, positive, tol, random_state, nulls, expect_rows, n_jobs, callback
        As of :func:`samplewise.partitions.lasso`.

    Returns
    -------
    samplewise.lasso.CrossValidated, or LassoPath without folds
    """
    return partitions.lasso(
        _run(df),
        _columns(df, features, target, key, categories, nulls),
        cv=cv,
        alphas=alphas,
        eps=eps,
        l1_ratio=l1_ratio,
        fit_intercept=fit_intercept,
        positive=positive,
        tol=tol,
        random_state=random_state,
        expect_rows=expect_rows,
        n_jobs=n_jobs,
        callback=callback,
    )


def answer(
    spark: Any,
    plan: Plan,
    model: Callable[[NDArray[np.uint8]], Any],
    *,
    partitions: int | None = None,
    together: int = 4_096,
) -> NDArray[np.float64]:
    """The values of a model at all points of a plan, computed on the executors.

    Points are made from the plan's seed where they are needed; what travels is the plan, the model and the values. A task that is
    tried again asks for the same points.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    plan : samplewise.wht.Plan
    model : callable
        Values of points, given as rows of zeros and ones; it is pickled.
    partitions : int, optional
        Number of tasks.
    together : int, default 4096
        Points given to the model at a time.

    Returns
    -------
    array of shape (len(plan),)
        For `plan.tell`.
    """
    count, many = len(plan), integer("together", together, 1)
    starts = -(-count // many)

    def values(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        for batch in batches:
            for block in batch.column("id").to_pylist():
                first, last = block * many, min((block + 1) * many, count)
                found = np.asarray(model(plan.ask(first, last)), dtype=np.float64).reshape(-1)
                if len(found) != last - first:
                    raise ValueError(f"the model gave {len(found)} values for {last - first} points")
                yield pa.RecordBatch.from_arrays([pa.array([first], pa.int64()), pa.array([found.tobytes()], pa.binary())], names=["i", "y"])

    tasks = min(starts, integer("partitions", partitions, 1)) if partitions is not None else starts
    out = spark.range(0, starts, 1, tasks).mapInArrow(values, "i long, y binary")
    rows = sorted((int(row[0]), bytes(row[1])) for row in out.collect())
    if [first for first, _ in rows] != list(range(0, count, many)):
        raise ValueError("the engine did not run each task once")
    return np.concatenate([np.frombuffer(y, np.float64) for _, y in rows]) if rows else np.zeros(0)


def hamming(
    df: Any,
    sequence: str,
    patterns: Any,
    max_distance: int | Sequence[int],
    *,
    key: str,
    letters: str | None = None,
    alphabet: str = "dna",
    **settings: Any,
) -> Any:
    """Where patterns are within few mismatches of the sequences of a data frame.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        A row for each sequence, or for each stretch of one (stretches overlap by the longest pattern less one).
    sequence : str
        Column of text or bytes.
    patterns, max_distance, alphabet, **settings
        As of :class:`samplewise.hamming.Searcher`; the alphabet is that of DNA by default.
    key : str
        Column that identifies a sequence.
    letters : str, optional
        Column with the lengths of the sequences: a sequence of another length, such as one that an engine has replaced by the
        constant of another row group, is an error.

    Returns
    -------
    pyspark.sql.DataFrame
        With the columns of `key`, `position`, `pattern`, `reverse` and `distance`.
    """
    searcher = Searcher(patterns, max_distance, alphabet=alphabet, **settings)
    wanted = list(dict.fromkeys([key, sequence, *([letters] if letters is not None else [])]))
    for name in wanted:
        if name not in df.columns:
            raise ValueError(f"there is no column {name!r}, only {list(df.columns)}")
    kind = next(field.dataType for field in df.schema.fields if field.name == key).simpleString()

    def hits(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        for batch in batches:
            keys, texts = batch.column(key), batch.column(sequence)
            lengths = batch.column(letters).to_pylist() if letters is not None else None
            for i in range(batch.num_rows):
                text = texts[i].as_py()
                if text is None:
                    raise ValueError(f"column {sequence!r} is NULL at key {keys[i].as_py()!r}")
                if lengths is not None and lengths[i] != len(text):
                    raise ValueError(f"the sequence at key {keys[i].as_py()!r} has {len(text)} letters, {letters!r} says {lengths[i]}")
                found = searcher.find(text, n_jobs=1)
                n = len(found.position)
                if n:
                    columns = [
                        pa.array([keys[i].as_py()] * n, batch.schema.field(key).type),
                        pa.array(found.position, pa.int64()),
                        pa.array(found.pattern, pa.int64()),
                        pa.array(found.reverse, pa.bool_()),
                        pa.array(found.distance, pa.int64()),
                    ]
                    yield pa.RecordBatch.from_arrays(columns, names=[key, "position", "pattern", "reverse", "distance"])

    schema = f"`{key}` {kind}, position long, pattern long, reverse boolean, distance long"
    return df.select(*wanted).mapInArrow(hits, schema)
