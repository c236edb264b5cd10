"""Sparse linear models whose every answer carries its duality gap.

``min over w, b of 1/(2n) sum_i s_i (y_i - x_i w - b)^2 + alpha (l1_ratio |w|_1 + (1 - l1_ratio)/2 |w|_2^2)``

Estimators for scikit-learn are in :mod:`samplewise.sklearn`.

Examples
--------
>>> import numpy as np
>>> from samplewise.lasso import lasso_path, solve
>>> rng = np.random.default_rng(0)
>>> X = rng.normal(size=(200, 50))
>>> y = X[:, :3].sum(axis=1) + 0.1 * rng.normal(size=200)
>>> fit = solve(X, y, 0.1)
>>> np.flatnonzero(fit.coef).tolist(), fit.status
([0, 1, 2], 'converged')
>>> path = lasso_path(X, y, alphas=20)
>>> path.coefs.shape, bool((path.dual_gaps <= 1e-8 * path.null_objective).all())
((20, 50), True)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _arrays, _core
from ._call import Callback, call, integer, real, seed
from ._result import describe

__all__ = [
    "CrossValidated",
    "GroupSolution",
    "LassoPath",
    "Solution",
    "SparseRows",
    "alpha_max",
    "cross_validate",
    "group_alpha_max",
    "group_lasso",
    "lasso_path",
    "solve",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Rows of few numbers: the parts of a CSR matrix.

    Attributes
    ----------
    indptr, indices, data : arrays
        As of `scipy.sparse.csr_array`.
    shape : (int, int)
        Number of rows and columns.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int64]
    data: Floats
    shape: tuple[int, int]

    def row(self, i: int) -> Floats:
        """One row in full."""
        out = np.zeros(self.shape[1])
        part = slice(self.indptr[i], self.indptr[i + 1])
        out[self.indices[part]] = self.data[part]
        return out

    def toarray(self) -> Floats:
        """All rows in full."""
        out = np.zeros(self.shape)
        out[np.repeat(np.arange(self.shape[0]), np.diff(self.indptr)), self.indices] = self.data
        return out

    def to_scipy(self) -> Any:
        """As a `scipy.sparse.csr_array`."""
        from scipy.sparse import csr_array

        return csr_array((self.data, self.indices, self.indptr), shape=self.shape)


def _vector(name: str, x: Any, n: int) -> Floats | None:
    return _arrays.optional_vector(name, x, n)


def _settings(
    shape: tuple[int, int],
    tol: float = 1e-8,
    l1_ratio: float = 1.0,
    fit_intercept: bool = True,
    positive: bool = False,
    max_iter: int = 10_000,
    sample_weight: Any = None,
    penalty_weights: Any = None,
    lower: Any = None,
    upper: Any = None,
) -> dict[str, Any]:
    n, p = shape
    return {
        "tol": real("tol", tol),
        "l1_ratio": real("l1_ratio", l1_ratio),
        "fit_intercept": bool(fit_intercept),
        "positive": bool(positive),
        "max_iter": integer("max_iter", max_iter, 0),
        "sample_weight": _vector("sample_weight", sample_weight, n),
        "penalty_weights": _vector("penalty_weights", penalty_weights, p),
        "lower": _vector("lower", lower, p),
        "upper": _vector("upper", upper, p),
    }


def _alphas(alphas: Any, eps: float) -> Any:
    if np.ndim(alphas) == 0:
        return (integer("alphas", alphas, 1), real("eps", eps))
    return _arrays.vector("alphas", alphas)


class _Table:
    """Columns that were read once, and the target."""

    def __init__(self, X: Any, y: ArrayLike, run: dict[str, Any]) -> None:
        x = _arrays.table("X", X)
        self.shape = (_arrays.n_rows(x), _arrays.n_columns(x))
        self.y = _arrays.vector("y", y, self.shape[0])
        self.design = _core.Design(run, x)


@dataclass(frozen=True, eq=False)
class LassoPath:
    """Fits along a path, in the order of `alphas`.

    Attributes
    ----------
    alphas : array of shape (n_alphas,)
        Penalties.
    coefs : SparseRows of shape (n_alphas, n_columns)
        Coefficients (scikit-learn's `coefs` is the transposed).
    intercepts, dual_gaps, objectives, lower_bounds, n_iter : arrays of shape (n_alphas,)
        Of each fit; the gap is measured on the numbers that are given.
    status : list of str
        "converged", "not_converged" or "certificate_failed".
    null_objective : float
        Objective of all coefficients zero; gaps are relative to it.
    ending : str
        "finished", "limit" or "interrupted".
    """

    alphas: Floats
    coefs: SparseRows
    intercepts: Floats
    dual_gaps: Floats
    objectives: Floats
    lower_bounds: Floats
    n_iter: NDArray[np.int64]
    status: list[str]
    null_objective: float
    ending: str
    seconds: float

    @classmethod
    def _of(cls, d: dict[str, Any], p: int) -> LassoPath:
        indptr, indices, data = d.pop("coefs")
        return cls(coefs=SparseRows(indptr, indices, data, (len(indptr) - 1, p)), **d)

    def solution(self, at: int) -> Solution:
        """One fit of the path."""
        return Solution(
            self.coefs.row(at),
            float(self.intercepts[at]),
            float(self.alphas[at]),
            self.status[at],
            float(self.objectives[at]),
            float(self.dual_gaps[at]),
            int(self.n_iter[at]),
            self.null_objective,
        )

    def __len__(self) -> int:
        return len(self.alphas)

    def __repr__(self) -> str:
        done = sum(s == "converged" for s in self.status)
        evidence = {"largest_gap": float(self.dual_gaps.max(initial=0.0)), "null_objective": self.null_objective}
        return describe("LassoPath", {"alphas": len(self), "converged": done, "ending": self.ending}, evidence)


@dataclass(frozen=True, eq=False)
class Solution:
    """A fit and its certificate.

    Attributes
    ----------
    coef : array of shape (n_columns,)
        Coefficients.
    intercept : float
        Intercept, 0 without one.
    alpha : float
        Penalty.
    status : str
        "converged", "not_converged" or "certificate_failed".
    objective, dual_gap : float
        Objective, and how far it is above a lower bound of all coefficients'.
    n_iter : int
        Iterations.
    null_objective : float
        Objective of all coefficients zero.
    """

    coef: Floats
    intercept: float
    alpha: float
    status: str
    objective: float
    dual_gap: float
    n_iter: int
    null_objective: float

    def predict(self, X: Any) -> Floats:
        """Values of rows."""
        product: Floats = X @ self.coef + self.intercept
        return product

    def __repr__(self) -> str:
        return describe(
            "Solution",
            {"status": self.status, "alpha": self.alpha, "nonzero": int(np.count_nonzero(self.coef))},
            {"objective": self.objective, "dual_gap": self.dual_gap},
        )


def solve(
    X: Any,
    y: ArrayLike,
    alpha: float,
    *,
    n_jobs: int | None = None,
    callback: Callback | None = None,
    **settings: Any,
) -> Solution:
    """One fit.

    Parameters
    ----------
    X : array or sparse matrix of shape (n_rows, n_columns)
        The table.
    y : array of shape (n_rows,)
        Target.
    alpha : float
        Penalty, above 0.
    n_jobs, callback, **settings
        As of :func:`lasso_path`.

    Returns
    -------
    Solution
    """
    return lasso_path(X, y, alphas=[real("alpha", alpha)], n_jobs=n_jobs, callback=callback, **settings).solution(0)


def lasso_path(
    X: Any,
    y: ArrayLike,
    *,
    alphas: int | ArrayLike = 100,
    eps: float = 1e-3,
    l1_ratio: float = 1.0,
    fit_intercept: bool = True,
    positive: bool = False,
    tol: float = 1e-8,
    max_iter: int = 10_000,
    sample_weight: Any = None,
    penalty_weights: Any = None,
    lower: Any = None,
    upper: Any = None,
    n_jobs: int | None = None,
    callback: Callback | None = None,
) -> LassoPath:
    """All fits from the largest penalty down.

    Parameters
    ----------
    X : array or sparse matrix of shape (n_rows, n_columns)
        The table.
    y : array of shape (n_rows,)
        Target.
    alphas : int or array, default 100
        Number of penalties, from the least that makes all coefficients zero down to `eps` times it; or the penalties.
    l1_ratio : float, default 1
        Share of the penalty that is of absolute values, above 0 to 1.
    fit_intercept, positive : bool
        Whether there is an intercept; whether no coefficient may be negative.
    tol : float, default 1e-8
        Gap, relative to the objective of all coefficients zero.
    max_iter : int, default 10000
        Most iterations of one fit.
    sample_weight : array of shape (n_rows,), optional
        Weights of the rows, none negative.
    penalty_weights : array of shape (n_columns,), optional
        Factors of the penalty of each column, none negative.
    lower, upper : arrays of shape (n_columns,), optional
        Bounds of the coefficients.
    n_jobs, callback
        Number of threads; called with progress, a true answer ends the path with what it has.

    Returns
    -------
    LassoPath

    Raises
    ------
    ValueError
        For arguments out of range, numbers that are not finite, lengths that differ.
    """
    run = call(n_jobs, callback)
    table = _Table(X, y, run)
    settings = _settings(
        table.shape, tol, l1_ratio, fit_intercept, positive, max_iter, sample_weight, penalty_weights, lower, upper
    )
    found = _core.lasso_path(run, table.design, table.y, _alphas(alphas, eps), settings)
    return LassoPath._of(found, table.shape[1])


def alpha_max(X: Any, y: ArrayLike, *, n_jobs: int | None = None, **settings: Any) -> float:
    """The least penalty for which all coefficients are zero; settings as of :func:`lasso_path`."""
    run = call(n_jobs)
    table = _Table(X, y, run)
    return float(_core.alpha_max(run, table.design, table.y, _settings(table.shape, **settings)))


@dataclass(frozen=True, eq=False)
class CrossValidated:
    """A path, and what rows that were held out say of it.

    Attributes
    ----------
    path : LassoPath
        Fits to all rows.
    mse, mse_std_error : arrays of shape (n_alphas,)
        Mean squared errors on held-out rows, and their standard errors over folds.
    best, one_standard_error : int
        Places in the path of the least error, and of the largest penalty within one standard error of it.
    """

    path: LassoPath
    mse: Floats
    mse_std_error: Floats
    best: int
    one_standard_error: int

    def __repr__(self) -> str:
        said = {"mse": float(self.mse[self.best]), "alpha": float(self.path.alphas[self.best])}
        return describe("CrossValidated", {"alphas": len(self.mse), "best": self.best}, said)


def cross_validate(
    X: Any,
    y: ArrayLike,
    *,
    cv: int | Iterable[Sequence[int]] = 5,
    shuffle: bool = True,
    alphas: int | ArrayLike = 100,
    eps: float = 1e-3,
    random_state: Any = 0,
    n_jobs: int | None = None,
    callback: Callback | None = None,
    **settings: Any,
) -> CrossValidated:
    """Chooses the penalty by held-out rows.

    Parameters
    ----------
    X, y, alphas, eps, n_jobs, callback, **settings
        As of :func:`lasso_path`.
    cv : int or iterable of arrays of int, default 5
        Number of folds, or the held-out rows of each.
    shuffle : bool, default True
        Whether rows are shuffled into the folds, or stay together.
    random_state : int or numpy generator, default 0
        Seed of the shuffling.

    Returns
    -------
    CrossValidated
    """
    run = call(n_jobs, callback)
    table = _Table(X, y, run)
    if isinstance(cv, Iterable):
        folds: Any = [_arrays.indices("cv", rows).tolist() for rows in cv]
    else:
        count = integer("cv", cv, 2)
        folds = (count, seed(random_state)) if shuffle else count
    found = _core.lasso_cv(run, table.design, table.y, (folds, _alphas(alphas, eps)), _settings(table.shape, **settings))
    own = {k: found.pop(k) for k in ("mse", "mse_std_error", "best", "one_standard_error")}
    found.pop("cv_alphas")
    return CrossValidated(path=LassoPath._of(found, table.shape[1]), **own)


@dataclass(frozen=True, eq=False)
class GroupSolution:
    """A fit of groups of columns, or of many targets.

    Attributes
    ----------
    coef : array of shape (n_targets, n_columns)
        Coefficients.
    intercept : array of shape (n_targets,)
        Intercepts.
    groups : list of int
        Groups that are not zero.
    alpha, status, objective, dual_gap, n_iter, null_objective
        As of :class:`Solution`.
    """

    coef: Floats
    intercept: Floats
    groups: list[int]
    alpha: float
    status: str
    objective: float
    dual_gap: float
    n_iter: int
    null_objective: float

    def __repr__(self) -> str:
        return describe(
            "GroupSolution",
            {"status": self.status, "alpha": self.alpha, "groups": len(self.groups)},
            {"objective": self.objective, "dual_gap": self.dual_gap},
        )


def _grouped(
    run: dict[str, Any],
    X: Any,
    y: ArrayLike,
    groups: Iterable[Iterable[int]] | None,
    tol: float,
    fit_intercept: bool,
    max_iter: int,
    sample_weight: Any,
    penalty_weights: Any,
) -> tuple[_core.Design, dict[str, Any], dict[str, Any]]:
    x = _arrays.table("X", X)
    n, p = _arrays.n_rows(x), _arrays.n_columns(x)
    targets = np.asarray(_arrays._plain(y), dtype=np.float64)
    targets = _arrays.dense("y", targets.reshape(len(targets), -1) if targets.ndim == 1 else targets)
    if len(targets) != n:
        raise ValueError(f"y has length {len(targets)}, expected is {n}")
    members = None if groups is None else [[integer("groups", j, 0) for j in g] for g in groups]
    settings = _settings((n, p), tol, 1.0, fit_intercept, False, max_iter, sample_weight)
    settings["penalty_weights"] = _vector("penalty_weights", penalty_weights, p if members is None else len(members))
    return _core.Design(run, x), {"targets": targets, "groups": members}, settings


def group_alpha_max(
    X: Any,
    y: ArrayLike,
    groups: Iterable[Iterable[int]] | None = None,
    *,
    fit_intercept: bool = True,
    sample_weight: Any = None,
    penalty_weights: Any = None,
    n_jobs: int | None = None,
) -> float:
    """The least penalty for which all groups are zero; arguments as of :func:`group_lasso`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(100, 6))
    >>> top = group_alpha_max(X, X[:, 0] + X[:, 1], [[0, 1, 2], [3, 4, 5]])
    >>> [fit.groups for fit in group_lasso(X, X[:, 0] + X[:, 1], [[0, 1, 2], [3, 4, 5]], alphas=[1.01 * top, 0.99 * top])]
    [[], [0]]
    """
    run = call(n_jobs)
    design, data, settings = _grouped(run, X, y, groups, 1e-8, fit_intercept, 10_000, sample_weight, penalty_weights)
    return float(_core.group_alpha_max(run, design, data, settings))


def group_lasso(
    X: Any,
    y: ArrayLike,
    groups: Iterable[Iterable[int]] | None = None,
    *,
    alphas: int | ArrayLike = 100,
    eps: float = 1e-3,
    fit_intercept: bool = True,
    tol: float = 1e-8,
    max_iter: int = 10_000,
    sample_weight: Any = None,
    penalty_weights: Any = None,
    n_jobs: int | None = None,
    callback: Callback | None = None,
) -> list[GroupSolution]:
    """Fits in which the columns of a group are in or out together, for one target or several.

    ``1/(2n) sum_i s_i |y_i - x_i W - b|^2 + alpha sum_g f_g |W_g|_F``

    Parameters
    ----------
    X : array or sparse matrix of shape (n_rows, n_columns)
        The table.
    y : array of shape (n_rows,) or (n_rows, n_targets)
        Targets.
    groups : iterable of sets of columns, optional
        Each column in one group; by default each column its own (for several targets: multi-task Lasso).
    penalty_weights : array of shape (n_groups,), optional
        Factors of the penalty of each group; by default 1 for all.
    alphas, eps, fit_intercept, tol, max_iter, sample_weight, n_jobs, callback
        As of :func:`lasso_path`.

    Returns
    -------
    list of GroupSolution, from the largest penalty down
    """
    run = call(n_jobs, callback)
    design, data, settings = _grouped(run, X, y, groups, tol, fit_intercept, max_iter, sample_weight, penalty_weights)
    d = _core.lasso_group_path(run, design, data, _alphas(alphas, eps), settings)
    return [
        GroupSolution(
            coef,
            d["intercepts"][i],
            d["groups"][i],
            float(d["alphas"][i]),
            d["status"][i],
            float(d["objectives"][i]),
            float(d["dual_gaps"][i]),
            int(d["n_iter"][i]),
            float(d["null_objective"]),
        )
        for i, coef in enumerate(d["coefs"])
    ]
