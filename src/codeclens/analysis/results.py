"""What layer statistics are: the numbers of every site, as a table, as a file and in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from codeclens.analysis.statistics import bootstrap_interval
from codeclens.analysis.tables import save_table
from codeclens.analysis.trend import Trend

if TYPE_CHECKING:
    import xarray

SOURCES = ("contribution", "activation")
DIMENSIONS = (
    "class_components",
    "class_participation",
    "sample_components",
    "sample_participation",
)


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
    of the variance, and participation ratio.
    """

    hoyer: Float[np.ndarray, " sample"]
    sparsity: Spread
    lifetime: Float[np.ndarray, " unit"]
    lifetime_sparsity: Spread
    class_components: int
    class_participation: float
    sample_components: int
    sample_participation: float


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
        """Everything with its names: by site and source, and by site, source and sample.

        Dimensions are `site`, `source` ("contribution", "activation") and `sample`; sites and
        samples keep their order. `to_zarr` and `to_dataframe` are xarray's.
        """
        import xarray

        layers = self.layers
        sources = [[layer.contribution, layer.activation] for layer in layers]
        table: dict[str, Any] = {
            name: (("site", "source"), [[getattr(p, name) for p in pair] for pair in sources])
            for name in DIMENSIONS
        }
        for name in ("sparsity", "lifetime_sparsity"):
            for part in ("median", "low", "high"):
                values = [[getattr(getattr(p, name), part) for p in pair] for pair in sources]
                table[f"{name}_{part}"] = ("site", "source"), values
        for part in ("median", "low", "high"):
            values = [getattr(layer.sign_correlation, part) for layer in layers]
            table[f"sign_correlation_{part}"] = "site", values
        hoyers = np.stack([np.stack([p.hoyer for p in pair]) for pair in sources])
        table["hoyer"] = ("site", "source", "sample"), hoyers
        table["signs"] = ("site", "sample"), np.stack([layer.signs for layer in layers])
        table["units"] = "site", [layer.units for layer in layers]
        # As objects: text of a fixed length has no specification in Zarr 3.
        names = {"site": np.array(list(self), object), "source": np.array(SOURCES, object)}
        coordinates = {**names, "label": ("sample", self.labels)}
        about = {"view": self.view, "share": self.share, "class_source": self.class_source}
        return xarray.Dataset(table, coordinates, about)

    def sentences(self) -> list[str]:
        """What changes with depth, in plain sentences that are computed from the numbers."""
        return _sentences(self)

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
        return row


# Below this many samples bootstrap intervals are far too narrow to compare by.
FEWEST = 20


def _sentences(statistics: LayerStatistics) -> list[str]:
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


def _mean(values: Float[np.ndarray, " sample"]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


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
