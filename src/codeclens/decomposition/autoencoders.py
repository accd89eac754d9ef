"""The sparse autoencoders by name: TopK, and the reference's ThresholdSAE."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from torch import Tensor

from codeclens.decomposition.fitting import Autoencoder
from codeclens.decomposition.networks import SparseAutoencoder, ThresholdNetwork, TopKNetwork
from codeclens.decomposition.training import Cosine, Plateau, Recipe
from codeclens.errors import CodeclensError

# Enough for R² to settle on contributions of image networks; few samples need more passes.
_STEPS = 700
_EPOCHS = (10, 300)
# Entries of a row of length one are about 1/√D, and so must be the steps.
_RATE_TIMES_ROOT = 0.064


@dataclass(frozen=True, repr=False)
class TopK(Autoencoder):
    """A sparse autoencoder that keeps the `k` largest codes of every sample.

    A linear encoder behind a learned centre, codes rectified and all but the k largest set to zero,
    a dictionary of rows of length one; so a loading says, in the data's own unit, how much of a
    mode there is. Nothing but the modes makes the reconstruction: `X ≈ encode(X) @ dictionary`.

    Training starts from samples as modes and runs Adam with warm-up and cosine decay, for about 700
    steps (`epochs=None`; at least 10, at most 300 epochs) at a rate of 0.064/√D
    (`learning_rate=None`). An auxiliary loss keeps modes alive (`aux_weight`). `patience` stops
    after so many epochs without a better held-out R², `clip` limits the norm of the gradient,
    `held_out` is the share of samples kept for `r2`.

    `non_negative=None` lets the data decide: where no entry is below zero, as in the concat view,
    no entry of the dictionary is either. Patterns of contributions then cannot cancel each other,
    shares of a mode in a sum are exact, and modes are more alike over seeds, at a cost in R² of
    well under one hundredth.

    After Gao et al. 2024, arXiv 2406.04093 (METHOD.md §3). Raises CodeclensError where k exceeds
    the number of modes, and as `Autoencoder.fit` does.

    >>> import numpy as np
    >>> motifs = np.eye(4).repeat(2, axis=1)
    >>> X = np.random.default_rng(0).gamma(0.3, size=(400, 4)) @ motifs
    >>> method = TopK(n_modes=6, k=4).fit(X, seed=0)
    >>> method
    TopK(n_modes=6, k=4)
    >>> method.dictionary.shape[1], bool(method.encode(X).min() >= 0), method.r2 > 0.95
    (8, True, True)
    """

    k: int = 16
    _: KW_ONLY
    non_negative: bool | None = None
    learning_rate: float | None = None
    batch_size: int = 256
    epochs: int | None = None
    warmup: float = 0.05
    aux_weight: float = 1 / 32

    _unit_rows: ClassVar[bool] = True
    _shown: ClassVar[tuple[str, ...]] = ("k",)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("k", "batch_size", "epochs"):
            self._count(name, getattr(self, name))
        self._positive("learning_rate", self.learning_rate)
        self._within("warmup", self.warmup, 0, 1)
        self._within("aux_weight", self.aux_weight, 0, math.inf)
        if self.n_modes is not None:
            self._check_k(self.n_modes)

    def modes_for(self, n_units: int) -> int:
        """How many modes a site of `n_units` units gets; raises CodeclensError if fewer than k."""
        n_modes = super().modes_for(n_units)
        self._check_k(n_modes)
        return n_modes

    def is_non_negative(self, data: Tensor) -> bool:
        """Whether the dictionary of these data shall have no negative entries."""
        return bool((data >= 0).all()) if self.non_negative is None else self.non_negative

    def network(
        self, *, n_features: int, n_modes: int, n_units: int, non_negative: bool
    ) -> SparseAutoencoder:
        """A new network for data `(N, n_features)`."""
        return TopKNetwork(
            n_features=n_features,
            n_modes=n_modes,
            non_negative=non_negative,
            k=self.k,
            aux_weight=self.aux_weight,
        )

    def recipe(self, n_train: int, n_features: int) -> Recipe:
        """How to train on so many samples."""
        fewest, most = _EPOCHS
        rate = self.learning_rate or _RATE_TIMES_ROOT / math.sqrt(n_features)
        wanted = math.ceil(_STEPS / math.ceil(n_train / self.batch_size))
        return Recipe(
            epochs=min(max(wanted, fewest), most) if self.epochs is None else self.epochs,
            batch_size=self.batch_size,
            learning_rate=rate,
            schedule=Cosine(self.warmup),
            patience=self.patience,
            clip=self.clip,
        )

    def _check_k(self, n_modes: int) -> None:
        if self.k > n_modes:
            raise CodeclensError(
                f"k (={self.k}) must not exceed the number of modes (={n_modes}); "
                "lower k or ask for more modes."
            )


@dataclass(frozen=True, repr=False)
class ThresholdSAE(Autoencoder):
    """The autoencoder of the CODEC paper: sigmoid codes, those below a threshold set to zero.

    An encoder with two hidden layers of `hidden` neurons (as many as units), sigmoid codes in
    (0, 1) under a hard mask that is not differentiated, a linear dictionary of three modes per
    unit; loss: mean squared error + `penalty` · mean |dictionary|; Adam at 5e-5, batches of 128,
    300 epochs, learning rate halved on plateau (arXiv 2603.06557; METHOD.md §3). Loadings are in
    (0, 1), so the dictionary carries the data's unit.

    Where the paper leaves freedom: its threshold lies between 0.8 and 0.95, and is 0.8 here, at
    which small sites learn too, since a code that never reaches the threshold gets no gradient; the
    plateau is judged by the training loss with a patience of 10 epochs; parameters start as
    PyTorch's layers do. Unlike the paper's, R² is measured on a held-out tenth of the samples.
    For the retina the paper uses `expansion=10, penalty=1e-4, learning_rate=1e-5, epochs=800`.

    Raises CodeclensError where no code of any sample reaches the threshold, and as
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

    _unit_rows: ClassVar[bool] = False
    _shown: ClassVar[tuple[str, ...]] = ("threshold",)

    def __post_init__(self) -> None:
        if self.n_modes is None and self.expansion is None:
            object.__setattr__(self, "expansion", 3)
        super().__post_init__()
        for name in ("hidden", "batch_size", "epochs", "plateau_patience"):
            self._count(name, getattr(self, name))
        self._positive("learning_rate", self.learning_rate)
        for name in ("threshold", "dropout", "plateau_factor"):
            self._within(name, getattr(self, name), 0, 1)
        self._within("penalty", self.penalty, 0, math.inf)

    def is_non_negative(self, data: Tensor) -> bool:
        """Whether the dictionary shall have no negative entries."""
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

    def recipe(self, n_train: int, n_features: int) -> Recipe:
        """How to train, on however many samples."""
        return Recipe(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            schedule=Plateau(self.plateau_factor, self.plateau_patience),
            patience=self.patience,
            clip=self.clip,
        )

    def _nothing_fired(self, n_modes: int) -> str:
        return (
            f"None of the {n_modes} modes reaches the threshold {self.threshold:g} in any sample "
            f"after {self.epochs} epochs; lower the threshold or train longer."
        )


METHODS: dict[str, type[Autoencoder]] = {kind.__name__: kind for kind in (TopK, ThresholdSAE)}
