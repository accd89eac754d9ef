"""Trends over depth: rank correlation with its bootstrap interval, in numbers and in words."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num

from codeclens.analysis.spectrum import covariance_spectrum
from codeclens.analysis.statistics import blocks, standardized
from codeclens.draws import Draws, interval
from codeclens.errors import CodeclensError

_GROUPS = 16
_MOST_GROUPS = 4096


@dataclass(frozen=True)
class Trend:
    """How one quantity changes with depth: its value at every site and the rank correlation.

    `values` is `(L,)` in the order of depth; `rho` is Spearman's correlation with depth, `low` and
    `high` its 95 % bootstrap interval. The interval varies the samples, not the network or its
    sites. Resampled values carry additional noise, which weakens a rank correlation, so that all
    draws may lie on one side of `rho`: the percentile interval is then extended to `rho`. It only
    gets wider. `rho` is NaN for fewer than three sites or constant values, the interval also
    without draws.
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
        '1.00 [0.51, 1.00]'
        """
        nan = float("nan")
        if len(values) < 3:
            return cls(values, nan, nan, nan)
        depth = np.arange(len(values))
        redrawn = np.atleast_1d(rank_correlation(draws, depth))
        # A constant draw counts as no trend; a draw that is not finite is excluded.
        finite = np.isfinite(draws).all(axis=-1)
        low, high = (float(bound) for bound in interval(np.nan_to_num(redrawn[finite])))
        rho = float(rank_correlation(values, depth))
        if not math.isnan(rho):
            low, high = min(low, rho), max(high, rho)
        return cls(values, rho, low, high)

    @property
    def direction(self) -> str:
        """ "rises" or "falls" where the interval excludes no trend, else "shows no clear trend"."""
        if self.low > 0:
            return "rises"
        return "falls" if self.high < 0 else "shows no clear trend"

    def words(self, sites: Sequence[str], number: str = "{:.2f}") -> str:
        """The trend in words: first and last value, direction, rank correlation and interval.

        >>> trend = Trend(np.array([0.42, 0.5, 0.6, 0.63]), 1.0, 0.5, 1.0)
        >>> trend.words(["a", "b", "c", "d"])
        'rises from 0.42 (a) to 0.63 (d), rank correlation with depth 1.00 [0.50, 1.00]'
        """
        first, last = (
            "undefined" if math.isnan(value) else number.format(value)
            for value in (self.values[0], self.values[-1])
        )
        if len(sites) == 1:
            return f"is {first} ({sites[0]})"
        ends = f"{first} ({sites[0]}) to {last} ({sites[-1]})"
        if len(sites) < 3:
            return f"goes from {ends} (two sites are too few for a trend)"
        if math.isnan(self.rho):
            if len({number.format(value) for value in self.values}) == 1 and first != "undefined":
                return f"is constant at {first}"
            return f"goes from {ends} (the rank correlation with depth is undefined)"
        rho = f"rank correlation with depth {self.rho:.2f}"
        if math.isnan(self.low):
            return f"goes from {ends}, {rho} (too few samples of each class for an interval)"
        rho += f" [{self.low:.2f}, {self.high:.2f}]"
        change = float(self.values[-1] - self.values[0])
        if self.direction in ("rises", "falls") and (first == last or change * self.rho <= 0):
            return f"{self.direction} overall, although it goes from {ends}: {rho}"
        few = "; three sites are few" if len(sites) == 3 else ""
        return f"{self.direction} from {ends}, {rho}{few}"


def rank_correlation(
    values: Num[np.ndarray, "*draw item"], order: Num[np.ndarray, " item"]
) -> Float[np.ndarray, "*draw"]:
    """Spearman's rank correlation of every row with one order, ties at their average rank.

    `values` is `(…, L)` (one row a bootstrap draw, say), `order` is `(L,)` (the depth of layers);
    the result is `(…)` in [−1, 1], NaN where a row or the order is constant or not finite.

    Raises CodeclensError if the lengths differ.

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
    # Rounded, so that rounding errors do not turn exactly no trend into a tiny one.
    found = np.clip(correlation, -1.0, 1.0).round(12) + 0.0
    return np.asarray(found.reshape(array.shape[:-1]))


def redrawn_medians(
    values: Sequence[Float[np.ndarray, " sample"]], draws: Draws
) -> Float[np.ndarray, "draw site"]:
    """The median at every site in bootstrap draws of the samples, the same draws at all sites.

    `values` holds one array `(N,)` for each site; NaN values are excluded at their site.

    >>> redrawn_medians([np.arange(3.0), np.full(3, 7.0)], Draws(2)).shape
    (2, 2)
    """
    table = np.stack(values)
    median = np.nanmedian if np.isnan(table).any() else np.median
    random = np.random.default_rng(draws.seed)
    drawn = np.empty((draws.n, len(table)))
    with warnings.catch_warnings():
        # Without any defined sample the median is NaN, as it should be.
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        for block in blocks(draws.n, table.size):
            chosen = random.integers(table.shape[1], size=(len(drawn[block]), table.shape[1]))
            drawn[block] = median(table[:, chosen], axis=2).T
    return drawn


def mirrored_interval(
    value: float, draws: Float[np.ndarray, " draw"], least: float = 1.0
) -> tuple[float, float]:
    """The basic 95 % bootstrap interval of a dimensionality: the draws, mirrored at the value.

    Resampling adds noise a second time, and noise adds dimensions: the value exceeds the truth by
    about as much as the draws exceed the value. The interval may therefore lie below the value,
    never below `least`. NaN without defined draws (Davison and Hinkley 1997, §5.2).

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
    """Resamples the samples of every class, for dimensionalities of class means.

    The samples of each class are divided at random into up to 16 groups, and the groups are
    resampled, so that the cost of a draw depends on the number of classes, not of samples.
    `labels` is `(N,)`; −1 (unknown) is excluded. `group` `(N,)` is the group of each sample, of
    `groups` in all, −1 for none. `varies` is False if no class has two samples: then every draw
    would be the same.
    """

    def __init__(self, labels: Int[np.ndarray, " sample"], draws: Draws) -> None:
        random = np.random.default_rng(draws.seed)
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
        self._seeds = random.integers(2**32, size=draws.n)
        self.varies = bool((counts > 1).any())

    def class_means(
        self, means: Float[np.ndarray, "group unit"]
    ) -> Float[np.ndarray, "class unit"]:
        """The class means, from those of their groups."""
        if not self.groups:
            return np.zeros((0, means.shape[1]))
        total = np.add.reduceat(means * self._weights[:, None], self._starts, axis=0)
        return np.asarray(total / np.add.reduceat(self._weights, self._starts)[:, None])

    def drawn(
        self,
        groups: Float[np.ndarray, "group unit"],
        measures: Sequence[Callable[[Float[np.ndarray, " component"]], float]],
    ) -> Float[np.ndarray, "draw measure"]:
        """Measures of the spectrum of the class means, one row for each draw.

        `groups` `(G, U)` are the means of the groups; without `varies` there are no rows.
        """
        draws = np.empty((len(self._seeds) if self.varies else 0, len(measures)))
        for row, seed in zip(draws, self._seeds, strict=False):
            spectrum = covariance_spectrum(self._drawn_means(groups, int(seed)))
            row[:] = [measure(spectrum) for measure in measures]
        return draws

    def _drawn_means(
        self, groups: Float[np.ndarray, "group unit"], seed: int
    ) -> Float[np.ndarray, "class unit"]:
        from scipy.sparse import csr_array

        size: Int[np.ndarray, " group"] = np.repeat(self._sizes, self._sizes)
        first = np.repeat(self._starts, self._sizes)
        # Seeded by the draw alone, so that all sites use the same draws.
        chosen = first + np.random.default_rng(seed).integers(size)
        owner = np.repeat(np.arange(len(self._sizes)), self._sizes)
        shape = (len(self._sizes), len(groups))
        means: Float[np.ndarray, "class unit"] = (
            csr_array((1.0 / size, (owner, chosen)), shape) @ groups
        )
        return means


def at_sites(more: int, less: int, sites: int, opposite: str) -> str:
    """At how many sites one number is larger than another by their 95 % intervals, in words.

    >>> at_sites(6, 0, 6, "less sparse")
    'at all 6 sites (95 % intervals do not overlap)'
    >>> at_sites(4, 1, 6, "less sparse")
    'at 4 of 6 sites and less sparse at 1 (95 % intervals do not overlap)'
    """
    if more == sites and sites > 1:
        where = f"at all {sites} sites"
    else:
        where = f"at {more or 'none'} of {sites} sites and {opposite} at {less or 'none'}"
    return f"{where} (95 % intervals do not overlap)"
