"""Numerical algorithms that answer from few entries, few queries, few rows or few labels, and show the evidence.

Modules
-------
completion
    Missing entries of a low-rank table.
wht
    Interactions that drive a function of on/off variables: sparse Walsh-Hadamard transforms.
surrogate
    Functions of on/off variables or letters that are not sparse: values, Shapley values, interactions with deviations.
hamming
    Mismatches of patterns at every position of a text.
sensitivity
    Rows that matter, coresets, certified quantile and lp regression.
lasso
    Sparse linear models with duality gaps.
mtrl
    Which tasks to sample for a target with few labels.
partitions
    Coresets, quantile regression and the Lasso of tables that lie in parts, with any engine (needs pyarrow).
spark
    The same for Spark and Sail.
sklearn
    Estimators for scikit-learn (needs scikit-learn and scipy).
shapiq
    Approximators for shapiq (needs shapiq).
"""

from importlib import import_module as _import_module
from types import ModuleType as _ModuleType

from ._call import progress, thread_limit
from ._core import __version__

__all__ = [
    "__version__",
    "completion",
    "hamming",
    "lasso",
    "mtrl",
    "partitions",
    "progress",
    "sensitivity",
    "shapiq",
    "sklearn",
    "spark",
    "surrogate",
    "thread_limit",
    "wht",
]

_MODULES = (
    "completion",
    "hamming",
    "lasso",
    "mtrl",
    "partitions",
    "sensitivity",
    "shapiq",
    "sklearn",
    "spark",
    "surrogate",
    "wht",
)


def __getattr__(name: str) -> _ModuleType:
    # Modules load when they are used, so that the import costs little more than numpy's.
    if name in _MODULES:
        return _import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
