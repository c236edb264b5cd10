"""Which rows of a table matter, coresets, and lp and quantile regression with a certificate.

Examples
--------
>>> import numpy as np
>>> from samplewise.sensitivity import CoresetStream, regress, row_scores
>>> rng = np.random.default_rng(0)
>>> X = rng.normal(size=(20_000, 8))
>>> y = X[:, 0] + rng.standard_cauchy(20_000)
>>> fit = regress(X, y, quantile=0.9, fit_intercept=True)
>>> fit.status, bool(fit.objective <= fit.lower_bound * (1 + 1e-8))
('converged', True)
>>> few = regress(X, y, quantile=0.9, fit_intercept=True, coreset_size=1000)
>>> few.report["n_rows_used"] < 2000, bool(few.objective < 1.1 * few.lower_bound)
(True, True)
>>> stream = CoresetStream(8, 500).update(X[:9000])
>>> stream = stream.merge(CoresetStream(8, 500).update(X[9000:], first=9000))
>>> 250 < len(stream.result().indices) < 1000
True
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _arrays, _core
from ._call import Callback, call, integer, real, seed
from ._result import describe

__all__ = [
    "Coreset",
    "CoresetStream",
    "Distortion",
    "LabelPlan",
    "Regression",
    "Scores",
    "StreamedCoreset",
    "coreset",
    "distortion",
    "planned_size",
    "regress",
    "row_scores",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of rows.

    Attributes
    ----------
    values : array of shape (n_rows,)
        Scores by the method.
    lower, upper : arrays of shape (n_rows,)
        Bounds of the sensitivity of each row, from the scores.
    total_sensitivity : (float, float)
        Bounds of the sum of all sensitivities.
    rank : int
        Numerical rank of the table.
    condition : float
        Condition number of the table.
    converged : bool
        Whether the scores met their tolerance.
    report : dict
        `ending`, `n_iter`, `residual`, `seconds`.
    """

    values: Floats
    lower: Floats
    upper: Floats
    total_sensitivity: tuple[float, float]
    rank: int
    condition: float
    converged: bool
    report: dict[str, Any]

    def __repr__(self) -> str:
        total = tuple(round(v, 6) for v in self.total_sensitivity)
        return describe("Scores", {"rows": len(self.values), "rank": self.rank}, {"converged": self.converged, "total": total})


def row_scores(
    X: Any,
    p: float = 1.0,
    *,
    method: str = "lewis",
    tol: float = 0.01,
    max_iter: int = 100,
    gap: float = 1e-3,
    n_jobs: int | None = None,
    callback: Callback | None = None,
) -> Scores:
    """How much each row can matter for a sum of p-th powers.

    Parameters
    ----------
    X : array or sparse matrix of shape (n_rows, n_columns)
        The table; arrays of float64 in C or Fortran order and CSR matrices are read in place.
    p : float, default 1
        Power, at least 1.
    method : {"lewis", "leverage", "root_leverage", "uniform", "sensitivity", "sensitivity_plus_leverage"}
        Lewis weights are the default; "sensitivity" computes certified bounds of each row, which takes longest.
    tol, max_iter
        For Lewis weights: relative error, most iterations.
    gap : float, default 1e-3
        For sensitivities: relative gap of the bounds.
    n_jobs, callback
        Number of threads; called with progress, a true answer ends the call.

    Returns
    -------
    Scores

    Notes
    -----
    Source: arXiv 2306.00732.
    """
    how = {"method": str(method), "tol": real("tol", tol), "max_iter": integer("max_iter", max_iter, 0), "gap": real("gap", gap)}
    found = _core.row_scores(call(n_jobs, callback), _arrays.table("X", X), real("p", p), how)
    own = ("values", "lower", "upper", "total_sensitivity", "rank", "condition", "converged")
    return Scores(**{k: found.pop(k) for k in own}, report=found)


@dataclass(frozen=True, eq=False)
class Coreset:
    """Rows that stand for all.

    Attributes
    ----------
    indices : array of int64
        Rows, ascending.
    sample_weight : array
        Their weights.
    expected_size : float
        Expected number of rows.
    """

    indices: NDArray[np.int64]
    sample_weight: Floats
    expected_size: float

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return describe("Coreset", {"rows": len(self), "expected_size": self.expected_size})


def coreset(
    X: Any,
    size: int,
    p: float = 1.0,
    *,
    method: str = "lewis",
    sampler: str = "bernoulli",
    random_state: Any = 0,
    n_jobs: int | None = None,
    callback: Callback | None = None,
) -> Coreset:
    """Draws rows by their scores.

    Parameters
    ----------
    X, p, method, n_jobs, callback
        As of :func:`row_scores`.
    size : int
        Number of rows, expected or for "priority" exact.
    sampler : {"bernoulli", "priority", "tree"}
        Each row by its own coin; exactly `size` rows; or halving of pairs, which keeps most information.
    random_state : int or numpy generator, default 0
        Seed.

    Returns
    -------
    Coreset
    """
    x, run = _arrays.table("X", X), call(n_jobs, callback)
    power, count = real("p", p), integer("size", size, 0)
    how = {"method": str(method), "tol": 0.1, "max_iter": 100, "gap": 1e-3}
    scores = _core.row_scores(run, x, power, how)["values"]
    return Coreset(*_core.coreset(run, x, scores, (power, count, str(sampler), seed(random_state))))


def planned_size(epsilon: float, p: float, rank: int) -> int:
    """Rows for a distortion of `epsilon` of the p-th powers in all directions, for a table of this rank.

    Examples
    --------
    >>> planned_size(0.5, 1.0, 10) > 10
    True
    """
    return int(_core.planned_size(real("epsilon", epsilon), real("p", p), integer("rank", rank, 0)))


@dataclass(frozen=True, eq=False)
class Distortion:
    """How far a coreset is off in the worst direction that was found.

    Attributes
    ----------
    at_least : float
        The distortion is at least this: an honest lower bound.
    ratio : float
        Sum over the coreset divided by the sum over all rows in that direction.
    direction : array
        The direction.
    ending : str
        How the search ended.
    """

    at_least: float
    ratio: float
    direction: Floats
    ending: str


def distortion(
    X: Any,
    chosen: Coreset,
    p: float = 1.0,
    *,
    random_starts: int = 20,
    random_state: Any = 0,
    n_jobs: int | None = None,
    callback: Callback | None = None,
) -> Distortion:
    """Searches for the direction in which a coreset is farthest off.

    Parameters
    ----------
    X, p, n_jobs, callback
        As of :func:`row_scores`.
    chosen : Coreset
        Rows and weights.
    random_starts : int, default 20
        Number of searches from random directions.
    random_state : int or numpy generator, default 0
        Seed.

    Returns
    -------
    Distortion
    """
    parts = (chosen.indices.tolist(), chosen.sample_weight.tolist(), float(chosen.expected_size))
    how = (real("p", p), integer("random_starts", random_starts, 0), seed(random_state))
    return Distortion(**_core.distortion(call(n_jobs, callback), _arrays.table("X", X), parts, how))


@dataclass(frozen=True, eq=False)
class Regression:
    """A fit and its certificate.

    Attributes
    ----------
    coef : array of shape (n_columns,)
        Coefficients.
    intercept : float
        Intercept, 0 without one.
    status : str
        "converged" (the gap was measured on all rows) or "not_converged".
    objective : float
        Loss on all rows; for a :class:`LabelPlan` an estimate from those that were asked.
    lower_bound : float, optional
        No coefficients have a loss below this.
    report : dict
        `ending`, `route`, `n_iter`, `rank`, `n_rows_used`, `seconds`.
    """

    coef: Floats
    intercept: float
    status: str
    objective: float
    lower_bound: float | None
    report: dict[str, Any]

    def predict(self, X: Any) -> Floats:
        """Values of rows."""
        product: Floats = X @ self.coef + self.intercept
        return product

    def __repr__(self) -> str:
        return describe(
            "Regression",
            {"status": self.status, "columns": len(self.coef)},
            {"objective": self.objective, "lower_bound": self.lower_bound},
            {k: self.report[k] for k in ("n_rows_used", "route", "ending")},
        )


def _of(found: dict[str, Any]) -> Regression:
    own = {k: found.pop(k) for k in ("coef", "intercept", "status", "objective", "lower_bound")}
    return Regression(**own, report=found)


def _loss(p: float, quantile: float | None) -> dict[str, Any]:
    return {"quantile": None if quantile is None else real("quantile", quantile), "p": real("p", p)}


def _fitting(tol: float, fit_intercept: bool, sample_weight: Any, n: int) -> dict[str, Any]:
    weight = _arrays.optional_vector("sample_weight", sample_weight, n)
    return {"tol": real("tol", tol), "fit_intercept": bool(fit_intercept), "sample_weight": weight}


def regress(
    X: Any,
    y: ArrayLike,
    *,
    p: float = 1.0,
    quantile: float | None = None,
    fit_intercept: bool = False,
    sample_weight: Any = None,
    coreset_size: int | None = None,
    method: str = "lewis",
    sampler: str = "bernoulli",
    tol: float = 1e-9,
    random_state: Any = 0,
    n_jobs: int | None = None,
    callback: Callback | None = None,
) -> Regression:
    """Least sum of p-th powers or of quantile losses, with a lower bound.

    Parameters
    ----------
    X : array or sparse matrix of shape (n_rows, n_columns)
        The table, read in place where it is float64.
    y : array of shape (n_rows,)
        Targets.
    p : float, default 1
        Power of the absolute errors, 1 to 64.
    quantile : float, optional
        Quantile between 0 and 1, in place of a power.
    fit_intercept : bool, default False
        Whether there is an intercept.
    sample_weight : array of shape (n_rows,), optional
        Weights of the losses, none negative.
    coreset_size : int, optional
        Rows that the fit is made from; the loss and the bound are of all rows all the same.
    method, sampler, random_state
        How those rows are drawn, as of :func:`coreset`.
    tol : float, default 1e-9
        Relative gap.
    n_jobs, callback
        Number of threads; called with progress, a true answer ends the call with what it has.

    Returns
    -------
    Regression

    Raises
    ------
    ValueError
        For arguments out of range, numbers that are not finite, lengths that differ.
    """
    x = _arrays.table("X", X)
    n = _arrays.n_rows(x)
    target = _arrays.vector("y", y, n)
    loss, how = _loss(p, quantile), _fitting(tol, fit_intercept, sample_weight, n)
    run = call(n_jobs, callback)
    if coreset_size is None or integer("coreset_size", coreset_size, 1) >= n:
        return _of(_core.regress(run, x, target, (loss, how)))
    drawn = {"size": int(coreset_size), "method": str(method), "sampler": str(sampler), "seed": seed(random_state)}
    return _of(_core.regress_on_coreset(run, x, target, (loss, how, drawn)))


class LabelPlan:
    """A regression whose labels are asked for.

    Parameters
    ----------
    X : array or sparse matrix of shape (n_rows, n_columns)
        The table.
    size : int
        Number of labels, expected.
    p, quantile, method, sampler, tol, random_state, n_jobs, callback
        As of :func:`regress`.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(2000, 3))
    >>> plan = LabelPlan(X, 100)
    >>> plan.tell(X[plan.ask()] @ [1.0, 2.0, 3.0])
    >>> plan.result(X).coef.round(6).tolist()
    [1.0, 2.0, 3.0]
    """

    def __init__(
        self,
        X: Any,
        size: int,
        *,
        p: float = 1.0,
        quantile: float | None = None,
        method: str = "lewis",
        sampler: str = "bernoulli",
        tol: float = 1e-9,
        random_state: Any = 0,
        n_jobs: int | None = None,
        callback: Callback | None = None,
    ) -> None:
        x = _arrays.table("X", X)
        how = _fitting(tol, False, None, _arrays.n_rows(x))
        drawn = {"size": integer("size", size, 1), "method": str(method), "sampler": str(sampler), "seed": seed(random_state)}
        self._core = _core.LabelPlan(call(n_jobs, callback), x, (_loss(p, quantile), how, drawn))

    def ask(self) -> NDArray[np.int64]:
        """Rows whose labels are wanted."""
        return self._core.ask()

    @property
    def sample_weight(self) -> Floats:
        """Weights of those rows."""
        return self._core.weights()

    def __repr__(self) -> str:
        return describe("LabelPlan", {"labels": len(self.ask())})

    def tell(self, labels: ArrayLike) -> None:
        """Takes the labels of the rows of :meth:`ask`, in their order."""
        self._core.tell(_arrays.vector("labels", labels, len(self.ask())))

    def result(self, X: Any, *, n_jobs: int | None = None, callback: Callback | None = None) -> Regression:
        """The fit; `X` is the table as it was."""
        found = self._core.finish(call(n_jobs, callback), _arrays.table("X", X))
        own = {k: found.pop(k) for k in ("coef", "status")}
        return Regression(**own, intercept=0.0, objective=found.pop("estimated_objective"), lower_bound=None, report=found)

    def __reduce__(self) -> tuple[Any, ...]:
        return _plan_again, (self._core.to_json(),)


def _plan_again(text: str) -> LabelPlan:
    out = object.__new__(LabelPlan)
    out._core = _core.LabelPlan.from_json(text)
    return out


@dataclass(frozen=True, eq=False)
class StreamedCoreset:
    """What a stream keeps.

    Attributes
    ----------
    rows : array of shape (n_kept, n_columns)
        The rows themselves.
    indices : array of uint64
        Their numbers in the stream.
    sample_weight : array
        Their weights.
    report : dict
        `n_rows_seen`, `rank`, `rank_lost`, `condition`, `levels`, `total`.
    """

    rows: Floats
    indices: NDArray[np.uint64]
    sample_weight: Floats
    report: dict[str, Any]

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return describe("StreamedCoreset", {"rows": len(self)}, self.report)


class CoresetStream:
    """A coreset of rows that come in blocks, in any order and from any number of machines.

    Parameters
    ----------
    n_features : int
        Number of columns.
    size : int
        Rows that are kept.
    p : float, default 1
        Power.
    method : str, default "lewis"
        As of :func:`row_scores`.
    random_state : int or numpy generator, default 0
        Seed: streams that are merged need the same. The same rows with the same numbers give the same bits, whatever the blocks.
    """

    def __init__(self, n_features: int, size: int, p: float = 1.0, *, method: str = "lewis", random_state: Any = 0) -> None:
        how = (integer("size", size, 0), real("p", p), str(method), seed(random_state))
        self._core = _core.CoresetStream(integer("n_features", n_features, 0), how)
        self._next = 0

    def update(self, X: Any, *, first: int | None = None, n_jobs: int | None = None) -> CoresetStream:
        """Takes rows; `first` is the number of the first of them, by default that after the last."""
        x = _arrays.dense("X", X)
        start = self._next if first is None else integer("first", first, 0)
        self._core.update(call(n_jobs), start, x)
        self._next = start + len(x)
        return self

    def merge(self, other: CoresetStream, *, n_jobs: int | None = None) -> CoresetStream:
        """Takes what another stream of other rows has seen."""
        if not isinstance(other, CoresetStream):
            raise TypeError(f"other is {type(other).__name__}, allowed is a CoresetStream")
        if other is self:
            raise ValueError("other is the stream itself, whose rows were seen already")
        self._core.merge(call(n_jobs), other._core)
        self._next = max(self._next, other._next)
        return self

    def result(self, *, n_jobs: int | None = None) -> StreamedCoreset:
        """The rows that stand for all seen so far; more can be told after it."""
        return StreamedCoreset(*self._core.result(call(n_jobs)))

    def to_bytes(self) -> bytes:
        """The stream as it stands, as versioned bytes with a checksum, which Rust reads too."""
        return bytes(self._core.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> CoresetStream:
        """Goes on from :meth:`to_bytes`; the number of the next row must be given then."""
        out = cls.__new__(cls)
        out._core, out._next = _core.CoresetStream.from_bytes(data), 0
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        return _stream_again, (self.to_bytes(), self._next)

    def __repr__(self) -> str:
        return describe("CoresetStream", {"next": self._next})


def _stream_again(data: bytes, following: int) -> CoresetStream:
    out = CoresetStream.from_bytes(data)
    out._next = following
    return out
