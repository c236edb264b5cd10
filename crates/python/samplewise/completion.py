"""The missing entries of a low-rank table, with evidence from entries that took no part.

Examples
--------
>>> import numpy as np
>>> from samplewise.completion import complete
>>> rng = np.random.default_rng(0)
>>> M = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 150))
>>> X = np.where(rng.random(M.shape) < 0.3, M, np.nan)
>>> fit = complete(X, tol=1e-6)
>>> fit.rank, fit.status, bool(abs(fit.to_array() - M).max() < 1e-5)
(4, 'verified', True)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _arrays, _core
from ._call import Callback, call, integer, real, seed
from ._result import describe

__all__ = ["Completed", "Entries", "Posterior", "complete", "sample_posterior"]

Floats = NDArray[np.float64]


class Entries:
    """Observed entries of a table, made once for several calls.

    Parameters
    ----------
    data : (rows, columns, values), sparse matrix or array of shape (n_rows, n_columns)
        Three arrays of one length; or a scipy sparse matrix whose stored entries are the observed ones, zeros included; or an
        array in which NaN stands for what was not observed.
    shape : (int, int), optional
        Shape of the table for three arrays; by default as large as the largest row and column.
    sample_weight : array, optional
        A weight above zero for each entry: in the order of the values (for a sparse matrix: of CSR with sorted indices), or of
        the shape of the array.

    Raises
    ------
    ValueError
        For entries that are not finite, positions outside the shape, positions twice, weights that are not above zero.
    """

    def __init__(
        self,
        data: Any,
        *,
        shape: tuple[int, int] | None = None,
        sample_weight: Any = None,
    ) -> None:
        run = call()
        if isinstance(data, tuple) and len(data) == 3:
            rows, columns = _arrays.indices("rows", data[0]), _arrays.indices("columns", data[1])
            values = _arrays.vector("values", data[2])
            if not len(rows) == len(columns) == len(values):
                raise ValueError(
                    f"data has {len(rows)} rows, {len(columns)} columns and {len(values)} values, expected are as many of each"
                )
            if shape is None:
                shape = (int(rows.max()) + 1, int(columns.max()) + 1) if len(rows) else (0, 0)
            size = (integer("shape[0]", shape[0], 0), integer("shape[1]", shape[1], 0))
            weight = _arrays.optional_vector("sample_weight", sample_weight, len(values))
            self._core = _core.Entries.from_triplets(run, (rows, columns, values), size, weight)
            return
        if shape is not None:
            raise ValueError("shape is given, allowed is that for (rows, columns, values) only")
        if _arrays._is_sparse(data):
            if sample_weight is not None and not (data.format == "csr" and data.has_canonical_format):
                raise ValueError("sample_weight is given for a sparse matrix that is no CSR with sorted indices")
            parts = _arrays.csr("data", data)
            weight = _arrays.optional_vector("sample_weight", sample_weight, len(parts[2]))
            self._core = _core.Entries.from_csr(run, parts, weight)
            return
        x = _arrays.dense("data", data)
        if sample_weight is None:
            self._core = _core.Entries.from_dense(run, x)
            return
        w = _arrays.dense("sample_weight", sample_weight)
        if w.shape != x.shape:
            raise ValueError(f"sample_weight has shape {w.shape}, expected is that of data, {x.shape}")
        at = np.nonzero(~np.isnan(x))
        parts3 = (_arrays.indices("rows", at[0]), _arrays.indices("columns", at[1]), x[at])
        self._core = _core.Entries.from_triplets(run, parts3, x.shape, np.ascontiguousarray(w[at]))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return self._core.shape

    def __len__(self) -> int:
        return len(self._core)

    def __repr__(self) -> str:
        return f"Entries({len(self)} of {self.shape[0]} x {self.shape[1]})"

    def __reduce__(self) -> tuple[Any, ...]:
        rows, columns, values, weights = self._core.parts()
        weight = None if (weights == 1.0).all() else weights
        return _entries_again, ((rows, columns, values), self.shape, weight)


def _entries_again(data: Any, shape: tuple[int, int], weight: Any) -> Entries:
    return Entries(data, shape=shape, sample_weight=weight)


def _entries(data: Any, shape: tuple[int, int] | None, sample_weight: Any) -> Entries:
    if isinstance(data, Entries):
        if shape is not None or sample_weight is not None:
            raise ValueError("shape and sample_weight belong to the entries, which were made before")
        return data
    return Entries(data, shape=shape, sample_weight=sample_weight)


def _positions(rows: Any, columns: Any) -> tuple[NDArray[np.uintp], NDArray[np.uintp], tuple[int, ...]]:
    i, j = np.broadcast_arrays(np.asarray(rows), np.asarray(columns))
    return _arrays.indices("rows", i.reshape(-1)), _arrays.indices("columns", j.reshape(-1)), i.shape


@dataclass(frozen=True, eq=False)
class Completed:
    """A fitted model of a table, with the evidence.

    Attributes
    ----------
    status : str
        ``"verified"`` (by entries that took no part), ``"verified_in_parts"``, ``"fitted"``, ``"not_recovered"`` or
        ``"not_converged"``.
    rank : int
        Rank of the model.
    shape : (int, int)
        Shape of the table.
    report : dict
        ``ending``, ``alpha``, ``n_iter``, ``train_rmse``, ``test_rmse`` (on entries that took no part),
        ``baseline_test_rmse``, ``undetermined_share`` (share of the table that the entries do not determine) and more.
    """

    _model: _core.Model
    report: dict[str, Any]

    @property
    def status(self) -> str:
        """Word of what was verified."""
        return str(self.report["status"])

    @property
    def rank(self) -> int:
        """Rank of the model."""
        return int(self._model.rank)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return self._model.shape

    @property
    def mean(self) -> float:
        """What is added to every prediction."""
        return float(self._model.mean)

    @property
    def row_factors(self) -> Floats:
        """Array of shape (n_rows, rank)."""
        return self._model.factors()[0]

    @property
    def column_factors(self) -> Floats:
        """Array of shape (n_columns, rank)."""
        return self._model.factors()[1]

    @property
    def row_biases(self) -> Floats:
        """Array of shape (n_rows,)."""
        return self._model.biases()[0]

    @property
    def column_biases(self) -> Floats:
        """Array of shape (n_columns,)."""
        return self._model.biases()[1]

    def predict(self, rows: Any, columns: Any, *, n_jobs: int | None = None) -> Floats:
        """Entries at positions.

        Parameters
        ----------
        rows, columns : int or array of int
            Positions, broadcast against each other.
        n_jobs : int, optional
            Number of threads.

        Returns
        -------
        array of the broadcast shape
        """
        i, j, shape = _positions(rows, columns)
        return self._model.predict(call(n_jobs), i, j).reshape(shape)

    def to_array(self) -> Floats:
        """The whole table, shape (n_rows, n_columns)."""
        a, b = self._model.factors()
        row, column = self._model.biases()
        return self.mean + row[:, None] + column + a @ b.T

    def fold_in(self, X: Any, *, alpha: float | None = None, n_jobs: int | None = None) -> tuple[Floats, Floats]:
        """Factors of new rows.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_new, n_columns)
            Observed entries of new rows, NaN or not stored where there are none.
        alpha : float, optional
            Ridge, by default that of the fit; a model that was read from a file does not know it, and wants it said.
        n_jobs : int, optional
            Number of threads.

        Returns
        -------
        factors : array of shape (n_new, rank)
        biases : array of shape (n_new,)
        """
        parts = _arrays.csr("X", X) if _arrays._is_sparse(X) else _observed(_arrays.dense("X", X))
        if parts[3][1] != self.shape[1]:
            raise ValueError(f"X has {parts[3][1]} columns, expected is {self.shape[1]}")
        if alpha is None:
            alpha = self.report["alpha"]
        if alpha is None:
            raise ValueError("alpha is None, allowed is a number for a model that was read from a file: it does not know its fit's")
        ridge = real("alpha", alpha)
        return self._model.fold_in(call(n_jobs), parts, ridge)

    def predict_rows(self, X: Any, *, alpha: float | None = None, n_jobs: int | None = None) -> Floats:
        """All entries of new rows, shape (n_new, n_columns); arguments as of :meth:`fold_in`."""
        factors, biases = self.fold_in(X, alpha=alpha, n_jobs=n_jobs)
        return self.mean + biases[:, None] + self.column_biases + factors @ self.column_factors.T

    def top(self, row: int, n: int = 10, *, exclude: Any = ()) -> tuple[NDArray[np.int64], Floats]:
        """The columns of the largest predictions of a row.

        Parameters
        ----------
        row : int
            Number of the row.
        n : int, default 10
            How many.
        exclude : sequence of int
            Columns that are left out.

        Returns
        -------
        columns, values : arrays of length n at most, largest value first
        """
        left_out = [integer("exclude", j, 0) for j in exclude]
        return self._model.top(integer("row", row, 0), integer("n", n, 0), left_out)

    def save(self, path: str | Path) -> None:
        """Writes the model (without the report) as versioned bytes with a checksum; the command line reads them too."""
        Path(path).write_bytes(self._model.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> Completed:
        """Reads what :meth:`save` wrote."""
        model = _core.Model.from_bytes(Path(path).read_bytes())
        return cls(model, {"status": "fitted", "alpha": None, "rank": model.rank})

    def __repr__(self) -> str:
        r = self.report
        evidence = {"test_rmse": r.get("test_rmse"), "baseline_test_rmse": r.get("baseline_test_rmse")}
        more = {"n_iter": r.get("n_iter"), "undetermined_share": r.get("undetermined_share")}
        return describe("Completed", {"status": self.status, "rank": self.rank, "shape": self.shape}, evidence, more)


def _observed(x: Floats) -> tuple[NDArray[np.uintp], NDArray[np.uint32], Floats, tuple[int, int]]:
    seen = ~np.isnan(x)
    i, j = np.nonzero(seen)
    indptr = np.concatenate([[0], np.cumsum(seen.sum(axis=1))]).astype(np.uintp)
    return indptr, j.astype(np.uint32), np.ascontiguousarray(x[i, j]), (int(x.shape[0]), int(x.shape[1]))


def complete(
    data: Any,
    rank: int | None = None,
    *,
    shape: tuple[int, int] | None = None,
    sample_weight: Any = None,
    max_rank: int = 30,
    alpha: float | None = None,
    biases: bool = False,
    tol: float | None = None,
    loss: str = "squared",
    threshold: float = 1.345,
    non_negative: bool = False,
    max_iter: int = 5000,
    tuning: float = 0.05,
    verification: float = 0.05,
    warm_start: Completed | None = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    callback: Callback | None = None,
) -> Completed:
    """Completes a low-rank table from few of its entries.

    Parameters
    ----------
    data, shape, sample_weight
        As of :class:`Entries`, or entries that were made before.
    rank : int, optional
        Rank of the model; by default the one that entries held back for tuning prefer, up to `max_rank`.
    max_rank : int, default 30
        Largest rank that is tried.
    alpha : float, optional
        Ridge, at least 0; by default chosen by entries held back.
    biases : bool, default False
        Whether rows and columns have a constant of their own.
    tol : float, optional
        Relative error on entries that took no part below which the table counts as recovered exactly.
    loss : {"squared", "huber", "trimmed"}
        The last two are for entries that are wrong; `threshold` is the Huber loss's, in deviations.
    non_negative : bool, default False
        Whether factors must not be negative.
    max_iter : int, default 5000
        Most steps.
    tuning, verification : float
        Shares of the entries that are held back, 0 to below 1.
    warm_start : Completed, optional
        An earlier fit of the same shape to begin with.
    random_state : int or numpy generator, default 0
        Seed: the same seed gives the same bits for every number of threads.
    n_jobs : int, optional
        Number of threads.
    callback : callable, optional
        Called with stage, step, total and value about every 50 ms; a true answer ends the fit with what it has.

    Returns
    -------
    Completed

    Raises
    ------
    ValueError
        For arguments out of range, entries that are not finite, too few entries for the rank.

    Notes
    -----
    Source: arXiv 2302.11068; rows of `paper-refs.md` name the tests of every claim.
    """
    entries = _entries(data, shape, sample_weight)
    settings = {
        "alpha": None if alpha is None else real("alpha", alpha),
        "biases": bool(biases),
        "tol": None if tol is None else real("tol", tol),
        "loss": str(loss),
        "threshold": real("threshold", threshold),
        "non_negative": bool(non_negative),
        "max_iter": integer("max_iter", max_iter, 1),
        "tuning": real("tuning", tuning),
        "verification": real("verification", verification),
        "start": None if warm_start is None else warm_start._model,
        "seed": seed(random_state),
    }
    wanted = None if rank is None else integer("rank", rank, 1)
    most = integer("max_rank", max_rank, 1)
    return Completed(*_core.complete(call(n_jobs, callback), entries._core, wanted, most, settings))


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws of completions: predictions with deviations.

    Attributes
    ----------
    report : dict
        ``ending``, ``rank``, ``noise``, ``train_rmse``, ``test_rmse``, ``test_coverage`` (share of the entries held out that
        are within their 90 % intervals) and more.
    """

    _draws: _core.Posterior
    report: dict[str, Any]

    @property
    def noise(self) -> Floats:
        """Standard deviation of the noise of each draw."""
        return self._draws.noise

    def predict(
        self, rows: Any, columns: Any, return_std: bool = False, *, n_jobs: int | None = None
    ) -> Floats | tuple[Floats, Floats]:
        """Means at positions, and with `return_std` the deviations of a new measurement there."""
        i, j, shape = _positions(rows, columns)
        mean, deviation, _ = self._draws.predict(call(n_jobs), i, j)
        return (mean.reshape(shape), deviation.reshape(shape)) if return_std else mean.reshape(shape)

    def interval(
        self, rows: Any, columns: Any, level: float = 0.9, *, n_jobs: int | None = None
    ) -> tuple[Floats, Floats]:
        """Lower and upper ends of intervals for new measurements, as of a normal distribution."""
        from statistics import NormalDist

        if not 0.0 < level < 1.0:
            raise ValueError(f"level is {level}, allowed is above 0 and below 1")
        i, j, shape = _positions(rows, columns)
        mean, deviation, _ = self._draws.predict(call(n_jobs), i, j)
        half = NormalDist().inv_cdf(0.5 + 0.5 * level) * deviation
        return (mean - half).reshape(shape), (mean + half).reshape(shape)

    def __repr__(self) -> str:
        r = self.report
        evidence = {k: r.get(k) for k in ("test_rmse", "test_coverage", "baseline_test_rmse")}
        return describe("Posterior", {"ending": r.get("ending"), "rank": r.get("rank"), "noise": r.get("noise")}, evidence)


def sample_posterior(
    data: Any,
    rank: int | None = None,
    *,
    shape: tuple[int, int] | None = None,
    sample_weight: Any = None,
    max_rank: int = 30,
    n_draws: int = 60,
    burn_in: int = 20,
    biases: bool = True,
    implicit: bool = True,
    verification: float = 0.05,
    random_state: Any = 0,
    n_jobs: int | None = None,
    callback: Callback | None = None,
) -> Posterior:
    """Draws completions from their posterior: for ratings and other tables whose noise matters.

    Parameters
    ----------
    data, shape, sample_weight
        As of :class:`Entries`, or entries that were made before.
    rank : int, optional
        Rank of every draw; by default chosen up to `max_rank`.
    n_draws, burn_in : int
        Draws that are kept, and those before them.
    biases : bool, default True
        Whether rows and columns have a constant of their own.
    implicit : bool, default True
        Whether which entries were observed says something of its row.
    verification : float, default 0.05
        Share of the entries that is held out to be judged by.
    random_state, n_jobs, callback
        As of :func:`complete`.

    Returns
    -------
    Posterior

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> M = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 50))
    >>> X = np.where(rng.random(M.shape) < 0.4, M + 0.1 * rng.normal(size=M.shape), np.nan)
    >>> mean, deviation = sample_posterior(X, 2, n_draws=20).predict(0, 0, return_std=True)
    >>> bool(abs(mean - M[0, 0]) < 4 * deviation)
    True
    """
    entries = _entries(data, shape, sample_weight)
    settings = {
        "n_draws": integer("n_draws", n_draws, 1),
        "burn_in": integer("burn_in", burn_in, 0),
        "biases": bool(biases),
        "implicit": bool(implicit),
        "verification": real("verification", verification),
        "seed": seed(random_state),
    }
    wanted = None if rank is None else integer("rank", rank, 1)
    most = integer("max_rank", max_rank, 1)
    return Posterior(*_core.sample_posterior(call(n_jobs, callback), entries._core, wanted, most, settings))
