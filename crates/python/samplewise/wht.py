"""Which interactions drive a function of on/off variables: sparse Walsh-Hadamard transforms from few of its values.

A coefficient of the set S belongs to ``f(z) = sum_S value[S] * (-1)**sum(z[i] for i in S)``: a *positive* coefficient of the
set {i} means that ``z[i] = 1`` *lowers* f. Shapley and Banzhaf values have the usual sign.

Examples
--------
>>> import numpy as np
>>> from samplewise.wht import Plan, recover
>>> f = lambda Z: 2.0 * (1 - 2.0 * Z[:, 0]) - 1.5 * (1 - 2.0 * (Z[:, 1] ^ Z[:, 3]))
>>> plan = Plan(20, sparsity=3)
>>> Z = plan.ask()
>>> found = plan.tell(f(Z))
>>> found.status, sorted(found.to_dict().items())
('exact', [((0,), 2.0), ((1, 3), -1.5)])
>>> sorted(recover(f, 1000, 10, max_degree=2).to_dict())
[(0,), (1, 3)]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _arrays, _core
from ._call import Callback, call, integer, real, seed
from ._result import describe

__all__ = ["Plan", "Recovery", "Spectrum", "fwht", "recover", "transform"]

Floats = NDArray[np.float64]
Set = tuple[int, ...]


def noise_number(noise_std: Any) -> float | None:
    """None for exact values, a number for noise of that deviation, below zero for noise of unknown size."""
    if noise_std is None:
        return None
    if isinstance(noise_std, str):
        if noise_std == "auto":
            return -1.0
        raise ValueError(f"noise_std is {noise_std!r}, allowed is None, a number, or 'auto'")
    number = real("noise_std", noise_std)
    if not 0.0 <= number < np.inf:
        raise ValueError(f"noise_std is {number}, allowed is finite and not negative")
    return number or None


def _settings(
    noise_std: Any,
    max_degree: int | None,
    hereditary: bool,
    support: Iterable[Iterable[int]] | None,
    decoder: str,
    n_samples: int | None,
    n_verification: int,
    delta: float,
    std_errors: str,
    random_state: Any,
) -> dict[str, Any]:
    if std_errors not in ("model", "sandwich"):
        raise ValueError(f"std_errors is {std_errors!r}, allowed is 'model' or 'sandwich'")
    return {
        "noise": noise_number(noise_std),
        "max_degree": None if max_degree is None else integer("max_degree", max_degree, 0),
        "hereditary": bool(hereditary),
        "support": None if support is None else [[integer("support", i, 0) for i in s] for s in support],
        "decoder": str(decoder),
        "n_samples": None if n_samples is None else integer("n_samples", n_samples, 1),
        "n_verification": integer("n_verification", n_verification, 0),
        "delta": real("delta", delta),
        "sandwich": std_errors == "sandwich",
        "seed": seed(random_state),
    }


class Spectrum:
    """The coefficients that were found, and the evidence.

    Attributes
    ----------
    n_variables : int
        Number of variables.
    sets : list of tuple of int
        Variables of each coefficient.
    values : array
        Coefficients, in the order of `sets`.
    std_errors : array, optional
        Standard errors, where values were noisy.
    status : str
        "exact", "verified", "constant", "stalled", "budget_spent" or "unverified"; "verified" holds with probability
        ``1 - report["delta"]`` on fresh points.
    report : dict
        `ending`, `decoder`, `n_samples`, `n_verification`, `r2`, `r2_at_least`, `noise_std` and more.
    """

    def __init__(self, core: _core.Spectrum) -> None:
        self._core = core
        self.report: dict[str, Any] = core.report()

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        return int(self._core.n_variables)

    @property
    def status(self) -> str:
        """Word of what is known."""
        return str(self.report["status"])

    @property
    def sets(self) -> list[Set]:
        """Variables of each coefficient."""
        return [tuple(s) for s in self._core.sets()]

    @property
    def values(self) -> Floats:
        """Coefficients."""
        return self._core.values()

    @property
    def std_errors(self) -> Floats | None:
        """Standard errors, where there are any."""
        return self._core.std_errors()

    @property
    def indices(self) -> NDArray[np.uint8]:
        """The sets as rows of zeros and ones, shape (len(self), n_variables)."""
        out = np.zeros((len(self), self.n_variables), np.uint8)
        for row, members in zip(out, self.sets):
            row[list(members)] = 1
        return out

    def __len__(self) -> int:
        return len(self._core)

    def to_dict(self) -> dict[Set, float]:
        """Coefficients by set."""
        return dict(zip(self.sets, self.values.tolist()))

    def predict(self, Z: ArrayLike, *, n_jobs: int | None = None) -> Floats:
        """Values at points.

        Parameters
        ----------
        Z : array of 0 and 1, shape (n_points, n_variables)
            Points.
        n_jobs : int, optional
            Number of threads.

        Returns
        -------
        array of shape (n_points,)
        """
        return self._core.predict(call(n_jobs), _arrays.bits("Z", Z, self.n_variables))

    def shapley(self) -> Floats:
        """Shapley values of the game in which the players are the variables that are 1."""
        return self._core.shapley()

    def banzhaf(self) -> Floats:
        """Banzhaf values: the mean change of f when the variable becomes 1."""
        return self._core.banzhaf()

    def sobol(self) -> tuple[Floats, Floats]:
        """First-order and total Sobol indices, shares of the variance over uniformly random points."""
        return self._core.sobol()

    def energy_by_degree(self) -> Floats:
        """Sums of squared coefficients of sets of 0, 1, 2 and so on variables."""
        return self._core.energy_by_degree()

    def moebius(self) -> dict[Set, float]:
        """Möbius coefficients: ``f(z) = sum of those of the subsets of the variables that are 1``."""
        return {tuple(s): v for s, v in self._core.moebius()}

    def interactions(self, index: str = "SII", max_order: int = 2) -> dict[Set, float]:
        """Interaction indices of all sets of one to `max_order` variables that are not zero.

        Parameters
        ----------
        index : {"SII", "STII", "BII"}
            Shapley, Shapley-Taylor or Banzhaf interactions. The second is for sets below `max_order` the Möbius coefficient.
        max_order : int, default 2
            Largest size of a set.

        Returns
        -------
        dict of tuple of int to float
        """
        order = integer("max_order", max_order, 1)
        if index == "BII":
            found: dict[Set, float] = {}
            for s, v in self.to_dict().items():
                if 0 < len(s) <= order:
                    found[s] = (-2.0) ** len(s) * v
            return found
        out: dict[Set, float] = {}
        for s, v in self.moebius().items():
            if index == "SII":
                for k in range(1, min(order, len(s)) + 1):
                    share = v / (len(s) - k + 1)
                    for t in combinations(s, k):
                        out[t] = out.get(t, 0.0) + share
            elif index == "STII":
                if 0 < len(s) < order:
                    out[s] = out.get(s, 0.0) + v
                elif len(s) >= order:
                    parts = list(combinations(s, order))
                    for t in parts:
                        out[t] = out.get(t, 0.0) + v / len(parts)
            else:
                raise ValueError(f"index is {index!r}, allowed is 'SII', 'STII' or 'BII'")
        return out

    def to_bytes(self) -> bytes:
        """Versioned bytes with a checksum."""
        return bytes(self._core.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Spectrum:
        """Reads what :meth:`to_bytes` gave."""
        return cls(_core.Spectrum.from_bytes(data))

    def __reduce__(self) -> tuple[Any, ...]:
        return Spectrum.from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        r = self.report
        return describe(
            "Spectrum",
            {"status": self.status, "n_variables": self.n_variables, "coefficients": len(self)},
            {k: r[k] for k in ("n_samples", "n_verification", "decoder")},
            {k: r[k] for k in ("r2", "r2_at_least", "noise_std")},
        )


class Plan:
    """What to ask is known before anything is asked.

    Parameters
    ----------
    n_variables : int
        Number of variables, 1 to 1024.
    sparsity : int
        Number of coefficients that are not zero, at most.
    noise_std : float, "auto" or None
        Standard deviation of the noise; "auto" if unknown; None (the default) for exact values.
    max_degree : int, optional
        Most variables of an interaction.
    hereditary : bool, default False
        Whether every interaction has a parent with one variable less, as those of sums of decision trees; needs `max_degree`.
    support : iterable of sets of variables, optional
        Sets of which every interaction is a subset of one.
    decoder : str, default "auto"
        "auto" takes the fastest that serves; "heredity" is the pursuit, "surrogate" Gaussian processes.
    n_samples : int, optional
        Points to ask for decoding.
    n_verification : int, default 64
        Fresh points that judge.
    delta : float, default 0.01
        Probability with which the status may claim too much.
    std_errors : {"model", "sandwich"}
        Standard errors from one variance, or from each point's own residual.
    random_state : int or numpy generator, default 0
        Seed of the points.
    """

    def __init__(
        self,
        n_variables: int,
        sparsity: int,
        *,
        noise_std: float | str | None = None,
        max_degree: int | None = None,
        hereditary: bool = False,
        support: Iterable[Iterable[int]] | None = None,
        decoder: str = "auto",
        n_samples: int | None = None,
        n_verification: int = 64,
        delta: float = 0.01,
        std_errors: str = "model",
        random_state: Any = 0,
    ) -> None:
        settings = _settings(
            noise_std, max_degree, hereditary, support, decoder, n_samples, n_verification, delta, std_errors, random_state
        )
        n, k = integer("n_variables", n_variables, 1), integer("sparsity", sparsity, 1)
        self._core = _core.Plan(call(), n, k, settings)

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        return int(self._core.n_variables)

    @property
    def decoder(self) -> str:
        """Word of the decoder that was planned for."""
        return str(self._core.decoder)

    def __len__(self) -> int:
        return len(self._core)

    def ask(self, start: int = 0, stop: int | None = None) -> NDArray[np.uint8]:
        """Points to evaluate, rows of zeros and ones; all of them, or those from `start` to before `stop`."""
        last = len(self) if stop is None else integer("stop", stop, 0)
        return self._core.ask(integer("start", start, 0), last)

    def tell(self, values: ArrayLike, *, n_jobs: int | None = None, callback: Callback | None = None) -> Spectrum:
        """Decodes the values at all points of :meth:`ask`, in their order."""
        return Spectrum(self._core.tell(call(n_jobs, callback), _arrays.vector("values", values, len(self))))

    def to_json(self) -> str:
        """The plan as JSON, which the command line and Rust read too."""
        return str(self._core.to_json())

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Reads what :meth:`to_json` or `samplewise wht plan` wrote."""
        out = cls.__new__(cls)
        out._core = _core.Plan.from_json(text)
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        return Plan.from_json, (self.to_json(),)

    def __repr__(self) -> str:
        return describe("Plan", {"n_variables": self.n_variables, "points": len(self), "decoder": self.decoder})


class Recovery:
    """Ask a little, decode, and ask more where fresh points disagree.

    Parameters
    ----------
    n_variables : int
        Number of variables, 1 to 1024.
    max_sparsity : int, optional
        Largest number of coefficients that is worth the points; by default 1000, or as many as there are.
    noise_std, max_degree, hereditary, decoder, n_samples, n_verification, delta, std_errors, random_state
        As of :class:`Plan`; `n_samples` bounds all points.

    Examples
    --------
    >>> r = Recovery(12, 20)
    >>> while len(Z := r.ask()):
    ...     r.tell(1.0 + Z[:, 2] * Z[:, 5])
    >>> r.spectrum.status, round(float(r.spectrum.shapley()[2]), 6)
    ('verified', 0.5)
    """

    def __init__(
        self,
        n_variables: int,
        max_sparsity: int | None = None,
        *,
        noise_std: float | str | None = None,
        max_degree: int | None = None,
        hereditary: bool = False,
        decoder: str = "auto",
        n_samples: int | None = None,
        n_verification: int = 64,
        delta: float = 0.01,
        std_errors: str = "model",
        random_state: Any = 0,
    ) -> None:
        settings = _settings(
            noise_std, max_degree, hereditary, None, decoder, n_samples, n_verification, delta, std_errors, random_state
        )
        n = integer("n_variables", n_variables, 1)
        most = min(1000, 1 << min(n, 10)) if max_sparsity is None else integer("max_sparsity", max_sparsity, 1)
        self._core = _core.Recovery(n, most, settings)

    def ask(self) -> NDArray[np.uint8]:
        """Points to evaluate now, rows of zeros and ones; none when it is finished."""
        return self._core.ask()

    def tell(self, values: ArrayLike, *, n_jobs: int | None = None, callback: Callback | None = None) -> None:
        """Takes the values at the points of :meth:`ask`, in their order."""
        self._core.tell(call(n_jobs, callback), _arrays.vector("values", values))

    @property
    def n_samples(self) -> int:
        """Values that were told."""
        return int(self._core.n_samples)

    @property
    def spectrum(self) -> Spectrum | None:
        """The answer so far."""
        core = self._core.spectrum()
        return None if core is None else Spectrum(core)

    def to_bytes(self) -> bytes:
        """The recovery as it stands, as versioned bytes with a checksum."""
        return bytes(self._core.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Recovery:
        """Goes on from :meth:`to_bytes`."""
        out = cls.__new__(cls)
        out._core = _core.Recovery.from_bytes(data)
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        return Recovery.from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        return describe("Recovery", {"n_samples": self.n_samples, "asks": len(self.ask())})


def recover(
    f: Callable[[NDArray[np.uint8]], ArrayLike],
    n_variables: int,
    max_sparsity: int | None = None,
    *,
    batch_size: int | None = None,
    n_jobs: int | None = None,
    callback: Callback | None = None,
    **settings: Any,
) -> Spectrum:
    """Asks a function until its spectrum is verified.

    Parameters
    ----------
    f : callable
        From points, an array of 0 and 1 of shape (n_points, n_variables), to their values.
    n_variables, max_sparsity, **settings
        As of :class:`Recovery`.
    batch_size : int, optional
        Most points for one call of `f`.
    n_jobs, callback
        Number of threads; progress.

    Returns
    -------
    Spectrum
    """
    recovery = Recovery(n_variables, max_sparsity, **settings)
    while len(Z := recovery.ask()):
        step = len(Z) if batch_size is None else integer("batch_size", batch_size, 1)
        parts = [_arrays.vector("f(Z)", f(Z[i : i + step]), len(Z[i : i + step])) for i in range(0, len(Z), step)]
        recovery.tell(np.concatenate(parts), n_jobs=n_jobs, callback=callback)
    spectrum = recovery.spectrum
    if spectrum is None:
        raise RuntimeError("the recovery was stopped before its first answer")
    return spectrum


def fwht(values: ArrayLike, *, n_jobs: int | None = None) -> Floats:
    """The dense transform: coefficient ``k`` is the mean of ``values[m] * (-1)**popcount(m & k)``.

    Parameters
    ----------
    values : array of shape (2**n,)
        Values; bit i of the index is variable i.
    n_jobs : int, optional
        Number of threads.

    Returns
    -------
    array of shape (2**n,)

    Examples
    --------
    >>> fwht([1.0, 3.0, 1.0, 3.0]).tolist()
    [2.0, -1.0, 0.0, 0.0]
    """
    a = _arrays.vector("values", values)
    if len(a) == 0 or len(a) & (len(a) - 1):
        raise ValueError(f"values has length {len(a)}, allowed is a power of two")
    return _core.fwht(call(n_jobs), a)


def transform(
    values: ArrayLike, sparsity: int | None = None, *, n_jobs: int | None = None, callback: Callback | None = None, **settings: Any
) -> Spectrum:
    """The sparse spectrum of values that are all there, of which only those that are needed are read.

    Parameters
    ----------
    values : array of shape (2**n,)
        Values; bit i of the index is variable i.
    sparsity : int, optional
        Number of coefficients; by default it is found.
    n_jobs, callback, **settings
        As of :func:`recover`, or with a sparsity as of :class:`Plan`.

    Returns
    -------
    Spectrum
    """
    all_values = _arrays.vector("values", values)
    n = len(all_values).bit_length() - 1
    if len(all_values) < 2 or len(all_values) != 1 << n:
        raise ValueError(f"values has length {len(all_values)}, allowed is a power of two from 2 on")
    weights = 1 << np.arange(n, dtype=np.int64)

    def read(Z: NDArray[np.uint8]) -> Floats:
        return all_values[Z.astype(np.int64) @ weights]

    if sparsity is None:
        return recover(read, n, n_jobs=n_jobs, callback=callback, **settings)
    plan = Plan(n, sparsity, **settings)
    return plan.tell(read(plan.ask()), n_jobs=n_jobs, callback=callback)
