"""The one interface of all decompositions, and the data that they take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from codeclens.decomposition.training import Epoch
from codeclens.errors import CodeclensError

Array = np.ndarray[Any, Any] | Tensor
Progress = Callable[[Epoch], object]


@dataclass(frozen=True, repr=False)
class Estimator(ABC):
    """A way to decompose data `X` `(N, D)` into loadings `Z` `(N, K)` and a dictionary `(K, D)`.

    The object is its configuration, which cannot be changed; `fit` adds what it learned and returns
    the object, `clone` gives an unfitted copy. Arrays may be NumPy's or tensors; results are NumPy,
    float32. How many modes there shall be is said by `n_modes`, or by `expansion` times the number
    of units, exactly one of them.
    """

    n_modes: int | None = None
    expansion: float | None = None

    # Settings that the repr shows even where they are the default.
    _shown: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        shown = []
        # What may be given by position comes first.
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
        self._count("n_modes", self.n_modes)
        self._positive("expansion", self.expansion)

    @abstractmethod
    def fit(
        self,
        X: Array,
        *,
        seed: int = 0,
        n_units: int | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn the modes of `X` `(N, D)`; `n_units` (default D) is what `expansion` multiplies."""

    @property
    @abstractmethod
    def dictionary(self) -> Float32[np.ndarray, "mode unit"]:
        """The modes, one a row, `(K, D)`, strongest first."""

    @abstractmethod
    def encode(self, X: Array) -> Float32[np.ndarray, "sample mode"]:
        """The loadings `(N, K)` of `X` `(N, D)`."""

    @abstractmethod
    def decode(self, Z: Array) -> Float32[np.ndarray, "sample unit"]:
        """What loadings `(N, K)` make together, in the units of the data, `(N, D)`.

        The mean comes back in where a method takes it off first (PCA, ICA).
        """

    @property
    def held_out_rows(self) -> np.ndarray[Any, Any]:
        """The rows of the data that `fit` did not learn from; none by default."""
        return np.zeros(0, dtype=np.int64)

    @property
    def n_dropped(self) -> int:
        """How many modes were dropped because they never fired; none by default."""
        return 0

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """What was learned beside the tensors, as plain numbers, for a JSON file."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """What was learned, as tensors by name."""

    @abstractmethod
    def restore(self, summary: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """Take back what `summary` and `tensors` gave, and return the object."""

    def clone(self) -> Self:
        """An unfitted estimator of the same configuration."""
        return replace(self)

    def config(self) -> dict[str, Any]:
        """The configuration, as keyword arguments of the class."""
        return asdict(self)

    def modes_for(self, n_units: int) -> int:
        """How many modes a site of `n_units` units gets."""
        if self.n_modes is not None:
            return self.n_modes
        assert self.expansion is not None
        return max(1, round(self.expansion * n_units))

    def _check_loadings(self, Z: Array, n_modes: int) -> None:
        if Z.ndim != 2 or Z.shape[1] != n_modes:
            raise CodeclensError(
                f"The loadings have shape {tuple(Z.shape)}; there are {n_modes} modes, "
                f"so it must be (samples, {n_modes})."
            )

    def _count(self, name: str, value: int | None) -> None:
        if value is not None and (not isinstance(value, int) or value < 1):
            raise CodeclensError(
                f"{type(self).__name__} has {name}={value}; it must be a whole number from 1 on."
            )

    def _positive(self, name: str, value: float | None) -> None:
        if value is not None and not 0 < value < float("inf"):
            raise CodeclensError(f"{type(self).__name__} has {name}={value}; it must be above 0.")

    def _within(self, name: str, value: float, low: float, high: float) -> None:
        if not low <= value < high:
            raise CodeclensError(
                f"{type(self).__name__} has {name}={value}; it must be at least {low:g} and below "
                f"{high:g}."
            )


def as_data(X: Array, *, columns: int | None = None, names: str = "samples and units") -> Tensor:
    """`X` as a tensor `(N, D)` of finite real numbers, on the device where it lies.

    Raises CodeclensError where it has other dimensions, another number of `columns` than expected,
    no entries, or one that is NaN or infinite.

    >>> as_data(np.ones((2, 3))).shape
    torch.Size([2, 3])
    """
    if isinstance(X, np.ndarray):
        if X.dtype.kind not in "fiub":
            raise CodeclensError(f"The data have dtype {X.dtype}; real numbers are needed.")
        # Arrays read from files may be read-only, which torch would warn of; we never write.
        writable = X if X.flags.writeable else X.copy()
        data = torch.from_numpy(np.ascontiguousarray(writable))
    else:
        data = X.detach()
    if data.is_complex():
        raise CodeclensError(f"The data have dtype {data.dtype}; real numbers are needed.")
    if data.ndim != 2:
        raise CodeclensError(
            f"The data have shape {tuple(data.shape)}; two dimensions are needed, {names}."
        )
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


def global_scale(data: Tensor) -> float:
    """The standard deviation of all entries about their one mean (method.md §3), in float64.

    Raises CodeclensError where there is nothing to decompose: all entries are zero, or no unit
    varies over the samples.

    >>> global_scale(torch.tensor([[0.0, 2.0], [2.0, 0.0]]))
    1.0
    """
    count, units = data.shape
    peak = float(data.abs().max())
    if peak == 0:
        raise CodeclensError(
            f"All {count} × {units} values are zero: nothing contributes at this site, so there "
            "is nothing to decompose; leave the site out."
        )
    if bool((data == data[:1]).all()):
        raise CodeclensError(
            f"None of the {units} units varies over the {count} samples: there is nothing to "
            "decompose; leave the site out or pass more varied samples."
        )
    # Divided by the largest entry first: squares of tiny values would underflow.
    blocks = data.split(8192)
    mean = sum(float((block.double() / peak).sum()) for block in blocks) / data.numel()
    square = sum(float((block.double() / peak - mean).square().sum()) for block in blocks)
    return float(peak * (square / data.numel()) ** 0.5)
