"""Random draws: how many resamples or permutations to make, and the seed of their generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Draws:
    """How many random draws (bootstrap resamples or permutations) to make, and from which seed.

    >>> draws = Draws(1000, seed=3)
    >>> draws.at_most(200)
    Draws(n=200, seed=3)
    >>> draws.random().integers(10, size=3).tolist() == draws.random().integers(10, size=3).tolist()
    True
    """

    n: int = 1000
    seed: int = 0

    def at_most(self, n: int) -> Draws:
        """The same draws, but no more than `n`."""
        return Draws(min(self.n, n), self.seed)

    def random(self) -> np.random.Generator:
        """A new generator with this seed."""
        return np.random.default_rng(self.seed)
