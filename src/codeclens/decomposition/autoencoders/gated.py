"""Gated: whether a mode is present is decided apart from how strongly."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from codeclens.decomposition.autoencoders.unit_rows import UnitRowAutoencoder
from codeclens.decomposition.networks import UnitRowNetwork, level_of


class GatedNetwork(UnitRowNetwork):
    """Codes that are zero where a gate is shut, and a dictionary of unit rows.

    Gate and magnitude share their directions: the gate is the encoder's number plus a bias, the
    magnitude that number times `exp(gain)`. Only the gate pays the price.
    """

    def __init__(self, *, penalty: float, **shared: Any) -> None:
        super().__init__(**shared)
        self.penalty = penalty
        self.gate = nn.Parameter(torch.zeros(len(self.dictionary)))
        self.gain = nn.Parameter(torch.zeros(len(self.dictionary)))

    @torch.no_grad()
    def calibrate(self, x: Float[Tensor, "batch unit"]) -> None:
        """Begin with gates that leave `count` modes a sample."""
        self.gate.copy_(-level_of(torch.relu(self.encoder(x)), self.few).expand_as(self.gate))

    def select(self, pre: Float[Tensor, "batch mode"]) -> Float[Tensor, "batch mode"]:
        """The magnitudes where the gate is open."""
        return torch.relu(pre * self.gain.exp()) * (pre + self.gate > 0)

    def cost(self, x: Tensor, pre: Tensor, codes: Tensor) -> Tensor:
        """The price of what the gates say, and the error that they would leave as codes."""
        gates = torch.relu(pre + self.gate)
        price = self.penalty * gates.sum(dim=1).mean() / math.sqrt(x.shape[1])
        return price + (x - gates @ self.dictionary.detach()).square().mean()

    @torch.no_grad()
    def renew(self, dead: Int64[Tensor, " dead"]) -> Int64[Tensor, " new"]:
        """Let dead modes begin anew, their gates as far open as they are on average."""
        new = super().renew(dead)
        self.gate[new] = self.gate.mean()
        self.gain[new] = 0
        return new

    def keep(self, index: Int64[Tensor, " kept"]) -> None:
        """Keep these modes, in this order, and forget the others."""
        super().keep(index)
        index = index.to(self.gate.device)
        self.gate = nn.Parameter(self.gate.detach()[index])
        self.gain = nn.Parameter(self.gain.detach()[index])


@dataclass(frozen=True, repr=False)
class Gated(UnitRowAutoencoder):
    """A sparse autoencoder that decides with a gate whether a mode is present, and how apart.

    The L1 penalty acts on the gate alone, so codes are not shrunk by it; the gate learns by a
    second reconstruction from what it lets through, with the dictionary held. Gate and magnitude
    share their directions. `penalty` is that of `ReLUSAE`; everything else is as there.

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
        self._within("penalty", self.penalty, 0, math.inf)

    def unit_rows(self, **shared: Any) -> UnitRowNetwork:
        """A new network of this kind."""
        return GatedNetwork(**shared, penalty=self.penalty)
