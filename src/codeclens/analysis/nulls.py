"""Null distributions: the largest correlation with any class that occurs by chance.

The top class of a mode is the best of many, so the largest correlation over all classes is compared
with the largest under permuted labels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from codeclens.analysis.statistics import sum_by_group
from codeclens.decomposition.loadings import Loadings
from codeclens.decomposition.quality import ClassSums, Codes, class_sums
from codeclens.draws import Draws
from codeclens.errors import CodeclensError, require_number

# Values of samples × modes in float64 that fit into the cache while labels are permuted.
_CACHED = 1 << 20
# Sums over classes, and indices of permuted samples, in memory at once.
_SUMS = 1 << 20
_INDICES = 1 << 25
# Below this share of nonzero entries, only these are summed.
_SPARSE = 0.05


class Nulls(NamedTuple):
    """The best correlations under permuted labels: of classes, and of superclasses `(n, K)` each.

    In float32, at least 0; `superclasses` has no rows if none were given.

    >>> Nulls(np.zeros((9, 2), np.float32), np.zeros((0, 2), np.float32)).classes.shape
    (9, 2)
    """

    classes: Float[np.ndarray, "permutation mode"]
    superclasses: Float[np.ndarray, "permutation mode"]


def permutation_nulls(
    Z: Codes,
    labels: Int[np.ndarray, " sample"],
    classes: int,
    *,
    members: Bool[np.ndarray, "class superclass"] | None = None,
    n: int = 1000,
    seed: int = 0,
) -> Nulls:
    """The largest correlation over all classes of every mode, with labels permuted `n` times.

    `Z` is `(N, K)`, `labels` `(N,)` in `0 … classes − 1`; −1 (unknown) is excluded. With `members`
    `(C, S)` the largest over overlapping groups of classes uses the same permutations. All modes
    have the same permutations, which depend on `seed` only. Correlations below 0 count as 0,
    constant modes get NaN. One permutation costs a sum over the entries of `Z`, or over the nonzero
    ones if they are few and positive.

    Raises CodeclensError if lengths differ, a label is too large or `n` is below 1.

    >>> Z = np.repeat([[0.0], [1.0]], 20, axis=0)
    >>> labels = np.repeat([0, 1], 20)
    >>> nulls = permutation_nulls(Z, labels, 2, n=99)
    >>> nulls.classes.shape, bool(nulls.classes.max() < 1)
    ((99, 1), True)
    """
    require_number("n", n, least=1, whole=True, hint="1000 permutations are usual, 99 are few")
    sums = class_sums(Z, labels, classes)
    groups = np.zeros((classes, 0), bool) if members is None else members
    if len(groups) != classes:
        raise CodeclensError(f"members has {len(groups)} rows for {classes} classes.")
    found = Nulls(
        np.zeros((n, Z.shape[1]), np.float32),
        np.zeros((n if groups.shape[1] else 0, Z.shape[1]), np.float32),
    )
    known = np.flatnonzero(labels >= 0)
    random = np.random.default_rng(seed)
    sparse = _sparse(Z, known)
    step = max(1, _INDICES // max(1, len(known)))
    for start in range(0, n, step):
        orders = np.stack(
            [random.permutation(len(known)) for _ in range(start, min(start + step, n))]
        ).astype(np.int32)
        part = Nulls(*(rows[start : start + step] for rows in found))
        if sparse is None:
            _dense(Z, known, sums, groups, orders, part)
        else:
            _by_entries(sparse, sums, groups, orders, part)
    for rows in found:
        rows[:, sums.square == 0] = np.nan
    return found


class ShuffledLabels:
    """Labels `(N,)` shuffled `draws.n` times, for class means without class information.

    Samples with label −1 (unknown) are excluded in every shuffle.

    >>> shuffled = ShuffledLabels(np.array([0, 5, 5, -1]), Draws(2))
    >>> sums = shuffled.sums(np.ones((4, 3)), slice(0, 4))
    >>> shuffled.means(sums).tolist() == [[[1.0] * 3] * 2] * 2
    True
    """

    def __init__(self, labels: Int[np.ndarray, " sample"], draws: Draws) -> None:
        known = np.flatnonzero(labels >= 0)
        _, index = np.unique(labels[known], return_inverse=True)
        random = np.random.default_rng(draws.seed)
        self._labels = np.full((draws.n, len(labels)), -1)
        for shuffled in self._labels:
            shuffled[known] = random.permutation(index)
        self._sizes = np.bincount(index)

    def sums(
        self, X: Num[np.ndarray, "part unit"], rows: slice
    ) -> Float[np.ndarray, "shuffle class unit"]:
        """The sums of some `rows` of the samples over each shuffled class."""
        found = np.zeros((len(self._labels), len(self._sizes), X.shape[1]))
        for sums, labels in zip(found, self._labels[:, rows], strict=True):
            sum_by_group(X, labels, sums)
        return found

    def means(
        self, sums: Float[np.ndarray, "shuffle class unit"]
    ) -> Float[np.ndarray, "shuffle class unit"]:
        """The means of the shuffled classes, from the sums of all samples."""
        return np.asarray(sums / self._sizes[:, None])


def p_values(
    observed: Float[np.ndarray, " mode"], null: Float[np.ndarray, "permutation mode"]
) -> Float[np.ndarray, " mode"]:
    """P-values of a permutation test, `(1 + #{null ≥ observed}) / (1 + n)`, `(K,)`.

    `observed` is `(K,)`, `null` `(n, K)`. At least 1 / (1 + n), since the observed labels are one
    of the permutations (Phipson and Smyth 2010); NaN for constant modes.

    >>> p_values(np.array([0.5, 0.1]), np.array([[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]]))
    array([0.25, 1.  ])
    """
    # The null is in float32, so ties must be ties in float32.
    reach = np.asarray(observed, np.float64) - 1e-6
    p = (1.0 + (null >= reach).sum(axis=0)) / (1.0 + len(null))
    return np.asarray(np.where(np.isnan(observed), np.nan, p))


def critical_correlation(
    null: Float[np.ndarray, "permutation mode"], alpha: float = 0.05
) -> Float[np.ndarray, " mode"]:
    """The correlation with any class that a mode must exceed to be significant, `(K,)`.

    In at most a share `alpha` of the permutations, the observed labels counted as one, a class
    correlates better. It is 1, which nothing exceeds, if there are too few permutations.

    >>> null = np.arange(1, 100)[:, None] / 100
    >>> critical_correlation(null, 0.05), critical_correlation(null[:9], 0.05)
    (array([0.95]), array([1.]))
    """
    allowed = int(np.floor(alpha * (1 + len(null)) + 1e-9)) - 1
    if allowed < 0:
        return np.ones(null.shape[1])
    kept = len(null) - 1 - allowed
    if kept < 0:
        return np.zeros(null.shape[1])
    return np.asarray(np.partition(null, kept, axis=0)[kept].astype(np.float64))


def false_discovery(p: Float[np.ndarray, " mode"]) -> Float[np.ndarray, " mode"]:
    """The smallest false discovery rate at which each mode is significant, `(K,)` (q-values).

    Benjamini and Hochberg 1995: `p · K / rank`, made monotone. NaN stays NaN and is not counted.

    >>> false_discovery(np.array([0.01, 0.04, np.nan, 0.02]))
    array([0.03, 0.04,  nan, 0.03])
    """
    from scipy.stats import false_discovery_control

    q = np.asarray(p, np.float64).copy()
    known = ~np.isnan(q)
    if known.any():
        q[known] = false_discovery_control(q[known])
    return q


def _scales(
    sums: ClassSums, groups: Bool[np.ndarray, "class superclass"]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Divisors of sums of standardised loadings, for classes and for groups of them."""
    count = max(1.0, sums.size.sum())
    scales = []
    for size in (sums.size, sums.size @ groups):
        variance = size * np.clip(1 - size / count, 0.0, 1.0)
        scales.append(np.sqrt(np.where(variance > 0, variance, np.inf)))
    return scales[0], scales[1]


def _dense(
    Z: Codes,
    known: np.ndarray[Any, Any],
    sums: ClassSums,
    groups: np.ndarray[Any, Any],
    orders: np.ndarray[Any, Any],
    found: Nulls,
) -> None:
    """Class c takes the next `size[c]` samples of a permutation: a row of a sparse matrix."""
    from scipy.sparse import csr_array

    size, scale = sums.size.astype(np.int32), _scales(sums, groups)
    count, classes = len(known), len(size)
    above = csr_array(groups.T.astype(np.float64))
    width = max(1, _CACHED // max(1, count))
    for left in range(0, Z.shape[1], width):
        part = slice(left, left + width)
        spread = np.sqrt(sums.square[part])
        values = (Z[known, part] - sums.mean[part]) / np.where(spread > 0, spread, np.inf)
        step = max(1, _SUMS // max(1, classes * values.shape[1]))
        for start in range(0, len(orders), step):
            rows = orders[start : start + step]
            ends = np.append(0, np.cumsum(np.tile(size, len(rows))))
            drawn = csr_array((np.ones(rows.size), rows.reshape(-1), ends), (len(ends) - 1, count))
            deviations = (drawn @ values).reshape(len(rows), classes, -1)
            for place, one in enumerate(deviations, start):
                if groups.shape[1]:
                    of_groups = above @ one / scale[1][:, None]
                    found.superclasses[place, part] = of_groups.max(axis=0).clip(min=0)
                one /= scale[0][:, None]
                found.classes[place, part] = one.max(axis=0).clip(min=0)


def _sparse(Z: Codes, known: np.ndarray[Any, Any]) -> Any | None:
    """The loadings `(K, N)` as a sparse matrix, if few entries are nonzero and none is negative."""
    from scipy.sparse import csr_array

    if isinstance(Z, Loadings):
        rows = Z.sparse
        if rows.nnz > _SPARSE * Z.size or Z.size == 0 or rows.min() < 0:
            return None
        return rows[known].astype(np.float64).T.tocsr()
    Z = np.asarray(Z)
    if np.count_nonzero(Z) > _SPARSE * Z.size or Z.size == 0 or Z.min() < 0:
        return None
    return csr_array(Z)[known].astype(np.float64).T.tocsr()


def _by_entries(
    loadings: Any,
    sums: ClassSums,
    groups: np.ndarray[Any, Any],
    orders: np.ndarray[Any, Any],
    found: Nulls,
) -> None:
    """The nulls from nonzero entries only.

    Without negative loadings, a class without an entry has no positive correlation, so the largest
    is among the classes with entries, or counts as 0.
    """
    from scipy.sparse import csr_array

    scale = _scales(sums, groups)
    sizes = sums.size, sums.size @ groups
    ordered = np.repeat(np.arange(len(sums.size), dtype=np.int32), sums.size.astype(int))
    count, classes = len(ordered), len(sums.size)
    above = csr_array(groups.astype(np.float64))
    ends = np.arange(count + 1)
    for place, order in enumerate(orders):
        label = np.empty(count, np.int32)
        label[order] = ordered
        drawn = loadings @ csr_array((np.ones(count), label, ends), (count, classes))
        targets = [(drawn, found.classes, 0)]
        if groups.shape[1]:
            targets.append((drawn @ above, found.superclasses, 1))
        for totals, into, kind in targets:
            length = np.diff(totals.indptr)
            mode = np.repeat(np.arange(len(length)), length)
            deviation = totals.data - sums.mean[mode] * sizes[kind][totals.indices]
            value = deviation / scale[kind][totals.indices]
            rows = np.flatnonzero(length)
            best = np.zeros(len(length))
            if len(rows):
                best[rows] = np.maximum.reduceat(value, totals.indptr[rows])
            spread = np.sqrt(np.where(sums.square > 0, sums.square, np.inf))
            into[place] = (best / spread).clip(min=0)
