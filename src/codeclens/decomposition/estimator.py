"""The interface of all decompositions, and the data that they accept."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from codeclens.decomposition.training import Epoch
from codeclens.errors import CodeclensError, counted, require_number, wrong_shape

Array = np.ndarray[Any, Any] | Tensor
Progress = Callable[[Epoch], object]

# Fewer samples can be neither split nor scored.
_FEWEST_SAMPLES = 10


@dataclass(frozen=True, repr=False)
class Estimator(ABC):
    """A method that decomposes data `X` `(N, D)` into loadings `(N, K)` and a dictionary `(K, D)`.

    An estimator holds settings only and never changes: `fit` returns what it learned as a new
    object, a `Fitted`. The number of modes is `n_modes`, or `expansion` times the number of units;
    exactly one of the two is given.
    """

    n_modes: int | None = None
    expansion: float | None = None

    # Settings that the repr shows even where they are the default.
    _shown: ClassVar[tuple[str, ...]] = ()
    # Whether rows have length one and loadings carry the data's unit, or the other way round.
    unit_length: ClassVar[bool] = True
    # Whether the data must not have entries of both signs.
    one_sign: ClassVar[bool] = False

    def __repr__(self) -> str:
        shown = []
        # Positional arguments come first.
        for field in sorted(fields(self), key=lambda field: bool(field.kw_only)):
            value = getattr(self, field.name)
            if value is not None and (value != field.default or field.name in self._shown):
                text = f"{value:g}" if isinstance(value, float) else repr(value)
                shown.append(f"{field.name}={text}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __post_init__(self) -> None:
        name = type(self).__name__
        if (self.n_modes is None) == (self.expansion is None):
            given = "neither" if self.n_modes is None else f"{self.n_modes} and {self.expansion:g}"
            raise CodeclensError(
                f"{name} needs either n_modes or expansion (modes per unit), and was given "
                f"{given}; write for example {name}(expansion=3)."
            )
        self._require_counts("n_modes")
        self._require("expansion", above=0)

    @classmethod
    def comparable(cls, n_modes: int, k: int) -> Self:
        """This method for a comparison: with `n_modes` modes, `k` of them active in a sample."""
        limited = any(field.name == "k" for field in fields(cls))
        return cls(n_modes=n_modes, **({"k": k} if limited else {}))

    @abstractmethod
    def fit(
        self,
        X: Array,
        *,
        seed: int = 0,
        n_units: int | None = None,
        progress: Progress | None = None,
    ) -> Fitted:
        """Learn the modes of `X` `(N, D)`; `n_units` (default D) is what `expansion` multiplies."""

    @abstractmethod
    def restore(self, summary: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Fitted:
        """The fitted object whose `summary` and `tensors` these are."""

    def config(self) -> dict[str, Any]:
        """The settings, as keyword arguments of the class."""
        return asdict(self)

    def modes_for(self, n_units: int) -> int:
        """How many modes a site of `n_units` units gets."""
        if self.n_modes is not None:
            return self.n_modes
        assert self.expansion is not None
        return max(1, round(self.expansion * n_units))

    def _require(self, name: str, **bounds: Any) -> None:
        """Raise CodeclensError if a setting that is given lies out of its bounds."""
        value = getattr(self, name)
        if value is not None:
            require_number(f"{type(self).__name__}.{name}", value, **bounds)

    def _require_counts(self, *names: str) -> None:
        """Raise CodeclensError if one of these settings is not a whole number from 1 on."""
        for name in names:
            self._require(name, least=1, whole=True)


@dataclass(frozen=True, eq=False, repr=False)
class Fitted(ABC):
    """The result of a fit: a dictionary, and how to encode and decode with it.

    `method` is the estimator, `scale` the standard deviation of all entries, by which the data
    were divided, and `n_units` the number of units. `n_dropped` modes never fired and were
    dropped. `r2` (about the mean) and `l0` (active modes per sample) are measured on the held-out
    rows, or on all where none were held out. Arrays may be NumPy's or tensors; results are NumPy,
    float32.
    """

    method: Estimator
    scale: float
    n_units: int
    n_dropped: int
    r2: float
    l0: float
    held_out_rows: Int64[np.ndarray, " held_out"]

    @property
    @abstractmethod
    def dictionary(self) -> Float32[np.ndarray, "mode unit"]:
        """The modes, one per row, `(K, D)`, strongest first."""

    @property
    def offset(self) -> Float32[np.ndarray, " unit"] | None:
        """The constant part of every reconstruction, `(D,)`; None where there is none."""
        return None

    @abstractmethod
    def encode(self, X: Array) -> Float32[np.ndarray, "sample mode"]:
        """The loadings `(N, K)` of `X` `(N, D)`.

        Raises CodeclensError if the number of columns differs from the fitted data.
        """

    def decode(self, Z: Array) -> Float32[np.ndarray, "sample unit"]:
        """The reconstruction from loadings, `Z @ dictionary + offset`, `(N, D)`.

        It is in the units of the data. Raises CodeclensError if `Z` is not `(N, K)`.
        """
        dictionary = self.dictionary
        if Z.ndim != 2 or Z.shape[1] != len(dictionary):
            raise wrong_shape("loadings", Z.shape, f"(samples, {len(dictionary)})")
        Z = Z if isinstance(Z, Tensor) else np.asarray(Z)  # Loadings too
        made = as_numpy(as_data(Z, names="samples and modes").float()) @ dictionary
        return np.asarray(made if self.offset is None else made + self.offset)

    def summary(self) -> dict[str, Any]:
        """What was learned apart from the tensors, as plain numbers, for a JSON file."""
        return {
            "scale": self.scale,
            "n_units": self.n_units,
            "n_dropped": self.n_dropped,
            "r2": None if math.isnan(self.r2) else self.r2,
            "l0": self.l0,
        }

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """What was learned, as tensors by name."""

    def __repr__(self) -> str:
        return (
            f"{self.method!r} fitted: {len(self.dictionary)} modes of {self.dictionary.shape[1]} "
            f"columns, R² {self.r2:.3f}, L0 {self.l0:.1f}"
        )


def restored_numbers(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a Fitted that its `summary` holds.

    >>> facts = {"scale": 2.0, "n_units": 4, "n_dropped": 0, "r2": None, "l0": 3.0}
    >>> restored_numbers(facts)["r2"]
    nan
    """
    return {
        "scale": float(summary["scale"]),
        "n_units": int(summary["n_units"]),
        "n_dropped": int(summary["n_dropped"]),
        "r2": math.nan if summary["r2"] is None else float(summary["r2"]),
        "l0": float(summary["l0"]),
    }


def as_numpy(tensor: Tensor) -> np.ndarray[Any, Any]:
    """A tensor as an array in main memory."""
    return np.asarray(tensor.detach().cpu().numpy())


def require_samples(n_samples: int) -> None:
    """Raise CodeclensError if there are too few samples for any decomposition."""
    if n_samples < _FEWEST_SAMPLES:
        raise CodeclensError(
            f"{counted(n_samples, 'sample')} cannot be decomposed; give at least {_FEWEST_SAMPLES}."
        )


def as_data(X: Array, *, columns: int | None = None, names: str = "samples and units") -> Tensor:
    """`X` as a tensor `(N, D)` of finite real numbers, on its own device.

    Raises CodeclensError if it has other dimensions, another number of `columns` than expected,
    or an entry that is NaN or infinite.

    >>> as_data(np.ones((2, 3))).shape
    torch.Size([2, 3])
    """
    if isinstance(X, np.ndarray):
        if X.dtype.kind not in "fiub":
            raise CodeclensError(f"The data have dtype {X.dtype}; real numbers are needed.")
        # Arrays read from files may be read-only; torch would warn, but they are never written.
        writable = X if X.flags.writeable else X.copy()
        data = torch.from_numpy(np.ascontiguousarray(writable))
    else:
        data = X.detach()
    if data.is_complex():
        raise CodeclensError(f"The data have dtype {data.dtype}; real numbers are needed.")
    if data.ndim != 2:
        raise wrong_shape("data", data.shape, f"two-dimensional, {names}")
    if columns is not None and data.shape[1] != columns:
        raise CodeclensError(
            f"The data have {data.shape[1]} columns, but this was fitted to {columns}; "
            "pass the same site and view."
        )
    if not data.is_floating_point():
        data = data.float()
    finite = torch.isfinite(data)
    if not bool(finite.all()):
        bad = (~finite).nonzero()
        row, column = (int(i) for i in bad[0])
        raise CodeclensError(
            f"The data hold {len(bad)} values that are NaN or infinite, the first "
            f"({float(data[row, column])}) in row {row}, column {column}; drop those samples."
        )
    return data
