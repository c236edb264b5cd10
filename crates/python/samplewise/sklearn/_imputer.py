"""Tables with holes."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context
from sklearn.linear_model import Ridge
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import FLOAT_DTYPES, check_is_fitted, validate_data

from ..completion import complete, sample_posterior
from ._base import _CALLBACK, _N_JOBS, _seed

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
