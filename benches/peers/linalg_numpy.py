"""numpy and scipy for `run.py linalg`: one task per call, a JSON object on standard input, one on standard output."""

from __future__ import annotations

import json
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any, Callable

import numpy as np
import scipy
import scipy.linalg
import scipy.sparse

FRACTION_BITS = 60
SLICE_BITS = 15


def repeat(runs: int, run: Callable[[], Any]) -> tuple[Any, list[float]]:
    answer = run()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return answer, seconds


def raw(path: str, shape: tuple[int, ...], kind: str = "<f8") -> np.ndarray:
    return np.fromfile(path, dtype=kind).reshape(shape)


def make_matrix(ask: dict[str, Any]) -> dict[str, Any]:
    shape = (ask["rows"], ask["columns"])
    np.random.default_rng(ask["seed"]).standard_normal(shape).tofile(ask["a"])
    return {}


def make_system(ask: dict[str, Any]) -> dict[str, Any]:
    """Entries are multiples of 2^-60, so that the exact solution can be computed from integers."""
    n, d, condition = ask["rows"], ask["columns"], ask["condition"]
    rng = np.random.default_rng(ask["seed"])
    left = np.linalg.qr(rng.standard_normal((n, d)))[0]
    right = np.linalg.qr(rng.standard_normal((d, d)))[0]
    a = on_grid((left * np.geomspace(1.0, 1.0 / condition, d)) @ right)
    b = a @ rng.standard_normal(d)
    noise = rng.standard_normal(n)
    noise *= ask["residual"] * np.linalg.norm(b) / np.linalg.norm(noise)
    b = on_grid((b + noise) / 8)
    a.tofile(ask["a"])
    b.tofile(ask["b"])
    Path(ask["x"]).write_text(json.dumps(exact(a, b)))
    return {}


def on_grid(values: np.ndarray) -> np.ndarray:
    return np.ldexp(np.rint(np.ldexp(values, FRACTION_BITS)), -FRACTION_BITS)


def exact(a: np.ndarray, b: np.ndarray) -> list[float]:
    """The least-squares solution in rational arithmetic, rounded once.

    Columns are cut into slices of 15 bits; products of slices, summed over the rows, stay below 2^53, so BLAS adds them
    without rounding.
    """
    whole = np.column_stack([a, b])
    assert np.abs(whole).max() < 1.0 and len(whole) < 1 << (53 - 2 * SLICE_BITS)
    slices, rest = [], whole
    for s in range(1, FRACTION_BITS // SLICE_BITS + 1):
        part = np.trunc(np.ldexp(rest, s * SLICE_BITS))
        slices.append(part)
        rest = rest - np.ldexp(part, -s * SLICE_BITS)
    assert not rest.any()
    count, d = len(slices), a.shape[1]
    gram = [[0] * (d + 1) for _ in range(d + 1)]
    for i, left in enumerate(slices):
        for j, right in enumerate(slices):
            shift = SLICE_BITS * (2 * count - 2 - i - j)
            for p, row in enumerate(left.T @ right):
                for q, value in enumerate(row):
                    gram[p][q] += int(value) << shift
    rows = [[Fraction(v) for v in gram[p]] for p in range(d)]
    for c in range(d):
        for r in range(c + 1, d):
            factor = rows[r][c] / rows[c][c]
            rows[r] = [v - factor * w for v, w in zip(rows[r], rows[c])]
    x = [Fraction(0)] * d
    for c in reversed(range(d)):
        x[c] = (rows[c][d] - sum(rows[c][j] * x[j] for j in range(c + 1, d))) / rows[c][c]
    return [float(v) for v in x]


def qr(ask: dict[str, Any]) -> dict[str, Any]:
    """geqrf: R alone."""
    a = raw(ask["a"], (ask["rows"], ask["columns"]))
    columns = np.asfortranarray(a)  # what LAPACK works on; the copy is not timed
    answer, seconds = repeat(
        ask["runs"], lambda: scipy.linalg.qr(columns, mode="raw", check_finite=False)[1]
    )
    np.ascontiguousarray(answer).tofile(ask["out"])
    return {"seconds": seconds}


def lstsq(ask: dict[str, Any]) -> dict[str, Any]:
    a, b = raw(ask["a"], (ask["rows"], ask["columns"])), raw(ask["b"], (ask["rows"],))
    solvers = {
        "numpy lstsq": lambda: np.linalg.lstsq(a, b, rcond=None)[0],
        "scipy lstsq gelsy": lambda: scipy.linalg.lstsq(a, b, lapack_driver="gelsy")[0],
    }
    answer, seconds = repeat(ask["runs"], solvers[ask["tool"]])
    answer.tofile(ask["out"])
    return {"seconds": seconds}


def make_sparse(ask: dict[str, Any]) -> dict[str, Any]:
    rng = np.random.default_rng(ask["seed"])
    n, per_row = ask["rows"], ask["per_row"]
    indices = np.sort(rng.integers(0, n, (n, per_row)), axis=1)
    fresh = np.ones((n, per_row), dtype=bool)
    fresh[:, 1:] = indices[:, 1:] != indices[:, :-1]
    np.concatenate([[0], fresh.sum(axis=1).cumsum()]).astype("<u8").tofile(ask["offsets"])
    indices[fresh].astype("<u4").tofile(ask["indices"])
    values = rng.standard_normal(int(fresh.sum()))
    x = rng.standard_normal((n, max(ask["widths"])))
    for kind in ("f4", "f8"):
        values.astype("<" + kind).tofile(f"{ask['values']}.{kind}")
        for k in ask["widths"]:
            np.ascontiguousarray(x[:, :k]).astype("<" + kind).tofile(f"{ask['x']}.{k}.{kind}")
    return {}


def spmm(ask: dict[str, Any]) -> dict[str, Any]:
    kind, n, k = "<" + ask["kind"], ask["rows"], ask["width"]
    offsets = raw(ask["offsets"], (-1,), "<u8").astype(np.int32)
    indices = raw(ask["indices"], (-1,), "<u4").astype(np.int32)
    a = scipy.sparse.csr_array((raw(ask["values"], (-1,), kind), indices, offsets), shape=(n, n))
    x = raw(ask["x"], (n, k), kind)
    x = x[:, 0] if k == 1 else x
    answer, seconds = repeat(ask["runs"], lambda: a @ x)
    answer.astype("<f8").tofile(ask["out"])
    return {"seconds": seconds}


TASKS = {
    "make matrix": make_matrix,
    "make system": make_system,
    "make sparse": make_sparse,
    "qr": qr,
    "lstsq": lstsq,
    "spmm": spmm,
}

if __name__ == "__main__":
    request = json.load(sys.stdin)
    reply = TASKS[request["task"]](request)
    reply["versions"] = {"numpy": np.__version__, "scipy": scipy.__version__}
    json.dump(reply, sys.stdout)
