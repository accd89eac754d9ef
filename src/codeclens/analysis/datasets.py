"""Datasets: layer statistics, semantics and flow as labelled arrays, for xarray and Zarr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from codeclens.analysis.results import DIMENSIONS, DRAWN, SOURCES
from codeclens.analysis.tables import labels
from codeclens.analysis.trend import Trend

if TYPE_CHECKING:
    import xarray

    from codeclens.analysis.results import LayerStatistics

_BY_SOURCE = ("site", "source")


def layers_dataset(statistics: LayerStatistics) -> xarray.Dataset:
    """Layer statistics by site, source, sample, class and unit; see `LayerStatistics.dataset`."""
    import xarray

    layers = statistics.layers
    sources = [[layer.contribution, layer.activation] for layer in layers]
    table: dict[str, Any] = {
        name: (_BY_SOURCE, [[getattr(p, name) for p in pair] for pair in sources])
        for name in DIMENSIONS
    }
    for name in DRAWN:
        for number, part in enumerate(("low", "high")):
            bounds = [[p.intervals[name][number] for p in pair] for pair in sources]
            table[f"{name}_{part}"] = _BY_SOURCE, bounds
    for name in ("sparsity", "lifetime_sparsity"):
        for part in ("median", "low", "high"):
            values = [[getattr(getattr(p, name), part) for p in pair] for pair in sources]
            table[f"{name}_{part}"] = _BY_SOURCE, values
    for part in ("median", "low", "high"):
        values = [getattr(layer.sign_correlation, part) for layer in layers]
        table[f"sign_correlation_{part}"] = "site", values
    table["hoyer"] = (*_BY_SOURCE, "sample"), [[p.hoyer for p in pair] for pair in sources]
    table["signs"] = ("site", "sample"), [layer.signs for layer in layers]
    table["lifetime"] = (
        (*_BY_SOURCE, "unit"),
        padded([[p.lifetime for p in pair] for pair in sources]),
    )
    table["units"] = "site", [layer.units for layer in layers]
    coordinates = {
        "site": labels(list(statistics)),
        "source": labels(SOURCES),
        "label": ("sample", statistics.labels),
    }
    table |= _classes(statistics, coordinates) | trends(statistics.trends, coordinates)
    about = {
        "view": statistics.view,
        "share": statistics.share,
        "class_source": statistics.class_source,
    }
    return xarray.Dataset(table, coordinates, about)


def _classes(statistics: LayerStatistics, coordinates: dict[str, Any]) -> dict[str, Any]:
    """The class table; nothing where there are no classes."""
    rows = statistics.class_table()
    if not rows:
        return {}
    count = len(rows) // len(statistics)
    coordinates["class"] = labels([row["class"] for row in rows[:count]])

    def column(name: str) -> np.ndarray[Any, Any]:
        return np.array([row[name] for row in rows]).reshape(len(statistics), count)

    by_source = [column(f"{source}_sparsity") for source in SOURCES]
    return {
        "class_samples": ("class", column("samples")[0]),
        "class_sparsity": ((*_BY_SOURCE, "class"), np.stack(by_source, axis=1)),
        "class_sign_correlation": (("site", "class"), column("sign_correlation")),
    }


def trends(found: Mapping[str, Trend], coordinates: dict[str, Any]) -> dict[str, Any]:
    """Rank correlations with depth and their intervals, by the name of the quantity."""
    coordinates["quantity"] = labels(list(found))
    return {
        f"trend_{part}": ("quantity", [getattr(trend, part) for trend in found.values()])
        for part in ("rho", "low", "high")
    }


def padded(rows: Sequence[Sequence[np.ndarray[Any, Any]]]) -> np.ndarray[Any, Any]:
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
