"""Removals: predicted and measured effects of removing a mode or a channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from codeclens.attribution import Attributor, Method, Output, Selector, Site
from codeclens.control import Intervention, activation_at
from codeclens.control.edits import Withdraw
from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError, unknown
from codeclens.retina.movies import Movie
from codeclens.retina.passes import (
    Cells,
    Found,
    Parts,
    Where,
    as_output,
    cells_of,
    clips_of,
    part_kinds,
    parts_of,
    passes,
)
from codeclens.retina.receptive_fields import Frames
from codeclens.retina.splits import block_draws, with_bounds

if TYPE_CHECKING:
    import xarray


def removal_effects(
    model: nn.Module,
    movie: Movie | Tensor,
    where: Where,
    found: Found = None,
    *,
    baseline: float | Tensor = 0.0,
    method: Method | None = None,
    parts: Sequence[str] | None = None,
    cells: Cells = None,
    frames: Frames = None,
    history: int | None = None,
    output: Selector = None,
    at_once: int = 32,
) -> xarray.Dataset:
    """Remove each channel or mode of a site, and compare the effect with its contribution.

    Removing a part moves its share of the activation back to the value at `baseline` (a number or
    one window): all of a channel, or a mode's share of every unit, window by window
    (`control.remove`). The predicted change of the rate is minus the contribution of the part
    (`method`, by default exact sums from the same baseline), that of the field is minus the part's
    share of the field (`field_parts`). The measured changes are those of the changed network. They
    need not agree: where inhibition silences a cell, removing it has a larger effect than it
    contributes (method.md §7).

    Returns `rate_predicted` and `rate_measured` `(time, cell, channel | mode)`, changes in Hz, and,
    for the changes of the field in Hz per unit of the stimulus, the norms `field_predicted` and
    `field_measured` and the inner product `field_product`. `parts` selects parts by name. `where`,
    `found` and the other arguments and errors are those of `field_parts`.

    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Conv2d(5, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))
    >>> movie = Movie(torch.randn(20, 6, 6), rate=50.0, pixel=50.0, unit="um")
    >>> effects = removal_effects(model, movie, "1", history=5)
    >>> table = removal_agreement(effects)  # the model is linear behind the site
    >>> bool(abs(table.rate_slope - 1).max() < 1e-4), bool(abs(table.field_cosine - 1).max() < 1e-4)
    (True, True)
    """
    import xarray

    clips = clips_of(model, movie, frames, history)
    total = len(clips_of(model, movie, None, history))
    site = where.site if isinstance(where, Modes) else where
    output = as_output(model, output)
    with passes(model, clips.windows, site, output) as forward:
        first = forward(clips.windows[:1])
        place = forward.site
    assert first.activation is not None
    assert place is not None
    units = place.units(first.activation.detach()).shape[1]
    numbers, names = cells_of(model, cells, first.rates.shape[1])
    divided = parts_of(model, where, found, place, units, total)
    chosen = _chosen(divided, parts)
    start = _start(baseline, clips.windows).to(first.start.device)
    rest = activation_at(model, place, start[None])
    attributor = Attributor(
        model, sites=place, method=method, baseline=start, reduce=None, output=output
    )
    kept = []
    for portion in np.array_split(np.arange(len(clips)), -(-len(clips) // max(at_once, 1))):
        windows = clips.windows[torch.from_numpy(portion)].to(start.device)
        attributor = attributor.prepared(windows)
        mine = divided.rows(clips.rows[portion])
        contributed = [
            one[place.key].full
            for one in attributor.several(windows, [Output(cell) for cell in numbers])
        ]
        removed = [
            _removed(mine.share(k, rest.expand(len(windows), *rest.shape[1:])), rest, place)
            for k in chosen
        ]
        with torch.inference_mode(False):
            effects = _of_portion(model, windows, place, output, numbers, contributed, removed)
        kept.append(effects.cpu().numpy())
    values = np.concatenate(kept, axis=1)
    axes = ("time", "cell", divided.kind)
    fields_of = ("rate_predicted", "rate_measured", "field_predicted", "field_measured")
    labelled: dict[str, Any] = {
        name: (axes, part) for name, part in zip((*fields_of, "field_product"), values, strict=True)
    }
    return xarray.Dataset(
        labelled,
        coords={
            "time": ("time", clips.times, {"units": "s" if clips.timed else "window"}),
            "cell": np.array(names, object),
            divided.kind: np.array([divided.names[k] for k in chosen], object),
            "part": (
                divided.kind,
                part_kinds([divided.names[k] for k in chosen], divided.kind),
            ),
        },
    )


def removal_agreement(
    effects: xarray.Dataset, *, block: int = 20, draws: int = 1000, seed: int = 0
) -> xarray.Dataset:
    """The agreement between predicted and measured effects of removals, for each cell.

    `effects` is the result of `removal_effects`. `rate_correlation` and `rate_slope` (measured
    against predicted, both about their means) are over frames and parts, `field_cosine` and
    `field_slope` (measured against predicted, through zero) over all entries of the fields. `*_low`
    and `*_high` are 95 % bounds from `draws` samples of blocks of `block` frames. `*_of_parts` are
    the same for each part over frames. NaN where a predicted or measured effect is zero.
    """
    import xarray

    kind = str(effects.rate_predicted.dims[-1])
    sums = _sums(effects)
    blocks = np.arange(len(effects.time)) // max(block, 1)
    summed = np.stack([sums[blocks == number].sum(axis=0) for number in np.unique(blocks)])
    weight = block_draws(len(summed), draws, seed)
    drawn = _scores(np.tensordot(weight, summed.sum(axis=2), axes=1))
    values, of_parts = _scores(sums.sum(axis=(0, 2))), _scores(sums.sum(axis=0))
    found: dict[str, Any] = {}
    for index, name in enumerate(("rate_correlation", "rate_slope", "field_cosine", "field_slope")):
        found |= with_bounds(name, "cell", values[..., index], drawn[..., index])
        found[f"{name}_of_parts"] = (("cell", kind), of_parts[..., index])
    return xarray.Dataset(found, {name: effects[name] for name in ("cell", kind, "part")})


def _start(baseline: float | Tensor, windows: Tensor) -> Tensor:
    """The baseline as a window; raises CodeclensError where it cannot be one."""
    window = tuple(windows.shape[1:])
    try:
        start = torch.as_tensor(baseline, dtype=windows.dtype)
        expanded = start.expand(window)
    except (TypeError, ValueError, RuntimeError) as error:
        given = getattr(baseline, "shape", None)
        what = repr(baseline) if given is None else f"of shape {tuple(given)}"
        raise CodeclensError(
            f"The baseline is {what}; pass a number or one window of shape {window}."
        ) from error
    if not start.isfinite().all():
        raise CodeclensError("The baseline holds NaN or infinity; pass a finite one.")
    return expanded


def _sums(effects: xarray.Dataset) -> np.ndarray[Any, Any]:
    """The sums behind the scores for each frame, cell and part, `(time, cell, part, sum)`."""
    a, b = (effects[name].to_numpy().astype(np.float64) for name in _names("rate"))
    p, q = (effects[name].to_numpy().astype(np.float64) for name in _names("field"))
    product = effects.field_product.to_numpy().astype(np.float64)
    return np.stack([np.ones_like(a), a, b, a * a, b * b, a * b, p * p, q * q, product], axis=-1)


def _scores(sums: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Correlation and slope of rates, cosine and slope of fields, in the last axis."""
    n, a, b, aa, bb, ab, pp, qq, pq = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        across, along, up = (n * ab - a * b), (n * aa - a * a), (n * bb - b * b)
        # A small difference of large sums is rounding.
        along = np.where(along > 1e-12 * n * aa, along, np.nan)
        up = np.where(up > 1e-12 * n * bb, up, np.nan)
        pp = np.where(pp > 0, pp, np.nan)
        cosine = pq / np.sqrt(pp * np.where(qq > 0, qq, np.nan))
        return np.stack([across / np.sqrt(along * up), across / along, cosine, pq / pp], axis=-1)


def _names(what: str) -> tuple[str, str]:
    return f"{what}_predicted", f"{what}_measured"


def _removed(share: Tensor, rest: Tensor, place: Site) -> Intervention:
    """The intervention that moves a share of the activation back to its value at the baseline."""
    return Intervention(place, Withdraw(share, rest), torch.ones((), dtype=torch.bool))


def _of_portion(
    model: nn.Module,
    windows: Tensor,
    place: Site,
    output: Selector,
    cells: Sequence[int],
    contributed: Sequence[Tensor | None],
    removed: Sequence[Intervention],
) -> Tensor:
    """The five numbers for each window, cell and part, `(5, B, cells, parts)`."""
    with passes(model, windows, place, output) as forward:
        intact = forward(windows)
        fields, gains = ([of(cell) for cell in cells] for of in (intact.field, intact.gain))
    parts = []
    for one in removed:
        assert isinstance(one.kind, Withdraw)
        share = torch.as_tensor(one.kind.share)
        with one.applied(model), passes(model, windows, None, output) as forward:
            without = forward(windows)
            for_cells = []
            for cell, field, gain, whole in zip(cells, fields, gains, contributed, strict=True):
                assert whole is not None
                expected = -(whole * share.to(whole)).flatten(1).sum(dim=1)
                measured = (without.rates - intact.rates).detach()[:, cell]
                predicted = -intact.back(gain * share.to(gain))
                change = without.field(cell) - field
                for_cells.append(_compared(expected, measured, predicted, change))
        parts.append(torch.stack(for_cells, dim=2))
    return torch.stack(parts, dim=3)


def _compared(expected: Tensor, measured: Tensor, predicted: Tensor, change: Tensor) -> Tensor:
    """The five numbers for each window, `(5, B)`, in float64."""
    fields = [one.double().flatten(1) for one in (predicted, change)]
    norms = [one.norm(dim=1) for one in fields]
    product = (fields[0] * fields[1]).sum(dim=1)
    return torch.stack([expected.double(), measured.double(), *norms, product])


def _chosen(divided: Parts, parts: Sequence[str] | None) -> list[int]:
    wanted = divided.names if parts is None else [str(part) for part in parts]
    for part in wanted:
        if part not in divided.names:
            raise unknown(divided.kind, part, divided.names)
    return [divided.names.index(part) for part in wanted]
