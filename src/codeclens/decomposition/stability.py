"""Stability: how reproducible modes are over seeds and over halves of the samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num

from codeclens.decomposition.quality import unit_rows
from codeclens.errors import CodeclensError

# A mode whose partner in another fit has this cosine or more counts as reproducible.
FOUND = 0.7
# With this cosine, two modes are the same.
_SAME = 0.99
# Number of shuffles to measure the cosines that arise by chance.
_SHUFFLES = 5


class Match(NamedTuple):
    """The modes of one dictionary matched with those of another.

    `cosine` `(K,)` is the cosine of each mode with its partner and `partner` `(K,)` the partner's
    row; they are NaN and −1 for modes without a partner, where the other dictionary is smaller.
    `mean` is taken over the modes that have a partner.

    >>> Match(np.array([0.5, 1.0]), np.array([1, 0])).mean
    0.75
    """

    cosine: np.ndarray[Any, Any]
    partner: np.ndarray[Any, Any]

    @property
    def mean(self) -> float:
        """The mean cosine of matched modes."""
        return float(np.nanmean(self.cosine))


def matched(D: Num[np.ndarray, "mode unit"], other: Num[np.ndarray, "mode2 unit"]) -> Match:
    """Match the modes of two dictionaries one to one by cosine, so that the total is largest.

    `D` is `(K, D)`, `other` `(K', D)`: two seeds, two halves of the data, or a planted truth
    (Hungarian matching, method.md §3). Modes of zeros have cosine 0 with everything. Raises
    CodeclensError where the numbers of units differ.

    >>> found = matched(np.eye(3)[:2], np.eye(3)[[2, 1, 0]])
    >>> found.cosine, found.partner
    (array([1., 1.]), array([2, 1]))
    """
    from scipy.optimize import linear_sum_assignment

    if D.shape[1] != other.shape[1]:
        raise CodeclensError(
            f"The dictionaries have {D.shape[1]} and {other.shape[1]} columns; "
            "compare modes of the same site and view."
        )
    cosines = unit_rows(D) @ unit_rows(other).T
    rows, partners = linear_sum_assignment(cosines, maximize=True)
    cosine = np.full(len(D), np.nan)
    partner = np.full(len(D), -1)
    cosine[rows] = np.clip(cosines[rows, partners], -1.0, 1.0)
    partner[rows] = partners
    return Match(cosine, partner)


def found_again(
    D: Num[np.ndarray, "mode unit"], others: Sequence[Num[np.ndarray, "mode2 unit"]]
) -> Float[np.ndarray, " mode"]:
    """How reproducible each mode is: its mean cosine with its partners in other dictionaries.

    `D` is `(K, D)`, each other `(K', D)`; the result `(K,)` is the mean over the dictionaries, with
    0 for those in which the mode has no partner; NaN without others (method.md §3).
    Raises CodeclensError if the numbers of units differ.

    >>> found_again(np.eye(2), [np.eye(2), np.eye(2)[:1]])
    array([1. , 0.5])
    """
    if not others:
        return np.full(len(D), np.nan)
    cosines = [np.nan_to_num(matched(D, other).cosine) for other in others]
    return np.asarray(np.mean(cosines, axis=0))


def chance(D: Num[np.ndarray, "mode unit"], seed: int = 0) -> float:
    """The cosine that one in twenty modes reaches with shuffled modes.

    Modes without negative entries are always similar. Each unit's entries are permuted among the
    modes, which keeps the distribution of each unit and destroys the patterns; the shuffled modes
    are matched with the real ones, several times. NaN for a single mode.

    >>> 0.98 < chance(1 + np.eye(8) / 9) <= 1, bool(np.isnan(chance(np.ones((1, 3)))))
    (True, True)
    """
    if len(D) < 2:
        return float("nan")
    random = np.random.default_rng(seed)
    cosines = [matched(D, random.permuted(np.asarray(D), axis=0)).cosine for _ in range(_SHUFFLES)]
    return float(np.quantile(np.concatenate(cosines), 0.95))


def halves(samples: int, seed: int) -> tuple[Int[np.ndarray, " first"], Int[np.ndarray, " second"]]:
    """The row numbers of two halves of the samples, drawn at random, each ascending.

    >>> [len(half) for half in halves(5, seed=0)]
    [3, 2]
    """
    order = np.random.default_rng(seed).permutation(samples)
    first, second = np.array_split(order, 2)
    return np.sort(first), np.sort(second)


def sentence(
    share: Float[np.ndarray, " mode"],
    again: dict[str, Float[np.ndarray, " mode"]],
    by_chance: float = float("nan"),
) -> str:
    """How many modes are reproducible, and their share of the contributions, in words.

    `share` `(K,)` is each mode's share of the reconstruction; `again` holds the results of
    `found_again` by the fits that were compared ("other seeds"). A mode counts as reproducible
    if its cosine is at least 0.7 and at least `by_chance`, which shuffled modes rarely reach
    (0.99 is always enough).

    >>> sentence(np.array([0.75, 0.25]), {"other seeds": np.array([0.9, 0.2])}, 0.8)
    'Reproducible (cosine of 0.80 or more, by chance 0.80): in other seeds 1 of 2 modes, which \
carry 75 %.'
    """
    least = min(float(np.fmax(FOUND, by_chance)), _SAME)
    parts = []
    for where, cosine in again.items():
        found = cosine >= least
        parts.append(
            f"{where} {int(found.sum())} of {len(found)} modes, which carry "
            f"{100 * share[found].sum():.0f} %"
        )
    chance_level = "" if np.isnan(by_chance) else f", by chance {by_chance:.2f}"
    found_in = "; in ".join(parts)
    return f"Reproducible (cosine of {least:.2f} or more{chance_level}): in {found_in}."
