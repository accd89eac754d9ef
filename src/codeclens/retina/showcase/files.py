"""Files of the showcase: labelled arrays as one Zarr store, tables as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from codeclens.analysis import save_table
from codeclens.analysis.tables import save_dataset
from codeclens.errors import CodeclensError
from codeclens.retina.removals import removal_agreement
from codeclens.retina.showcase.showing import Showcase

if TYPE_CHECKING:
    from collections.abc import Mapping

STORE, MADE_BY = "retina.zarr", "codeclens retina demo"
TABLES = (
    "fit", "modes", "recovery", "matrix", "combinations", "changes", "explained", "removals",
)  # fmt: skip


def showcase_dataset(shown: Showcase) -> xr.Dataset:
    """Contributions, rates, pathways and modes, by time, cell, layer, channel and mode.

    `dictionary` has the exciting and the inhibiting half of each mode by `sign`; layers with fewer
    channels or modes are filled up with NaN.
    """
    found = shown.contributions
    layers = [str(name) for name in found.layer.to_numpy()]
    modes = [shown.modes[layer] for layer in layers]
    channels, most = found.sizes["channel"], max(len(one) for one in modes)
    loadings = np.full((len(shown.times), len(layers), most), np.nan)
    dictionary = np.full((len(layers), most, 2, channels), np.nan)
    for place, one in enumerate(modes):
        loadings[:, place, : len(one)] = one.loadings
        halves = np.asarray(one.dictionary).reshape(len(one), 2, -1)
        dictionary[place, : len(one), :, : halves.shape[2]] = halves
    whole = np.isin(np.arange(len(shown.times)), shown.split.held_out)
    return found.assign(
        circuit_rate=(("time", "cell"), shown.truth, {"units": "Hz"}),
        pathway=(("time", "cell", "interneuron"), shown.paths.contributions.numpy(),
                 {"units": "Hz"}),
        loading=(("time", "layer", "mode"), loadings, {"units": "Hz"}),
        dictionary=(("layer", "mode", "sign", "channel"), dictionary),
        held_out=("time", whole),
        r=("cell", shown.r),
    ).assign_coords(
        mode=np.arange(most),
        sign=np.array(["positive", "negative"], object),
        interneuron=np.array(shown.paths.names, object),
    )  # fmt: skip


def save_showcase(shown: Showcase, folder: Path) -> list[Path]:
    """Write `retina.zarr` and the tables into a folder, in the place of those of another run.

    The store is a tree (`xarray.open_datatree`): `film` holds contributions, rates, pathways and
    modes, and beside it lie `fields` (of network and circuit, by time, cell, lag, y, x), `groups`,
    `matrix`, `explained`, `removals` and `blocks`. Raises CodeclensError where a store of that name
    is not of a showcase.
    """
    refuse_others(folder)
    fields = xr.Dataset(
        {"field": shown.fields, "circuit_field": shown.true_fields, "cosine": shown.cosine}
    )
    parts = {
        "film": showcase_dataset(shown),
        "fields": fields,
        "groups": shown.groups.assign(circuit_field=shown.true_groups),
        "matrix": shown.matrix,
        "explained": shown.explained,
        "removals": shown.removals,
        "blocks": shown.blocks,
    }
    tree = xr.DataTree.from_dict({name: _plain(part) for name, part in parts.items()})
    tree.attrs["made_by"] = MADE_BY
    store = save_dataset(folder / STORE, tree)
    tables = {
        "fit": [
            {"cell": str(cell), "r": float(r), "rate": float(a), "circuit_rate": float(b)}
            for cell, r, a, b in zip(shown.model.cells, shown.r, shown.rates.mean(axis=0),
                                     shown.truth.mean(axis=0), strict=True)
        ],
        "modes": [
            {"layer": site, "modes": len(one), **{k: float(one.quality[k])
                                                  for k in ("r2_train", "r2", "l0")}}
            for site, one in shown.modes.items()
        ],
        "recovery": _rows(shown.recovery),
        "matrix": _rows(shown.matrix),
        "combinations": _rows(shown.together),
        "changes": [
            {"of": name, "part": row[str(found.share.dims[-1])],
             **{key: row[key] for key in ("cell", "before", "after", "share", "gain", "gating")}}
            for name, found in shown.changes.items()
            for row in _rows(found)
        ],
        "explained": _rows(shown.explained),
        "removals": _rows(removal_agreement(shown.removals)
                          [["rate_correlation", "rate_slope", "field_cosine", "field_slope"]]),
    }  # fmt: skip
    return [store, *(save_table(folder / f"{name}.csv", rows) for name, rows in tables.items())]


def refuse_others(folder: Path) -> None:
    """Raises CodeclensError where what would be replaced is no showcase's."""
    about = folder / STORE / "zarr.json"
    if about.is_file() and MADE_BY in about.read_text(encoding="utf-8"):
        return
    names = (STORE, "report.html", *(f"{name}.csv" for name in TABLES))
    there = [name for name in names if (folder / name).exists()]
    if there:
        raise CodeclensError(
            f"{folder / there[0]} is there and was not written by {MADE_BY}; pass another --to."
        )


def _plain(dataset: xr.Dataset) -> xr.Dataset:
    """Text as objects, which Zarr has a specification for."""
    texts: Mapping[Any, Any] = {
        name: (one.dims, np.array([str(value) for value in one.to_numpy()], object))
        for name, one in dataset.coords.items()
        if one.dtype.kind in "OU" and one.ndim == 1
    }
    return dataset.assign_coords(texts)


def _rows(dataset: xr.Dataset) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = dataset.to_dataframe().reset_index().to_dict("records")
    return rows
