"""scikit-learn's own checks of every estimator, and what users do with them."""

import numpy as np
import pandas as pd
import polars
import pytest
import scipy.sparse as sp
import sklearn
import sklearn.linear_model as theirs
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from samplewise.sklearn import (
    CoresetRegressor,
    CoresetSampler,
    ElasticNet,
    ElasticNetCV,
    GroupLasso,
    Lasso,
    LassoCV,
    LpRegressor,
    MatrixCompletion,
    MultiTaskLasso,
    QuantileRegressor,
)

ALL = [
    Lasso(),
    ElasticNet(),
    LassoCV(),
    ElasticNetCV(),
    MultiTaskLasso(),
    GroupLasso(),
    QuantileRegressor(),
    QuantileRegressor(coreset_size=60, random_state=0),
    LpRegressor(),
    LpRegressor(p=1.5),
    CoresetSampler(),
    CoresetRegressor(),
    CoresetRegressor(Ridge(), random_state=0),
    MatrixCompletion(),
    MatrixCompletion(rank=2, random_state=0),
    MatrixCompletion(n_draws=0, random_state=0),
]


@parametrize_with_checks(ALL)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 12))
    y = 2.0 * X[:, 0] - X[:, 3] + 0.3 * rng.normal(size=150) + 1.0
    return X, y


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        (Lasso(0.1, tol=1e-10), theirs.Lasso(0.1, tol=1e-12, max_iter=100_000)),
        (ElasticNet(0.1, l1_ratio=0.3, tol=1e-10), theirs.ElasticNet(0.1, l1_ratio=0.3, tol=1e-12, max_iter=100_000)),
        (LassoCV(tol=1e-10), theirs.LassoCV(tol=1e-12, cv=5, max_iter=100_000)),
        (ElasticNetCV(tol=1e-10), theirs.ElasticNetCV(tol=1e-12, cv=5, max_iter=100_000)),
    ],
    ids=lambda e: type(e).__module__.split(".")[0] + "." + type(e).__name__,
)
def test_fits_are_those_of_scikit_learn(data, ours, other):
    X, y = data
    weight = np.linspace(0.5, 2.0, len(y))
    for w in (None, weight):
        a, b = clone(ours).fit(X, y, w), clone(other).fit(X, y, w)
        assert np.abs(a.coef_ - b.coef_).max() < 1e-6 and abs(a.intercept_ - b.intercept_) < 1e-6
        assert a.status_ == "converged"
        if hasattr(b, "alpha_"):
            assert a.alpha_ == pytest.approx(b.alpha_, rel=1e-9)


def test_groups_and_targets(data):
    X, y = data
    Y = np.stack([y, X[:, 5] + 0.1 * y], axis=1)
    a = MultiTaskLasso(0.1, tol=1e-10).fit(X, Y)
    b = theirs.MultiTaskLasso(0.1, tol=1e-12, max_iter=100_000).fit(X, Y)
    assert np.abs(a.coef_ - b.coef_).max() < 1e-6 and a.coef_.shape == (2, 12)
    single = GroupLasso(0.1, tol=1e-10).fit(X, y)
    assert np.abs(single.coef_ - Lasso(0.1, tol=1e-10).fit(X, y).coef_).max() < 1e-7
    groups = np.repeat(["a", "b", "c", "d"], 3)
    grouped = GroupLasso(0.3, groups=groups).fit(X, y)
    zero = (grouped.coef_.reshape(4, 3) == 0).all(axis=1)
    assert zero.tolist() == [False, False, True, True]
    with pytest.raises(ValueError, match="groups has shape"):
        GroupLasso(groups=["a"]).fit(X, y)


def test_quantiles_are_those_of_scikit_learn(data):
    X, y = data
    for quantile in (0.1, 0.5, 0.9):
        a = QuantileRegressor(quantile=quantile).fit(X, y)
        b = theirs.QuantileRegressor(quantile=quantile, alpha=0.0).fit(X, y)
        loss = lambda m: np.maximum(quantile * (y - m.predict(X)), (quantile - 1) * (y - m.predict(X))).sum()  # noqa: E731
        assert loss(a) <= loss(b) * (1 + 1e-8) and a.objective_ == pytest.approx(loss(a), rel=1e-9)
        assert a.lower_bound_ <= loss(b) * (1 + 1e-12)


def test_frames_keep_their_names(data):
    X, y = data
    names = [f"f{i}" for i in range(12)]
    for frame in (pd.DataFrame(X, columns=names), polars.DataFrame(X, schema=names)):
        model = Lasso(0.1).fit(frame, y)
        assert list(model.feature_names_in_) == names
        assert np.allclose(model.predict(frame), Lasso(0.1).fit(X, y).predict(X), rtol=1e-12)
    holes = pd.DataFrame(np.where(np.random.default_rng(1).random(X.shape) < 0.1, np.nan, X), columns=names)
    out = MatrixCompletion(rank=2, random_state=0).set_output(transform="pandas").fit_transform(holes)
    assert list(out.columns) == names and not out.isna().any().any()
    out = MatrixCompletion(rank=2, random_state=0).set_output(transform="polars").fit_transform(holes)
    assert out.columns == names


def test_empty_features_and_indicators():
    X = np.array([[1.0, np.nan, 2.0], [2.0, np.nan, np.nan], [3.0, np.nan, 6.0], [4.0, np.nan, 8.0]])
    assert MatrixCompletion(rank=1, random_state=0).fit_transform(X).shape == (4, 2)
    kept = MatrixCompletion(rank=1, random_state=0, keep_empty_features=True, add_indicator=True).fit(X)
    out = kept.transform(X)
    assert out.shape == (4, 4) and (out[:, 1] == 0).all() and out[:, 3].tolist() == [0, 1, 0, 0]
    assert kept.get_feature_names_out(["a", "b", "c"]).tolist() == ["a", "b", "c", "missingindicator_c"]
    seen = ~np.isnan(X)
    assert (out[:, :3][seen] == X[seen]).all()


def test_imputed_entries_are_near_the_truth():
    rng = np.random.default_rng(5)
    truth = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 8)) + 5.0
    holes = np.where(rng.random(truth.shape) < 0.2, np.nan, truth + 0.01 * rng.normal(size=truth.shape))
    for units in (1.0, 1e-150, 1e150):
        for n_draws in (0, 60):
            model = MatrixCompletion(n_draws=n_draws, random_state=0).fit(units * holes)
            out = model.transform(units * holes) / units
            assert np.abs(out - truth).max() < 0.3 and model.test_rmse_ < 0.1, (units, n_draws)
            assert np.array_equal(MatrixCompletion(n_draws=n_draws, random_state=0).fit_transform(units * holes) / units, out)
    few = MatrixCompletion(random_state=0).fit_transform(np.array([[1.0, np.nan], [np.nan, 4.0], [3.0, 6.0]]))
    assert np.isfinite(few).all()
    assert MatrixCompletion(random_state=0).fit_transform(np.array([[1.0], [np.nan], [3.0]])).tolist() == [[1.0], [2.0], [3.0]]


def test_searches_pipelines_and_folds(data):
    X, y = data
    found = GridSearchCV(Lasso(), {"alpha": [0.01, 0.1, 1.0]}, n_jobs=2).fit(X, y)
    assert found.best_params_["alpha"] < 1.0
    assert make_pipeline(StandardScaler(), QuantileRegressor()).fit(X, y).score(X, y) > 0.8
    by_number = LassoCV(cv=4).fit(X, y)
    by_splitter = LassoCV(cv=KFold(4)).fit(X, y)
    by_list = LassoCV(cv=list(KFold(4).split(X))).fit(X, y)
    assert by_number.alpha_ == by_splitter.alpha_ == by_list.alpha_
    assert np.allclose(by_number.mse_, by_splitter.mse_, rtol=1e-6)
    assert LassoCV(selection="1se").fit(X, y).alpha_ >= LassoCV().fit(X, y).alpha_


def test_weights_are_routed(data):
    X, y = data
    weight = np.linspace(0.5, 2.0, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        model = QuantileRegressor().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        scores = cross_validate(make_pipeline(scaler, model), X, y, params={"sample_weight": weight})
        assert np.isfinite(scores["test_score"]).all()
        inner = Ridge().set_fit_request(sample_weight=True)
        meta = CoresetRegressor(inner, random_state=0).fit(X, y, sample_weight=weight)
        assert meta.predict(X).shape == y.shape


def test_coresets_know_the_weights_of_their_rows(data):
    X, y = data
    weight = np.where(np.arange(len(y)) < 75, 1.0, 0.0)
    meta = CoresetRegressor(Ridge(1e-6), sampler=CoresetSampler(60), random_state=0).fit(X, y, sample_weight=weight)
    assert meta.sampler_.sample_indices_.max() < 75
    both = CoresetSampler(40, random_state=0).fit(sp.csr_array(X), y)
    rows, targets = both.fit_resample(X, y)
    assert len(rows) == len(targets) == len(both.sample_weight_) == 40


def test_sparse_tables_give_the_same(data):
    X, y = data
    X = np.where(np.abs(X) > 1.0, X, 0.0)
    for make in (lambda: Lasso(0.05), QuantileRegressor, lambda: GroupLasso(0.05)):
        dense = make().fit(X, y)
        for kind in (sp.csr_array, sp.csc_array, sp.coo_array):
            assert np.abs(make().fit(kind(X), y).coef_ - dense.coef_).max() < 1e-6


def test_results_do_not_depend_on_threads(data):
    X, y = data
    for make in (Lasso, LassoCV, QuantileRegressor):
        assert np.array_equal(make(n_jobs=1).fit(X, y).coef_, make(n_jobs=2).fit(X, y).coef_)
