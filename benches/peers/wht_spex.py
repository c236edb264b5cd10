"""Runs SPEX (shapiq) on games made of boosted trees, and answers and judges for both tools.

`run.py` starts this file with the Python of the peers' environment, one JSON object on standard
input, and reads one JSON object from standard output. Every request has `task`, `model` (path of
a `trees_*.json.gz`), `instances` (row numbers) and `held_out` (how many fresh masks):

- `spex`: also `budgets`, `runs` and `folder`. Reply: `versions`, `variables`, `games` (one per
  instance: `coefficients`, `degree`, `variance_9999` of the exact spectrum) and `runs`, one per
  budget and instance: `budget`, `instance`, `evaluations`, `distinct`, `degree` (to which SPEX went
  down), `coefficients` (how many), `r2`, `decode_s: [..]`, `whole_s: [..]`,
  `error: null | "..."`. The masks that SPEX asked of the first instance, and their values, go to
  `folder` as `wht-spex-NAME-BUDGET.queries.txt` (one line of 0 and 1 each, first feature first)
  and `.answers.txt`.
- `answers`: also `queries`, a file of such lines. Reply: `answers`, one list per instance.
- `judge`: also `found`, one list of `[mask of the frequency, value]` per instance. Reply: `r2`.

A game gives the score of the model where feature i is that of the instance if bit i is 1, else
the background; a model of 0/1 inputs is its own game. `r2` is null where a game does not vary.
Timed are further runs with the same seed, whose values are known: the clock stops while a value
is looked up. `decode_s` is what turns values into coefficients: the small transforms, the
peeling and the lasso. `whole_s` adds making the queries and the conversion into interactions.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
import zlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = ("shapiq", "sparse-transform", "numpy", "scipy", "scikit-learn", "numba", "galois")
NOTHING = 1e-9


class Game:
    """The score of a model as a function of masks, a matrix of 0 and 1 with a row for each."""

    def __init__(self, model: dict[str, Any], instance: int) -> None:
        self.n = len(model["features"])
        self.base, self.scale = model["base"], model["scale"]
        self.trees = [{k: np.array(v) for k, v in tree.items()} for tree in model["trees"]]
        self.present, self.absent = np.ones(self.n), np.zeros(self.n)
        if "instances" in model:
            self.present = np.array(model["instances"][instance])
            self.absent = np.array(model["background"])

    def __call__(self, masks: Any) -> Any:
        x = np.where(np.asarray(masks, dtype=bool), self.present, self.absent)
        rows = np.arange(len(x))
        total = np.zeros(len(x))
        for tree in self.trees:
            node = np.zeros(len(x), dtype=int)
            while np.any(inner := tree["feature"][node] >= 0):
                goes_left = x[rows, tree["feature"][node]] <= tree["threshold"][node]
                child = np.where(goes_left, tree["left"][node], tree["right"][node])
                node = np.where(inner, child, node)
            total += tree["value"][node]
        return self.base + self.scale * total

    def spectrum(self) -> dict[frozenset[int], float]:
        """All coefficients, exactly: a leaf is a product of (1 ± (-1)^bit)/2 over its path."""
        spectrum: dict[frozenset[int], float] = {frozenset(): self.base}
        for tree in self.trees:
            # The constraints of a path: feature -> sides (of bit 0, of bit 1) that are allowed.
            stack: list[tuple[int, dict[int, int]]] = [(0, {})]
            while stack:
                node, path = stack.pop()
                feature = int(tree["feature"][node])
                if feature < 0:
                    value = self.scale * tree["value"][node] / 2 ** len(path)
                    terms: dict[frozenset[int], float] = {frozenset(): value}
                    for i, bit in path.items():
                        sign = -1 if bit else 1
                        terms |= {key | {i}: sign * v for key, v in terms.items()}
                    for key, v in terms.items():
                        spectrum[key] = spectrum.get(key, 0.0) + v
                    continue
                for side, child in ((True, tree["left"][node]), (False, tree["right"][node])):
                    threshold = tree["threshold"][node]
                    values = (self.absent[feature], self.present[feature])
                    bits = {bit for bit in (0, 1) if (values[bit] <= threshold) == side}
                    bits &= {path[feature]} if feature in path else {0, 1}
                    if len(bits) == 2:
                        stack.append((int(child), path))
                    elif bits:
                        stack.append((int(child), path | {feature: bits.pop()}))
        return spectrum

    def size(self) -> dict[str, int]:
        """Number of coefficients, the largest degree, and how many hold 0.9999 of the variance."""
        spectrum = self.spectrum()
        least = NOTHING * max(map(abs, spectrum.values()))
        kept = {key: v for key, v in spectrum.items() if abs(v) > least}
        energy = np.sort([v * v for key, v in kept.items() if key])[::-1]
        enough = int(np.searchsorted(np.cumsum(energy), 0.9999 * energy.sum())) + 1
        return {
            "coefficients": len(kept),
            "degree": max(map(len, kept), default=0),
            "variance_9999": min(enough, len(energy)),
        }


def held_out(request: dict[str, Any], game: Game, model: dict[str, Any]) -> Any:
    """Fresh masks, the same for every instance and tool."""
    rng = np.random.default_rng(zlib.crc32(model["name"].encode()))
    return rng.integers(0, 2, size=(request["held_out"], game.n))


def r_squared(game: Game, masks: Any, frequencies: Any, values: Any) -> float | None:
    """Share of the variance over the masks that Σ value·(-1)^<mask, frequency> explains."""
    truth = game(masks)
    if np.ptp(truth) <= 1e-12 * np.abs(truth).max():
        return None
    frequencies = np.asarray(frequencies, dtype=float).reshape(-1, game.n)
    signs = 1 - 2 * ((masks @ frequencies.T) % 2)
    rest = truth - signs @ np.asarray(values, dtype=float)
    return float(1 - (rest @ rest) / np.sum((truth - truth.mean()) ** 2))


def spex(game: Game, budget: int, seed: int, runs: int) -> dict[str, Any]:
    """SPEX with its default settings, watched from outside."""
    from shapiq import SPEX
    from shapiq.approximator.sparse import base

    own_transform = base.sparse_fourier_transform
    seen: dict[str, Any] = {}
    queries: list[Any] = []
    answers: list[Any] = []
    elsewhere = 0.0  # seconds in the game, which are not the peer's
    known = False
    position = 0

    def ask(masks: Any) -> Any:
        nonlocal elsewhere, position
        start = time.perf_counter()
        if known:
            if not np.array_equal(masks, queries[position]):
                raise RuntimeError("a further run asked for other masks")
        else:
            queries.append(np.array(masks))
            answers.append(game(masks))
        values = answers[position]
        position += 1
        elsewhere += time.perf_counter() - start
        return values

    def transform(signal: Any, **arguments: Any) -> Any:
        small = sum(t for group in signal.transformTimes for part in group for t in part.values())
        start = time.perf_counter()
        found = own_transform(signal, **arguments)
        seen["decode"] = time.perf_counter() - start + small
        seen["found"] = found
        return found

    base.sparse_fourier_transform = transform
    try:
        approximator = SPEX(n=game.n, random_state=seed)
        decode, whole = [], []
        for run in range(runs + 1):
            np.random.seed(seed)  # the package draws its groups from the global generator
            known, position, elsewhere = run > 0, 0, 0.0
            start = time.perf_counter()
            approximator.approximate(budget, ask)
            if known:
                whole.append(time.perf_counter() - start - elsewhere)
                decode.append(seen["decode"])
    finally:
        base.sparse_fourier_transform = own_transform
    masks = np.concatenate(queries).astype(int)
    return {
        "masks": masks,
        "values": np.concatenate(answers),
        "found": {key: float(np.real(v)) for key, v in seen["found"].items() if v != 0},
        "degree": int(approximator.degree_parameter),
        "evaluations": len(masks),
        "distinct": len(np.unique(masks, axis=0)),
        "decode_s": decode,
        "whole_s": whole,
    }


def lines(masks: Any) -> str:
    return "".join("".join(map(str, mask)) + "\n" for mask in masks.tolist())


def run_spex(request: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    replies, games = [], []
    for instance in request["instances"]:
        game = Game(model, instance)
        games.append(game.size())
        masks = held_out(request, game, model)
        for budget in request["budgets"]:
            reply: dict[str, Any] = {"budget": budget, "instance": instance, "error": None}
            try:
                answer = spex(game, budget, instance, request["runs"])
                asked, values, found = (answer.pop(k) for k in ("masks", "values", "found"))
                reply["coefficients"] = len(found)
                reply["r2"] = r_squared(game, masks, list(found), list(found.values()))
                reply |= answer
                if instance == 0:
                    stem = Path(request["folder"], f"wht-spex-{model['name']}-{budget}")
                    stem.parent.mkdir(parents=True, exist_ok=True)
                    stem.with_suffix(".queries.txt").write_text(lines(asked))
                    numbers = "".join(f"{v!r}\n" for v in values.tolist())
                    stem.with_suffix(".answers.txt").write_text(numbers)
            except Exception as error:  # whatever the package raises is its failure on this game
                reply |= {"decode_s": [], "whole_s": [], "r2": None, "evaluations": None}
                reply["error"] = f"{type(error).__name__}: {error}"
            replies.append(reply)
    versions = {package: version(package) for package in PACKAGES}
    return {"versions": versions, "variables": game.n, "games": games, "runs": replies}


def main() -> int:
    request = json.load(sys.stdin)
    with gzip.open(request["model"], "rt", encoding="utf-8") as file:
        model = json.load(file)
    reply: dict[str, Any]
    if request["task"] == "spex":
        reply = run_spex(request, model)
    elif request["task"] == "answers":
        text = Path(request["queries"]).read_text(encoding="ascii").split()
        masks = np.array([list(map(int, line)) for line in text])
        games = [Game(model, instance) for instance in request["instances"]]
        reply = {"answers": [game(masks).tolist() for game in games]}
    else:
        reply = {"r2": []}
        for instance, found in zip(request["instances"], request["found"]):
            game = Game(model, instance)
            frequencies = [list(map(int, bits)) for bits, _ in found]
            masks = held_out(request, game, model)
            values = [value for _, value in found]
            reply["r2"].append(r_squared(game, masks, frequencies, values))
    json.dump(reply, sys.stdout, allow_nan=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
