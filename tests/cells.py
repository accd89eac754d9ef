"""A small retina for tests: random convolutions with one amacrine detour, four cells."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from codeclens.retina import Movie, ResponseModel

HISTORY, RATE, PIXEL = 5, 50.0, 25.0


class Small(ResponseModel):
    """Two layers of convolutions and a dense one; with `detour` the first also skips the second."""

    sites = ("first", "second")
    drive = "dense"
    units: ClassVar = {"second": ("wide", "narrow", "starburst")}

    def __init__(self, detour: bool = False, linear: bool = False, seed: int = 0) -> None:
        super().__init__(history=HISTORY, rate=RATE, pixel=PIXEL, unit="um", cells=list("abcd"))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.conv1, self.conv2 = nn.Conv2d(HISTORY, 4, 3), nn.Conv2d(4, 3, 3)
            self.dense, self.skip = nn.Linear(3 * 2 * 2, 4), nn.Linear(4 * 4 * 4, 4, bias=False)
        self.first = nn.Identity() if linear else nn.Softplus()
        self.second = nn.Identity() if linear else nn.ReLU()
        self.last = nn.Identity() if linear else nn.Softplus()
        self.detour = detour
        for module in (self.conv1, self.conv2, self.dense):
            module.weight.data *= 2.0

    def front(self, windows: Tensor) -> Tensor:
        return self.first(self.conv1(windows))

    def back(self, a: Tensor) -> Tensor:
        drive = self.dense(self.second(self.conv2(a)).flatten(1))
        return self.last(drive + self.skip(a.flatten(1)) if self.detour else drive)

    def forward(self, windows: Tensor) -> Tensor:
        return self.back(self.front(windows))


def film(frames: int = 24, seed: int = 0) -> Movie:
    """White noise of 6 × 6 pixels in float64."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(frames, 6, 6, dtype=torch.float64, generator=generator)
    return Movie(noise, rate=RATE, pixel=PIXEL, unit="um")
