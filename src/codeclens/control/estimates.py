"""Estimates: numbers with their 95 % intervals, and on which side of zero they lie."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

# What lies no farther from zero than this may be rounding in the mean of equal numbers.
ROUNDING = 1e-9
Verdict = Literal["better", "worse", "undecided"]


@dataclass(frozen=True)
class Estimate:
    """A number or an array of numbers with its 95 % bootstrap interval, all of one shape."""

    value: Float[np.ndarray, "*shape"]
    low: Float[np.ndarray, "*shape"]
    high: Float[np.ndarray, "*shape"]

    @classmethod
    def of(
        cls, value: Float[np.ndarray, "*shape"], draws: Float[np.ndarray, "draw ..."]
    ) -> Estimate:
        """An estimate from the value `(…)` and its bootstrap draws `(n, …)`.

        >>> str(Estimate.of(np.array(0.5), np.linspace(0.4, 0.6, 41)))
        '0.50 [0.41, 0.59]'
        """
        if np.isnan(draws).any():
            # Draws without a value are left out; where there is no other, so has the interval none.
            undefined = np.isnan(draws).all(axis=0)
            filled = np.where(undefined, 0.0, draws)
            bounds = np.nanquantile(filled, [0.025, 0.975], axis=0)
            bounds = np.where(undefined, np.nan, bounds)
        else:
            bounds = np.quantile(draws, [0.025, 0.975], axis=0)
        return cls(np.asarray(value), np.asarray(bounds[0]), np.asarray(bounds[1]))

    def __getitem__(self, place: int) -> Estimate:
        return Estimate(*(np.asarray(part[place]) for part in (self.value, self.low, self.high)))

    def __str__(self) -> str:
        value, low, high = (two_digits(float(p)) for p in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]"

    @property
    def side(self) -> int:
        """1 or −1 where the interval lies above or below zero, else 0."""
        return int(self.low > ROUNDING) - int(self.high < -ROUNDING)

    @property
    def verdict(self) -> Verdict:
        """ "better" or "worse" where the interval lies above or below zero, else "undecided"."""
        return verdict(self.side)


def verdict(side: int) -> Verdict:
    """The word for a side of zero.

    >>> verdict(1), verdict(0), verdict(-1)
    ('better', 'undecided', 'worse')
    """
    if side == 0:
        return "undecided"
    return "better" if side > 0 else "worse"


def two_digits(value: float) -> str:
    """A number with two digits behind the point; "undefined" for NaN.

    >>> two_digits(-0.001), two_digits(float("nan"))
    ('0.00', 'undefined')
    """
    if math.isnan(value):
        return "undefined"
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text
