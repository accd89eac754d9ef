"""Files of a run: tables, labelled arrays, figures and sentences of what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from codeclens.analysis import LayerStatistics, Semantics, layer_figure, semantics_figure
from codeclens.decomposition import Modes, ModesBySite
from codeclens.files import write_whole
from codeclens.labelled import columns_of, save_dataset, save_table
from codeclens.visualization import save

if TYPE_CHECKING:
    import xarray


def save_sentences(path: Path, sentences: Sequence[str]) -> None:
    """Write sentences, one a line."""
    write_whole(path, "".join(f"{sentence}\n" for sentence in sentences))


def write_layers(statistics: LayerStatistics, to: Path) -> None:
    """Write layers.csv, .zarr, .png and .svg, classes.csv and sentences.txt."""
    statistics.to_csv(to / "layers.csv")
    save_table(to / "classes.csv", statistics.class_table())
    save_dataset(to / "layers.zarr", statistics.to_xarray())
    save_sentences(to / "sentences.txt", statistics.sentences())
    save(layer_figure(statistics), to / "layers")


def write_semantics(meanings: Semantics, to: Path) -> None:
    """Write semantics.csv, .zarr, .png and .svg, and features.csv."""
    meanings.to_csv(to / "semantics.csv")
    save_table(to / "features.csv", meanings.features_table())
    save_dataset(to / "semantics.zarr", meanings.to_xarray())
    save(semantics_figure(meanings), to / "semantics")


def write_modes(modes: Mapping[str, Modes], to: Path, meanings: Semantics | None = None) -> None:
    """Write modes.csv and modes.zarr; nothing where there are none."""
    rows = modes_table(modes, meanings)
    if rows:
        save_table(to / "modes.csv", rows)
        save_dataset(to / "modes.zarr", modes_dataset(rows, modes))


def modes_table(
    modes: Mapping[str, Modes], meanings: Semantics | None = None
) -> list[dict[str, Any]]:
    """One row for each mode of each site, with its name where there are labels."""
    rows: list[dict[str, Any]] = ModesBySite(modes).modes_dataframe().to_dict("records")
    if meanings is None:
        return rows
    of_mode = {
        (row["site"], row["mode"]): row
        for source in ("modes", "activation_modes")
        for row in meanings.modes_table(source).to_dict("records")
    }
    return [row | of_mode[row["site"], row["mode"]] for row in rows]


def modes_dataset(rows: Sequence[Mapping[str, Any]], modes: Mapping[str, Modes]) -> xarray.Dataset:
    """The table along the dimension `mode`, and by `site` what the modes explain together."""
    import xarray

    columns = columns_of(rows, "mode")
    coordinates: dict[str, Any] = {
        "mode_site": columns.pop("site"),
        "mode_number": columns.pop("mode"),
        "site": np.array(list(modes), object),
    }
    del columns["r2"]  # by site
    of_sites = {
        "view": np.array([one.view for one in modes.values()], object),
        "r2": np.array([one.r2 for one in modes.values()]),
        "l0": np.array([one.l0 for one in modes.values()]),
    }
    table = columns | {name: ("site", values) for name, values in of_sites.items()}
    return xarray.Dataset(table, coordinates)
