"""The networks inside the autoencoders: an encoder, a way to make codes sparse, a dictionary."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from codeclens.decomposition.training import Trainable


class LinearEncoder(nn.Module):
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
        return F.linear(x - self.centre, self.weight, self.bias)

    def keep(self, index: Int64[Tensor, " kept"]) -> None:
        """Keep these modes, in this order."""
        self.weight = nn.Parameter(self.weight.detach()[index])
        self.bias = nn.Parameter(self.bias.detach()[index])


class MLPEncoder(nn.Module):
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
        logits: Tensor = self.last(h)
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


class SparseAutoencoder(Trainable):
    """An encoder, sparse codes `z ≥ 0`, and a dictionary: `x ≈ z D`, without any offset.

    There is no offset in the reconstruction because modes shall account for all of the
    contributions, also for what every sample has in common.
    """

    def __init__(
        self,
        encoder: LinearEncoder | MLPEncoder,
        *,
        n_features: int,
        n_modes: int,
        non_negative: bool,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.non_negative = non_negative
        # What nn.Linear(n_modes, n_features) would start from.
        bound = 1 / math.sqrt(n_modes)
        entries = torch.empty(n_modes, n_features).uniform_(-bound, bound)
        self.dictionary = nn.Parameter(entries.abs() if non_negative else entries)

    def start_from(self, data: Float[Tensor, "sample unit"], generator: torch.Generator) -> None:
        """Get ready to train on these data."""

    @abstractmethod
    def codes(self, x: Float[Tensor, "batch unit"]) -> Float[Tensor, "batch mode"]:
        """The sparse codes of a batch."""

    def reconstruct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The reconstruction of a batch, and its codes."""
        codes = self.codes(x)
        return codes @ self.dictionary, codes

    def keep(self, index: Int64[Tensor, " kept"]) -> None:
        """Keep these modes, in this order, and forget the others."""
        index = index.to(self.dictionary.device)
        self.dictionary = nn.Parameter(self.dictionary.detach()[index])
        self.encoder.keep(index)

    def before_step(self) -> None:
        """Nothing to edit."""

    @torch.no_grad()
    def after_step(self) -> None:
        """Set negative entries of a non-negative dictionary to zero."""
        if self.non_negative:
            self.dictionary.clamp_(min=0)


class ThresholdNetwork(SparseAutoencoder):
    """The reference's network: sigmoid codes, those below a threshold set to zero.

    The mask is not differentiated: a code that is kept passes its gradient on, one that is not
    passes none (METHOD.md §3).
    """

    def __init__(
        self,
        *,
        n_features: int,
        n_modes: int,
        non_negative: bool,
        threshold: float,
        hidden: int,
        dropout: float,
        penalty: float,
    ) -> None:
        encoder = MLPEncoder(n_features, n_modes, hidden=hidden, dropout=dropout)
        super().__init__(encoder, n_features=n_features, n_modes=n_modes, non_negative=non_negative)
        self.encoder: MLPEncoder = encoder
        self.threshold = threshold
        self.penalty = penalty

    def start_from(self, data: Float[Tensor, "sample unit"], generator: torch.Generator) -> None:
        """Let dropout draw from a generator of its own."""
        seed = int(torch.randint(2**62, (), generator=generator))
        self.encoder.generator = torch.Generator(data.device).manual_seed(seed)

    def codes(self, x: Float[Tensor, "batch unit"]) -> Float[Tensor, "batch mode"]:
        """Codes in (0, 1), zero below the threshold."""
        codes = torch.sigmoid(self.encoder(x))
        return codes * (codes >= self.threshold)

    def loss(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squared error and the penalty on the dictionary's mean entry."""
        reconstruction, codes = self.reconstruct(x)
        error = (x - reconstruction).square().mean()
        return error + self.penalty * self.dictionary.abs().mean(), codes


class TopKNetwork(SparseAutoencoder):
    """The k largest codes of a rectified linear encoder, and a dictionary of unit rows.

    Modes that have been silent for as many samples as there are to train on are dead; they get a
    gradient from an auxiliary loss, by which the best of them learn to explain what the living
    modes leave over (Gao et al. 2024, arXiv 2406.04093, A.2).
    """

    silent: Tensor

    def __init__(
        self, *, n_features: int, n_modes: int, non_negative: bool, k: int, aux_weight: float
    ) -> None:
        encoder = LinearEncoder(n_features, n_modes)
        super().__init__(encoder, n_features=n_features, n_modes=n_modes, non_negative=non_negative)
        self.encoder: LinearEncoder = encoder
        self.k = k
        self.aux_weight = aux_weight
        self.dead_after = math.inf
        self.register_buffer("silent", torch.zeros(n_modes), persistent=False)

    @torch.no_grad()
    def start_from(self, data: Float[Tensor, "sample unit"], generator: torch.Generator) -> None:
        """Begin with samples as modes, and with an encoder that reads each by its own direction.

        Beside a random start this gives modes that are far more alike over seeds, because it begins
        where data are; one common factor makes the first reconstruction as large as the data, or
        the many overlapping modes would overshoot and die.
        """
        n_modes, n_features = self.dictionary.shape
        chosen = torch.randperm(len(data), generator=generator)[:n_modes].to(data.device)
        rows = data[chosen]
        if self.non_negative:
            rows = rows.clamp(min=0)
        # A little noise parts equal samples and gives silent ones a direction.
        noise = torch.rand(n_modes, n_features, generator=generator).to(rows)
        size = rows.norm(dim=1, keepdim=True) / math.sqrt(n_features)
        rows = F.normalize(rows + (1e-3 * size + 1e-6) * noise)
        self.dictionary.copy_(rows)
        self.encoder.weight.copy_(rows)
        self.encoder.centre.copy_(data.mean(dim=0))
        x = data[torch.randperm(len(data), generator=generator)[:2048].to(data.device)]
        reconstruction, _ = self.reconstruct(x)
        power = reconstruction.square().sum()
        factor = (x * reconstruction).sum() / power if power > 0 else torch.ones(())
        self.encoder.weight.mul_(factor.clamp(min=1e-3).to(rows))
        self.dead_after = len(data)

    def codes(self, x: Float[Tensor, "batch unit"]) -> Float[Tensor, "batch mode"]:
        """The k largest rectified codes of every sample, the others zero."""
        return self._largest(torch.relu(self.encoder(x)), self.k)

    def loss(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squared error and, where modes are dead, the auxiliary loss."""
        rectified = torch.relu(self.encoder(x))
        codes = self._largest(rectified, self.k)
        error = x - codes @ self.dictionary
        loss = error.square().mean()
        self.silent = torch.where((codes > 0).any(dim=0), 0.0, self.silent + len(x))
        dead = self.silent >= self.dead_after
        count = min(int(dead.sum()), max(self.k, x.shape[1] // 2))
        if self.aux_weight > 0 and count > 0:
            revived = self._largest(rectified * dead, count) @ self.dictionary
            loss = loss + self.aux_weight * (error.detach() - revived).square().mean()
        return loss, codes

    @torch.no_grad()
    def before_step(self) -> None:
        """Take out the part of the gradient that would only change the length of a row."""
        gradient = self.dictionary.grad
        if gradient is not None:
            gradient -= (gradient * self.dictionary).sum(dim=1, keepdim=True) * self.dictionary

    @torch.no_grad()
    def after_step(self) -> None:
        """Give every row length one again, and no negative entry where none may be."""
        super().after_step()
        length = self.dictionary.norm(dim=1, keepdim=True)
        even = torch.full_like(self.dictionary, 1 / math.sqrt(self.dictionary.shape[1]))
        self.dictionary.copy_(
            torch.where(length > 1e-8, self.dictionary / length.clamp(min=1e-8), even)
        )

    def keep(self, index: Int64[Tensor, " kept"]) -> None:
        """Keep these modes, in this order, and forget the others."""
        super().keep(index)
        self.silent = self.silent[index.to(self.silent.device)]

    @staticmethod
    def _largest(codes: Tensor, count: int) -> Tensor:
        values, where = codes.topk(min(count, codes.shape[1]), dim=1, sorted=False)
        return torch.zeros_like(codes).scatter(1, where, values)
