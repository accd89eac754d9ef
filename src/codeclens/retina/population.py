"""Populations: modes learned on part of a film, and their relation to cells and each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations as subsets
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import xarray
from jaxtyping import Bool, Float, Int64

from codeclens.analysis import false_discovery
from codeclens.attribution import SiteContributions
from codeclens.decomposition import Estimator, Modes, ModesBySite, View, decompose, quality
from codeclens.errors import CodeclensError, require_number, unknown, wrong_shape
from codeclens.extraction import ContributionStore
from codeclens.labelled import Labelled
from codeclens.retina.places import fit_apart, place_columns
from codeclens.retina.splits import Split

if TYPE_CHECKING:
    import pandas


Contributed = Mapping[str, SiteContributions] | ContributionStore | xarray.Dataset
Loadings = Modes | np.ndarray[Any, Any]


def population_modes(
    found: Contributed,
    method: Estimator,
    split: Split,
    *,
    sites: str | Sequence[str] | None = None,
    view: View = "concat",
    places: bool = False,
    seed: int = 0,
) -> ModesBySite:
    """Learn the modes of every layer on the training frames, and score them on the held-out ones.

    `found` are the contributions of all frames to one target (a sum of rates, the surprisal, one
    cell): the result of `contributions`, a store, or one target of the result of
    `movie_contributions`, `found.sel(cell="on")`. Signs are split before positions are summed, so
    that excitation and inhibition of a channel are separate in the view "concat". Other arguments
    are those of `decompose`.

    With `places=True` columns are the contributions of each unit at each place, and modes of
    excitation and of inhibition are learned by themselves, so many of each as `method` has modes:
    first those of excitation. `found` must have places, `contributions(…, reduce=None)` or
    `movie_contributions(…, places=True)`; `mode_maps` are the patterns as maps.

    Returns ModesBySite with the loadings of all frames, whose keys are the frames' numbers. `r2`
    is that of the held-out frames, `quality["r2_train"]` that of the training frames. Raises
    CodeclensError as `decompose` does, and for a split of another length.

    >>> import torch
    >>> from codeclens import NMF, Sum, contributions
    >>> from codeclens.retina import held_out_blocks
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> found = contributions(model, torch.randn(100, 6), sites="1", target=Sum())
    >>> modes = population_modes(found, NMF(n_modes=3), held_out_blocks(100))
    >>> modes["1"].loadings.shape, modes["1"].r2 > 0.1
    ((100, 3), True)
    """
    rows = _Frames(found)
    if len(rows.label) <= max(split.train.max(), split.held_out.max()):
        raise CodeclensError(f"The split has frames beyond the {len(rows.label)} contributions.")
    whole: dict[str, Modes] = {}
    if places:
        for site in rows.sites if sites is None else [sites] if isinstance(sites, str) else sites:
            if site not in rows.sites or view != "concat":
                raise unknown("site with both signs", f"{site} ({view})", rows.sites)
            X, grid = place_columns(found, site)
            apart = fit_apart(method, X[split.train], seed=seed)
            about = {"grid": [grid.units, *grid.shape]}
            modes = Modes(site, view, apart, apart.encode(X[split.train]), provenance=about)
            whole[site] = _scored(modes, X, split, rows.key)
        return ModesBySite(whole)
    fitted = decompose(rows.some(split.train), method, sites=sites, view=view, seed=seed)
    for site, modes in fitted.items():
        X = rows.view(site, view)
        whole[site] = _scored(modes, X, split, rows.key)
    return ModesBySite(whole)


def _scored(
    modes: Modes, X: np.ndarray[Any, Any], split: Split, keys: np.ndarray[Any, Any]
) -> Modes:
    """The modes with the loadings of all frames, and R² of both parts of the split."""
    loadings = modes.encode(X)
    again = modes.decode(loadings)
    measured = {
        "r2": quality.r2(X[split.held_out], again[split.held_out]),
        "r2_train": quality.r2(X[split.train], again[split.train]),
        "l0": quality.l0(loadings[split.held_out]),
        "samples_train": len(split.train),
        "samples_held_out": len(split.held_out),
    }
    return replace(
        modes, loadings=loadings, labels=None, keys=keys, quality=modes.quality | measured
    )


class _Frames:
    """All or some rows of contributions, from memory or a store, in the form for `decompose`."""

    classes: list[str] | None = None
    sites: list[str]
    metadata: dict[str, Any]

    def __init__(self, found: Contributed, rows: np.ndarray[Any, Any] | None = None) -> None:
        self._found = found
        self._rows = rows
        if isinstance(found, xarray.Dataset):
            self.sites, self.metadata = _layers(found), {}
            count = found.sizes["time"]
        elif isinstance(found, ContributionStore):
            self.sites, self.metadata = found.sites, found.metadata
            count = len(found)
        else:
            self.sites, self.metadata = list(found), {}
            count = len(found[self.sites[0]].positive)
        number = np.arange(count) if rows is None else rows
        self.label = np.full(len(number), -1)
        self.key = np.array([str(one) for one in number])

    def some(self, rows: np.ndarray[Any, Any]) -> _Frames:
        return _Frames(self._found, rows)

    def units(self, site: str) -> int:
        if isinstance(self._found, xarray.Dataset):
            return int(_layer(self._found, site, "activation").shape[1])
        if isinstance(self._found, ContributionStore):
            return self._found.units(site)
        return int(self._found[site].positive.shape[1])

    def view(self, site: str, view: View) -> np.ndarray[Any, Any]:
        if isinstance(self._found, ContributionStore):
            X = np.asarray(self._found.view(site, view))
        else:
            if isinstance(self._found, xarray.Dataset):
                positive, negative, activation = (
                    _layer(self._found, site, name)
                    for name in ("positive", "negative", "activation")
                )
            else:
                here = self._found[site]
                positive, negative, activation = (
                    part.detach().cpu().float().numpy()
                    for part in (here.positive, here.negative, here.activation)
                )
            X = {
                "concat": np.concatenate([positive, 0 - negative], axis=1),
                "sum": positive + negative,
                "positive": positive,
                "negative": negative,
                "activation": activation,
            }[view]
        return X if self._rows is None else X[self._rows]


def _layers(found: xarray.Dataset) -> list[str]:
    """The layers of a Dataset of one target; raises CodeclensError for other Datasets."""
    if {"positive", "negative", "activation"} - set(found) or "layer" not in found.dims:
        raise CodeclensError(
            "The Dataset has no contributions; pass the result of movie_contributions."
        )
    axes = [axis for axis in found.positive.dims if axis not in ("time", "layer", "channel")]
    if axes:
        raise CodeclensError(
            f"The Dataset has the axis {axes[0]!r}; choose one target, found.sel(cell=…), and sum "
            "over lags."
        )
    return [str(name) for name in found.layer.values]


def _layer(found: xarray.Dataset, site: str, name: str) -> np.ndarray[Any, Any]:
    """The `(time, channel)` of one layer, without the channels that it does not have."""
    values = found[name].sel(layer=site).transpose("time", "channel").to_numpy()
    return np.asarray(values[:, ~np.isnan(values).all(axis=0)], np.float32)


def mode_cell_matrix(
    modes: Loadings,
    rates: Float[np.ndarray, "time cell"],
    *,
    cells: Sequence[str] | None = None,
    shortest: int = 50,
) -> xarray.Dataset:
    """Correlate the loadings of every mode with the rate of every cell over time.

    `modes` are Modes or loadings `(time, modes)`, `rates` is `(time, cell)` in Hz. Neighbouring
    frames are similar, so the null distribution consists of all circular shifts of the rates by
    `shortest` frames or more. `null_low` and `null_high` bound 95 % of it, `p` is the share of
    shifts with at least the same |r|, and `q` the false discovery rate over the matrix.

    Returns `correlation` and these by `mode` and `cell`; NaN where loadings or rates are constant.
    Raises CodeclensError where lengths differ, `cells` are not one name for each column of rates,
    or the film is too short to shift.

    >>> random = np.random.default_rng(0)
    >>> loadings = random.gamma(0.5, size=(300, 3))
    >>> rates = loadings[:, :2] + 0.1 * random.random((300, 2))
    >>> matrix = mode_cell_matrix(loadings, rates, cells=["on", "off"])
    >>> matrix.correlation.argmax("mode").values, bool((matrix.q < 0.05).values.diagonal().all())
    (array([0, 1]), True)
    """
    Z = loadings_of(modes)
    R = np.asarray(rates, np.float64)
    if R.ndim != 2 or len(R) != len(Z):
        raise wrong_shape("rates", R.shape, f"({len(Z)}, cells)", "a row for each loading")
    names = [str(number) for number in range(R.shape[1])] if cells is None else list(cells)
    if isinstance(cells, str) or len(names) != R.shape[1] or len(set(names)) != len(names):
        raise CodeclensError(
            f"cells (={cells!r}) must be {R.shape[1]} unique names, one for each column of rates."
        )
    require_number("shortest", shortest, least=1, most=len(Z) // 2, hint="frames of the film")
    Z, R = _standard(Z), _standard(R)
    spectrum = np.fft.rfft(Z, axis=0)
    shape = (Z.shape[1], R.shape[1])
    value, low, high, p = (np.full(shape, np.nan) for _ in range(4))
    for cell in range(R.shape[1]):
        # All shifts at once: a circular correlation is a product of spectra.
        product = spectrum.conj() * np.fft.rfft(R[:, cell])[:, None]
        shifted = np.fft.irfft(product, n=len(Z), axis=0)
        value[:, cell] = shifted[0]
        null = shifted[shortest : len(Z) - shortest + 1]
        low[:, cell], high[:, cell] = np.quantile(null, [0.025, 0.975], axis=0)
        better = (np.abs(null) >= np.abs(shifted[0])).sum(axis=0)
        p[:, cell] = np.where(np.isnan(value[:, cell]), np.nan, (1 + better) / (1 + len(null)))
    table: dict[str, np.ndarray[Any, Any]] = {
        "correlation": value,
        "null_low": low,
        "null_high": high,
        "p": p,
    }
    table["q"] = np.asarray(false_discovery(p.ravel())).reshape(shape)
    return xarray.Dataset(
        {name: (("mode", "cell"), values) for name, values in table.items()},
        coords={
            "mode": np.array([str(number) for number in range(shape[0])], object),
            "cell": np.array(names, object),
        },
    )


def sign_balance(modes: Modes) -> Float[np.ndarray, " mode"]:
    """From 1 for modes of excitation to −1 for modes of inhibition, by the sums of their entries.

    For modes of the view "concat", whose dictionary has an exciting and an inhibiting half. Raises
    CodeclensError for modes of another view.

    >>> import torch
    >>> from codeclens import NMF, Sum, contributions
    >>> model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> found = contributions(model, torch.randn(100, 6), sites="1", target=Sum())
    >>> from codeclens.retina import held_out_blocks
    >>> modes = population_modes(found, NMF(n_modes=3), held_out_blocks(100))["1"]
    >>> bool((abs(sign_balance(modes)) <= 1).all())
    True
    """
    dictionary = np.abs(np.asarray(modes.dictionary, np.float64))
    if modes.view != "concat":
        raise CodeclensError(f'The modes are of the view "{modes.view}", which joins both signs.')
    exciting, inhibiting = dictionary.reshape(len(dictionary), 2, -1).sum(axis=2).T
    total = exciting + inhibiting
    return np.asarray((exciting - inhibiting) / np.where(total > 0, total, np.nan))


def loadings_of(modes: Loadings) -> Float[np.ndarray, "time mode"]:
    """Loadings `(time, modes)` in float64; raises CodeclensError for other arrays."""
    Z = np.asarray(modes.loadings if isinstance(modes, Modes) else modes, np.float64)
    if Z.ndim != 2 or not Z.size or not np.isfinite(Z).all():
        raise wrong_shape("loadings", Z.shape, "(time, modes)", "finite numbers, or Modes")
    return Z


def _standard(values: Float[np.ndarray, "time column"]) -> Float[np.ndarray, "time column"]:
    """Columns with mean 0 and norm 1; NaN for a constant column."""
    centred = values - values.mean(axis=0)
    norm = np.linalg.norm(centred, axis=0)
    largest = np.abs(values).max(axis=0) * len(values) ** 0.5
    return np.asarray(centred / np.where(norm > 1e-12 * largest, norm, np.nan))


Kind = Literal["agglomerative", "kmeans"]


@dataclass(frozen=True, eq=False, repr=False)
class CellClusters(Labelled):
    """Clusters of cells with their silhouettes.

    `labels` `(cell,)` number the clusters in order of their first cells. `silhouette` `(cell,)`
    from −1 to 1 compares a cell's distance to its own cluster with that to the nearest other one.
    `counts` are the numbers of clusters that were tried, `scores` the mean silhouette of each, and
    `null` `(draw,)` the best score of populations without clusters; `p` is the share of those that
    score as high. `cells` are the names.
    """

    labels: Int64[np.ndarray, " cell"]
    silhouette: Float[np.ndarray, " cell"]
    counts: tuple[int, ...]
    scores: Float[np.ndarray, " count"]
    null: Float[np.ndarray, " draw"]
    cells: Sequence[str]

    def title(self) -> str:
        return (
            f"{len(self.labels)} cells in {self.count} clusters: silhouette {self.score:.3f}, "
            f"p {self.p:.3f}"
        )

    def to_dataframe(self) -> pandas.DataFrame:
        """A row a cell, cluster by cluster: its name, cluster and silhouette."""
        import pandas

        columns = {"cell": list(self.cells), "cluster": self.labels, "silhouette": self.silhouette}
        return pandas.DataFrame(columns).iloc[self.order].reset_index(drop=True)

    def to_xarray(self) -> xarray.Dataset:
        """`cluster` and `silhouette` by cell, `score` by count, `null` by draw."""
        return xarray.Dataset(
            {
                "cluster": ("cell", self.labels),
                "silhouette": ("cell", self.silhouette),
                "score": ("count", self.scores),
                "null": ("draw", self.null),
            },
            {"cell": np.array(self.cells, object), "count": list(self.counts)},
            {"p": self.p},
        )

    @property
    def count(self) -> int:
        """The number of clusters."""
        return int(self.labels.max()) + 1

    @property
    def score(self) -> float:
        """The mean silhouette."""
        return float(self.silhouette.mean())

    @property
    def p(self) -> float:
        """The share of populations from one normal distribution that cluster as well."""
        return float((1 + (self.null >= self.scores.max()).sum()) / (1 + len(self.null)))

    @property
    def order(self) -> Int64[np.ndarray, " cell"]:
        """The cells cluster by cluster, those with the largest silhouette first."""
        return np.lexsort((-self.silhouette, self.labels)).astype(np.int64)


def cluster_cells(
    matrix: Float[np.ndarray, "mode cell"] | xarray.Dataset | xarray.DataArray,
    *,
    counts: Sequence[int] | None = None,
    kind: Kind = "agglomerative",
    draws: int = 200,
    seed: int = 0,
) -> CellClusters:
    """Cluster cells by their correlations with modes, the columns of a mode–cell matrix.

    `matrix` is the result of `mode_cell_matrix` or an array. Among the numbers of clusters in
    `counts` (default: 2 to 10, and below the number of cells) the one with the largest mean
    silhouette is chosen (Rousseeuw 1987), with scikit-learn's agglomerative clustering (average
    linkage) or k-means. Clustering always finds clusters, so the score is compared with that of
    `draws` populations from one normal distribution with the mean and covariance of these cells
    (Liu et al. 2008, SigClust). Modes with NaN are not used. Raises CodeclensError for too few
    cells, and for numbers of clusters that are not possible.

    >>> kinds = np.repeat([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], 5, axis=0).T
    >>> found = cluster_cells(kinds + 0.1 * np.random.default_rng(0).normal(size=(2, 15)))
    >>> found.labels
    array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2])
    >>> found.score > 0.7, found.p < 0.05
    (True, True)
    """
    values = given = _values(matrix)
    values = values[np.isfinite(values).all(axis=1)] if values.ndim == 2 else values
    if values.ndim != 2 or not len(values) or values.shape[1] < 3:
        raise CodeclensError(
            f"A matrix of shape {given.shape} cannot be clustered; pass (modes, cells) with three "
            "cells or more, and a mode without NaN."
        )
    cells = values.T
    tried = tuple(range(2, min(10, len(cells) - 1) + 1)) if counts is None else tuple(counts)
    if not tried or min(tried) < 2 or max(tried) >= len(cells):
        raise CodeclensError(
            f"{len(cells)} cells can have 2 to {len(cells) - 1} clusters, not {list(tried)}."
        )
    if kind not in ("agglomerative", "kmeans"):
        raise unknown("kind of clustering", kind, get_args(Kind))
    random = np.random.default_rng(seed)
    groups, scores = _tried(cells, tried, kind, seed)
    centred = (cells - cells.mean(axis=0)) / (len(cells) - 1) ** 0.5
    null = np.array(
        [
            _tried(random.normal(size=(len(cells),) * 2) @ centred, tried, kind, seed)[1].max()
            for _ in range(draws)
        ]
    )
    from sklearn.metrics import silhouette_samples

    labels = _in_order(groups[int(scores.argmax())])
    names = matrix.cell.values if hasattr(matrix, "cell") else np.arange(len(cells))
    silhouette = silhouette_samples(cells, labels)
    return CellClusters(labels, silhouette, tried, scores, null, [str(name) for name in names])


def _values(
    matrix: Float[np.ndarray, "mode cell"] | xarray.Dataset | xarray.DataArray,
) -> Float[np.ndarray, "..."]:
    """The values of a mode–cell matrix in any of its forms."""
    if isinstance(matrix, xarray.Dataset):
        if "correlation" not in matrix:
            raise CodeclensError(
                f"The Dataset has {', '.join(map(str, matrix)) or 'nothing'} and no correlation; "
                "pass the result of mode_cell_matrix."
            )
        matrix = matrix.correlation
    if isinstance(matrix, xarray.DataArray) and {"mode", "cell"} == set(matrix.dims):
        matrix = matrix.transpose("mode", "cell")
    try:
        return np.asarray(matrix, np.float64)
    except (TypeError, ValueError) as error:
        raise CodeclensError(
            f"A {type(matrix).__name__} is not a matrix; pass the result of mode_cell_matrix."
        ) from error


def _tried(
    cells: Float[np.ndarray, "cell mode"], counts: Sequence[int], kind: str, seed: int
) -> tuple[list[Int64[np.ndarray, " cell"]], Float[np.ndarray, " count"]]:
    from sklearn.cluster import AgglomerativeClustering, KMeans
    from sklearn.metrics import silhouette_score

    groups, scores = [], []
    for count in counts:
        if len(np.unique(cells, axis=0)) < count:
            groups.append(np.arange(len(cells)) % count)
            scores.append(-1.0)
            continue
        if kind == "kmeans":
            found = KMeans(count, n_init=10, random_state=seed).fit_predict(cells)
        else:
            found = AgglomerativeClustering(count, linkage="average").fit_predict(cells)
        groups.append(np.asarray(found, np.int64))
        scores.append(float(silhouette_score(cells, found)))
    return groups, np.array(scores)


def _in_order(labels: np.ndarray[Any, Any]) -> Int64[np.ndarray, " cell"]:
    """Clusters numbered in the order of their first cells."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


# The largest number of combinations of one size; the most frequent are kept.
_MOST = 2000
_Members = tuple[int, ...]


def active_modes(modes: Loadings, quantile: float = 0.8) -> Bool[np.ndarray, "time mode"]:
    """The frames in which each mode is active: above zero and above a quantile of its loadings.

    >>> active_modes(np.array([[0.0], [0.0], [1.0], [2.0], [3.0]]), 0.5).ravel()
    array([False, False, False,  True,  True])
    """
    require_number("quantile", quantile, least=0, below=1)
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
    """Find the modes that are active together in `least` frames or more, and compare with chance.

    `modes` are Modes or loadings `(time, modes)`; a mode is active in the frames above a `quantile`
    of its loadings (`active_modes`). All sets of 2 to `largest` modes are counted; other modes may
    be active at the same time. In the null distribution each mode is shifted around the film by its
    own number of frames (`shortest` or more), which keeps the durations of its activity.

    Returns by `combination` (such as "3+7", most frequent first) the `count` of frames; the
    `expected` count of the null distribution; their ratio `lift`; `p`, the share of shifts with as
    large a count, and its false discovery rate `q`; the counts `first` and `second` of the two
    halves of the film; and the `size`. `stability` is the rank correlation of the two halves'
    counts; with two combinations it is 1 or −1, with a single one, which has no rank, it is the
    smaller count over the larger. Raises CodeclensError where the film is too short.

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
            f"shortest (={shortest}) must be 1 to {time // 2} frames, largest (={largest}) at "
            f"least 2, least (={least}) and draws (={draws}) at least 1."
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
            "stability": ((), _stability(first, second)),
        },
        coords={"combination": np.array(["+".join(map(str, one)) for one in found], object)},
    )


def _frequent(active: Bool[np.ndarray, "time mode"], largest: int, least: int) -> list[_Members]:
    """Sets of modes in `least` frames or more, the most frequent first, grown mode by mode."""
    whole: list[tuple[int, _Members]] = []
    frames = active.sum(axis=0)
    sets: list[_Members] = [(int(mode),) for mode in np.flatnonzero(frames >= least)]
    for size in range(2, largest + 1):
        known = set(sets)
        # A set occurs at most as often as each of its subsets.
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
    """The number of frames in which all modes of each set are active."""
    counts = np.zeros(len(sets), np.int64)
    numbers = active.astype(np.float32)
    pairs = (numbers.T @ numbers).round().astype(np.int64)
    for row, one in enumerate(sets):
        counts[row] = pairs[one] if len(one) == 2 else active[:, one].all(axis=1).sum()
    return counts


def _stability(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
    from scipy.stats import spearmanr

    if len(first) == 1:
        return float(min(first[0], second[0]) / max(first[0], second[0], 1))
    if len(first) == 0 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(spearmanr(first, second).statistic)
