"""Cascades: filters and nonlinearities in a row, for recordings too short for a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.decomposition.training import seeded
from codeclens.errors import CodeclensError
from codeclens.retina.cnn import NONLINEARITIES, Filters, Nonlinearity
from codeclens.retina.photoreceptors import Kinetics
from codeclens.retina.response import Fittable, Input


class LN(Fittable):
    """The linear–nonlinear model: one filter in space and time for each cell, and a softplus.

    `rank` limits a filter to a sum of that many products of a time course and a map; None leaves it
    free. The clock, the scale, `size`, `history` (40 frames by default) and `front` are those of
    `Input`. Its only site is `"output"`, the cells themselves, whose drive is `"potential"`.
    (Chichilnisky 2001, Network 12.)

    >>> import torch
    >>> model = LN(["on"], rate=50.0, pixel=1.0, unit="deg", history=20, size=(1, 1))
    >>> model(torch.zeros(2, 20, 1, 1)).shape
    torch.Size([2, 1])
    """

    sites: Sequence[str] = ("output",)
    solver: str = "lbfgs"
    separate_cells: bool = True

    def __init__(
        self,
        cells: Sequence[str],
        *,
        rank: int | None = None,
        seed: int = 0,
        **given: Unpack[Input],
    ) -> None:
        given.setdefault("history", 40)
        super().__init__(cells, **given)
        self.options["rank"] = rank
        with seeded(seed):
            self.potential = Filters(len(self.cells), self.taken, given["size"], rank=rank)

    @property
    def filters_of_film(self) -> Sequence[Tensor]:
        """The filters of the cells."""
        return (self.potential.weight,)

    def start(self, filters: Float[Tensor, "cell taps y x"]) -> None:
        """Start from these filters, or from their best approximation of this rank."""
        self.potential.start(filters)

    def forward(self, x: Float[Tensor, "batch history y x"]) -> Float[Tensor, "batch cell"]:
        rates: Tensor = self.output(self.potential(self.seen(x)))
        return rates


class LNLN(Fittable):
    """Subunits: small filters at all positions, a nonlinearity, and a weighted sum for each cell.

    There are `channels` types of subunits of `kernel` pixels (5 unless given, or the film's size
    where that is smaller), one of each type at every position. Each cell has its own weights, which
    `positive=True` keeps from being negative, as in the retina, where subunits are bipolar cells.
    The clock, the scale, `size`, `history` (40 frames by default) and `front` are those of `Input`.
    The site is `"subunits"`. Raises CodeclensError where the kernel does not fit. (Real et al.
    2017, Current Biology 27; Maheswaranathan et al. 2018, PLoS CB 14.)

    >>> import torch
    >>> model = LNLN(["on"], rate=50.0, pixel=1.0, unit="deg", history=20, size=(8, 8), kernel=3)
    >>> model(torch.zeros(2, 20, 8, 8)).shape
    torch.Size([2, 1])
    """

    sites: Sequence[str] = ("subunits",)
    solver: str = "lbfgs"

    def __init__(
        self,
        cells: Sequence[str],
        *,
        channels: int = 4,
        kernel: int | None = None,
        nonlinearity: Nonlinearity = "softplus",
        positive: bool = False,
        seed: int = 0,
        **given: Unpack[Input],
    ) -> None:
        given.setdefault("history", 40)
        super().__init__(cells, **given)
        size = given["size"]
        kernel = min(5, *size) if kernel is None else kernel
        if not 1 <= kernel <= min(size):
            raise CodeclensError(
                f"Subunits of {kernel} pixels do not fit into a film of {size[0]} × {size[1]} "
                "pixels; pass a smaller kernel."
            )
        self.options |= {"channels": channels, "kernel": kernel, "positive": positive}
        self.options["nonlinearity"] = nonlinearity
        left = [side - kernel + 1 for side in size]
        with seeded(seed):
            self.filters = nn.Conv2d(self.taken, channels, kernel)
            self.subunits = NONLINEARITIES[nonlinearity]()
            self.potential = Weighing(channels * left[0] * left[1], len(self.cells), positive)

    @property
    def filters_of_film(self) -> Sequence[Tensor]:
        """The filters of the subunits."""
        return (self.filters.weight,)

    def forward(self, x: Float[Tensor, "batch history y x"]) -> Float[Tensor, "batch cell"]:
        subunits = self.subunits(self.filters(self.seen(x)))
        rates: Tensor = self.output(self.potential(subunits.flatten(1)))
        return rates


class LNK(Fittable):
    """Linear–nonlinear–kinetic: filters, a nonlinearity, and states that deplete and recover.

    The filter (`taps` frames, over the whole field) slides over the window. Its rectified output u
    drives a `Kinetics` block for the remaining `history − taps + 1` frames, which starts in the
    stationary state for the first u. Each cell weighs the active states of the `channels`. So gain
    and kinetics adapt to contrast, and `history` (120 frames by default) must cover the memory of
    the states. The clock, the scale, `size` and `front` are those of `Input`. Sites are
    `"nonlinear"` `(B, C, time, 1)` and `"active"` `(B, C)`. Raises CodeclensError where the history
    is not longer than the filter. (Ozuna and Baccus 2012, Neuron 73.)

    >>> import torch
    >>> model = LNK(["on"], rate=50.0, pixel=1.0, unit="deg", history=60, taps=20, size=(1, 1))
    >>> model(torch.zeros(2, 60, 1, 1)).shape
    torch.Size([2, 1])
    """

    sites: Sequence[str] = ("nonlinear", "active")
    timed: Sequence[str] = ("nonlinear",)

    def __init__(
        self,
        cells: Sequence[str],
        *,
        taps: int = 40,
        channels: int = 1,
        nonlinearity: Nonlinearity = "softplus",
        seed: int = 0,
        **given: Unpack[Input],
    ) -> None:
        given.setdefault("history", 120)
        super().__init__(cells, **given)
        if not 1 <= taps < self.taken:
            raise CodeclensError(
                f"taps (={taps}) must be at least 1 and less than the history of {self.taken} "
                "frames, to leave frames for the states."
            )
        self.options |= {"taps": taps, "channels": channels, "nonlinearity": nonlinearity}
        with seeded(seed):
            self.filters = Filters(channels, taps, given["size"], slides=True)
            self.nonlinear = NONLINEARITIES[nonlinearity]()
            self.active = Kinetics(channels, 1 / self.rate)
            self.potential = nn.Linear(channels, len(self.cells))
            with torch.no_grad():
                # The active share is small: large initial weights make its changes matter.
                self.potential.weight.abs_().add_(1.0).mul_(10.0)

    @property
    def filters_of_film(self) -> Sequence[Tensor]:
        """The filters of the channels."""
        return (self.filters.weight,)

    @torch.no_grad()
    def start(self, filters: Float[Tensor, "cell taps y x"]) -> None:
        """Start with one channel for each cell, where there are as many channels as cells.

        From random filters, all channels follow the cells that fire most.
        """
        taps = self.filters.weight.shape[1]
        if len(self.filters.weight) == len(filters):
            self.filters.start(filters[:, -taps:])
            self.potential.weight.mul_(torch.eye(len(filters)).to(self.potential.weight))

    def forward(self, x: Float[Tensor, "batch history y x"]) -> Float[Tensor, "batch cell"]:
        driving = self.nonlinear(self.filters(self.seen(x)))
        rates: Tensor = self.output(self.potential(self.active(driving)))
        return rates


class Weighing(nn.Linear):
    """A linear layer whose weights can be constrained to be positive.

    >>> bool((Weighing(3, 2, True).effective >= 0).all())
    True
    """

    def __init__(self, inputs: int, outputs: int, positive: bool) -> None:
        super().__init__(inputs, outputs)
        self.positive = positive

    @property
    def effective(self) -> Tensor:
        """The weights after the constraint."""
        return F.softplus(10 * self.weight) / 10 if self.positive else self.weight

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.effective, self.bias)
