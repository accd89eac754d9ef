"""What layer statistics are: the numbers of every site, as a table, as a file and in words."""

from __future__ import annotations

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
        from codeclens.analysis.layer_words import layer_sentences

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
