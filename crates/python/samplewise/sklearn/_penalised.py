"""Lasso, elastic net and their groups."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import MultiOutputMixin, RegressorMixin, _fit_context
from sklearn.linear_model._base import LinearModel
from sklearn.model_selection import check_cv
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data

from ..lasso import cross_validate, group_lasso, lasso_path
from ._base import _CALLBACK, _N_JOBS, _Sparse, _warn, _weights

_PENALTY = {
    "fit_intercept": ["boolean"],
    "positive": ["boolean"],
    "tol": [Interval(Real, 0, None, closed="neither")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "n_jobs": _N_JOBS,
    "callback": _CALLBACK,
}


class _Penalised(_Sparse, RegressorMixin, LinearModel):
    def _validate(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        X, y = validate_data(self, X, y, accept_sparse=["csc", "csr"], dtype=np.float64, y_numeric=True)
        return X, np.asarray(y, dtype=np.float64), _weights(sample_weight, X)

    def _settings(self) -> dict[str, Any]:
        return {
            "l1_ratio": self._ratio(),
            "fit_intercept": self.fit_intercept,
            "positive": self.positive,
            "tol": self.tol,
            "max_iter": self.max_iter,
            "n_jobs": self.n_jobs,
            "callback": self.callback,
        }

    def _ratio(self) -> float:
        return 1.0

    def _take(self, path: Any, at: int) -> None:
        fit = path.solution(at)
        self.coef_, self.intercept_ = fit.coef, fit.intercept
        self.dual_gap_, self.objective_, self.n_iter_, self.status_ = fit.dual_gap, fit.objective, fit.n_iter, fit.status
        _warn(self)

    @property
    def sparse_coef_(self) -> Any:
        """Coefficients as a sparse matrix of one row."""
        return sp.csr_array(self.coef_[None, :])


class ElasticNet(_Penalised):
    """Linear regression with penalties of absolute values and of squares, certified by a duality gap.

    ``1/(2n) sum_i s_i (y_i - x_i w - b)^2 + alpha (l1_ratio |w|_1 + (1 - l1_ratio)/2 |w|_2^2)``

    Parameters
    ----------
    alpha : float, default 1
        Penalty, above 0.
    l1_ratio : float, default 0.5
        Share of the absolute values, above 0 to 1.
    fit_intercept, positive : bool
        Whether there is an intercept; whether no coefficient may be negative.
    tol : float, default 1e-8
        Gap, relative to the objective of all coefficients zero.
    max_iter : int, default 10000
        Most iterations.
    penalty_weights : array of shape (n_features,), optional
        Factors of the penalty of each feature.
    bounds : (lower, upper), optional
        Arrays of shape (n_features,), or None for one of them.
    n_jobs, callback
        Number of threads; progress.

    Attributes
    ----------
    coef_, intercept_ : array of shape (n_features,), float
        The fit.
    dual_gap_, objective_ : float
        The gap as it was measured on `coef_`; the objective.
    status_ : str
        "converged", "not_converged" or "certificate_failed".
    n_iter_ : int
        Iterations.
    """

    _parameter_constraints: dict[str, Any] = {
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "l1_ratio": [Interval(Real, 0, 1, closed="right")],
        **_PENALTY,
        "penalty_weights": ["array-like", None],
        "bounds": [tuple, None],
    }

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        positive: bool = False,
        tol: float = 1e-8,
        max_iter: int = 10_000,
        penalty_weights: Any = None,
        bounds: Any = None,
        n_jobs: int | None = None,
        callback: Any = None,
    ) -> None:
        self.alpha, self.l1_ratio = alpha, l1_ratio
        self.fit_intercept, self.positive, self.tol, self.max_iter = fit_intercept, positive, tol, max_iter
        self.penalty_weights, self.bounds, self.n_jobs, self.callback = penalty_weights, bounds, n_jobs, callback

    def _ratio(self) -> float:
        return float(self.l1_ratio)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ElasticNet:
        """Fits the model; `sample_weight` are weights of the squares."""
        X, y, weight = self._validate(X, y, sample_weight)
        lower, upper = self.bounds or (None, None)
        own = {"penalty_weights": self.penalty_weights, "lower": lower, "upper": upper}
        self._take(lasso_path(X, y, alphas=[self.alpha], sample_weight=weight, **own, **self._settings()), 0)
        return self


class Lasso(ElasticNet):
    """Linear regression with a penalty of absolute values, certified by a duality gap; :class:`ElasticNet` with `l1_ratio` 1."""

    _parameter_constraints: dict[str, Any] = {k: v for k, v in ElasticNet._parameter_constraints.items() if k != "l1_ratio"}

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        positive: bool = False,
        tol: float = 1e-8,
        max_iter: int = 10_000,
        penalty_weights: Any = None,
        bounds: Any = None,
        n_jobs: int | None = None,
        callback: Any = None,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept, self.positive, self.tol, self.max_iter = fit_intercept, positive, tol, max_iter
        self.penalty_weights, self.bounds, self.n_jobs, self.callback = penalty_weights, bounds, n_jobs, callback

    def _ratio(self) -> float:
        return 1.0


class ElasticNetCV(_Penalised):
    """:class:`ElasticNet` with the penalty that held-out rows prefer.

    Parameters
    ----------
    l1_ratio, fit_intercept, positive, tol, max_iter, n_jobs, callback
        As of :class:`ElasticNet`.
    eps, alphas
        Grid: number of penalties, or the penalties; the least is `eps` times the largest.
    cv : int, splitter or iterable of (train, test), default 5
        Folds; a number means contiguous ones, as scikit-learn has it.
    selection : {"min", "1se"}
        The least error, or the largest penalty within one standard error of it.

    Attributes
    ----------
    alpha_ : float
        The penalty chosen.
    alphas_, mse_, mse_std_error_ : arrays of shape (n_alphas,)
        The grid, mean squared errors on held-out rows, and their standard errors.
    coef_, intercept_, dual_gap_, objective_, n_iter_, status_
        As of :class:`ElasticNet`, of the fit to all rows.
    """

    _parameter_constraints: dict[str, Any] = {
        "l1_ratio": [Interval(Real, 0, 1, closed="right")],
        "eps": [Interval(Real, 0, 1, closed="neither")],
        "alphas": [Interval(Integral, 1, None, closed="left"), "array-like"],
        **_PENALTY,
        "cv": ["cv_object"],
        "selection": [StrOptions({"min", "1se"})],
    }

    def __init__(
        self,
        *,
        l1_ratio: float = 0.5,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        positive: bool = False,
        tol: float = 1e-8,
        max_iter: int = 10_000,
        cv: Any = 5,
        selection: str = "min",
        n_jobs: int | None = None,
        callback: Any = None,
    ) -> None:
        self.l1_ratio, self.eps, self.alphas, self.cv, self.selection = l1_ratio, eps, alphas, cv, selection
        self.fit_intercept, self.positive, self.tol, self.max_iter = fit_intercept, positive, tol, max_iter
        self.n_jobs, self.callback = n_jobs, callback

    def _ratio(self) -> float:
        return float(self.l1_ratio)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ElasticNetCV:
        """Fits the path, judges it by folds, and keeps the chosen fit."""
        X, y, weight = self._validate(X, y, sample_weight)
        cv = 5 if self.cv is None else self.cv
        grid = {"alphas": self.alphas, "eps": self.eps}
        if isinstance(cv, Integral):
            if cv > X.shape[0]:
                raise ValueError(f"cv={cv} folds need as many samples; got n_samples={X.shape[0]}")
            folds: Any = int(cv)
        else:
            folds = [test for _, test in check_cv(cv, y).split(X, y)]
        found = cross_validate(X, y, cv=folds, shuffle=False, sample_weight=weight, **grid, **self._settings())
        self.alphas_, self.mse_, self.mse_std_error_ = found.path.alphas, found.mse, found.mse_std_error
        at = found.best if self.selection == "min" else found.one_standard_error
        self.alpha_ = float(found.path.alphas[at])
        self._take(found.path, at)
        return self


class LassoCV(ElasticNetCV):
    """:class:`Lasso` with the penalty that held-out rows prefer; parameters as of :class:`ElasticNetCV`."""

    _parameter_constraints: dict[str, Any] = {k: v for k, v in ElasticNetCV._parameter_constraints.items() if k != "l1_ratio"}

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        positive: bool = False,
        tol: float = 1e-8,
        max_iter: int = 10_000,
        cv: Any = 5,
        selection: str = "min",
        n_jobs: int | None = None,
        callback: Any = None,
    ) -> None:
        self.eps, self.alphas, self.cv, self.selection = eps, alphas, cv, selection
        self.fit_intercept, self.positive, self.tol, self.max_iter = fit_intercept, positive, tol, max_iter
        self.n_jobs, self.callback = n_jobs, callback

    def _ratio(self) -> float:
        return 1.0


_GROUPS = {
    "alpha": [Interval(Real, 0, None, closed="neither")],
    "fit_intercept": ["boolean"],
    "tol": [Interval(Real, 0, None, closed="neither")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "n_jobs": _N_JOBS,
    "callback": _CALLBACK,
}


class _Grouped(_Sparse, MultiOutputMixin, RegressorMixin, LinearModel):
    def _solve(self, X: Any, y: Any, sample_weight: Any, **own: Any) -> None:
        weight = _weights(sample_weight, X)
        settings = {"fit_intercept": self.fit_intercept, "tol": self.tol, "max_iter": self.max_iter}
        run = {"n_jobs": self.n_jobs, "callback": self.callback}
        fit = group_lasso(X, y, alphas=[self.alpha], sample_weight=weight, **settings, **run, **own)[0]
        self.dual_gap_, self.objective_, self.n_iter_, self.status_ = fit.dual_gap, fit.objective, fit.n_iter, fit.status
        single = np.ndim(y) == 1
        self.coef_ = fit.coef[0] if single else fit.coef
        self.intercept_: Any = float(fit.intercept[0]) if single else fit.intercept
        _warn(self)


class MultiTaskLasso(_Grouped):
    """Several targets whose features are in or out together, certified by a duality gap.

    ``1/(2n) |Y - X W - b|_F^2 + alpha sum_j |W_j|_2``

    Parameters
    ----------
    alpha : float, default 1
        Penalty, above 0.
    fit_intercept, tol, max_iter, n_jobs, callback
        As of :class:`ElasticNet`.

    Attributes
    ----------
    coef_, intercept_ : arrays of shape (n_targets, n_features), (n_targets,)
        The fit.
    dual_gap_, objective_, n_iter_, status_
        As of :class:`ElasticNet`.
    """

    _parameter_constraints: dict[str, Any] = _GROUPS

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        tol: float = 1e-8,
        max_iter: int = 10_000,
        n_jobs: int | None = None,
        callback: Any = None,
    ) -> None:
        self.alpha, self.fit_intercept, self.tol, self.max_iter = alpha, fit_intercept, tol, max_iter
        self.n_jobs, self.callback = n_jobs, callback

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MultiTaskLasso:
        """Fits the model to targets of shape (n_samples, n_targets)."""
        how = {"accept_sparse": ["csc", "csr"], "dtype": np.float64}
        X, y = validate_data(self, X, y, validate_separately=(how, {"ensure_2d": False, "dtype": np.float64}))
        if y.ndim == 1:
            raise ValueError("For mono-task outputs, use Lasso or GroupLasso: y has 1 dimension, expected are 2")
        if len(y) != X.shape[0]:
            raise ValueError(f"y has {len(y)} rows, expected are {X.shape[0]}")
        self._solve(X, y, sample_weight)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = False
        return tags


class GroupLasso(_Grouped):
    """Linear regression whose features are in or out by groups, certified by a duality gap.

    ``1/(2n) sum_i s_i |y_i - x_i W - b|^2 + alpha sum_g f_g |W_g|_F``

    Parameters
    ----------
    alpha : float, default 1
        Penalty, above 0.
    groups : array of shape (n_features,), optional
        Number or name of the group of each feature; by default each its own.
    penalty_weights : array of shape (n_groups,), optional
        Factors of the penalties of the groups, in the order of their sorted names; by default the root of their sizes.
    fit_intercept, tol, max_iter, n_jobs, callback
        As of :class:`ElasticNet`.
    """

    _parameter_constraints: dict[str, Any] = {**_GROUPS, "groups": ["array-like", None], "penalty_weights": ["array-like", None]}

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        groups: Any = None,
        penalty_weights: Any = None,
        fit_intercept: bool = True,
        tol: float = 1e-8,
        max_iter: int = 10_000,
        n_jobs: int | None = None,
        callback: Any = None,
    ) -> None:
        self.alpha, self.groups, self.penalty_weights = alpha, groups, penalty_weights
        self.fit_intercept, self.tol, self.max_iter = fit_intercept, tol, max_iter
        self.n_jobs, self.callback = n_jobs, callback

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> GroupLasso:
        """Fits the model to targets of shape (n_samples,) or (n_samples, n_targets)."""
        X, y = validate_data(
            self, X, y, accept_sparse=["csc", "csr"], dtype=np.float64, y_numeric=True, multi_output=True
        )
        y = np.asarray(y, dtype=np.float64)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        own: dict[str, Any] = {"penalty_weights": self.penalty_weights}
        if self.groups is not None:
            names = np.asarray(self.groups)
            if names.shape != (X.shape[1],):
                raise ValueError(f"groups has shape {names.shape}, expected is ({X.shape[1]},), one for each feature")
            _, number = np.unique(names, return_inverse=True)
            members = [np.flatnonzero(number == g).tolist() for g in range(number.max() + 1)]
            own["groups"] = members
            if self.penalty_weights is None:
                own["penalty_weights"] = np.sqrt([len(g) for g in members])
        self._solve(X, y, sample_weight, **own)
        return self
