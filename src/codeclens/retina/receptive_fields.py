"""Receptive fields at every moment: what a change of each pixel would do to a cell's rate now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from codeclens.attribution import Selector
from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError
from codeclens.retina.clips import Cells, Clips, cells_of, clips_of
from codeclens.retina.movies import Movie
from codeclens.retina.parts import Found, Where, named, parts_of
from codeclens.retina.passes import passes

if TYPE_CHECKING:
    import xarray

Frames = Sequence[int] | np.ndarray[Any, Any] | slice | None
UNITS = "Hz per stimulus unit"


def receptive_fields(
    model: nn.Module,
    movie: Movie | Tensor,
    *,
    cells: Cells = None,
    frames: Frames = None,
    history: int | None = None,
    output: Selector = None,
    at_once: int = 64,
) -> xarray.DataArray:
    """The instantaneous receptive field `IRF(t) = ∂r/∂s` of every cell at every frame.

    `model` takes windows `(B, history, H, W)` and gives rates `(B, cells)` in Hz; `movie` is a
    Movie, or for a ResponseModel also windows that were cut already. `frames` are rows of
    `model.respond(movie)`, `cells` names or numbers; None means all. A model that is no
    ResponseModel needs `history`. `output` explains a tensor inside the network instead, for
    example `model.drive`, in its own unit.

    Returns `(time, cell, lag, y, x)` in Hz per unit of the stimulus; `lag` is in s before the
    frame, oldest first, `y` and `x` are the middles of the pixels from the upper left corner.
    `at_once` windows run together: one forward, and one backward for each cell. Raises
    CodeclensError for an unknown cell or row, and a movie of another clock or scale.

    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Conv2d(5, 3, 3), nn.Softplus(), nn.Flatten(), nn.Linear(48, 2))
    >>> movie = Movie(torch.randn(20, 6, 6), rate=50.0, pixel=50.0, unit="um")
    >>> fields = receptive_fields(model, movie, history=5)
    >>> dict(fields.sizes)
    {'time': 16, 'cell': 2, 'lag': 5, 'y': 6, 'x': 6}
    """
    clips = clips_of(model, movie, frames, history)
    kept = []
    with passes(model, clips.windows, None, output) as forward:
        for windows in clips.windows.split(_portion(at_once)):
            here = forward(windows)
            numbers, names = cells_of(model, cells, here.rates.shape[1])
            kept.append(torch.stack([here.field(cell) for cell in numbers], dim=1).cpu().numpy())
    return _labelled(clips, np.concatenate(kept), {"cell": names}, output)


def field_parts(
    model: nn.Module,
    movie: Movie | Tensor,
    where: Where,
    found: Found = None,
    *,
    cells: Cells = None,
    frames: Frames = None,
    history: int | None = None,
    output: Selector = None,
    at_once: int = 16,
) -> xarray.DataArray:
    """Divide every receptive field exactly among the channels, or the modes, of a site.

    `IRF = Σ_u ∂r/∂a_u · ∂a_u/∂s` (METHOD.md §7): what arrives at the site from the rate is
    restricted to a part's share and passed back to the stimulus. `where` is a site, whose channels
    are the parts, or `Modes`: of unit u mode m has the share `l_m D_mu / Σ l D`, at each position
    of the sign that the unit has there, and the remainder is what no mode carries. `found` are then
    the contributions of all windows, `contributions(model, movie.windows(history), …)`; with
    `reduce=None` signs are those of each position, else a unit's share is the mean of both.

    Returns `(time, cell, channel | mode, lag, y, x)` whose sum over parts is the field. Where the
    site is no cut the part "bypass" is what reaches the rate without passing it. All arguments
    else, and errors, are those of `receptive_fields`; choose frames, since the result is as large
    as all parts of all fields. Raises CodeclensError also for contributions that do not belong to
    the modes or the movie.

    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Conv2d(5, 3, 3), nn.Softplus(), nn.Flatten(), nn.Linear(48, 2))
    >>> movie = Movie(torch.randn(20, 6, 6), rate=50.0, pixel=50.0, unit="um")
    >>> parts = field_parts(model, movie, "1", history=5)
    >>> dict(parts.sizes)["channel"]
    3
    >>> whole = receptive_fields(model, movie, history=5)
    >>> bool(abs(parts.sum("channel") - whole).max() < 1e-5 * abs(whole).max())
    True
    """
    clips = clips_of(model, movie, frames, history)
    total = len(clips_of(model, movie, None, history))
    kept = []
    site = where.site if isinstance(where, Modes) else where
    parts = None
    with passes(model, clips.windows, site, output) as forward:
        for portion in np.array_split(np.arange(len(clips)), -(-len(clips) // _portion(at_once))):
            here = forward(clips.windows[torch.from_numpy(portion)])
            assert here.activation is not None
            assert forward.site is not None
            if parts is None:
                units = forward.site.units(here.activation.detach()[:1]).shape[1]
                parts = parts_of(model, where, found, forward.site, units, total)
            numbers, cell_names = cells_of(model, cells, here.rates.shape[1])
            mine = parts.rows(clips.rows[portion])
            of_cells = []
            for cell in numbers:
                gain = here.gain(cell)
                fields = [here.back(gain * mine.share(k, gain)) for k in range(len(mine.names))]
                if not forward.is_cut:
                    fields.append(here.field(cell) - torch.stack(fields).sum(dim=0))
                of_cells.append(torch.stack(fields, dim=1))
            kept.append(torch.stack(of_cells, dim=1).cpu().numpy())
        assert parts is not None
        names = {"cell": cell_names, parts.kind: named(parts, forward.is_cut)}
    return _labelled(clips, np.concatenate(kept), names, output)


def separable(fields: xarray.DataArray) -> xarray.Dataset:
    """The best product of a time course and a map for each field, and how much of it that is.

    Of `fields` `(…, lag, y, x)` the singular value decomposition of lag × place gives `temporal`
    `(…, lag)`, which carries the unit and the sign, `spatial` `(…, y, x)` of norm 1 whose largest
    entry is positive, and `power` `(…)`, the share of the field's squared norm that the product
    has: 1 for a separable field, NaN for one that is zero.

    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Conv2d(5, 3, 3), nn.Softplus(), nn.Flatten(), nn.Linear(48, 2))
    >>> movie = Movie(torch.randn(20, 6, 6), rate=50.0, pixel=50.0, unit="um")
    >>> split = separable(receptive_fields(model, movie, history=5))
    >>> split.spatial.dims, bool((split.power <= 1).all())
    (('time', 'cell', 'y', 'x'), True)
    """
    import xarray

    if fields.dims[-3:] != ("lag", "y", "x"):
        raise CodeclensError(f"Fields end in the axes lag, y, x; these have {fields.dims}.")
    values = fields.to_numpy()
    outer = fields.dims[:-3]
    shape = values.shape
    left, size, right = np.linalg.svd(
        values.reshape(*shape[:-2], -1).astype(np.float64), full_matrices=False
    )
    first, place = left[..., 0] * size[..., :1], right[..., 0, :]
    peak = np.abs(place).argmax(axis=-1, keepdims=True)
    sign = np.sign(np.take_along_axis(place, peak, axis=-1))
    total = np.square(size).sum(axis=-1)
    power = np.where(total > 0, np.square(size[..., 0]) / np.where(total > 0, total, 1), np.nan)
    return xarray.Dataset(
        {
            "temporal": ((*outer, "lag"), first * sign, fields.attrs),
            "spatial": ((*outer, "y", "x"), (place * sign).reshape(*shape[:-3], *shape[-2:])),
            "power": (outer, power),
        },
        coords=fields.coords,
    )


def field_cosine(fields: xarray.DataArray, truth: xarray.DataArray) -> xarray.DataArray:
    """How like two models' receptive fields are at each moment, whatever their size.

    Both are `(…, lag, y, x)` of the same moments, cells and pixels; returns their cosine `(…)`, NaN
    where one of them is zero. Models whose rates agree need not have the same fields (METHOD.md
    §7). Raises CodeclensError where shapes differ.

    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(180, 2))
    >>> movie = Movie(torch.randn(9, 6, 6), rate=50.0, pixel=50.0, unit="um")
    >>> fields = receptive_fields(model, movie, history=5)
    >>> float(field_cosine(fields, -3 * fields).mean())
    -1.0
    """
    if fields.shape != truth.shape or fields.dims[-3:] != ("lag", "y", "x"):
        raise CodeclensError(
            f"The fields are {fields.dims} {fields.shape} and {truth.dims} {truth.shape}; pass the "
            "same moments, cells and pixels of both."
        )
    one, other = (
        values.to_numpy().astype(np.float64).reshape(*values.shape[:-3], -1)
        for values in (fields, truth)
    )
    size = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    cosine = (one * other).sum(axis=-1) / np.where(size > 0, size, np.nan)
    return fields.isel(lag=0, y=0, x=0, drop=True).copy(data=cosine).assign_attrs(units="1")


def _labelled(
    clips: Clips, values: np.ndarray[Any, Any], names: dict[str, Any], output: Selector
) -> xarray.DataArray:
    units = UNITS if output is None else f"{output} per stimulus unit"
    return clips.labelled(values, names, units)


def _portion(at_once: int) -> int:
    if at_once < 1:
        raise CodeclensError(f"At least one window is taken at once, not at_once={at_once}.")
    return at_once
