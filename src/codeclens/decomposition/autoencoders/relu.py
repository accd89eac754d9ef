"""Autoencoders with penalised rectified codes: ReLUSAE, Gated and JumpReLU."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from codeclens.decomposition.autoencoders.base import UnitRowAutoencoder, require_fewer
from codeclens.decomposition.autoencoders.networks import (
    SparseAutoencoder,
    UnitRowNetwork,
    level_of,
    level_of_parts,
)


class ReLUNetwork(UnitRowNetwork):
    """Rectified codes with a penalty on their sum, and a dictionary of unit rows."""

    def __init__(self, *, penalty: float, **shared: Any) -> None:
        super().__init__(**shared)
        self.penalty = penalty

    @torch.no_grad()
    def calibrate(self, x: Float[Tensor, "batch unit"]) -> None:
        """Start with a bias that leaves `count` codes per sample above zero."""
        self.encoder.bias.zero_()
        self.encoder.bias.sub_(level_of(torch.relu(self.encoder(x)), self.few))

    def select(self, pre: Float[Tensor, "batch mode"]) -> Float[Tensor, "batch mode"]:
        """The rectified codes."""
        return torch.relu(pre)

    def cost(self, x: Tensor, pre: Tensor, codes: Tensor) -> Tensor:
        """The mean sum of a sample's codes, in units of a sample's length."""
        return self.penalty * codes.sum(dim=1).mean() / math.sqrt(x.shape[1])


@dataclass(frozen=True, repr=False)
class ReLUSAE(UnitRowAutoencoder):
    """A sparse autoencoder with rectified codes and an L1 penalty: the classical one.

    The loss is the mean squared error of data scaled to deviation one, plus `penalty` times the sum
    of a sample's codes divided by √D, about the length of a sample; so a penalty has the same
    meaning at sites of any size. Rows have length one, so longer rows cannot evade the penalty. The
    penalty shrinks codes, which lowers R². Dead modes are resampled every `resample` epochs;
    everything else is as in `TopK`.

    After Bricken et al. 2023, "Towards Monosemanticity", and Cunningham et al. 2023, arXiv
    2309.08600. Raises CodeclensError as `Autoencoder.fit` does.

    >>> import numpy as np
    >>> X = np.random.default_rng(0).gamma(0.3, size=(400, 8)).astype(np.float32)
    >>> dense, thin = (ReLUSAE(n_modes=12, penalty=p).fit(X) for p in (0.02, 0.3))
    >>> dense.l0 > thin.l0, dense.r2 > thin.r2
    (True, True)
    """

    penalty: float = 0.1
    _: KW_ONLY
    aux_weight: float = 0.0
    resample: int | None = 5

    _shown: ClassVar[tuple[str, ...]] = ("penalty",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("penalty", least=0)

    def unit_rows(self, **shared: Any) -> UnitRowNetwork:
        """A new network of this kind."""
        return ReLUNetwork(**shared, penalty=self.penalty)

    def saelens_kind(self, network: SparseAutoencoder, scale: float) -> tuple[str, Tensor | None]:
        """SAELens' "standard"."""
        return "standard", None


class GatedNetwork(UnitRowNetwork):
    """Codes that are zero where a gate is closed, and a dictionary of unit rows.

    Gate and magnitude share their directions: the gate is the encoder's output plus a bias, the
    magnitude that output times `exp(gain)`. Only the gate is penalised.
    """

    per_mode: ClassVar[tuple[str, ...]] = (*UnitRowNetwork.per_mode, "gate", "gain")

    def __init__(self, *, penalty: float, **shared: Any) -> None:
        super().__init__(**shared)
        self.penalty = penalty
        self.gate = nn.Parameter(torch.zeros(len(self.dictionary)))
        self.gain = nn.Parameter(torch.zeros(len(self.dictionary)))

    @torch.no_grad()
    def calibrate(self, x: Float[Tensor, "batch unit"]) -> None:
        """Start with gates that leave `count` modes per sample."""
        self.gate.copy_(-level_of(torch.relu(self.encoder(x)), self.few).expand_as(self.gate))

    def select(self, pre: Float[Tensor, "batch mode"]) -> Float[Tensor, "batch mode"]:
        """The magnitudes where the gate is open."""
        return torch.relu(pre * self.gain.exp()) * (pre + self.gate > 0)

    def cost(self, x: Tensor, pre: Tensor, codes: Tensor) -> Tensor:
        """The penalty on the open gates, and the error with the gates as codes."""
        gates = torch.relu(pre + self.gate)
        penalty = self.penalty * gates.sum(dim=1).mean() / math.sqrt(x.shape[1])
        return penalty + (x - gates @ self.dictionary.detach()).square().mean()

    @torch.no_grad()
    def renew(self, dead: Int64[Tensor, " dead"]) -> Int64[Tensor, " new"]:
        """Resample dead modes, with gates as far open as the average."""
        new = super().renew(dead)
        self.gate[new] = self.gate.mean()
        self.gain[new] = 0
        return new


@dataclass(frozen=True, repr=False)
class Gated(UnitRowAutoencoder):
    """A sparse autoencoder with separate gates and magnitudes.

    A gate decides whether a mode is active. The L1 penalty acts on the gate alone, so it does not
    shrink codes; the gate learns from a second reconstruction, made of the gates with a fixed
    dictionary. Gate and magnitude share their directions. `penalty` and everything else is as in
    `ReLUSAE`.

    After Rajamanoharan et al. 2024, arXiv 2404.16014. Raises CodeclensError as `Autoencoder.fit`
    does.

    >>> import numpy as np
    >>> from codeclens.decomposition import ReLUSAE
    >>> X = np.random.default_rng(0).gamma(0.3, size=(400, 8)).astype(np.float32)
    >>> method = Gated(n_modes=12, penalty=0.2).fit(X)
    >>> method.l0 < 12, method.r2 > ReLUSAE(n_modes=12, penalty=0.2).fit(X).r2
    (True, True)
    """

    penalty: float = 0.2
    _: KW_ONLY
    aux_weight: float = 0.0
    resample: int | None = 5

    _shown: ClassVar[tuple[str, ...]] = ("penalty",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("penalty", least=0)

    def unit_rows(self, **shared: Any) -> UnitRowNetwork:
        """A new network of this kind."""
        return GatedNetwork(**shared, penalty=self.penalty)


# How much of the distance from the wanted number of codes (in logarithms) each step corrects.
_CONTROL = 0.05


class JumpReLUNetwork(UnitRowNetwork):
    """Codes that are zero below a threshold for each mode, a penalty on their number, unit rows.

    `width` is that of the kernel through which thresholds learn, in the unit of the codes. Where
    `k` is given, a controller moves all thresholds together, by `level` (a logarithm), so that the
    batches have k codes per sample; learning alone is too slow for large sites. After training the
    common level is set to what k codes per sample exceed.
    """

    per_mode: ClassVar[tuple[str, ...]] = (*UnitRowNetwork.per_mode, "log_threshold")

    width: Tensor
    level: Tensor

    def __init__(self, *, penalty: float, k: int | None, bandwidth: float, **shared: Any) -> None:
        super().__init__(**shared)
        self.penalty = penalty
        self.k = k
        self.bandwidth = bandwidth
        self.log_threshold = nn.Parameter(torch.zeros(len(self.dictionary)))
        self.register_buffer("width", torch.ones(()))
        # Not in files: it is zero after training.
        self.register_buffer("level", torch.zeros(()), persistent=False)

    @torch.no_grad()
    def calibrate(self, x: Float[Tensor, "batch unit"]) -> None:
        """Start with thresholds that leave `count` codes per sample."""
        pre = torch.relu(self.encoder(x))
        level = level_of(pre, self.few if self.k is None else self.k)
        self.log_threshold.copy_(level.log().expand_as(self.log_threshold))
        # If nearly all codes should be active, their level is nearly zero and defines no width.
        self.width.copy_(self.bandwidth * level_of(pre, self.few))

    def select(self, pre: Float[Tensor, "batch mode"]) -> Float[Tensor, "batch mode"]:
        """The codes above their thresholds."""
        found: Tensor = _Jump.apply(pre, self.thresholds, self.width)
        return found

    @property
    def thresholds(self) -> Float[Tensor, " mode"]:
        """The threshold of each mode."""
        return (self.log_threshold + self.level).exp()

    def misfit(self, x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """The mean squared error, by a dense product: codes below a threshold need a gradient."""
        error = x - codes @ self.dictionary
        return error.square().mean(), error

    def cost(self, x: Tensor, pre: Tensor, codes: Tensor) -> Tensor:
        """The penalty on the mean number of codes, or on its distance from `k`."""
        present = _Step.apply(pre, self.thresholds, self.width).sum(dim=1).mean()
        if self.k is not None and self.training:
            step = (present.detach() / self.k).clamp(min=0.1, max=10).log()
            # Not in place: the gradient of the thresholds is still to come.
            self.level = self.level + _CONTROL * step.to(self.level)
        distance: Tensor = present if self.k is None else (present / self.k - 1).square()
        return self.penalty * distance

    @torch.no_grad()
    def finish(self, parts: Iterable[Float[Tensor, "part unit"]], samples: int) -> None:
        """Move all thresholds together so that `k` codes per sample exceed them."""
        if self.k is None:
            return
        thresholds = self.log_threshold.exp()
        codes = (self.encoder(part) / thresholds for part in parts)
        level = level_of_parts(codes, self.k * samples)
        if level > 0:
            # A code must exceed its threshold, not only reach it.
            self.log_threshold.add_(level.log() - 1e-6)
        self.level = torch.zeros_like(self.level)

    @torch.no_grad()
    def renew(self, dead: Int64[Tensor, " dead"]) -> Int64[Tensor, " new"]:
        """Resample dead modes, with thresholds as high as the average."""
        new = super().renew(dead)
        self.log_threshold[new] = self.log_threshold.mean()
        return new


class _Jump(torch.autograd.Function):
    """`z · [z > θ]`; θ learns from codes within half a width of it (arXiv 2407.14435, eq. 11)."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, threshold: Tensor, width: Tensor) -> Tensor:
        ctx.save_for_backward(z, threshold, width)
        return z * (z > threshold)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient,) = gradients
        z, threshold, width = ctx.saved_tensors
        near = ((z - threshold).abs() < width / 2).to(gradient)
        of_threshold = (-(threshold / width) * near * gradient).sum(dim=0)
        return gradient * (z > threshold), of_threshold, None


class _Step(torch.autograd.Function):
    """`[z > θ]`; θ learns from codes within half a width of it (arXiv 2407.14435, eq. 12)."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, threshold: Tensor, width: Tensor) -> Tensor:
        ctx.save_for_backward(z, threshold, width)
        return (z > threshold).to(z)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None]:
        (gradient,) = gradients
        z, threshold, width = ctx.saved_tensors
        near = ((z - threshold).abs() < width / 2).to(gradient)
        return None, (-near * gradient / width).sum(dim=0), None


@dataclass(frozen=True, repr=False)
class JumpReLU(UnitRowAutoencoder):
    """A sparse autoencoder whose modes are active above learned thresholds.

    A code is zero up to its mode's threshold and unchanged above it, so codes are not shrunk. The
    number of active modes, L0, is penalised: by `penalty · (L0 / k − 1)²` where `k` is the wanted
    mean number, by `penalty · L0` where `k` is None (a mode is then active only where it explains
    that share of the variance). L0 has no gradient; thresholds learn from the codes within half a
    kernel's width of them, which is `bandwidth` times the first threshold. With `k` a controller
    also moves all thresholds together after each step, and after training they are set so that L0
    is k on the held-out samples (on the training samples where fewer than 32 are held out).
    Everything else is as in `TopK`.

    After Rajamanoharan et al. 2024, arXiv 2407.14435. Raises CodeclensError if k exceeds the
    number of modes, and as `Autoencoder.fit` does.

    >>> import numpy as np
    >>> X = np.random.default_rng(0).gamma(0.3, size=(400, 8)).astype(np.float32)
    >>> method = JumpReLU(n_modes=12, k=3).fit(X)
    >>> thin = JumpReLU(n_modes=12, k=None, penalty=0.1).fit(X)
    >>> 2 < method.l0 < 4, thin.l0 < JumpReLU(n_modes=12, k=None, penalty=0.01).fit(X).l0
    (True, True)
    """

    k: int | None = 16
    _: KW_ONLY
    penalty: float = 1.0
    bandwidth: float = 0.5

    _shown: ClassVar[tuple[str, ...]] = ("k",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_counts("k")
        self._require("penalty", least=0)
        self._require("bandwidth", above=0)
        if self.n_modes is not None:
            require_fewer(self.k, self.n_modes)

    def modes_for(self, n_units: int) -> int:
        """How many modes a site of `n_units` units gets; raises CodeclensError if fewer than k."""
        n_modes = super().modes_for(n_units)
        require_fewer(self.k, n_modes)
        return n_modes

    def saelens_kind(self, network: SparseAutoencoder, scale: float) -> tuple[str, Tensor | None]:
        """SAELens' "jumprelu" with a threshold for each mode."""
        return "jumprelu", network.get_parameter("log_threshold").detach().cpu().exp() * scale

    def unit_rows(self, **shared: Any) -> UnitRowNetwork:
        """A new network of this kind."""
        return JumpReLUNetwork(
            **shared,
            penalty=self.penalty,
            k=self.k,
            bandwidth=self.bandwidth,
            # Half the modes at most: a threshold below all codes would never learn.
            count=self.k or max(1, min(16, shared["n_modes"] // 2)),
        )
