"""Galleries: of every mode, samples that show it and samples that do not, found in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore

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


# So many times as many strong samples are kept as are shown, for a diverse choice among them, and
# so many present ones are drawn to find the middle of.
_POOL, _DRAWN = 4, 64


@dataclass(frozen=True)
class Gallery:
    """Samples of every mode of a site, in kinds that answer different questions.

    `strongest`: where is its loading largest? `diverse`: strong ones that differ most in the other
    modes. `typical`: samples with a middling loading among those where it is present. `negatives`:
    drawn from those where it is absent. `near_misses`: absent, although their contributions point
    its way more than those of all other absent samples; the number beside them is that cosine, not
    a loading (None without the store). `histogram` `(K, C)` counts by class the samples in which
    each mode is present (None without labels).
    """

    site: str
    strongest: Exemplars
    diverse: Exemplars
    typical: Exemplars
    negatives: Exemplars
    near_misses: Exemplars | None = None
    histogram: Int[np.ndarray, "mode class"] | None = None
    classes: tuple[str, ...] | None = None
    totals: Int[np.ndarray, " class"] | None = None

    def __len__(self) -> int:
        return len(self.strongest)

    def __getitem__(self, mode: int) -> dict[str, list[Exemplar]]:
        return {kind: found[mode] for kind, found in self._kinds()}

    def samples(self) -> Int[np.ndarray, " sample"]:
        """Every row that some mode shows, once, ascending: what has to be loaded."""
        return np.unique(np.concatenate([found.samples() for _, found in self._kinds()]))

    def top_classes(self, mode: int, count: int = 5) -> list[tuple[str, int, float]]:
        """The classes in whose samples a mode is present most: name, samples, share of the class.

        Empty where no labels are known.
        """
        if self.histogram is None or self.totals is None:
            return []
        counts = self.histogram[mode]
        order = np.argsort(-counts, kind="stable")[:count]
        return [
            (self._class(c), int(counts[c]), float(counts[c] / self.totals[c]))
            for c in order
            if counts[c]
        ]

    def _class(self, number: int) -> str:
        return f"class {number}" if self.classes is None else self.classes[number]

    def _kinds(self) -> Iterator[tuple[str, Exemplars]]:
        yield "strongest", self.strongest
        yield "diverse", self.diverse
        yield "typical", self.typical
        if self.near_misses is not None:
            yield "near misses", self.near_misses
        yield "negatives", self.negatives


def gallery(
    modes: Modes,
    store: ContributionStore | None = None,
    *,
    count: int = 8,
    seed: int = 0,
    block: int = 1024,
) -> Gallery:
    """Gather `count` samples of each kind for every mode, in one pass over the samples.

    Blocks of `block` samples pass by; of each mode only the best so far are kept, so that memory
    does not grow with the samples. The `store` that the modes were found in adds near-misses. What
    is drawn is drawn by `seed`; the size of a block changes nothing.

    Raises CodeclensError for a count below 1, for modes without samples, for loadings that are not
    finite, and for a store of other samples.

    >>> from codeclens.decomposition import TopK
    >>> X = np.random.default_rng(0).gamma(0.3, size=(200, 6)).astype(np.float32)
    >>> method = TopK(n_modes=8, k=3, epochs=2).fit(X)
    >>> labels = np.arange(200) % 2
    >>> found = gallery(Modes("a", "activation", method, method.encode(X), labels), count=3)
    >>> found.typical.sample.shape, found.histogram.shape, list(found[0])[:2]
    ((8, 3), (8, 2), ['strongest', 'diverse'])
    """
    _require(modes, store, count, block)
    samples = len(modes.loadings)
    pool = _Best(len(modes), min(_POOL * count, samples))
    drawn = _Best(len(modes), min(max(_DRAWN, count), samples))
    absent = _Best(len(modes), min(count, samples))
    missed = None if store is None else _Best(len(modes), min(count, samples))
    priority = np.random.default_rng(seed).random(samples)
    counter = _Counter(modes)
    for start in range(0, samples, block):
        rows = slice(start, min(start + block, samples))
        loadings = np.asarray(modes.loadings[rows], np.float32)
        if not np.isfinite(loadings).all():
            raise CodeclensError(f'The loadings of "{modes.site}" hold NaN or infinite values.')
        present = loadings > 0
        chance = np.broadcast_to(priority[rows, None], loadings.shape)
        pool.add(np.where(present, loadings, -np.inf), start)
        drawn.add(np.where(present, chance, -np.inf), start, loadings)
        absent.add(np.where(present, -np.inf, chance), start)
        counter.add(present, rows)
        if store is not None and missed is not None:
            cosine = _cosines(store.view(modes.site, modes.view, rows), modes)
            missed.add(np.where(present | (cosine <= 0), -np.inf, cosine), start)
    keys = None if modes.keys is None else tuple(str(key) for key in modes.keys)

    def found(sample: np.ndarray, number: np.ndarray) -> Exemplars:
        return Exemplars(modes.site, sample, np.where(sample < 0, 0, number), keys)

    typical = _middle(drawn, count)
    return Gallery(
        modes.site,
        found(pool.row[:, :count], pool.score[:, :count].astype(np.float32)),
        found(*_diverse(modes, pool, count)),
        found(*typical),
        found(absent.row, np.zeros(absent.row.shape, np.float32)),
        None if missed is None else found(missed.row, missed.score.astype(np.float32)),
        counter.counts,
        modes.classes,
        counter.totals,
    )


class _Best:
    """The rows with the largest scores of every mode, merged block by block, and their loadings."""

    def __init__(self, modes: int, count: int) -> None:
        self.score = np.full((modes, count), -np.inf)
        self.row = np.full((modes, count), -1, np.int64)
        self.loading = np.zeros((modes, count), np.float32)

    def add(
        self,
        scores: Float[np.ndarray, "sample mode"],
        start: int,
        loadings: Float[np.ndarray, "sample mode"] | None = None,
    ) -> None:
        """Take in scores of rows from `start` on; −∞ is none. Of equal ones the earlier stay."""
        count = self.score.shape[1]
        # Only modes with something better than their worst so far need to be sorted again.
        better = np.flatnonzero(scores.max(axis=0) > self.score[:, -1])
        if not len(better):
            return
        # Few of a block's rows can be among the best: no more than there are places.
        new = np.ascontiguousarray(scores[:, better].T)
        kept = np.argsort(-new, axis=1, kind="stable")[:, :count]
        score = np.concatenate([self.score[better], np.take_along_axis(new, kept, 1)], axis=1)
        row = np.concatenate([self.row[better], kept + start], axis=1)
        order = np.argsort(-score, axis=1, kind="stable")[:, :count]
        self.score[better] = np.take_along_axis(score, order, 1)
        rows = np.take_along_axis(row, order, 1)
        self.row[better] = np.where(np.isinf(self.score[better]), -1, rows)
        if loadings is not None:
            there = np.take_along_axis(loadings[:, better].T, kept, 1)
            both = np.concatenate([self.loading[better], there], axis=1)
            self.loading[better] = np.take_along_axis(both, order, 1)


class _Counter:
    """Counts by class the samples in which each mode is present."""

    def __init__(self, modes: Modes) -> None:
        self._labels = modes.labels
        self.counts: Int[np.ndarray, "mode class"] | None = None
        self.totals: Int[np.ndarray, " class"] | None = None
        if modes.labels is not None and (modes.labels >= 0).any():
            classes = int(modes.labels.max()) + 1
            classes = classes if modes.classes is None else len(modes.classes)
            self.counts = np.zeros((len(modes), classes), np.int64)
            self.totals = np.bincount(modes.labels[modes.labels >= 0], minlength=classes)

    def add(self, present: np.ndarray, rows: slice) -> None:
        if self.counts is None or self._labels is None:
            return
        labels = np.asarray(self._labels[rows])
        sample, mode = np.nonzero(present & (labels >= 0)[:, None])
        np.add.at(self.counts, (mode, labels[sample]), 1)


def _cosines(X: Float[np.ndarray, "sample column"], modes: Modes) -> np.ndarray:
    """How far contributions point the way of each mode, `(N, K)`."""
    dictionary = modes.dictionary
    lengths = np.linalg.norm(X, axis=1)[:, None] * np.linalg.norm(dictionary, axis=1)
    return np.asarray((X @ dictionary.T) / np.where(lengths > 0, lengths, 1))


def _middle(drawn: _Best, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the samples drawn for each mode those whose loadings lie nearest to their median."""
    there = drawn.row >= 0
    loading = np.where(there, drawn.loading, np.nan)
    median = np.zeros(len(loading))
    some = there.any(axis=1)
    median[some] = np.nanmedian(loading[some], axis=1)
    distance = np.where(there, np.abs(loading - median[:, None]), np.inf)
    order = np.argsort(distance, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(drawn.row, order, 1), np.take_along_axis(drawn.loading, order, 1)


def _diverse(modes: Modes, pool: _Best, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the strong samples, one after another the one that is farthest from those chosen."""
    places = min(count, pool.row.shape[1])
    sample = np.full((len(modes), places), -1, np.int64)
    loading = np.zeros((len(modes), places), np.float32)
    for mode, (rows, scores) in enumerate(zip(pool.row, pool.score, strict=True)):
        rows = rows[rows >= 0]
        if not len(rows):
            continue
        codes = np.array(modes.loadings[rows], np.float64)
        codes[:, mode] = 0
        lengths = np.linalg.norm(codes, axis=1, keepdims=True)
        codes /= np.where(lengths > 0, lengths, 1)
        chosen = [0]
        nearest = codes @ codes[0]
        while len(chosen) < min(places, len(rows)):
            nearest[chosen] = np.inf
            chosen.append(int(nearest.argmin()))
            nearest = np.maximum(nearest, codes @ codes[chosen[-1]])
        sample[mode, : len(chosen)] = rows[chosen]
        loading[mode, : len(chosen)] = scores[chosen]
    return sample, loading


def _require(modes: Modes, store: ContributionStore | None, count: int, block: int) -> None:
    if not isinstance(modes, Modes):
        raise CodeclensError(
            f"modes is a {type(modes).__name__}; pass the modes of one site, for example "
            'modes["layer3"].'
        )
    if isinstance(store, str | Path):
        raise CodeclensError(f'"{store}" is a path; open it by ContributionStore(path).')
    if not len(modes.loadings):
        raise CodeclensError(f'The modes of "{modes.site}" have no samples, so no exemplars.')
    if count < 1 or block < 1:
        raise CodeclensError(f"count (={count}) and block (={block}) must be at least 1.")
    if store is None:
        return
    same = modes.keys is None or np.array_equal(np.asarray(modes.keys), np.asarray(store.key))
    if len(store) != len(modes.loadings) or not same:
        raise CodeclensError(
            f'The store holds {len(store)} samples, the modes of "{modes.site}" were found in '
            f"{len(modes.loadings)} others; pass the store that they come from."
        )
