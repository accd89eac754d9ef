"""Exemplars: the samples in which each mode is strongest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError

# Columns turned at once, so that each is read in one go.
_BLOCK = 64


@dataclass(frozen=True)
class Exemplar:
    """One sample in which a mode is strong: its row, its loading and, where known, its key."""

    sample: int
    loading: float
    key: str | None = None


@dataclass(frozen=True)
class Exemplars:
    """The strongest samples of every mode of a site, the strongest first.

    `sample` `(K, n)` are row indices and `loading` `(K, n)` the loadings there; a mode that is
    present in fewer than n samples has −1 and 0 in the rest. `exemplars[k]` is the list of mode k.
    """

    site: str
    sample: Int[np.ndarray, "mode rank"]
    loading: Float[np.ndarray, "mode rank"]
    keys: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.sample)

    def __getitem__(self, mode: int) -> list[Exemplar]:
        if not -len(self) <= mode < len(self):
            raise IndexError(f"There is no mode {mode}; {self.site} has {len(self)}.")
        return [
            Exemplar(int(row), float(loading), None if self.keys is None else self.keys[row])
            for row, loading in zip(self.sample[mode], self.loading[mode], strict=True)
            if row >= 0
        ]

    def __iter__(self) -> Iterator[list[Exemplar]]:
        return (self[mode] for mode in range(len(self)))

    def samples(self) -> Int[np.ndarray, " sample"]:
        """Every row that is an exemplar of some mode, once, ascending: what has to be loaded."""
        return np.unique(self.sample[self.sample >= 0])


def exemplars(modes: Modes, count: int = 8) -> Exemplars:
    """Find the `count` samples in which each mode of a site is strongest.

    Samples in which a mode is absent (loading 0) are none of its exemplars; of equal loadings the
    earlier sample comes first. Keys are those that the modes carry, from the store.

    Raises CodeclensError for a count below 1, for modes without samples, for loadings that are not
    finite.

    >>> from codeclens.decomposition import TopK
    >>> X = np.random.default_rng(0).gamma(0.3, size=(200, 6)).astype(np.float32)
    >>> method = TopK(n_modes=8, k=3, epochs=2).fit(X)
    >>> found = exemplars(Modes("conv1", "activation", method, method.encode(X)), count=3)
    >>> found.sample.shape, found[0][0].loading >= found[0][1].loading
    ((8, 3), True)
    """
    loadings = np.asarray(modes.loadings)
    samples, size = loadings.shape
    if not samples:
        raise CodeclensError(f'The modes of "{modes.site}" have no samples, so no exemplars.')
    if count < 1:
        raise CodeclensError(f"count (={count}) must be at least 1.")
    ranks = min(count, samples)
    sample = np.full((size, ranks), -1, np.int64)
    loading = np.zeros((size, ranks), np.float32)
    for start in range(0, size, _BLOCK):
        columns = np.ascontiguousarray(loadings[:, start : start + _BLOCK].T)
        if not np.isfinite(columns).all():
            raise CodeclensError(f'The loadings of "{modes.site}" hold NaN or infinite values.')
        for mode, column in enumerate(columns, start):
            rows = _strongest(column, ranks)
            sample[mode, : len(rows)] = rows
            loading[mode, : len(rows)] = column[rows]
    keys = None if modes.keys is None else tuple(str(key) for key in modes.keys)
    return Exemplars(modes.site, sample, loading, keys)


def _strongest(column: Float[np.ndarray, " sample"], ranks: int) -> Int[np.ndarray, " rank"]:
    """Rows of the largest entries above zero, ties in the order of rows."""
    # Sorting all samples for every mode would take minutes on a large store.
    least = np.partition(column, len(column) - ranks)[len(column) - ranks]
    rows = np.flatnonzero((column >= least) & (column > 0))
    found: Int[np.ndarray, " rank"] = rows[np.argsort(-column[rows], kind="stable")][:ranks]
    return found
