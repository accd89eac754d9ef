"""Trends over depth: rank correlation, and how sure it is when the samples are drawn again."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num

from codeclens.analysis.spectrum import (
    covariance_spectrum,
    spectrum_components,
    spectrum_participation,
)
from codeclens.analysis.statistics import blocks, standardized
from codeclens.errors import CodeclensError

_GROUPS = 16
_MOST_GROUPS = 4096


@dataclass(frozen=True)
class Trend:
    """How one quantity goes with depth: its value at every site and the rank correlation.

    `values` is `(L,)` in the order of depth; `rho` is Spearman's correlation with depth, `low` and
    `high` its 95 % bootstrap interval over samples. `rho` is NaN below three sites or where the
    values do not vary, the interval also where there is nothing to draw again.
    """

    values: Float[np.ndarray, " site"]
    rho: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Float[np.ndarray, " site"], draws: Float[np.ndarray, "draw site"]) -> Trend:
        """The trend of `values` `(L,)` with the same values in bootstrap draws `(n, L)`.

        >>> values = np.array([0.1, 0.2, 0.4])
        >>> trend = Trend.of(values, np.array([[0.1, 0.3, 0.2], [0.1, 0.2, 0.3]]))
        >>> f"{trend.rho:.2f} [{trend.low:.2f}, {trend.high:.2f}]"
        '1.00 [0.51, 0.99]'
        """
        nan = float("nan")
        if len(values) < 3:
            return cls(values, nan, nan, nan)
        depth = np.arange(len(values))
        redrawn = np.atleast_1d(rank_correlation(draws, depth))
        # A draw in which nothing changes shows no trend; only one that is not finite says nothing.
        finite = np.isfinite(draws).all(axis=-1)
        redrawn = np.nan_to_num(redrawn[finite])
        low, high = np.quantile(redrawn, [0.025, 0.975]) if len(redrawn) else (nan, nan)
        return cls(values, float(rank_correlation(values, depth)), float(low), float(high))

    @property
    def direction(self) -> str:
        """ "rises" or "falls" where the interval excludes no trend, else "shows no clear trend"."""
        if self.low > 0:
            return "rises"
        return "falls" if self.high < 0 else "shows no clear trend"


def rank_correlation(
    values: Num[np.ndarray, "*draw item"], order: Num[np.ndarray, " item"]
) -> Float[np.ndarray, "*draw"]:
    """Spearman's rank correlation of every row with one order, ties at their average rank.

    `values` is `(…, L)` (one row a bootstrap draw, say), `order` is `(L,)` (the depth of layers);
    the result is `(…)` in [−1, 1], NaN where a row or the order is constant or not finite.

    Raises CodeclensError where the lengths differ.

    >>> rank_correlation(np.array([[0.1, 0.2, 0.4], [3.0, 2.0, 1.0]]), np.array([0, 1, 2]))
    array([ 1., -1.])
    """
    from scipy.stats import rankdata

    array, depth = np.asarray(values, np.float64), np.asarray(order, np.float64)
    if depth.ndim != 1 or array.shape[-1:] != depth.shape:
        raise CodeclensError(
            f"values have shape {array.shape} and order {depth.shape}; "
            "order must name one place for each entry of a row."
        )
    rows = array.reshape(-1, len(depth))
    finite = np.isfinite(rows).all(axis=1, keepdims=True)
    # Rows that are not finite become constant, and so NaN.
    ranks = standardized(rankdata(np.where(finite, rows, 0.0), axis=1))
    correlation = ranks @ standardized(rankdata(depth)[None])[0]
    # Rounded, or a trend that is exactly none would be told as the tiniest one.
    found = np.clip(correlation, -1.0, 1.0).round(12) + 0.0
    return np.asarray(found.reshape(array.shape[:-1]))


def redrawn_medians(
    values: Sequence[Float[np.ndarray, " sample"]], n: int, seed: int
) -> Float[np.ndarray, "draw site"]:
    """The median at every site in `n` bootstrap draws of the samples, the same ones at all sites.

    `values` holds one array `(N,)` for each site; samples that are NaN there are left out there.

    >>> redrawn_medians([np.arange(3.0), np.full(3, 7.0)], n=2, seed=0).shape
    (2, 2)
    """
    table = np.stack(values)
    median = np.nanmedian if np.isnan(table).any() else np.median
    random = np.random.default_rng(seed)
    draws = np.empty((n, len(table)))
    with warnings.catch_warnings():
        # Where no drawn sample is defined the median is NaN, which is what it should be.
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        for block in blocks(n, table.size):
            chosen = random.integers(table.shape[1], size=(len(draws[block]), table.shape[1]))
            draws[block] = median(table[:, chosen], axis=2).T
    return draws


def mirrored_interval(
    value: float, draws: Float[np.ndarray, " draw"], least: float = 1.0
) -> tuple[float, float]:
    """The basic 95 % bootstrap interval of a dimensionality: draws, mirrored at the value.

    Drawing samples again adds noise once more, and noise makes dimensions: by as much as draws
    exceed the value, the value exceeds the truth. So the interval may lie below the value, never
    below `least`. NaN without draws that are defined (Davison and Hinkley 1997, §5.2).

    >>> mirrored_interval(5.0, np.full(100, 6.0)), mirrored_interval(5.0, np.zeros(0))
    ((4.0, 4.0), (nan, nan))
    """
    defined = draws[~np.isnan(draws)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = 2 * value - np.quantile(defined, [0.975, 0.025])
    floor = min(least, value)
    return max(floor, float(low)), max(floor, float(high))


class ClassResampler:
    """Draws the samples of every class again, for dimensionalities of class means.

    The samples of each class are dealt at random into up to 16 groups and the groups are drawn
    again, so that a draw costs as much as there are classes, not samples. `labels` is `(N,)`, −1
    where unknown: left out. `group` `(N,)` says which of the `groups` a sample is in, −1 for none.
    `varies` is False where no class has two samples: then every draw would be the same.
    """

    def __init__(self, labels: Int[np.ndarray, " sample"], n: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        known = random.permutation(np.flatnonzero(labels >= 0))
        classes, index, counts = np.unique(labels[known], return_inverse=True, return_counts=True)
        wanted = int(np.clip(_MOST_GROUPS // max(len(classes), 1), 2, _GROUPS))
        order = np.argsort(index, kind="stable")
        place = np.arange(len(known)) - np.repeat(np.cumsum(counts) - counts, counts)
        self._sizes = np.minimum(counts, wanted)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self.group = np.full(len(labels), -1)
        of_class = index[order]
        self.group[known[order]] = self._starts[of_class] + place % self._sizes[of_class]
        self.groups = int(self._sizes.sum())
        self._weights = np.bincount(self.group[known], minlength=self.groups).astype(np.float64)
        self._seeds = random.integers(2**32, size=n)
        self.varies = bool((counts > 1).any())

    def class_means(
        self, means: Float[np.ndarray, "group unit"]
    ) -> Float[np.ndarray, "class unit"]:
        """The means of the classes that occur, from those of their groups."""
        if not self.groups:
            return np.zeros((0, means.shape[1]))
        total = np.add.reduceat(means * self._weights[:, None], self._starts, axis=0)
        return np.asarray(total / np.add.reduceat(self._weights, self._starts)[:, None])

    def dimensions(
        self, groups: Float[np.ndarray, "group unit"], share: float
    ) -> Float[np.ndarray, "draw measure"]:
        """Components for `share` of the variance and participation ratio of class means, by draw.

        `groups` `(G, U)` are the means of the groups; the result is `(n, 2)`.
        """
        draws = np.empty((len(self._seeds), 2))
        for row, seed in zip(draws, self._seeds, strict=True):
            spectrum = covariance_spectrum(self._drawn_means(groups, int(seed)))
            row[:] = spectrum_components(spectrum, share), spectrum_participation(spectrum)
        return draws

    def _drawn_means(
        self, groups: Float[np.ndarray, "group unit"], seed: int
    ) -> Float[np.ndarray, "class unit"]:
        from scipy.sparse import csr_array

        size: Int[np.ndarray, " group"] = np.repeat(self._sizes, self._sizes)
        first = np.repeat(self._starts, self._sizes)
        # Seeded by the draw alone, so that all sites see the same draws.
        chosen = first + np.random.default_rng(seed).integers(size)
        owner = np.repeat(np.arange(len(self._sizes)), self._sizes)
        shape = (len(self._sizes), len(groups))
        means: Float[np.ndarray, "class unit"] = (
            csr_array((1.0 / size, (owner, chosen)), shape) @ groups
        )
        return means
