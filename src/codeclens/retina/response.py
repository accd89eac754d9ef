"""Response models: a stretch of film in, the firing rate of every ganglion cell out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.errors import CodeclensError
from codeclens.retina.movies import Movie, Unit


class ResponseModel(nn.Module):
    """A network from windows `(B, history, H, W)` to the rates of its cells `(B, cells)` in Hz.

    The clock (`rate`, frames a second), the scale (`pixel` in `unit`) and the names of the cells
    belong to the model, since its filters mean nothing without them. `sites` are where its
    contributions are taken unless others are named: behind each nonlinearity. `drive` is the module
    whose output `(B, cells)` goes into the last nonlinearity, for targets where inhibition has
    silenced the cell and rates tell no more. `timed` are the sites whose axis behind the channels
    is time, newest last, so that contributions there have a lag. A response belongs to the newest
    frame of its window, or to the one `ahead` frames before it where a model looks ahead; −1 is the
    frame that follows the window.
    """

    sites: Sequence[str] = ()
    drive: str | None = None
    timed: Sequence[str] = ()
    ahead: int = 0

    def __init__(
        self, *, history: int, rate: float, pixel: float, unit: Unit, cells: Sequence[str]
    ) -> None:
        super().__init__()
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
        """Raises CodeclensError for a movie of another clock or scale."""
        if not math.isclose(movie.rate, self.rate, rel_tol=1e-3):
            raise CodeclensError(
                f"The movie runs at {movie.rate} Hz and the model at {self.rate} Hz; resample it."
            )
        if movie.unit != self.unit or not math.isclose(movie.pixel, self.pixel, rel_tol=1e-3):
            raise CodeclensError(
                f"The movie's pixels are {movie.pixel} {movie.unit} and the model's {self.pixel} "
                f"{self.unit}; scale it."
            )

    def respond(self, movie: Movie, *, at_once: int = 256) -> Float[Tensor, "window cell"]:
        """The rates in Hz at every frame of a movie that has `history` frames up to it.

        In evaluation mode and without gradients, `at_once` windows at a time; the model is left in
        the mode it was in. Raises CodeclensError for a movie of another clock or scale.
        """
        self.require_movie(movie)
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                parts = [self(part) for part in movie.windows(self.history).split(at_once)]
        finally:
            self.train(training)
        return torch.cat(parts)
