"""Encoders: what turns a sample into one number a mode, before these are made sparse."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from codeclens.decomposition import sparse


class Encoder(nn.Module, ABC):
    """What every encoder can do beside `forward`: keep some of its modes, and forget the others."""

    @abstractmethod
    def keep(self, index: Int64[Tensor, " kept"]) -> None:
        """Keep these modes, in this order."""


class LinearEncoder(Encoder):
    """One linear layer behind a learned centre: `W (x − centre) + bias`.

    >>> LinearEncoder(4, 12)(torch.zeros(2, 4)).shape
    torch.Size([2, 12])
    """

    def __init__(self, n_features: int, n_modes: int) -> None:
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(n_features))
        self.weight = nn.Parameter(torch.randn(n_modes, n_features) / math.sqrt(n_features))
        self.bias = nn.Parameter(torch.zeros(n_modes))

    def forward(self, x: Float[Tensor, "batch unit"]) -> Float[Tensor, "batch mode"]:
        """The codes before they are made sparse."""
        return sparse.encode(x - self.centre, self.weight, self.bias)

    def keep(self, index: Int64[Tensor, " kept"]) -> None:
        """Keep these modes, in this order."""
        self.weight = nn.Parameter(self.weight.detach()[index])
        self.bias = nn.Parameter(self.bias.detach()[index])

    @torch.no_grad()
    def point(self, index: Int64[Tensor, " new"], rows: Float[Tensor, "new unit"]) -> None:
        """Let some modes read the data along new directions, without a bias."""
        self.weight[index] = rows
        self.bias[index] = 0


class CorrectedEncoder(LinearEncoder):
    """A linear encoder, and what two hidden layers of rectified neurons add to it.

    The addition begins at zero, so that training starts from samples as it does without it.

    >>> CorrectedEncoder(4, 12, hidden=4)(torch.zeros(2, 4)).shape
    torch.Size([2, 12])
    """

    def __init__(self, n_features: int, n_modes: int, *, hidden: int) -> None:
        super().__init__(n_features, n_modes)
        self.first = nn.Linear(n_features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Parameter(torch.zeros(n_modes, hidden))

    def forward(self, x: Float[Tensor, "batch unit"]) -> Float[Tensor, "batch mode"]:
        """The codes before they are made sparse."""
        hidden = torch.relu(self.second(torch.relu(self.first(x - self.centre))))
        return super().forward(x) + hidden @ self.last.T

    def keep(self, index: Int64[Tensor, " kept"]) -> None:
        """Keep these modes, in this order."""
        super().keep(index)
        self.last = nn.Parameter(self.last.detach()[index])

    @torch.no_grad()
    def point(self, index: Int64[Tensor, " new"], rows: Float[Tensor, "new unit"]) -> None:
        """Let some modes read the data along new directions, without a bias or an addition."""
        super().point(index, rows)
        self.last[index] = 0


class MLPEncoder(Encoder):
    """The reference's encoder: two hidden layers with dropout, ReLU and layer norm, then logits.

    Linear, Dropout, ReLU, LayerNorm, twice, then Linear without bias (METHOD.md §3).

    >>> MLPEncoder(4, 12, hidden=4, dropout=0.05).eval()(torch.zeros(2, 4)).shape
    torch.Size([2, 12])
    """

    def __init__(self, n_features: int, n_modes: int, *, hidden: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(n_features, hidden)
        self.norm1 = nn.LayerNorm(hidden)
        self.second = nn.Linear(hidden, hidden)
        self.norm2 = nn.LayerNorm(hidden)
        self.last = nn.Linear(hidden, n_modes, bias=False)
        self.dropout = dropout
        self.generator: torch.Generator | None = None

    def forward(self, x: Float[Tensor, "batch unit"]) -> Float[Tensor, "batch mode"]:
        """The logits of the codes."""
        h = self.norm1(torch.relu(self._drop(self.first(x))))
        h = self.norm2(torch.relu(self._drop(self.second(h))))
        logits = sparse.encode(h, self.last.weight)
        return logits

    def keep(self, index: Int64[Tensor, " kept"]) -> None:
        """Keep these modes, in this order."""
        self.last.weight = nn.Parameter(self.last.weight.detach()[index])

    def _drop(self, h: Tensor) -> Tensor:
        # Not nn.Dropout, which would draw from torch's global random state.
        if not self.training or self.dropout == 0:
            return h
        kept = torch.rand(h.shape, generator=self.generator, device=h.device) >= self.dropout
        return h * kept / (1 - self.dropout)
