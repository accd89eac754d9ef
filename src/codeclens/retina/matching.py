"""Matching: which units of a model respond like recorded interneurons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.attribution import Site, find_sites
from codeclens.control import activation_at
from codeclens.errors import CodeclensError, require_number, wrong_shape
from codeclens.labelled import labels
from codeclens.retina.movies import Movie, tensor_of
from codeclens.retina.protocols import unit_names
from codeclens.retina.response import ResponseModel
from codeclens.retina.splits import Split, block_draws, held_out_blocks, with_bounds

if TYPE_CHECKING:
    import xarray

Array = np.ndarray[Any, Any]


def match_units(
    model: ResponseModel,
    movie: Movie,
    responses: Float[Tensor, "time neuron"] | Float[np.ndarray, "time neuron"],
    *,
    names: Sequence[str] | None = None,
    sites: str | Site | Sequence[str | Site] | None = None,
    one_to_one: bool = False,
    split: Split | None = None,
    draws: int = 200,
    shortest: int = 50,
    seed: int = 0,
    at_once: int = 256,
) -> xarray.Dataset:
    """Find the unit of a model whose activation correlates best with each recorded interneuron.

    `responses` `(T, neurons)` are one value for each frame of `movie`, such as membrane potentials
    or rates in any unit. Every channel at every position of `sites` (by default the model's) is a
    candidate. The unit with the largest |r| on the training frames is chosen, and its r is reported
    for held-out stretches of film (`split` of the model's windows; by default a quarter). With
    `one_to_one` no channel serves two interneurons: the assignment with the largest sum of |r| on
    training frames. A model that was never fitted to interneurons may thus be compared with them
    (Maheswaranathan et al. 2023, Neuron 111).

    With thousands of candidates some correlate by chance. In the null distribution the responses
    are shifted around the film by `shortest` frames or more, `draws` times, and the choice is made
    anew for each shift: `null_high` is the 97.5 % quantile of its held-out |r|, `p` the share of
    shifts with as large a one.

    Returns by `neuron`: `site`, `unit` (the channel's name), `row` and `column` of its position,
    `r_train`, `r` with 95 % bounds by blocks of the split, `p` and `null_high`; and `r_of_site`
    `(neuron, site_name)`, the held-out r of the best unit of each site. Raises CodeclensError for
    responses of another length, constant or not finite, more interneurons than channels for
    `one_to_one`, and a film that is too short.

    >>> from codeclens.retina import RetinaCNN
    >>> cnn = RetinaCNN(["on"], rate=50.0, pixel=50.0, unit="um", size=(8, 8), history=4,
    ...                 kernels=(3, 3), channels=(2, 2)).eval()
    >>> movie = Movie(torch.randn(400, 8, 8), 50.0, 50.0, "um")
    >>> seen = activation_at(cnn, "first", cnn.windows(movie))[:, 1, 2, 3]
    >>> found = match_units(cnn, movie, torch.cat([torch.zeros(3), seen])[:, None], names=["BC"])
    >>> found.site.item(), found.unit.item(), found.row.item(), found.column.item()
    ('first', '1', 2, 3)
    >>> bool(found.r > 0.999), bool(found.p < 0.05)
    (True, True)
    """
    import xarray

    values = tensor_of("Responses", responses).detach().cpu().double().numpy()
    if values.ndim != 2 or len(values) != len(movie):
        raise wrong_shape("responses", values.shape, f"({len(movie)}, neurons)", "one row a frame")
    known = [str(number) for number in range(values.shape[1])] if names is None else list(names)
    if isinstance(names, str) or len(known) != values.shape[1] or len(set(known)) != len(known):
        raise CodeclensError(f"names (={names!r}) must be {values.shape[1]} unique names.")
    windows = model.windows(movie)
    first = model.history - 1 - model.ahead
    count = min(len(windows), len(values) - first)
    Y = values[first : first + count]
    spread = Y.std(axis=0)
    if not np.isfinite(Y).all() or not (spread > 0).all():
        raise CodeclensError(
            "Responses must be finite, and those of every interneuron must change over the film."
        )
    parts = held_out_blocks(count, gap=model.history - 1) if split is None else split
    require_number("shortest", shortest, least=1, most=count // 2, hint="frames of the film")
    found = _Candidates(model, windows[:count], sites, at_once)
    random = np.random.default_rng(seed)
    shifts = random.integers(shortest, count - shortest + 1, size=draws)
    shifted = np.stack([np.roll(Y, shift, axis=0) for shift in shifts], axis=2)
    X = found.values
    train = _r(X[parts.train], Y[parts.train])
    chosen = found.assigned(train, known) if one_to_one else np.abs(train).argmax(axis=0)
    held = _r_pairs(X[parts.held_out][:, chosen], Y[parts.held_out])
    null = np.empty((draws, len(known)))
    for neuron in range(len(known)):
        at_random = _r(X[parts.train], shifted[parts.train, neuron])
        best = np.abs(at_random).argmax(axis=0)
        null[:, neuron] = np.abs(
            _r_pairs(X[parts.held_out][:, best], shifted[parts.held_out, neuron])
        )
    weight = block_draws(int(parts.block.max()) + 1, 1000, seed)[:, parts.block]
    drawn = _weighted_r(X[parts.held_out][:, chosen], Y[parts.held_out], weight)
    by_site = np.full((len(known), len(found.sites)), np.nan)
    for number in range(len(found.sites)):
        mine = np.flatnonzero(found.site == number)
        best = mine[np.abs(train[mine]).argmax(axis=0)]
        by_site[:, number] = _r_pairs(X[parts.held_out][:, best], Y[parts.held_out])
    neurons: dict[str, Any] = {
        "site": ("neuron", labels([found.sites[n] for n in found.site[chosen]])),
        "unit": ("neuron", labels([found.names[n] for n in chosen])),
        "row": ("neuron", found.row[chosen]),
        "column": ("neuron", found.column[chosen]),
        "r_train": ("neuron", train[chosen, np.arange(len(known))]),
        **with_bounds("r", "neuron", held, drawn),
        "p": ("neuron", (1 + (null >= np.abs(held)).sum(axis=0)) / (1 + draws)),
        "null_high": ("neuron", np.quantile(null, 0.975, axis=0)),
        "r_of_site": (("neuron", "site_name"), by_site),
    }
    return xarray.Dataset(
        neurons, {"neuron": labels(known), "site_name": labels(list(found.sites))}
    )


class _Candidates:
    """The activations of all units at all positions, `values` `(window, candidate)`."""

    def __init__(
        self,
        model: ResponseModel,
        windows: Tensor,
        sites: str | Site | Sequence[str | Site] | None,
        at_once: int,
    ) -> None:
        require_number("at_once", at_once, least=1, whole=True)
        places = find_sites(model, list(model.sites) if sites is None else sites)
        device = next(iter((*model.parameters(), *model.buffers())), windows).device
        kept, names, site, row, column = [], [], [], [], []
        for number, place in enumerate(places):
            parts = []
            for some in windows.split(at_once):
                found = activation_at(model, place, some.to(device))
                # The newest frame of a site with a time axis.
                found = found[:, :, -1] if place.name in model.timed else found
                parts.append(found.cpu())
            whole = torch.cat(parts)
            units = place.units(whole)
            grid = place.grid(whole[:1]) or (1,)
            kept.append(units.flatten(1).float().numpy())
            named = unit_names(model, place, units.shape[1])
            at = np.arange(units.shape[2])
            for name in named:
                names += [name] * len(at)
                site += [number] * len(at)
                row += (at // grid[-1]).tolist()
                column += (at % grid[-1]).tolist()
        self.values = np.concatenate(kept, axis=1)
        self.names, self.sites = names, [place.key for place in places]
        self.site, self.row, self.column = (np.array(one) for one in (site, row, column))

    def assigned(self, r: Float[np.ndarray, "candidate neuron"], known: Sequence[str]) -> Array:
        """The candidate of each interneuron where no channel serves two."""
        from scipy.optimize import linear_sum_assignment

        channels = list(dict.fromkeys(zip(self.site.tolist(), self.names, strict=True)))
        if len(known) > len(channels):
            raise CodeclensError(
                f"{len(known)} interneurons cannot have a channel each of {len(channels)}; pass "
                "one_to_one=False or more sites."
            )
        number = {channel: place for place, channel in enumerate(channels)}
        of = np.array([number[one] for one in zip(self.site.tolist(), self.names, strict=True)])
        best = np.zeros((len(channels), r.shape[1]), np.int64)
        for channel in range(len(channels)):
            mine = np.flatnonzero(of == channel)
            best[channel] = mine[np.abs(r[mine]).argmax(axis=0)]
        size = np.abs(np.take_along_axis(r, best, axis=0))
        channel, neuron = linear_sum_assignment(size, maximize=True)
        chosen = np.zeros(len(known), np.int64)
        chosen[neuron] = best[channel, neuron]
        return chosen


def _standard(values: Array) -> Array:
    """Columns with mean 0 and norm 1; zeros for a constant column."""
    centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    norm = np.linalg.norm(centred, axis=0)
    least = 1e-9 * np.abs(values).max(axis=0, initial=0.0) * len(values) ** 0.5
    return np.asarray(centred / np.where(norm > least, norm, np.inf))


def _r(X: Float[np.ndarray, "time one"], Y: Float[np.ndarray, "time other"]) -> Array:
    """Pearson's r of every column with every other; 0 for constant ones."""
    return _standard(X).T @ _standard(Y)


def _r_pairs(X: Float[np.ndarray, "time pair"], Y: Float[np.ndarray, "time pair"]) -> Array:
    """Pearson's r column by column."""
    return np.asarray((_standard(X) * _standard(Y)).sum(axis=0))


def _weighted_r(
    X: Float[np.ndarray, "time pair"],
    Y: Float[np.ndarray, "time pair"],
    weight: Float[np.ndarray, "draw time"],
) -> Float[np.ndarray, "draw pair"]:
    """Pearson's r column by column, with a weight for each row, for each draw."""
    share = weight / weight.sum(axis=1, keepdims=True)
    X, Y = X.astype(np.float64), Y.astype(np.float64)
    x, y, xx, yy, xy = (share @ one for one in (X, Y, X * X, Y * Y, X * Y))
    power = (xx - x * x) * (yy - y * y)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((xy - x * y) / np.sqrt(np.where(power > 0, power, np.nan)))
