"""Kernels: finite causal kernels in time, and Gaussian pools in space."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def gamma_kernel(
    taps: int, rate: float, tau: float | Tensor, order: float = 1.0
) -> Float[Tensor, " lag"]:
    """A kernel that rises and decays, `k(t) ∝ (t/τ)ⁿ exp(−t/τ)`, cut after `taps` frames, sum 1.

    Lag 0 comes first; lags are taken at the middle of each frame, in s, as is `tau`. It peaks at
    `order · tau`; order 0 is an exponential. Differentiable in `tau`.

    >>> kernel = gamma_kernel(20, rate=50.0, tau=0.025, order=2.0)
    >>> int(kernel.argmax()), round(float(kernel.sum()), 6)
    (2, 1.0)
    """
    like = tau if isinstance(tau, Tensor) else torch.tensor(tau, dtype=torch.float64)
    scaled = (torch.arange(taps, dtype=like.dtype, device=like.device) + 0.5) / rate / like
    kernel = scaled**order * torch.exp(-scaled)
    normalised: Tensor = kernel / kernel.sum()
    return normalised


def causal(
    signals: Float[Tensor, "batch channel time y x"], kernels: Float[Tensor, "channel lag"]
) -> Float[Tensor, "batch channel rest y x"]:
    """Each channel filtered in time by its kernel, lag 0 first; only frames with all lags are kept.

    >>> x = torch.tensor([0.0, 1.0, 0.0, 0.0]).reshape(1, 1, 4, 1, 1)
    >>> causal(x, torch.tensor([[0.5, 0.25]])).flatten()
    tensor([0.5000, 0.2500, 0.0000])
    """
    batch, channels, time, height, width = signals.shape
    flat = signals.reshape(batch, channels, time, height * width)
    weight = kernels.flip(1)[:, None, :, None].to(signals)
    filtered = F.conv2d(flat, weight, groups=channels)
    return filtered.unflatten(3, (height, width))  # type: ignore[no-any-return]


class Pool(nn.Module):
    """A Gaussian pool on a square of `size` pixels: how a cell at every pixel gathers signals.

    `sigma` and the displacement `(x, y)` of the pool from the cell, y upwards, are in pixels.
    Weights sum to 1 on an unbounded plane: what lies beyond the square counts as zero. The shape
    `(…, size, size)` is kept. Weights are made in double precision; convert them as you need.

    >>> pool = Pool(9, sigma=1.0, shift=(2.0, 0.0)).float()
    >>> spot = torch.zeros(9, 9)
    >>> spot[4, 6] = 1
    >>> divmod(int(pool(spot).argmax()), 9)
    (4, 4)
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, size: int, sigma: float, shift: tuple[float, float] = (0.0, 0.0)) -> None:
        super().__init__()
        # Rows count downwards.
        self.register_buffer("rows", _gaussians(size, sigma, -shift[1]))
        self.register_buffer("columns", _gaussians(size, sigma, shift[0]).T.contiguous())

    def forward(self, signals: Float[Tensor, "*rest y x"]) -> Float[Tensor, "*rest y x"]:
        return torch.matmul(torch.matmul(self.rows, signals), self.columns)


def _gaussians(size: int, sigma: float, shift: float) -> Float[Tensor, "to source"]:
    places = torch.arange(size, dtype=torch.float64)
    apart = places[None, :] - places[:, None] - shift
    far = torch.arange(-20 * (1 + int(sigma)), 20 * (1 + int(sigma)) + 1, dtype=torch.float64)
    norm = torch.exp(-0.5 * ((far - shift % 1) / sigma) ** 2).sum()
    return torch.exp(-0.5 * (apart / sigma) ** 2) / norm
