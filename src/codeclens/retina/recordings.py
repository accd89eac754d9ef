"""Recordings: what ganglion cells answered to a movie, in hertz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from codeclens.errors import CodeclensError
from codeclens.retina.movies import Movie, tensor_of
from codeclens.retina.passes import clips_of

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True, eq=False)
class Recording:
    """Responses `(T, cells)` in Hz to the T frames of `movie`, one name for each cell.

    Counts of spikes in the bins of the frames come in by `from_counts`. Rates and counts may be
    arrays of NumPy, too. Raises CodeclensError where the shapes do not fit, a rate is negative, not
    finite or a whole number (as counts are), and where two cells have one name.

    >>> import torch
    >>> movie = Movie(torch.zeros(100, 1, 1), rate=50.0, pixel=1.0, unit="deg")
    >>> counts = torch.ones(100, 2)
    >>> Recording.from_counts(movie, counts, ["on", "off"]).rates[0]
    tensor([50., 50.])
    """

    movie: Movie
    rates: Float[Tensor, "time cell"]
    cells: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rates", tensor_of("Responses", self.rates))
        if self.rates.ndim != 2 or len(self.rates) != len(self.movie):
            raise CodeclensError(
                f"Responses have shape {tuple(self.rates.shape)} for {len(self.movie)} frames; "
                "pass (time, cells), a row for each frame."
            )
        if not self.rates.is_floating_point():
            raise CodeclensError(
                f"Responses are {self.rates.dtype}; pass rates in Hz as floating-point numbers, or "
                "counts of spikes to Recording.from_counts."
            )
        if isinstance(self.cells, str):
            raise CodeclensError(f"cells={self.cells!r} is one text; pass a list of names.")
        if len(self.cells) != self.rates.shape[1] or len(set(self.cells)) != len(self.cells):
            raise CodeclensError(
                f"{len(set(self.cells))} different names for {self.rates.shape[1]} cells; pass one "
                "for each."
            )
        bad = ~(self.rates.isfinite() & (self.rates >= 0))
        if bad.any():
            frame, cell = (int(index) for index in bad.nonzero()[0])
            raise CodeclensError(
                f"Cell {self.cells[cell]!r} has the rate {float(self.rates[frame, cell])} at frame "
                f"{frame}; rates are finite and not negative."
            )

    @classmethod
    def from_counts(
        cls,
        movie: Movie,
        counts: Shaped[Tensor, "time cell"] | Shaped[np.ndarray, "time cell"],
        cells: Sequence[str],
    ) -> Recording:
        """Rates in Hz from the spikes counted while each frame was shown."""
        return cls(movie, tensor_of("Counts", counts).to(movie.frames) * movie.rate, cells)

    def between(self, start: float, stop: float) -> Recording:
        """What was answered from `start` to before `stop`, in s."""
        part = self.movie.between(start, stop)
        first = round(start * self.movie.rate)
        return Recording(part, self.rates[first : first + len(part)], self.cells)

    def targets(self, history: int) -> Float[Tensor, "window cell"]:
        """The responses that belong to the movie's `windows(history)`."""
        return self.rates[history - 1 :]


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
