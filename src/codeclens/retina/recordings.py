"""Recordings: the responses of ganglion cells to a movie, in Hz, and averages of the stimulus."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from codeclens.errors import CodeclensError, require_number, wrong_shape
from codeclens.retina.movies import Movie, tensor_of
from codeclens.retina.passes import clips_of
from codeclens.retina.response import ResponseModel

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True, eq=False)
class Recording:
    """Responses `(T, cells)` in Hz to the T frames of `movie`, with one name for each cell.

    Responses to repeated presentations of the movie are `(repeats, T, cells)`: then `repeats` holds
    them and `rates` their mean. Use `from_counts` for spike counts in the bins of the frames. Rates
    and counts may be NumPy arrays. Raises CodeclensError where shapes do not match, for rates that
    are negative, not finite or integers (as counts are), and where two cells have the same name.

    >>> import torch
    >>> movie = Movie(torch.zeros(100, 1, 1), rate=50.0, pixel=1.0, unit="deg")
    >>> counts = torch.ones(100, 2)
    >>> Recording.from_counts(movie, counts, ["on", "off"]).rates[0]
    tensor([50., 50.])
    """

    movie: Movie
    rates: Float[Tensor, "time cell"]
    cells: Sequence[str]
    repeats: Float[Tensor, "repeat time cell"] | None = None

    def __post_init__(self) -> None:
        rates = tensor_of("Responses", self.rates)
        if rates.ndim == 3:
            if len(rates) < 2 or self.repeats is not None:
                raise CodeclensError("Pass two repeats or more, as rates (repeats, time, cells).")
            object.__setattr__(self, "repeats", rates)
            rates = rates.mean(dim=0) if rates.is_floating_point() else rates[0]
        object.__setattr__(self, "rates", rates)
        if self.rates.ndim != 2 or len(self.rates) != len(self.movie):
            wanted = f"({len(self.movie)}, cells)"
            raise wrong_shape("rates", self.rates.shape, wanted, "a row for each frame")
        if not self.rates.is_floating_point():
            raise CodeclensError(
                f"rates have the type {self.rates.dtype}; pass rates in Hz as floating-point "
                "numbers, or spike counts to Recording.from_counts."
            )
        if isinstance(self.cells, str):
            raise CodeclensError(f"cells (={self.cells!r}) must be a list of names, not a text.")
        if len(self.cells) != self.rates.shape[1] or len(set(self.cells)) != len(self.cells):
            raise CodeclensError(
                f"{len(set(self.cells))} unique names were given for {self.rates.shape[1]} cells; "
                "pass one for each."
            )
        every = self.rates if self.repeats is None else self.repeats
        bad = ~(every.isfinite() & (every >= 0))
        if bad.any():
            frame, cell = (int(index) for index in bad.nonzero()[0][-2:])
            raise CodeclensError(
                f"Cell {self.cells[cell]!r} has the rate {float(every[bad][0])} at frame {frame}; "
                "rates must be finite and not negative."
            )

    @classmethod
    def from_counts(
        cls,
        movie: Movie,
        counts: Shaped[Tensor, "*repeat time cell"] | Shaped[np.ndarray, "*repeat time cell"],
        cells: Sequence[str],
    ) -> Recording:
        """Rates in Hz from spike counts in each frame, `(T, cells)` or `(repeats, T, cells)`."""
        return cls(movie, tensor_of("Counts", counts).to(movie.frames) * movie.rate, cells)

    def between(self, start: float, stop: float) -> Recording:
        """The part from `start` to before `stop`, in s."""
        part = self.movie.between(start, stop)
        first = round(start * self.movie.rate)
        every = self.rates[None] if self.repeats is None else self.repeats
        some = every[:, first : first + len(part)]
        return Recording(part, some if len(some) > 1 else some[0], self.cells)

    def targets(self, model: ResponseModel | int) -> Float[Tensor, "window cell"]:
        """The responses that a model's windows predict, `model.respond(movie)` row by row.

        The response to window `i` belongs to frame `i + history − 1 − ahead`. A model with a
        negative `ahead` predicts frames after its windows: then the last windows have no recorded
        response, and the result has `-ahead` rows less than `respond`. A number stands for the
        history of a model whose `ahead` is 0.
        """
        return self.rates[self.rows_of(model)]

    def rows_of(self, model: ResponseModel | int) -> slice:
        """The frames whose responses a model's windows predict; see `targets`."""
        history, ahead = (model, 0) if isinstance(model, int) else (model.history, model.ahead)
        first = history - 1 - ahead
        if not 0 <= first < len(self.rates):
            raise CodeclensError(
                f"A recording of {len(self.rates)} frames has no response to windows of {history} "
                f"frames with ahead={ahead}."
            )
        return slice(first, len(self.rates) - max(0, ahead))


def join_repeats(recordings: Sequence[Recording]) -> Recording:
    """One recording with repeats, from recordings of presentations of the same movie.

    Frames after the shortest presentation are left out. Raises CodeclensError for fewer than two
    recordings, other cells, or other frames.

    >>> movie = Movie(torch.zeros(100, 1, 1), rate=50.0, pixel=1.0, unit="deg")
    >>> one = Recording(movie, torch.ones(100, 1), ["on"])
    >>> join_repeats([one, one]).repeats.shape
    torch.Size([2, 100, 1])
    """
    if len(recordings) < 2:
        raise CodeclensError("Repeats are two recordings or more of one movie.")
    first, least = recordings[0], min(len(one.movie) for one in recordings)
    for number, one in enumerate(recordings):
        ours, theirs = one.movie.sampling, first.movie.sampling
        same = math.isclose(ours.rate, theirs.rate, rel_tol=1e-3)
        same = same and (ours.pixel, ours.unit) == (theirs.pixel, theirs.unit)
        if list(one.cells) != list(first.cells) or not same:
            raise CodeclensError(f"Recording {number} has other cells, clock or scale.")
        if not torch.equal(one.movie.frames[:least], first.movie.frames[:least]):
            raise CodeclensError(f"Recording {number} has other frames than the first.")
    rates = torch.stack([one.rates[:least] for one in recordings])
    return Recording(replace(first.movie, frames=first.movie.frames[:least]), rates, first.cells)


def cut_repeats(recording: Recording, period: float | None = None) -> Recording:
    """A recording whose film shows the same frames again and again, as one with repeats.

    `period` is the duration of one presentation in s; by default the shortest one after which all
    frames recur. Frames after the last whole presentation are left out. Raises CodeclensError where
    the film does not recur.

    >>> film = torch.randn(50, 1, 1).repeat(4, 1, 1)
    >>> seen = Recording(Movie(film, 50.0, 1.0, "deg"), torch.rand(200, 2), ["on", "off"])
    >>> cut_repeats(seen).repeats.shape
    torch.Size([4, 50, 2])
    """
    frames, rate = recording.movie.frames, recording.movie.rate
    if period is None:
        # A film of which only the beginning recurs is not one that is repeated.
        starts = (frames == frames[0]).flatten(1).all(dim=1).nonzero().flatten().tolist()[1:]
        counts = [n for n in starts if torch.equal(frames[n:], frames[: len(frames) - n])]
        counts = [n for n in counts if 2 * n <= len(frames)]
        if not counts or not frames.flatten(1).std(dim=0).any():
            raise CodeclensError(
                f"The {len(frames)} frames of the film do not recur; pass the period in s, or "
                "presentations to join_repeats."
            )
        count = counts[0]
    else:
        require_number("period", period, above=0, most=recording.movie.duration / 2, hint="seconds")
        count = round(period * rate)
    times = len(frames) // count
    parts = [recording.between(n * count / rate, (n + 1) * count / rate) for n in range(times)]
    return join_repeats(parts)


def spike_triggered_average(
    recording: Recording, history: int, *, draws: int = 200, shortest: int = 50, seed: int = 0
) -> xarray.Dataset:
    """The mean stimulus before the spikes of each cell, minus the mean stimulus.

    Windows of `history` frames are weighted by the rates (Chichilnisky 2001). For white noise this
    is proportional to the filter of a linear model; for other films it also contains their
    correlations. The null distribution consists of `draws` circular shifts of the rates by
    `shortest` frames or more.

    Returns `average` `(cell, lag, y, x)` in units of the stimulus, `z`, the same in standard
    deviations of the null distribution, and `p` `(cell)`, the share of shifts whose average has as
    large a norm. Raises CodeclensError for a cell without spikes and a film too short to shift.

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
    require_number("shortest", shortest, least=1, most=len(rates) // 2, hint="windows of the film")
    total = rates.sum(axis=0)
    if (total <= 0).any():
        silent = recording.cells[int(np.flatnonzero(total <= 0)[0])]
        raise CodeclensError(f'Cell "{silent}" has no spikes in this film and so no average.')
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
            "z": labelled(z, "standard deviations of the null"),
            "p": ("cell", p),
        }
    )
