"""Timed networks: convolutions in space and time, fitted on stretches of film, not windows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.decomposition.training import seeded
from codeclens.retina import Circuit, Movie, Photoreceptors, ResponseModel, StackedConv2d
from codeclens.retina.layers import Rate


class Output(nn.Module):
    """Drives `(B, 1, cells)` of a window's one frame to rates `(B, cells)`."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(0, 1)


class TimedCNN(ResponseModel):
    """Cones, two layers of interneurons with a time axis, and ganglion cells that hear the second.

    The first layer filters in time (`taps[0]` frames), then in space by a stack of 3 × 3
    (`kernels[0]` pixels); the second convolves `taps[1]` frames of all its channels by another
    stack (`kernels[1]` pixels); ganglion cells weigh `taps[2]` frames of all places of it. Each has
    a batch norm and a relu, the last a softplus. Sites `"first"` and `"second"` `(B, channels, time,
    y, x)` lie behind the relus. The film is continued by `pad` grey pixels on every side, as the
    circuit sees it.
    """

    sites: Sequence[str] = ("first", "second")
    timed: Sequence[str] = ("first", "second")
    drive: str | None = "potential"

    def __init__(
        self,
        circuit: Circuit,
        *,
        channels: Sequence[int] = (12, 12),
        kernels: Sequence[int] = (9, 7),
        taps: Sequence[int] = (15, 6, 3),
        pad: int = 2,
        seed: int = 0,
    ) -> None:
        cones = Photoreceptors(circuit.rate).requires_grad_(False)
        super().__init__(
            history=sum(taps) - 2 + cones.taps - 1,
            rate=circuit.rate, pixel=circuit.pixel, unit=circuit.unit, cells=circuit.cells,
        )  # fmt: skip
        self.taps, self.pad = tuple(taps), pad
        side = circuit.size + 2 * pad - sum(kernels) + 2
        with seeded(seed):
            self.cones = cones
            self.time1 = nn.Conv2d(1, channels[0], (taps[0], 1), bias=False)
            self.space1 = StackedConv2d(channels[0], channels[0], kernels[0])
            self.norm1 = nn.BatchNorm3d(channels[0])
            self.first = nn.ReLU()
            self.conv2 = StackedConv2d(
                channels[0] * taps[1], channels[1], kernels[1], between=channels[1]
            )
            self.norm2 = nn.BatchNorm3d(channels[1])
            self.second = nn.ReLU()
            self.ganglion = nn.Linear(channels[1] * taps[2] * side**2, len(self.cells), bias=False)
            self.norm3 = nn.BatchNorm1d(len(self.cells))
            self.potential = Output()
            self.output = Rate(len(self.cells))

    def signal(self, film: Float[Tensor, "batch time y x"]) -> Float[Tensor, "batch rest y x"]:
        """What the cones make of a film."""
        return self.cones(film)  # type: ignore[no-any-return]

    def heard(self, signal: Float[Tensor, "batch time y x"]) -> Float[Tensor, "batch rest cell"]:
        """The drives from the cones' signal, before the last nonlinearity."""
        x = nn.functional.pad(signal, [self.pad] * 4)
        batch, _, height, width = x.shape
        x = self.time1(x.flatten(2)[:, None]).unflatten(3, (height, width))
        x = self.space1(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, -1))
        x = self.first(self.norm1(x.transpose(1, 2)))
        x = self.conv2(_stacked(x, self.taps[1])).unflatten(0, (batch, -1))
        x = self.second(self.norm2(x.transpose(1, 2)))
        x = self.ganglion(_stacked(x, self.taps[2]).flatten(1))
        drives: Tensor = self.norm3(x).unflatten(0, (batch, -1))
        return drives

    def forward(self, windows: Float[Tensor, "batch history y x"]) -> Float[Tensor, "batch cell"]:
        return self.output(self.potential(self.heard(self.signal(windows))))  # type: ignore[no-any-return]

    def respond(self, movie: Movie, *, at_once: int = 256) -> Float[Tensor, "window cell"]:
        """The rates in Hz at every frame with its history: stretches share the work of windows."""
        self.require_movie(movie)
        lost = self.history - 1
        with torch.no_grad():
            parts = [
                self.output(self.heard(self.signal(movie.frames[None, s : s + at_once + lost]))[0])
                for s in range(0, len(movie) - lost, at_once)
            ]
        return torch.cat(parts)


def _stacked(x: Float[Tensor, "batch channel time y x"], taps: int) -> Tensor:
    """The last `taps` frames as channels of each, `(batch · rest, channels · taps, y, x)`."""
    rest = x.shape[2] - taps + 1
    late = torch.cat([x[:, :, lag : lag + rest] for lag in range(taps)], dim=1)
    return late.transpose(1, 2).flatten(0, 1)
