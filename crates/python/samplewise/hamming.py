"""Mismatches of patterns at every position of a text.

Examples
--------
>>> from samplewise.hamming import distances, search
>>> distances("ACGT", "ACGAACGTT").values.tolist()
[1, 4, 4, 3, 0, 3]
>>> hits = search(["ACGTTGCA"], b"TTACGATGCATTTGCAACGTAA", 1, alphabet="dna", both_strands=True)
>>> list(zip(hits.position.tolist(), hits.reverse.tolist(), hits.distance.tolist()))
[(2, False, 1), (12, True, 0)]
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _arrays, _core
from ._call import Callback, call, integer, real, seed
from ._result import describe

__all__ = [
    "Approximate",
    "DistanceStream",
    "Distances",
    "Hits",
    "Pattern",
    "SearchStream",
    "Searcher",
    "approximate_distances",
    "batch_distances",
    "distances",
    "mismatches",
    "search",
]


def _symbols(name: str, x: Any) -> Any:
    """Bytes and ASCII text as bytes, other text as code points, numbers as they are; None for other hashables."""
    if isinstance(x, bytes):
        return x
    if isinstance(x, (bytearray, memoryview)):
        return np.frombuffer(x, np.uint8)
    if isinstance(x, str):
        return x.encode() if x.isascii() else np.frombuffer(x.encode("utf-32-le"), np.uint32)
    if isinstance(x, (list, tuple)) and not all(isinstance(v, (int, np.integer)) for v in x):
        return None
    a = np.asarray(_arrays._plain(x))
    if a.size == 0:
        a = a.astype(np.uint8)
    if a.ndim != 1:
        raise ValueError(f"{name} has {a.ndim} dimensions, expected is 1")
    if a.dtype.kind == "S" and a.dtype.itemsize == 1:
        return np.ascontiguousarray(a).view(np.uint8)
    if a.dtype.kind == "U" and a.dtype.itemsize == 4:
        return np.ascontiguousarray(a).view(np.uint32)
    if a.dtype.kind not in "iub":
        raise TypeError(f"{name} holds {a.dtype}, allowed are bytes, text, whole numbers or a list of hashables")
    if a.dtype == np.uint8:
        return np.ascontiguousarray(a)
    # One number one symbol: sign and width do not matter.
    return np.ascontiguousarray(a, dtype=np.int64).view(np.uint64) if a.dtype != np.uint32 else np.ascontiguousarray(a)


def _width(s: Any) -> int:
    return 1 if isinstance(s, bytes) else int(s.dtype.itemsize)


def _as_wide(s: Any) -> NDArray[np.uint64]:
    return (np.frombuffer(s, np.uint8) if isinstance(s, bytes) else s).astype(np.uint64)


def _alike(pattern: Any, text: Any) -> tuple[Any, Any]:
    """Pattern and text as symbols of one type."""
    p, t = _symbols("pattern", pattern), _symbols("text", text)
    if p is None or t is None:
        numbers: dict[Hashable, int] = {}

        def of(x: Iterable[Hashable]) -> NDArray[np.uint32]:
            return np.array([numbers.setdefault(v, len(numbers)) for v in x], np.uint32)

        return of(pattern), of(text)
    if _width(p) == _width(t):
        return p, t
    return _as_wide(p), _as_wide(t)


def _bytes(name: str, x: Any) -> bytes:
    s = _symbols(name, x)
    if isinstance(s, bytes):
        return s
    if s is not None and s.dtype == np.uint8:
        return bytes(s.tobytes())
    raise TypeError(f"{name} is no bytes and no ASCII text, which is what is allowed here")


def _text(x: Any) -> Any:
    s = _symbols("text", x)
    if s is None or _width(s) != 1:
        raise TypeError("text is no bytes and no ASCII text, which is what is allowed here")
    return s


def _settings(
    alphabet: str, wildcard: Any, wildcard_meaning: str = "match", engine: str = "auto", text_n: str = "match"
) -> dict[str, Any]:
    if isinstance(wildcard, (str, bytes)):
        if len(wildcard) != 1:
            raise ValueError(f"wildcard is {wildcard!r}, allowed is one symbol")
        wildcard = ord(wildcard)
    elif wildcard is not None:
        wildcard = integer("wildcard", wildcard, 0)
    return {
        "alphabet": str(alphabet),
        "wildcard": wildcard,
        "wildcard_meaning": str(wildcard_meaning),
        "engine": str(engine),
        "text_n": str(text_n),
    }


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances at all positions.

    Attributes
    ----------
    values : array of uint32, shape (len(text) - len(pattern) + 1,)
        Number of mismatches at each position; where a call was stopped, those of the positions that were reached are right.
    valid : array of uint32, optional
        With ``wildcard_meaning="excluded"``: pairs that were compared.
    report : dict
        ``ending``, ``engine``, ``route``, ``seconds``, and the largest residual of the engines that round.
    """

    values: NDArray[np.uint32]
    valid: NDArray[np.uint32] | None
    report: dict[str, Any]

    @property
    def engine(self) -> str:
        """Names of the engines that counted."""
        return str(self.report["engine"])

    @property
    def complete(self) -> bool:
        """Whether all positions were reached."""
        return bool(self.report["ending"] == "finished")

    def best(self, count: int = 1) -> tuple[NDArray[np.intp], NDArray[np.uint32]]:
        """Positions and distances of the `count` smallest distances, the first positions first among equals."""
        n = min(integer("count", count, 0), len(self.values))
        if n == 0:
            return np.empty(0, np.intp), self.values[:0]
        most = np.partition(self.values, n - 1)[n - 1]
        at = np.flatnonzero(self.values <= most)
        at = at[np.argsort(self.values[at], kind="stable")][:n]
        return at, self.values[at]

    def histogram(self) -> NDArray[np.intp]:
        """How many positions have distance 0, 1, 2 and so on."""
        return np.bincount(self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=bool(copy)) if copy else np.asarray(self.values, dtype=dtype)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        least = {"least": int(self.values.min()), "at": int(self.values.argmin())} if len(self) else {}
        return describe("Distances", {"positions": len(self), **least}, {"ending": self.report["ending"], "engine": self.engine})


class Pattern:
    """A pattern that is prepared once for many texts.

    Parameters
    ----------
    pattern : bytes, str, array of whole numbers or list of numbers
        ASCII text is bytes; other text is its code points. Texts must have symbols of the same kind.
    alphabet, wildcard, wildcard_meaning, engine, text_n
        As of :func:`distances`.
    """

    def __init__(
        self,
        pattern: Any,
        *,
        alphabet: str = "bytes",
        wildcard: Any = None,
        wildcard_meaning: str = "match",
        text_n: str = "match",
        engine: str = "auto",
    ) -> None:
        symbols = _symbols("pattern", pattern)
        if symbols is None:
            raise TypeError("pattern is a list of hashables, allowed are bytes, text or whole numbers; see distances()")
        self._arguments = (symbols, _settings(alphabet, wildcard, wildcard_meaning, engine, text_n))
        self._core = _core.Pattern(*self._arguments)

    def _read(self, text: Any) -> Any:
        t = _symbols("text", text)
        own = _width(self._arguments[0])
        if t is None or _width(t) > own:
            raise TypeError("text has symbols of another type than pattern")
        if _width(t) == own:
            return t
        wide = np.uint32 if own == 4 else np.uint64
        return (np.frombuffer(t, np.uint8) if isinstance(t, bytes) else t).astype(wide)

    def distances(
        self,
        text: Any,
        *,
        out: NDArray[np.uint32] | None = None,
        n_jobs: int | None = None,
        callback: Callback | None = None,
    ) -> Distances:
        """As :func:`distances`."""
        run, t = call(n_jobs, callback), self._read(text)
        if out is None:
            return Distances(*self._core.distances(run, t))
        _check_out(out)
        return Distances(out, None, self._core.distances_into(run, t, out))

    def mismatches(self, text: Any, position: int) -> NDArray[np.int64]:
        """Places of the pattern that differ from the text at a position."""
        return self._core.mismatches(self._read(text), integer("position", position, 0))

    def __len__(self) -> int:
        return len(self._core)

    def __reduce__(self) -> tuple[Any, ...]:
        symbols, settings = self._arguments
        return _pattern_again, (symbols, settings)

    def __repr__(self) -> str:
        return describe("Pattern", {"length": len(self), "alphabet": self._arguments[1]["alphabet"]})


def _pattern_again(symbols: Any, settings: dict[str, Any]) -> Pattern:
    return Pattern(symbols, **settings)


def _check_out(out: Any) -> None:
    fits = isinstance(out, np.ndarray) and out.dtype == np.uint32 and out.ndim == 1 and out.flags.c_contiguous
    if not (fits and out.flags.writeable):
        raise TypeError("out is no writeable, contiguous array of uint32 of one dimension")


def distances(
    pattern: Any,
    text: Any,
    *,
    alphabet: str = "bytes",
    wildcard: Any = None,
    wildcard_meaning: str = "match",
    text_n: str = "match",
    engine: str = "auto",
    out: NDArray[np.uint32] | None = None,
    n_jobs: int | None = None,
    callback: Callback | None = None,
) -> Distances:
    """Number of mismatches of a pattern at every position of a text.

    Parameters
    ----------
    pattern, text : bytes, str, array of whole numbers or list of hashables
        ASCII text is bytes; other text is its code points. Bytes and uint8 arrays are read in place.
    alphabet : {"bytes", "dna", "iupac"}
        What letters match: with the last two, case and U against T do not matter, and with the last ambiguity codes match what
        they stand for.
    wildcard : symbol, optional
        A symbol of the pattern that is like no other.
    wildcard_meaning : {"match", "mismatch", "excluded"}
        Whether a wildcard matches all symbols, none, or takes no part; then `valid` counts what took part.
    text_n : {"match", "mismatch"}
        Whether N in the text matches any letter of the pattern, for the alphabets of nucleotides.
    engine : str, default "auto"
        "auto" takes the fastest; "definition" compares letter by letter.
    out : array of uint32, optional
        Where the distances go.
    n_jobs, callback
        Number of threads; called with progress, a true answer ends the call.

    Returns
    -------
    Distances

    Raises
    ------
    ValueError
        For an empty pattern, a text that is shorter than the pattern, letters outside the alphabet.
    """
    p, t = _alike(pattern, text)
    made = _core.Pattern(p, _settings(alphabet, wildcard, wildcard_meaning, engine, text_n))
    run = call(n_jobs, callback)
    if out is None:
        return Distances(*made.distances(run, t))
    _check_out(out)
    return Distances(out, None, made.distances_into(run, t, out))


def mismatches(pattern: Any, text: Any, position: int, *, alphabet: str = "bytes", wildcard: Any = None) -> NDArray[np.int64]:
    """Places of the pattern that differ from the text at a position.

    Examples
    --------
    >>> mismatches("ACGT", "TTACCTTT", 2).tolist()
    [2]
    """
    p, t = _alike(pattern, text)
    return _core.Pattern(p, _settings(alphabet, wildcard)).mismatches(t, integer("position", position, 0))


def batch_distances(
    patterns: Iterable[Any],
    text: Any,
    *,
    alphabet: str = "bytes",
    engine: str = "auto",
    n_jobs: int | None = None,
    callback: Callback | None = None,
) -> list[Distances]:
    """:func:`distances` of many patterns of bytes or ASCII text in one text, which share the work."""
    made = _core.Batch([_bytes("patterns", p) for p in patterns], _settings(alphabet, None, engine=engine))
    return [Distances(*parts) for parts in made.distances(call(n_jobs, callback), _text(text))]


@dataclass(frozen=True, eq=False)
class Approximate:
    """Distances within a relative error.

    Attributes
    ----------
    values : array of float64
        Estimates at all positions.
    report : dict
        ``route``, ``samples``, ``repetitions``, ``refined`` and what :class:`Distances` has.
    """

    values: NDArray[np.float64]
    report: dict[str, Any]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype) if copy else np.asarray(self.values, dtype=dtype)

    def __repr__(self) -> str:
        return describe("Approximate", {"positions": len(self.values)}, self.report)


def approximate_distances(
    pattern: Any,
    text: Any,
    epsilon: float = 0.05,
    *,
    delta: float = 1e-3,
    method: str = "sampling",
    random_state: Any = 0,
    n_jobs: int | None = None,
    callback: Callback | None = None,
) -> Approximate:
    """Distances within a relative error, from a sample of the pattern.

    Parameters
    ----------
    pattern, text
        As of :func:`distances`.
    epsilon : float, default 0.05
        Relative error.
    delta : float, default 1e-3
        Probability that any position is farther off.
    method : {"sampling", "one_sided"}
        The second never says too much (source: arXiv 2310.13174).
    random_state, n_jobs, callback
        Seed; number of threads; progress.

    Returns
    -------
    Approximate
    """
    p, t = _alike(pattern, text)
    how = (real("epsilon", epsilon), real("delta", delta), str(method), seed(random_state))
    return Approximate(*_core.Pattern(p, _settings("bytes", None)).approximate(call(n_jobs, callback), t, how))


@dataclass(frozen=True, eq=False)
class Hits:
    """Where patterns were found, by position.

    Attributes
    ----------
    position : array of int64
        First letter of the text.
    pattern : array of int64
        Number of the pattern.
    reverse : array of bool
        Whether its reverse complement was found.
    distance : array of uint32
        Mismatches.
    searched : int
        Letters of the text that were searched.
    report : dict
        ``ending``, ``engine``, ``route``, ``seconds``.
    """

    position: NDArray[np.int64]
    pattern: NDArray[np.int64]
    reverse: NDArray[np.bool_]
    distance: NDArray[np.uint32]
    searched: int = 0
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether the whole text was searched."""
        return bool(self.report.get("ending", "finished") == "finished")

    def __len__(self) -> int:
        return len(self.position)

    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Columns, of which any frame can be made."""
        return {name: getattr(self, name) for name in ("position", "pattern", "reverse", "distance")}

    def __repr__(self) -> str:
        return describe("Hits", {"hits": len(self), "searched": self.searched}, {"ending": self.report.get("ending")})


class Searcher:
    """Patterns that are prepared once to be found in many texts.

    Parameters
    ----------
    patterns : bytes, str, or sequence of them
        Patterns of bytes or ASCII text.
    max_distance : int or sequence of int
        Most mismatches, of all or of each.
    alphabet, wildcard, both_strands, required, engine
        As of :func:`search`.
    """

    def __init__(
        self,
        patterns: Any,
        max_distance: int | Sequence[int],
        *,
        alphabet: str = "bytes",
        wildcard: Any = None,
        both_strands: bool = False,
        required: tuple[int, int] | None = None,
        engine: str = "auto",
    ) -> None:
        if isinstance(patterns, (str, bytes, bytearray, memoryview)):
            patterns = [patterns]
        all_patterns = [_bytes("patterns", p) for p in patterns]
        single = np.ndim(max_distance) == 0
        most = [max_distance] * len(all_patterns) if single else list(max_distance)  # type: ignore[arg-type]
        distances_ = [integer("max_distance", k, 0) for k in most]
        if len(distances_) != len(all_patterns):
            raise ValueError(f"max_distance has length {len(distances_)}, expected is {len(all_patterns)}, one for each pattern")
        if any(k >= 2**32 for k in distances_):
            raise ValueError(f"max_distance is {max(distances_)}, allowed is below 2**32")
        if required is not None:
            required = (integer("required[0]", required[0], 0), integer("required[1]", required[1], 0))
        settings = _settings(alphabet, wildcard, engine=engine)
        self._arguments = (all_patterns, distances_, required, bool(both_strands), settings)
        self._core = _core.Search(*self._arguments)

    def find(self, text: Any, *, n_jobs: int | None = None, callback: Callback | None = None) -> Hits:
        """All hits in a text of bytes or ASCII text."""
        columns, searched, report = self._core.find(call(n_jobs, callback), _text(text))
        return Hits(*columns, searched, report)

    def __reduce__(self) -> tuple[Any, ...]:
        return _searcher_again, self._arguments

    def __repr__(self) -> str:
        return describe("Searcher", {"patterns": len(self._arguments[0]), "max_distance": max(self._arguments[1], default=0)})


def _searcher_again(patterns: Any, most: Any, required: Any, both_strands: bool, settings: dict[str, Any]) -> Searcher:
    keep = {k: v for k, v in settings.items() if k in ("alphabet", "wildcard", "engine")}
    return Searcher(patterns, most, required=required, both_strands=both_strands, **keep)


def search(
    patterns: Any,
    text: Any,
    max_distance: int | Sequence[int],
    *,
    alphabet: str = "bytes",
    wildcard: Any = None,
    both_strands: bool = False,
    required: tuple[int, int] | None = None,
    engine: str = "auto",
    n_jobs: int | None = None,
    callback: Callback | None = None,
) -> Hits:
    """Where patterns are within few mismatches of a text.

    Parameters
    ----------
    patterns : bytes, str, or sequence of them
        Patterns of bytes or ASCII text.
    text : bytes, str or array of uint8
        Bytes or ASCII text, read in place.
    max_distance : int or sequence of int
        Most mismatches, of all patterns or of each.
    alphabet, wildcard
        As of :func:`distances`; a wildcard matches all.
    both_strands : bool, default False
        Whether reverse complements are looked for too.
    required : (int, int), optional
        Places from the first to before the second of every pattern that must match.
    engine, n_jobs, callback
        As of :func:`distances`.

    Returns
    -------
    Hits
    """
    made = Searcher(
        patterns,
        max_distance,
        alphabet=alphabet,
        wildcard=wildcard,
        both_strands=both_strands,
        required=required,
        engine=engine,
    )
    return made.find(text, n_jobs=n_jobs, callback=callback)


class DistanceStream:
    """Distances in a text that comes in pieces.

    Parameters
    ----------
    pattern, alphabet, wildcard, wildcard_meaning, engine
        As of :func:`distances`, of bytes or ASCII text.

    Examples
    --------
    >>> stream = DistanceStream("ACGT")
    >>> pieces = [stream.push("ACGAAC"), stream.push("GTT"), stream.finish()]
    >>> [v for piece in pieces for v in piece.tolist()]
    [1, 4, 4, 3, 0, 3]
    """

    def __init__(
        self,
        pattern: Any,
        *,
        alphabet: str = "bytes",
        wildcard: Any = None,
        wildcard_meaning: str = "match",
        engine: str = "auto",
    ) -> None:
        settings = _settings(alphabet, wildcard, wildcard_meaning, engine)
        self._arguments = (_bytes("pattern", pattern), settings)
        self._core = _core.DistanceStream(*self._arguments)

    def push(self, piece: Any, *, n_jobs: int | None = None) -> NDArray[np.uint32]:
        """Takes a piece, and gives the distances that are known by now."""
        return self._core.push(call(n_jobs), _text(piece))

    def finish(self, *, n_jobs: int | None = None) -> NDArray[np.uint32]:
        """The distances that are left; nothing can be pushed after it."""
        return self._core.finish(call(n_jobs))

    def __reduce__(self) -> tuple[Any, ...]:
        return _distance_stream_again, (*self._arguments, self._core.state())

    def __repr__(self) -> str:
        return describe("DistanceStream", {"positions": (self._core.state() or ("finished",))[0]})


def _distance_stream_again(pattern: Any, settings: dict[str, Any], state: tuple[int, bytes] | None) -> DistanceStream:
    out = object.__new__(DistanceStream)
    out._arguments = (pattern, settings)
    out._core = _core.DistanceStream.resume(pattern, settings, state)
    return out


class SearchStream:
    """Hits in a text that comes in pieces; arguments as of :func:`search`."""

    def __init__(self, patterns: Any, max_distance: int | Sequence[int], **settings: Any) -> None:
        self._searcher = Searcher(patterns, max_distance, **settings)
        self._core = _core.SearchStream(self._searcher._core)

    def push(self, piece: Any, *, n_jobs: int | None = None) -> Hits:
        """Takes a piece, and gives the hits that are known by now, with positions in the whole text."""
        return Hits(*self._core.push(call(n_jobs), _text(piece)))

    def finish(self, *, n_jobs: int | None = None) -> Hits:
        """The hits that are left; nothing can be pushed after it."""
        return Hits(*self._core.finish(call(n_jobs)))

    def __reduce__(self) -> tuple[Any, ...]:
        return _search_stream_again, (self._searcher, self._core.state())

    def __repr__(self) -> str:
        return describe("SearchStream", {"positions": (self._core.state() or ("finished",))[0]})


def _search_stream_again(searcher: Searcher, state: tuple[int, bytes] | None) -> SearchStream:
    out = object.__new__(SearchStream)
    out._searcher = searcher
    out._core = _core.SearchStream.resume(searcher._core, state)
    return out
