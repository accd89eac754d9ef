"""Pictures by their frequencies: what an optimisation turns, so that it draws shapes, not noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

# The square root of the covariance of colours in ImageNet photographs (Olah et al. 2017), scaled
# so that its longest column has length one: in these axes colours vary independently.
_COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
_SPREAD = 0.01


@dataclass
class FourierPicture:
    """One picture `(C, H, W)` in [0, 1], as amplitudes of its frequencies.

    Amplitudes count inversely to their frequency, as in photographs, so that one step of an
    optimiser moves coarse and fine shapes alike; three channels are colours in decorrelated axes.
    (Olah, Mordvintsev and Schubert, Feature Visualization, Distill 2017.)

    >>> picture = FourierPicture.drawn((3, 16, 12), torch.Generator().manual_seed(0))
    >>> picture().shape, bool((picture() > 0).all() and (picture() < 1).all())
    (torch.Size([1, 3, 16, 12]), True)
    """

    amplitudes: Tensor
    weights: Tensor
    shape: tuple[int, int, int]

    @classmethod
    def drawn(
        cls,
        shape: Sequence[int],
        generator: torch.Generator,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> FourierPicture:
        """A nearly grey picture, drawn from `generator`, whose amplitudes take gradients."""
        channels, rows, columns = shape
        # Drawn on the CPU in float64, so that every device and type begins with the same picture.
        size = (channels, rows, columns // 2 + 1, 2)
        drawn = _SPREAD * torch.randn(size, generator=generator, dtype=torch.float64)
        high = torch.fft.fftfreq(rows, dtype=torch.float64)[:, None]
        wide = torch.fft.rfftfreq(columns, dtype=torch.float64)[None]
        frequency = torch.sqrt(high**2 + wide**2).clamp(min=1 / max(rows, columns))
        weights = math.sqrt(rows * columns) / frequency
        amplitudes = drawn.to(device, dtype).requires_grad_()
        return cls(amplitudes, weights.to(device, dtype), (channels, rows, columns))

    def __call__(self) -> Float[Tensor, "1 channel row column"]:
        """The picture as it stands, with a gradient to the amplitudes."""
        spectrum = torch.view_as_complex(self.amplitudes) * self.weights
        # A quarter brings what is drawn, and what a few steps make of it, into the sigmoid's slope.
        values = torch.fft.irfft2(spectrum, s=self.shape[1:], norm="backward") / 4
        if self.shape[0] == 3:
            colours = torch.tensor(_COLOURS, dtype=values.dtype, device=values.device)
            values = torch.einsum("dc,chw->dhw", colours / colours.norm(dim=0).max(), values)
        picture: Tensor = values.sigmoid()[None]
        return picture


@dataclass(frozen=True)
class Wobble:
    """Small random shifts, turns and changes of size, which a robust picture must survive.

    `shift` is the largest shift as a share of the side, `angle` the largest turn in degrees,
    `scale` the largest relative change of size. What comes in from outside is mirrored.

    >>> pictures = torch.rand(1, 3, 8, 8)
    >>> Wobble()(pictures, torch.Generator().manual_seed(0)).shape
    torch.Size([1, 3, 8, 8])
    >>> still = Wobble(shift=0, angle=0, scale=0)(pictures, torch.Generator())
    >>> bool(torch.allclose(still, pictures, atol=1e-5))
    True
    """

    shift: float = 0.06
    angle: float = 10.0
    scale: float = 0.1

    def __call__(
        self, pictures: Float[Tensor, "batch channel row column"], generator: torch.Generator
    ) -> Float[Tensor, "batch channel row column"]:
        """Move every picture in its own way."""
        rows, columns = pictures.shape[2:]
        draw = 2 * torch.rand(4, len(pictures), generator=generator, dtype=torch.float64) - 1
        turn, size = draw[0] * math.radians(self.angle), 1 + draw[1] * self.scale
        cosine, sine = turn.cos() * size, turn.sin() * size
        # affine_grid measures in half sides: turning a picture that is no square needs their ratio.
        across, down = (2 * self.shift * part for part in draw[2:])
        first = torch.stack([cosine, -sine * rows / columns, across], 1)
        second = torch.stack([sine * columns / rows, cosine, down], 1)
        moves = torch.stack([first, second], 1).to(pictures)
        grid = F.affine_grid(moves, list(pictures.shape), align_corners=False)
        return F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
