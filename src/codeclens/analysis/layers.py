"""Layer statistics: how contributions and activations change with depth, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from codeclens.analysis.spectrum import (
    PopulationSummary,
    covariance_spectrum,
    spectrum_components,
    spectrum_participation,
)
from codeclens.analysis.statistics import FEWEST, bootstrap_interval, sign_correlation
from codeclens.analysis.trend import ClassResampler, Trend, mirrored_interval, redrawn_medians
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore, View
from codeclens.labelled import save_table

if TYPE_CHECKING:
    import xarray


SOURCES = ("contribution", "activation")
# Of the class means, which are drawn again, and of all samples, which are not.
DRAWN = ("class_components", "class_participation")
DIMENSIONS = (*DRAWN, "sample_components", "sample_participation")


@dataclass(frozen=True)
class Spread:
    """The distribution of one number per sample: median with its 95 % interval, and quartiles.

    `undefined` counts the samples that have no value (a sample to which no unit contributes has no
    sparsity); they are left out.
    """

    median: float
    low: float
    high: float
    q25: float
    q75: float
    undefined: int

    @classmethod
    def of(cls, values: Float[np.ndarray, " sample"], resamples: int, seed: int) -> Spread:
        """Summarise `values` `(N,)`; NaN means undefined.

        >>> spread = Spread.of(np.array([1.0, 2.0, 3.0, np.nan]), resamples=100, seed=0)
        >>> spread.median, spread.q25, spread.q75, spread.undefined
        (2.0, 1.5, 2.5, 1)
        """
        defined = values[~np.isnan(values)]
        if not len(defined):
            return cls(*(float("nan"),) * 5, undefined=len(values))
        low, high = bootstrap_interval(defined, np.median, resamples, seed)
        q25, median, q75 = (float(q) for q in np.quantile(defined, [0.25, 0.5, 0.75]))
        return cls(median, low, high, q25, q75, undefined=len(values) - len(defined))


@dataclass(frozen=True)
class Population:
    """What one site's contributions, or its activations, look like over all samples.

    `hoyer` `(N,)` is the sparsity of every sample over units and `sparsity` its spread, `lifetime`
    `(U,)` that of every unit over samples and `lifetime_sparsity` its spread over units; the rest
    is the dimensionality of the class means and of all samples: principal components for the share
    of the variance, and participation ratio. `intervals` holds 95 % bootstrap intervals of those of
    the class means (see `mirrored_interval`), NaN where no class has two samples; all samples' are
    too dear to draw.
    """

    hoyer: Float[np.ndarray, " sample"]
    sparsity: Spread
    lifetime: Float[np.ndarray, " unit"]
    lifetime_sparsity: Spread
    class_components: int
    class_participation: float
    sample_components: int
    sample_participation: float
    intervals: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Layer:
    """The statistics of one site: its contributions and, side by side, its activations.

    `signs` `(N,)` is the correlation over units of excitation and suppression of every sample,
    `sign_correlation` its spread.
    """

    site: str
    units: int
    is_cut: bool
    contribution: Population
    activation: Population
    signs: Float[np.ndarray, " sample"]
    sign_correlation: Spread


@dataclass(frozen=True)
class LayerStatistics(Mapping[str, Layer]):
    """Statistics of every site in the order of depth: a mapping from site to `Layer`.

    `view` is the view of the contributions, `share` the share of the variance, `classes` the
    number of classes, taken from `class_source`. `trends` tells how each quantity goes with depth.
    `labels` `(N,)` are the classes of the samples, `class_names` their names where they are known.
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

    def __getitem__(self, site: str) -> Layer:
        for layer in self.layers:
            if layer.site == site:
                return layer
        raise KeyError(site)

    def __iter__(self) -> Iterator[str]:
        return (layer.site for layer in self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def table(self) -> list[dict[str, Any]]:
        """One row for each site, in the order of depth, with the same columns in each.

        Columns of contributions and activations stand side by side
        (`contribution_sparsity_median`, `activation_sparsity_median`, …).
        """
        return [self._row(depth, layer) for depth, layer in enumerate(self.layers)]

    def to_csv(self, path: str | Path) -> Path:
        """Write the table as CSV (UTF-8) and return its path."""
        return save_table(path, self.table())

    def class_table(self) -> list[dict[str, Any]]:
        """One row for each site and class: samples, mean sparsity and sign correlation."""
        present = np.unique(self.labels[self.labels >= 0])
        rows = []
        for layer in self.layers:
            quantities = {
                "contribution_sparsity": layer.contribution.hoyer,
                "activation_sparsity": layer.activation.hoyer,
                "sign_correlation": layer.signs,
            }
            for label in present.tolist():
                of_class = self.labels == label
                name = label if self.class_names is None else self.class_names[label]
                means = {key: _mean(values[of_class]) for key, values in quantities.items()}
                samples = int(of_class.sum())
                rows.append({"site": layer.site, "class": name, "samples": samples, **means})
        return rows

    def dataset(self) -> xarray.Dataset:
        """Everything with its names, for `to_zarr` and `to_dataframe`, which are xarray's.

        Dimensions are `site` and `source` ("contribution", "activation"), with them `sample`,
        `class` (of the class table) or `unit` (lifetime sparsity of the columns of the view, NaN
        beyond those of a site), and `quantity` (trends with depth). Orders are kept.
        """
        from codeclens.analysis.datasets import layers_dataset

        return layers_dataset(self)

    def sentences(self) -> list[str]:
        """What changes with depth, in plain sentences that are computed from the numbers."""

        return layer_sentences(self)

    def _row(self, depth: int, layer: Layer) -> dict[str, Any]:
        sources = {"contribution": layer.contribution, "activation": layer.activation}
        row: dict[str, Any] = {
            "site": layer.site,
            "depth": depth,
            "units": layer.units,
            "cut": layer.is_cut,
            "samples": self.samples,
            "classes": self.classes,
        }
        for part in ("median", "low", "high", "q25", "q75", "undefined"):
            for source, population in sources.items():
                row[f"{source}_sparsity_{part}"] = getattr(population.sparsity, part)
        for part in ("median", "low", "high"):
            for source, population in sources.items():
                value = getattr(population.lifetime_sparsity, part)
                row[f"{source}_lifetime_sparsity_{part}"] = value
        for part in ("median", "low", "high", "q25", "q75", "undefined"):
            row[f"sign_correlation_{part}"] = getattr(layer.sign_correlation, part)
        for name in DIMENSIONS:
            for source, population in sources.items():
                row[f"{source}_{name}"] = getattr(population, name)
        for name in DRAWN:
            for source, population in sources.items():
                for part, bound in zip(("low", "high"), population.intervals[name], strict=True):
                    row[f"{source}_{name}_{part}"] = bound
        return row


def _mean(values: Float[np.ndarray, " sample"]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


VIEWS: tuple[View, ...] = ("sum", "concat", "positive", "negative")
# Values of one array that are read together (32 MiB in float32).
_READ = 1 << 23


def layer_statistics(
    store: ContributionStore,
    *,
    view: View = "sum",
    share: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> LayerStatistics:
    """Sparsity, dimensionality and sign correlation of every site (method.md §4).

    `view` is which numbers stand for a unit's contribution. The default is the net contribution
    ("sum", one number per unit), because an activation is also one number per unit, so the two can
    be set side by side. In "concat" (positive and negative apart, two numbers per unit) sparsity
    also grows when the two signs merely fall on different units, which is what the sign
    correlation measures already. A class is the label, or the prediction where it is unknown.

    One pass reads every site in parts, so that it need not fit into memory; the results are those
    of all samples together. Depth is the order of the sites in the store. Intervals are 95 %
    bootstrap intervals over samples, `resamples` draws of them (at most 100 of class means, 40 of
    those of more than 200 classes); the intervals of trends draw the same samples at all sites.
    Means of few samples are noisy, which makes dimensions: `mirrored_interval` takes that out.

    Raises CodeclensError for an empty store, an unknown view or values that are not finite.

    >>> import tempfile, torch
    >>> from codeclens.extraction import extract
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> to = tempfile.mkdtemp() + "/contributions.zarr"
    >>> store = extract(model, torch.eye(4), sites=["0", "1"], to=to)
    >>> statistics = layer_statistics(store)
    >>> [row["site"] for row in statistics.table()], statistics["1"].contribution.hoyer.shape
    (['0', '1'], (4,))
    """
    if view not in VIEWS:
        raise CodeclensError(f'view="{view}" is not known; choose one of {", ".join(VIEWS)}.')
    if not len(store) or not store.sites:
        raise CodeclensError(
            f"The store holds {len(store)} samples of {len(store.sites)} sites; "
            "extract some before their statistics are taken."
        )
    labels, source = _classes(store)
    classes = len(np.unique(labels[labels >= 0]))
    # Each draw takes eigenvalues of a matrix of classes: 1,000 of them want a tenth of a second.
    redraw = ClassResampler(labels, min(resamples, 100 if classes <= 200 else 40), seed)
    layers: list[Layer] = []
    dimensions: dict[str, list[Float[np.ndarray, "draw measure"]]] = {s: [] for s in SOURCES}
    for site in store.sites:
        summaries, signs = _summaries(store, site, view, redraw)
        populations = {}
        for name, summary in summaries.items():
            groups = summary.group_means()
            of_classes = (
                covariance_spectrum(means)
                if len(means := redraw.class_means(groups))
                else (
                    np.zeros(1)  # a network whose outputs are no classes
                )
            )
            # Without two samples of a class every draw would be the same, and say nothing.
            drawn = redraw.dimensions(groups, share) if redraw.varies else np.empty((0, 2))
            dimensions[name].append(drawn)
            populations[name] = _population(summary, of_classes, drawn, share, resamples, seed)
        layers.append(
            Layer(
                site,
                store.units(site),
                store.is_cut(site),
                populations["contribution"],
                populations["activation"],
                signs,
                Spread.of(signs, resamples, seed),
            )
        )
    trends = _trends(layers, dimensions, min(resamples, 200), seed)
    return LayerStatistics(
        tuple(layers), view, share, len(store), classes, source, trends, labels, store.classes
    )


def _classes(store: ContributionStore) -> tuple[Int[np.ndarray, " sample"], str]:
    known = np.asarray(store.label) >= 0
    source = "label" if known.all() else "label or prediction" if known.any() else "prediction"
    return np.where(known, store.label, store.prediction).astype(np.int64), source


def _summaries(
    store: ContributionStore, site: str, view: View, redraw: ClassResampler
) -> tuple[dict[str, PopulationSummary], Float[np.ndarray, " sample"]]:
    """What one pass over a site leaves, and the sign correlation of every sample.

    Parts of samples are read, so that a site need not fit into memory.
    """
    found = {name: PopulationSummary(redraw.groups) for name in SOURCES}
    signs = []
    step = max(1, _READ // store.units(site))
    for start in range(0, len(store), step):
        rows = slice(start, start + step)
        positive, negative, activation = (
            store.view(site, part, rows) for part in ("positive", "negative", "activation")
        )
        group = redraw.group[rows]
        for name, kind, values in (
            ("contribution", view, _in_view(view, positive, negative)),
            ("activation", "activation", activation),
        ):
            found[name].add(values, group, f'{kind} of site "{site}"')
        signs.append(sign_correlation(positive, negative))
    return found, np.concatenate(signs)


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
    of_classes: Float[np.ndarray, " component"],
    drawn: Float[np.ndarray, "draw measure"],
    share: float,
    resamples: int,
    seed: int,
) -> Population:
    sparsity, lifetime = summary.hoyer, summary.lifetime
    of_samples = summary.variances()
    return Population(
        sparsity,
        Spread.of(sparsity, resamples, seed),
        lifetime,
        Spread.of(lifetime, resamples, seed),
        spectrum_components(of_classes, share),
        spectrum_participation(of_classes),
        spectrum_components(of_samples, share),
        spectrum_participation(of_samples),
        {
            "class_components": mirrored_interval(
                spectrum_components(of_classes, share), drawn[:, 0]
            ),
            "class_participation": mirrored_interval(
                spectrum_participation(of_classes), drawn[:, 1]
            ),
        },
    )


def _trends(
    layers: list[Layer],
    dimensions: dict[str, list[Float[np.ndarray, "draw measure"]]],
    draws: int,
    seed: int,
) -> dict[str, Trend]:
    """Trends by column of the table; of all samples' dimensionality there are none (too dear)."""
    trends = {}
    for source in SOURCES:
        populations = [getattr(layer, source) for layer in layers]
        trends[f"{source}_sparsity"] = Trend.of(
            np.array([p.sparsity.median for p in populations]),
            redrawn_medians([p.hoyer for p in populations], draws, seed),
        )
        for measure, name in enumerate(DRAWN):
            trends[f"{source}_{name}"] = Trend.of(
                np.array([float(getattr(p, name)) for p in populations]),
                np.stack([site[:, measure] for site in dimensions[source]], axis=1),
            )
    trends["sign_correlation"] = Trend.of(
        np.array([layer.sign_correlation.median for layer in layers]),
        redrawn_medians([layer.signs for layer in layers], draws, seed),
    )
    return trends


def layer_sentences(statistics: LayerStatistics) -> list[str]:
    """The trends of sparsity, dimensionality and sign correlation, one sentence for each source."""
    sites = list(statistics)
    share = f"{100 * statistics.share:g} %"
    quantities = [
        ("sparsity", "Hoyer sparsity of the median sample", "{:.2f}"),
        (
            "class_components",
            f"Number of principal components for {share} of the variance of the "
            f"{statistics.classes} class means",
            "{:.0f}",
        ),
        ("class_participation", "Participation ratio of the class means", "{:.1f}"),
    ]
    lines = [
        f"Statistics of {statistics.samples:,} samples at {len(sites)} "
        f"{'site' if len(sites) == 1 else 'sites'}; contributions in the view "
        f'"{statistics.view}"; classes by {statistics.class_source}; '
        "intervals are 95 % bootstrap intervals over samples."
    ]
    for key, words, number in quantities:
        parts = [
            f"that of {source}s {trend_phrase(statistics.trends[f'{source}_{key}'], sites, number)}"
            for source in ("contribution", "activation")
        ]
        lines.append(f"{words}: " + "; ".join(parts) + ".")
    signs = trend_phrase(statistics.trends["sign_correlation"], sites, "{:.2f}")
    lines.append(
        f"Correlation over units of positive contributions with the size of negative ones {signs}."
    )
    if statistics.samples < FEWEST:
        lines.append(
            f"{statistics.samples} samples are too few for intervals that can be trusted, and to "
            "say whether contributions are sparser than activations."
        )
    else:
        lines.append(_comparison(statistics))
    return lines


def trend_phrase(trend: Trend, sites: list[str], number: str) -> str:
    """One trend in words: first and last value, direction, rank correlation and interval.

    >>> import numpy as np
    >>> trend = Trend(np.array([0.42, 0.5, 0.6, 0.63]), 1.0, 0.5, 1.0)
    >>> trend_phrase(trend, ["a", "b", "c", "d"], "{:.2f}")
    'rises from 0.42 (a) to 0.63 (d), rank correlation with depth 1.00 [0.50, 1.00]'
    """
    first, last = (_number(value, number) for value in (trend.values[0], trend.values[-1]))
    if len(sites) == 1:
        return f"is {first} ({sites[0]})"
    ends = f"{first} ({sites[0]}) to {last} ({sites[-1]})"
    if len(sites) < 3:
        return f"goes from {ends} (two sites are too few for a trend)"
    if math.isnan(trend.rho):
        return f"goes from {ends} (does not vary in a way that has a rank correlation)"
    rho = f"rank correlation with depth {trend.rho:.2f}"
    if math.isnan(trend.low):
        return f"goes from {ends}, {rho} (too few samples of each class for an interval)"
    told = f"{rho} [{trend.low:.2f}, {trend.high:.2f}]"
    change = float(trend.values[-1] - trend.values[0])
    if trend.direction in ("rises", "falls") and (first == last or change * trend.rho <= 0):
        return f"{trend.direction} on the whole, though it goes from {ends}: {told}"
    few = "; three sites are few" if len(sites) == 3 else ""
    return f"{trend.direction} from {ends}, {told}{few}"


def _number(value: float, number: str) -> str:
    return "undefined" if math.isnan(value) else number.format(value)


def _comparison(statistics: LayerStatistics) -> str:
    """At how many sites contributions are sparser than activations, intervals apart."""
    sparser = [
        layer.site
        for layer in statistics.layers
        if layer.contribution.sparsity.low > layer.activation.sparsity.high
    ]
    denser = [
        layer.site
        for layer in statistics.layers
        if layer.contribution.sparsity.high < layer.activation.sparsity.low
    ]
    return (
        f"With intervals that do not overlap, contributions are sparser than activations at "
        f"{len(sparser)} of {len(statistics)} sites and less sparse at {len(denser)}."
    )
