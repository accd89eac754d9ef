"""Correlations of modes and units with classes, and how specific they are: arrays in, arrays out.

Samples are rows and modes or units are columns of `Z`; classes are columns of results.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from codeclens.analysis.statistics import blocks
from codeclens.decomposition.quality import ClassSums, Codes, class_sums, indicator_correlation
from codeclens.errors import CodeclensError


class Specificity(NamedTuple):
    """How concentrated each profile is on few classes, `(K,)` each, NaN for a profile of zeros.

    `entropy` is 1 for equal classes and 0 for a single one; `gini` is 0 for equal classes and
    `1 − 1/C` for a single one; `top` is the share of the k largest classes.

    >>> Specificity(np.array([0.0]), np.array([0.5]), np.array([1.0])).gini
    array([0.5])
    """

    entropy: Float[np.ndarray, " mode"]
    gini: Float[np.ndarray, " mode"]
    top: Float[np.ndarray, " mode"]


def class_profile(
    Z: Num[np.ndarray, "sample mode"], labels: Int[np.ndarray, " sample"], classes: int
) -> Float[np.ndarray, "mode class"]:
    """The mean loading of every mode, or value of every unit, in every class, `(K, C)`.

    `Z` is `(N, K)`, `labels` `(N,)` in `0 … classes − 1`, −1 (unknown) is excluded. The result is
    in the units of `Z`, NaN for classes without a sample. Raises CodeclensError if lengths differ
    or a label is too large.

    >>> class_profile(np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 5.0]]), np.array([0, 0, 1]), 2)
    array([[2., 0.],
           [0., 5.]])
    """
    return profile_of_sums(class_sums(Z, labels, classes))


def profile_of_sums(sums: ClassSums) -> Float[np.ndarray, "mode class"]:
    """The profile `(K, C)` from given sums over classes.

    >>> profile_of_sums(class_sums(np.array([[1.0], [3.0], [8.0]]), np.array([0, 0, 1]), 2))
    array([[2., 8.]])
    """
    size = np.where(sums.size > 0, sums.size, np.nan)
    return np.asarray(sums.mean[:, None] + sums.sums.T / size)


def specificity(profile: Num[np.ndarray, "mode class"], k: int = 5) -> Specificity:
    """How concentrated each row of a profile `(K, C)` is on few classes, by three measures.

    They are normalised entropy, Gini coefficient and the share of the `k` largest, `(K,)` each, of
    the classes' shares of the row's magnitudes, `|m_c| / Σ|m_c|`, without NaN (method.md §4,
    Semantics). Raises CodeclensError if `k` is below 1 or the profile is not a matrix.

    >>> found = specificity(np.array([[1.0, 1, 1, 1], [0, 2, 0, 0], [0, 0, 0, 0]]), k=2)
    >>> found.entropy, found.gini, found.top
    (array([ 1.,  0., nan]), array([0.  , 0.75,  nan]), array([0.5, 1. , nan]))
    """
    table = np.asarray(profile)
    if table.ndim != 2 or k < 1:
        raise CodeclensError(
            f"profile has shape {table.shape} and k={k}; pass (modes, classes) and at least 1."
        )
    table = np.abs(table[:, ~np.isnan(table).all(axis=0)].astype(np.float64))
    count = table.shape[1]
    found = np.full((3, len(table)), np.nan)
    for rows in blocks(*table.shape):
        total = table[rows].sum(axis=1, keepdims=True)
        share = np.sort(table[rows] / np.where(total > 0, total, np.nan), axis=1)
        logarithm = np.log(np.where(share > 0, share, 1.0))
        # Turns −0 into 0.
        found[0, rows] = 0.0 - (share * logarithm).sum(axis=1) / np.log(max(count, 2))
        found[1, rows] = share @ (2.0 * np.arange(1, count + 1) - count - 1) / max(count, 1)
        found[2, rows] = share[:, ::-1][:, :k].sum(axis=1)
    return Specificity(*np.clip(found, 0.0, 1.0))


def top_correlation(
    correlation: Float[np.ndarray, "mode class"],
) -> tuple[Float[np.ndarray, " mode"], Int[np.ndarray, " mode"]]:
    """The largest correlation of every mode and with which class, `(K,)` each; NaN and −1 for none.

    >>> top_correlation(np.array([[0.1, 0.4], [np.nan, np.nan]]))
    (array([0.4, nan]), array([ 1, -1]))
    """
    table = np.asarray(correlation, np.float64)
    if not table.shape[1]:
        return np.full(len(table), np.nan), np.full(len(table), -1)
    filled = np.where(np.isnan(table), -np.inf, table)
    best = filled.argmax(axis=1)
    value = filled[np.arange(len(table)), best]
    known = np.isfinite(value)
    return np.where(known, value, np.nan), np.where(known, best, -1)


def coverage(
    correlation: Float[np.ndarray, "mode class"], threshold: float = 0.2
) -> Bool[np.ndarray, " class"]:
    """Which classes at least one mode correlates with above the threshold, `(C,)`.

    >>> coverage(np.array([[0.1, 0.4, np.nan], [0.3, 0.5, np.nan]]))
    array([ True,  True, False])
    """
    return np.asarray((np.asarray(correlation) > threshold).any(axis=0))


def counts_above(
    correlation: Float[np.ndarray, "mode class"], threshold: float = 0.2
) -> Int[np.ndarray, " mode"]:
    """With how many classes every mode correlates above the threshold, `(K,)`.

    >>> counts_above(np.array([[0.1, 0.4, np.nan], [0.3, 0.5, np.nan]]))
    array([1, 2])
    """
    return np.asarray((np.asarray(correlation) > threshold).sum(axis=1))


def membership_correlation(
    Z: Num[np.ndarray, "sample mode"],
    members: Bool[np.ndarray, "row superclass"],
    labels: Int[np.ndarray, " sample"] | None = None,
) -> Float[np.ndarray, "mode superclass"]:
    """Pearson correlation of each mode with each of several overlapping groups, `(K, S)`.

    A sample may belong to several groups (a dog is also an animal). `members` says which samples
    `(N, S)` belong to which group, or with `labels` `(N,)` (−1, unknown, is excluded) which classes
    `(C, S)` do. NaN for groups that are empty or hold every sample, and for constant modes. Raises
    CodeclensError if lengths differ, or members are not True and False.

    >>> Z = np.array([[1.0], [1.0], [0.0]])
    >>> of_classes = np.array([[True, True], [True, True], [False, True]])
    >>> membership_correlation(Z, of_classes, np.array([0, 1, 2]))
    array([[ 1., nan]])
    """
    table = np.asarray(members)
    if table.ndim != 2 or table.dtype != bool:
        raise CodeclensError(
            f"members has shape {table.shape} and type {table.dtype}; it must be a matrix of True "
            "and False with one group a column."
        )
    if labels is not None:
        return membership_of_sums(class_sums(Z, labels, len(table)), table)
    if len(table) != len(Z):
        raise CodeclensError(f"members has {len(table)} rows for {len(Z)} samples.")
    # Samples with the same groups form one class.
    kinds, kind = np.unique(table, axis=0, return_inverse=True)
    return membership_of_sums(class_sums(Z, kind.reshape(-1), len(kinds)), kinds)


def membership_of_sums(
    sums: ClassSums, members: Bool[np.ndarray, "class superclass"]
) -> Float[np.ndarray, "mode superclass"]:
    """`membership_correlation` from given sums over classes.

    >>> sums = class_sums(np.array([[1.0], [3.0], [8.0]]), np.array([0, 1, 2]), 3)
    >>> membership_of_sums(sums, np.array([[True], [True], [False]])).round(2)
    array([[-0.96]])
    """
    groups = members.astype(np.float64)
    size = sums.size @ groups
    share = np.clip(size / max(1.0, sums.size.sum()), 0.0, 1.0)
    spread = np.sqrt(np.outer(sums.square, size * (1 - share)))
    spread[spread == 0] = np.nan
    return np.asarray(np.clip((sums.sums.T @ groups) / spread, -1.0, 1.0))


def best_follower(
    values: Codes,
    labels: Int[np.ndarray, " sample"],
    classes: int,
    half: Bool[np.ndarray, " sample"],
) -> Float[np.ndarray, " class"]:
    """Correlation of the best item with every class, selected on one half, evaluated on the other.

    `values` is `(N, K)`, `labels` `(N,)` (−1 unknown); `half` `(N,)` marks the samples on which the
    best item of each class is selected. The result is `(C,)`, NaN for classes missing in either
    half. Without the split, the best of many items would correlate by chance.

    >>> values = np.array([[1.0, 0.0], [0.0, 1.0], [0.9, 0.0], [0.0, 0.8]])
    >>> half = np.array([True, True, False, False])
    >>> best_follower(values, np.array([0, 1, 0, 1]), 3, half)
    array([ 1.,  1., nan])
    """
    choosing, judging = (
        indicator_correlation(values, np.where(rows, labels, -1), classes) for rows in (half, ~half)
    )
    value, best = top_correlation(choosing.T)
    judged = judging[best, np.arange(classes)]
    return np.where(np.isnan(value), np.nan, judged)
