"""Layer statistics: how contributions and activations change with depth, in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int

from codeclens.analysis.nulls import ShuffledLabels
from codeclens.analysis.spectrum import (
    PopulationSummary,
    covariance_spectrum,
    hoyer,
    hoyer_of_sums,
    spectrum_components,
    spectrum_participation,
)
from codeclens.analysis.statistics import FEWEST, Spread, sign_correlation
from codeclens.analysis.trend import (
    ClassResampler,
    Trend,
    at_sites,
    mirrored_interval,
    redrawn_medians,
)
from codeclens.draws import Draws
from codeclens.errors import CodeclensError, counted, require_kind, unknown
from codeclens.extraction import ContributionStore, View
from codeclens.labelled import Labelled, labels, save_table

if TYPE_CHECKING:
    import pandas
    import xarray

Over = Literal["samples", "signs", "units", "class means", "all samples"]


@dataclass(frozen=True)
class SiteStatistic:
    """One statistic of a site; tables, charts and sentences are generated from it.

    `over` is what the `function` takes. Statistics "over" `samples` and `signs` give a number for
    each sample, from values `(n, U)` or from positive and negative contributions `(n, U)` each;
    those over `units` one for each unit, from Σ|v|, Σv² and the number of samples. Both are
    reported as a `Spread`. Those over `class means` and `all samples` give one number, from a
    covariance spectrum and the share of the variance; class means have intervals.

    `words` begin its sentence and `number` is the format there; without `words` there is none. A
    `title` gives it a panel in the chart, with `label` (text of its y axis, with the unit) and
    `least`, the least range of that axis. Both texts may name `{share}` and `{classes}`.
    """

    name: str
    over: Over
    function: Callable[..., Any]
    words: str = ""
    number: str = "{:.2f}"
    title: str = ""
    label: str = ""
    least: tuple[float, float] = (0.0, 0.0)


STATISTICS = (
    SiteStatistic(
        "sparsity", "samples", hoyer,
        words="Hoyer sparsity of the median sample",
        title="Sparsity", label="Hoyer sparsity (0 to 1)", least=(0.0, 0.525),
    ),
    SiteStatistic("lifetime_sparsity", "units", hoyer_of_sums),
    SiteStatistic(
        "class_components", "class means", spectrum_components,
        words="Number of principal components for {share} of the variance of the {classes} class "
        "means",
        number="{:.0f}", title="Dimensionality", label="components ({share} of variance)",
    ),
    SiteStatistic(
        "class_participation", "class means", lambda spectrum, _: spectrum_participation(spectrum),
        words="Participation ratio of the class means", number="{:.1f}",
    ),
    SiteStatistic("sample_components", "all samples", spectrum_components),
    SiteStatistic(
        "sample_participation", "all samples", lambda spectrum, _: spectrum_participation(spectrum)
    ),
    SiteStatistic(
        "sign_correlation", "signs", sign_correlation,
        words="Correlation over units between positive contributions and the magnitude of negative "
        "ones",
        title="Sign correlation", label="correlation of C⁺ with |C⁻|", least=(-0.05, 1.05),
    ),
)  # fmt: skip
SOURCES = ("contribution", "activation")
VIEWS: tuple[View, ...] = ("sum", "concat", "positive", "negative")
# Values of one array that are read together (32 MiB in float32).
_READ = 1 << 23
_BOUNDS = ("low", "high")
_PARTS = ("median", *_BOUNDS, "q25", "q75", "undefined")


def chosen(*over: Over) -> list[SiteStatistic]:
    """The statistics over one of these.

    >>> [one.name for one in chosen("units")]
    ['lifetime_sparsity']
    """
    return [one for one in STATISTICS if one.over in over]


@dataclass(frozen=True, eq=False)
class Population:
    """Statistics of one site's contributions, of its activations or of its signs, by name.

    `values` holds those of every sample `(N,)` or unit `(U,)` and `spreads` their distributions.
    `numbers` holds the dimensionality of the class means and of all samples, `intervals` 95 %
    bootstrap intervals of the former (see `mirrored_interval`; NaN if no class has two samples).
    All samples have no intervals, since every draw would cost as much as the statistics.

    `shuffled` holds the dimensionality of class means in every shuffle of the labels;
    `equal_units` holds that of random subsets of units, as many as the smallest site has. Growth
    with depth in `shuffled` is not due to classes. Growth that is absent in `equal_units` is due to
    the number of units.
    """

    values: dict[str, Float[np.ndarray, " item"]] = field(repr=False)
    spreads: dict[str, Spread]
    numbers: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    shuffled: dict[str, Float[np.ndarray, " shuffle"]] = field(default_factory=dict, repr=False)
    equal_units: dict[str, Float[np.ndarray, " subset"]] = field(default_factory=dict, repr=False)

    def number(self, name: str) -> float:
        """A statistic as one number: the median of its spread, or the number itself."""
        return self.spreads[name].median if name in self.spreads else self.numbers[name]

    def bounds(self, name: str) -> tuple[float, float]:
        """The 95 % interval of that number, NaN without one."""
        if name in self.spreads:
            return self.spreads[name].low, self.spreads[name].high
        return self.intervals.get(name, (float("nan"), float("nan")))

    def columns(self, name: str) -> dict[str, float]:
        """The columns of one statistic in tables, by the ending of their names."""
        if name in self.spreads:
            return {f"_{part}": getattr(self.spreads[name], part) for part in _PARTS}
        found = {"": self.numbers[name]}
        if name in self.intervals:
            found |= dict(zip(("_low", "_high"), self.intervals[name], strict=True))
            found["_shuffled"] = float(self.shuffled[name].mean())
            found["_equal_units"] = float(self.equal_units[name].mean())
        return found


@dataclass(frozen=True, eq=False)
class Layer:
    """The statistics of one site: of its contributions, its activations, and its signs."""

    site: str
    units: int
    is_cut: bool
    contribution: Population
    activation: Population
    signs: Population

    def of(self, statistic: SiteStatistic) -> dict[str, Population]:
        """The populations that have a statistic, by the beginning of their columns."""
        if statistic.over == "signs":
            return {"": self.signs}
        return {f"{source}_": getattr(self, source) for source in SOURCES}


@dataclass(frozen=True, eq=False, repr=False)
class LayerStatistics(Labelled, Mapping[str, Layer]):
    """Statistics of every site in the order of depth: a mapping from site to `Layer`.

    `view` is the view of the contributions, `share` the share of the variance, `classes` the
    number of classes, taken from `class_source`. `trends` holds how each statistic changes with
    depth. `labels` `(N,)` are the classes of the samples, `class_names` their names if known.
    `fewest_units` is the number of units in `equal_units`.
    """

    layers: tuple[Layer, ...]
    view: str
    share: float
    samples: int
    classes: int
    class_source: str
    trends: dict[str, Trend]
    labels: Int[np.ndarray, " sample"]
    class_names: Sequence[str] | None = None
    fewest_units: int = 0

    def __getitem__(self, site: str) -> Layer:
        for layer in self.layers:
            if layer.site == site:
                return layer
        raise KeyError(str(unknown("site", site, self, "The statistics have")))

    def __iter__(self) -> Iterator[str]:
        return (layer.site for layer in self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def title(self) -> str:
        """One line: samples, sites and view."""
        samples, sites = counted(self.samples, "sample"), counted(len(self), "site")
        return f'Layer statistics of {samples} at {sites}, view "{self.view}"'

    def shown(self) -> pandas.DataFrame:
        """One number of every statistic that has words, for the screen."""
        import pandas

        return pandas.DataFrame(
            [
                {"site": layer.site, "units": layer.units}
                | {
                    f"{prefix}{one.name}": population.number(one.name)
                    for one in STATISTICS
                    if one.words
                    for prefix, population in layer.of(one).items()
                }
                for layer in self.layers
            ]
        )

    def to_dataframe(self) -> pandas.DataFrame:
        """One row for each site, in the order of depth; statistics of both sources alternate.

        Columns are `contribution_sparsity_median`, `activation_sparsity_median`, …
        """
        import pandas

        return pandas.DataFrame([self._row(depth) for depth in range(len(self))])

    def to_csv(self, path: str | Path) -> Path:
        """Write the table as CSV (UTF-8) and return its path."""
        return save_table(path, self.to_dataframe())

    def class_table(self) -> pandas.DataFrame:
        """One row for each site and class: number of samples, means of the samples' statistics."""
        import pandas

        rows = [
            {
                "site": layer.site,
                "class": label if self.class_names is None else self.class_names[label],
                "samples": int((self.labels == label).sum()),
            }
            | {
                f"{prefix}{one.name}": _mean(population.values[one.name][self.labels == label])
                for one in chosen("samples", "signs")
                for prefix, population in layer.of(one).items()
            }
            for layer in self.layers
            for label in np.unique(self.labels[self.labels >= 0]).tolist()
        ]
        return pandas.DataFrame(rows)

    def to_xarray(self) -> xarray.Dataset:
        """All results as labelled arrays, for example for `to_zarr`.

        Dimensions are `site` and `source` ("contribution", "activation"), with them `sample`,
        `class` (of the class table) or `unit` (columns of the view, NaN beyond those of a site),
        and `quantity` (trends with depth). Sites and classes keep their order.
        """
        import xarray

        table: dict[str, Any] = {"units": ("site", [layer.units for layer in self.layers])}
        for one in STATISTICS:
            pairs = [list(layer.of(one).values()) for layer in self.layers]
            # Signs have one population for both sources.
            dims, at = (("site",), 0) if one.over == "signs" else (("site", "source"), slice(None))
            for ending in pairs[0][0].columns(one.name):
                cells = np.array([[p.columns(one.name)[ending] for p in pair] for pair in pairs])
                table[f"{one.name}{ending}"] = dims, cells[:, at]
            if one.over in ("samples", "signs", "units"):
                item = "unit" if one.over == "units" else "sample"
                values = padded([[p.values[one.name] for p in pair] for pair in pairs])
                table[one.name] = (*dims, item), values[:, at]
        coordinates: dict[str, Any] = {
            "site": labels(list(self)),
            "source": labels(SOURCES),
            "label": ("sample", self.labels),
        }
        table |= self._class_variables(coordinates) | trend_variables(self.trends, coordinates)
        about = {"view": self.view, "share": self.share, "class_source": self.class_source}
        return xarray.Dataset(table, coordinates, about)

    def _class_variables(self, coordinates: dict[str, Any]) -> dict[str, Any]:
        """The class table along `class`; nothing without classes."""
        rows = self.class_table()
        if not len(rows):
            return {}
        count = len(rows) // len(self)
        coordinates["class"] = labels(rows["class"][:count].tolist())
        table: dict[str, Any] = {"class_samples": ("class", rows["samples"][:count])}
        for one in chosen("samples", "signs"):
            found = [
                rows[f"{prefix}{one.name}"].to_numpy().reshape(-1, count)
                for prefix in self.layers[0].of(one)
            ]
            table[f"class_{one.name}"] = (
                (("site", "class"), found[0])
                if one.over == "signs"
                else (("site", "source", "class"), np.stack(found, axis=1))
            )
        return table

    def sentences(self) -> list[str]:
        """What changes with depth, in sentences computed from the numbers."""
        lines = [
            f"Statistics of {self.samples:,} samples at {len(self)} "
            f"{'site' if len(self) == 1 else 'sites'}; contributions in the view "
            f'"{self.view}"; classes by {self.class_source}; '
            "intervals are 95 % bootstrap intervals over samples: the network and its sites stay "
            "the same."
        ]
        for one in STATISTICS:
            if not one.words:
                continue
            phrases = [
                ("" if one.over == "signs" else f"for {prefix[:-1]}s it ")
                + self.trends[f"{prefix}{one.name}"].words(list(self), one.number)
                for prefix in self.layers[0].of(one)
            ]
            link = " " if one.over == "signs" else ": "
            lines.append(f"{self.fill(one.words)}{link}{'; '.join(phrases)}.")
            if one.over == "class means":
                lines[-1] += self._controls(one)
        return [*lines, self._comparison()]

    def _controls(self, one: SiteStatistic) -> str:
        """How the dimensionality changes with shuffled labels, and with equal numbers of units."""
        shuffled, equal = (
            self.trends[f"contribution_{one.name}_{control}"].words(list(self), one.number)
            for control in ("shuffled", "equal_units")
        )
        return (
            f" As controls, for contributions: with shuffled labels it {shuffled}; with "
            f"{self.fewest_units} random units at every site it {equal}."
        )

    def fill(self, words: str) -> str:
        """The text of a statistic with the share of the variance and the number of classes."""
        return words.format(share=f"{100 * self.share:g} %", classes=self.classes)

    def _comparison(self) -> str:
        """At how many sites contributions are sparser than activations, by their intervals."""
        if self.samples < FEWEST:
            return f"{self.samples} samples are too few to compare the sparsity with activations."
        both = [
            (layer.contribution.spreads["sparsity"], layer.activation.spreads["sparsity"])
            for layer in self.layers
        ]
        sparser = sum(one.low > other.high for one, other in both)
        denser = sum(one.high < other.low for one, other in both)
        return (
            f"Contributions are sparser than activations "
            f"{at_sites(sparser, denser, len(self), 'less sparse')}."
        )

    def _row(self, depth: int) -> dict[str, Any]:
        layer = self.layers[depth]
        row: dict[str, Any] = {
            "site": layer.site,
            "depth": depth,
            "units": layer.units,
            "cut": layer.is_cut,
            "samples": self.samples,
            "classes": self.classes,
        }
        for one in STATISTICS:
            found = {prefix: p.columns(one.name) for prefix, p in layer.of(one).items()}
            for ending in next(iter(found.values())):
                row |= {f"{prefix}{one.name}{ending}": c[ending] for prefix, c in found.items()}
        return row


def _mean(values: Float[np.ndarray, " sample"]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def trend_variables(found: Mapping[str, Trend], coordinates: dict[str, Any]) -> dict[str, Any]:
    """Rank correlations with depth and their intervals, along `quantity`, for a data set."""
    coordinates["quantity"] = labels(list(found))
    return {
        f"trend_{part}": ("quantity", [getattr(trend, part) for trend in found.values()])
        for part in ("rho", *_BOUNDS)
    }


def padded(rows: Sequence[Sequence[Any]]) -> np.ndarray[Any, Any]:
    """Arrays of several lengths in a table as one array, NaN beyond the end of each.

    >>> padded([[np.array([1.0]), np.array([1.0, 2.0])]]).tolist()
    [[[1.0, nan], [1.0, 2.0]]]
    """
    longest = max(len(values) for row in rows for values in row)
    table = np.full((len(rows), len(rows[0]), longest), np.nan)
    for place, row in zip(table, rows, strict=True):
        for filled, values in zip(place, row, strict=True):
            filled[: len(values)] = values
    return table


def layer_statistics(
    store: ContributionStore,
    *,
    view: View = "sum",
    share: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> LayerStatistics:
    """Sparsity, dimensionality and sign correlation of every site (method.md §4).

    `view` selects the numbers for a unit's contribution. The default is the net contribution
    ("sum", one number per unit): an activation is also one number per unit, so the two can be
    compared. In "concat" (signs separate, two numbers per unit) sparsity also grows if the two
    signs occur at different units, which the sign correlation already measures. The class of a
    sample is its label, or its prediction if the label is unknown.

    Every site is read once, in parts, so that it need not fit into memory. Depth is the order of
    the sites in the store. Intervals are 95 % bootstrap intervals over samples with `resamples`
    draws (at most 100 for class means, 40 for more than 200 classes); the intervals of trends use
    the same draws at all sites. Means of few samples are noisy, and noise adds dimensions:
    `mirrored_interval` corrects for that. Two controls accompany the dimensionality of class
    means: labels shuffled up to 10 times, and up to 20 random subsets with as many units as the
    smallest site has.

    Raises CodeclensError for an empty store, an unknown view or values that are not finite.

    >>> import tempfile, torch
    >>> from codeclens.extraction import extract
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> to = tempfile.mkdtemp() + "/contributions.zarr"
    >>> store = extract(model, torch.eye(4), sites=["0", "1"], to=to)
    >>> statistics = layer_statistics(store)
    >>> list(statistics.to_dataframe().site), statistics["1"].contribution.values["sparsity"].shape
    (['0', '1'], (4,))
    """
    if view not in VIEWS:
        raise unknown("view", view, VIEWS)
    if not hasattr(store, "view"):
        require_kind("store", store, (), "a ContributionStore, as extract returns it")
    if not len(store) or not store.sites:
        raise CodeclensError("The store has no samples or no sites; it needs one of each.")
    draws = Draws(resamples, seed)
    labels, source = _classes(store)
    classes = len(np.unique(labels[labels >= 0]))
    # Each draw takes eigenvalues of a matrix of classes: 1,000 of them need a tenth of a second.
    redraw = ClassResampler(labels, draws.at_most(100 if classes <= 200 else 40))
    shuffle = ShuffledLabels(labels, draws.at_most(10 if classes <= 200 else 4))
    measures = [
        lambda spectrum, one=one: one.function(spectrum, share) for one in chosen("class means")
    ]
    fewest = min(store.units(site) for site in store.sites)
    layers: list[Layer] = []
    drawn: dict[str, list[Float[np.ndarray, "draw measure"]]] = {s: [] for s in SOURCES}
    for site in store.sites:
        summaries, shuffled, signs = _summaries(store, site, view, redraw, shuffle)
        populations = {}
        for name, summary in summaries.items():
            groups = summary.group_means()
            drawn[name].append(redraw.drawn(groups, measures))
            means = redraw.class_means(groups)
            without_classes = _measured(shuffle.means(shuffled[name]), measures)
            equal = _measured(_subsets(means, fewest, draws.at_most(20)), measures)
            populations[name] = replace(
                _population(summary, means, drawn[name][-1], share, draws),
                shuffled=without_classes,
                equal_units=equal,
            )
        of_signs = Population(signs, {name: Spread.of(v, draws) for name, v in signs.items()})
        layers.append(
            Layer(site, store.units(site), store.is_cut(site), **populations, signs=of_signs)
        )
    trends = _trends(layers, drawn, draws.at_most(200))
    return LayerStatistics(
        tuple(layers), view, share, len(store), classes, source, trends, labels, store.classes,
        fewest,
    )  # fmt: skip


def _subsets(
    means: Float[np.ndarray, "class unit"], count: int, draws: Draws
) -> Iterator[Float[np.ndarray, "class unit"]]:
    """Class means of random subsets of `count` units."""
    random = np.random.default_rng(draws.seed)
    for _ in range(draws.n):
        yield means[:, np.sort(random.choice(means.shape[1], count, replace=False))]


def _measured(
    means: Iterable[Float[np.ndarray, "class unit"]], measures: Sequence[Callable[[Any], float]]
) -> dict[str, Float[np.ndarray, " draw"]]:
    """The dimensionality of each of several class means, by the name of the statistic."""
    spectra = [covariance_spectrum(one) if len(one) else np.zeros(1) for one in means]
    return {
        one.name: np.array([measure(spectrum) for spectrum in spectra], np.float64)
        for one, measure in zip(chosen("class means"), measures, strict=True)
    }


def _classes(store: ContributionStore) -> tuple[Int[np.ndarray, " sample"], str]:
    known = np.asarray(store.label) >= 0
    source = "label" if known.all() else "label or prediction" if known.any() else "prediction"
    return np.where(known, store.label, store.prediction).astype(np.int64), source


def _summaries(
    store: ContributionStore,
    site: str,
    view: View,
    redraw: ClassResampler,
    shuffle: ShuffledLabels,
) -> tuple[dict[str, PopulationSummary], dict[str, Any], dict[str, Float[np.ndarray, " sample"]]]:
    """Summaries, sums over shuffled classes, and statistics of signs, in one pass over a site."""
    functions = {one.name: one.function for one in chosen("samples")}
    found = {name: PopulationSummary(redraw.groups, functions) for name in SOURCES}
    shuffled: dict[str, Any] = dict.fromkeys(SOURCES, 0.0)
    signs: dict[str, list[Any]] = {one.name: [] for one in chosen("signs")}
    step = max(1, _READ // store.units(site))
    for start in range(0, len(store), step):
        rows = slice(start, start + step)
        positive, negative, activation = (
            store.view(site, part, rows) for part in ("positive", "negative", "activation")
        )
        for name, kind, values in (
            ("contribution", view, _in_view(view, positive, negative)),
            ("activation", "activation", activation),
        ):
            found[name].add(values, redraw.group[rows], f'{kind} of site "{site}"')
            shuffled[name] = shuffled[name] + shuffle.sums(values, rows)
        for one in chosen("signs"):
            signs[one.name].append(one.function(positive, negative))
    return found, shuffled, {name: np.concatenate(parts) for name, parts in signs.items()}


def _in_view(
    view: View, positive: Float[np.ndarray, "part unit"], negative: Float[np.ndarray, "part unit"]
) -> Float[np.ndarray, "part column"]:
    if view == "positive":
        return positive
    if view == "negative":
        return negative
    return positive + negative if view == "sum" else np.concatenate([positive, -negative], axis=1)


def _population(
    summary: PopulationSummary,
    means: Float[np.ndarray, "class unit"],
    drawn: Float[np.ndarray, "draw measure"],
    share: float,
    draws: Draws,
) -> Population:
    values = {one.name: summary.of_samples(one.name) for one in chosen("samples")}
    for one in chosen("units"):
        values[one.name] = one.function(summary.magnitude, summary.square, summary.rows)
    spectra = {
        # The outputs of some networks are not classes.
        "class means": covariance_spectrum(means) if len(means) else np.zeros(1),
        "all samples": summary.variances(),
    }
    numbers = {
        one.name: one.function(spectra[one.over], share)
        for one in chosen("class means", "all samples")
    }
    intervals = {
        one.name: mirrored_interval(numbers[one.name], drawn[:, measure])
        for measure, one in enumerate(chosen("class means"))
    }
    spreads = {name: Spread.of(found, draws) for name, found in values.items()}
    return Population(values, spreads, numbers, intervals)


def _trends(
    layers: list[Layer], drawn: dict[str, list[Float[np.ndarray, "draw measure"]]], draws: Draws
) -> dict[str, Trend]:
    """Trends by the beginning of the columns, of all statistics whose samples are drawn again."""
    trends = {}
    for one in chosen("samples", "signs", "class means"):
        for prefix in layers[0].of(one):
            populations = [layer.of(one)[prefix] for layer in layers]
            if one.over == "class means":
                measure = chosen("class means").index(one)
                redrawn = np.stack([site[:, measure] for site in drawn[prefix[:-1]]], axis=1)
                for control in ("shuffled", "equal_units"):
                    values = np.stack([getattr(p, control)[one.name] for p in populations], axis=1)
                    trends[f"{prefix}{one.name}_{control}"] = Trend.of(values.mean(axis=0), values)
            else:
                redrawn = redrawn_medians([p.values[one.name] for p in populations], draws)
            values = np.array([float(p.number(one.name)) for p in populations])
            trends[f"{prefix}{one.name}"] = Trend.of(values, redrawn)
    return trends
