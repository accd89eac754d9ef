"""Statistics of a population of units: arrays in, arrays out.

Samples are rows, units are columns. Sums use float64, one block of rows at a time, so that
50,000 × 2,048 values in float32 need little additional memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from codeclens.draws import Draws, interval
from codeclens.errors import CodeclensError, require_number, wrong_shape

Statistic = Callable[..., Any]

# Below this many samples bootstrap intervals are far too narrow to compare by.
FEWEST = 20
# Deviations below this share of the largest value are rounding in sums over many samples.
_ROUNDING = 1e-12
# Values held in float64 at once (32 MiB).
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Spread:
    """The distribution of one number per sample: median with its 95 % interval, and quartiles.

    `undefined` counts the samples without a value, which are excluded (a sample to which no unit
    contributes has no sparsity).
    """

    median: float
    low: float
    high: float
    q25: float
    q75: float
    undefined: int

    @classmethod
    def of(cls, values: Float[np.ndarray, " sample"], draws: Draws) -> Spread:
        """Summarise `values` `(N,)`, where NaN means undefined; `draws` are for the interval.

        >>> spread = Spread.of(np.array([1.0, 2.0, 3.0, np.nan]), Draws(100))
        >>> spread.median, spread.q25, spread.q75, spread.undefined
        (2.0, 1.5, 2.5, 1)
        """
        defined = values[~np.isnan(values)]
        if not len(defined):
            return cls(*(float("nan"),) * 5, undefined=len(values))
        low, high = bootstrap_interval(defined, np.median, draws.n, draws.seed)
        q25, median, q75 = (float(q) for q in np.quantile(defined, [0.25, 0.5, 0.75]))
        return cls(median, low, high, q25, q75, undefined=len(values) - len(defined))


def sign_correlation(
    positive: Num[np.ndarray, "sample unit"], negative: Num[np.ndarray, "sample unit"]
) -> Float[np.ndarray, " sample"]:
    """Pearson correlation over units between excitation and suppression, for every sample.

    `positive` `(N, U)` is ≥ 0 and `negative` `(N, U)` is ≤ 0 (its magnitude is taken, so its sign
    does not matter); the result is `(N,)` in [−1, 1] (method.md §4, Sign decorrelation). It is NaN
    where a row of either does not vary over units.

    Raises CodeclensError if the shapes differ or a value is not finite.

    >>> sign_correlation(np.array([[1.0, 2.0, 3.0]]), np.array([[-2.0, -4.0, -6.0]]))
    array([1.])
    """
    excited = numeric(positive, "positive", dimensions=2)
    suppressed = numeric(negative, "negative", dimensions=2)
    if excited.shape != suppressed.shape:
        raise CodeclensError(
            f"positive has shape {excited.shape} and negative {suppressed.shape}; "
            "both must be the same samples and units."
        )
    correlation = np.empty(len(excited))
    for block in blocks(*excited.shape):
        a, b = (
            standardized(excited[block]),
            standardized(np.abs(suppressed[block].astype(np.float64))),
        )
        correlation[block] = np.clip(np.einsum("nu,nu->n", a, b), -1.0, 1.0)
    return correlation


def class_means(
    X: Num[np.ndarray, "sample unit"], labels: Int[np.ndarray, " sample"]
) -> tuple[Float[np.ndarray, "class unit"], Int[np.ndarray, " class"]]:
    """The mean of the samples of every class, and which classes these are.

    `X` is `(N, U)`, `labels` `(N,)` integers; samples labelled −1 (unknown) are excluded.
    Returns the means `(C, U)` in the units of `X` and the class indices `(C,)`, ascending, of the
    classes that occur.

    Raises CodeclensError if the labels do not match the samples, are not integers, or are all −1.

    >>> X = np.array([[1.0], [3.0], [9.0], [7.0]])
    >>> means, classes = class_means(X, np.array([4, 4, 2, -1]))
    >>> means.tolist(), classes.tolist()
    ([[9.0], [2.0]], [2, 4])
    """
    array = numeric(X, "X", dimensions=2)
    classes, members = _members(labels, len(array))
    means = np.zeros((len(classes), array.shape[1]))
    for mean, rows in zip(means, members, strict=True):
        for block in blocks(len(rows), array.shape[1]):
            mean += array[rows[block]].sum(axis=0, dtype=np.float64)
        mean /= len(rows)
    return means, classes


def sum_by_group(
    X: Num[np.ndarray, "sample unit"],
    group: Int[np.ndarray, " sample"],
    sums: Float[np.ndarray, "group unit"],
) -> None:
    """Add every sample `(N, U)` to the row of `sums` `(G, U)` of its group; −1 means no group.

    >>> sums = np.zeros((2, 1))
    >>> sum_by_group(np.array([[1.0], [2.0], [9.0]]), np.array([1, 1, -1]), sums)
    >>> sums.tolist()
    [[0.0], [3.0]]
    """
    used = np.flatnonzero(group >= 0)
    order = used[np.argsort(group[used], kind="stable")]
    for block in blocks(len(order), X.shape[1]):
        rows = order[block]
        if len(rows):
            present, first = np.unique(group[rows], return_index=True)
            sums[present] += np.add.reduceat(X[rows], first, axis=0, dtype=np.float64)


def bootstrap_interval(
    values: Num[np.ndarray, " sample"],
    statistic: Statistic = np.median,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic over `n` resamples of the samples.

    `values` is `(N,)`; `statistic` takes an array and `axis=-1` (np.median, np.mean, np.std);
    the bounds are in the statistic's unit. The median is not computed resample by resample: the
    rank of the resampled median follows a beta distribution, which is drawn directly.

    Raises CodeclensError if `values` is empty or not finite, or `level` is not in (0, 1).

    >>> low, high = bootstrap_interval(np.arange(101.0), np.mean)
    >>> low < 50.0 < high, bool(44 < low and high < 56)
    (True, True)
    """
    array = numeric(values, "values", dimensions=1)
    require_number("level", level, above=0, below=1, hint="0.95 is usual")
    require_number("n", n, least=1, whole=True, hint="1000 resamples are usual")
    random = np.random.default_rng(seed)
    if statistic is np.median:
        draws = _median_draws(np.sort(array).astype(np.float64), n, random)
    else:
        draws = np.empty(n)
        for block in blocks(n, len(array)):
            rows = len(draws[block])
            drawn = array[random.integers(len(array), size=(rows, len(array)))]
            draws[block] = statistic(drawn, axis=-1)
    low, high = interval(draws, level)
    return float(low), float(high)


def _median_draws(
    ordered: Float[np.ndarray, " sample"], n: int, random: np.random.Generator
) -> Float[np.ndarray, " draw"]:
    # A resample is ordered[floor(N·u)] with N uniform numbers u. Its k-th smallest value sits at
    # the k-th smallest u, which is Beta(k, N + 1 − k); given that one, the next is the smallest of
    # the N − k that are left above it.
    size = len(ordered)
    lower = (size + 1) // 2
    u = random.beta(lower, size + 1 - lower, size=n)
    middle: Float[np.ndarray, " draw"] = ordered[np.minimum((u * size).astype(int), size - 1)]
    if size % 2:
        return middle
    above = u + (1 - u) * random.beta(1, size - lower, size=n)
    upper: Float[np.ndarray, " draw"] = ordered[np.minimum((above * size).astype(int), size - 1)]
    return 0.5 * middle + 0.5 * upper


def _members(
    labels: Int[np.ndarray, " sample"], samples: int
) -> tuple[Int[np.ndarray, " class"], list[Int[np.ndarray, " member"]]]:
    label = np.asarray(labels)
    if label.shape != (samples,) or not np.issubdtype(label.dtype, np.integer):
        raise CodeclensError(
            f"labels have shape {label.shape} and type {label.dtype} for {samples} samples; "
            "pass one integer for each sample, −1 where it is unknown."
        )
    order = np.argsort(label, kind="stable")
    order = order[label[order] >= 0]
    if not len(order):
        raise CodeclensError(f"All {samples} labels are unknown (−1); there are no classes.")
    classes, starts = np.unique(label[order], return_index=True)
    return classes, np.split(order, starts[1:])


def numeric(values: Any, name: str, dimensions: int | None) -> Num[np.ndarray, "*shape"]:
    """The values as a non-empty array of finite real numbers with 1, 2 or (None) any dimensions.

    Raises CodeclensError with `name`, the shape and the first bad row otherwise.

    >>> numeric([[1, 2]], "X", dimensions=2).shape
    (1, 2)
    """
    array = np.asarray(values)
    if array.ndim == 0 or array.size == 0 or (dimensions is not None and array.ndim != dimensions):
        wanted = {None: "(…, units)", 1: "(samples,)", 2: "(samples, units)"}[dimensions]
        raise wrong_shape(name, array.shape, f"{wanted} and not empty")
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise CodeclensError(f"{name} has type {array.dtype}; it must hold real numbers.")
    flat = array.reshape(len(array), -1)
    for block in blocks(*flat.shape):
        bad = ~np.isfinite(flat[block])
        if bad.any():
            row = block.start + int(np.flatnonzero(bad.any(axis=1))[0])
            raise CodeclensError(
                f"{name} of shape {array.shape} is not finite in row {row}; remove such samples."
            )
    return array


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices over the rows that hold a few million values each, so that float64 copies stay small.

    >>> list(blocks(3, 2))
    [slice(0, 3, None)]
    """
    step = max(1, _BLOCK // max(1, columns))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def standardized(rows: Num[np.ndarray, "row item"]) -> Float[np.ndarray, "row item"]:
    """Centre every row and give it length 1; NaN where it is constant up to rounding.

    The dot product of two such rows is their Pearson correlation.

    >>> standardized(np.array([[1.0, 1.0, 4.0], [2.0, 2.0, 2.0]])) ** 2 * 6
    array([[ 1.,  1.,  4.],
           [nan, nan, nan]])
    """
    chunk = np.asarray(rows, np.float64)
    peak = np.abs(chunk).max(axis=1, keepdims=True, initial=0.0)
    chunk = chunk / np.where(peak > 0, peak, 1.0)
    chunk -= chunk.mean(axis=1, keepdims=True)
    length = np.sqrt(np.square(chunk).sum(axis=1, keepdims=True))
    flat = length <= _ROUNDING * np.sqrt(chunk.shape[1])
    return chunk / np.where(flat, np.nan, length)
