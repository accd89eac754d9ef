"""Contributions over a movie: what every channel gave to every cell at every moment, in hertz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int64
from torch import Tensor

from codeclens.attribution import Conductance, Output, Site, Surprisal
from codeclens.attribution.attributor import Attributor
from codeclens.attribution.baselines import Baseline
from codeclens.attribution.methods import Method
from codeclens.attribution.results import Contributions, split_signs
from codeclens.attribution.targets import Bound, Target
from codeclens.errors import CodeclensError
from codeclens.extraction.data import spread
from codeclens.retina.movies import Movie
from codeclens.retina.response import ResponseModel

# Samples that tell where nodes lie, spread over the frames that are explained.
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
    batch_size: int = 64,
) -> xr.Dataset:
    """Contributions of every channel to each cell, at the frames of a movie, in Hz.

    For all cells, or those named; one forward serves them all. `targets` are more, by names of your
    choice, such as `{"population": Sum()}` or a `Surprisal` that was fitted on training frames (in
    nats); with `cells=[]` they are the only ones. `between` two times in s or `times` choose
    frames, which are all that have their history unless given. `sites` are the model's own, behind
    its nonlinearities; contributions are counted from `baseline`, where 0 is grey if the movie
    holds contrasts. `drive=True` explains what goes into the last nonlinearity in place of rates.

    Gives a Dataset over `time` (s, when the frame begins), `cell`, `layer` and `channel` (NaN where
    a layer has fewer): `positive` and `negative` contributions, summed over places with their signs
    apart, `activation` (mean over places), and `rate`, `baseline_rate` and `completeness`, which is
    what contributions miss of `rate − baseline_rate` (Hz; by the default method nothing but
    rounding). With `lags=True` those of layers with a time axis (`model.timed`) are kept apart by
    `lag` (s before the frame). Works through `batch_size` frames at a time and holds no more maps
    than that.

    Raises CodeclensError for a movie of another clock or scale, unknown cells or sites, times
    without a frame and layers without a lag.

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
    if batch_size < 1:
        raise CodeclensError(f"At least one frame is taken at once, not batch_size={batch_size}.")
    asked = _targets(model, cells, targets)
    chosen = model.sites if sites is None else sites
    if drive and model.drive is None:
        raise CodeclensError(f"A {type(model).__name__} names no drive before its nonlinearity.")
    attributor = Attributor(
        model,
        sites=chosen,
        method=Conductance() if method is None else method,
        baseline=baseline,
        reduce=None if lags else "sum",
        output=Site(model.drive) if drive and model.drive is not None else None,
    )
    keys = [site.key for site in attributor.sites]
    if lags and (still := [key for key in keys if key not in model.timed]):
        raise CodeclensError(
            f'The layer "{still[0]}" has no time axis, and so no lag; pass the sites that have '
            f"({', '.join(model.timed) or 'none in this model'})."
        )
    rows, shown = _frames(model, movie, between, times)
    device = next(model.parameters()).device
    windows = model.windows(movie)
    training = model.training
    model.eval()
    try:
        pilots = rows[torch.tensor(list(spread(len(rows), PILOTS)))]
        attributor.prepare(windows[pilots].to(device))
        parts = [
            _part(attributor.several(windows[part].to(device), [t.target for t in asked]), lags)
            for part in rows.split(batch_size)
        ]
    finally:
        model.train(training)
    return _labelled(parts, asked, shown, model, drive)


@dataclass(frozen=True, eq=False)
class _Asked:
    """A target, what it is called and what it is measured in."""

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
            raise CodeclensError(
                f"The model has no cell {name!r}; it has {', '.join(model.cells)}."
            )
    asked = [_Asked(name, Output(model.cells.index(name)), "Hz") for name in names]
    for name, target in (targets or {}).items():
        asked.append(_Asked(name, target, "nats" if isinstance(target, Surprisal) else "Hz"))
    if not asked or len({one.name for one in asked}) < len(asked):
        raise CodeclensError(
            f"Targets are called {[one.name for one in asked]}; pass one or more, each with a name "
            "of its own."
        )
    return asked


def _frames(
    model: ResponseModel,
    movie: Movie,
    between: tuple[float, float] | None,
    times: Sequence[float] | None,
) -> tuple[Int64[Tensor, " chosen"], Float[np.ndarray, " chosen"]]:
    """Numbers of the windows that were asked for, and when their frames begin."""
    if between is not None and times is not None:
        raise CodeclensError("Frames are chosen by between= or by times=, not by both.")
    begins = movie.window_times(model.history) - model.ahead / movie.rate
    half = 0.5 / movie.rate
    if times is not None:
        wanted = np.asarray(times, dtype=np.float64).reshape(-1)
        rows = np.round((wanted - begins[0]) * movie.rate).astype(np.int64)
        bad = (rows < 0) | (rows >= len(begins))
        if bad.any() or not len(rows):
            first = f"There is no frame at {wanted[bad][0]} s" if len(rows) else "No time was given"
            raise CodeclensError(
                f"{first}; frames with a history begin from {begins[0]:.6g} to {begins[-1]:.6g} s."
            )
    elif between is not None:
        start, stop = between
        # Half a frame of play, since times are rounded.
        rows = np.flatnonzero((begins > start - half) & (begins < stop - half))
        if not len(rows):
            raise CodeclensError(
                f"From {start} to {stop} s there is no frame with a history; these begin from "
                f"{begins[0]:.6g} to {begins[-1]:.6g} s."
            )
    else:
        rows = np.arange(len(begins))
    return torch.from_numpy(rows), begins[rows]


def _part(found: list[Contributions], lags: bool) -> Part:
    """What is kept of a batch: arrays by name, and by name and layer."""
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
        gaps = [each[key].completeness for each in found]
        part[f"completeness {key}"] = torch.stack(gaps, dim=1).cpu().numpy()
        part[f"activation {key}"] = found[0][key].activation.cpu().numpy()
    return part


def _by_lag(full: Tensor | None) -> tuple[Tensor, Tensor]:
    """Signed sums over places, but not over time: `(B, C, T, …)` to two of `(B, C, T)`."""
    assert full is not None
    samples, channels, frames = full.shape[:3]
    flat = full.reshape(samples, channels * frames, -1)
    positive, negative = split_signs(flat)
    return positive.view(samples, channels, frames), negative.view(samples, channels, frames)


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
        # The newest frame of a layer belongs to the newest of the window.
        lag = (np.arange(longest)[::-1] - model.ahead) / model.rate
        coords["lag"] = ("lag", lag, {"units": "s"})

    def stacked(name: str, axis: int) -> np.ndarray[Any, Any]:
        arrays = [whole[f"{name} {layer}"] for layer in layers]
        shape = [max(sizes) for sizes in zip(*(a.shape[axis:] for a in arrays), strict=True)]
        filled = [_filled(array, axis, shape) for array in arrays]
        return np.stack(filled, axis=axis)

    about = {"units": units[0]} if len(set(units)) == 1 else {}
    return xr.Dataset(
        {
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
    """An array with NaN for channels that it has not, and for lags before its first."""
    widths = [(0, 0)] * axis
    for place, (have, want) in enumerate(zip(array.shape[axis:], shape, strict=True)):
        widths.append((0, want - have) if place == 0 else (want - have, 0))
    return np.pad(array, widths, constant_values=np.nan)
