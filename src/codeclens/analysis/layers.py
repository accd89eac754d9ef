"""Layer statistics: how contributions and activations change with depth, in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int

from codeclens.analysis.spectrum import (
    hoyer,
    hoyer_of_sums,
    spectrum_components,
    spectrum_participation,
)
from codeclens.analysis.statistics import FEWEST, Spread, sign_correlation
from codeclens.analysis.trend import (
    Trend,
    at_sites,
)
from codeclens.errors import counted, unknown
from codeclens.extraction import View
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
        words="Median Hoyer sparsity",
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


@dataclass(frozen=True, eq=False, repr=False)
class Layer:
    """The statistics of one site: of its contributions, its activations, and its signs."""

    site: str
    units: int
    is_cut: bool
    contribution: Population
    activation: Population
    signs: Population

    def __repr__(self) -> str:
        return f'Layer("{self.site}", {self.units} units{", a cut" if self.is_cut else ""})'

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
            "95 % bootstrap intervals over samples, for a fixed network and fixed sites."
        ]
        for one in STATISTICS:
            if not one.words:
                continue
            first, *others = (
                (prefix, self.trends[f"{prefix}{one.name}"].words(list(self), one.number))
                for prefix in self.layers[0].of(one)
            )
            source = "" if one.over == "signs" else f" of {first[0][:-1]}s"
            lines.append(f"{self.fill(one.words)}{source} {first[1]}.")
            lines[-1] += "".join(f" For {prefix[:-1]}s it {words}." for prefix, words in others)
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
            f" Control for contributions, shuffled labels: it {shuffled}."
            f" Control with {self.fewest_units} random units at every site: it {equal}."
        )

    def fill(self, words: str) -> str:
        """The text of a statistic with the share of the variance and the number of classes."""
        return words.format(share=f"{100 * self.share:g} %", classes=self.classes)

    def _comparison(self) -> str:
        """At how many sites contributions are sparser than activations, by their intervals."""
        if self.samples < FEWEST:
            return (
                "The sparsity is not compared with activations: "
                f"{counted(self.samples, 'sample')}, but at least {FEWEST} are needed."
            )
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
