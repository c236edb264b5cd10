"""Approximators for shapiq: interactions by our sparse transform, Shapley values by the surrogate.

`SPEX` has the signature of shapiq's own and asks as many evaluations as it is given; `patch()` puts it in the place of the
installed one. `SurrogateSHAP` gives Shapley values and pair interactions with deviations. shapiq 1.4 or newer must be installed.

Examples
--------
>>> from samplewise.shapiq import SPEX  # doctest: +SKIP
>>> values = SPEX(n=30, max_order=2, index="k-SII").approximate(600, game)  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import shapiq
from shapiq.approximator.base import Approximator
from shapiq.game_theory.moebius_converter import MoebiusConverter
from shapiq.interaction_values import InteractionValues

from ._call import Callback, integer, seed
from .surrogate import Estimates, Search, Surrogate
from .wht import Plan, Spectrum

__all__ = ["SPEX", "SurrogateSHAP", "patch"]

Game = Callable[[Any], Any]


def _values(game: Game, points: Any) -> Any:
    return np.asarray(game(points.astype(bool)), dtype=np.float64).reshape(-1)


class SPEX(Approximator):
    """Interaction indices from a sparse Walsh-Hadamard transform whose interactions have parents (heredity).

    Parameters
    ----------
    n : int
        Number of players.
    max_order : int, default 2
        Largest order that is reported.
    index : str, default "k-SII"
        Any index that shapiq makes of Möbius coefficients.
    top_order : bool, default False
        Whether only interactions of `max_order` are reported.
    random_state : int, optional
        Seed of the points; None is 0.
    decoder_type : {"heredity", "surrogate", "soft", "hard"}
        How values become coefficients. "soft" and "hard" are shapiq's words, for programs that have them, and mean "heredity".
    degree_parameter : int, default 5
        Most players of an interaction of the transform.
    n_jobs, callback
        Number of threads; progress.

    Attributes
    ----------
    spectrum_ : Spectrum
        What was found by the last call of :meth:`approximate`, with its evidence on points that took no part.
    """

    valid_indices = tuple(MoebiusConverter.available_indices) if hasattr(MoebiusConverter, "available_indices") else (
        "SV", "BV", "SII", "BII", "k-SII", "STII", "FBII", "FSII", "kADD-SHAP", "CHII",
    )  # fmt: skip

    def __init__(
        self,
        n: int,
        *,
        max_order: int = 2,
        index: str = "k-SII",
        top_order: bool = False,
        random_state: int | None = None,
        decoder_type: Literal["heredity", "surrogate", "soft", "hard"] = "heredity",
        degree_parameter: int = 5,
        n_jobs: int | None = None,
        callback: Callback | None = None,
    ) -> None:
        words = {"heredity": "heredity", "surrogate": "surrogate", "soft": "heredity", "hard": "heredity"}
        if decoder_type not in words:
            raise ValueError(f"decoder_type is {decoder_type!r}, allowed is 'heredity', 'surrogate', 'soft' or 'hard'")
        self._decoder = words[decoder_type]
        self.degree_parameter = integer("degree_parameter", degree_parameter, 1)
        self._run: dict[str, Any] = {"n_jobs": n_jobs, "callback": callback}
        self._seed = 0 if random_state is None else seed(random_state)
        super().__init__(
            n=integer("n", n, 1),
            max_order=n if max_order is None else max_order,
            index=index,
            top_order=top_order,
            random_state=random_state,
            initialize_dict=False,
        )

    def approximate(self, budget: int, game: Game, **_: Any) -> InteractionValues:
        """Interaction values from at most `budget` values of a game of coalitions, a boolean row for each."""
        plan = self._plan(integer("budget", budget, 2))
        points = plan.ask()
        self.spectrum_: Spectrum = plan.tell(_values(game, points), **self._run)
        return self._indices(self.spectrum_.moebius(), len(points))

    def _plan(self, budget: int) -> Plan:
        if budget >= 2 ** min(self.n, 40):
            return Plan(self.n, 2 ** min(self.n, 40), decoder="dense", n_verification=0, random_state=self._seed)
        # The transform is told neither sparsity nor noise: as many coefficients as the points carry.
        verification = max(16, min(64, budget // 10))
        points = budget - verification
        if points < 16:
            raise ValueError(f"budget is {budget}, allowed is at least 32, or all 2**{self.n} coalitions")
        return Plan(
            self.n,
            max(1, min(points // 8, 300)),
            noise_std="auto",
            max_degree=min(self.degree_parameter, self.n),
            hereditary=True,
            decoder=self._decoder,
            n_samples=points,
            n_verification=verification,
            random_state=self._seed,
        )

    def _indices(self, moebius: dict[tuple[int, ...], float], used: int) -> InteractionValues:
        moebius.setdefault((), 0.0)
        coefficients = InteractionValues(
            values=np.array(list(moebius.values())),
            index="Moebius",
            min_order=0,
            max_order=self.n,
            n_players=self.n,
            interaction_lookup={key: i for i, key in enumerate(moebius)},
            estimated=True,
            baseline_value=moebius[()],
        )
        found = MoebiusConverter(moebius_coefficients=coefficients)(index=self.index, order=self.max_order)
        lookup, values = dict(found.interaction_lookup), np.asarray(found.values)
        if self.top_order:
            kept = [key for key in lookup if len(key) == self.max_order]
            values = np.array([values[lookup[key]] for key in kept])
            lookup = {key: i for i, key in enumerate(kept)}
        self._interaction_lookup = lookup
        return InteractionValues(
            values=values,
            index=self.approximation_index,
            min_order=self.min_order,
            max_order=self.max_order,
            n_players=self.n,
            interaction_lookup=dict(lookup),
            estimated=used < 2**self.n,
            estimation_budget=used,
            baseline_value=float(values[lookup[()]]) if () in lookup else 0.0,
            target_index=self.index,
        )


class SurrogateSHAP(Approximator):
    """Shapley values, and interactions of pairs, from a surrogate of the game; with deviations.

    Parameters
    ----------
    n : int
        Number of players, at least 2.
    max_order : {1, 2}, default 1
        1 for values, 2 for pairs too.
    index : {"SV", "BV", "SII", "STII", "BII"}
        Index; "SV" and "BV" have order 1.
    random_state : int, optional
        Seed of points and folds; None is 0.
    n_jobs, callback
        Number of threads; progress.

    Attributes
    ----------
    surrogate_ : Surrogate
        What was learned by the last call of :meth:`approximate`.
    deviations_ : dict of tuple of int to float
        Posterior standard deviation of each value.
    """

    valid_indices = ("SV", "BV", "SII", "STII", "BII")

    def __init__(
        self,
        n: int,
        max_order: int = 1,
        index: str = "SV",
        *,
        random_state: int | None = None,
        n_jobs: int | None = None,
        callback: Callback | None = None,
    ) -> None:
        order = integer("max_order", max_order, 1)
        if order > 2 or order == 2 and index in ("SV", "BV"):
            raise ValueError(f"max_order is {order}, allowed is 1, or 2 with SII, STII and BII")
        self._run: dict[str, Any] = {"n_jobs": n_jobs, "callback": callback}
        self._seed = 0 if random_state is None else seed(random_state)
        super().__init__(n=integer("n", n, 2), max_order=order, index=index, random_state=random_state)

    def approximate(self, budget: int, game: Game, **_: Any) -> InteractionValues:
        """Values from at most `budget` values of a game of coalitions, a boolean row for each."""
        search = Search(self.n, "shapley", budget=integer("budget", budget, 8), enough=0.0, noise_std=None, random_state=self._seed)
        while len(points := search.ask()):
            search.tell(_values(game, points), **self._run)
        model: Surrogate = search.result(**self._run)
        self.surrogate_ = model
        found: dict[tuple[int, ...], tuple[float, float]] = {}

        def add(keys: list[tuple[int, ...]], said: Estimates) -> None:
            found.update({k: (float(m), float(d)) for k, m, d in zip(keys, said.mean, said.deviation)})

        singles: list[tuple[int, ...]] = [(i,) for i in range(self.n)]
        if self.index in ("BV", "BII"):
            add(singles, model.banzhaf())
        elif self.index == "STII" and self.max_order == 2:
            add(singles, model.moebius(singles))
        else:
            found.update(dict(zip(singles, self._efficient(model, search))))
        if self.max_order == 2:
            first, second, said = model.pairs(self.index)
            add([(int(i), int(j)) for i, j in zip(first, second)], said)
        empty = float(np.asarray(model.predict(np.zeros((1, self.n), np.uint8)))[0])
        self.deviations_ = {k: d for k, (_, d) in found.items()}
        lookup = {(): 0} | {key: i + 1 for i, key in enumerate(found)}
        values = np.array([empty] + [v for v, _ in found.values()])
        used = len(search.values)
        return InteractionValues(
            values=values,
            index=self.approximation_index,
            min_order=0,
            max_order=self.max_order,
            n_players=self.n,
            interaction_lookup=lookup,
            estimated=used < 2**self.n,
            estimation_budget=used,
            baseline_value=empty,
            target_index=self.index,
        )


    def _efficient(self, model: Surrogate, search: Search) -> list[tuple[float, float]]:
        """Shapley values and deviations, given that the values add up to the difference of the game's ends, which were told."""
        said = model.shapley(n_jobs=self._run["n_jobs"])
        mean, variance = said.mean, said.deviation**2
        sizes = search.points.sum(axis=1)
        ends = search.values[sizes == self.n], search.values[sizes == 0]
        covariance = model.shapley_covariance()
        along = covariance.sum(axis=1)
        whole = along.sum()
        if len(ends[0]) and len(ends[1]) and whole > 0:
            mean = mean + along * ((ends[0][0] - ends[1][0] - mean.sum()) / whole)
            variance = np.maximum(variance - along**2 / whole, 0.0)
        return [(float(m), float(d)) for m, d in zip(mean, np.sqrt(variance))]


def patch() -> Callable[[], None]:
    """Puts :class:`SPEX` in the place of shapiq's, wherever it is named without the module that defines it.

    Returns
    -------
    callable
        Undoes it.
    """
    import shapiq.approximator

    places: list[Any] = [shapiq, shapiq.approximator]
    try:
        import shapiq.approximator.sparse

        places.append(shapiq.approximator.sparse)
    except ImportError:
        pass  # shapiq 1.8 without its extra: our transform needs nothing of it
    missing = object()
    before = [place.__dict__.get("SPEX", missing) for place in places]
    for place in places:
        place.SPEX = SPEX

    def undo() -> None:
        for place, own in zip(places, before):
            if own is missing:
                del place.SPEX
            else:
                place.SPEX = own

    return undo
