"""Estimators for scikit-learn: certified Lasso and quantile regression, coresets, and an imputer.

Every fitted estimator has `status_`, which says how the fit ended; fits whose gap is above what was asked warn with
`sklearn.exceptions.ConvergenceWarning`. No result depends on `n_jobs`. A `callback` is called with stage, step, total and value;
a true answer ends the fit with what it has.

Examples
--------
>>> import numpy as np
>>> from samplewise.sklearn import LassoCV, QuantileRegressor
>>> rng = np.random.default_rng(0)
>>> X = rng.normal(size=(200, 50))
>>> y = X[:, :3].sum(axis=1) + 0.1 * rng.normal(size=200)
>>> model = LassoCV().fit(X, y)
>>> np.flatnonzero(np.abs(model.coef_) > 0.5).tolist(), model.status_
([0, 1, 2], 'converged')
>>> q = QuantileRegressor(quantile=0.9).fit(X, y)
>>> bool(q.objective_ <= q.lower_bound_ * (1 + 1e-8))
True
"""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    MultiOutputMixin,
    OneToOneFeatureMixin,
    RegressorMixin,
    TransformerMixin,
    _fit_context,
    clone,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.linear_model._base import LinearModel
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, _routing_enabled, process_routing
from sklearn.utils.validation import FLOAT_DTYPES, _check_sample_weight, check_is_fitted, has_fit_parameter, validate_data

from .completion import complete, sample_posterior
from .lasso import cross_validate, group_lasso, lasso_path
from .sensitivity import coreset, regress

__all__ = [
    "CoresetRegressor",
    "CoresetSampler",
    "ElasticNet",
    "ElasticNetCV",
    "GroupLasso",
    "Lasso",
    "LassoCV",
    "LpRegressor",
    "MatrixCompletion",
    "MultiTaskLasso",
    "QuantileRegressor",
]

_N_JOBS = [Integral, None]
_CALLBACK = [callable, None]


def _seed(random_state: Any) -> int:
    return int(check_random_state(random_state).randint(2**31 - 1))


def _weights(sample_weight: Any, X: Any) -> Any:
    if sample_weight is None:
        return None
    return _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)


class _Sparse:
    """Sparse tables are accepted."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.sparse = True
        return tags


def _warn(estimator: Any) -> None:
    if estimator.status_ != "converged":
        gap = getattr(estimator, "dual_gap_", None)
        what = "" if gap is None else f": the duality gap is {gap:.3g}"
        warnings.warn(
            f"{type(estimator).__name__} ended {estimator.status_}{what}; raise max_iter or tol", ConvergenceWarning, stacklevel=3
        )


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


_CERTIFIED = {
    "fit_intercept": ["boolean"],
    "coreset_size": [Interval(Integral, 1, None, closed="left"), None],
    "tol": [Interval(Real, 0, None, closed="neither")],
    "random_state": ["random_state"],
    "n_jobs": _N_JOBS,
    "callback": _CALLBACK,
}


class _Certified(_Sparse, RegressorMixin, LinearModel):
    def _fit(self, X: Any, y: Any, sample_weight: Any, loss: dict[str, Any]) -> Any:
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64, y_numeric=True)
        weight = _weights(sample_weight, X)
        fit = regress(
            X,
            y,
            fit_intercept=self.fit_intercept,
            sample_weight=weight,
            coreset_size=self.coreset_size,
            tol=self.tol,
            random_state=_seed(self.random_state) if self.coreset_size is not None else 0,
            n_jobs=self.n_jobs,
            callback=self.callback,
            **loss,
        )
        self.coef_, self.intercept_, self.status_ = fit.coef, fit.intercept, fit.status
        self.objective_, self.lower_bound_ = fit.objective, fit.lower_bound
        self.n_iter_, self.rank_, self.n_rows_used_ = fit.report["n_iter"], fit.report["rank"], fit.report["n_rows_used"]
        if self.coreset_size is None:
            _warn(self)
        return self


class QuantileRegressor(_Certified):
    """Linear quantile regression without a penalty; no coefficients have a loss below `lower_bound_`.

    Parameters
    ----------
    quantile : float, default 0.5
        Quantile, above 0 and below 1.
    fit_intercept : bool, default True
        Whether there is an intercept.
    coreset_size : int, optional
        Rows that the fit is made from; `objective_` and `lower_bound_` are of all rows all the same.
    tol : float, default 1e-9
        Relative gap.
    random_state : int, RandomState or None
        Seed of the coreset.
    n_jobs, callback
        Number of threads; progress.

    Attributes
    ----------
    coef_, intercept_ : array of shape (n_features,), float
        The fit.
    objective_, lower_bound_ : float
        Loss on all rows, and a bound that no coefficients are below (None where there is none).
    status_, n_iter_, rank_, n_rows_used_
        How it ended; iterations; numerical rank; rows that the fit was made from.

    Notes
    -----
    scikit-learn's own has a penalty (`alpha=1`) by default; this one has none.
    """

    _parameter_constraints: dict[str, Any] = {"quantile": [Interval(Real, 0, 1, closed="neither")], **_CERTIFIED}

    def __init__(
        self,
        *,
        quantile: float = 0.5,
        fit_intercept: bool = True,
        coreset_size: int | None = None,
        tol: float = 1e-9,
        random_state: Any = None,
        n_jobs: int | None = None,
        callback: Any = None,
    ) -> None:
        self.quantile, self.fit_intercept, self.coreset_size, self.tol = quantile, fit_intercept, coreset_size, tol
        self.random_state, self.n_jobs, self.callback = random_state, n_jobs, callback

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> QuantileRegressor:
        """Fits the model; `sample_weight` are weights of the losses."""
        return self._fit(X, y, sample_weight, {"quantile": float(self.quantile)})


class LpRegressor(_Certified):
    """Least sum of the p-th powers of the errors, certified; p = 1 is least absolute deviations.

    Parameters
    ----------
    p : float, default 1
        Power, 1 to 64.
    fit_intercept, coreset_size, tol, random_state, n_jobs, callback
        As of :class:`QuantileRegressor`, whose attributes this has too.
    """

    _parameter_constraints: dict[str, Any] = {"p": [Interval(Real, 1, 64, closed="both")], **_CERTIFIED}

    def __init__(
        self,
        *,
        p: float = 1.0,
        fit_intercept: bool = True,
        coreset_size: int | None = None,
        tol: float = 1e-9,
        random_state: Any = None,
        n_jobs: int | None = None,
        callback: Any = None,
    ) -> None:
        self.p, self.fit_intercept, self.coreset_size, self.tol = p, fit_intercept, coreset_size, tol
        self.random_state, self.n_jobs, self.callback = random_state, n_jobs, callback

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LpRegressor:
        """Fits the model; `sample_weight` are weights of the powers."""
        return self._fit(X, y, sample_weight, {"p": float(self.p)})


def _beside(X: Any, *columns: Any) -> Any:
    """The table with further columns."""
    if not columns:
        return X
    if sp.issparse(X):
        return sp.csr_array(sp.hstack([sp.csr_array(c) for c in columns] + [X], format="csr"))
    return np.concatenate([*columns, X], axis=1)


class CoresetSampler(_Sparse, BaseEstimator):
    """Chooses rows that stand for all in sums of p-th powers.

    Parameters
    ----------
    size : int or float, default 0.1
        Number of rows, or their share.
    p : float, default 2
        Power, 1 to 64.
    method : {"lewis", "leverage", "root_leverage", "uniform", "sensitivity"}
        Scores of the rows.
    sampler : {"priority", "bernoulli", "tree"}
        How they are drawn; the first keeps exactly `size` rows.
    include_target, fit_intercept : bool, default True
        Whether the target, and a constant, are columns of the table whose sums are kept.
    random_state, n_jobs, callback
        Seed; number of threads; progress.

    Attributes
    ----------
    sample_indices_, sample_weight_ : arrays
        Rows and their weights.
    """

    _parameter_constraints: dict[str, Any] = {
        "size": [Interval(Integral, 1, None, closed="left"), Interval(Real, 0, 1, closed="neither")],
        "p": [Interval(Real, 1, 64, closed="both")],
        "method": [StrOptions({"lewis", "leverage", "root_leverage", "uniform", "sensitivity"})],
        "sampler": [StrOptions({"bernoulli", "priority", "tree"})],
        "include_target": ["boolean"],
        "fit_intercept": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": _N_JOBS,
        "callback": _CALLBACK,
    }

    def __init__(
        self,
        size: float = 0.1,
        *,
        p: float = 2.0,
        method: str = "lewis",
        sampler: str = "priority",
        include_target: bool = True,
        fit_intercept: bool = True,
        random_state: Any = None,
        n_jobs: int | None = None,
        callback: Any = None,
    ) -> None:
        self.size, self.p, self.method, self.sampler, self.include_target = size, p, method, sampler, include_target
        self.fit_intercept, self.random_state, self.n_jobs, self.callback = fit_intercept, random_state, n_jobs, callback

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> CoresetSampler:
        """Chooses rows of `X`, and of `y` where it is given and counts."""
        if y is not None and self.include_target:
            X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64, y_numeric=True, multi_output=True)
        else:
            X, y = validate_data(self, X, accept_sparse="csr", dtype=np.float64), None
        n = X.shape[0]
        size = self.size if isinstance(self.size, Integral) else max(1, round(float(self.size) * n))
        more = [np.ones((n, 1))] if self.fit_intercept else []
        if y is not None:
            more.append(np.asarray(y, dtype=np.float64).reshape(n, -1))
        chosen = coreset(
            _beside(X, *more),
            min(int(size), n),
            float(self.p),
            method=self.method,
            sampler=self.sampler,
            random_state=_seed(self.random_state),
            n_jobs=self.n_jobs,
            callback=self.callback,
        )
        self.sample_indices_, self.sample_weight_ = chosen.indices, chosen.sample_weight
        return self

    def fit_resample(self, X: Any, y: Any = None) -> Any:
        """The chosen rows, and with `y` their targets; their weights are `sample_weight_`."""
        self.fit(X, y)
        rows = _rows(X, self.sample_indices_)
        return rows if y is None else (rows, _rows(y, self.sample_indices_))


def _rows(a: Any, at: Any) -> Any:
    if hasattr(a, "iloc"):
        return a.iloc[at]
    if sp.issparse(a):
        return a.tocsr()[at]
    return a[at] if hasattr(a, "__array__") or hasattr(a, "to_numpy") else np.asarray(a)[at]


class CoresetRegressor(_Sparse, MetaEstimatorMixin, RegressorMixin, BaseEstimator):
    """Fits any regressor that takes `sample_weight` on a coreset of the rows.

    Parameters
    ----------
    estimator : regressor, optional
        What is fitted; by default `sklearn.linear_model.Ridge()`.
    sampler : CoresetSampler, optional
        How rows are chosen.
    random_state : int, RandomState or None
        Seed; by default the sampler's own.

    Attributes
    ----------
    estimator_, sampler_
        What was fitted, and the rows it was fitted on.
    """

    _parameter_constraints: dict[str, Any] = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "sampler": [CoresetSampler, None],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator: Any = None, *, sampler: Any = None, random_state: Any = None) -> None:
        self.estimator, self.sampler, self.random_state = estimator, sampler, random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, **fit_params: Any) -> CoresetRegressor:
        """Chooses rows and fits the estimator on them; `sample_weight` counts for both, other parameters go to the estimator."""
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64, y_numeric=True, multi_output=True)
        y = column_or_1d(y, warn=True) if y.ndim == 1 or y.shape[1] == 1 else y
        estimator = Ridge() if self.estimator is None else self.estimator
        if not has_fit_parameter(estimator, "sample_weight"):
            raise ValueError(f"estimator is {estimator!r}, allowed is one whose fit takes sample_weight")
        routed = dict(process_routing(self, "fit", **fit_params).estimator.fit) if _routing_enabled() else fit_params
        weight = _weights(routed.pop("sample_weight", None), X)
        self.sampler_ = CoresetSampler() if self.sampler is None else clone(self.sampler)
        if self.random_state is not None:
            self.sampler_.set_params(random_state=_seed(self.random_state))
        A, target = X, y
        if weight is not None:
            # A weighted sum of p-th powers is that of rows times the p-th root of the weight.
            kept = np.flatnonzero(weight > 0)
            if len(kept) == 0:
                raise ValueError("sample_weight is zero for all rows, allowed is at least one above zero")
            root = weight[kept] ** (1.0 / float(self.sampler_.p))
            A = sp.csr_array(X[kept].multiply(root[:, None])) if sp.issparse(X) else X[kept] * root[:, None]
            target = (y[kept].T * root).T
        self.sampler_.fit(A, target)
        at, w = self.sampler_.sample_indices_, self.sampler_.sample_weight_
        if weight is not None:
            at = kept[at]
            w = w * weight[at]
            self.sampler_.sample_indices_, self.sampler_.sample_weight_ = at, w
        self.estimator_ = clone(estimator).fit(X[at], y[at], sample_weight=w, **routed)
        return self

    def predict(self, X: Any) -> Any:
        """What the fitted estimator predicts."""
        check_is_fitted(self)
        return self.estimator_.predict(validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=False))

    def get_metadata_routing(self) -> Any:
        """Whatever the estimator's fit takes."""
        estimator = Ridge() if self.estimator is None else self.estimator
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add(estimator=estimator, method_mapping=mapping)


# Columns up to which the covariance of all of them is kept: solving with it costs the cube for each pattern of missing entries.
_MOST_COLUMNS = 200


class MatrixCompletion(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Imputer: fills what is missing by a low-rank model of the table; new rows are filled by the same model.

    Tables of up to 200 columns are filled by the conditional means of a normal distribution whose mean and covariance are
    those of the model, averaged over draws of its posterior (:func:`samplewise.completion.sample_posterior`). Wider ones, and
    those with another loss, a ridge or factors that must not be negative, by one fit (:func:`samplewise.completion.complete`).

    Parameters
    ----------
    rank : int, optional
        Rank of the model; by default `max_rank` for draws, else the one that entries held back prefer.
    max_rank : int, default 20
        Largest rank.
    n_draws : int, default 60
        Number of draws; 0 for one fit.
    alpha : float, optional
        Ridge of one fit.
    biases : bool, default True
        Whether rows have a constant of their own.
    loss : {"squared", "huber", "trimmed"}
        The last two are for entries that are wrong, in one fit.
    non_negative : bool, default False
        Whether factors must not be negative, in one fit.
    max_iter : int, default 5000
        Most steps of one fit.
    keep_empty_features : bool, default False
        Whether columns without any entry stay, filled with 0, or are left out.
    add_indicator : bool, default False
        Whether columns are added that say which entries of columns with missing ones were missing.
    random_state, n_jobs, callback
        Seed; number of threads; progress.

    Attributes
    ----------
    rank_ : int
        Rank of the model.
    status_ : str
        "drawn", or what the one fit says; "means" where there are too few entries for a model, so that columns are filled with
        their means.
    test_rmse_ : float or None
        Error on entries that were held back, in standard deviations of their columns.
    n_iter_ : int
        Draws, or steps.
    center_, scale_ : arrays of shape (n_features,)
        Mean and standard deviation of the entries of each column.
    mean_, covariance_ : arrays of shape (n_features,), (n_features, n_features)
        Of the normal distribution of columns that `center_` was taken from and `scale_` divided out of; None after one fit.
    completed_ : Completed or None
        The model of the standardised table after one fit.
    """

    _parameter_constraints: dict[str, Any] = {
        "rank": [Interval(Integral, 1, None, closed="left"), None],
        "max_rank": [Interval(Integral, 1, None, closed="left")],
        "n_draws": [Interval(Integral, 0, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left"), None],
        "biases": ["boolean"],
        "loss": [StrOptions({"squared", "huber", "trimmed"})],
        "non_negative": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "keep_empty_features": ["boolean"],
        "add_indicator": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": _N_JOBS,
        "callback": _CALLBACK,
    }

    def __init__(
        self,
        rank: int | None = None,
        *,
        max_rank: int = 20,
        n_draws: int = 60,
        alpha: float | None = None,
        biases: bool = True,
        loss: str = "squared",
        non_negative: bool = False,
        max_iter: int = 5000,
        keep_empty_features: bool = False,
        add_indicator: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
        callback: Any = None,
    ) -> None:
        self.rank, self.max_rank, self.n_draws = rank, max_rank, n_draws
        self.alpha, self.biases, self.loss, self.non_negative = alpha, biases, loss, non_negative
        self.max_iter, self.random_state = max_iter, random_state
        self.keep_empty_features, self.add_indicator = keep_empty_features, add_indicator
        self.n_jobs, self.callback = n_jobs, callback

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> MatrixCompletion:
        """Learns the model of a table in which NaN is missing."""
        X = validate_data(self, X, dtype=FLOAT_DTYPES, ensure_all_finite="allow-nan", ensure_min_samples=2)
        seen = ~np.isnan(X)
        count = seen.sum(axis=0)
        self.empty_ = count == 0
        self.missing_ = np.flatnonzero((count < len(X)) & ~self.empty_)
        self.center_, self.scale_ = _standard(X, seen, count)
        Z = np.where(seen, (X - self.center_) / self.scale_, np.nan)[:, ~self.empty_]
        self.mean_: Any = None
        self.covariance_: Any = None
        self.completed_: Any = None
        self.test_rmse_: Any = None
        own = {"random_state": _seed(self.random_state), "n_jobs": self.n_jobs, "callback": self.callback}
        plain = self.alpha is None and self.loss == "squared" and not self.non_negative
        try:
            if self.n_draws and plain and Z.shape[1] <= _MOST_COLUMNS:
                self._draw(Z, own)
            else:
                self._complete(Z, own)
        except ValueError as error:
            # Tables with too few entries for any model are filled with the means of their columns.
            few = Z.size == 0 or Z.shape[1] == 1 or any(w in str(error) for w in ("held out", "entries", "rank"))
            if not few or self.rank is not None and self.rank <= min(Z.shape, default=0):
                raise
            self.rank_, self.status_, self.n_iter_ = 0, "means", 1
            self._keep(np.zeros(Z.shape[1]), np.eye(Z.shape[1]))
        return self

    def _draw(self, Z: Any, own: dict[str, Any]) -> None:
        wanted = self.max_rank if self.rank is None else self.rank
        rank = max(1, min(int(wanted), Z.shape[1] - 1, Z.shape[0] - 1))
        draws = sample_posterior(Z, rank, n_draws=int(self.n_draws), burn_in=30, biases=self.biases, implicit=False, **own)
        p = Z.shape[1]
        mean, square = np.zeros(p), np.zeros((p, p))
        models = draws._draws.models()
        for model, noise in zip(models, draws.noise):
            (rows, columns), (row_biases, column_biases) = model.factors(), model.biases()
            # A row is normal with the mean and the covariance of the rows' factors; its own constant is one factor more.
            rows, columns = np.column_stack([rows, row_biases]), np.column_stack([columns, np.ones(p)])
            center = rows.mean(axis=0)
            at = model.mean + column_biases + columns @ center
            spread = (rows - center).T @ (rows - center) / len(rows)
            mean += at / len(models)
            square += (columns @ spread @ columns.T + noise**2 * np.eye(p) + np.outer(at, at)) / len(models)
        covariance = square - np.outer(mean, mean)
        self.rank_, self.status_, self.n_iter_ = rank, "drawn", len(models)
        self.test_rmse_ = draws.report["test_rmse"]
        self._keep(mean, covariance)

    def _keep(self, mean: Any, covariance: Any) -> None:
        kept = np.flatnonzero(~self.empty_)
        n = len(self.empty_)
        self.mean_, self.covariance_ = np.zeros(n), np.zeros((n, n))
        self.mean_[kept] = mean
        self.covariance_[np.ix_(kept, kept)] = covariance

    def _complete(self, Z: Any, own: dict[str, Any]) -> None:
        most = max(1, min(Z.shape))
        rank = None if self.rank is None else min(int(self.rank), most)
        self.completed_ = complete(
            Z,
            rank,
            max_rank=min(int(self.max_rank), most),
            alpha=self.alpha,
            biases=self.biases,
            loss=self.loss,
            non_negative=self.non_negative,
            max_iter=self.max_iter,
            **own,
        )
        r = self.completed_.report
        self.rank_, self.status_, self.n_iter_, self.test_rmse_ = self.completed_.rank, r["status"], r["n_iter"], r["test_rmse"]

    def transform(self, X: Any) -> Any:
        """The table with its missing entries filled; entries that are there stay as they are."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOAT_DTYPES, ensure_all_finite="allow-nan", reset=False, copy=True)
        missing = np.isnan(X)
        rows = np.flatnonzero(missing.any(axis=1))
        if len(rows):
            fill = self._conditional if self.completed_ is None else self._folded
            X[rows] = np.where(missing[rows], fill(X[rows]), X[rows])
        if self.empty_.any() and not self.keep_empty_features:
            X = X[:, ~self.empty_]
        if self.add_indicator:
            X = np.hstack([X, missing[:, self.missing_].astype(X.dtype)])
        return X

    def _folded(self, X: Any) -> Any:
        Z = ((X - self.center_) / self.scale_)[:, ~self.empty_]
        full = np.zeros(X.shape)
        full[:, ~self.empty_] = self.completed_.predict_rows(Z, n_jobs=self.n_jobs)
        return np.where(self.empty_, 0.0, full * self.scale_ + self.center_)

    def _conditional(self, X: Any) -> Any:
        """Conditional means, one solve for each pattern of missing entries."""
        Z = (X - self.center_) / self.scale_ - self.mean_
        covariance = self.covariance_
        full = np.zeros(X.shape)
        patterns, number = np.unique(~np.isnan(X), axis=0, return_inverse=True)
        for k, seen in enumerate(patterns):
            rows = np.flatnonzero(number.reshape(-1) == k)
            known, unknown = np.flatnonzero(seen & ~self.empty_), np.flatnonzero(~seen & ~self.empty_)
            if len(known) and len(unknown):
                weights = np.linalg.solve(covariance[np.ix_(known, known)], covariance[np.ix_(known, unknown)])
                full[np.ix_(rows, unknown)] = Z[np.ix_(rows, known)] @ weights
        return np.where(self.empty_, 0.0, (full + self.mean_) * self.scale_ + self.center_)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Names of the columns of :meth:`transform`."""
        names = super().get_feature_names_out(input_features)
        kept = names if self.keep_empty_features or not self.empty_.any() else names[~self.empty_]
        if self.add_indicator:
            kept = np.concatenate([kept, [f"missingindicator_{name}" for name in names[self.missing_]]]).astype(object)
        return kept

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _standard(X: Any, seen: Any, count: Any) -> tuple[Any, Any]:
    """Means and standard deviations of the entries of each column, for any units; 1 where there is no spread beyond rounding."""
    many = np.maximum(count, 1)
    largest = np.where(seen, np.abs(X), 0.0).max(axis=0, initial=0.0).astype(np.float64)
    unit = np.where((largest > 1e100) | ((largest < 1e-100) & (largest > 0)), largest, 1.0)
    scaled = np.where(seen, X, 0.0) / unit
    center = scaled.sum(axis=0, dtype=np.float64) / many
    apart = np.where(seen, scaled - center, 0.0)
    spread = np.sqrt((apart**2).sum(axis=0, dtype=np.float64) / many)
    spread = np.where(spread > 1e-12 * np.abs(center), spread, 1.0)
    return center * unit, spread * unit
