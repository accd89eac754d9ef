"""Nodes: where on the path from the baseline to the input the integral is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor

from codeclens.attribution.capture import Probe
from codeclens.errors import CodeclensError

Alphas = tuple[float, ...]
Schedule = Literal["uniform", "power", "geometric", "arc"]


class Nodes(Protocol):
    """A way to place `steps + 1` nodes between 0 (the baseline) and 1 (the input), ascending.

    `pilot` says how many samples it wants to look at; 0 where it needs none.
    """

    @property
    def pilot(self) -> int: ...

    def place(self, steps: int, probe: Probe, x: Tensor, baseline: Tensor) -> Alphas:
        """Place the nodes, by forward passes of the pilot samples `x` `(B, …)` if need be."""
        ...


@dataclass(frozen=True)
class Power:
    """Nodes `α = (s / S)^p`: uniform for p = 1 (as published), dense near the baseline above."""

    p: float = 3.0
    pilot: ClassVar[int] = 0

    def place(self, steps: int, probe: Probe, x: Tensor, baseline: Tensor) -> Alphas:
        return tuple((s / steps) ** self.p for s in range(steps + 1))


@dataclass(frozen=True)
class Geometric:
    """Nodes in equal ratios from `start` to 1, and 0: what a network with batch norm calls for."""

    start: float = 0.005
    pilot: ClassVar[int] = 0

    def place(self, steps: int, probe: Probe, x: Tensor, baseline: Tensor) -> Alphas:
        if steps == 1:
            return (0.0, 1.0)
        ratio = self.start ** (1 / (steps - 1))
        return (0.0, *(ratio ** (steps - s) for s in range(1, steps)), 1.0)


@dataclass(frozen=True)
class ArcLength:
    """Nodes by arc length in hidden space, averaged over the sites and a few samples.

    Along a fine geometric grid of α, forward passes only, the relative lengths
    `‖a(α_{j+1}) − a(α_j)‖ / ‖a‖` are summed over the sites; their quantiles are the nodes. A
    trained network changes on a logarithmic scale of contrast, so most nodes lie near the
    baseline. Look once at a few samples of a data set and use the same nodes for all of it.

    `crowding` is the power of the length per logarithm of α to which nodes are as dense: 1 places
    them at equal arc length, more crowds them where the network changes fastest, where a step
    leaves the largest error (docs/accuracy.md).
    """

    pilot: int = 2
    grid: int = 32
    start: float = 0.001
    crowding: float = 1.3

    def place(self, steps: int, probe: Probe, x: Tensor, baseline: Tensor) -> Alphas:
        x, baseline = x[: self.pilot], baseline[: self.pilot]
        alphas = [0.0, *torch.logspace(_log10(self.start), 0, self.grid).tolist()]
        lengths = torch.zeros(self.grid, dtype=torch.float64)
        before: dict[str, Tensor] = {}
        for number, alpha in enumerate(alphas):
            now = probe.look(torch.lerp(baseline, x, alpha))
            for key, activation in now.items():
                if before:
                    lengths[number - 1] += _relative_length(before[key], activation)
            before = now
        along = torch.cat([lengths.new_zeros(1), self._crowded(lengths, alphas).cumsum(0)])
        if not along[-1] > 0:
            # Nothing moves at any site: every placing is as good.
            return Power(1).place(steps, probe, x, baseline)
        wanted = torch.linspace(0, 1, steps + 1, dtype=torch.float64) * along[-1]
        inner = _interpolate(wanted[1:-1], along, torch.tensor(alphas, dtype=torch.float64))
        return (0.0, *inner.tolist(), 1.0)

    def _crowded(self, lengths: Tensor, alphas: list[float]) -> Tensor:
        # From the baseline to the first node the contrast has no ratio; it counts as a doubling.
        above = torch.tensor([alphas[1] / 2, *alphas[1:]], dtype=torch.float64).log().diff()
        return above * (lengths / above) ** self.crowding


SCHEDULES: dict[str, Nodes] = {
    "uniform": Power(1),
    "power": Power(),
    "geometric": Geometric(),
    "arc": ArcLength(),
}


def require_ascending(nodes: Sequence[float]) -> Alphas:
    """Given nodes as a tuple; raises CodeclensError where they do not ascend within [0, 1]."""
    alphas = tuple(float(alpha) for alpha in nodes)
    ascending = all(a < b for a, b in pairwise(alphas))
    if len(alphas) < 2 or not ascending or alphas[0] < 0 or alphas[-1] > 1:
        raise CodeclensError(
            "Nodes must be two or more numbers that ascend from 0 (baseline) to 1 (input), "
            f"not {alphas}."
        )
    return alphas


def _relative_length(before: Tensor, now: Tensor) -> float:
    step = (now - before).flatten(1).norm(dim=1)
    size = (now.flatten(1).norm(dim=1) + before.flatten(1).norm(dim=1)) / 2
    return float((step / size.masked_fill(size == 0, 1)).double().mean())


def _interpolate(at: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Linear interpolation of y over ascending x, taking the last of equal places."""
    high = torch.searchsorted(x, at, right=False).clamp(1, len(x) - 1)
    width = x[high] - x[high - 1]
    share = (at - x[high - 1]) / width.masked_fill(width == 0, 1)
    return y[high - 1] + share * (y[high] - y[high - 1])


def _log10(value: float) -> float:
    return float(torch.tensor(value, dtype=torch.float64).log10())
