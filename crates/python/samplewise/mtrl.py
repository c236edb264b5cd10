"""Which of many related tasks to sample, for a target task with few labels.

Examples
--------
>>> import numpy as np
>>> from samplewise.mtrl import Planner
>>> rng = np.random.default_rng(0)
>>> B, W = rng.normal(size=(20, 3)), rng.normal(size=(3, 10))
>>> w = W[:, 0] + W[:, 1]
>>> def draw(task, n):
...     x = rng.normal(size=(n, 20))
...     return x, x @ B @ (w if task is None else W[:, task]) + 0.1 * rng.normal(size=n)
>>> planner = Planner(10, draw(None, 8), budget=2000, dimension=3)
>>> while wanted := planner.ask():
...     for task, n in wanted:
...         planner.tell(task, *draw(task, n))
>>> bool(abs(planner.result().coef - B @ w).max() < 0.1)
True
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _arrays, _core
from ._call import Callback, call, integer, real, seed
from ._result import describe

__all__ = ["Learned", "Planner", "TaskData", "learn"]

Floats = NDArray[np.float64]


class TaskData:
    """What is known of the samples of one task: sums, so that shards merge and rows need not be kept.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        Inputs.
    y : array of shape (n_samples,)
        Labels.
    """

    def __init__(self, X: Any, y: ArrayLike) -> None:
        x = _arrays.dense("X", X)
        self._core = _core.TaskData(x, _arrays.vector("y", y, len(x)))

    def update(self, X: Any, y: ArrayLike) -> TaskData:
        """Takes further samples."""
        x = _arrays.dense("X", X)
        self._core.update(x, _arrays.vector("y", y, len(x)))
        return self

    def merge(self, other: TaskData) -> TaskData:
        """Takes what is known of other samples of the task."""
        if not isinstance(other, TaskData):
            raise TypeError(f"other is {type(other).__name__}, allowed is a TaskData")
        if other is self:
            raise ValueError("other is the same object, whose samples were seen already")
        self._core.merge(other._core)
        return self

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return int(self._core.n_samples)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return int(self._core.n_features)

    def to_bytes(self) -> bytes:
        """Versioned bytes with a checksum, which Rust reads too."""
        return bytes(self._core.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> TaskData:
        """Reads what :meth:`to_bytes` gave."""
        out = cls.__new__(cls)
        out._core = _core.TaskData.from_bytes(data)
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        return TaskData.from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        return describe("TaskData", {"n_samples": self.n_samples, "n_features": self.n_features})


@dataclass(frozen=True, eq=False)
class Learned:
    """What was learned for the targets.

    Attributes
    ----------
    targets : list of arrays of shape (n_features,)
        Coefficients of each target.
    basis : array of shape (n_features, dimension)
        The representation.
    weights : array of shape (dimension, n_tasks)
        Weights of the tasks.
    relevance : array of shape (n_tasks,)
        How much each task says of the target.
    samples : array of int64
        Samples of each task.
    cost : float
        What they cost.
    predicted_risk, efficiency, noise : float
        Of the last round: expected excess risk; its share of the best design's, 1 being the best; deviation of the noise.
    followed : list of str
        What each round followed.
    report : dict
        `ending`, `converged`, `n_iter`, `seconds`.
    """

    targets: list[Floats]
    basis: Floats
    weights: Floats
    relevance: Floats
    samples: NDArray[np.int64]
    cost: float
    predicted_risk: float
    efficiency: float
    noise: float
    followed: list[str]
    report: dict[str, Any]

    @property
    def coef(self) -> Floats:
        """Coefficients of the first target."""
        return self.targets[0]

    def predict(self, X: Any, target: int = 0) -> Floats:
        """Values of rows for a target."""
        at = integer("target", target, 0)
        if at >= len(self.targets):
            raise ValueError(f"target is {at}, allowed is below {len(self.targets)}")
        return _arrays.dense("X", X) @ self.targets[at]

    def __repr__(self) -> str:
        return describe(
            "Learned",
            {"targets": len(self.targets), "dimension": self.basis.shape[1], "samples": int(self.samples.sum())},
            {"predicted_risk": self.predicted_risk, "efficiency": self.efficiency, "noise": self.noise},
            {"ending": self.report["ending"]},
        )


def _budget(budget: Any) -> tuple[str, float, int]:
    if isinstance(budget, tuple):
        if len(budget) == 2 and budget[0] == "cost":
            return ("cost", real("budget", budget[1]), 0)
        if len(budget) == 3 and budget[0] == "risk":
            return ("risk", real("budget", budget[1]), integer("budget", budget[2], 1))
        raise ValueError(f"budget is {budget!r}, allowed is a number, ('cost', c) or ('risk', r, most)")
    return ("samples", 0.0, integer("budget", budget, 1))


def _cost(cost: Any, most: int) -> Any:
    """A cost per sample, a fee and a cost, or tiers; a function of the number of samples as a table of its values."""
    if callable(cost):
        tiers: list[tuple[int, float]] = []
        last = 0.0
        counts = sorted({1, *(round(most ** (i / 200)) for i in range(201)), most})
        for n in counts:
            total = real("costs", cost(int(n)))
            before = tiers[-1][0] if tiers else 0
            tiers.append((int(n), max(total - last, 0.0) / (n - before)))
            last = total
        return tiers
    if isinstance(cost, (tuple, list)) and len(cost) == 2 and not isinstance(cost[0], (tuple, list)):
        return (real("costs", cost[0]), real("costs", cost[1]))
    if isinstance(cost, (tuple, list)):
        return [(integer("costs", n, 0), real("costs", c)) for n, c in cost]
    return real("costs", cost)


class Planner:
    """Says how many samples of which task to draw next.

    Parameters
    ----------
    n_tasks : int
        Number of source tasks.
    targets : (X, y) or list of them
        The labels that there are of the target, or targets.
    budget : int, ("cost", c) or ("risk", r, most)
        Samples in all; what they may cost; or until the predicted risk is `r`, with `most` samples at most.
    dimension : int, optional
        Dimension of the representation; by default it is found.
    strategy : {"guarded", "l1", "l2", "least_l1", "uniform"} or ("top_k", k)
        How samples follow relevance; "guarded" mixes and never does much worse than uniform sampling.
    n_rounds : int, default 4
        Rounds in which the budget is spent.
    exploration : float, default 0.3
        Share of the budget for the first round.
    floor : int, default 1
        Least samples of each task.
    ridge, source_ridge : float
        Ridges of the targets and of the tasks.
    costs : sequence, optional
        For each task a cost per sample, a pair of a fee and a cost per sample, a list of (samples, cost per sample) tiers, or a
        function from a number of samples to their cost, of which a table is made.
    random_state : int or numpy generator, default 0
        Seed.

    Notes
    -----
    Source: arXiv 2306.02556.
    """

    def __init__(
        self,
        n_tasks: int,
        targets: Any,
        budget: Any,
        *,
        dimension: int | None = None,
        strategy: str | tuple[str, int] = "guarded",
        n_rounds: int = 4,
        exploration: float = 0.3,
        floor: int = 1,
        ridge: float = 1e-6,
        source_ridge: float = 0.0,
        costs: Sequence[Any] | None = None,
        random_state: Any = 0,
    ) -> None:
        if isinstance(targets, tuple):
            targets = [targets]
        data = []
        for X, y in targets:
            x = _arrays.dense("targets", X)
            data.append((x, _arrays.vector("targets", y, len(x))))
        how = _budget(budget)
        word, k = strategy if isinstance(strategy, tuple) else (strategy, 0)
        settings = {
            "dimension": None if dimension is None else integer("dimension", dimension, 1),
            "strategy": str(word),
            "top_k": integer("strategy", k, 0),
            "rounds": integer("n_rounds", n_rounds, 0),
            "exploration": real("exploration", exploration),
            "floor": integer("floor", floor, 0),
            "ridge": real("ridge", ridge),
            "source_ridge": real("source_ridge", source_ridge),
            "seed": seed(random_state),
        }
        most = how[2] or 1_000_000
        models = None if costs is None else [_cost(c, most) for c in costs]
        self._core = _core.Planner(integer("n_tasks", n_tasks, 1), data, how, models, settings)

    def ask(self, *, n_jobs: int | None = None, callback: Callback | None = None) -> list[tuple[int, int]]:
        """Tasks and numbers of samples that are wanted now; none when the budget is spent."""
        return self._core.ask(call(n_jobs, callback))

    def tell(self, task: int, X: Any, y: ArrayLike) -> None:
        """Takes samples of a task."""
        x = _arrays.dense("X", X)
        self._core.tell(integer("task", task, 0), x, _arrays.vector("y", y, len(x)))

    def tell_summary(self, task: int, data: TaskData | bytes) -> None:
        """Takes the summary of samples of a task, of this machine or another."""
        summary = data if isinstance(data, TaskData) else TaskData.from_bytes(data)
        self._core.tell_summary(integer("task", task, 0), summary._core)

    def limit(self, task: int, available: int) -> None:
        """Says that a task has only so many samples."""
        self._core.limit(integer("task", task, 0), integer("available", available, 0))

    @property
    def samples_(self) -> NDArray[np.int64]:
        """Samples of each task so far."""
        return self._core.samples()

    @property
    def cost_(self) -> float:
        """What they cost."""
        return float(self._core.cost)

    def result(self, *, n_jobs: int | None = None, callback: Callback | None = None) -> Learned:
        """What was learned so far; the planner can go on after it."""
        d = self._core.result(call(n_jobs, callback))
        own = [f for f in Learned.__dataclass_fields__ if f != "report"]
        return Learned(**{k: d.pop(k) for k in own}, report=d)

    def to_bytes(self) -> bytes:
        """The planner as it stands, as versioned bytes with a checksum."""
        return bytes(self._core.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Planner:
        """Goes on from :meth:`to_bytes`."""
        out = cls.__new__(cls)
        out._core = _core.Planner.from_bytes(data)
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        return Planner.from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        return describe("Planner", {"samples": int(self.samples_.sum()), "cost": self.cost_})


def learn(
    draw: Callable[[int, int], tuple[Any, ArrayLike]],
    n_tasks: int,
    targets: Any,
    budget: Any,
    *,
    n_jobs: int | None = None,
    callback: Callback | None = None,
    **settings: Any,
) -> Learned:
    """Draws samples as :class:`Planner` wants them, until the budget is spent.

    Parameters
    ----------
    draw : callable
        From a task and a number of samples to `(X, y)`; fewer samples mean that the task has no more.
    n_tasks, targets, budget, **settings
        As of :class:`Planner`.
    n_jobs, callback
        Number of threads; progress.

    Returns
    -------
    Learned
    """
    planner = Planner(n_tasks, targets, budget, **settings)
    given = np.zeros(n_tasks, np.int64)
    while wanted := planner.ask(n_jobs=n_jobs, callback=callback):
        for task, n in wanted:
            X, y = draw(task, n)
            x = _arrays.dense("X", X)
            given[task] += len(x)
            planner.tell(task, x, y)
            if len(x) < n:
                planner.limit(task, int(given[task]))
    return planner.result(n_jobs=n_jobs, callback=callback)
