"""Retina networks: convolutions for two layers of interneurons and a layer of ganglion cells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, Unpack

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from codeclens.decomposition.training import seeded
from codeclens.errors import CodeclensError, require_number, unknown
from codeclens.retina.response import Fittable, Input

Nonlinearity = Literal["softplus", "relu"]
NONLINEARITIES = {"softplus": nn.Softplus, "relu": nn.ReLU}


class Noise(nn.Module):
    """Gaussian noise of standard deviation `std` in training mode, the identity otherwise.

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
    """Batch norm of feature maps `(B, C, H, W)` with a mean and a variance for each position.

    >>> PositionNorm(2, (3, 4))(torch.randn(5, 2, 3, 4)).shape
    torch.Size([5, 2, 3, 4])
    """

    def __init__(self, channels: int, size: tuple[int, int], *, eps: float = 1e-5) -> None:
        super().__init__(channels * size[0] * size[1], eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1)).view_as(x)


class Pick(nn.Module):
    """The value of each cell's own channel and position: `(B, types, H, W)` to `(B, cells)`.

    `places` `(cells, 3)` holds channel, row and column.

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


class Filters(nn.Module):
    """Filters over `taps` frames of the whole field: `(B, taps, H, W)` to `(B, channels)`.

    `rank` limits each filter to a sum of that many products of a time course and a map. With
    `slides=True` filters slide over longer windows and give `(B, channels, time, 1)`.

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

    @torch.no_grad()
    def start(self, weight: Float[Tensor, "channel taps y x"]) -> None:
        """Start from these filters, or from their best approximation of this rank."""
        if self.full is not None:
            self.full.copy_(weight)
            return
        left, size, right = torch.linalg.svd(weight.flatten(2).double(), full_matrices=False)
        rank = self.time.shape[1]
        kept = min(rank, size.shape[1])
        root = size[:, :kept].sqrt()
        self.time[:, :kept].copy_((left[..., :kept] * root[:, None]).mT)
        space = root[..., None] * right[:, :kept]
        self.space[:, :kept].copy_(space.view(len(weight), kept, *weight.shape[2:]))

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


class StackedConv2d(nn.Sequential):
    """A stack of 3 × 3 convolutions without nonlinearities in between, linear as a whole.

    `(kernel − 1) / 2` of them cover as many pixels as one of `kernel × kernel`, but learn smoother
    filters with fewer parameters. `channels` maps (or `between`) lie between them. Raises
    CodeclensError for a kernel that is even or below 3. (Maheswaranathan et al. 2023, Neuron 111,
    "LinearStackedConv2d".)

    >>> stack = StackedConv2d(4, 8, 7)
    >>> len(stack), fold(stack).weight.shape
    (3, torch.Size([8, 4, 7, 7]))
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        kernel: int,
        *,
        bias: bool = True,
        between: int | None = None,
    ) -> None:
        if kernel < 3 or kernel % 2 == 0:
            raise CodeclensError(
                f"A stack of 3 × 3 convolutions covers 3, 5, 7 … pixels, not {kernel}."
            )
        count = (kernel - 1) // 2
        widths = [inputs, *[between or channels] * (count - 1), channels]
        super().__init__(
            *(nn.Conv2d(before, after, 3, bias=bias) for before, after in pairwise(widths))
        )


@torch.no_grad()
def fold(stack: nn.Module) -> nn.Conv2d:
    """The single convolution that equals a sequence of linear layers exactly.

    Accepts an `nn.Sequential` of `nn.Conv2d` (stride 1, no padding), `nn.BatchNorm2d` (with its
    running statistics), dropout and identities. Raises CodeclensError for anything else.

    >>> stack = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3).eval(), nn.Conv2d(3, 4, 5))
    >>> x = torch.randn(1, 2, 9, 9)
    >>> bool((fold(stack)(x) - stack(x)).abs().max() < 1e-5)
    True
    """
    weight: Tensor | None = None
    bias: Tensor | None = None
    for layer in stack if isinstance(stack, nn.Sequential) else [stack]:
        if isinstance(layer, nn.Conv2d):
            _require_plain(layer)
            given = (
                layer.bias if layer.bias is not None else layer.weight.new_zeros(len(layer.weight))
            )
            if weight is None or bias is None:
                weight, bias = layer.weight, given
            else:
                bias = given + layer.weight.sum(dim=(2, 3)) @ bias
                weight = _behind(weight, layer.weight)
        elif isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None:
            if weight is None or bias is None or layer.running_var is None:
                raise CodeclensError("A batch norm before all convolutions cannot be folded.")
            scale = (layer.running_var + layer.eps).rsqrt()
            scale = scale if layer.weight is None else scale * layer.weight
            shift = 0 if layer.bias is None else layer.bias
            weight = weight * scale[:, None, None, None]
            bias = (bias - layer.running_mean) * scale + shift
        elif not isinstance(layer, nn.Identity | nn.Dropout | nn.Dropout2d):
            raise CodeclensError(
                f"A {type(layer).__name__} cannot be folded into a convolution; remove it first."
            )
    if weight is None or bias is None:
        raise CodeclensError("There is no convolution to fold.")
    outputs, inputs, height, width = weight.shape
    # skip_init draws nothing, so the random state of the caller does not change.
    folded: nn.Conv2d = nn.utils.skip_init(
        nn.Conv2d, inputs, outputs, (height, width), dtype=weight.dtype, device=weight.device
    )
    folded.weight.copy_(weight)
    assert folded.bias is not None
    folded.bias.copy_(bias)
    return folded


def _behind(
    first: Float[Tensor, "middle inputs y x"], second: Float[Tensor, "outputs middle v u"]
) -> Float[Tensor, "outputs inputs yv xu"]:
    """The kernel of `second` applied to the output of `first`."""
    height, width = second.shape[2:]
    # Both layers correlate, so the second kernel slides over the first one flipped.
    joined = F.conv2d(first.transpose(0, 1), second.flip(2, 3), padding=(height - 1, width - 1))
    return joined.transpose(0, 1)


def _require_plain(layer: nn.Conv2d) -> None:
    plain = layer.stride == (1, 1) and layer.dilation == (1, 1) and layer.groups == 1
    if not plain or layer.padding not in ((0, 0), 0, "valid"):
        raise CodeclensError(
            f"{layer} has a stride, padding, dilation or groups, and cannot be folded exactly."
        )


Ganglion = Literal["dense", "convolutional"]
Norm = Literal["channel", "position"]


class RetinaCNN(Fittable):
    """The three-layer convolutional network of the retina: `(B, history, H, W)` to Hz.

    Two convolutions, each with batch norm, Gaussian noise in training mode and a nonlinearity, are
    followed by a layer of ganglion cells with batch norm and a softplus.

    - `ganglion="dense"` gives each cell its own weights for all positions. `"convolutional"` has a
      third kernel (11 unless given) and one channel for each type of cell: `positions` `(row,
      column)` in pixels of the film are the centres of the cells, `types` their channels (one
      channel a cell unless given), so that cells of one type share their weights.
    - `stacked=True` replaces large convolutions by stacks of 3 × 3 linear ones; `fold()` returns
      the same network with single ones.
    - `norm="position"` normalises each position separately, as the first networks of this kind did;
      `eps` is the constant of the norms.
    - `colours` is the number of colours of the film, 0 for a film without: the first convolution
      then has a filter for each, and windows are `(B, colours, history, H, W)`.
    - The clock, the scale, `size` (50 × 50), `history` (40 frames) and `front` are those of
      `Input`.

    Sites are `"first"` and `"second"`, behind their nonlinearities; the drive, before the last
    nonlinearity, is `"potential"`. Weights are drawn from `seed`. Raises CodeclensError where the
    kernels do not fit into the film, and where cells, types and positions do not match. (McIntosh
    et al. 2016, NeurIPS; Maheswaranathan et al. 2023, Neuron 111.)

    >>> import torch
    >>> cnn = RetinaCNN(["on", "off"], rate=50.0, pixel=50.0, unit="um", size=(22, 22),
    ...                 kernels=(9, 7))
    >>> cnn.eval()(torch.zeros(3, 40, 22, 22)).shape
    torch.Size([3, 2])
    """

    sites: Sequence[str] = ("first", "second")
    drive: str | None = "potential"

    def __init__(
        self,
        cells: Sequence[str],
        *,
        channels: Sequence[int] = (8, 8),
        kernels: Sequence[int] = (15, 11),
        nonlinearity: Nonlinearity = "softplus",
        ganglion: Ganglion = "dense",
        positions: Sequence[tuple[int, int]] | None = None,
        types: Sequence[int] | None = None,
        stacked: bool = False,
        norm: Norm = "channel",
        noise: float = 0.05,
        eps: float | Sequence[float] = 1e-3,
        ahead: int = 0,
        colours: int = 0,
        seed: int = 0,
        **given: Unpack[Input],
    ) -> None:
        given.setdefault("history", 40)
        size = given.setdefault("size", (50, 50))
        super().__init__(cells, **given)
        for what, chosen, known in (
            ("nonlinearity", nonlinearity, NONLINEARITIES),
            ("ganglion layer", ganglion, ("dense", "convolutional")),
            ("norm", norm, ("channel", "position")),
        ):
            if chosen not in known:
                raise unknown(what, chosen, known)
        kernels = list(kernels)
        if ganglion == "convolutional" and len(kernels) == 2:
            kernels.append(11)
        self.options |= {
            "channels": list(channels),
            "kernels": kernels,
            "nonlinearity": nonlinearity,
            "ganglion": ganglion,
            "positions": None if positions is None else [list(place) for place in positions],
            "types": None if types is None else list(types),
            "stacked": stacked,
            "norm": norm,
            "noise": noise,
            "eps": eps if isinstance(eps, float) else list(eps),
            "ahead": ahead,
            **({"colours": colours} if colours else {}),
        }
        require_number("colours", colours, least=0, whole=True, hint="0 for a film without")
        self.ahead = ahead
        self.film_colours = (colours,)
        slack = [eps] * 3 if isinstance(eps, float) else list(eps)
        sizes = _sizes(size, kernels, 3 if ganglion == "convolutional" else 2)
        convolution = StackedConv2d if stacked else nn.Conv2d
        with seeded(seed):
            shapes = list(zip(channels, sizes, strict=False))
            self.conv1 = convolution(self.taken * max(colours, 1), channels[0], kernels[0])
            self.norm1 = _norm(norm, *shapes[0], slack[0])
            self.noise1 = Noise(noise)
            self.first = NONLINEARITIES[nonlinearity]()
            self.conv2 = convolution(channels[0], channels[1], kernels[1])
            self.norm2 = _norm(norm, *shapes[1], slack[1])
            self.noise2 = Noise(noise)
            self.second = NONLINEARITIES[nonlinearity]()
            if ganglion == "dense":
                units = channels[1] * sizes[1][0] * sizes[1][1]
                self.flat: nn.Module = nn.Flatten()
                self.ganglion: nn.Module = nn.Linear(units, len(self.cells), bias=False)
                self.potential: nn.Module = nn.BatchNorm1d(len(self.cells), eps=slack[2])
            else:
                of = list(range(len(self.cells))) if types is None else list(types)
                pick = Pick(_places(self.cells, of, positions, size, sizes[2]))
                self.flat = nn.Identity()
                self.ganglion = convolution(channels[1], max(of) + 1, kernels[2])
                self.potential = nn.Sequential(nn.BatchNorm2d(max(of) + 1, eps=slack[2]), pick)

    def forward(self, x: Float[Tensor, "batch *colour history y x"]) -> Float[Tensor, "batch cell"]:
        # Colours are further filters of the first convolution.
        seen = self.seen(x).flatten(1, -3)
        x = self.first(self.noise1(self.norm1(self.conv1(seen))))
        x = self.second(self.noise2(self.norm2(self.conv2(x))))
        rates: Tensor = self.output(self.potential(self.ganglion(self.flat(x))))
        return rates

    def fold(self) -> RetinaCNN:
        """The same network, exactly, with one convolution in place of each stack.

        >>> cnn = RetinaCNN(["on"], rate=100.0, pixel=50.0, unit="um", size=(12, 12),
        ...                 kernels=(5, 5), stacked=True)
        >>> cnn.fold().conv1
        Conv2d(40, 8, kernel_size=(5, 5), stride=(1, 1))
        """
        options = self.config() | {"stacked": False}
        folded = RetinaCNN(**options, front=self.front).to(next(self.parameters()))
        stacks = ("conv1", "conv2", "ganglion")
        replaced = {
            name: fold(module)
            for name in stacks
            if isinstance(module := getattr(self, name), StackedConv2d)
        }
        state = {
            key: value
            for key, value in self.state_dict().items()
            if key.partition(".")[0] not in replaced
        }
        for name, module in replaced.items():
            state |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
        folded.load_state_dict(state)
        return folded.train(self.training)


def _sizes(size: tuple[int, int], kernels: Sequence[int], count: int) -> list[tuple[int, int]]:
    """Height and width behind each convolution; raises CodeclensError where one does not fit."""
    if len(kernels) != count:
        raise CodeclensError(
            f"kernels (={tuple(kernels)}) must be {count} numbers, one for each convolution."
        )
    sizes = []
    height, width = size
    for kernel in kernels:
        if not 1 <= kernel <= min(height, width):
            raise CodeclensError(
                f"Kernels of {', '.join(map(str, kernels))} do not fit into a film of {size[0]} × "
                f"{size[1]} pixels: the one of {kernel} is applied to {height} × {width}; pass "
                "smaller kernels."
            )
        height, width = height - kernel + 1, width - kernel + 1
        sizes.append((height, width))
    return sizes


def _norm(norm: str, channels: int, size: tuple[int, int], eps: float) -> nn.Module:
    if norm == "channel":
        return nn.BatchNorm2d(channels, eps=eps)
    return PositionNorm(channels, size, eps=eps)


def _places(
    cells: Sequence[str],
    types: Sequence[int],
    positions: Sequence[tuple[int, int]] | None,
    size: tuple[int, int],
    last: tuple[int, int],
) -> Tensor:
    """Channel, row and column of each cell on the last map `(cells, 3)`."""
    if positions is None or len(positions) != len(cells) or len(types) != len(cells):
        raise CodeclensError(
            f"A convolutional ganglion layer needs positions=, (row, column) in pixels for each of "
            f"its {len(cells)} cells, and one type for each cell where types are given."
        )
    # A position of the last map covers the pixels around its centre.
    margins = [(of - left) // 2 for of, left in zip(size, last, strict=True)]
    rows = []
    for cell, channel, place in zip(cells, types, positions, strict=True):
        at = [int(where) - margin for where, margin in zip(place, margins, strict=True)]
        if not all(0 <= where < left for where, left in zip(at, last, strict=True)):
            first = tuple(margins)
            final = tuple(m + left - 1 for m, left in zip(margins, last, strict=True))
            raise CodeclensError(
                f"Cell {cell!r} at {tuple(place)} is too close to the edge: with these kernels "
                f"rows and columns go from {first} to {final}."
            )
        rows.append([channel, *at])
    return torch.tensor(rows)
