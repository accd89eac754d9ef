"""Kinetics: first-order states that a signal activates, and that deplete and recover."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

# Rates a second, where a fit starts: fast inactivation and recovery, slow ones ten times slower.
START = {"activate": 20.0, "inactivate": 30.0, "recover": 10.0, "deplete": 2.0, "refill": 0.5}


class Kinetics(nn.Module):
    """Occupancies of four states, resting R, active A and inactivated I₁ and I₂, over time.

    R → A at `activate · u`, A → I₁ at `inactivate`, I₁ → R at `recover`, I₁ → I₂ at `deplete`, I₂ →
    I₁ at `refill · (1 + u)`, all a second; u `(B, C, time, 1)` ≥ 0 is the input, one block for each
    channel. Gives A at the last frame `(B, C)`. The first state is the stationary one for the first
    u. A frame lasts `step` s; what leaves a state in one is `1 − exp(−rate · step)` of it, so that
    occupancies stay positive and sum to 1 at any rate, and it is the differential equation for
    short frames. (Ozuna and Baccus 2012, Neuron 73.)

    >>> block = Kinetics(1, 0.02)
    >>> u = torch.ones(1, 1, 500, 1)
    >>> bool((block(u) - block(u[:, :, :1])).abs().max() < 1e-6)  # it starts where it stays
    True
    """

    def __init__(self, channels: int, step: float) -> None:
        super().__init__()
        self.step = step
        start = torch.tensor(list(START.values())).log()
        # Logarithms, since rates are positive.
        self.rates = nn.Parameter(start[:, None].repeat(1, channels))

    def forward(self, u: Float[Tensor, "batch channel time 1"]) -> Float[Tensor, "batch channel"]:
        activate, inactivate, recover, deplete, refill = self.rates.exp() * self.step
        u = u[..., 0]
        # What leaves I₁ goes two ways, by their rates.
        away = -torch.expm1(-inactivate)
        leaving = -torch.expm1(-(recover + deplete))
        back = leaving * recover / (recover + deplete)
        down = leaving * deplete / (recover + deplete)
        rising = -torch.expm1(-activate[:, None] * u)
        refilled = -torch.expm1(-refill[:, None] * (1 + u))
        # Stationary: the flow round R → A → I₁ → R is the same everywhere, and I₁ and I₂ balance.
        first_up, first_refill = rising[..., 0], refilled[..., 0]
        resting = 1 / (1 + first_up / away + first_up / back * (1 + down / first_refill))
        active = resting * first_up / away
        lost = resting * first_up / back
        deep = lost * down / first_refill
        for frame in range(u.shape[-1]):
            excited = resting * rising[..., frame]
            regained = deep * refilled[..., frame]
            resting, active, lost, deep = (
                resting - excited + lost * back,
                active + excited - active * away,
                lost + active * away + regained - lost * leaving,
                deep + lost * down - regained,
            )
        last: Tensor = active
        return last
