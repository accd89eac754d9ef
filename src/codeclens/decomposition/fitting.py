"""Fitting an autoencoder: scale the data, hold samples out, train, drop and order the modes."""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from codeclens.decomposition.estimator import Array, Estimator, Progress, as_data, global_scale
from codeclens.decomposition.logbook import Logbook
from codeclens.decomposition.matrices import PART, StoredTable, Table, TensorTable
from codeclens.decomposition.networks import SparseAutoencoder
from codeclens.decomposition.trainer import scores, train
from codeclens.decomposition.training import Epoch, Precision, Recipe, seeded, split
from codeclens.errors import CodeclensError

# So many rows of a stored table stand for all of them where a network is made ready.
_FIRST_LOOK = 16_384


@dataclass(frozen=True, eq=False)
class Preparation:
    """All that a training starts from; `run` says in plain values which training it is."""

    network: SparseAutoencoder
    table: Table
    rows: Tensor
    held_out: Tensor
    recipe: Recipe
    generator: torch.Generator
    scale: float
    n_units: int
    run: Mapping[str, Any]

    @classmethod
    def of(
        cls, method: Autoencoder, X: Array | StoredTable, seed: int, n_units: int | None
    ) -> Preparation:
        """Prepare to fit `X` `(N, D)`; raises CodeclensError as `Autoencoder.fit` does."""
        found = X if isinstance(X, StoredTable) else as_data(X)
        n_samples, n_features = found.shape
        n_units = n_features if n_units is None else n_units
        n_modes = method.modes_for(n_units)
        method.require_enough(n_samples, n_modes)
        table, scale = _divided(found)
        every = torch.arange(n_samples)
        non_negative = all(method.is_non_negative(part) for part in table.parts(every))
        with seeded(seed) as generator:
            network = method.network(
                n_features=n_features, n_modes=n_modes, n_units=n_units, non_negative=non_negative
            ).to(table.device)
        rows, held_out = split(n_samples, method.held_out, generator)
        network.start_from(_first_look(table, rows, n_modes, generator), generator)
        return cls(
            network=network,
            table=table,
            rows=rows,
            held_out=held_out,
            recipe=replace(method.recipe(len(rows), n_features), precision=method.precision),
            generator=generator,
            scale=scale,
            n_units=n_units,
            run={
                "method": type(method).__name__,
                **method.config(),
                "seed": seed,
                "samples": n_samples,
                "columns": n_features,
                "modes": n_modes,
                "deviation": scale,
            },
        )


def _divided(data: Tensor | StoredTable) -> tuple[Table, float]:
    """The data divided by the deviation of all their entries, and that deviation."""
    if isinstance(data, StoredTable):
        scale = data.deviation()
        return data.scaled(scale), scale
    scale = global_scale(data)
    return TensorTable((data / scale).float()), scale


def _first_look(table: Table, rows: Tensor, n_modes: int, generator: torch.Generator) -> Tensor:
    """The rows that a network is made ready for: all, or as many as stand for a stored table."""
    enough = max(_FIRST_LOOK, n_modes)
    if isinstance(table, StoredTable) and len(rows) > enough:
        rows = rows[torch.randperm(len(rows), generator=generator)[:enough].sort().values]
    return table.take(rows)


logger = logging.getLogger(__name__)

# Fewer samples can be neither split nor judged.
_FEWEST_SAMPLES = 10


@dataclass
class Fitted:
    """What an autoencoder has learned, and from what."""

    network: SparseAutoencoder
    scale: float
    n_units: int
    n_dropped: int
    r2: float
    l0: float
    held_out: Tensor
    history: list[Epoch]


@dataclass(frozen=True, repr=False)
class Autoencoder(Estimator):
    """What all sparse autoencoders share: scaling, held-out rows, dropping and ordering of modes.

    Data are divided by the standard deviation of all their entries, `scale`. A tenth of the samples
    is held out of training, drawn by the seed: `r2` and `l0` are measured there. Modes that fire in
    no training sample are dropped (`n_dropped`), the others sorted by the share of the
    reconstruction that they carry. Training runs on the device of the data; `precision` "bfloat16"
    computes its losses under torch's autocast.
    """

    _: KW_ONLY
    held_out: float = 0.1
    patience: int | None = None
    clip: float | None = None
    precision: Precision = "float32"

    # Whether rows have length one and loadings carry the data's unit, or the other way round.
    _unit_rows: ClassVar[bool]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._within("held_out", self.held_out, 0, 1)
        self._count("patience", self.patience)
        self._positive("clip", self.clip)
        if self.precision not in ("float32", "bfloat16"):
            raise CodeclensError(
                f'{type(self).__name__} has precision={self.precision!r}; it is "float32" or '
                '"bfloat16".'
            )

    @abstractmethod
    def network(
        self, *, n_features: int, n_modes: int, n_units: int, non_negative: bool
    ) -> SparseAutoencoder:
        """A new network for data `(N, n_features)`."""

    @abstractmethod
    def recipe(self, n_train: int, n_features: int) -> Recipe:
        """How to train on so many samples of so many columns."""

    @abstractmethod
    def is_non_negative(self, data: Tensor) -> bool:
        """Whether the dictionary of these data shall have no negative entries."""

    def fit(
        self,
        X: Array | StoredTable,
        *,
        seed: int = 0,
        n_units: int | None = None,
        progress: Progress | None = None,
        logbook: Logbook | None = None,
    ) -> Self:
        """Learn the modes of `X` `(N, D)` and return the object.

        `n_units` (default D) is what `expansion` multiplies: half of D for the concat view. `X` may
        be a StoredTable, which is larger than memory. `progress` is called after every epoch with
        an Epoch; a `logbook` keeps the epochs' figures and a checkpoint, from which the same call
        goes on. The same seed and data give the same modes, and torch's global random state is
        left as it was. Raises CodeclensError for data that are not finite, constant or zero
        throughout, or too few for so many modes, and where a checkpoint is not this training's.
        """
        ready = Preparation.of(self, X, seed, n_units)
        history = train(
            ready.network,
            ready.table,
            rows=ready.rows,
            held_out=ready.held_out,
            recipe=ready.recipe,
            generator=ready.generator,
            progress=progress,
            logbook=logbook,
            run=ready.run,
        )
        return self.complete(ready, history)

    def complete(self, trained: Preparation, history: list[Epoch]) -> Self:
        """Take over a network that has been trained, without its modes that never fire."""
        network, table, held_out = trained.network, trained.table, trained.held_out
        n_modes = len(network.dictionary)
        alive = _order(network, table, trained.rows)
        if not len(alive):
            raise CodeclensError(self._nothing_fired(n_modes))
        network.keep(alive)
        logger.debug("dropped %d of %d modes, which never fired", n_modes - len(alive), n_modes)
        r2, l0 = scores(network, table, held_out if len(held_out) else trained.rows)
        self._remember(
            Fitted(
                network=network,
                scale=trained.scale,
                n_units=trained.n_units,
                n_dropped=n_modes - len(alive),
                r2=r2,
                l0=l0,
                held_out=held_out,
                history=history,
            )
        )
        return self

    @property
    def fitted(self) -> Fitted:
        """What was learned; raises CodeclensError before `fit`."""
        found: Fitted | None = self.__dict__.get("_fitted")
        if found is None:
            raise CodeclensError(f"{self!r} is not fitted yet; call fit(X) first.")
        return found

    @property
    def dictionary(self) -> Float32[np.ndarray, "mode unit"]:
        """The modes, one a row, `(K, D)`, strongest first."""
        entries = self.fitted.network.dictionary.detach()
        return _array(entries if self._unit_rows else entries * self.scale)

    @property
    def scale(self) -> float:
        """The standard deviation of all entries of the data that were fitted."""
        return self.fitted.scale

    @property
    def r2(self) -> float:
        """R² about the mean on held-out samples (on all where none were held out)."""
        return self.fitted.r2

    @property
    def l0(self) -> float:
        """Mean number of modes that are present in a held-out sample."""
        return self.fitted.l0

    @property
    def n_dropped(self) -> int:
        """How many modes were dropped because they never fired."""
        return self.fitted.n_dropped

    @property
    def held_out_rows(self) -> np.ndarray[Any, Any]:
        """The rows of the data that training did not see."""
        return _array(self.fitted.held_out)

    @property
    def history(self) -> list[Epoch]:
        """What every epoch came to."""
        return list(self.fitted.history)

    @torch.no_grad()
    def encode(self, X: Array) -> Float32[np.ndarray, "sample mode"]:
        """The loadings `(N, K)` of `X` `(N, D)`, none below zero.

        Raises CodeclensError where the columns are not those that were fitted.
        """
        network = self.fitted.network
        data = as_data(X, columns=network.dictionary.shape[1])
        data = (data / self.scale).float().to(network.dictionary.device)
        codes = torch.cat([network.codes(part) for part in data.split(PART)])
        return _array(codes * self.scale if self._unit_rows else codes)

    def decode(self, Z: Array) -> Float32[np.ndarray, "sample unit"]:
        """What loadings `(N, K)` make together: `Z @ dictionary`, `(N, D)`, in the data's unit.

        Raises CodeclensError where there is not one loading for each mode.
        """
        dictionary = self.dictionary
        self._check_loadings(Z, len(dictionary))
        loadings = _array(as_data(Z, names="samples and modes").float())
        return np.asarray(loadings @ dictionary)

    def summary(self) -> dict[str, Any]:
        """What was learned beside the tensors, as plain numbers, for a JSON file."""
        fitted = self.fitted
        n_modes, n_features = fitted.network.dictionary.shape
        return {
            "n_features": n_features,
            "n_units": fitted.n_units,
            "n_modes": n_modes,
            "n_dropped": fitted.n_dropped,
            "non_negative": fitted.network.non_negative,
            "scale": fitted.scale,
            "r2": None if math.isnan(fitted.r2) else fitted.r2,
            "l0": fitted.l0,
        }

    def tensors(self) -> dict[str, Tensor]:
        """What was learned, as tensors by name."""
        fitted = self.fitted
        state = {name: value.cpu() for name, value in fitted.network.state_dict().items()}
        history = torch.tensor(fitted.history, dtype=torch.float64).reshape(-1, 6)
        return {**state, "held_out": fitted.held_out, "history": history}

    def restore(self, summary: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """Take back what `summary` and `tensors` gave, and return the object."""
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
        r2 = math.nan if summary["r2"] is None else float(summary["r2"])
        self._remember(
            Fitted(
                network=network,
                scale=float(summary["scale"]),
                n_units=int(summary["n_units"]),
                n_dropped=int(summary["n_dropped"]),
                r2=r2,
                l0=float(summary["l0"]),
                held_out=held_out,
                history=epochs,
            )
        )
        return self

    def require_enough(self, n_samples: int, n_modes: int) -> None:
        """Raise CodeclensError where samples are too few for so many modes."""
        if n_samples < _FEWEST_SAMPLES:
            raise CodeclensError(
                f"{n_samples} samples are too few to decompose; give at least {_FEWEST_SAMPLES}."
            )
        train_size = len(split(n_samples, self.held_out, torch.Generator())[0])
        if train_size < n_modes:
            raise CodeclensError(
                f"{n_samples} samples ({train_size} of them to train on) are too few for "
                f"{n_modes} modes; give more samples, or n_modes={train_size} or less."
            )

    def _nothing_fired(self, n_modes: int) -> str:
        return f"None of the {n_modes} modes fires in any sample; train longer or differently."

    def _remember(self, fitted: Fitted) -> None:
        object.__setattr__(self, "_fitted", fitted)


@torch.no_grad()
def _order(network: SparseAutoencoder, table: Table, rows: Tensor) -> Tensor:
    """The modes that fire on the training rows, by their share of the reconstruction of all."""
    n_modes = len(network.dictionary)
    mass = torch.zeros(n_modes, dtype=torch.float64)
    fired = torch.zeros(n_modes, dtype=torch.bool)
    training = torch.zeros(len(table), dtype=torch.bool)
    training[rows] = True
    every = torch.arange(len(table))
    for part, trained in zip(table.parts(every), training.split(PART), strict=True):
        codes = network.codes(part).cpu()
        mass += codes.sum(dim=0, dtype=torch.float64)
        fired |= (codes[trained] > 0).any(dim=0)
    mass *= network.dictionary.abs().sum(dim=1, dtype=torch.float64).cpu()
    order = mass.sort(descending=True, stable=True).indices
    return order[fired[order]]


def _array(tensor: Tensor) -> np.ndarray[Any, Any]:
    return np.asarray(tensor.detach().cpu().numpy())
