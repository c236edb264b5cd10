"""Quantile and power regression."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.linear_model._base import LinearModel
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import validate_data

from ..sensitivity import coreset, regress
from ._base import _CALLBACK, _N_JOBS, _seed, _Sparse, _warn, _weights

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
