"""Clips: the stretches of film that a model is asked about, and the labels of what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from codeclens.errors import CodeclensError
from codeclens.retina.movies import Movie
from codeclens.retina.response import ResponseModel

if TYPE_CHECKING:
    import xarray

# Text where names are known, numbers else.
Cells = Sequence[str | int] | str | int | None


@dataclass(frozen=True, eq=False)
class Clips:
    """Windows `(N, history, H, W)` with their times, clock and scale.

    `rows` are the numbers of the windows among all that the movie has, which are the rows of
    `ResponseModel.respond`; `times` are in s, or the same numbers where nobody knows when they were
    shown. A response that belongs to the frame `ahead` before the newest has that frame's time, and
    lags are counted from there: below 0 for frames still to come.
    """

    windows: Float[Tensor, "window history y x"]
    rows: Int64[np.ndarray, " window"]
    times: Float[np.ndarray, " window"]
    rate: float
    pixel: float
    unit: str
    timed: bool
    ahead: int = 0

    def __len__(self) -> int:
        return len(self.windows)

    def labelled(
        self, values: np.ndarray[Any, Any], names: Mapping[str, Sequence[Any]], units: str
    ) -> xarray.DataArray:
        """Values `(time, …, lag, y, x)` with their coordinates; `names` label the axes between."""
        import xarray

        history, height, width = self.windows.shape[1:]
        seconds = {"units": "s"}
        distance = {"units": self.unit}
        coordinates: dict[str, Any] = {
            "time": ("time", self.times, seconds if self.timed else {"units": "window"}),
            **{name: (name, _labels(entries)) for name, entries in names.items()},
            "lag": ("lag", (np.arange(history - 1, -1, -1) - self.ahead) / self.rate, seconds),
            "y": ("y", (np.arange(height) + 0.5) * self.pixel, distance),
            "x": ("x", (np.arange(width) + 0.5) * self.pixel, distance),
        }
        return xarray.DataArray(values, coordinates, list(coordinates), attrs={"units": units})


def _labels(entries: Sequence[Any]) -> np.ndarray[Any, Any]:
    # Text as objects: of a fixed length it has no specification in Zarr 3.
    return np.array([str(entry) for entry in entries], object)


def clips_of(
    model: nn.Module,
    movie: Movie | Tensor,
    frames: Sequence[int] | np.ndarray[Any, Any] | slice | None = None,
    history: int | None = None,
) -> Clips:
    """The windows of a movie that are meant, or windows that were cut already.

    `frames` are rows of `ResponseModel.respond(movie)`, so 0 is the first frame with a whole
    history; None means all. A model that is no ResponseModel has no clock and no history of its
    own: it takes a Movie and `history`. Raises CodeclensError where these are missing or the clock
    is another, and for rows that there are not.

    >>> movie = Movie(torch.zeros(10, 4, 4), rate=50.0, pixel=50.0, unit="um")
    >>> clips_of(nn.Identity(), movie, [0, 6], history=3).times
    array([0.04, 0.16])
    """
    known = model if isinstance(model, ResponseModel) else None
    ahead = 0 if known is None else known.ahead
    if isinstance(movie, Movie):
        if known is not None:
            known.require_movie(movie)
            history = known.history
        if history is None:
            raise CodeclensError(
                f"A {type(model).__name__} does not say how many frames it looks back; pass "
                "history=…, or a ResponseModel."
            )
        windows = movie.windows(history) if known is None else known.windows(movie)
        times = movie.window_times(history) - ahead / movie.rate
        rate, pixel, unit, timed = movie.rate, movie.pixel, str(movie.unit), True
    else:
        if known is None:
            raise CodeclensError(
                f"Neither windows nor a {type(model).__name__} have a clock and a scale; pass a "
                "Movie, or a ResponseModel."
            )
        if movie.ndim != 4 or movie.shape[1] != known.history:
            raise CodeclensError(
                f"The windows have shape {tuple(movie.shape)}; pass (windows, {known.history}, "
                "height, width), or a Movie."
            )
        windows, times, timed = movie, np.arange(len(movie), dtype=np.float64), False
        rate, pixel, unit = known.rate, known.pixel, str(known.unit)
    rows = _rows(frames, len(windows))
    chosen = windows[torch.from_numpy(rows)] if frames is not None else windows
    return Clips(chosen, rows, np.asarray(times, np.float64)[rows], rate, pixel, unit, timed, ahead)


def _rows(frames: Any, count: int) -> np.ndarray[Any, Any]:
    every = np.arange(count, dtype=np.int64)
    if frames is None:
        return every
    try:
        rows = every[frames] if isinstance(frames, slice) else np.asarray(frames)
        if rows.dtype == bool:
            rows = every[rows]  # of every window, one by one
        if rows.ndim != 1 or not len(rows) or rows.dtype.kind not in "iu":
            raise IndexError
        return every[rows]
    except (IndexError, ValueError, TypeError):
        raise CodeclensError(
            f"frames={frames!r} are no rows of the {count} windows; pass numbers from 0 to "
            f"{count - 1}, a slice or a mask."
        ) from None


def cells_of(model: nn.Module, cells: Cells, count: int) -> tuple[list[int], list[str]]:
    """Numbers and names of the cells that are meant, of `count` outputs; None means all.

    Raises CodeclensError for a cell that there is not.
    """
    names = [str(name) for name in getattr(model, "cells", ())]
    if len(names) != count:
        names = [str(number) for number in range(count)]
    given = [cells] if isinstance(cells, str | int | np.integer) else cells
    numbers: list[int] = []
    for cell in range(count) if given is None else given:
        if isinstance(cell, str) and cell in names:
            numbers.append(names.index(cell))
        elif not isinstance(cell, str) and 0 <= int(cell) < count:
            numbers.append(int(cell))
        else:
            some = ", ".join(names[:6]) + (" …" if count > 6 else "")
            raise CodeclensError(f"There is no cell {cell!r} among the {count} cells: {some}.")
    return numbers, [names[number] for number in numbers]
