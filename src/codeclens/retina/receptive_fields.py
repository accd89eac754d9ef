"""Instantaneous receptive fields: the derivative of each cell's rate by each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.attribution import Selector
from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError, require_number
from codeclens.retina.changes import field_products
from codeclens.retina.movies import Movie
from codeclens.retina.passes import (
    Cells,
    Clips,
    Found,
    Where,
    cells_of,
    clips_of,
    named,
    part_kinds,
    parts_of,
    passes,
)
from codeclens.retina.population import Loadings, loadings_of

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

    `model` maps windows `(B, history, H, W)` to rates `(B, cells)` in Hz; `movie` is a Movie or,
    for a ResponseModel, windows that are already cut. `frames` are rows of `model.respond(movie)`,
    `cells` names or numbers; None means all. A model that is not a ResponseModel needs `history`.
    `output` selects a tensor inside the network instead of the rates, such as `model.drive`, in its
    own unit.

    Returns `(time, cell, lag, y, x)` in Hz per unit of the stimulus, and `(time, cell, colour, lag,
    y, x)` for films in colour; `lag` is in s before the frame, oldest first, `y` and `x` are the
    centres of the pixels from the upper left corner.
    `at_once` windows run together, with one backward pass for each cell. Raises CodeclensError for
    an unknown cell or row, and for a movie of another clock or scale.

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

    `IRF = Σ_u ∂r/∂a_u · ∂a_u/∂s` (method.md §7): the gradient at the site is restricted to a part's
    share and passed back to the stimulus. `where` is a site, whose channels are the parts, or
    `Modes`: mode m has the share `l_m D_mu / Σ l D` of unit u, at each position that of the sign
    which the unit has there, and the remainder is the share that no mode explains. `found` are then
    the contributions of all windows, `contributions(model, movie.windows(history), …)`; with
    `reduce=None` the sign of each position is known, else a unit's share is the mean of both signs.

    Returns `(time, cell, channel | mode, lag, y, x)`; the sum over parts is the field. The parts
    "remainder" and, where some paths to the rates avoid the site, "bypass" belong to the sum but
    are no modes or channels, as the coordinate `part` says: `found[:, :, found.part == "mode"]` are
    the modes alone. The other arguments and errors are those of `receptive_fields`; choose frames,
    since the result is as large as all parts of all fields. Raises CodeclensError also for
    contributions that do not match the modes or the movie.

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
        parted = named(parts, forward.is_cut)
        kind = parts.kind
    found_parts = _labelled(clips, np.concatenate(kept), {"cell": cell_names, kind: parted}, output)
    return found_parts.assign_coords(part=(kind, part_kinds(parted, kind)))


def separable(fields: xarray.DataArray) -> xarray.Dataset:
    """The best product of a time course and a map for each field, and its share of the power.

    The singular value decomposition of `fields` `(…, lag, y, x)` over lag × place gives `temporal`
    `(…, lag)`, with the unit and the sign; `spatial` `(…, y, x)` of norm 1, with a positive largest
    entry; and `power` `(…)`, the product's share of the squared norm: 1 for a separable field, NaN
    for a field of zeros.

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
    """The cosine similarity of two models' receptive fields at each moment.

    Both are `(…, lag, y, x)` of the same moments, cells and pixels; returns `(…)`, NaN where one of
    them is zero. Models with the same rates need not have the same fields (method.md §7). Raises
    CodeclensError where shapes differ.

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
    require_number("at_once", at_once, least=1)
    return at_once


NONE = "none"


def prevailing(modes: Loadings, together: int = 1) -> np.ndarray[Any, Any]:
    """The strongest mode, or the strongest few `together`, in each frame, as text `(time,)`.

    The strength of a mode of Modes is its contribution, the loading times the sum of its entries;
    for plain loadings it is the loading. "none" where fewer are above zero.

    >>> prevailing(np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]]), together=2)
    array(['1+2', 'none'], dtype=object)
    """
    Z = loadings_of(modes)
    require_number("together", together, least=1, most=Z.shape[1], whole=True, hint="modes")
    if isinstance(modes, Modes):
        Z = Z * np.abs(modes.dictionary).sum(axis=1)
    strongest = np.argsort(-Z, axis=1, kind="stable")[:, :together]
    enough = np.take_along_axis(Z, strongest, axis=1).min(axis=1) > 0
    names = ["+".join(map(str, sorted(row))) for row in strongest.tolist()]
    return np.array(
        [name if one else NONE for name, one in zip(names, enough, strict=True)], object
    )


def grouped_fields(
    fields: xarray.DataArray,
    modes: Loadings,
    *,
    together: int = 1,
    least: int = 5,
    draws: int = 200,
    shortest: int = 50,
    seed: int = 0,
) -> xarray.Dataset:
    """The mean receptive field of every cell while each mode (or combination) is the strongest.

    `fields` is `(time, cell, lag, y, x)`, `modes` are Modes or loadings of the same frames; groups
    are those of `prevailing`, without "none" and those of fewer than `least` frames.

    Returns `field` `(group, cell, lag, y, x)`, `frames` `(group)`, and by cell `between`, the share
    of the field's variance over the grouped frames that lies between groups. `null` and `null_high`
    are the mean and the 97.5 % quantile of that share over `draws` circular shifts of the groups by
    `shortest` frames or more. Raises CodeclensError where lengths differ, no group is large enough
    or the film is too short to shift.

    >>> import torch
    >>> from codeclens.retina import Movie, receptive_fields
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(5, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(48, 2)
    ... )
    >>> movie = Movie(torch.randn(124, 6, 6), rate=50.0, pixel=50.0, unit="um")
    >>> fields = receptive_fields(model, movie, history=5)
    >>> channels = model[:2](movie.windows(5)).sum((2, 3)).detach().numpy()
    >>> found = grouped_fields(fields, channels)
    >>> found.field.dims, bool((found.between > found.null).all())
    (('group', 'cell', 'lag', 'y', 'x'), True)
    """
    import xarray

    groups = prevailing(modes, together)
    axes = tuple(dim for dim in fields.dims if dim != "colour")
    if axes != ("time", "cell", "lag", "y", "x") or len(fields) != len(groups):
        raise CodeclensError(
            f"Fields of {fields.dims} with {len(fields)} frames do not match loadings of "
            f"{len(groups)}; pass (time, cell, lag, y, x) of the same frames."
        )
    require_number("shortest", shortest, least=1, most=len(groups) // 2, hint="frames of the film")
    names, number, size = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
    kept = np.flatnonzero((size >= least) & (names != NONE))
    if not len(kept):
        raise CodeclensError(
            f"No mode is the strongest in {least} frames or more; pass a smaller least=…."
        )
    kept = kept[np.argsort(-size[kept], kind="stable")]
    member = number[None] == kept[:, None]
    values = fields.to_numpy()
    mean = np.stack([values[rows].mean(axis=0, dtype=np.float64) for rows in member])
    random = np.random.default_rng(seed)
    shifts = random.integers(shortest, len(groups) - shortest + 1, size=draws)
    # The variance between groups depends only on inner products of fields.
    products = [field_products(one) for one in values.swapaxes(0, 1)]
    between = _between(products, member)
    null = np.stack([_between(products, np.roll(member, shift, axis=1)) for shift in shifts])
    return xarray.Dataset(
        {
            "field": (("group", *fields.dims[1:]), mean, fields.attrs),
            "frames": ("group", member.sum(axis=1)),
            "between": ("cell", between),
            "null": ("cell", null.mean(axis=0)),
            "null_high": ("cell", np.quantile(null, 0.975, axis=0)),
        },
        coords={"group": names[kept].astype(object)}
        | {name: fields[name] for name in fields.dims[1:] if name in fields.coords},
    )


def _between(
    products: list[Float[np.ndarray, "time time2"]], member: np.ndarray[Any, Any]
) -> Float[np.ndarray, " cell"]:
    """The share of the variance over the grouped frames that lies between groups, by cell."""
    used = member.any(axis=0)
    total = used.sum()
    share = []
    for product in products:
        mean = product[np.ix_(used, used)].sum() / total
        within = sum(product[np.ix_(rows, rows)].sum() / rows.sum() for rows in member)
        variance = np.diag(product)[used].sum() - mean
        known = variance > 1e-12 * np.diag(product)[used].sum()
        share.append((within - mean) / variance if known else np.nan)
    return np.array(share)
