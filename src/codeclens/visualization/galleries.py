"""Galleries: for every mode, samples that show it and samples that do not, found in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from codeclens.decomposition import Modes
from codeclens.decomposition.loadings import Loadings
from codeclens.errors import CodeclensError, require_number
from codeclens.extraction import ContributionStore
from codeclens.labelled import Labelled, labels

if TYPE_CHECKING:
    import pandas
    import xarray


@dataclass(frozen=True)
class Exemplar:
    """One sample of a mode: its row, its loading and, where known, its key."""

    sample: int
    loading: float
    key: str | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Exemplars(Labelled):
    """The samples in which each mode of a site is most active, the strongest first.

    `sample` `(K, n)` are row indices and `loading` `(K, n)` the loadings there; a mode that is
    active in fewer than n samples has −1 and 0 in the rest. `exemplars[k]` is the list of mode k.
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
        """The rows that are exemplars of some mode, ascending: the samples to load."""
        return np.unique(self.sample[self.sample >= 0])

    def to_xarray(self) -> xarray.Dataset:
        """Rows and loadings by mode and rank."""
        import xarray

        both = {name: (("mode", "rank"), getattr(self, name)) for name in ("sample", "loading")}
        return xarray.Dataset(both, attrs={"site": self.site})

    def to_dataframe(self) -> pandas.DataFrame:
        """One row for each mode and rank."""
        import pandas

        rows = [
            {"mode": mode, "rank": rank, "sample": one.sample, "loading": one.loading,
             "key": one.key}
            for mode, found in enumerate(self)
            for rank, one in enumerate(found)
        ]  # fmt: skip
        return pandas.DataFrame(rows, columns=["mode", "rank", "sample", "loading", "key"])

    def title(self) -> str:
        """The site."""
        return f'Exemplars of {len(self)} modes of "{self.site}"'


def exemplars(modes: Modes, count: int = 8) -> Exemplars:
    """Find the `count` samples in which each mode of a site is most active.

    Samples with a loading of 0 are not exemplars; of equal loadings the earlier sample comes first.
    Keys are those of the modes, from the store.

    Raises CodeclensError for a count below 1, for modes without samples, for loadings that are not
    finite.

    >>> from codeclens.decomposition import TopK
    >>> X = np.random.default_rng(0).gamma(0.3, size=(200, 6)).astype(np.float32)
    >>> method = TopK(n_modes=8, k=3, epochs=2).fit(X)
    >>> found = exemplars(Modes("conv1", "activation", method, method.encode(X)), count=3)
    >>> found.sample.shape, found[0][0].loading >= found[0][1].loading
    ((8, 3), True)
    """
    loadings = Loadings.of(modes.loadings)
    samples, size = loadings.shape
    if not samples:
        raise CodeclensError(f'The modes of "{modes.site}" have no samples, so no exemplars.')
    require_number("count", count, least=1, whole=True)
    ranks = min(count, samples)
    sample = np.full((size, ranks), -1, np.int64)
    loading = np.zeros((size, ranks), np.float32)
    if not loadings.is_finite():
        raise CodeclensError(f'The loadings of "{modes.site}" hold NaN or infinite values.')
    for mode in range(size):
        rows, values = loadings.active(mode)
        best = _strongest(values, ranks)
        sample[mode, : len(best)] = rows[best]
        loading[mode, : len(best)] = values[best]
    keys = None if modes.keys is None else tuple(str(key) for key in modes.keys)
    return Exemplars(modes.site, sample, loading, keys)


def _strongest(column: Float[np.ndarray, " active"], ranks: int) -> Int[np.ndarray, " rank"]:
    """Places of the largest entries above zero, of equal ones the earlier."""
    # Sorting all samples for each mode would take minutes on a large store.
    left = max(0, len(column) - ranks)
    least = np.partition(column, left)[left] if len(column) else 0.0
    rows = np.flatnonzero((column >= least) & (column > 0))
    found: Int[np.ndarray, " rank"] = rows[np.argsort(-column[rows], kind="stable")][:ranks]
    return found


# The diverse samples are chosen among so many times as many strong ones, the typical ones among so
# many active ones drawn at random.
_POOL, _DRAWN = 4, 64


@dataclass(frozen=True, eq=False, repr=False)
class Gallery(Labelled):
    """Samples of every mode of a site, of several kinds.

    `strongest`: the largest loadings. `diverse`: strong ones that differ most in the other modes.
    `typical`: loadings near the median of the samples in which the mode is active. `negatives`:
    drawn from the samples in which it is inactive. `near_misses`: inactive, with the contributions
    most similar to the mode; their number is that cosine, not a loading (None without the store).
    `histogram` `(K, C)` counts by class the samples in which each mode is active (None without
    labels).
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
        """The rows that some mode shows, ascending: the samples to load."""
        return np.unique(np.concatenate([found.samples() for _, found in self._kinds()]))

    def top_classes(self, mode: int, count: int = 5) -> list[tuple[str, int, float]]:
        """The classes in which a mode is active most: name, samples, share of the class.

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

    def to_xarray(self) -> xarray.Dataset:
        """Rows and numbers of all kinds by mode and rank, and the histogram by mode and class."""
        import xarray

        found: dict[str, Any] = {}
        for kind, one in self._kinds():
            axes = ("mode", f"rank of {kind}")
            found[f"{kind}: sample"] = (axes, one.sample)
            found[f"{kind}: loading"] = (axes, one.loading)
        if self.histogram is not None:
            found["histogram"] = (("mode", "class"), self.histogram)
        coords = {} if self.classes is None else {"class": labels(self.classes)}
        return xarray.Dataset(found, coords=coords, attrs={"site": self.site})

    def to_dataframe(self) -> pandas.DataFrame:
        """One row for each mode, kind and rank."""
        import pandas

        tables = [one.to_dataframe().assign(kind=kind) for kind, one in self._kinds()]
        table = pandas.concat(tables, ignore_index=True)
        return table.sort_values("mode", kind="stable", ignore_index=True)

    def title(self) -> str:
        """The site."""
        return f'Gallery of {len(self)} modes of "{self.site}"'

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
    """Find `count` samples of each kind for every mode, in one pass over the samples.

    Blocks of `block` samples are read in turn, and only the best samples so far are kept, so memory
    does not grow with the samples. The `store` in which the modes were found adds near-misses.
    `seed` decides random draws; the size of a block does not change the result.

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
    """For every mode the rows with the largest scores and their loadings, merged block by block."""

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
        """Merge the scores of rows from `start` on; −∞ is none; of equal ones the earlier stay."""
        count = self.score.shape[1]
        # Only modes with a score above their lowest so far need sorting.
        better = np.flatnonzero(scores.max(axis=0) > self.score[:, -1])
        if not len(better):
            return
        # No more rows of a block can be among the best than there are places.
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
    """Counts by class the samples in which each mode is active."""

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
    """The cosine of contributions and each mode, `(N, K)`."""
    dictionary = modes.dictionary
    lengths = np.linalg.norm(X, axis=1)[:, None] * np.linalg.norm(dictionary, axis=1)
    return np.asarray((X @ dictionary.T) / np.where(lengths > 0, lengths, 1))


def _middle(drawn: _Best, count: int) -> tuple[np.ndarray, np.ndarray]:
    """For each mode the drawn samples whose loadings are nearest to their median."""
    there = drawn.row >= 0
    loading = np.where(there, drawn.loading, np.nan)
    median = np.zeros(len(loading))
    some = there.any(axis=1)
    median[some] = np.nanmedian(loading[some], axis=1)
    distance = np.where(there, np.abs(loading - median[:, None]), np.inf)
    order = np.argsort(distance, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(drawn.row, order, 1), np.take_along_axis(drawn.loading, order, 1)


def _diverse(modes: Modes, pool: _Best, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the strong samples, one after another the farthest from those already chosen."""
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
    require_number("count", count, least=1, whole=True)
    require_number("block", block, least=1, whole=True)
    if store is None:
        return
    same = modes.keys is None or np.array_equal(np.asarray(modes.keys), np.asarray(store.key))
    if len(store) != len(modes.loadings) or not same:
        raise CodeclensError(
            f'The store holds {len(store)} samples, the modes of "{modes.site}" were found in '
            f"{len(modes.loadings)} others; pass the store in which they were found."
        )
