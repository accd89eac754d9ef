"""What classical decompositions share: scaling, held-out rows, ordering, saving."""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from codeclens.decomposition import quality
from codeclens.decomposition.estimator import Array, Estimator, Progress, as_data, global_scale
from codeclens.decomposition.training import split
from codeclens.errors import CodeclensError

Matrix = np.ndarray[Any, Any]

_FEWEST_SAMPLES = 10
# From so many samples on methods go through batches, or learn from so many samples alone.
LARGE = 20_000


@dataclass(frozen=True)
class Learned:
    """What a classical method has learned, in data divided by `scale`."""

    dictionary: Matrix
    offset: Matrix
    scale: float
    n_units: int
    n_dropped: int
    r2: float
    l0: float
    held_out: Matrix


@dataclass(frozen=True, repr=False)
class Classical(Estimator):
    """What all classical decompositions share.

    Data are divided by the standard deviation of all their entries, `scale`. A tenth of the samples
    is held out, the very rows that an autoencoder of the same seed holds out: `r2` and `l0` are
    measured there. Modes have length one, except for clusters, and are sorted by the share of the
    reconstruction that they carry. From 20,000 samples on, methods go through batches or learn from
    20,000 samples drawn by the seed.
    """

    _: KW_ONLY
    held_out: float = 0.1

    # Whether rows have length one and loadings carry the data's unit, or the other way round.
    _unit_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._within("held_out", self.held_out, 0, 1)

    @abstractmethod
    def learn(self, X: Matrix, n_modes: int, seed: int) -> tuple[Matrix, Matrix]:
        """The modes `(K, D)` and the offset `(D,)` of scaled training data."""

    @abstractmethod
    def loadings(self, X: Matrix, dictionary: Matrix, offset: Matrix) -> Matrix:
        """The loadings `(N, K)` of scaled data."""

    def most_modes(self, n_train: int, n_features: int) -> int:
        """The most modes that so many training samples of so many columns can have."""
        return n_train

    def fit(
        self,
        X: Array,
        *,
        seed: int = 0,
        n_units: int | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn the modes of `X` `(N, D)` and return the object.

        `n_units` (default D) is what `expansion` multiplies: half of D for the concat view. There
        are no epochs, so `progress` is not called. The same seed and data give the same modes.
        Raises CodeclensError for data that are not finite, constant or zero throughout, or too few
        for so many modes.
        """
        data = as_data(X)
        n_units = data.shape[1] if n_units is None else n_units
        n_modes = self.modes_for(n_units)
        n_samples, n_features = data.shape
        rows, held_out = self._rows(n_samples, n_features, n_modes, seed)
        scale = global_scale(data)
        scaled = _array(data.double() / scale)
        dictionary, offset = self.learn(scaled[rows], n_modes, seed)
        length = np.linalg.norm(dictionary, axis=1)
        dictionary = dictionary[length > 1e-12]
        if self._unit_rows:
            dictionary = dictionary / length[length > 1e-12, None]
        Z = self.loadings(scaled, dictionary, offset)
        fires = np.flatnonzero((Z[rows] != 0).any(axis=0))
        if not len(fires):
            raise CodeclensError(f"None of the {n_modes} modes of {self!r} is in any sample.")
        share = quality.loading_share(Z[:, fires], dictionary[fires])
        order = fires[np.argsort(-share, kind="stable")]
        dictionary, Z = dictionary[order], Z[:, order]
        judged = held_out if len(held_out) else rows
        self._remember(
            Learned(
                dictionary=dictionary,
                offset=offset,
                scale=scale,
                n_units=n_units,
                n_dropped=n_modes - len(order),
                r2=quality.r2(scaled[judged], Z[judged] @ dictionary + offset),
                l0=quality.l0(Z[judged]),
                held_out=held_out,
            )
        )
        return self

    @property
    def learned(self) -> Learned:
        """What was learned; raises CodeclensError before `fit`."""
        found: Learned | None = self.__dict__.get("_learned")
        if found is None:
            raise CodeclensError(f"{self!r} is not fitted yet; call fit(X) first.")
        return found

    @property
    def dictionary(self) -> Float32[np.ndarray, "mode unit"]:
        """The modes, one a row, `(K, D)`, strongest first."""
        found = self.learned
        return (found.dictionary * (1 if self._unit_rows else found.scale)).astype(np.float32)

    @property
    def offset(self) -> Float32[np.ndarray, " unit"]:
        """What every reconstruction has beside its modes, `(D,)`: a mean, or zeros."""
        return (self.learned.offset * self.learned.scale).astype(np.float32)

    @property
    def scale(self) -> float:
        """The standard deviation of all entries of the data that were fitted."""
        return self.learned.scale

    @property
    def r2(self) -> float:
        """R² about the mean on held-out samples (on all where none were held out)."""
        return self.learned.r2

    @property
    def l0(self) -> float:
        """Mean number of modes that are present in a held-out sample."""
        return self.learned.l0

    @property
    def n_dropped(self) -> int:
        """How many modes were dropped because no sample has them."""
        return self.learned.n_dropped

    @property
    def held_out_rows(self) -> np.ndarray[Any, Any]:
        """The rows of the data that `fit` did not learn from."""
        return self.learned.held_out

    def encode(self, X: Array) -> Float32[np.ndarray, "sample mode"]:
        """The loadings `(N, K)` of `X` `(N, D)`.

        Raises CodeclensError where the columns are not those that were fitted.
        """
        found = self.learned
        data = as_data(X, columns=found.dictionary.shape[1])
        Z = self.loadings(_array(data.double() / found.scale), found.dictionary, found.offset)
        return (Z * (found.scale if self._unit_rows else 1)).astype(np.float32)

    def decode(self, Z: Array) -> Float32[np.ndarray, "sample unit"]:
        """What loadings `(N, K)` make together, `Z @ dictionary + offset`, in the data's unit.

        Raises CodeclensError where there is not one loading for each mode.
        """
        self._check_loadings(Z, len(self.learned.dictionary))
        loadings = _array(as_data(Z, names="samples and modes").float())
        return np.asarray(loadings @ self.dictionary + self.offset)

    def summary(self) -> dict[str, Any]:
        """What was learned beside the tensors, as plain numbers, for a JSON file."""
        found = self.learned
        return {
            "scale": found.scale,
            "n_units": found.n_units,
            "n_dropped": found.n_dropped,
            "r2": None if math.isnan(found.r2) else found.r2,
            "l0": found.l0,
        }

    def tensors(self) -> dict[str, Tensor]:
        """What was learned, as tensors by name."""
        found = self.learned
        arrays = {"modes": found.dictionary, "offset": found.offset, "held_out": found.held_out}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def restore(self, summary: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """Take back what `summary` and `tensors` gave, and return the object."""
        self._remember(
            Learned(
                dictionary=_array(tensors["modes"]),
                offset=_array(tensors["offset"]),
                held_out=_array(tensors["held_out"]),
                scale=float(summary["scale"]),
                n_units=int(summary["n_units"]),
                n_dropped=int(summary["n_dropped"]),
                r2=math.nan if summary["r2"] is None else float(summary["r2"]),
                l0=float(summary["l0"]),
            )
        )
        return self

    def _rows(
        self, n_samples: int, n_features: int, n_modes: int, seed: int
    ) -> tuple[Matrix, Matrix]:
        """The rows to learn from and those held out; raises where they are too few."""
        if n_samples < _FEWEST_SAMPLES:
            raise CodeclensError(
                f"{n_samples} samples are too few to decompose; give at least {_FEWEST_SAMPLES}."
            )
        rows, held_out = split(n_samples, self.held_out, torch.Generator().manual_seed(seed))
        most = self.most_modes(len(rows), n_features)
        if n_modes > most:
            raise CodeclensError(
                f"{n_modes} modes are more than {type(self).__name__} can find in {n_samples} "
                f"samples ({len(rows)} of them to learn from) of {n_features} columns; give more "
                f"samples, or n_modes={most} or less."
            )
        return _array(rows), _array(held_out)

    def _remember(self, found: Learned) -> None:
        object.__setattr__(self, "_learned", found)


def some_rows(X: Matrix, seed: int) -> Matrix:
    """All rows, or 20,000 of them drawn by the seed where there are more."""
    if len(X) <= LARGE:
        return X
    return np.asarray(X[np.sort(np.random.default_rng(seed).permutation(len(X))[:LARGE])])


@contextmanager
def unsettled() -> Iterator[None]:
    """Let scikit-learn stop at its last iteration in silence: the quality tells how good it is."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _array(tensor: Tensor) -> Matrix:
    return np.asarray(tensor.detach().cpu().numpy())
