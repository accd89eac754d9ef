"""Core–readout networks: a shared core of convolutions, and a mask over positions for each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.errors import CodeclensError
from codeclens.retina.movies import Unit
from codeclens.retina.response import ResponseModel


@dataclass(frozen=True, eq=False)
class CoreLayer:
    """One layer of a core: a kernel `(out, in, time, y, x)`, padding, and optional max pooling.

    `padding` is the frames and pixels on each side `(time, y, x)`, or `"same"`, which extends
    equally into past and future.
    """

    kernel: Tensor
    padding: tuple[int, int, int] | str = (0, 0, 0)
    pool: bool = False
    eps: float = 1e-5

    @property
    def reach(self) -> tuple[int, int]:
        """The number of past and of future frames that an output depends on."""
        taps = int(self.kernel.shape[2])
        if self.padding == "same":
            return (taps - 1) // 2, taps - 1 - (taps - 1) // 2
        return taps - 1 - int(self.padding[0]), int(self.padding[0])

    @property
    def pads(self) -> tuple[int, int, int, int, int, int]:
        """Zeros before and after in x, y and time, in the order of torch's `pad`."""
        if self.padding == "same":
            before = [(int(taps) - 1) // 2 for taps in self.kernel.shape[2:]]
            after = [int(t) - 1 - b for t, b in zip(self.kernel.shape[2:], before, strict=True)]
        else:
            before = after = [int(side) for side in self.padding]
        return before[2], after[2], before[1], after[1], before[0], after[0]

    @property
    def loss(self) -> int:
        """The number of frames that the layer removes."""
        return 0 if self.padding == "same" else sum(self.reach) - 2 * int(self.padding[0])


class CoreReadout(ResponseModel):
    """A shared core of space–time convolutions and a readout for each cell: openretina's networks.

    Takes windows `(B, history, H, W)`, or `(B, C, history, H, W)` for films in colour. Each layer
    is a convolution, a batch norm and an ELU; sites `"layer0"`, `"layer1"`, … `(B, channels, time,
    y, x)` are behind the ELU and have a lag. A cell weighs channels by `features` `(C, cells)` and
    positions by `masks` `(y, x, cells)`, followed by `scale`, `bias` and a softplus. Layers padded
    in time look ahead, `ahead` frames in total; the history covers every frame that a response
    depends on. `over_time()` is the same network for a whole film, with an output `(B, frames,
    cells)`, for targets `Token(frame, Output(cell))`.

    >>> layer = CoreLayer(torch.randn(4, 1, 5, 3, 3))
    >>> model = CoreReadout(["on"], [layer], torch.ones(4, 1), torch.ones(6, 6, 1), rate=30.0,
    ...                     pixel=50.0, unit="um")
    >>> model.history, model.eval()(torch.zeros(2, 5, 8, 8)).shape
    (5, torch.Size([2, 1]))
    """

    drive: str | None = "potential"

    def __init__(
        self,
        cells: Sequence[str],
        layers: Sequence[CoreLayer],
        features: Float[Tensor, "channel cell"],
        masks: Float[Tensor, "y x cell"],
        *,
        rate: float,
        pixel: float,
        unit: Unit,
        scale: Float[Tensor, " cell"] | None = None,
        bias: Float[Tensor, " cell"] | None = None,
        colours: Float[Tensor, " colour"] | None = None,
        pooled: tuple[int, int] | None = None,
        cut: int = 0,
    ) -> None:
        if not layers:
            raise CodeclensError("layers is empty; pass one layer or more.")
        back = sum(layer.reach[0] for layer in layers)
        ahead = sum(layer.reach[1] for layer in layers)
        # A window also holds the frames that the core cuts off its output.
        more = max(0, sum(layer.loss for layer in layers) + cut - back)
        super().__init__(
            history=back + ahead + 1 + more, rate=rate, pixel=pixel, unit=unit, cells=cells
        )
        self.ahead = ahead
        self.cut = cut
        inputs = int(layers[0].kernel.shape[1])
        # A layer in front of the core may weigh the colours into one.
        squashed = 0 if colours is None else colours.numel()
        self.film_colours = (0, squashed) if squashed > 1 else (inputs if inputs > 1 else 0,)
        self.pooled = pooled
        self.sites = tuple(f"layer{place}" for place in range(len(layers)))
        self.timed = self.sites
        self.register_buffer("colours", colours)
        for place, layer in enumerate(layers):
            outputs, inputs, *kernel = layer.kernel.shape
            convolution = nn.utils.skip_init(nn.Conv3d, inputs, outputs, tuple(kernel), bias=False)
            convolution.weight.data = layer.kernel
            # By hand: torch warns of "same" where kernels are even.
            self.add_module(f"pad{place}", nn.ConstantPad3d(layer.pads, 0.0))
            self.add_module(f"conv{place}", convolution)
            self.add_module(f"norm{place}", nn.BatchNorm3d(outputs, eps=layer.eps))
            self.add_module(f"layer{place}", nn.ELU())
            if layer.pool:
                self.add_module(f"pool{place}", nn.MaxPool3d((1, 2, 2)))
        self.potential = Readout(features, masks, scale, bias)

    def core(self, x: Tensor) -> Float[Tensor, "batch channel time y x"]:
        """The output of the core for films `(B, time, y, x)` or `(B, C, time, y, x)`."""
        x = x[:, None] if x.ndim == 4 else x
        colours: Tensor | None = self.get_buffer("colours") if "colours" in self._buffers else None
        if colours is not None and x.shape[1] > 1:
            x = (x * colours.view(1, -1, 1, 1, 1)).sum(dim=1, keepdim=True)
        if self.pooled is not None:
            x = F.avg_pool3d(x, (1, *self.pooled))
        children = dict(self.named_children())
        for place in range(len(self.sites)):
            for name in ("pad", "conv", "norm", "layer", "pool"):
                if f"{name}{place}" in children:
                    x = children[f"{name}{place}"](x)
        return x[:, :, self.cut :]

    def forward(self, x: Tensor) -> Float[Tensor, "batch cell"]:
        frames = self.core(x)
        return F.softplus(self.potential(frames[:, :, frames.shape[2] - 1 - self.ahead]))

    def over_time(self) -> OverTime:
        """The network over whole films: `(B, C, time, y, x)` to `(B, frames, cells)`."""
        return OverTime(self)

    def config(self) -> dict[str, Any]:
        """The plain values that describe the model, without its weights."""
        return super().config() | {"ahead": self.ahead, "cut": self.cut}


class Readout(nn.Module):
    """Weighted sums over channels and positions: maps `(B, C, y, x)` to drives `(B, cells)`.

    >>> Readout(torch.ones(2, 1), torch.ones(3, 3, 1))(torch.ones(1, 2, 3, 3))
    tensor([[18.]], grad_fn=<AddBackward0>)
    """

    def __init__(
        self,
        features: Float[Tensor, "channel cell"],
        masks: Float[Tensor, "y x cell"],
        scale: Float[Tensor, " cell"] | None = None,
        bias: Float[Tensor, " cell"] | None = None,
    ) -> None:
        super().__init__()
        cells = features.shape[1]
        self.features = nn.Parameter(features.clone())
        self.masks = nn.Parameter(masks.clone())
        self.scale = nn.Parameter(torch.ones(cells) if scale is None else scale.clone())
        self.bias = nn.Parameter(torch.zeros(cells) if bias is None else bias.clone())

    def forward(self, x: Tensor) -> Tensor:
        seen = torch.einsum("bcyx,yxn->bcn", x, self.masks)
        return (seen * self.features).sum(dim=1) * self.scale + self.bias


class OverTime(nn.Module):
    """A core–readout network over a whole film; its sites are `"model.layer0"` and so on."""

    def __init__(self, model: CoreReadout) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Float[Tensor, "batch frame cell"]:
        frames = self.model.core(x)
        samples, _, length = frames.shape[:3]
        flat = frames.transpose(1, 2).flatten(0, 1)
        rates: Tensor = F.softplus(self.model.potential(flat)).view(samples, length, -1)
        return rates
