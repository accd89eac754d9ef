"""Autoencoders with rows of length one: what all but the reference's have in common."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, get_args

from torch import Tensor

from codeclens.decomposition.fitting import Autoencoder
from codeclens.decomposition.networks import EncoderKind, SparseAutoencoder, UnitRowNetwork
from codeclens.decomposition.training import Cosine, Recipe
from codeclens.errors import CodeclensError

# Enough for R² to settle on contributions of image networks; few samples need more passes.
_STEPS = 700
_EPOCHS = (10, 300)
# Entries of a row of length one are about 1/√D, and so must be the steps.
_RATE_TIMES_ROOT = 0.064


@dataclass(frozen=True, repr=False)
class UnitRowAutoencoder(Autoencoder):
    """What all autoencoders with rows of length one share.

    Rows of the dictionary have length one, so a loading says, in the data's own unit, how much of a
    mode there is. Nothing but the modes makes the reconstruction: `X ≈ encode(X) @ dictionary`.

    Training starts from samples as modes and runs Adam with warm-up and cosine decay, for about 700
    steps (`epochs=None`; at least 10, at most 300 epochs) at a rate of 0.064/√D
    (`learning_rate=None`). An auxiliary loss keeps modes alive (`aux_weight`), and every `resample`
    epochs of the first half dead modes begin anew from what badly reconstructed samples leave over
    (None: never).
    `patience` stops after so many epochs without a better held-out R², `clip` limits the norm of
    the gradient, `held_out` is the share of samples kept for `r2`.

    `encoder` is "linear" (one layer behind a learned centre) or "mlp" (to which two layers of
    `hidden` rectified neurons, as many as units, add what they can).

    `non_negative=None` lets the data decide: where no entry is below zero, as in the concat view,
    no entry of the dictionary is either. Patterns of contributions then cannot cancel each other,
    shares of a mode in a sum are exact, and modes are more alike over seeds.
    """

    _: KW_ONLY
    encoder: EncoderKind = "linear"
    hidden: int | None = None
    non_negative: bool | None = None
    learning_rate: float | None = None
    batch_size: int = 256
    epochs: int | None = None
    warmup: float = 0.05
    aux_weight: float = 1 / 32
    resample: int | None = None

    _unit_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.encoder not in get_args(EncoderKind):
            raise CodeclensError(
                f'{type(self).__name__} has encoder="{self.encoder}"; choose "linear" or "mlp".'
            )
        for name in ("hidden", "batch_size", "epochs", "resample"):
            self._count(name, getattr(self, name))
        self._positive("learning_rate", self.learning_rate)
        self._within("warmup", self.warmup, 0, 1)
        self._within("aux_weight", self.aux_weight, 0, math.inf)

    @abstractmethod
    def unit_rows(self, **shared: Any) -> UnitRowNetwork:
        """A new network of this kind, from the arguments that all kinds share."""

    def network(
        self, *, n_features: int, n_modes: int, n_units: int, non_negative: bool
    ) -> SparseAutoencoder:
        """A new network for data `(N, n_features)`."""
        return self.unit_rows(
            n_features=n_features,
            n_modes=n_modes,
            n_units=n_units,
            non_negative=non_negative,
            encoder=self.encoder,
            hidden=self.hidden,
            aux_weight=self.aux_weight,
            resample=self.resample,
            passes=lambda samples: self.recipe(samples, n_features).epochs,
        )

    def is_non_negative(self, data: Tensor) -> bool:
        """Whether the dictionary of these data shall have no negative entries."""
        return bool((data >= 0).all()) if self.non_negative is None else self.non_negative

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


@dataclass(frozen=True, repr=False)
class CountedAutoencoder(UnitRowAutoencoder):
    """An autoencoder that is told how many modes may be present in a sample, `k`.

    Raises CodeclensError where k exceeds the number of modes.
    """

    k: int = 16

    _shown: ClassVar[tuple[str, ...]] = ("k",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._count("k", self.k)
        if self.n_modes is not None:
            self._check_k(self.n_modes)

    def modes_for(self, n_units: int) -> int:
        """How many modes a site of `n_units` units gets; raises CodeclensError if fewer than k."""
        n_modes = super().modes_for(n_units)
        self._check_k(n_modes)
        return n_modes

    def _check_k(self, n_modes: int) -> None:
        if self.k > n_modes:
            raise CodeclensError(
                f"k (={self.k}) must not exceed the number of modes (={n_modes}); "
                "lower k or ask for more modes."
            )
