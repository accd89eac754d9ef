"""Photoreceptors: contrast in, a signal that adapts to the light out."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.errors import CodeclensError
from codeclens.retina.kernels import causal, gamma_kernel


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
