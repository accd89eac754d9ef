"""Photoreceptors: contrast in, a signal that adapts to the light out."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.errors import CodeclensError
from codeclens.retina.circuit import causal, gamma_kernel


class Photoreceptors(nn.Module):
    """Cones whose gain follows the light of the last tenths of a second, by dynamical adaptation.

    With the light `s = 1 + contrast`, `y = Ky ∗ s` and `z = Kz ∗ s`, the signal is

        r = (1 + β) y / (1 + β z) − 1,

    zero in the mean light, nearly the contrast of a small change, and nearly independent of the
    mean of a large one. `Ky` is a gamma kernel, `Kz = γ Ky + (1 − γ) Kslow` a slower one; both sum
    to 1 and last `duration` s. Takes contrasts `(B, T, H, W)` and gives `(B, T − taps + 1, H, W)`:
    only frames whose whole past is there. As a front end of another model, its parameters are
    trained with it. Raises CodeclensError for times that are not positive and for γ outside (0, 1).
    (Clark, Benichou, Meister and Azeredo da Silveira 2013, PLoS Computational Biology 9: e1003289,
    equations 1 to 4.)

    >>> cones = Photoreceptors(rate=50.0)
    >>> step = torch.zeros(1, 60, 1, 1)
    >>> step[:, 30:] = 1.0
    >>> signal = cones(step).detach().flatten()
    >>> bool(signal[:10].abs().max() < 1e-6), bool(signal.max() > signal[-1] > 0)
    (True, True)
    """

    def __init__(
        self,
        rate: float,
        *,
        duration: float = 0.36,
        fast: float = 0.018,
        slow: float = 0.07,
        beta: float = 2.0,
        gamma: float = 0.3,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        for what, value in (
            ("rate", rate), ("duration", duration), ("fast", fast), ("slow", slow), ("beta", beta)
        ):  # fmt: skip
            if not (math.isfinite(value) and value > 0):
                raise CodeclensError(
                    f"Photoreceptors have {what}={value!r}; give a positive number."
                )
        if not 0 < gamma < 1:
            raise CodeclensError(f"Photoreceptors have gamma={gamma!r}; give one between 0 and 1.")
        self.rate = rate
        self.taps = max(1, round(duration * rate))
        # Logarithms keep them positive while they are trained.
        self.log_fast = nn.Parameter(torch.tensor(math.log(fast), dtype=dtype))
        self.log_slow = nn.Parameter(torch.tensor(math.log(slow), dtype=dtype))
        self.log_beta = nn.Parameter(torch.tensor(math.log(beta), dtype=dtype))
        self.logit_gamma = nn.Parameter(torch.tensor(math.log(gamma / (1 - gamma)), dtype=dtype))

    def kernels(self) -> tuple[Float[Tensor, " lag"], Float[Tensor, " lag"]]:
        """Ky and Kz, lag 0 first."""
        fast = gamma_kernel(self.taps, self.rate, self.log_fast.exp(), order=2.0)
        slow = gamma_kernel(self.taps, self.rate, self.log_slow.exp())
        gamma = self.logit_gamma.sigmoid()
        return fast, gamma * fast + (1 - gamma) * slow

    def forward(
        self, contrasts: Float[Tensor, "batch time y x"]
    ) -> Float[Tensor, "batch rest y x"]:
        # The kernels sum to 1, so that filtered light is 1 + filtered contrast.
        kernel_y, kernel_z = self.kernels()
        y = 1 + causal(contrasts[:, None], kernel_y[None])[:, 0]
        z = 1 + causal(contrasts[:, None], kernel_z[None])[:, 0]
        beta = self.log_beta.exp()
        return (1 + beta) * y / (1 + beta * z) - 1


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
