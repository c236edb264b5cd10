"""Few rows for many."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, _fit_context, clone
from sklearn.linear_model import Ridge
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, _routing_enabled, process_routing
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from ..sensitivity import coreset
from ._base import _CALLBACK, _N_JOBS, _seed, _Sparse, _weights


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
