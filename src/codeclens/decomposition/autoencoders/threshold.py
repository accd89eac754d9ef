"""ThresholdSAE: the autoencoder of the CODEC paper."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.decomposition.autoencoders.base import Autoencoder
from codeclens.decomposition.autoencoders.networks import MLPEncoder, SparseAutoencoder
from codeclens.decomposition.training import Plateau, TrainingSettings


class ThresholdNetwork(SparseAutoencoder):
    """The reference's network: sigmoid codes, those below a threshold set to zero.

    The mask is not differentiated: a kept code passes its gradient on, a masked code passes none
    (method.md §3).
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
        """Give dropout a generator of its own."""
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
        return error + self.penalty * mean_magnitude(self.dictionary), codes


class _MeanMagnitude(torch.autograd.Function):
    """`values.abs().mean()` with half as many forward and backward passes over the values."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        norm: Tensor = torch.linalg.vector_norm(values, 1)
        return norm / values.numel()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        values: Tensor = ctx.saved_tensors[0]
        return values.sign().mul_(gradients[0] / values.numel())


def mean_magnitude(values: Tensor) -> Tensor:
    """The mean of all magnitudes, a number.

    >>> mean_magnitude(torch.tensor([[1.0, -3.0]]))
    tensor(2.)
    """
    found: Tensor = _MeanMagnitude.apply(values)
    return found


@dataclass(frozen=True, repr=False)
class ThresholdSAE(Autoencoder):
    """The autoencoder of the CODEC paper: sigmoid codes, those below a threshold set to zero.

    An encoder with two hidden layers of `hidden` neurons (as many as units), sigmoid codes in
    (0, 1) under a hard mask that is not differentiated, a linear dictionary of three modes per
    unit; loss: mean squared error + `penalty` · mean |dictionary|; Adam at 5e-5, batches of 128,
    300 epochs, learning rate halved on plateau (arXiv 2603.06557; method.md §3). Loadings are in
    (0, 1), so the dictionary carries the data's unit.

    The paper leaves some choices open. Its threshold is between 0.8 and 0.95; here it is 0.8, so
    that small sites learn as well (a code that never reaches the threshold gets no gradient). The
    plateau is that of the training loss, with a patience of 10 epochs. Parameters have PyTorch's
    default initialisation. Unlike the paper's, R² is measured on a held-out tenth of the samples.
    For the retina the paper uses `expansion=10, penalty=1e-4, learning_rate=1e-5, epochs=800`.

    Raises CodeclensError if no code of any sample reaches the threshold, and as
    `Autoencoder.fit` does.

    >>> ThresholdSAE()
    ThresholdSAE(expansion=3, threshold=0.8)
    >>> ThresholdSAE(n_modes=10, threshold=0.9).modes_for(64)
    10
    """

    threshold: float = 0.8
    _: KW_ONLY
    non_negative: bool = False
    hidden: int | None = None
    dropout: float = 0.05
    penalty: float = 5e-5
    learning_rate: float = 5e-5
    batch_size: int = 128
    epochs: int = 300
    plateau_factor: float = 0.5
    plateau_patience: int = 10

    unit_length: ClassVar[bool] = False
    _shown: ClassVar[tuple[str, ...]] = ("threshold",)

    def __post_init__(self) -> None:
        if self.n_modes is None and self.expansion is None:
            object.__setattr__(self, "expansion", 3)
        super().__post_init__()
        self._require_counts("hidden", "batch_size", "epochs", "plateau_patience")
        self._require("learning_rate", above=0)
        for name in ("threshold", "dropout", "plateau_factor"):
            self._require(name, least=0, below=1)
        self._require("penalty", least=0)

    def is_non_negative(self, data: Tensor) -> bool:
        """Whether the dictionary must have no negative entries."""
        return self.non_negative

    def network(
        self, *, n_features: int, n_modes: int, n_units: int, non_negative: bool
    ) -> SparseAutoencoder:
        """A new network for data `(N, n_features)`."""
        return ThresholdNetwork(
            n_features=n_features,
            n_modes=n_modes,
            non_negative=non_negative,
            threshold=self.threshold,
            hidden=n_units if self.hidden is None else self.hidden,
            dropout=self.dropout,
            penalty=self.penalty,
        )

    def training_settings(self, n_train: int, n_features: int) -> TrainingSettings:
        """How to train, the same for any number of samples."""
        return TrainingSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            schedule=Plateau(self.plateau_factor, self.plateau_patience),
            patience=self.patience,
            clip=self.clip,
            precision=self.precision,
        )

    def _nothing_fired(self, n_modes: int) -> str:
        return (
            f"None of the {n_modes} modes reaches the threshold {self.threshold:g} in any sample "
            f"after {self.epochs} epochs; lower the threshold or train longer."
        )
