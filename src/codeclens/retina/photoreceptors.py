"""Photoreceptors and kinetic blocks: the parts of a model that adapt."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.errors import require_number


def gamma_kernel(
    taps: int, rate: float, tau: float | Tensor, order: float = 1.0
) -> Float[Tensor, " lag"]:
    """The kernel `k(t) ∝ (t/τ)ⁿ exp(−t/τ)` over `taps` frames, with sum 1.

    Lag 0 comes first; t is the middle of each frame in s, as is `tau`. The peak is at
    `order · tau`; order 0 is an exponential. Differentiable in `tau`.

    >>> kernel = gamma_kernel(20, rate=50.0, tau=0.025, order=2.0)
    >>> int(kernel.argmax()), round(float(kernel.sum()), 6)
    (2, 1.0)
    """
    like = tau if isinstance(tau, Tensor) else torch.tensor(tau, dtype=torch.float64)
    scaled = (torch.arange(taps, dtype=like.dtype, device=like.device) + 0.5) / rate / like
    kernel = scaled**order * torch.exp(-scaled)
    normalised: Tensor = kernel / kernel.sum()
    return normalised


def causal(
    signals: Float[Tensor, "batch channel time y x"], kernels: Float[Tensor, "channel lag"]
) -> Float[Tensor, "batch channel rest y x"]:
    """Filter each channel in time by its kernel, lag 0 first; keep the frames that have all lags.

    >>> x = torch.tensor([0.0, 1.0, 0.0, 0.0]).reshape(1, 1, 4, 1, 1)
    >>> causal(x, torch.tensor([[0.5, 0.25]])).flatten()
    tensor([0.5000, 0.2500, 0.0000])
    """
    batch, channels, time, height, width = signals.shape
    flat = signals.reshape(batch, channels, time, height * width)
    weight = kernels.flip(1)[:, None, :, None].to(signals)
    filtered = F.conv2d(flat, weight, groups=channels)
    return filtered.unflatten(3, (height, width))  # type: ignore[no-any-return]


class Photoreceptors(nn.Module):
    """Cones whose gain adapts to the light of the last tenths of a second (dynamical adaptation).

    With the light `s = 1 + contrast`, `y = Ky ∗ s` and `z = Kz ∗ s`, the signal is

        r = (1 + β) y / (1 + β z) − 1,

    which is zero in the mean light and approximates the contrast of a small change. `Ky` is a gamma
    kernel, `Kz = γ Ky + (1 − γ) Kslow` a slower one; both sum to 1 and last `duration` s. Takes
    contrasts `(B, T, H, W)` and gives `(B, T − taps + 1, H, W)`, the frames with a whole past. In
    front of another model, its parameters are trained with the model. Raises CodeclensError for
    times that are not positive and for γ outside (0, 1).
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
        positive = {"rate": rate, "duration": duration, "fast": fast, "slow": slow, "beta": beta}
        for name, value in positive.items():
            require_number(name, value, above=0)
        require_number("gamma", gamma, above=0, below=1)
        self.rate = rate
        self.taps = max(1, round(duration * rate))
        # Logarithms keep the parameters positive in training.
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


# Initial rates (1/s): the slow inactivation and recovery are ten times slower than the fast ones.
START = {"activate": 20.0, "inactivate": 30.0, "recover": 10.0, "deplete": 2.0, "refill": 0.5}


class Kinetics(nn.Module):
    """Occupancies of four states over time: resting R, active A, and inactivated I₁ and I₂.

    R → A at `activate · u`, A → I₁ at `inactivate`, I₁ → R at `recover`, I₁ → I₂ at `deplete`, I₂ →
    I₁ at `refill · (1 + u)`, all in 1/s. The input u `(B, C, time, 1)` is ≥ 0; each channel has its
    own block. The output is A at the last frame `(B, C)`; the initial state is the stationary one
    for the first u. In a frame of `step` s the share `1 − exp(−rate · step)` leaves a state, so
    that occupancies stay positive and sum to 1 at any rate; for short frames this is the
    differential equation. (Ozuna and Baccus 2012, Neuron 73.)

    >>> block = Kinetics(1, 0.02)
    >>> u = torch.ones(1, 1, 500, 1)
    >>> bool((block(u) - block(u[:, :, :1])).abs().max() < 1e-6)  # stationary from the start
    True
    """

    def __init__(self, channels: int, step: float) -> None:
        super().__init__()
        self.step = step
        start = torch.tensor(list(START.values())).log()
        # Logarithms keep the rates positive.
        self.rates = nn.Parameter(start[:, None].repeat(1, channels))

    def forward(self, u: Float[Tensor, "batch channel time 1"]) -> Float[Tensor, "batch channel"]:
        activate, inactivate, recover, deplete, refill = self.rates.exp() * self.step
        u = u[..., 0]
        # I₁ has two exits, in proportion to their rates.
        away = -torch.expm1(-inactivate)
        leaving = -torch.expm1(-(recover + deplete))
        back = leaving * recover / (recover + deplete)
        down = leaving * deplete / (recover + deplete)
        rising = -torch.expm1(-activate[:, None] * u)
        refilled = -torch.expm1(-refill[:, None] * (1 + u))
        # Stationary: the flow along R → A → I₁ → R is constant, and I₁ and I₂ balance.
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
