"""Answers about tables that lie in parts: on an engine, in files, on several machines.

Every answer takes a few passes over the table. A pass is a :class:`Task`: called with the batches of a part (record batches of
Arrow) it returns bytes, or nothing for an empty part; parts are merged in any order. The functions here are told how to run a
task, as a function that gives it to all parts and returns what came. :mod:`samplewise.spark` is that function for Spark and Sail.

Rows have keys that identify them. What is drawn depends on the keys alone and sums are held in twice the precision, so that
answers have the same bits for every order and partition of the rows, on every engine.

Examples
--------
>>> import numpy as np, pyarrow as pa
>>> from samplewise.partitions import Columns, quantile
>>> rng = np.random.default_rng(0)
>>> x = rng.normal(size=(6000, 2))
>>> table = pa.table({"id": np.arange(6000), "a": x[:, 0], "b": x[:, 1], "y": x @ [1.0, 2.0] + rng.standard_cauchy(6000)})
>>> parts = [table.slice(start, 2000).to_batches() for start in (4000, 0, 2000)]
>>> fit = quantile(lambda task: [task(part) for part in parts], Columns(["a", "b"], target="y", key="id"), quantile=0.5)
>>> fit.status, fit.n_rows
('converged', 6000)
"""

from __future__ import annotations

import json
import os
import re
import struct
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._call import Callback, call, integer, real, seed
from ._result import describe
from .lasso import CrossValidated, LassoPath, _alphas, _settings

__all__ = ["Columns", "Coreset", "QuantileFit", "Task", "coreset", "lasso", "merge", "quantile"]

Floats = NDArray[np.float64]
Run = Callable[["Task"], Iterable["bytes | None"]]

#: The key of rows that have none: all features together.
_ROWS = ("rows",)
#: Rows that are gathered before they are added.
_TOGETHER = 1 << 16
#: Bytes of the rows of one coreset up to which each part brings its own, in one pass.
_ONE_PASS = 16_000_000
#: Squared size of a column beside its variance from which sums are taken about its mean.
_FAR = 1e6


def _names(name: str, value: str | Iterable[str]) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value)
    for one in names:
        if not isinstance(one, str):
            raise TypeError(f"{name} holds {one!r}, allowed are names of columns")
    if len(set(names)) != len(names):
        raise ValueError(f"{name} names a column twice: {list(names)}")
    return names


@dataclass(frozen=True, init=False)
class Columns:
    """The columns of a table that an answer is about.

    Parameters
    ----------
    features : sequence of str
        Columns of numbers, or of levels where `categories` has them.
    target : str, optional
        Column of numbers.
    key : str or sequence of str
        Column or columns that identify a row: whole numbers, texts, dates, or several of these. Equal keys share their luck.
        The word "rows" stands for a key made of all features, where the table has no other; rows that are alike then share
        their luck.
    categories : mapping of str to sequence of str, optional
        The levels of columns of texts, in the order of their columns; each level but the first is a column of zeros and ones,
        or each level with `all_levels`.
    nulls : {"error", "drop"}
        Whether rows with NULL or NaN are an error or left out.
    all_levels : bool, default False
        Whether the first level has a column, too: then the columns of a feature add up to one, the intercept.
    """

    features: tuple[str, ...]
    target: str | None
    key: tuple[str, ...]
    categories: tuple[tuple[str, tuple[str, ...]], ...]
    nulls: str
    all_levels: bool

    def __init__(
        self,
        features: str | Iterable[str],
        *,
        key: str | Iterable[str],
        target: str | None = None,
        categories: Mapping[str, Sequence[str]] | None = None,
        nulls: str = "error",
        all_levels: bool = False,
    ) -> None:
        own, keys = _names("features", features), _names("key", key)
        if not own or not keys:
            raise ValueError(f"{'key' if own else 'features'} names no column")
        if nulls not in ("error", "drop"):
            raise ValueError(f'nulls is {nulls!r}, allowed is "error" or "drop"')
        if target is not None and target in own:
            raise ValueError(f"the target {target!r} is among the features")
        levels = {name: tuple(values) for name, values in (categories or {}).items()}
        for name, values in levels.items():
            if name not in own:
                raise ValueError(f"categories names {name!r}, which is no feature")
            if not values or len(set(values)) != len(values) or not all(isinstance(v, str) for v in values):
                raise ValueError(f"the levels of {name!r} are {list(values)}, allowed are different texts")
        for field, value in (
            ("features", own),
            ("target", target),
            ("key", keys),
            ("categories", tuple(levels.items())),
            ("nulls", nulls),
            ("all_levels", bool(all_levels)),
        ):
            object.__setattr__(self, field, value)

    @property
    def needed(self) -> list[str]:
        """The columns that are read."""
        keys = () if self.key == _ROWS else self.key
        return list(dict.fromkeys([*keys, *self.features, *([self.target] if self.target else [])]))

    @property
    def names(self) -> list[str]:
        """A name for each feature, and one for each level that has a column."""
        levels = dict(self.categories)
        out: list[str] = []
        for feature in self.features:
            if feature in levels:
                out += [f"{feature}={level}" for level in levels[feature][0 if self.all_levels else 1 :]]
            else:
                out.append(feature)
        return out


class _RowError(ValueError):
    """Something that is wrong with a row or a column: told by a part as a part of its answer."""


def _place(batch: Any, columns: Columns, row: int) -> str:
    if columns.key == _ROWS:
        return f"in row {row} of a batch"
    values = [batch.column(name)[row].as_py() for name in columns.key]
    return f"at key {values[0] if len(values) == 1 else tuple(values)}"


def _column(batch: Any, name: str) -> Any:
    at = batch.schema.get_field_index(name)
    if at < 0:
        raise _RowError(f"there is no column {name!r}, only {batch.schema.names}")
    return batch.column(at)


def _key(column: Any, name: str) -> NDArray[np.uint64]:
    import pyarrow as pa

    if column.null_count:
        raise _RowError(f"the key column {name!r} is NULL in a row: a key identifies a row")
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int64())
    elif pa.types.is_temporal(kind):
        column = column.view(pa.int64() if kind.bit_width == 64 else pa.int32()).cast(pa.int64())
    if pa.types.is_uint64(kind):
        numbers: NDArray[np.uint64] = column.to_numpy(zero_copy_only=False)
        return numbers
    if pa.types.is_integer(column.type):
        whole = np.ascontiguousarray(column.cast(pa.int64()).to_numpy(zero_copy_only=False))
        return whole.view(np.uint64)
    if pa.types.is_floating(kind):
        try:
            return _core.keys_of_numbers(np.ascontiguousarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False)))
        except ValueError:
            raise _RowError(f"the key column {name!r} is NaN in a row: a key identifies a row") from None
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        texts = column.cast(pa.large_string())
        _, offsets, data = texts.buffers()
        if len(texts) == 0:
            return np.zeros(0, np.uint64)
        starts = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
        return _core.keys_of_texts(starts, np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8))
    raise _RowError(f"the key column {name!r} is {kind}, allowed are whole numbers, numbers, texts and dates")


def _keys(batch: Any, columns: Columns, values: Floats) -> NDArray[np.uint64]:
    if columns.key == _ROWS:
        parts = np.stack([_core.keys_of_numbers(np.ascontiguousarray(column)) for column in values.T], axis=1)
        return _core.keys_of_parts(parts)
    parts_of = [_key(_column(batch, name), name) for name in columns.key]
    return parts_of[0] if len(parts_of) == 1 else _core.keys_of_parts(np.stack(parts_of, axis=1))


def _numbers(batch: Any, name: str) -> Floats:
    import pyarrow as pa

    column = _column(batch, name)
    kind = column.type
    numeric = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind)
    if not numeric:
        raise _RowError(f"column {name!r} is {kind}: give numbers, or its levels as categories={{{name!r}: [...]}}")
    values: Floats = column.cast(pa.float64()).to_numpy(zero_copy_only=False)  # NULL becomes NaN
    return values


def _levels(batch: Any, name: str, levels: tuple[str, ...], columns: Columns) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The number of the level of each row, and whether it has none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = _column(batch, name)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    texts = column.cast(pa.string())
    found = pc.index_in(texts, value_set=pa.array(levels, pa.string()))
    missing = np.asarray(texts.is_null())
    unknown = np.asarray(found.is_null()) & ~missing
    if unknown.any():
        row = int(np.flatnonzero(unknown)[0])
        place = _place(batch, columns, row)
        raise _RowError(f"column {name!r} is {texts[row].as_py()!r} {place}, which is none of its {len(levels)} levels")
    return np.asarray(found.fill_null(0).cast(pa.int64())), missing


def _matrix(batch: Any, columns: Columns, dropped: dict[str, int]) -> tuple[Floats, Any]:
    """Features and target of the rows that are not left out, and those rows of the batch."""
    levels = dict(columns.categories)
    all_names = [*columns.features, *([columns.target] if columns.target else [])]
    width = len(columns.names) + (columns.target is not None)
    out = np.empty((batch.num_rows, width))
    bad = np.zeros(batch.num_rows, bool)
    at = 0
    for name in all_names:
        if name in levels:
            number, missing = _levels(batch, name, levels[name], columns)
            own = range(0 if columns.all_levels else 1, len(levels[name]))
            for level in own:
                out[:, at] = number == level
                at += 1
        else:
            out[:, at] = _numbers(batch, name)
            missing = ~np.isfinite(out[:, at])
            at += 1
        if missing.any():
            row = int(np.flatnonzero(missing)[0])
            if columns.nulls == "error":
                value = "NULL" if _column(batch, name)[row].as_py() is None else f"{out[row, at - 1]}".replace("nan", "NaN")
                place = _place(batch, columns, row)
                more = '; nulls="drop" leaves such rows out' if value in ("NULL", "NaN") else ""
                raise _RowError(f"column {name!r} is {value} {place}{more}")
            if name not in levels and np.isinf(out[missing, at - 1]).any():
                row = int(np.flatnonzero(np.isinf(out[:, at - 1]))[0])
                place = _place(batch, columns, row)
                raise _RowError(f"column {name!r} is {out[row, at - 1]} {place}")
            dropped[name] = dropped.get(name, 0) + int((missing & ~bad).sum())
            bad |= missing
    if bad.any():
        import pyarrow as pa

        return np.ascontiguousarray(out[~bad]), batch.filter(pa.array(~bad))
    return out, batch


def _batch(one: Any) -> Any:
    import pyarrow as pa

    if isinstance(one, pa.RecordBatch):
        return one
    if isinstance(one, pa.Table):
        chunks = one.combine_chunks().to_batches()
        return chunks[0] if chunks else pa.RecordBatch.from_pylist([], schema=one.schema)
    if hasattr(one, "__arrow_c_array__"):
        return pa.record_batch(one)
    if hasattr(one, "__arrow_c_stream__"):
        return _batch(pa.table(one))
    raise TypeError(f"a batch is {type(one).__name__}, allowed are record batches and tables of Arrow")


def _sealed(head: dict[str, Any], summary: bytes) -> bytes:
    text = json.dumps(head).encode()
    return struct.pack("<I", len(text)) + text + summary


@dataclass(frozen=True)
class Task:
    """What one pass asks of a part of a table: called with its batches, it returns bytes, or None where there is no row.

    Tasks can be pickled, and have no state: a part may be given to one again.
    """

    columns: Columns
    template: bytes

    def __call__(self, batches: Iterable[Any]) -> bytes | None:
        summary, run = _core.Summary.from_bytes(self.template), call(1)
        dropped: dict[str, int] = {}
        held: list[tuple[NDArray[np.uint64], Floats]] = []
        count, seen = 0, 0
        try:
            for one in batches:
                whole = _batch(one)
                if whole.num_rows == 0:
                    continue
                seen += whole.num_rows
                rows, batch = _matrix(whole, self.columns, dropped)
                held.append((_keys(batch, self.columns, rows), rows))
                count += len(rows)
                if count >= _TOGETHER:
                    summary.update(run, *(np.concatenate(parts) for parts in zip(*held, strict=True)))
                    held, count = [], 0
            if count:
                summary.update(run, *(np.concatenate(parts) for parts in zip(*held, strict=True)))
            summary.compact()
        except ValueError as error:
            return _sealed({"version": _core.__version__, "error": str(error)}, b"")
        if seen == 0:
            return None
        return _sealed({"version": _core.__version__, "dropped": dropped}, summary.to_bytes())


def merge(parts: Iterable[bytes | None]) -> tuple[_core.Summary, dict[str, int]]:
    """The summary of all parts, and the rows that were left out, by column.

    Parameters
    ----------
    parts : iterable of bytes
        What a :class:`Task` returned, in any order; None for empty parts.

    Returns
    -------
    (summary, dropped)

    Raises
    ------
    ValueError
        For what a part found wrong with its rows, where no part has rows, and where a part was made by another version.
    """
    whole: _core.Summary | None = None
    dropped: dict[str, int] = {}
    errors: list[str] = []
    run = call()
    for part in parts:
        if part is None:
            continue
        (length,) = struct.unpack_from("<I", part)
        head = json.loads(part[4 : 4 + length])
        if head["version"] != _core.__version__:
            raise ValueError(
                f"a part was made by samplewise {head['version']}, this is {_core.__version__}: install the same version everywhere"
            )
        if "error" in head:
            errors.append(head["error"])
            continue
        for name, count in head["dropped"].items():
            dropped[name] = dropped.get(name, 0) + count
        summary = _core.Summary.from_bytes(part[4 + length :])
        if whole is None:
            whole = summary
        else:
            whole.merge(run, summary)
    if errors:
        raise ValueError(min(errors))
    if whole is None or whole.seen()[0] == 0:
        raise ValueError("the table has no rows")
    return whole, dropped


def _pass(run: Run, columns: Columns, template: bytes, expected: int | None) -> tuple[_core.Summary, dict[str, int]]:
    whole, dropped = merge(run(Task(columns, template)))
    rows = whole.seen()[0] + sum(dropped.values())
    if expected is not None and rows != expected:
        raise ValueError(
            f"the table has {rows:,} rows, expected are {expected:,}: it changed, or part of it is computed anew each time "
            "(cache or write it first)"
        )
    return whole, dropped


@dataclass(frozen=True, eq=False)
class Coreset:
    """Rows that stand for all of a table.

    Attributes
    ----------
    keys : array of uint64
        The keys of the rows: the numbers themselves for one column of whole numbers (`.view("int64")`), else their hashes.
    sample_weight : array
        Weight of each, for any estimator that takes one.
    data : array of shape (n, n_columns)
        The features (and the target behind them, where there is one).
    names : list of str
        Names of its columns.
    n_rows, checksum : int
        Rows of the table, and the sum of their hashed keys.
    rank : int
    condition : float
        Of the table.
    report : dict
        `total`, `rank_lost`, `dropped`, `passes`.
    """

    keys: NDArray[np.uint64]
    sample_weight: Floats
    data: Floats
    names: list[str]
    n_rows: int
    checksum: int
    rank: int
    condition: float
    report: dict[str, Any]

    def __len__(self) -> int:
        return len(self.keys)

    def to_pandas(self) -> Any:
        """As a data frame, with the columns `key` and `sample_weight` in front."""
        import pandas as pd

        frame = pd.DataFrame(self.data, columns=self.names)
        frame.insert(0, "sample_weight", self.sample_weight)
        frame.insert(0, "key", self.keys)
        return frame

    def __repr__(self) -> str:
        said = {"rank": self.rank, "condition": self.condition, "checksum": f"{self.checksum:016x}"}
        return describe("Coreset", {"rows": len(self), "of": self.n_rows}, said)


def coreset(
    run: Run,
    columns: Columns,
    *,
    size: int,
    p: float = 1.0,
    method: str = "root_leverage",
    random_state: Any = 0,
    passes: str | int = "auto",
    expect_rows: int | None = None,
) -> Coreset:
    """Draws about `size` rows by how much each can matter.

    Parameters
    ----------
    run : callable
        Gives a :class:`Task` to all parts of the table, and returns what came.
    columns : Columns
        Features by which rows are scored; a target is scored with them.
    size : int
        Expected number of rows at most.
    p : float, default 1
        Power of the absolute errors that the rows are to stand for, 1 to 2.
    method : {"root_leverage", "leverage", "uniform"}
        Scores.
    random_state : int or numpy generator, default 0
        Seed of the hash of keys.
    passes : {"auto", 1, 2}
        In one pass each part brings its own `size` rows; in two only sums travel first, and then the coreset. The rows are the
        same.
    expect_rows : int, optional
        Number of rows of the table; any other is an error.

    Returns
    -------
    Coreset
    """
    d = len(columns.names) + (columns.target is not None)
    wanted = (integer("size", size, 1), real("p", p), str(method), seed(random_state))
    if passes not in ("auto", 1, 2):
        raise ValueError(f'passes is {passes!r}, allowed is "auto", 1 or 2')
    count = (1 if 8 * wanted[0] * (d + 2) <= _ONE_PASS else 2) if passes == "auto" else int(passes)
    template = _core.Summary.coreset(d, wanted)
    if count == 2:
        sums, _ = _pass(run, columns, _core.Summary.folds(np.zeros(d), 1, 0).to_bytes(), expect_rows)
        template = sums.then_coreset(wanted)
    whole, dropped = _pass(run, columns, template.to_bytes(), expect_rows)
    data, keys, weights, report = whole.finish_coreset(call())
    rows, checksum, _ = whole.seen()
    if columns.key == _ROWS and len(np.unique(keys)) < 0.99 * len(keys):
        shared = 1 - len(np.unique(keys)) / len(keys)
        warnings.warn(f"{100 * shared:.1f} % of the rows drawn share a key with another row", stacklevel=2)
    names = [*columns.names, *([columns.target] if columns.target else [])]
    rank, condition = report.pop("rank"), report.pop("condition")
    report.update(dropped=dropped, passes=count)
    return Coreset(keys, weights, data, names, rows, checksum, rank, condition, report)


@dataclass(frozen=True, eq=False)
class QuantileFit:
    """A quantile regression of all rows of a table, with its certificate.

    Attributes
    ----------
    coef : array
        One for each of `names`.
    intercept : float
        Intercept, 0 without one.
    objective : float
        Sum of the losses of all rows.
    lower_bound : float or None
        No coefficients have less; rounding is accounted for.
    ranges : array of shape (n, 2)
        For each coefficient, and behind them for the intercept where there is one: values that belong to fits which are as
        good, within `tol`. Where they are far apart the table does not determine the coefficient.
    status : str
        "converged" or "not_converged".
    ending : str
        "finished", "limit" or "interrupted".
    names : list of str
        Names of the coefficients.
    n_rows, checksum, rank : int
        Of the table.
    passes : list of dict
        `stage`, `objective`, `open`, `sent` and `wrong` of each pass.
    dropped : dict
        Rows left out, by column.
    """

    coef: Floats
    intercept: float
    objective: float
    lower_bound: float | None
    ranges: Floats
    status: str
    ending: str
    names: list[str]
    n_rows: int
    checksum: int
    rank: int
    passes: list[dict[str, Any]]
    dropped: dict[str, int]

    @property
    def gap(self) -> float | None:
        """How far the objective can be above the least there is."""
        return None if self.lower_bound is None else self.objective - self.lower_bound

    def predict(self, X: Any) -> Floats:
        """Values of rows, in the order of `names`."""
        product: Floats = np.asarray(X, dtype=np.float64) @ self.coef + self.intercept
        return product

    def __repr__(self) -> str:
        said = {"objective": self.objective, "lower_bound": self.lower_bound, "passes": len(self.passes)}
        return describe("QuantileFit", {"status": self.status, "rows": self.n_rows, "coefs": len(self.coef)}, said)


def quantile(
    run: Run,
    columns: Columns,
    *,
    quantile: float = 0.5,
    fit_intercept: bool = True,
    tol: float = 1e-9,
    sample_rows: int = 50_000,
    most_rows: int = 500_000,
    max_passes: int = 30,
    random_state: Any = 0,
    expect_rows: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    callback: Callback | None = None,
) -> QuantileFit:
    """The quantile regression of all rows, exact and proven, in four to seven passes over the table.

    Parameters
    ----------
    run : callable
        Gives a :class:`Task` to all parts of the table, and returns what came.
    columns : Columns
        With a target.
    quantile : float, default 0.5
        Above 0 and below 1.
    fit_intercept : bool, default True
    tol : float, default 1e-9
        Relative gap that counts as converged.
    sample_rows, most_rows : int
        Rows that a sampling pass brings, and rows near the fit that a later one may.
    max_passes : int, default 30
    random_state : int or numpy generator, default 0
        Seed of the hash of keys.
    expect_rows : int, optional
        Number of rows of the table; any other is an error. Later passes are compared with the first in any case.
    resume : path, optional
        File that holds what is known after each pass; where it is there, the call goes on from it. It is removed at the end.
    callback : callable, optional
        Called after each pass with its kind, its number, None and the objective; a true answer ends the call with the best fit
        by then.

    Returns
    -------
    QuantileFit
    """
    if columns.target is None:
        raise ValueError("columns has no target")
    settings = {
        "fit_intercept": bool(fit_intercept),
        "tol": real("tol", tol),
        "sample_rows": integer("sample_rows", sample_rows, 0),
        "most_rows": integer("most_rows", most_rows, 0),
        "max_passes": integer("max_passes", max_passes, 0),
        "random_state": seed(random_state),
    }
    call(None, callback)
    driver = _core.QuantilePasses(len(columns.names), real("quantile", quantile), settings)
    file = None if resume is None else Path(resume)
    if file is not None and file.exists():
        driver = _core.QuantilePasses.from_bytes(file.read_bytes())
    dropped: dict[str, int] = {}
    while (asked := driver.ask()) is not None:
        question, _ = asked
        whole, dropped = _pass(run, columns, _core.Summary.of_question(question).to_bytes(), expect_rows)
        try:
            driver.tell(call(), whole)
        except ValueError as error:
            raise ValueError(re.sub(r"^column (\d+) is", lambda m: f"column {columns.names[int(m[1])]!r} is", str(error))) from None
        if file is not None:
            aside = file.with_name(file.name + ".part")
            aside.write_bytes(driver.to_bytes())
            aside.replace(file)
        stage, objective, *_ = driver.passes()[-1]
        if callback is not None and callback(stage, len(driver.passes()), None, objective):
            break
    found = driver.finish()
    found.pop("no_bound")
    ranges = np.array(found.pop("ranges"), dtype=np.float64).reshape(-1, 2)
    if file is not None and driver.ask() is None:
        file.unlink(missing_ok=True)
    passes = [dict(zip(("stage", "objective", "open", "sent", "wrong"), p, strict=True)) for p in driver.passes()]
    return QuantileFit(ranges=ranges, names=columns.names, passes=passes, dropped=dropped, **found)


def lasso(
    run: Run,
    columns: Columns,
    *,
    cv: int | None = 5,
    alphas: int | Any = 100,
    eps: float = 1e-3,
    l1_ratio: float = 1.0,
    fit_intercept: bool = True,
    positive: bool = False,
    tol: float = 1e-8,
    random_state: Any = 0,
    expect_rows: int | None = None,
    n_jobs: int | None = None,
    callback: Callback | None = None,
) -> CrossValidated | LassoPath:
    """The Lasso of all rows along a path of penalties, from sums of products, in one or two passes.

    Parameters
    ----------
    run : callable
        Gives a :class:`Task` to all parts of the table, and returns what came.
    columns : Columns
        With a target; up to some thousand features.
    cv : int or None, default 5
        Number of folds; a row's fold is the hash of its key. None: no cross-validation.
    alphas, eps, l1_ratio, fit_intercept, positive, tol, n_jobs, callback
        As of :func:`samplewise.lasso.cross_validate`.
    random_state : int or numpy generator, default 0
        Seed of the folds.
    expect_rows : int, optional
        Number of rows of the table; any other is an error.

    Returns
    -------
    samplewise.lasso.CrossValidated, or LassoPath without folds
    """
    if columns.target is None:
        raise ValueError("columns has no target")
    p = len(columns.names)
    folds = 1 if cv is None else integer("cv", cv, 2)
    settings = _settings((0, p), tol=tol, l1_ratio=l1_ratio, fit_intercept=fit_intercept, positive=positive)
    grid, key = _alphas(alphas, eps), seed(random_state)
    sums, _ = _pass(run, columns, _core.Summary.folds(np.zeros(p + 1), folds, key).to_bytes(), expect_rows)
    means, variances = sums.means()
    if fit_intercept and bool((means**2 > _FAR * variances).any()):
        # What rounding leaves of the sums would hide the spread of these columns.
        rows = sums.seen()[:2]
        sums, _ = _pass(run, columns, _core.Summary.folds(means, folds, key).to_bytes(), expect_rows)
        if sums.seen()[:2] != rows:
            raise ValueError("the table changed between two passes, or part of it is computed anew each time (cache or write it first)")
    if cv is None:
        return LassoPath._of(sums.lasso_path(call(n_jobs, callback), p, grid, settings), p)
    found = sums.lasso_cv(call(n_jobs, callback), p, grid, settings)
    own = {k: found.pop(k) for k in ("mse", "mse_std_error", "best", "one_standard_error")}
    found.pop("cv_alphas")
    return CrossValidated(path=LassoPath._of(found, p), **own)
