"""Averages: what was seen before spikes, the receptive field that needs no model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from codeclens.errors import CodeclensError
from codeclens.retina.clips import clips_of
from codeclens.retina.recordings import Recording

if TYPE_CHECKING:
    import xarray


def spike_triggered_average(
    recording: Recording, history: int, *, draws: int = 200, shortest: int = 50, seed: int = 0
) -> xarray.Dataset:
    """The mean stimulus before the spikes of each cell, less the mean stimulus.

    Windows of `history` frames are weighted by the rates (Chichilnisky 2001). For white noise this
    is a linear model's field but for its scale; for other films it holds their correlations too.
    Chance is `draws` shifts of the rates around the film by `shortest` frames or more.

    Returns `average` `(cell, lag, y, x)` in units of the stimulus, `z`, the same in standard
    deviations of chance, and `p` `(cell)`, how often chance has as large a norm. Raises
    CodeclensError for a cell without spikes and a film too short to be shifted.

    >>> from codeclens.retina import Movie
    >>> generator = torch.Generator().manual_seed(0)
    >>> movie = Movie(torch.randn(400, 4, 4, generator=generator), 50.0, 50.0, "um")
    >>> seen = movie.frames[:, 1, 2].roll(2).clamp(min=0)
    >>> found = spike_triggered_average(Recording(movie, seen[:, None], ["on"]), history=5)
    >>> found.average[0].argmax(...)["lag"].item(), bool(found.p < 0.05)
    (2, True)
    """
    import xarray

    clips = clips_of(torch.nn.Identity(), recording.movie, None, history)
    rates = recording.targets(history).detach().cpu().double().numpy()
    if not 1 <= shortest <= len(rates) // 2:
        raise CodeclensError(
            f"A film of {len(rates)} windows cannot be shifted by {shortest}; pass shortest=… from "
            f"1 to {len(rates) // 2}."
        )
    total = rates.sum(axis=0)
    if (total <= 0).any():
        silent = recording.cells[int(np.flatnonzero(total <= 0)[0])]
        raise CodeclensError(f'Cell "{silent}" has no spikes in this film, so no average either.')
    weight = (rates / total).T
    random = np.random.default_rng(seed)
    shifts = random.integers(shortest, len(rates) - shortest + 1, size=draws)
    shifted = np.stack([np.roll(weight, shift, axis=1) for shift in shifts])
    every = torch.from_numpy(np.concatenate([weight[None], shifted]).reshape(-1, len(rates)))
    summed = torch.zeros(len(every), clips.windows[0].numel(), dtype=torch.float64)
    mean = torch.zeros(summed.shape[1], dtype=torch.float64)
    for rows in torch.arange(len(rates)).split(256):
        windows = clips.windows[rows].cpu().double().flatten(1)
        summed += every[:, rows] @ windows
        mean += windows.sum(dim=0) / len(rates)
    about = (summed - mean).numpy().reshape(draws + 1, weight.shape[0], -1)
    average, null = about[0], about[1:]
    spread = null.std(axis=0)
    z = average / np.where(spread > 0, spread, np.nan)
    norms = np.linalg.norm(about, axis=2)
    p = (1 + (norms[1:] >= norms[0]).sum(axis=0)) / (1 + draws)
    shape = (1, -1, *clips.windows.shape[1:])
    names = {"cell": list(recording.cells)}

    def labelled(values: np.ndarray[Any, Any], units: str) -> xarray.DataArray:
        first = clips_of(torch.nn.Identity(), recording.movie, [0], history)
        return first.labelled(values.reshape(shape), names, units).isel(time=0, drop=True)

    return xarray.Dataset(
        {
            "average": labelled(average, "stimulus units"),
            "z": labelled(z, "standard deviations of chance"),
            "p": ("cell", p),
        }
    )
