"""Retina networks: two layers of interneurons and one of ganglion cells, fitted to recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.decomposition.training import seeded
from codeclens.errors import CodeclensError
from codeclens.retina.fittable import Fittable
from codeclens.retina.layers import NONLINEARITIES, Noise, Nonlinearity, Pick, PositionNorm
from codeclens.retina.movies import Unit
from codeclens.retina.stacks import StackedConv2d, fold

Ganglion = Literal["dense", "convolutional"]
Norm = Literal["channel", "position"]


class RetinaCNN(Fittable):
    """The three-layer convolutional network of the retina: `(B, history, H, W)` to Hz.

    Two convolutions, each with batch norm, Gaussian noise while it trains and a nonlinearity, then
    a layer of ganglion cells with batch norm and a softplus. `ganglion="dense"` gives every cell
    weights of its own onto all places; `"convolutional"` takes a third kernel (11 unless given) and
    one channel for each type of cell: `positions` `(row, column)` in pixels of the film say where a
    cell looks, `types` which channel it is (its own unless given), so that cells of one type share
    their weights. `stacked=True` puts 3 × 3 linear convolutions in place of large ones; `fold()`
    gives the same network with single ones. `norm="position"` norms every place by itself, as the
    first networks of this kind did; `eps` is the norms'. `front` is a module in
    front of it, such as photoreceptors, from windows to windows `(B, h', H, W)` of `front_history`
    frames.

    Sites are `"first"` and `"second"`, behind their nonlinearities; the drive, before the last one,
    is `"potential"`. Weights are drawn from `seed`. Raises CodeclensError where the kernels do not
    fit into the film, and where cells, types and positions do not fit together. (McIntosh et al.
    2016, NeurIPS; Maheswaranathan et al. 2023, Neuron 111.)

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
        rate: float,
        pixel: float,
        unit: Unit,
        history: int = 40,
        size: tuple[int, int] = (50, 50),
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
        seed: int = 0,
        front: nn.Module | None = None,
        front_history: int | None = None,
    ) -> None:
        super().__init__(
            cells, rate=rate, pixel=pixel, unit=unit, history=history, size=size,
            front=front, front_history=front_history,
        )  # fmt: skip
        _require_known(nonlinearity, ganglion, norm)
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
        }
        self.ahead = ahead
        slack = [eps] * 3 if isinstance(eps, float) else list(eps)
        sizes = _sizes(size, kernels, 3 if ganglion == "convolutional" else 2)
        convolution = StackedConv2d if stacked else nn.Conv2d
        with seeded(seed):
            shapes = list(zip(channels, sizes, strict=False))
            self.conv1 = convolution(self.taken, channels[0], kernels[0])
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

    def forward(self, x: Float[Tensor, "batch history y x"]) -> Float[Tensor, "batch cell"]:
        x = self.first(self.noise1(self.norm1(self.conv1(self.seen(x)))))
        x = self.second(self.noise2(self.norm2(self.conv2(x))))
        rates: Tensor = self.output(self.potential(self.ganglion(self.flat(x))))
        return rates

    def fold(self) -> RetinaCNN:
        """The same network with one convolution for each stack, exactly.

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


def _require_known(nonlinearity: str, ganglion: str, norm: str) -> None:
    for what, given, known in (
        ("nonlinearity", nonlinearity, tuple(NONLINEARITIES)),
        ("ganglion layer", ganglion, ("dense", "convolutional")),
        ("norm", norm, ("channel", "position")),
    ):
        if given not in known:
            raise CodeclensError(f"{given!r} is no {what}; choose from {', '.join(known)}.")


def _sizes(size: tuple[int, int], kernels: Sequence[int], count: int) -> list[tuple[int, int]]:
    """Height and width behind each convolution; raises CodeclensError where one does not fit."""
    if len(kernels) != count:
        raise CodeclensError(f"Kernels {tuple(kernels)} were given; this network has {count}.")
    sizes = []
    height, width = size
    for kernel in kernels:
        if not 1 <= kernel <= min(height, width):
            raise CodeclensError(
                f"Kernels of {', '.join(map(str, kernels))} do not fit into a film of {size[0]} × "
                f"{size[1]} pixels: the one of {kernel} meets {height} × {width}; pass smaller "
                "kernels."
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
    """Channel, row and column of every cell on the last map `(cells, 3)`."""
    if positions is None or len(positions) != len(cells) or len(types) != len(cells):
        raise CodeclensError(
            f"A convolutional ganglion layer needs positions=, (row, column) in pixels for each of "
            f"its {len(cells)} cells, and as many types where they are given."
        )
    # A place of the last map looks at the pixels around its centre.
    margins = [(of - left) // 2 for of, left in zip(size, last, strict=True)]
    rows = []
    for cell, channel, place in zip(cells, types, positions, strict=True):
        at = [int(where) - margin for where, margin in zip(place, margins, strict=True)]
        if not all(0 <= where < left for where, left in zip(at, last, strict=True)):
            first = tuple(margins)
            final = tuple(m + left - 1 for m, left in zip(margins, last, strict=True))
            raise CodeclensError(
                f"Cell {cell!r} at {tuple(place)} lies too near the edge: with these kernels rows "
                f"and columns go from {first} to {final}."
            )
        rows.append([channel, *at])
    return torch.tensor(rows)
