"""Response models: from windows of a film to the firing rates of ganglion cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.errors import CodeclensError, require_number
from codeclens.retina.movies import Movie, Sampling, Unit


class ResponseModel(nn.Module):
    """A network from windows `(B, history, H, W)` to the rates of its cells `(B, cells)` in Hz.

    The model holds its clock (`rate`, frames a second), its scale (`pixel` in `unit`) and the names
    of its cells, since its filters have no meaning without them.

    - `sites`: where contributions are computed by default, behind each nonlinearity.
    - `drive`: the module whose output `(B, cells)` enters the last nonlinearity. Explain the drive
      where inhibition silences a cell and its rate is constant.
    - `timed`: the sites that have a time axis behind the channels, newest frame last, so that
      contributions there have a lag.
    - `ahead`: a response belongs to the frame `ahead` frames before the newest frame of its window.
      It is 0 for a causal model, positive for a model that looks ahead, and −1 for a model that
      predicts the frame after its window.
    - `field`: the height and width in pixels of the film, where they are fixed.
    - `film_colours`: the numbers of colours that a film may have, 0 for a film without. In colour,
      windows are `(B, colours, history, H, W)`.

    Raises CodeclensError for a clock or a scale that is not positive, a history below 1, and cells
    without unique names.
    """

    sites: Sequence[str] = ()
    drive: str | None = None
    timed: Sequence[str] = ()
    ahead: int = 0
    field: tuple[int, int] | None = None
    film_colours: Sequence[int] = (0,)

    def __init__(
        self, *, history: int, rate: float, pixel: float, unit: Unit, cells: Sequence[str]
    ) -> None:
        super().__init__()
        self.sampling = Sampling(rate, pixel, unit)
        require_number("history", history, least=1, whole=True, hint="frames")
        if isinstance(cells, str) or not cells or len(set(cells)) < len(cells):
            raise CodeclensError(
                f"cells (={cells!r}) must be one unique name for each cell, such as ['on', 'off']."
            )
        self.history = history
        self.rate, self.pixel, self.unit = rate, pixel, unit
        self.cells = tuple(cells)

    def config(self) -> dict[str, Any]:
        """The plain values that make an equal model, without its weights."""
        about = {"history": self.history, "rate": self.rate, "pixel": self.pixel}
        return {**about, "unit": self.unit, "cells": list(self.cells)}

    def calibrate(self, rates: Float[Tensor, "time cell"]) -> None:
        """Set the constants that follow from the training rates; models override this."""

    def require_movie(self, movie: Movie) -> None:
        """Raises CodeclensError for a movie of another clock, scale, size or number of colours."""
        if len(movie.colours) not in self.film_colours:
            have = ", ".join(movie.colours)
            have = f"the colours {have}" if have else "no colours"
            take = " or ".join(str(count or "no") for count in self.film_colours)
            raise CodeclensError(
                f"The movie has {have} and the model takes {take} colours; choose one with "
                "movie.of_colour(…), or pass frames (time, colours, y, x)."
            )
        if not math.isclose(movie.rate, self.rate, rel_tol=1e-3):
            raise CodeclensError(
                f"The movie runs at {movie.rate} Hz and the model at {self.rate} Hz; resample it."
            )
        if movie.unit != self.unit or not math.isclose(movie.pixel, self.pixel, rel_tol=1e-3):
            raise CodeclensError(
                f"The movie's pixels are {movie.pixel} {movie.unit} and the model's {self.pixel} "
                f"{self.unit}; scale it."
            )
        height, width = movie.frames.shape[-2:]
        if self.field is not None and self.field != (height, width):
            raise CodeclensError(
                f"The movie has {height} × {width} pixels and the model takes {self.field[0]} × "
                f"{self.field[1]}; crop it or scale it."
            )

    def windows(self, movie: Movie) -> Float[Tensor, "window *colour history y x"]:
        """The windows of a movie, in the model's precision; raises as `require_movie` does."""
        self.require_movie(movie)
        weights = (*self.parameters(), *self.buffers())
        kind = next((one.dtype for one in weights if one.is_floating_point()), movie.frames.dtype)
        return replace(movie, frames=movie.frames.to(kind)).windows(self.history)

    def row_of(self, frame: int) -> int:
        """The row of `respond` with the response that belongs to a frame of the movie."""
        return frame - self.history + 1 + self.ahead

    def response_times(self, movie: Movie) -> Float[np.ndarray, " window"]:
        """When the frame of each response begins, in s."""
        return movie.window_times(self.history) - self.ahead / movie.rate

    def respond(self, movie: Movie, *, at_once: int = 256) -> Float[Tensor, "window cell"]:
        """The rates in Hz for every window of a movie.

        Runs in evaluation mode and without gradients, `at_once` windows at a time; the mode of the
        model is restored. Raises CodeclensError for a movie of another clock, scale or size.
        """
        require_number("at_once", at_once, least=1)
        windows = self.windows(movie)
        device = next((one.device for one in self.parameters()), windows.device)
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                parts = [self(part.to(device)) for part in windows.split(at_once)]
        finally:
            self.train(training)
        return torch.cat(parts)


class Rate(nn.Module):
    """Rates in Hz from drives `(B, cells)`: `gain · softplus(drive)`, with a gain for each cell.

    >>> Rate(1)(torch.zeros(1, 1))
    tensor([[0.6931]])
    """

    gain: Tensor

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.register_buffer("gain", torch.ones(cells))

    @torch.no_grad()
    def calibrate(self, rates: Float[Tensor, "time cell"]) -> None:
        """Set the gains to the mean rates; a silent cell gets the mean over all cells."""
        mean = rates.mean(dim=0).to(self.gain)
        spare = mean.mean() if mean.mean() > 0 else torch.ones_like(mean.mean())
        self.gain.copy_(torch.where(mean > 0, mean, spare))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * F.softplus(x)


class Input(TypedDict, total=False):
    """The film that a model takes, as keyword arguments that all fitted models share.

    `rate` (Hz), `pixel` and `unit` are the clock and the scale, `history` the frames of a window,
    `size` the height and width in pixels. `front` is a module in front of the model, such as
    photoreceptors, from windows to windows of `front_history` frames.
    """

    rate: float
    pixel: float
    unit: Unit
    history: int
    size: tuple[int, int]
    front: nn.Module | None
    front_history: int | None


class Fittable(ResponseModel):
    """A model that can be fitted and saved: an optional front, a drive `potential`, and rates.

    Keywords are those of `Input`; `rate`, `pixel`, `unit`, `history` and `size` are required.
    `taken` is the number of frames behind the front. `options` are the plain arguments that,
    together with the clock, the scale and the cells, make an equal model.
    """

    drive: str | None = "potential"
    # How `fit` fits it by default, and whether no parameter serves two cells.
    solver: str = "adam"
    separate_cells: bool = False

    def __init__(self, cells: Sequence[str], **given: Unpack[Input]) -> None:
        missing = [n for n in ("rate", "pixel", "unit", "history", "size") if n not in given]
        if missing:
            raise CodeclensError(f"A {type(self).__name__} needs {', '.join(missing)}; pass them.")
        size, history = given["size"], given["history"]
        super().__init__(
            history=history,
            rate=given["rate"],
            pixel=given["pixel"],
            unit=given["unit"],
            cells=cells,
        )
        after_front = given.get("front_history")
        self.options: dict[str, Any] = {
            "history": history,
            "size": list(size),
            "front_history": after_front,
        }
        self.field = (int(size[0]), int(size[1]))
        self.taken = after_front or history
        self.front = given.get("front")
        self.output = Rate(len(self.cells))

    def seen(self, x: Tensor) -> Tensor:
        """The windows behind the front."""
        through: Tensor = x if self.front is None else self.front(x)
        return through

    def config(self) -> dict[str, Any]:
        """The plain values that make an equal model, without its front and weights."""
        return super().config() | self.options

    @property
    def filters_of_film(self) -> Sequence[Tensor]:
        """The filters `(channel, taps, y, x)` that act on the film, for a smoothness prior."""
        return ()

    def start(self, filters: Float[Tensor, "cell taps y x"]) -> None:
        """Start from one filter for each cell, where the model has such filters."""

    def calibrate(self, rates: Float[Tensor, "time cell"]) -> None:
        """Set the gains so that a drive of about 1 gives a cell's mean rate, before a fit."""
        self.output.calibrate(rates)
