"""Datasets: layer statistics, semantics and flow as labelled arrays, for xarray and Zarr."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from codeclens.analysis.layers import DIMENSIONS, DRAWN, SOURCES
from codeclens.analysis.trend import Trend
from codeclens.labelled import columns_of, labels

if TYPE_CHECKING:
    import xarray

    from codeclens.analysis.agreement import Agreement
    from codeclens.analysis.flow_results import Flow
    from codeclens.analysis.layers import LayerStatistics
    from codeclens.analysis.semantics_results import Semantics

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


def semantics_dataset(semantics: Semantics) -> xarray.Dataset:
    """Semantics by site, source, follower, class and superclass; see `Semantics.dataset`."""
    import xarray

    sources = list(dict.fromkeys(source for found in semantics.values() for source in found))
    rows = semantics.table()
    table: dict[str, Any] = {}
    for name in (rows or [{}])[0]:
        if name in ("site", "depth", "source", "samples", "threshold"):
            continue
        values = np.full((len(semantics), len(sources)), np.nan)
        for row in rows:
            values[row["depth"], sources.index(row["source"])] = row[name]
        table[name] = _BY_SOURCE, values
    every = [one for found in semantics.values() for one in found.values()]
    followers = columns_of(semantics.followers_table(), "follower")
    coordinates: dict[str, Any] = {
        "site": labels(list(semantics)),
        "source": labels(sources),
        "class": labels(semantics.classes),
        **{f"follower_{name}": followers.pop(name) for name in ("site", "source", "number")},
    }
    for what in ("class", "superclass"):  # dimensions are called so
        if what in followers:
            table[f"closest_{what}"] = followers.pop(what)
    table |= followers
    table["correlation"] = ("follower", "class"), np.concatenate([m.correlation for m in every])
    if semantics.superclasses:
        coordinates["superclass"] = labels(semantics.superclasses)
        found = np.concatenate([m.superclass_correlation for m in every])
        table["correlation_with_superclass"] = ("follower", "superclass"), found
    table |= trends(semantics.trends, coordinates)
    about = {"samples": semantics.samples, **dataclasses.asdict(semantics.criteria)}
    return xarray.Dataset(table, coordinates, about)


def flow_dataset(flow: Flow) -> xarray.Dataset:
    """Flow by edge, passage, sample, pair and part; see `Flow.dataset`."""
    import xarray

    sites = flow.sites
    parts = [(site, mode) for site in sites for mode in range(len(flow.names[site]) + 1)]
    contributions = np.concatenate([flow.contributions[site].toarray() for site in sites], axis=1)
    edges = columns_of(flow.table(), "edge")
    passages = [one.joint.tocoo() for one in flow.pairs]
    place = np.concatenate([found.coords[1] for found in passages])
    width = np.concatenate(
        [
            np.full(found.nnz, one.shape[1] + 1)
            for one, found in zip(flow.pairs, passages, strict=True)
        ]
    )
    table: dict[str, Any] = {f"edge_{name}": values for name, values in edges.items()}
    table |= {
        "passage_sample": ("passage", np.concatenate([found.coords[0] for found in passages])),
        "passage_pair": (
            "passage",
            np.repeat(np.arange(len(passages)), [found.nnz for found in passages]),
        ),
        "passage_source_mode": ("passage", place // width),
        "passage_sink_mode": ("passage", place % width),
        "passage_flow": ("passage", np.concatenate([found.data for found in passages])),
        "contribution": (("sample", "part"), contributions),
        "target": ("sample", flow.target),
        "baseline_target": ("sample", flow.baseline_target),
        "explained": ("pair", [one.explained for one in flow.pairs]),
        "cut": ("pair", [one.cut for one in flow.pairs]),
        "total_gap": (("pair", "sample"), [one.completeness for one in flow.pairs]),
        "source_gap": (("pair", "sample"), [one.gaps[:, 0] for one in flow.pairs]),
        "sink_gap": (("pair", "sample"), [one.gaps[:, 1] for one in flow.pairs]),
    }
    coordinates = {
        "sample": flow.samples,
        "pair_source": ("pair", labels([one.source for one in flow.pairs])),
        "pair_sink": ("pair", labels([one.sink for one in flow.pairs])),
        "part_site": ("part", labels([site for site, _ in parts])),
        "part_mode": ("part", [mode for _, mode in parts]),
        "part_name": ("part", labels([flow.name(*part) for part in parts])),
    }
    return xarray.Dataset(table, coordinates)


def agreement_dataset(agreement: Agreement) -> xarray.Dataset:
    """Interventions by triple, and their table by row; see `Agreement.dataset`."""
    import xarray

    table: dict[str, Any] = {
        name: ("triple", getattr(agreement, name))
        for name in ("sample", "i", "j", "effect", "held")
    }
    foretold = list(agreement.foretold)
    table["foretold"] = (
        ("foretold_by", "triple"),
        np.stack([agreement.foretold[name] for name in foretold]),
    )
    ranks = agreement.table()
    table |= {f"rank_{name}": values for name, values in columns_of(ranks, "rank").items()}
    return xarray.Dataset(
        table,
        {"foretold_by": labels(foretold)},
        {"source": agreement.source, "sink": agreement.sink},
    )


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
