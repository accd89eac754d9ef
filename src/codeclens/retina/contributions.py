"""Contributions over a movie: of every channel to every cell at every frame, in Hz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int64
from torch import Tensor

from codeclens.attribution import Conductance, Output, Site
from codeclens.attribution.attributor import Attributor
from codeclens.attribution.baselines import Baseline
from codeclens.attribution.methods import Method
from codeclens.attribution.results import Contributions, SiteContributions, split_signs
from codeclens.attribution.targets import Bound, Target, target_unit
from codeclens.errors import CodeclensError, require_number, unknown
from codeclens.extraction.data import spread
from codeclens.retina.movies import Movie
from codeclens.retina.response import ResponseModel

# The number of windows that place the nodes of the path, spread over the explained frames.
PILOTS = 16
Part = dict[str, np.ndarray[Any, Any]]


def movie_contributions(
    model: ResponseModel,
    movie: Movie,
    *,
    cells: Sequence[str] | None = None,
    targets: Mapping[str, Target | Bound] | None = None,
    between: tuple[float, float] | None = None,
    times: Sequence[float] | None = None,
    sites: str | Site | Sequence[str | Site] | None = None,
    method: Method | None = None,
    baseline: float | Tensor | Baseline = 0.0,
    drive: bool = False,
    lags: bool = False,
    places: bool = False,
    batch_size: int = 64,
) -> xr.Dataset:
    """Contributions of every channel to each cell at the frames of a movie, in Hz.

    - `cells` are names; all by default, from one forward pass.
    - `targets` are additional targets by name, such as `{"population": Sum()}` or a `Surprisal`
      fitted on training frames (in nats); with `cells=[]` they are the only ones.
    - `between` (two times in s) or `times` select frames; by default all with a whole history.
    - `sites` are the model's own by default, behind its nonlinearities.
    - `baseline` is the reference stimulus; 0 is grey if the movie holds contrasts.
    - `drive=True` explains the input of the last nonlinearity instead of the rates.
    - `lags=True` keeps contributions of layers with a time axis (`model.timed`) separate by `lag`
      (s before the frame).
    - `places=True` also returns the net `contribution` of every channel at every place of its map,
      by `row` and `column` (summed over lags), from which `population_modes` learns modes by place.

    Returns a Dataset over `time` (s, the beginning of the frame), `cell`, `layer` and `channel`
    (NaN where a layer has fewer channels or places): `positive` and `negative` contributions, with
    signs split before positions are summed; `activation`, the mean over positions; `rate` and
    `baseline_rate`; and `completeness`, `rate − baseline_rate` minus the sum of contributions
    (rounding, with the default method). `batch_size` frames are in memory at a time.

    Raises CodeclensError for a movie of another clock or scale, unknown cells or sites, times
    without a frame, and layers without a lag.

    >>> from codeclens.retina import RetinaCNN
    >>> cnn = RetinaCNN(["on", "off"], rate=50.0, pixel=1.0, unit="deg", history=4, size=(8, 8),
    ...                 kernels=(3, 3)).eval()
    >>> movie = Movie(torch.randn(20, 8, 8), rate=50.0, pixel=1.0, unit="deg")
    >>> found = movie_contributions(cnn, movie, between=(0.1, 0.3))
    >>> dict(found.positive.sizes)
    {'time': 10, 'cell': 2, 'layer': 2, 'channel': 8}
    >>> net = (found.positive + found.negative).sum("channel")
    >>> bool(abs(net - (found.rate - found.baseline_rate)).max() < 1e-4)
    True
    """
    model.require_movie(movie)
    require_number("batch_size", batch_size, least=1, whole=True)
    asked = _targets(model, cells, targets)
    chosen = model.sites if sites is None else sites
    if drive and model.drive is None:
        raise CodeclensError(f"A {type(model).__name__} has no drive; pass drive=False.")
    attributor = Attributor(
        model,
        sites=chosen,
        method=Conductance() if method is None else method,
        baseline=baseline,
        reduce=None if lags or places else "sum",
        output=Site(model.drive) if drive and model.drive is not None else None,
    )
    if lags and places:
        raise CodeclensError("Pass lags=True or places=True, not both.")
    keys = [site.key for site in attributor.sites]
    if lags and (still := [key for key in keys if key not in model.timed]):
        raise CodeclensError(
            f'The layer "{still[0]}" has no time axis and so no lag; pass sites that have one '
            f"({', '.join(model.timed) or 'none in this model'})."
        )
    rows, shown = _frames(model, movie, between, times)
    device = next(model.parameters()).device
    windows = model.windows(movie)
    training = model.training
    model.eval()
    try:
        pilots = rows[torch.tensor(list(spread(len(rows), PILOTS)))]
        attributor = attributor.prepared(windows[pilots].to(device))
        parts = [
            _part(
                attributor.several(windows[part].to(device), [t.target for t in asked]),
                lags,
                places,
                model.timed,
            )
            for part in rows.split(batch_size)
        ]
    finally:
        model.train(training)
    return _labelled(parts, asked, shown, model, drive)


@dataclass(frozen=True, eq=False)
class _Asked:
    """A target with its name and unit."""

    name: str
    target: Target | Bound
    units: str


def _targets(
    model: ResponseModel,
    cells: Sequence[str] | None,
    targets: Mapping[str, Target | Bound] | None,
) -> list[_Asked]:
    names = list(model.cells if cells is None else [cells] if isinstance(cells, str) else cells)
    for name in names:
        if name not in model.cells:
            raise unknown("cell", name, model.cells, "The model has")
    asked = [_Asked(name, Output(model.cells.index(name)), "Hz") for name in names]
    for name, target in (targets or {}).items():
        asked.append(_Asked(name, target, target_unit(target, "Hz")))
    if not asked or len({one.name for one in asked}) < len(asked):
        raise CodeclensError(
            f"The targets are {[one.name for one in asked]}; pass one or more, each with a unique "
            "name."
        )
    return asked


def _frames(
    model: ResponseModel,
    movie: Movie,
    between: tuple[float, float] | None,
    times: Sequence[float] | None,
) -> tuple[Int64[Tensor, " chosen"], Float[np.ndarray, " chosen"]]:
    """The numbers of the selected windows, and the times of their responses."""
    if between is not None and times is not None:
        raise CodeclensError("Pass between= or times=, not both.")
    begins = model.response_times(movie)
    half = 0.5 / movie.rate
    if times is not None:
        wanted = np.asarray(times, dtype=np.float64).reshape(-1)
        rows = np.round((wanted - begins[0]) * movie.rate).astype(np.int64)
        bad = (rows < 0) | (rows >= len(begins))
        if bad.any() or not len(rows):
            first = f"There is no frame at {wanted[bad][0]} s" if len(rows) else "No time was given"
            raise CodeclensError(
                f"{first}; frames with a whole history begin from {begins[0]:.6g} to "
                f"{begins[-1]:.6g} s."
            )
    elif between is not None:
        start, stop = between
        # Half a frame of tolerance, since times are rounded.
        rows = np.flatnonzero((begins > start - half) & (begins < stop - half))
        if not len(rows):
            raise CodeclensError(
                f"There is no frame with a whole history from {start} to {stop} s; these begin "
                f"from {begins[0]:.6g} to {begins[-1]:.6g} s."
            )
    else:
        rows = np.arange(len(begins))
    return torch.from_numpy(rows), begins[rows]


def _part(found: list[Contributions], lags: bool, places: bool, timed: Sequence[str]) -> Part:
    """The arrays of a batch, by name and by name and layer."""
    part: Part = {
        "rate": torch.stack([each.target for each in found], dim=1).cpu().numpy(),
        "baseline_rate": torch.stack([each.baseline_target for each in found], 1).cpu().numpy(),
    }
    for key in found[0]:
        signed = [
            _by_lag(each[key].full) if lags else (each[key].positive, each[key].negative)
            for each in found
        ]
        for place, sign in enumerate(("positive", "negative")):
            part[f"{sign} {key}"] = torch.stack([both[place] for both in signed], 1).cpu().numpy()
        if places:
            maps = [_by_place(each[key], key in timed) for each in found]
            part[f"contribution {key}"] = torch.stack(maps, dim=1).cpu().numpy()
        gaps = [each[key].completeness for each in found]
        part[f"completeness {key}"] = torch.stack(gaps, dim=1).cpu().numpy()
        part[f"activation {key}"] = found[0][key].activation.cpu().numpy()
    return part


def _by_lag(full: Tensor | None) -> tuple[Tensor, Tensor]:
    """Signed sums over positions but not over time: `(B, C, T, …)` to two of `(B, C, T)`."""
    assert full is not None
    samples, channels, frames = full.shape[:3]
    flat = full.reshape(samples, channels * frames, -1)
    positive, negative = split_signs(flat)
    return positive.view(samples, channels, frames), negative.view(samples, channels, frames)


def _by_place(found: SiteContributions, timed: bool) -> Tensor:
    """Net contributions `(B, C, row, column)`; a site without a map has one place."""
    full = found.full
    assert full is not None
    units = found.site.units(full)
    grid = found.site.grid(full)
    maps = units.reshape(*units.shape[:2], *grid)
    maps = maps.sum(dim=2) if timed else maps
    while maps.ndim < 4:
        maps = maps[:, :, None]
    return maps.flatten(3)


def _labelled(
    parts: list[Part], asked: list[_Asked], shown: Any, model: ResponseModel, drive: bool
) -> xr.Dataset:
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    layers = [name.removeprefix("positive ") for name in whole if name.startswith("positive ")]
    channels = max(whole[f"activation {layer}"].shape[1] for layer in layers)
    units = ["drive" if drive else one.units for one in asked]
    dims: tuple[str, ...] = ("time", "cell", "layer", "channel")
    coords: dict[str, Any] = {
        "time": ("time", shown, {"units": "s"}),
        "cell": [one.name for one in asked],
        "layer": layers,
        "channel": np.arange(channels),
        "units": ("cell", units),
    }
    lengths = [whole[f"positive {layer}"].shape[3:] for layer in layers]
    if lengths[0]:
        dims = (*dims, "lag")
        longest = max(length[0] for length in lengths)
        # The newest frame of a layer is that of the newest frame of the window.
        lag = (np.arange(longest)[::-1] - model.ahead) / model.rate
        coords["lag"] = ("lag", lag, {"units": "s"})

    def stacked(name: str, axis: int) -> np.ndarray[Any, Any]:
        arrays = [whole[f"{name} {layer}"] for layer in layers]
        shape = [max(sizes) for sizes in zip(*(a.shape[axis:] for a in arrays), strict=True)]
        filled = [_filled(array, axis, shape) for array in arrays]
        return np.stack(filled, axis=axis)

    about = {"units": units[0]} if len(set(units)) == 1 else {}
    maps = {}
    if f"contribution {layers[0]}" in whole:
        values = stacked("contribution", 2)
        maps["contribution"] = ((*dims, "row", "column"), values, about)
        coords |= {"row": np.arange(values.shape[-2]), "column": np.arange(values.shape[-1])}
    return xr.Dataset(
        {
            **maps,
            "positive": (dims, stacked("positive", 2), about),
            "negative": (dims, stacked("negative", 2), about),
            "activation": (("time", "layer", "channel"), stacked("activation", 1)),
            "completeness": (("time", "cell", "layer"), stacked("completeness", 2), about),
            "rate": (("time", "cell"), whole["rate"], about),
            "baseline_rate": (("time", "cell"), whole["baseline_rate"], about),
        },
        coords,
        {"drive": int(drive), "model": type(model).__name__},
    )


def _filled(array: np.ndarray[Any, Any], axis: int, shape: Sequence[int]) -> np.ndarray[Any, Any]:
    """An array padded with NaN: channels and places at the end, lags at the beginning."""
    widths = [(0, 0)] * axis
    one_lag = array.ndim == axis + 2
    for place, (have, want) in enumerate(zip(array.shape[axis:], shape, strict=True)):
        widths.append((want - have, 0) if one_lag and place == 1 else (0, want - have))
    return np.pad(array, widths, constant_values=np.nan)
