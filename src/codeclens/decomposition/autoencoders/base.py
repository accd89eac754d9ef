"""Base classes of the autoencoders: fitting, the fitted object, and rows of length one."""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, get_args

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from codeclens.decomposition.autoencoders.networks import (
    EncoderKind,
    SparseAutoencoder,
    UnitRowNetwork,
)
from codeclens.decomposition.estimator import (
    Array,
    Estimator,
    Fitted,
    Progress,
    as_data,
    as_numpy,
    require_samples,
    restored_numbers,
)
from codeclens.decomposition.logbook import Logbook
from codeclens.decomposition.matrices import PART, SampleMatrix, StoredMatrix, TensorMatrix
from codeclens.decomposition.trainer import scores, train
from codeclens.decomposition.training import (
    Cosine,
    Epoch,
    Precision,
    TrainingSettings,
    seeded,
    split,
)
from codeclens.errors import CodeclensError, unknown

logger = logging.getLogger(__name__)

# So many rows stand for all where a network is initialised, and where thresholds are set.
_FIRST_LOOK = 16_384
_LAST_LOOK = 32_768
# Thresholds are set on held-out rows from so many on.
_FEWEST_TO_SET = 32


@dataclass(frozen=True, repr=False)
class Autoencoder(Estimator):
    """Base class of all sparse autoencoders: scaling, held-out rows, dropping and sorting of modes.

    Data are divided by the standard deviation of all their entries, `scale`. The share `held_out`
    of the samples, drawn by the seed, is held out of training; `r2` and `l0` are measured there.
    `patience` is the number of epochs without a better held-out R² after which training stops and
    goes back to the best epoch;
    `clip` limits the norm of the gradient. Modes that fire in no training sample are dropped
    (`n_dropped`), the others sorted by their share of the reconstruction. Training runs on the
    device of the data; `precision` "bfloat16" computes its losses under torch's autocast.
    """

    _: KW_ONLY
    held_out: float = 0.1
    patience: int | None = None
    clip: float | None = None
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("held_out", least=0, below=1)
        self._require_counts("patience")
        self._require("clip", above=0)
        if self.precision not in get_args(Precision):
            raise unknown("precision", self.precision, get_args(Precision))

    @abstractmethod
    def network(
        self, *, n_features: int, n_modes: int, n_units: int, non_negative: bool
    ) -> SparseAutoencoder:
        """A new network for data `(N, n_features)`."""

    @abstractmethod
    def training_settings(self, n_train: int, n_features: int) -> TrainingSettings:
        """How to train on `n_train` samples of `n_features` columns."""

    @abstractmethod
    def is_non_negative(self, data: Tensor) -> bool:
        """Whether the dictionary of these data must have no negative entries."""

    def fit(
        self,
        X: Array | StoredMatrix,
        *,
        seed: int = 0,
        n_units: int | None = None,
        progress: Progress | None = None,
        logbook: Logbook | None = None,
    ) -> FittedAutoencoder:
        """Learn the modes of `X` `(N, D)` and return what was learned.

        `n_units` (default D) is what `expansion` multiplies: half of D for the concat view. `X` may
        be a StoredMatrix, which can be larger than memory. `progress` is called with an Epoch after
        every epoch; a `logbook` keeps the epochs' figures and a checkpoint, from which the same
        call resumes. The same seed and data give the same modes, and torch's global random state
        does not change. Raises CodeclensError for data that are not finite, constant or zero
        throughout, for too few samples, and where a checkpoint is of another training.
        """
        data = X if isinstance(X, StoredMatrix) else TensorMatrix(as_data(X))
        n_samples, n_features = data.shape
        n_units = n_features if n_units is None else n_units
        n_modes = self.modes_for(n_units)
        self.require_enough(n_samples, n_modes)
        scale = data.deviation()
        matrix = data.scaled(scale)
        every = torch.arange(n_samples)
        non_negative = all(self.is_non_negative(part) for part in matrix.parts(every))
        with seeded(seed) as generator:
            network = self.network(
                n_features=n_features, n_modes=n_modes, n_units=n_units, non_negative=non_negative
            ).to(matrix.device)
        rows, held_out = split(n_samples, self.held_out, generator)
        network.start_from(_first_look(matrix, rows, n_modes, generator), generator)
        history = train(
            network,
            matrix,
            rows=rows,
            held_out=held_out,
            settings=self.training_settings(len(rows), n_features),
            generator=generator,
            progress=progress,
            logbook=logbook,
            run={
                "method": type(self).__name__,
                **self.config(),
                "seed": seed,
                "samples": n_samples,
                "columns": n_features,
                "modes": n_modes,
                "deviation": scale,
            },
        )
        # Not the training rows, on which an overfitted network has fewer codes than on others.
        last = _evenly(held_out if len(held_out) >= _FEWEST_TO_SET else rows, _LAST_LOOK)
        network.finish(matrix.parts(last), len(last))
        alive = _order(network, matrix, rows)
        if not len(alive):
            raise CodeclensError(self._nothing_fired(n_modes))
        network.keep(alive)
        # Modes that fire in held-out samples alone are gone, so thresholds are set again.
        network.finish(matrix.parts(last), len(last))
        logger.debug("dropped %d of %d modes, which never fired", n_modes - len(alive), n_modes)
        r2, l0 = scores(network, matrix, held_out if len(held_out) else rows)
        return FittedAutoencoder(
            method=self,
            scale=scale,
            n_units=n_units,
            n_dropped=n_modes - len(alive),
            r2=r2,
            l0=l0,
            held_out_rows=as_numpy(held_out),
            network=network,
            history=tuple(history),
        )

    def restore(
        self, summary: Mapping[str, Any], tensors: Mapping[str, Tensor]
    ) -> FittedAutoencoder:
        """The fitted object whose `summary` and `tensors` these are."""
        state = dict(tensors)
        held_out, history = state.pop("held_out"), state.pop("history")
        with seeded(0):
            network = self.network(
                **{name: int(summary[name]) for name in ("n_features", "n_modes", "n_units")},
                non_negative=bool(summary["non_negative"]),
            )
        network.load_state_dict({name: value.clone() for name, value in state.items()})
        network.eval()
        epochs = [
            Epoch(int(number), int(of), loss, r2, l0, int(dead))
            for number, of, loss, r2, l0, dead in history.tolist()
        ]
        return FittedAutoencoder(
            method=self,
            **restored_numbers(summary),
            held_out_rows=as_numpy(held_out),
            network=network,
            history=tuple(epochs),
        )

    def saelens_kind(
        self, network: SparseAutoencoder, scale: float
    ) -> tuple[str, Tensor | None] | None:
        """The SAELens architecture with the same codes, and its thresholds; None if there is none.

        `scale` brings thresholds, `(K,)` or a single one, to the unit of the data.
        """
        return None

    def require_enough(self, n_samples: int, n_modes: int) -> None:
        """Raise CodeclensError if there are too few samples for the number of modes."""
        require_samples(n_samples)
        train_size = len(split(n_samples, self.held_out, torch.Generator())[0])
        if train_size < n_modes:
            raise CodeclensError(
                f"{n_samples} samples ({train_size} of them to train on) are too few for "
                f"{n_modes} modes; give more samples, or n_modes={train_size} or less."
            )

    def _nothing_fired(self, n_modes: int) -> str:
        return (
            f"None of the {n_modes} modes fires in any sample; train longer or with other settings."
        )


@dataclass(frozen=True, eq=False, repr=False)
class FittedAutoencoder(Fitted):
    """A trained autoencoder: its `network`, and the `history` of its training, epoch by epoch."""

    method: Autoencoder
    network: SparseAutoencoder
    history: tuple[Epoch, ...]

    @property
    def dictionary(self) -> Float32[np.ndarray, "mode unit"]:
        """The modes, one per row, `(K, D)`, strongest first."""
        entries = self.network.dictionary.detach()
        return as_numpy(entries if self.method.unit_length else entries * self.scale)

    @property
    def mode_level(self) -> Int64[np.ndarray, " mode"]:
        """In which of the nested dictionaries of `Matryoshka` each mode is new, `(K,)`.

        0 is the innermost. Raises CodeclensError for other methods.
        """
        level = getattr(self.network, "level", None)
        if level is None:
            raise CodeclensError(f"{self.method!r} has no nested dictionaries; use Matryoshka.")
        return as_numpy(level)

    @torch.no_grad()
    def encode(self, X: Array) -> Float32[np.ndarray, "sample mode"]:
        """The loadings `(N, K)` of `X` `(N, D)`, none below zero.

        Raises CodeclensError if the number of columns differs from the fitted data.
        """
        network = self.network
        data = as_data(X, columns=network.dictionary.shape[1])
        data = (data / self.scale).float().to(network.dictionary.device)
        codes = torch.cat([network.codes(part) for part in data.split(PART)])
        return as_numpy(codes * self.scale if self.method.unit_length else codes)

    def summary(self) -> dict[str, Any]:
        """What was learned apart from the tensors, as plain numbers, for a JSON file."""
        n_modes, n_features = self.network.dictionary.shape
        return {
            "n_features": n_features,
            "n_modes": n_modes,
            "non_negative": self.network.non_negative,
            **super().summary(),
        }

    def tensors(self) -> dict[str, Tensor]:
        """What was learned, as tensors by name."""
        state = {name: value.cpu() for name, value in self.network.state_dict().items()}
        history = torch.tensor(self.history, dtype=torch.float64).reshape(-1, 6)
        return {**state, "held_out": torch.from_numpy(self.held_out_rows), "history": history}


def _first_look(
    matrix: SampleMatrix, rows: Tensor, n_modes: int, generator: torch.Generator
) -> Tensor:
    """The rows that a network is initialised from: all, or a sample of many."""
    enough = max(_FIRST_LOOK, n_modes)
    if len(rows) > enough:
        rows = rows[torch.randperm(len(rows), generator=generator)[:enough].sort().values]
    return matrix.take(rows)


def _evenly(rows: Tensor, most: int) -> Tensor:
    """At most so many of the rows, evenly spread over them."""
    if len(rows) <= most:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, most, dtype=torch.float64).long()]


@torch.no_grad()
def _order(network: SparseAutoencoder, matrix: SampleMatrix, rows: Tensor) -> Tensor:
    """The modes that fire on the training rows, by their share of the reconstruction of all."""
    n_modes = len(network.dictionary)
    mass = torch.zeros(n_modes, dtype=torch.float64)
    fired = torch.zeros(n_modes, dtype=torch.bool)
    training = torch.zeros(len(matrix), dtype=torch.bool)
    training[rows] = True
    every = torch.arange(len(matrix))
    for part, trained in zip(matrix.parts(every), training.split(PART), strict=True):
        codes = network.codes(part).cpu()
        mass += codes.sum(dim=0, dtype=torch.float64)
        fired |= (codes[trained] > 0).any(dim=0)
    mass *= network.dictionary.abs().sum(dim=1, dtype=torch.float64).cpu()
    order = mass.sort(descending=True, stable=True).indices
    return order[fired[order]]


# Enough for R² to converge on contributions of image networks; few samples need more epochs.
_STEPS = 700
_EPOCHS = (10, 300)
# Entries of a row of length one are about 1/√D, and so must be the steps.
_RATE_TIMES_ROOT = 0.064


@dataclass(frozen=True, repr=False)
class UnitRowAutoencoder(Autoencoder):
    """Base class of the autoencoders with rows of length one.

    Rows of the dictionary have length one, so loadings are in the unit of the data. There is no
    offset: `X ≈ encode(X) @ dictionary`.

    The dictionary is initialised with samples and trained by Adam with warm-up and cosine decay,
    for about 700 steps (`epochs=None`; at least 10, at most 300 epochs) at a rate of 0.064/√D
    (`learning_rate=None`). An auxiliary loss of weight `aux_weight` keeps modes alive. In the first
    half of the training, dead modes are resampled every `resample` epochs from the errors of badly
    reconstructed samples (None: never).

    `encoder` is "linear" (one layer after subtracting a learned centre) or "mlp" (plus two layers
    of `hidden` rectified neurons, by default as many as units).

    With `non_negative=None` the dictionary has no negative entry where the data have none, as in
    the concat view. Patterns of contributions then cannot cancel each other, the share of a mode in
    a sum is exact, and modes are more similar over seeds.
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.encoder not in get_args(EncoderKind):
            raise unknown("encoder", self.encoder, get_args(EncoderKind))
        self._require_counts("hidden", "batch_size", "epochs", "resample")
        self._require("learning_rate", above=0)
        self._require("warmup", least=0, below=1)
        self._require("aux_weight", least=0)

    @abstractmethod
    def unit_rows(self, **shared: Any) -> UnitRowNetwork:
        """A new network of this kind, from the common arguments."""

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
            passes=lambda samples: self.training_settings(samples, n_features).epochs,
        )

    def is_non_negative(self, data: Tensor) -> bool:
        """Whether the dictionary of these data must have no negative entries."""
        return bool((data >= 0).all()) if self.non_negative is None else self.non_negative

    def training_settings(self, n_train: int, n_features: int) -> TrainingSettings:
        """How to train on `n_train` samples of `n_features` columns."""
        fewest, most = _EPOCHS
        rate = self.learning_rate or _RATE_TIMES_ROOT / math.sqrt(n_features)
        wanted = math.ceil(_STEPS / math.ceil(n_train / self.batch_size))
        return TrainingSettings(
            epochs=min(max(wanted, fewest), most) if self.epochs is None else self.epochs,
            batch_size=self.batch_size,
            learning_rate=rate,
            schedule=Cosine(self.warmup),
            patience=self.patience,
            clip=self.clip,
            precision=self.precision,
        )


@dataclass(frozen=True, repr=False)
class CountedAutoencoder(UnitRowAutoencoder):
    """An autoencoder with a given number of active modes per sample, `k`.

    Raises CodeclensError if k exceeds the number of modes.
    """

    k: int = 16

    _shown: ClassVar[tuple[str, ...]] = ("k",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_counts("k")
        if self.n_modes is not None:
            require_fewer(self.k, self.n_modes)

    def modes_for(self, n_units: int) -> int:
        """How many modes a site of `n_units` units gets; raises CodeclensError if fewer than k."""
        n_modes = super().modes_for(n_units)
        require_fewer(self.k, n_modes)
        return n_modes


def require_fewer(k: int | None, n_modes: int) -> None:
    """Raise CodeclensError if k exceeds the number of modes."""
    if k is not None and k > n_modes:
        raise CodeclensError(
            f"k (={k}) must not exceed the number of modes (={n_modes}); "
            "lower k or ask for more modes."
        )
