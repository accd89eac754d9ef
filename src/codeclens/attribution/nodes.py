"""Nodes: where on the path from the baseline to the input the integral is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from codeclens.attribution.capture import Probe
from codeclens.errors import CodeclensError

Alphas = tuple[float, ...]
Schedule = Literal["uniform", "power", "geometric", "arc"]


@runtime_checkable
class Nodes(Protocol):
    """A way to place `steps + 1` nodes between 0 (the baseline) and 1 (the input), ascending.

    `pilot` says how many samples it wants to look at; 0 where it needs none.
    """

    @property
    def pilot(self) -> int: ...

    def place(self, steps: int, probe: Probe, x: Tensor, baseline: Tensor) -> Alphas:
        """Place the nodes, by forward passes of the pilot samples `x` `(B, …)` if need be."""
        ...


def is_number(value: Any) -> bool:
    """Whether a setting is a real number, and no truth value."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Whether a setting is a whole number, one of numpy too, and no truth value."""
    return not isinstance(value, bool) and isinstance(value, Integral)


def _require_start(nodes: Geometric | ArcLength) -> None:
    if not is_number(nodes.start) or not 0 < nodes.start < 1:
        raise CodeclensError(
            f"{type(nodes).__name__}(start={nodes.start!r}) needs a start between 0 (the baseline) "
            "and 1 (the input), for example 0.005."
        )


@dataclass(frozen=True)
class Power:
    """Nodes `α = (s / S)^p`: uniform for p = 1 (as published), dense near the baseline above.

    Raises CodeclensError where p is not a number above 0.
    """

    p: float = 3.0
    pilot: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if not is_number(self.p) or not 0 < self.p < math.inf:
            raise CodeclensError(f"Power(p={self.p!r}) needs a power above 0, for example 3.")

    def place(self, steps: int, probe: Probe, x: Tensor, baseline: Tensor) -> Alphas:
        return tuple((s / steps) ** self.p for s in range(steps + 1))


@dataclass(frozen=True)
class Geometric:
    """Nodes in equal ratios from `start` to 1, and 0: what a network with batch norm calls for.

    Of up to 20 steps the first ends at `start`; of more, a twentieth of them divide the way from 0
    to `start` evenly. Where a tolerance doubles the steps the first node goes down to a third each
    time: else the first segment would stay as it is, with an error that no change would show.

    Raises CodeclensError where `start` is not between 0 and 1.
    """

    start: float = 0.005
    pilot: ClassVar[int] = 0

    def __post_init__(self) -> None:
        _require_start(self)

    def place(self, steps: int, probe: Probe, x: Tensor, baseline: Tensor) -> Alphas:
        if steps == 1:
            return (0.0, 1.0)
        # The share of the nodes that lie below the start.
        low = 1 / min(steps, 20)
        shares = [s / steps for s in range(1, steps)]
        inner = [
            self.start * share / low if share < low else self.start ** ((1 - share) / (1 - low))
            for share in shares
        ]
        return (0.0, *inner, 1.0)

    def doubled(self, nodes: Alphas) -> Alphas:
        """Twice the steps: a node in every segment, between 0 and the first one at a third."""
        middles = [(a * b) ** 0.5 if a else b / 3 for a, b in pairwise(nodes)]
        pairs = zip(nodes, middles, strict=False)
        return (*(alpha for pair in pairs for alpha in pair), nodes[-1])


@dataclass(frozen=True)
class ArcLength:
    """Nodes by arc length in hidden space, averaged over the sites and a few samples.

    Along a fine geometric grid of α, forward passes only, the relative lengths
    `‖a(α_{j+1}) − a(α_j)‖ / ‖a‖` are summed over the sites; their quantiles are the nodes. A
    trained network changes on a logarithmic scale of contrast, so most nodes lie near the
    baseline. Look once at a few samples of a data set and use the same nodes for all of it.

    `crowding` is the power of the length per logarithm of α to which nodes are as dense: 1 places
    them at equal arc length, more crowds them where the network changes fastest, where a step
    leaves the largest error (docs/accuracy.md). Raises CodeclensError for a pilot of no sample, a
    grid of fewer than two nodes, a `start` that is not between 0 and 1.
    """

    pilot: int = 2
    grid: int = 32
    start: float = 0.001
    crowding: float = 1.3

    def __post_init__(self) -> None:
        for name, least in (("pilot", 1), ("grid", 2)):
            value: Any = getattr(self, name)
            if not is_whole(value) or value < least:
                raise CodeclensError(
                    f"ArcLength({name}={value!r}) needs a whole number from {least} on."
                )
        _require_start(self)
        if not is_number(self.crowding) or not 0 < self.crowding < math.inf:
            raise CodeclensError(f"ArcLength(crowding={self.crowding!r}) needs a power above 0.")

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


def are_given(nodes: object) -> bool:
    """Whether nodes are the numbers themselves: a sequence, a tensor or an array of them."""
    return not isinstance(nodes, str) and (
        isinstance(nodes, Sequence) or hasattr(nodes, "__array__")
    )


def require_ascending(nodes: Any) -> Alphas:
    """Given nodes as a tuple; raises CodeclensError where they do not ascend within [0, 1]."""
    try:
        alphas = tuple(float(alpha) for alpha in nodes)
    except (TypeError, ValueError):
        raise CodeclensError(f"Nodes must be numbers from 0 to 1, not {nodes!r}.") from None
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
