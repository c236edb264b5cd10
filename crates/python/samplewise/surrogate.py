"""Functions of on/off variables or letters that are not sparse: values, Shapley values and interactions with deviations.

Gaussian processes of the Walsh-Hadamard spectrum, heavy-tailed coefficients and a pursuit, mixed by held-out points;
intervals are conformal. Nothing is promised for points unlike those that were told.

Examples
--------
>>> import numpy as np
>>> from samplewise import surrogate
>>> rng = np.random.default_rng(0)
>>> X = rng.integers(0, 2, (120, 12))
>>> y = np.tanh(X[:, :4].sum(axis=1) - 2.0) + X[:, 5] * X[:, 6]
>>> model = surrogate.fit(X, y)
>>> model.status, bool(model.report["held_out_r2"] > 0.9)
('predictive', True)
>>> said = model.shapley()
>>> bool(abs(said.mean[5] - 0.5) < 4 * said.deviation[5] + 0.05)
True
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _arrays, _core
from ._call import Callback, call, integer, real, seed
from ._result import describe
from .wht import noise_number

__all__ = ["Estimates", "Interactions", "Search", "Surrogate", "fit"]

Floats = NDArray[np.float64]
Set = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Estimates:
    """Quantities with their uncertainty.

    Attributes
    ----------
    mean : array
        Posterior means.
    deviation : array
        Posterior standard deviations; of values at points those of a new measurement.
    low, high : array
        Intervals at the level of the fit, widened or narrowed by held-out points.
    """

    mean: Floats
    deviation: Floats
    low: Floats
    high: Floats

    def __len__(self) -> int:
        return len(self.mean)

    def __repr__(self) -> str:
        return describe("Estimates", {"mean": self.mean, "deviation": self.deviation})


@dataclass(frozen=True, eq=False)
class Interactions:
    """The largest interactions.

    Attributes
    ----------
    positions : list of tuple of int
        Columns of each.
    letters : list of tuple
        Levels of each where it is largest.
    share : array
        Shares of the variance.
    effect : Estimates
        What the letters together add to the parts.
    """

    positions: list[Set]
    letters: list[tuple[Any, ...]]
    share: Floats
    effect: Estimates

    def __len__(self) -> int:
        return len(self.positions)


class _Scheme:
    """The levels of each column and how they are coded."""

    def __init__(self, levels: list[list[Any]], words: bool) -> None:
        self.levels, self.words = levels, words
        self._codes = [{v: i for i, v in enumerate(column)} for column in levels]

    @staticmethod
    def _columns(name: str, X: Any) -> tuple[NDArray[Any], bool]:
        """Columns of values, and whether rows were words."""
        a = _arrays._plain(X)
        if not isinstance(a, np.ndarray):
            if isinstance(a, (str, bytes)) or not hasattr(a, "__iter__"):
                raise TypeError(f"{name} is {a!r}, allowed is an array of two dimensions or a sequence of words")
            a = list(a)
            if a and all(isinstance(v, (str, bytes)) for v in a):
                a = [v.decode() if isinstance(v, bytes) else v for v in a]
                if len({len(v) for v in a}) > 1:
                    raise ValueError(f"{name} has words of {min(map(len, a))} to {max(map(len, a))} letters, expected is one length")
                return np.array([list(v) for v in a], dtype=object).reshape(len(a), -1), True
            a = np.asarray(a)
        if a.ndim == 1 and a.dtype.kind in "US" or (a.ndim == 1 and a.dtype == object):
            return _Scheme._columns(name, a.tolist())
        if a.ndim != 2:
            raise ValueError(f"{name} has {a.ndim} dimensions, expected is 2, or words of one length")
        return a, False

    @classmethod
    def of(cls, X: Any, alphabet: Any) -> tuple[_Scheme, NDArray[np.uint8]]:
        a, words = cls._columns("X", X)
        n = a.shape[1]
        if alphabet is None:
            found = [sorted(set(a[:, i].tolist()), key=lambda v: (str(type(v)), v)) for i in range(n)]
            # Two levels everywhere stay zero and one, whichever of them are there.
            if all(set(column) <= {0, 1} for column in found):
                found = [[0, 1] for _ in found]
        elif isinstance(alphabet, str) or np.ndim(np.asarray(alphabet, dtype=object)) == 1 and not _nested(alphabet):
            found = [list(alphabet)] * n
        else:
            found = [list(column) for column in alphabet]
            if len(found) != n:
                raise ValueError(f"alphabet has {len(found)} lists, expected is {n}, one for each column")
        for i, column in enumerate(found):
            if len(column) > 64:
                raise ValueError(f"X has {len(column)} levels in column {i}, allowed are at most 64")
            if len(set(column)) != len(column):
                raise ValueError(f"alphabet names a level twice for column {i}")
        scheme = cls(found, words)
        return scheme, scheme._coded("X", a)

    def _coded(self, name: str, a: NDArray[Any]) -> NDArray[np.uint8]:
        if a.shape[1] != len(self.levels):
            raise ValueError(f"{name} has {a.shape[1]} columns, expected is {len(self.levels)}")
        out = np.empty(a.shape, np.uint8)
        for i, codes in enumerate(self._codes):
            column = a[:, i]
            if column.dtype.kind in "iub" and self.levels[i] == [0, 1]:
                bad = np.flatnonzero((column != 0) & (column != 1))
                if len(bad):
                    raise ValueError(f"{name} holds {column[bad[0]]} in row {bad[0]}, column {i}, allowed are {self.levels[i]}")
                out[:, i] = column
                continue
            for j, v in enumerate(column.tolist()):
                code = codes.get(v)
                if code is None:
                    raise ValueError(f"{name} holds {v!r} in row {j}, column {i}, allowed are {self.levels[i]}")
                out[j, i] = code
        return out

    def code(self, name: str, X: Any) -> NDArray[np.uint8]:
        return self._coded(name, self._columns(name, X)[0])

    def decode(self, codes: NDArray[np.uint8]) -> Any:
        if self.words:
            return ["".join(self.levels[i][c] for i, c in enumerate(row)) for row in codes.tolist()]
        columns = [np.array(column)[codes[:, i]] for i, column in enumerate(self.levels)]
        return np.stack(columns, axis=1) if columns else codes


def _nested(alphabet: Any) -> bool:
    return any(isinstance(a, (list, tuple, np.ndarray)) or isinstance(a, str) and len(a) > 1 for a in alphabet)


def _settings(
    noise_std: Any,
    level: float,
    spreads: Sequence[float],
    tails: Sequence[float],
    pursuit: bool,
    cv: int,
    max_points: int,
    groups: Any,
    random_state: Any,
) -> dict[str, Any]:
    numbers: list[int] | None = None
    if groups is not None:
        numbers = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1).tolist()
    return {
        "noise": noise_number(noise_std),
        "level": real("level", level),
        "spreads": [real("spreads", s) for s in spreads],
        "tails": [real("tails", t) for t in tails],
        "pursuit": bool(pursuit),
        "folds": integer("cv", cv, 0),
        "max_points": integer("max_points", max_points, 0),
        "groups": numbers,
        "seed": seed(random_state),
    }


class Surrogate:
    """What was learned of a function, with the evidence; made by :func:`fit` or :class:`Search`.

    Attributes
    ----------
    status : str
        "explained" (every value, to rounding), "predictive", "no structure found", "constant" or "unjudged".
    report : dict
        `held_out_r2`, `n_held_out`, `noise_std`, `experts` with their shares, `constant_share`, `n_merged` and more.
    levels : list of lists
        Levels of each column, in the order of their codes.
    """

    def __init__(self, core: _core.LetterPosterior, scheme: _Scheme, told: tuple[NDArray[np.uint8], Floats] | None) -> None:
        self._core, self._scheme, self._told = core, scheme, told
        self.report: dict[str, Any] = core.report()

    @property
    def status(self) -> str:
        """Word of what is known."""
        return str(self.report["status"])

    @property
    def levels(self) -> list[list[Any]]:
        """Levels of each column."""
        return [list(column) for column in self._scheme.levels]

    @property
    def level(self) -> float:
        """Level of the intervals."""
        return float(self._core.level)

    def predict(
        self,
        X: Any,
        return_std: bool = False,
        *,
        n_jobs: int | None = None,
        callback: Callback | None = None,
    ) -> Floats | tuple[Floats, Floats]:
        """Means at points, and with `return_std` the deviations of a new measurement there.

        Parameters
        ----------
        X : as of :func:`fit`
            Points.
        return_std : bool, default False
            Whether deviations are wanted, which take longer.
        n_jobs, callback
            Number of threads; progress.

        Returns
        -------
        array of shape (n_points,), or two
        """
        codes, run = self._scheme.code("X", X), call(n_jobs, callback)
        if not return_std:
            return self._core.means(run, codes)
        mean, deviation, _, _ = self._core.predict(run, codes)
        return mean, deviation

    def estimate(self, X: Any, *, n_jobs: int | None = None) -> Estimates:
        """Means, deviations and intervals at points."""
        return Estimates(*self._core.predict(call(n_jobs), self._scheme.code("X", X)))

    def shapley(self, *, n_jobs: int | None = None) -> Estimates:
        """Shapley values, for columns of two levels: from all at the first level to all at the second."""
        return Estimates(*self._core.shapley(call(n_jobs)))

    def shapley_covariance(self, *, n_jobs: int | None = None) -> Floats:
        """Posterior covariance of the Shapley values, shape (n_columns, n_columns)."""
        return self._core.shapley_covariance(call(n_jobs))

    def banzhaf(self, *, n_jobs: int | None = None) -> Estimates:
        """Banzhaf values, for columns of two levels."""
        return Estimates(*self._core.banzhaf(call(n_jobs)))

    def coefficients(self, sets: Iterable[Iterable[int]], *, n_jobs: int | None = None) -> Estimates:
        """Walsh-Hadamard coefficients of sets of columns of two levels; signs as in :mod:`samplewise.wht`."""
        return Estimates(*self._core.coefficients(call(n_jobs), _sets(sets)))

    def moebius(self, sets: Iterable[Iterable[int]], *, n_jobs: int | None = None) -> Estimates:
        """Möbius coefficients of sets of columns of two levels."""
        return Estimates(*self._core.moebius(call(n_jobs), _sets(sets)))

    def pairs(self, index: str = "SII", *, n_jobs: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64], Estimates]:
        """Interactions of all pairs of columns of two levels.

        Parameters
        ----------
        index : {"SII", "STII", "FSII", "BII"}
            Shapley, Shapley-Taylor, faithful Shapley or Banzhaf interactions.
        n_jobs : int, optional
            Number of threads.

        Returns
        -------
        first, second : arrays of int
        estimates : Estimates
        """
        first, second, said = self._core.pairs(call(n_jobs), str(index))
        return first, second, Estimates(*said)

    def top(self, k: int = 20, *, n_jobs: int | None = None) -> tuple[list[Set], Estimates, float]:
        """The largest Walsh-Hadamard coefficients, and what any other is at most.

        Returns
        -------
        sets : list of tuple of int
        estimates : Estimates
        missed_at_most : float
            A bound for the size of every coefficient that is not listed.
        """
        sets, said, missed = self._core.top(call(n_jobs), integer("k", k, 0))
        return [tuple(s) for s in sets], Estimates(*said), float(missed)

    def interactions(self, k: int = 20, *, n_jobs: int | None = None) -> Interactions:
        """The largest interactions of columns of any levels."""
        places, letters, share, effect = self._core.largest_interactions(call(n_jobs), integer("k", k, 0))
        levels = self._scheme.levels
        words = [tuple(levels[i][a] for i, a in zip(p, l)) for p, l in zip(places, letters)]
        return Interactions([tuple(p) for p in places], words, share, Estimates(*effect))

    def effects(self, column: int, *, n_jobs: int | None = None) -> Estimates:
        """What each level of a column adds to the mean."""
        return Estimates(*self._core.effects(call(n_jobs), integer("column", column, 0)))

    def sobol(self, *, n_jobs: int | None = None) -> tuple[Floats, Floats]:
        """First-order and total Sobol indices of the posterior mean."""
        first, total, _ = self._core.sobol(call(n_jobs))
        return first, total

    def energy_by_degree(self, most: int = 10, *, n_jobs: int | None = None) -> tuple[Floats, Floats]:
        """Shares of the variance of the mean by number of columns from 0 on, the last of all that is more, and expected energies."""
        _, share, expected = self._core.energy_by_degree(call(n_jobs), integer("most", most, 0))
        return share, expected

    def propose(
        self,
        n: int = 10,
        target: str = "values",
        *,
        random_state: Any = 0,
        n_jobs: int | None = None,
        callback: Callback | None = None,
    ) -> Any:
        """Points that were not told.

        Parameters
        ----------
        n : int, default 10
            How many.
        target : {"values", "maximum", "highest"}
            Those that say most of all values; those that might be the largest; or those of the largest means.
        random_state, n_jobs, callback
            Seed; number of threads; progress.

        Returns
        -------
        array of shape (n, n_columns), or list of words if words were told
        """
        if target not in ("values", "maximum", "highest"):
            raise ValueError(f"target is {target!r}, allowed is 'values', 'maximum' or 'highest'")
        if self._told is None:
            raise ValueError("the points told are not part of a model that was read from bytes")
        wanted = (target, integer("n", n, 1), seed(random_state))
        return self._scheme.decode(self._core.next(call(n_jobs, callback), self._told, wanted))

    def to_bytes(self) -> bytes:
        """The model of the codes as versioned bytes with a checksum, which Rust reads too; levels are not part of it."""
        return bytes(self._core.to_bytes())

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.to_bytes(), self._scheme.levels, self._scheme.words, self._told)

    def __repr__(self) -> str:
        r = self.report
        return describe(
            "Surrogate",
            {"status": self.status, "columns": len(self._scheme.levels)},
            {k: r[k] for k in ("held_out_r2", "n_held_out", "noise_std")},
            {"ending": r["ending"], "constant_share": r["constant_share"]},
        )


def _again(data: bytes, levels: list[list[Any]], words: bool, told: Any) -> Surrogate:
    return Surrogate(_core.LetterPosterior.from_bytes(call(), data), _Scheme(levels, words), told)


def _sets(sets: Iterable[Iterable[int]]) -> list[list[int]]:
    return [[integer("sets", i, 0) for i in s] for s in sets]


def fit(
    X: Any,
    y: ArrayLike,
    *,
    alphabet: Any = None,
    noise_std: float | str | None = "auto",
    groups: Any = None,
    level: float = 0.9,
    spreads: Sequence[float] = (0.5, 2.0, 6.0),
    tails: Sequence[float] = (1.0, 0.3),
    pursuit: bool = True,
    cv: int = 5,
    max_points: int = 4000,
    random_state: Any = 0,
    n_jobs: int | None = None,
    callback: Callback | None = None,
) -> Surrogate:
    """Learns a function from its values at any points.

    Parameters
    ----------
    X : array of shape (n_points, n_columns), or sequence of words of one length
        Levels of each column, at most 64: 0 and 1, other numbers, or letters. Points may repeat; then their spread measures the
        noise.
    y : array of shape (n_points,)
        Values.
    alphabet : str, sequence, or sequence of sequences, optional
        Levels that there are, of all columns or of each; by default those that `X` has.
    noise_std : float, "auto" or None
        Standard deviation of the noise of one value; "auto" (the default) for unknown; None for exact values.
    groups : array of shape (n_points,), optional
        Points of one group (a plate, a family) are held out together.
    level : float, default 0.9
        Level of the intervals.
    spreads, tails, pursuit
        The experts: Gaussian processes, heavy tails, and the heredity pursuit.
    cv : int, default 5
        Number of folds of held-out points.
    max_points : int, default 4000
        Most distinct points.
    random_state : int or numpy generator, default 0
        Seed of the folds: the same seed gives the same bits for every number of threads.
    n_jobs, callback
        Number of threads; called with progress, a true answer ends the call with what it has.

    Returns
    -------
    Surrogate

    Raises
    ------
    ValueError
        For fewer than three points, values that are not finite, letters outside the alphabet, more than `max_points`.

    Notes
    -----
    Rows GP-1 to GP-17 of `paper-refs.md` name the tests of every claim.
    """
    scheme, codes = _Scheme.of(X, alphabet)
    values = _arrays.vector("y", y, len(codes))
    settings = _settings(noise_std, level, spreads, tails, pursuit, cv, max_points, groups, random_state)
    sizes = [len(column) for column in scheme.levels]
    core = _core.fit_letters(call(n_jobs, callback), sizes, (codes, values), settings)
    return Surrogate(core, scheme, (codes, values))


class Search:
    """Asks for points of a function of on/off variables until what is wanted is known well enough.

    Parameters
    ----------
    n_variables : int
        Number of variables, 2 to 1024.
    target : {"values", "shapley", "maximum"}
        What is wanted.
    budget : int, default 1000
        Most points.
    batch_size : int, optional
        Points at once after the first batch.
    enough : float, default 0.05
        Relative error that is good enough; 0 to below 1.
    noise_std, level, spreads, tails, pursuit, cv, max_points, random_state
        As of :func:`fit`.

    Examples
    --------
    >>> search = Search(12, "shapley", budget=200)
    >>> while len(Z := search.ask()):
    ...     search.tell(2.0 * Z[:, 0] + 2.0 * Z[:, 1] - Z[:, 4] * Z[:, 5])
    >>> model = search.result()
    >>> bool(abs(model.shapley().mean[0] - 2.0) < 0.2)
    True
    """

    def __init__(
        self,
        n_variables: int,
        target: str = "values",
        *,
        budget: int = 1000,
        batch_size: int | None = None,
        enough: float = 0.05,
        noise_std: float | str | None = "auto",
        level: float = 0.9,
        spreads: Sequence[float] = (0.5, 2.0, 6.0),
        tails: Sequence[float] = (1.0, 0.3),
        pursuit: bool = True,
        cv: int = 5,
        max_points: int = 4000,
        random_state: Any = 0,
    ) -> None:
        settings = _settings(noise_std, level, spreads, tails, pursuit, cv, max_points, None, random_state)
        batch = None if batch_size is None else integer("batch_size", batch_size, 0)
        how = (integer("budget", budget, 0), batch, real("enough", enough))
        self._core = _core.SurrogateSearch(integer("n_variables", n_variables, 0), str(target), how, settings)

    def ask(self) -> NDArray[np.uint8]:
        """Points to evaluate now, rows of zeros and ones; none when it is finished."""
        return self._core.ask()

    def tell(self, values: ArrayLike, *, n_jobs: int | None = None, callback: Callback | None = None) -> None:
        """Takes the values at the points of :meth:`ask`, in their order."""
        self._core.tell(call(n_jobs, callback), _arrays.vector("values", values, len(self.ask())))

    @property
    def points(self) -> NDArray[np.uint8]:
        """Points that were told."""
        return self._core.points()

    @property
    def values(self) -> Floats:
        """Their values."""
        return self._core.values()

    def result(self, *, n_jobs: int | None = None, callback: Callback | None = None) -> Surrogate:
        """What was learned so far; the search can go on after it."""
        if len(self.values) == 0:
            raise ValueError("values were not told yet, allowed is a result after the first tell")
        core = self._core.result(call(n_jobs, callback))
        scheme = _Scheme([[0, 1]] * self._core.n_variables, False)
        return Surrogate(core, scheme, (self.points, self.values))

    def run(
        self, f: Callable[[NDArray[np.uint8]], ArrayLike], *, n_jobs: int | None = None, callback: Callback | None = None
    ) -> Surrogate:
        """Asks a function of points, rows of zeros and ones, until it is finished."""
        while len(Z := self.ask()):
            self.tell(_arrays.vector("f(Z)", f(Z), len(Z)), n_jobs=n_jobs, callback=callback)
        return self.result(n_jobs=n_jobs, callback=callback)

    def to_bytes(self) -> bytes:
        """The search as it stands, as versioned bytes with a checksum."""
        return bytes(self._core.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Search:
        """Goes on from :meth:`to_bytes`."""
        out = cls.__new__(cls)
        out._core = _core.SurrogateSearch.from_bytes(data)
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        return Search.from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        return describe("Search", {"n_variables": self._core.n_variables, "told": len(self.values), "asks": len(self.ask())})
