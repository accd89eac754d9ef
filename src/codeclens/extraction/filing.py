"""Filing: the contributions of a batch, into the arrays of a shard."""

from __future__ import annotations

from typing import Any

import numpy as np

from codeclens.attribution import Contributions
from codeclens.errors import CodeclensError
from codeclens.extraction.layout import SAMPLE_ARRAYS, UNIT_ARRAYS, Layout
from codeclens.extraction.maps import maps_of

Arrays = dict[str, np.ndarray[Any, Any]]


def blank(layout: Layout, rows: int) -> Arrays:
    """The arrays of a shard, filled with what stands for a skipped sample."""
    arrays: Arrays = {}
    for name, (dtype, row) in layout.arrays.items():
        fill = SAMPLE_ARRAYS[name][1] if name in SAMPLE_ARRAYS else np.nan
        arrays[name] = np.full((rows, *row), fill, dtype=object if dtype == "str" else dtype)
    return arrays


def file(found: Contributions, arrays: Arrays, places: list[int], layout: Layout) -> None:
    """Put the contributions of a batch into the rows `places` of a shard."""
    if list(found) != [site.key for site in layout.sites]:
        raise CodeclensError(
            f"The model's sites are now {', '.join(found)}, and were "
            f"{', '.join(site.key for site in layout.sites)}; name sites that every input reaches."
        )
    for name in ("prediction", "target", "baseline_target", "estimate", "steps"):
        values = getattr(found, name)
        if values is not None:
            arrays[name][places] = values.cpu().numpy()
    for site in layout.sites:
        at_site = found[site.key]
        parts = {part: getattr(at_site, part) for part in (*UNIT_ARRAYS, "completeness")}
        if at_site.full is not None:
            parts |= maps_of(at_site.site, at_site.full, site.maps, site.grid)
        for part, values in parts.items():
            name, what = f"sites/{site.group}/{part}", f'"{part}" at {site.key}'
            arrays[name][places] = _narrowed(values.cpu().numpy(), arrays[name].dtype, what)


def _narrowed(
    values: np.ndarray[Any, Any], dtype: np.dtype[Any], what: str
) -> np.ndarray[Any, Any]:
    """Values in the type of the store; raises CodeclensError where they do not fit into it."""
    largest, limit = float(np.abs(values).max(initial=0)), float(np.finfo(dtype).max)
    if largest > limit:
        raise CodeclensError(
            f"Values of {what} reach {largest:.3g}, more than {dtype} holds ({limit:.3g}); "
            'extract to another path with dtype="float32".'
        )
    return values.astype(dtype)
