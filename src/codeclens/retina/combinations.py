"""Combinations: modes that are active together, how often, and whether more than by chance."""

from __future__ import annotations

from itertools import combinations as subsets
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool

from codeclens.analysis import false_discovery
from codeclens.errors import CodeclensError
from codeclens.retina.population import Loadings, loadings_of

if TYPE_CHECKING:
    import xarray

# Combinations beyond these, the most frequent of a size, are not followed.
_MOST = 2000
_Members = tuple[int, ...]


def active_modes(modes: Loadings, quantile: float = 0.8) -> Bool[np.ndarray, "time mode"]:
    """In which frames each mode is active: above zero, and above that quantile of its loadings.

    >>> active_modes(np.array([[0.0], [0.0], [1.0], [2.0], [3.0]]), 0.5).ravel()
    array([False, False, False,  True,  True])
    """
    if not 0 <= quantile < 1:
        raise CodeclensError(f"quantile (={quantile}) must lie from 0 to below 1.")
    loadings = loadings_of(modes)
    threshold = np.maximum(np.quantile(loadings, quantile, axis=0), 0)
    return np.asarray(loadings > threshold)


def combinations(
    modes: Loadings,
    *,
    quantile: float = 0.8,
    largest: int = 3,
    least: int = 10,
    draws: int = 500,
    shortest: int = 50,
    seed: int = 0,
) -> xarray.Dataset:
    """Find the modes that are active together in `least` frames or more, and hold them to chance.

    `modes` are Modes or loadings `(time, modes)`; a mode is active in the frames above a `quantile`
    of its loadings (`active_modes`). All sets of 2 to `largest` modes that occur are counted,
    other modes may be active too. Chance is each mode shifted around the film by its own number of
    frames (`shortest` or more apart from where it was), which keeps how long it stays active.

    Returns by `combination` (such as "3+7", most frequent first) the `count` of frames, the
    `expected` one, its ratio `lift`, how often chance counts as many (`p`, false discovery rate
    `q`), the counts of the two halves, `first` and `second`, and the `size`; `stability`, the rank
    correlation of both halves' counts. Raises CodeclensError where the film is too short.

    >>> random = np.random.default_rng(0)
    >>> loadings = random.random((400, 4)) * (random.random((400, 4)) < 0.2)
    >>> loadings[:, 3] = loadings[:, 1]
    >>> found = combinations(loadings, quantile=0.5)
    >>> str(found.combination[0].item()), bool(found.lift[0] > 3), bool(found.p[0] < 0.01)
    ('1+3', True, True)
    """
    import xarray

    active = active_modes(modes, quantile)
    time = len(active)
    if not 1 <= shortest <= time // 2 or largest < 2 or least < 1 or draws < 1:
        raise CodeclensError(
            f"With {time} frames, shortest={shortest}, largest={largest}, least={least} and "
            f"draws={draws} nothing can be counted; shifts go up to {time // 2} frames."
        )
    found = _frequent(active, largest, least)
    random = np.random.default_rng(seed)
    null = np.zeros((draws, len(found)), np.int64)
    for draw in range(draws):
        shifts = random.integers(shortest, time - shortest + 1, size=active.shape[1])
        rows = (np.arange(time)[:, None] - shifts) % time
        null[draw] = _counts(np.take_along_axis(active, rows, axis=0), found)
    half = time // 2
    count, first, second = (_counts(part, found) for part in (active, active[:half], active[half:]))
    expected = null.mean(axis=0)
    p = (1 + (null >= count).sum(axis=0)) / (1 + draws)
    return xarray.Dataset(
        {
            "count": ("combination", count),
            "expected": ("combination", expected),
            "lift": ("combination", count / np.maximum(expected, 1 / draws)),
            "p": ("combination", p),
            "q": ("combination", false_discovery(p) if len(p) else p),
            "first": ("combination", first),
            "second": ("combination", second),
            "size": ("combination", np.array([len(one) for one in found], np.int64)),
            "stability": ((), _rank_correlation(first, second)),
        },
        coords={"combination": np.array(["+".join(map(str, one)) for one in found], object)},
    )


def _frequent(active: Bool[np.ndarray, "time mode"], largest: int, least: int) -> list[_Members]:
    """Sets of modes that occur often enough, the most frequent first, grown mode by mode."""
    whole: list[tuple[int, _Members]] = []
    frames = active.sum(axis=0)
    sets: list[_Members] = [(int(mode),) for mode in np.flatnonzero(frames >= least)]
    for size in range(2, largest + 1):
        known = set(sets)
        # A set occurs no more often than any of its parts.
        larger = [
            (*one, mode)
            for one in sets
            for mode in range(one[-1] + 1, active.shape[1])
            if all(part in known for part in subsets((*one, mode), size - 1))
        ]
        counted = [
            (int(number), one)
            for number, one in zip(_counts(active, larger), larger, strict=True)
            if number >= least
        ]
        counted = sorted(counted, key=lambda entry: (-entry[0], entry[1]))[:_MOST]
        whole += counted
        sets = sorted(one for _, one in counted)
    return [one for _, one in sorted(whole, key=lambda entry: (-entry[0], entry[1]))]


def _counts(active: Bool[np.ndarray, "time mode"], sets: list[_Members]) -> np.ndarray[Any, Any]:
    """In how many frames all modes of each set are active."""
    counts = np.zeros(len(sets), np.int64)
    numbers = active.astype(np.float32)
    pairs = (numbers.T @ numbers).round().astype(np.int64)
    for row, one in enumerate(sets):
        counts[row] = pairs[one] if len(one) == 2 else active[:, one].all(axis=1).sum()
    return counts


def _rank_correlation(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
    from scipy.stats import spearmanr

    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(spearmanr(first, second).statistic)
