"""What all estimators share."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight

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
