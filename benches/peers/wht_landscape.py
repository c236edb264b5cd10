"""A function of n bits given by its few coefficients, for n too large to store its 2^n values.

Imported by `run.py` and, with the Python of the peers' environment, by `wht_sparse_transform.py`: both tools
measure the same function.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Landscape:
    """Σ truth[k]·(-1)^<k, query> plus noise, which belongs to the query: asked again, it is the same."""

    name: str
    truth: dict[int, float]
    noise_std: float

    def __call__(self, query: int) -> float:
        value = sum(-v if (k & query).bit_count() & 1 else v for k, v in self.truth.items())
        return value + random.Random(f"{self.name} {query}").gauss(0.0, self.noise_std)
