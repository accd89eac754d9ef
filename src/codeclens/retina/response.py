"""Response models: a stretch of film in, the firing rate of every ganglion cell out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.errors import CodeclensError
from codeclens.retina.cnn import Rate
from codeclens.retina.movies import Movie, Unit, require_scale


class ResponseModel(nn.Module):
    """A network from windows `(B, history, H, W)` to the rates of its cells `(B, cells)` in Hz.

    The clock (`rate`, frames a second), the scale (`pixel` in `unit`) and the names of the cells
    belong to the model, since its filters mean nothing without them. `sites` are where its
    contributions are taken unless others are named: behind each nonlinearity. `drive` is the module
    whose output `(B, cells)` goes into the last nonlinearity, for targets where inhibition has
    silenced the cell and rates tell no more. `timed` are the sites whose axis behind the channels
    is time, newest last, so that contributions there have a lag. A response belongs to the newest
    frame of its window, or to the one `ahead` frames before it where a model looks ahead; −1 is the
    frame that follows the window. `field` is how many pixels of film it takes, rows and columns,
    where that is fixed. Raises CodeclensError for a clock or a scale that is not positive, a
    history below 1, and cells without a name of their own.
    """

    sites: Sequence[str] = ()
    drive: str | None = None
    timed: Sequence[str] = ()
    ahead: int = 0
    field: tuple[int, int] | None = None

    def __init__(
        self, *, history: int, rate: float, pixel: float, unit: Unit, cells: Sequence[str]
    ) -> None:
        super().__init__()
        require_scale("model", rate, pixel, unit)
        if not isinstance(history, int) or history < 1:
            raise CodeclensError(f"A model's history is {history!r}; pass 1 frame or more.")
        if isinstance(cells, str) or not cells or len(set(cells)) < len(cells):
            raise CodeclensError(
                f"The cells are {cells!r}; pass one name for each, for example ['on', 'off']."
            )
        self.history = history
        self.rate = rate
        self.pixel = pixel
        self.unit = unit
        self.cells = tuple(cells)

    def config(self) -> dict[str, Any]:
        """What makes an equal model, in plain values; what can be fitted and saved has its own."""
        about = {"history": self.history, "rate": self.rate, "pixel": self.pixel}
        return {**about, "unit": self.unit, "cells": list(self.cells)}

    def calibrate(self, rates: Float[Tensor, "time cell"]) -> None:
        """Set what is set from the rates of training before a fit; nothing, unless a model does."""

    def require_movie(self, movie: Movie) -> None:
        """Raises CodeclensError for a movie of another clock, scale or size."""
        if not math.isclose(movie.rate, self.rate, rel_tol=1e-3):
            raise CodeclensError(
                f"The movie runs at {movie.rate} Hz and the model at {self.rate} Hz; resample it."
            )
        if movie.unit != self.unit or not math.isclose(movie.pixel, self.pixel, rel_tol=1e-3):
            raise CodeclensError(
                f"The movie's pixels are {movie.pixel} {movie.unit} and the model's {self.pixel} "
                f"{self.unit}; scale it."
            )

        height, width = movie.frames.shape[1:]
        if self.field is not None and self.field != (height, width):
            raise CodeclensError(
                f"The movie has {height} × {width} pixels and the model takes {self.field[0]} × "
                f"{self.field[1]}; crop it or scale it."
            )

    def windows(self, movie: Movie) -> Float[Tensor, "window history y x"]:
        """The windows of a movie, in the model's precision; raises as `require_movie` does."""
        self.require_movie(movie)
        weights = (*self.parameters(), *self.buffers())
        kind = next((one.dtype for one in weights if one.is_floating_point()), movie.frames.dtype)
        return replace(movie, frames=movie.frames.to(kind)).windows(self.history)

    def respond(self, movie: Movie, *, at_once: int = 256) -> Float[Tensor, "window cell"]:
        """The rates in Hz at every frame of a movie that has `history` frames up to it.

        In evaluation mode and without gradients, `at_once` windows at a time; the model is left in
        the mode it was in. Raises CodeclensError for a movie of another clock, scale or size.
        """
        if at_once < 1:
            raise CodeclensError(f"At least one window is taken at once, not at_once={at_once}.")
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


class Fittable(ResponseModel):
    """A response model with a front, a drive that is called potential, and rates behind it.

    `front` is a module from windows to windows of `front_history` frames, such as photoreceptors;
    `taken` is how many frames the model itself takes. `options` are the arguments that, beside the
    clock, the scale and the cells, make an equal model.
    """

    drive: str | None = "potential"

    def __init__(
        self,
        cells: Sequence[str],
        *,
        rate: float,
        pixel: float,
        unit: Unit,
        history: int,
        size: tuple[int, int],
        front: nn.Module | None,
        front_history: int | None,
    ) -> None:
        super().__init__(history=history, rate=rate, pixel=pixel, unit=unit, cells=cells)
        self.options: dict[str, Any] = {
            "history": history,
            "size": list(size),
            "front_history": front_history,
        }
        self.field = (int(size[0]), int(size[1]))
        self.taken = front_history or history
        self.front = front
        self.output = Rate(len(self.cells))

    def seen(self, x: Tensor) -> Tensor:
        """The film as the front passes it on."""
        through: Tensor = x if self.front is None else self.front(x)
        return through

    def config(self) -> dict[str, Any]:
        """What makes an equal model, in plain values, its front apart."""
        return super().config() | self.options

    def calibrate(self, rates: Float[Tensor, "time cell"]) -> None:
        """Let a drive of about 1 mean a cell's mean rate, before a fit."""
        self.output.calibrate(rates)
