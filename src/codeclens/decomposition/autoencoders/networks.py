"""The networks of the autoencoders: an encoder, a sparsification of codes, a dictionary."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from codeclens.decomposition.autoencoders import sparse_products
from codeclens.decomposition.training import Trainable


class ModeTensors(nn.Module):
    """A module some of whose tensors have one row per mode, so that modes can be dropped."""

    # The names of these parameters and buffers.
    per_mode: ClassVar[tuple[str, ...]] = ()

    def keep(self, index: Int64[Tensor, " kept"]) -> None:
        """Keep these modes, in this order, and drop the others."""
        for name in self.per_mode:
            value: Tensor = getattr(self, name)
            rows = value.detach()[index.to(value.device)]
            setattr(self, name, nn.Parameter(rows) if isinstance(value, nn.Parameter) else rows)


class LinearEncoder(ModeTensors):
    """One linear layer behind a learned centre: `W (x − centre) + bias`.

    >>> LinearEncoder(4, 12)(torch.zeros(2, 4)).shape
    torch.Size([2, 12])
    """

    per_mode: ClassVar[tuple[str, ...]] = ("weight", "bias")

    def __init__(self, n_features: int, n_modes: int) -> None:
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(n_features))
        self.weight = nn.Parameter(torch.randn(n_modes, n_features) / math.sqrt(n_features))
        self.bias = nn.Parameter(torch.zeros(n_modes))

    def forward(self, x: Float[Tensor, "batch unit"]) -> Float[Tensor, "batch mode"]:
        """The codes before they are made sparse."""
        return sparse_products.encode(x - self.centre, self.weight, self.bias)

    @torch.no_grad()
    def point(self, index: Int64[Tensor, " new"], rows: Float[Tensor, "new unit"]) -> None:
        """Give some modes new directions, without a bias."""
        self.weight[index] = rows
        self.bias[index] = 0


class CorrectedEncoder(LinearEncoder):
    """A linear encoder plus a correction by two hidden layers of rectified neurons.

    The correction starts at zero, so training starts as it would without the correction.

    >>> CorrectedEncoder(4, 12, hidden=4)(torch.zeros(2, 4)).shape
    torch.Size([2, 12])
    """

    per_mode: ClassVar[tuple[str, ...]] = ("weight", "bias", "last")

    def __init__(self, n_features: int, n_modes: int, *, hidden: int) -> None:
        super().__init__(n_features, n_modes)
        self.first = nn.Linear(n_features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Parameter(torch.zeros(n_modes, hidden))

    def forward(self, x: Float[Tensor, "batch unit"]) -> Float[Tensor, "batch mode"]:
        """The codes before they are made sparse."""
        hidden = torch.relu(self.second(torch.relu(self.first(x - self.centre))))
        return super().forward(x) + hidden @ self.last.T

    @torch.no_grad()
    def point(self, index: Int64[Tensor, " new"], rows: Float[Tensor, "new unit"]) -> None:
        """Give some modes new directions, without a bias or a correction."""
        super().point(index, rows)
        self.last[index] = 0


class MLPEncoder(ModeTensors):
    """The reference's encoder: two hidden layers with dropout, ReLU and layer norm, then logits.

    Linear, Dropout, ReLU, LayerNorm, twice, then Linear without bias (method.md §3).

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
        logits = sparse_products.encode(h, self.last.weight)
        return logits

    def keep(self, index: Int64[Tensor, " kept"]) -> None:
        """Keep these modes, in this order, and drop the others."""
        self.last.weight = nn.Parameter(self.last.weight.detach()[index])

    def _drop(self, h: Tensor) -> Tensor:
        # Not nn.Dropout, which would draw from torch's global random state.
        if not self.training or self.dropout == 0:
            return h
        kept = torch.rand(h.shape, generator=self.generator, device=h.device) >= self.dropout
        return h * kept / (1 - self.dropout)


EncoderKind = Literal["linear", "mlp"]

# Number of samples that set the scale of the codes, and for resampling dead modes.
_POOL = 2048


class SparseAutoencoder(ModeTensors, Trainable):
    """An encoder, sparse codes `z ≥ 0`, and a dictionary: `x ≈ z D`, without any offset.

    The reconstruction has no offset, because modes must account for all of the contributions,
    including what all samples have in common.
    """

    per_mode: ClassVar[tuple[str, ...]] = ("dictionary",)

    def __init__(
        self, encoder: ModeTensors, *, n_features: int, n_modes: int, non_negative: bool
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.non_negative = non_negative
        # The initialisation of nn.Linear(n_modes, n_features).
        bound = 1 / math.sqrt(n_modes)
        entries = torch.empty(n_modes, n_features).uniform_(-bound, bound)
        self.dictionary = nn.Parameter(entries.abs() if non_negative else entries)

    def start_from(self, data: Float[Tensor, "sample unit"], generator: torch.Generator) -> None:
        """Initialise what depends on the data."""

    def finish(self, parts: Iterable[Float[Tensor, "part unit"]], samples: int) -> None:
        """Set what is set from samples after training, such as thresholds."""

    @abstractmethod
    def codes(self, x: Float[Tensor, "batch unit"]) -> Float[Tensor, "batch mode"]:
        """The sparse codes of a batch."""

    def reconstruct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The reconstruction of a batch, and its codes."""
        codes = self.codes(x)
        return sparse_products.decode(codes, self.dictionary), codes

    def keep(self, index: Int64[Tensor, " kept"]) -> None:
        """Keep these modes, in this order, and drop the others."""
        super().keep(index)
        self.encoder.keep(index)

    def before_step(self) -> None:
        """Gradients stay as they are."""

    @torch.no_grad()
    def after_step(self) -> None:
        """Set negative entries of a non-negative dictionary to zero."""
        if self.non_negative:
            self.dictionary.clamp_(min=0)


class UnitRowNetwork(SparseAutoencoder):
    """Base of networks with rows of length one: initialisation, loss, resampling of dead modes.

    A subclass defines how the encoder's output becomes codes in training (`select`) and afterwards
    (`settle`), the penalty added to the squared error (`cost`), and what is set from the data
    before training (`calibrate`).

    A mode is dead if it has been inactive for as many samples as the training set has. An auxiliary
    loss of weight `aux_weight` lets the best dead modes learn the error of the others (Gao et al.
    2024, arXiv 2406.04093, A.2). Every `resample` epochs, in the first half of the `passes(N)`
    epochs, dead modes are resampled from the errors of badly reconstructed samples (after Bricken
    et al. 2023, "Towards Monosemanticity"); modes resampled later could no longer converge.
    """

    per_mode: ClassVar[tuple[str, ...]] = ("dictionary", "silent")

    silent: Tensor
    seen: Tensor
    due: Tensor
    pool: Tensor

    def __init__(
        self,
        *,
        n_features: int,
        n_modes: int,
        n_units: int,
        non_negative: bool,
        encoder: EncoderKind = "linear",
        hidden: int | None = None,
        aux_weight: float = 0.0,
        resample: int | None = None,
        passes: Callable[[int], int] | None = None,
        count: int = 16,
    ) -> None:
        made = (
            LinearEncoder(n_features, n_modes)
            if encoder == "linear"
            else CorrectedEncoder(n_features, n_modes, hidden=hidden or n_units)
        )
        super().__init__(made, n_features=n_features, n_modes=n_modes, non_negative=non_negative)
        self.encoder: LinearEncoder = made
        self.aux_weight = aux_weight
        self.resample = resample
        self.passes = passes
        self.count = count
        self.dead_after = math.inf
        self.last_renewal = math.inf
        self.generator = torch.Generator()
        for name, value in (
            ("silent", torch.zeros(n_modes)),
            ("seen", torch.zeros((), dtype=torch.float64)),
            ("due", torch.full((), math.inf, dtype=torch.float64)),
            ("pool", torch.zeros(0, n_features)),
        ):
            self.register_buffer(name, value, persistent=False)

    @torch.no_grad()
    def start_from(self, data: Float[Tensor, "sample unit"], generator: torch.Generator) -> None:
        """Initialise modes with samples, and the encoder with the same directions.

        Compared with a random start, modes are far more similar over seeds. One common factor makes
        the first reconstruction as large as the data; otherwise the many overlapping modes would
        overshoot and die.
        """
        n_modes, n_features = self.dictionary.shape
        chosen = torch.randperm(len(data), generator=generator)[:n_modes].to(data.device)
        rows = data[chosen]
        if self.non_negative:
            rows = rows.clamp(min=0)
        # A little noise separates equal samples and gives zero samples a direction.
        noise = torch.rand(n_modes, n_features, generator=generator).to(rows)
        size = rows.norm(dim=1, keepdim=True) / math.sqrt(n_features)
        rows = F.normalize(rows + (1e-3 * size + 1e-6) * noise)
        self.dictionary.copy_(rows)
        self.encoder.weight.copy_(rows)
        self.encoder.centre.copy_(data.mean(dim=0))
        x = data[torch.randperm(len(data), generator=generator)[:_POOL].to(data.device)]
        self.calibrate(x)
        reconstruction, _ = self.reconstruct(x)
        power = reconstruction.square().sum()
        factor = (x * reconstruction).sum() / power if power > 0 else torch.ones(())
        self.encoder.weight.mul_(factor.clamp(min=1e-3).to(rows))
        self.calibrate(x)
        self.dead_after = len(data)
        if self.resample is not None:
            self.pool = x
            self.due.fill_(self.resample * len(data))
            if self.passes is not None:
                self.last_renewal = 0.5 * self.passes(len(data)) * len(data)
            self.generator.manual_seed(int(torch.randint(2**62, (), generator=generator)))

    @property
    def few(self) -> int:
        """The initial number of codes per sample if none is given: at most a quarter."""
        return max(1, min(self.count, len(self.dictionary) // 4))

    def calibrate(self, x: Float[Tensor, "batch unit"]) -> None:
        """Set biases or thresholds by the scale of the codes of these samples."""

    @abstractmethod
    def select(self, pre: Float[Tensor, "batch mode"]) -> Float[Tensor, "batch mode"]:
        """The codes of a batch in training, from the encoder's output."""

    def settle(self, pre: Float[Tensor, "batch mode"]) -> Float[Tensor, "batch mode"]:
        """The codes of each sample by itself, from the encoder's output."""
        return self.select(pre)

    def cost(self, x: Tensor, pre: Tensor, codes: Tensor) -> Tensor | float:
        """The penalty on the codes, added to the squared error."""
        return 0.0

    def codes(self, x: Float[Tensor, "batch unit"]) -> Float[Tensor, "batch mode"]:
        """The sparse codes of a batch."""
        return self.settle(self.encoder(x))

    def misfit(self, x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """The mean squared error of the reconstruction, and the error itself."""
        error = x - sparse_products.decode(codes, self.dictionary)
        return error.square().mean(), error

    def loss(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The squared error, the penalty and, where modes are dead, the auxiliary loss."""
        pre = self.encoder(x)
        codes = self.select(pre)
        loss, error = self.misfit(x, codes)
        loss = loss + self.cost(x, pre, codes)
        # From the batches before, because these counts are the same in all processes.
        dead = self.silent >= self.dead_after
        here = len(x) * self.processes
        self.silent = torch.where((codes > 0).any(dim=0), 0.0, self.silent + here)
        self.seen += here
        if self.aux_weight > 0 and (count := int(dead.sum())):
            revivable = min(count, max(self.count, self.dictionary.shape[1] // 2))
            revived = largest(torch.relu(pre) * dead, revivable) @ self.dictionary
            loss = loss + self.aux_weight * (error.detach() - revived).square().mean()
        return loss, codes

    @torch.no_grad()
    def before_step(self) -> None:
        """Remove the part of the gradient that would only change the length of a row."""
        gradient = self.dictionary.grad
        if gradient is not None:
            gradient -= (gradient * self.dictionary).sum(dim=-1, keepdim=True) * self.dictionary

    @torch.no_grad()
    def after_step(self) -> None:
        """Scale every row to length one, without negative entries where none are allowed."""
        super().after_step()
        length = self.dictionary.norm(dim=-1, keepdim=True)
        even = torch.full_like(self.dictionary, 1 / math.sqrt(self.dictionary.shape[-1]))
        self.dictionary.copy_(
            torch.where(length > 1e-8, self.dictionary / length.clamp(min=1e-8), even)
        )

    def between_steps(self) -> None:
        """Resample all dead modes where that is due, and set when it is due again."""
        if self.resample is not None and self.due <= self.seen <= self.last_renewal:
            self.due += self.resample * self.dead_after
            self.renew((self.silent >= self.dead_after).nonzero().flatten())

    @torch.no_grad()
    def renew(self, dead: Int64[Tensor, " dead"]) -> Int64[Tensor, " new"]:
        """Resample dead modes from the errors of badly reconstructed samples."""
        reconstruction, _ = self.reconstruct(self.pool)
        left = self.pool - reconstruction
        if self.non_negative:
            left = left.clamp(min=0)
        chance = left.square().sum(dim=1).double().cpu()
        dead = dead[: int((chance > 0).sum())]
        if not len(dead):
            return dead
        alive = (self.silent < self.dead_after).to(self.pool.device)
        size = self.encoder.weight[alive].norm(dim=1).mean() if bool(alive.any()) else 1.0
        chosen = torch.multinomial(chance, len(dead), generator=self.generator)
        rows = F.normalize(left[chosen.to(left.device)])
        self.dictionary[dead] = rows
        self.encoder.point(dead, rows * size)
        self.silent[dead] = 0
        return dead


def largest(codes: Float[Tensor, "batch mode"], count: int) -> Float[Tensor, "batch mode"]:
    """The `count` largest codes of every sample, the others zero.

    >>> largest(torch.tensor([[3.0, 1.0, 2.0]]), 2)
    tensor([[3., 0., 2.]])
    """
    values, where = codes.topk(min(count, codes.shape[1]), dim=1, sorted=False)
    return torch.zeros_like(codes).scatter(1, where, values)


def level_of(codes: Float[Tensor, "batch mode"], count: float) -> Tensor:
    """The level that `count` codes per sample exceed on average, at least a tiny positive one.

    >>> float(level_of(torch.tensor([[4.0, 1.0], [3.0, 2.0]]), 1))
    3.0
    """
    flat = codes.flatten()
    number = min(max(1, round(count * len(codes))), len(flat))
    return flat.topk(number, sorted=False).values.min().clamp(min=1e-6)


def level_of_parts(parts: Iterable[Float[Tensor, "part mode"]], codes: int) -> Tensor:
    """The level that so many codes of all samples reach; 0 where no code is positive.

    Only the largest codes so far are in memory.

    >>> float(level_of_parts([torch.tensor([[4.0, 1.0]]), torch.tensor([[3.0, 2.0]])], 2))
    3.0
    """
    best = torch.zeros(0)
    for part in parts:
        found = torch.cat([best.to(part), part[part > 0]])
        best = found.topk(min(codes, len(found)), sorted=False).values
    return best.min() if len(best) else torch.zeros(())
