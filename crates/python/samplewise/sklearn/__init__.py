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

from ._certified import LpRegressor, QuantileRegressor
from ._coresets import CoresetRegressor, CoresetSampler
from ._imputer import MatrixCompletion
from ._penalised import ElasticNet, ElasticNetCV, GroupLasso, Lasso, LassoCV, MultiTaskLasso

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
