"""How calls run: threads, progress, seeds."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Callback = Callable[[str, int, "int | None", "float | None"], Any]

_limit: ContextVar[int | None] = ContextVar("samplewise_threads", default=None)


def _default_threads() -> int:
    for name in ("SAMPLEWISE_NUM_THREADS", "RAYON_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "")
        if text.isdigit() and int(text) > 0:
            return int(text)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def threads(n_jobs: int | None) -> int:
    """The number of threads of a call: scikit-learn's `n_jobs`, or the limit in force."""
    if n_jobs is None:
        return _limit.get() or _default_threads()
    count = integer("n_jobs", n_jobs)
    if count == 0:
        raise ValueError("n_jobs is 0, allowed is None, a positive number, or a negative one that counts from all")
    return count if count > 0 else max(1, _default_threads() + 1 + count)


def call(n_jobs: int | None = None, callback: Callback | None = None) -> dict[str, Any]:
    """What every call of the extension module is told."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is {callback!r}, allowed is None or a function of stage, step, total and value")
    return {"threads": threads(n_jobs), "callback": callback}


@contextmanager
def thread_limit(n: int) -> Iterator[None]:
    """Bounds the threads of all calls inside that do not name `n_jobs`.

    Parameters
    ----------
    n : int
        Number of threads, at least 1. No result depends on it.

    Examples
    --------
    >>> import samplewise
    >>> from samplewise.hamming import distances
    >>> with samplewise.thread_limit(1):
    ...     distances("ab", "abba").values.tolist()
    [0, 1, 2]
    """
    count = integer("n", n)
    if count < 1:
        raise ValueError(f"n is {count}, allowed is at least 1")
    token = _limit.set(count)
    try:
        yield
    finally:
        _limit.reset(token)


def progress(**settings: Any) -> Callback:
    """A callback that shows a bar of tqdm.

    Parameters
    ----------
    **settings
        Arguments of `tqdm.auto.tqdm`, such as `leave` or `file`.

    Returns
    -------
    callable
        For the argument `callback` of any call.

    Raises
    ------
    ImportError
        Where tqdm is not installed.
    """
    from tqdm.auto import tqdm

    bar = tqdm(**settings)
    seen: list[str] = [""]

    def show(stage: str, step: int, total: int | None, value: float | None) -> None:
        if stage != seen[0]:
            seen[0] = stage
            bar.reset(total)
            bar.set_description(stage)
        bar.total = total
        bar.n = step
        if value is not None:
            bar.set_postfix_str(f"{value:.4g}")
        bar.refresh()

    return show


def integer(name: str, value: Any, least: int | None = None) -> int:
    """A whole number, with the name that the caller wrote in the error."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}, allowed is a whole number") from None
    if least is not None and number < least:
        raise ValueError(f"{name} is {number}, allowed is at least {least}")
    return number


def real(name: str, value: Any) -> float:
    """A number, with the name that the caller wrote in the error."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f"{name} is {value!r}, allowed is a number")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r}, allowed is a number") from None


def seed(random_state: Any) -> int:
    """A seed of 64 bits from a number, or from numpy's generators (of which it draws)."""
    if hasattr(random_state, "integers"):
        return int(random_state.integers(2**63))
    if hasattr(random_state, "randint"):
        return int(random_state.randint(2**31 - 1))
    number = integer("random_state", random_state)
    if not 0 <= number < 2**64:
        raise ValueError(f"random_state is {number}, allowed is 0 to 2**64 - 1")
    return number
