"""Random draws, intervals from them, and the correlation of two variables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num


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


def interval(
    draws: Float[np.ndarray, "draw ..."], level: float = 0.95
) -> tuple[Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"]]:
    """The percentile interval (low, high) from bootstrap draws `(n, …)`, each `(…)`.

    Undefined draws (NaN) are left out; without defined draws the bounds are NaN.

    >>> [float(bound) for bound in interval(np.append(np.linspace(0, 1, 41), np.nan))]
    [0.025, 0.975]
    """
    values = np.asarray(draws, np.float64)
    if not len(values):
        nothing = np.full(values.shape[1:], np.nan)
        return nothing, nothing
    bounds = [(1 - level) / 2, (1 + level) / 2]
    undefined = np.isnan(values)
    if not undefined.any():
        low, high = np.quantile(values, bounds, axis=0)
    else:
        nowhere = undefined.all(axis=0)
        found = np.nanquantile(np.where(nowhere, 0.0, values), bounds, axis=0)
        low, high = np.where(nowhere, np.nan, found)
    return np.asarray(low), np.asarray(high)


def pearson(one: Num[np.ndarray, " n"], other: Num[np.ndarray, " n"]) -> float:
    """Pearson's correlation over the pairs that are finite; NaN where one does not vary.

    >>> pearson(np.array([1.0, 2.0, np.nan]), np.array([3.0, 5.0, 0.0]))
    1.0
    >>> pearson(np.ones(3), np.arange(3.0))
    nan
    """
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    # Rounding must not exceed 1.
    return round(min(max(float(a @ b) / lengths, -1.0), 1.0), 12) if lengths else float("nan")
