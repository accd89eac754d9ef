"""Interneurons of the simulated retina: bipolar and amacrine cells, a channel a type."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.errors import CodeclensError
from codeclens.retina.kernels import Pool, causal, gamma_kernel

BIPOLAR = ("on.transient", "on.sustained", "off.transient", "off.sustained")
DIRECTIONS = {"right": (1.0, 0.0), "left": (-1.0, 0.0), "up": (0.0, 1.0), "down": (0.0, -1.0)}
AMACRINE = ("wide", "crossover.on", "crossover.off", *(f"starburst.{d}" for d in DIRECTIONS))
# How sharply releases bend at their thresholds: a smooth rectification.
SHARPNESS = 6.0
# How much what comes from the wrong side takes from a starburst, for 1 that the right side adds.
VETO = 1.5


class Silencing(nn.Module):
    """Leaves signals `(B, channel, …)` as they are, but holds silenced channels at a level.

    >>> gate = Silencing(("a", "b")).float()
    >>> gate.hold("b", 0.0)
    >>> gate(torch.ones(1, 2))
    tensor([[1., 0.]])
    """

    passes: Tensor
    held: Tensor

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names
        self.register_buffer("passes", torch.ones(len(names), dtype=torch.float64))
        self.register_buffer("held", torch.zeros(len(names), dtype=torch.float64))

    def hold(self, name: str, level: float) -> None:
        """Silence one channel: from now on it is at `level`."""
        if name not in self.names:
            raise CodeclensError(f'There is no interneuron "{name}" among {", ".join(self.names)}.')
        channel = self.names.index(name)
        self.passes[channel], self.held[channel] = 0.0, level

    def forward(self, signals: Tensor) -> Tensor:
        shape = (-1, *[1] * (signals.ndim - 2))
        return signals * self.passes.reshape(shape) + self.held.reshape(shape)


def _table(values: list[float]) -> Float[Tensor, " channel"]:
    return torch.tensor(values, dtype=torch.float64)


class Bipolar(nn.Module):
    """ON and OFF × transient and sustained bipolar cells, one of each at every pixel.

    The cones' signal is filtered in time and by a centre minus a surround, rectified
    (`b = softplus(gain · drive − threshold)`) and released through a synapse that is depressed by
    what it released lately: `b / (1 + κ K ∗ b)`, K a kernel without lag 0. Takes the cones' signal
    `(B, T, H, W)` and gives releases `(B, 4, T', H, W)` in the order of `BIPOLAR`.
    """

    kernels: Tensor
    recovery: Tensor
    gain: Tensor
    threshold: Tensor
    depression: Tensor

    def __init__(self, size: int, rate: float, pixel: float) -> None:
        super().__init__()
        taps, memory = max(2, round(0.3 * rate)), max(2, round(0.24 * rate))
        quick = gamma_kernel(taps, rate, 0.02) - gamma_kernel(taps, rate, 0.045)
        lasting = gamma_kernel(taps, rate, 0.03) - 0.4 * gamma_kernel(taps, rate, 0.07)
        self.register_buffer("kernels", torch.stack([2.0 * quick, lasting]))
        recovery = gamma_kernel(memory - 1, rate, 0.08, order=0)
        self.register_buffer("recovery", torch.cat([torch.zeros(1, dtype=torch.float64), recovery]))
        self.centre = Pool(size, 40 / pixel)
        self.surround = Pool(size, 150 / pixel)
        self.surround_weight = 0.7
        self.register_buffer("gain", _table([40.0, 36.0, 44.0, 36.0]))
        self.register_buffer("threshold", _table([0.1, 0.0, 0.1, 0.0]))
        self.register_buffer("depression", _table([4.0, 4.0, 4.0, 4.0]))
        self.silencing = Silencing(BIPOLAR)
        self.taps = taps + memory - 1

    def forward(
        self, signal: Float[Tensor, "batch time y x"]
    ) -> Float[Tensor, "batch channel rest y x"]:
        filtered = causal(signal[:, None].expand(-1, 2, -1, -1, -1), self.kernels)
        seen = self.centre(filtered) - self.surround_weight * self.surround(filtered)
        both = torch.cat([seen, -seen], dim=1)
        drive = self.gain[:, None, None, None] * both - self.threshold[:, None, None, None]
        release = F.softplus(drive, beta=SHARPNESS)
        spent = causal(release, self.recovery.expand(len(BIPOLAR), -1))
        late = release[:, :, -spent.shape[2] :]
        left = 1 + self.depression[:, None, None, None] * spent
        return self.silencing(late / left)  # type: ignore[no-any-return]


class Amacrine(nn.Module):
    """Amacrine cells: wide-field, narrow-field crossover, starburst-like; one at every pixel.

    All are `softplus(gain · drive − threshold)` of bipolar releases, filtered in time:

    - `wide` gathers both transient types over a wide pool;
    - `crossover.on` gathers the sustained ON type nearby (and goes to OFF cells), `crossover.off`
      the sustained OFF type;
    - `starburst.right` adds, of both transient types, what is released here now and a step to the
      left a moment ago, less a step to the right a moment ago: it answers to motion to the right.

    Takes releases `(B, 4, T, H, W)`, gives `(B, 7, T', H, W)` in the order of `AMACRINE`.
    """

    membranes: Tensor
    delays: Tensor
    gain: Tensor
    threshold: Tensor

    def __init__(self, size: int, rate: float, pixel: float) -> None:
        super().__init__()
        self.taps = max(2, round(0.12 * rate))
        slow, fast, quick = (gamma_kernel(self.taps, rate, tau) for tau in (0.03, 0.01, 0.005))
        self.register_buffer("membranes", torch.stack([quick, slow, slow]))
        late = gamma_kernel(self.taps, rate, 0.03, order=2)
        self.register_buffer("delays", torch.stack([fast, late]))
        self.wide = Pool(size, 150 / pixel)
        self.narrow = Pool(size, 60 / pixel)
        self.here = Pool(size, 40 / pixel)
        step = 75 / pixel
        self.ahead = nn.ModuleList(
            Pool(size, 40 / pixel, (step * x, step * y)) for x, y in DIRECTIONS.values()
        )
        self.register_buffer("gain", _table([3.0, 4.0, 4.0, 3.0, 3.0, 3.0, 3.0]))
        self.register_buffer("threshold", _table([1.0, 0.2, 0.2, 1.8, 1.8, 1.8, 1.8]))
        self.silencing = Silencing(AMACRINE)

    def forward(
        self, release: Float[Tensor, "batch channel time y x"]
    ) -> Float[Tensor, "batch type rest y x"]:
        transient = release[:, 0:1] + release[:, 2:3]
        sources = torch.cat([self.wide(transient), self.narrow(release[:, 1::2])], dim=1)
        gathered = causal(sources, self.membranes)
        now, late = causal(transient.expand(-1, 2, -1, -1, -1), self.delays).split(1, dim=1)
        here = self.here(now)
        beside = [pool(late) for pool in self.ahead]
        # What lies behind one direction lies ahead of the opposite one.
        motion = [here + beside[back] - VETO * beside[way] for way, back in enumerate((1, 0, 3, 2))]
        drive = torch.cat([gathered, *motion], dim=1)
        scaled = self.gain[:, None, None, None] * drive - self.threshold[:, None, None, None]
        return self.silencing(F.softplus(scaled, beta=SHARPNESS))  # type: ignore[no-any-return]


class Interneurons(nn.Module):
    """All interneurons in one tensor: what the ganglion cells receive, and nothing else.

    Joins releases of bipolar cells `(B, 4, T, H, W)` and amacrine cells `(B, 7, T', H, W)` at the
    frames that both have. A cut of the circuit whose contributions are direct: what a bipolar type
    does through amacrine cells counts as theirs.
    """

    def forward(
        self,
        bipolar: Float[Tensor, "batch channel time y x"],
        amacrine: Float[Tensor, "batch type rest y x"],
    ) -> Float[Tensor, "batch unit rest y x"]:
        return torch.cat([bipolar[:, :, -amacrine.shape[2] :], amacrine], dim=1)
