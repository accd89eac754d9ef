"""Layers of response models that torch has not: noise, norms by place, cells, rates in Hz."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

Nonlinearity = Literal["softplus", "relu"]
NONLINEARITIES = {"softplus": nn.Softplus, "relu": nn.ReLU}


class Noise(nn.Module):
    """Gaussian noise of standard deviation `std` while training, and nothing else.

    >>> Noise(0.5).eval()(torch.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return x + self.std * torch.randn_like(x) if self.training and self.std > 0 else x

    def extra_repr(self) -> str:
        return f"std={self.std}"


class PositionNorm(nn.BatchNorm1d):
    """Batch norm of feature maps `(B, C, H, W)` with a mean and variance for every place.

    >>> PositionNorm(2, (3, 4))(torch.randn(5, 2, 3, 4)).shape
    torch.Size([5, 2, 3, 4])
    """

    def __init__(self, channels: int, size: tuple[int, int], *, eps: float = 1e-5) -> None:
        super().__init__(channels * size[0] * size[1], eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1)).view_as(x)


class Pick(nn.Module):
    """The cells' own places on maps: `(B, types, H, W)` to `(B, cells)`.

    `places` `(cells, 3)` are channel, row and column.

    >>> Pick(torch.tensor([[0, 1, 1]]))(torch.arange(4.0).view(1, 1, 2, 2))
    tensor([[3.]])
    """

    places: Tensor

    def __init__(self, places: Int[Tensor, "cell 3"]) -> None:
        super().__init__()
        self.register_buffer("places", places)

    def forward(self, x: Tensor) -> Tensor:
        channel, row, column = self.places.unbind(1)
        return x[:, channel, row, column]


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
        """Take the gains from mean rates; a cell that never fires gets the mean of all."""
        mean = rates.mean(dim=0).to(self.gain)
        spare = mean.mean() if mean.mean() > 0 else torch.ones_like(mean.mean())
        self.gain.copy_(torch.where(mean > 0, mean, spare))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * F.softplus(x)


class Filters(nn.Module):
    """Filters over `taps` frames of the whole field: `(B, taps, H, W)` to `(B, channels)`.

    `rank` makes each a sum of so many products of one in time and one in space. With `slides=True`
    they slide over longer windows and give `(B, channels, time, 1)`.

    >>> Filters(3, 5, (2, 2), slides=True)(torch.zeros(1, 9, 2, 2)).shape
    torch.Size([1, 3, 5, 1])
    """

    def __init__(
        self,
        channels: int,
        taps: int,
        size: tuple[int, int],
        *,
        rank: int | None = None,
        slides: bool = False,
    ) -> None:
        super().__init__()
        self.slides = slides
        scale = (taps * size[0] * size[1]) ** -0.5
        self.bias = nn.Parameter(torch.zeros(channels))
        if rank is None:
            self.full: nn.Parameter | None = nn.Parameter(
                torch.randn(channels, taps, *size) * scale
            )
        else:
            self.full = None
            self.time = nn.Parameter(torch.randn(channels, rank, taps) * taps**-0.5)
            self.space = nn.Parameter(
                torch.randn(channels, rank, *size) * (size[0] * size[1] * rank) ** -0.5
            )

    @property
    def weight(self) -> Float[Tensor, "channel taps y x"]:
        """The filters, newest frame last."""
        if self.full is not None:
            return self.full
        return torch.einsum("crt,cryx->ctyx", self.time, self.space)

    def forward(self, x: Float[Tensor, "batch time y x"]) -> Tensor:
        weight = self.weight
        if self.slides:
            return F.conv3d(x[:, None], weight[:, None], self.bias)[..., 0]
        return F.linear(x.flatten(1), weight.flatten(1), self.bias)
