"""Screens: the clock, the size and the scale of what is shown to a retina."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.errors import CodeclensError
from codeclens.retina.movies import Movie, Unit
from codeclens.retina.response import ResponseModel


@dataclass(frozen=True)
class Screen:
    """A square of `size` × `size` pixels of `pixel` `unit`, with `rate` frames a second (Hz).

    Stimuli are drawn on it as contrast from the mean light: 0 is the mean, −1 darkness, 1 twice the
    mean. Places are counted from the middle of the screen, x to the right and y upwards (row 0 is
    on top). Raises CodeclensError for sizes that are not positive.

    >>> screen = Screen(size=22, rate=50.0, pixel=50.0)
    >>> screen.frames(0.5), screen.width
    (25, 1100.0)
    >>> screen.grey(0.5).frames.shape
    torch.Size([25, 22, 22])
    """

    size: int = 22
    rate: float = 50.0
    pixel: float = 50.0
    unit: Unit = "um"

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or self.size < 1:
            raise CodeclensError(f"A screen of {self.size!r} pixels shows nothing; give 1 or more.")
        for what, value in (("rate (Hz)", self.rate), ("pixel", self.pixel)):
            if not (math.isfinite(value) and value > 0):
                raise CodeclensError(f"A screen's {what} is {value!r}; give a positive number.")

    @classmethod
    def of(cls, model: ResponseModel, size: int) -> Screen:
        """The screen of `size` pixels that has a model's clock and scale."""
        return cls(size, model.rate, model.pixel, model.unit)

    @property
    def width(self) -> float:
        """How wide and high the screen is, in `unit`."""
        return self.size * self.pixel

    def frames(self, duration: float) -> int:
        """How many frames last `duration` s; raises CodeclensError where there would be none."""
        count = round(duration * self.rate)
        if count < 1:
            raise CodeclensError(
                f"{duration} s hold no frame at {self.rate} Hz; give a longer duration."
            )
        return count

    def places(self) -> tuple[Float[Tensor, "y x"], Float[Tensor, "y x"]]:
        """Where each pixel lies: x and y from the middle, in `unit`."""
        along = (torch.arange(self.size, dtype=torch.float64) - (self.size - 1) / 2) * self.pixel
        return along.expand(self.size, -1), -along[:, None].expand(-1, self.size)

    def movie(self, frames: Tensor) -> Movie:
        """Frames `(T, H, W)` or full-field values `(T,)` as a movie of this screen, float32."""
        if frames.ndim == 1:
            frames = frames[:, None, None].expand(-1, self.size, self.size)
        return Movie(frames.float().contiguous(), self.rate, self.pixel, self.unit)

    def grey(self, duration: float) -> Movie:
        """The mean light for `duration` s."""
        return self.movie(torch.zeros(self.frames(duration)))
