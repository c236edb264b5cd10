"""Arrays as the extension module reads them: contiguous, of one type, without a copy where they are so already."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Sparse = tuple[NDArray[np.uintp], NDArray[np.uint32], Floats, tuple[int, int]]


def _is_sparse(x: Any) -> bool:
    # Only who has scipy can have one of its matrices.
    scipy_sparse = sys.modules.get("scipy.sparse")
    return scipy_sparse is not None and bool(scipy_sparse.issparse(x))


def _plain(x: Any) -> Any:
    """Frames of pandas, polars and others as arrays."""
    if isinstance(x, np.ndarray) or not hasattr(x, "to_numpy"):
        return x
    return x.to_numpy()


def vector(name: str, x: Any, length: int | None = None) -> Floats:
    """A contiguous float64 array of one dimension."""
    a = _numbers(name, x)
    if a.ndim == 2 and 1 in a.shape:
        a = a.reshape(-1)
    if a.ndim != 1:
        raise ValueError(f"{name} has {a.ndim} dimensions, expected is 1")
    if length is not None and len(a) != length:
        raise ValueError(f"{name} has length {len(a)}, expected is {length}")
    return np.ascontiguousarray(a)


def optional_vector(name: str, x: Any, length: int | None = None) -> Floats | None:
    return None if x is None else vector(name, x, length)


def _numbers(name: str, x: Any) -> NDArray[Any]:
    try:
        a = np.asarray(_plain(x))
        if a.dtype.kind not in "fiub":
            if a.dtype.kind == "c":
                raise TypeError(f"{name} holds complex numbers, allowed are real ones")
            a = a.astype(np.float64)
        return a.astype(np.float64, copy=False)
    except (ValueError, TypeError) as error:
        if "complex" in str(error):
            raise
        raise TypeError(f"{name} holds something that is no number: {error}") from None


def dense(name: str, x: Any) -> Floats:
    """A float64 array of two dimensions in C or Fortran order."""
    a = _numbers(name, x)
    if a.ndim != 2:
        raise ValueError(f"{name} has {a.ndim} dimensions, expected is 2")
    if not (a.flags.c_contiguous or a.flags.f_contiguous):
        a = np.ascontiguousarray(a)
    return a


def csr(name: str, x: Any) -> Sparse:
    """The parts of a CSR matrix with sorted indices, each once."""
    x = x if x.format == "csr" else x.tocsr()
    if x.dtype.kind not in "fiub":
        raise TypeError(f"{name} holds {x.dtype}, allowed are real numbers")
    if not x.has_canonical_format:
        x = x.copy()
        x.sum_duplicates()
    rows, columns = x.shape
    if columns > 2**32:
        raise ValueError(f"{name} has {columns} columns, allowed is at most 2**32")
    indices = np.ascontiguousarray(x.indices)
    indices = indices.view(np.uint32) if indices.dtype == np.int32 else indices.astype(np.uint32)
    return (
        np.ascontiguousarray(x.indptr, dtype=np.uintp),
        indices,
        np.ascontiguousarray(x.data, dtype=np.float64),
        (int(rows), int(columns)),
    )


def table(name: str, x: Any) -> Floats | Sparse:
    """A dense or a sparse table."""
    return csr(name, x) if _is_sparse(x) else dense(name, x)


def n_rows(x: Floats | Sparse) -> int:
    return x[3][0] if isinstance(x, tuple) else int(x.shape[0])


def n_columns(x: Floats | Sparse) -> int:
    return x[3][1] if isinstance(x, tuple) else int(x.shape[1])


def indices(name: str, x: Any) -> NDArray[np.uintp]:
    """A contiguous array of whole numbers, none negative."""
    a = np.asarray(_plain(x))
    if a.size == 0:
        a = a.astype(np.int64)
    if a.dtype.kind not in "iu":
        raise TypeError(f"{name} holds {a.dtype}, allowed are whole numbers")
    if a.ndim != 1:
        raise ValueError(f"{name} has {a.ndim} dimensions, expected is 1")
    if a.dtype.kind == "i" and a.size and a.min() < 0:
        raise ValueError(f"{name} holds {a.min()}, allowed is 0 or more")
    if a.dtype == np.intp:
        # None is negative: the same bits, and no copy.
        return np.ascontiguousarray(a).view(np.uintp)
    return np.ascontiguousarray(a, dtype=np.uintp)


def bits(name: str, x: Any, n_variables: int | None = None) -> NDArray[np.uint8]:
    """A contiguous uint8 array of zeros and ones, a row for each point."""
    a = np.asarray(_plain(x))
    if a.ndim == 1:
        a = a[None, :]
    if a.ndim != 2:
        raise ValueError(f"{name} has {a.ndim} dimensions, expected is 2")
    if n_variables is not None and a.shape[1] != n_variables:
        raise ValueError(f"{name} has {a.shape[1]} columns, expected is {n_variables}")
    if a.dtype != np.bool_ and a.dtype.kind not in "iuf":
        raise TypeError(f"{name} holds {a.dtype}, allowed are zeros and ones")
    if a.dtype != np.bool_ and a.size and not np.isin(a, (0, 1)).all():
        at = a[~np.isin(a, (0, 1))][0]
        raise ValueError(f"{name} holds {at}, allowed are zeros and ones")
    return np.ascontiguousarray(a, dtype=np.uint8)
