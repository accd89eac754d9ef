"""Cascades: a few filters and nonlinearities in a row, for recordings that carry no more."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.decomposition.training import seeded
from codeclens.errors import CodeclensError
from codeclens.retina.cnn import NONLINEARITIES, Filters, Nonlinearity
from codeclens.retina.movies import Unit
from codeclens.retina.photoreceptors import Kinetics
from codeclens.retina.response import Fittable


class LN(Fittable):
    """The linear–nonlinear model: one filter in space and time for each cell, and a softplus.

    `rank` makes a filter a sum of so many products of one in space and one in time; None leaves it
    free. Its only site is `"output"`, the cells themselves, whose drive is `"potential"`.
    (Chichilnisky 2001, Network 12.)

    >>> import torch
    >>> model = LN(["on"], rate=50.0, pixel=1.0, unit="deg", history=20, size=(1, 1))
    >>> model(torch.zeros(2, 20, 1, 1)).shape
    torch.Size([2, 1])
    """

    sites: Sequence[str] = ("output",)

    def __init__(
        self,
        cells: Sequence[str],
        *,
        rate: float,
        pixel: float,
        unit: Unit,
        history: int = 40,
        size: tuple[int, int],
        rank: int | None = None,
        seed: int = 0,
        front: nn.Module | None = None,
        front_history: int | None = None,
    ) -> None:
        super().__init__(
            cells, rate=rate, pixel=pixel, unit=unit, history=history, size=size,
            front=front, front_history=front_history,
        )  # fmt: skip
        self.options["rank"] = rank
        with seeded(seed):
            taps = self.taken
            self.potential = Filters(len(self.cells), taps, size, rank=rank)

    def forward(self, x: Float[Tensor, "batch history y x"]) -> Float[Tensor, "batch cell"]:
        rates: Tensor = self.output(self.potential(self.seen(x)))
        return rates


class LNLN(Fittable):
    """Subunits: small filters at all places, a nonlinearity, and a sum over places for each cell.

    `channels` kinds of subunits of `kernel` pixels, each at every place; cells weigh them with
    weights of their own, which `positive=True` keeps from being negative, as in the retina, where
    subunits are bipolar cells. The site is `"subunits"`. Raises CodeclensError where the kernel
    does not fit. (Real et al. 2017, Current Biology 27; Maheswaranathan et al. 2018, PLoS CB 14.)

    >>> import torch
    >>> model = LNLN(["on"], rate=50.0, pixel=1.0, unit="deg", history=20, size=(8, 8), kernel=3)
    >>> model(torch.zeros(2, 20, 8, 8)).shape
    torch.Size([2, 1])
    """

    sites: Sequence[str] = ("subunits",)

    def __init__(
        self,
        cells: Sequence[str],
        *,
        rate: float,
        pixel: float,
        unit: Unit,
        history: int = 40,
        size: tuple[int, int],
        channels: int = 4,
        kernel: int = 5,
        nonlinearity: Nonlinearity = "softplus",
        positive: bool = False,
        seed: int = 0,
        front: nn.Module | None = None,
        front_history: int | None = None,
    ) -> None:
        super().__init__(
            cells, rate=rate, pixel=pixel, unit=unit, history=history, size=size,
            front=front, front_history=front_history,
        )  # fmt: skip
        if not 1 <= kernel <= min(size):
            raise CodeclensError(
                f"Subunits of {kernel} pixels do not fit into a film of {size[0]} × {size[1]}."
            )
        self.options |= {"channels": channels, "kernel": kernel, "positive": positive}
        self.options["nonlinearity"] = nonlinearity
        left = [side - kernel + 1 for side in size]
        with seeded(seed):
            self.filters = nn.Conv2d(self.taken, channels, kernel)
            self.subunits = NONLINEARITIES[nonlinearity]()
            self.potential = Weighing(channels * left[0] * left[1], len(self.cells), positive)

    def forward(self, x: Float[Tensor, "batch history y x"]) -> Float[Tensor, "batch cell"]:
        subunits = self.subunits(self.filters(self.seen(x)))
        rates: Tensor = self.output(self.potential(subunits.flatten(1)))
        return rates


class LNK(Fittable):
    """Linear–nonlinear–kinetic: filters, a nonlinearity, and states that deplete and recover.

    The filter (`taps` frames, over the whole field) slides over the window, its rectified output u
    drives a `Kinetics` block for the `history − taps + 1` frames that are left, from the state in
    which it would be if u had always been as at first; each cell weighs the active states of the
    `channels`. So gain and kinetics adapt to contrast, and `history` must cover the memory of the
    states. Sites are `"nonlinear"` `(B, C, time, 1)` and `"active"` `(B, C)`. Raises
    CodeclensError where the history is no longer than the filter. (Ozuna and Baccus
    2012, Neuron 73.)

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
        rate: float,
        pixel: float,
        unit: Unit,
        history: int = 120,
        taps: int = 40,
        size: tuple[int, int],
        channels: int = 1,
        nonlinearity: Nonlinearity = "softplus",
        seed: int = 0,
        front: nn.Module | None = None,
        front_history: int | None = None,
    ) -> None:
        super().__init__(
            cells, rate=rate, pixel=pixel, unit=unit, history=history, size=size,
            front=front, front_history=front_history,
        )  # fmt: skip
        if not 1 <= taps < self.taken:
            raise CodeclensError(
                f"A filter of {taps} frames leaves no time for the states in a history of "
                f"{self.taken}; pass a longer history."
            )
        self.options |= {"taps": taps, "channels": channels, "nonlinearity": nonlinearity}
        with seeded(seed):
            self.filters = Filters(channels, taps, size, slides=True)
            self.nonlinear = NONLINEARITIES[nonlinearity]()
            self.active = Kinetics(channels, 1 / rate)
            self.potential = nn.Linear(channels, len(self.cells))
            with torch.no_grad():
                # The active state is a small share: its weights start where a change is felt.
                self.potential.weight.abs_().add_(1.0).mul_(10.0)

    def forward(self, x: Float[Tensor, "batch history y x"]) -> Float[Tensor, "batch cell"]:
        driving = self.nonlinear(self.filters(self.seen(x)))
        rates: Tensor = self.output(self.potential(self.active(driving)))
        return rates


class Weighing(nn.Linear):
    """A linear layer whose weights may be held from being negative.

    >>> bool((Weighing(3, 2, True).effective >= 0).all())
    True
    """

    def __init__(self, inputs: int, outputs: int, positive: bool) -> None:
        super().__init__(inputs, outputs)
        self.positive = positive

    @property
    def effective(self) -> Tensor:
        """The weights as they act."""
        return F.softplus(10 * self.weight) / 10 if self.positive else self.weight

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.effective, self.bias)
