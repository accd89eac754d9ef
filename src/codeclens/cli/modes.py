"""Modes in `codeclens analyze`: one table for all sites, and how much the modes explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from codeclens.analysis import Semantics, columns_of, save_dataset, save_table
from codeclens.decomposition import Modes
from codeclens.report import overview

if TYPE_CHECKING:
    import xarray

# Below this R² modes leave out more than they tell.
_HALF = 0.5


def apart(modes: Mapping[str, Modes]) -> tuple[dict[str, Modes], dict[str, Modes]]:
    """Modes of contributions and modes of activations."""
    activating = {site: found for site, found in modes.items() if found.view == "activation"}
    return {site: modes[site] for site in modes if site not in activating}, activating


def modes_sentences(modes: Mapping[str, Modes]) -> list[str]:
    """How much modes explain, which one must know before one trusts what is said of them."""
    lines = []
    for group in apart(modes):
        if not group:
            continue
        lines.append(overview(group).replace("`", ""))
        low = [f"{site} ({one.r2:.2f})" for site, one in group.items() if one.r2 < _HALF]
        if low:
            lines.append(
                f"R² is below {_HALF:g} at {', '.join(low)}: what is said of modes there leaves "
                "out the larger part."
            )
    return lines


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
    rows = [row for found in modes.values() for row in found.table()]
    if meanings is None:
        return rows
    told = [*meanings.modes_table("modes"), *meanings.modes_table("activation_modes")]
    of_mode = {(row["site"], row["mode"]): row for row in told}
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
