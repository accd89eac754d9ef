"""Matrices of samples by columns, in memory or on disk, and the views of contributions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Literal, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from codeclens.errors import CodeclensError, unknown

# Rows that are read at a time if all are read in order.
PART = 4096


class Reader(Protocol):
    """Rows on disk, as `ContributionStore.reader` gives them."""

    columns: int

    def gather(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The given rows, `(rows, columns)`."""
        ...

    def shuffled(
        self, rows: np.ndarray[Any, Any], batch: int, rng: np.random.Generator
    ) -> Iterator[np.ndarray[Any, Any]]:
        """All of the ascending rows once, in random batches."""
        ...


class SampleMatrix(ABC):
    """Data `(N, D)` as training reads them: in random batches, or in order, part by part."""

    shape: tuple[int, int]
    device: torch.device

    def __len__(self) -> int:
        return self.shape[0]

    @abstractmethod
    def take(self, rows: Int64[Tensor, " rows"]) -> Float[Tensor, "rows unit"]:
        """The given rows, in memory."""

    @abstractmethod
    def batches(
        self, rows: Int64[Tensor, " rows"], size: int, generator: torch.Generator
    ) -> Iterator[Float[Tensor, "batch unit"]]:
        """Ascending rows in a new random order, `size` at a time; the last may be smaller."""

    def parts(self, rows: Int64[Tensor, " rows"]) -> Iterator[Float[Tensor, "part unit"]]:
        """The given rows in order, some thousands at a time."""
        for chosen in rows.split(PART):
            yield self.take(chosen)

    @abstractmethod
    def scaled(self, scale: float) -> SampleMatrix:
        """The same matrix with its numbers divided by `scale`, as float32."""

    def deviation(self) -> float:
        """The standard deviation of all entries about their one mean (method.md §3), in float64.

        Raises CodeclensError for an entry that is not finite, and where there is nothing to
        decompose: all entries are zero, or no column varies over the samples.

        >>> TensorMatrix(torch.tensor([[0.0, 2.0], [2.0, 0.0]])).deviation()
        1.0
        """
        samples, columns = self.shape
        peak, varies, first = 0.0, False, None
        for number, part in enumerate(self._every()):
            finite = torch.isfinite(part)
            if not bool(finite.all()):
                row, column = (int(i) for i in (~finite).nonzero()[0])
                raise CodeclensError(
                    f"The data hold values that are NaN or infinite, the first in row "
                    f"{number * PART + row}, column {column}; drop those samples."
                )
            first = part[:1].clone() if first is None else first
            varies = varies or bool((part != first).any())
            peak = max(peak, float(part.abs().max()))
        if peak == 0 or not varies:
            what = (
                f"All {samples} × {columns} values are zero"
                if peak == 0
                else f"None of the {columns} columns varies over the {samples} samples"
            )
            raise CodeclensError(
                f"{what}: there is nothing to decompose; leave the site out or pass more varied "
                "samples."
            )
        # Divided by the largest entry first, because squares of tiny values would underflow.
        count = samples * columns
        mean = sum(float((part.double() / peak).sum()) for part in self._every()) / count
        square = sum(float((p.double() / peak - mean).square().sum()) for p in self._every())
        return float(peak * (square / count) ** 0.5)

    def _every(self) -> Iterator[Tensor]:
        return self.parts(torch.arange(len(self)))


class TensorMatrix(SampleMatrix):
    """A matrix in memory.

    >>> matrix = TensorMatrix(torch.eye(5))
    >>> [len(part) for part in matrix.batches(torch.arange(5), 2, torch.Generator())]
    [2, 2, 1]
    """

    def __init__(self, data: Float[Tensor, "sample unit"]) -> None:
        self.data = data
        self.shape = (data.shape[0], data.shape[1])
        self.device = data.device

    def take(self, rows: Int64[Tensor, " rows"]) -> Float[Tensor, "rows unit"]:
        """The given rows; consecutive ones are not copied and must not be changed."""
        if len(rows) and bool((rows.diff() == 1).all()):
            return self.data[int(rows[0]) : int(rows[-1]) + 1]
        return self.data[rows.to(self.device)]

    def scaled(self, scale: float) -> TensorMatrix:
        """The same matrix with its numbers divided by `scale`, as float32."""
        return TensorMatrix((self.data / scale).float())

    def batches(
        self, rows: Int64[Tensor, " rows"], size: int, generator: torch.Generator
    ) -> Iterator[Float[Tensor, "batch unit"]]:
        """The rows in a new random order, `size` at a time."""
        order = rows[torch.randperm(len(rows), generator=generator)].to(self.device)
        for chosen in order.split(size):
            yield self.data[chosen]


class StoredMatrix(SampleMatrix):
    """A matrix that stays on disk: blocks of rows are read and shuffled together.

    `samples` are the places of the N rows in the reader, ascending; all numbers are divided by
    `scale` and moved to `device`. `fit` of an autoencoder takes one in place of an array.
    """

    def __init__(
        self,
        reader: Reader,
        samples: Int64[np.ndarray, " sample"],
        scale: float = 1.0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.reader = reader
        self.samples = samples
        self.scale = scale
        self.shape = (len(samples), reader.columns)
        self.device = torch.device(device)

    def scaled(self, scale: float) -> StoredMatrix:
        """The same matrix with its numbers divided by `scale`, as float32."""
        return StoredMatrix(self.reader, self.samples, self.scale * scale, self.device)

    def of(self, rows: Int64[np.ndarray, " row"]) -> StoredMatrix:
        """Some of its rows, ascending, as a matrix."""
        return StoredMatrix(self.reader, self.samples[rows], self.scale, self.device)

    def to(self, device: torch.device) -> StoredMatrix:
        """The same matrix with its rows on another device."""
        return StoredMatrix(self.reader, self.samples, self.scale, device)

    def take(self, rows: Int64[Tensor, " rows"]) -> Float[Tensor, "rows unit"]:
        """The given rows, in memory."""
        return self._tensor(self.reader.gather(self.samples[rows.numpy()]))

    def batches(
        self, rows: Int64[Tensor, " rows"], size: int, generator: torch.Generator
    ) -> Iterator[Float[Tensor, "batch unit"]]:
        """The rows in batches drawn from random blocks, `size` at a time."""
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        for found in self.reader.shuffled(self.samples[rows.numpy()], size, rng):
            yield self._tensor(found)

    def _tensor(self, found: np.ndarray[Any, Any]) -> Tensor:
        tensor = torch.from_numpy(found).to(self.device)
        return tensor if self.scale == 1 else (tensor / self.scale).float()


View = Literal["concat", "sum", "positive", "negative", "activation"]
VIEWS: tuple[View, ...] = ("concat", "sum", "positive", "negative", "activation")


def check_view(view: str) -> None:
    """Raise CodeclensError unless there is such a view."""
    if view not in VIEWS:
        raise unknown("view", view, VIEWS)


def units_of(columns: int, view: View) -> int:
    """The number of units behind the columns of a view."""
    if view == "concat" and columns % 2:
        raise CodeclensError(
            f"The concat view has two columns for each unit, but there are {columns}."
        )
    return columns // 2 if view == "concat" else columns


def columns_of(units: int, view: View) -> int:
    """The number of columns of the units in a view."""
    return 2 * units if view == "concat" else units


def signed_parts(
    dictionary: Float[np.ndarray, "mode column"], view: View
) -> tuple[Float[np.ndarray, "mode unit"], Float[np.ndarray, "mode unit"]]:
    """Excitation `(K, U)` ≥ 0 and suppression `(K, U)` ≤ 0 of each unit in each mode.

    In the concat view the first half of the columns are positive contributions and the second half
    the magnitudes of negative ones, whose sign is restored here. If a dictionary has negative
    entries, less suppression counts as excitation and less excitation as suppression, so that both
    always sum to the mode's net weight. In the other views entries are split by their sign.

    >>> positive, negative = signed_parts(np.array([[1.0, 0.0, 0.0, 2.0]]), "concat")
    >>> positive, negative
    (array([[1., 0.]]), array([[ 0., -2.]]))
    """
    if view != "concat":
        return np.maximum(dictionary, 0), np.minimum(dictionary, 0)
    units = units_of(dictionary.shape[1], view)
    gain, loss = dictionary[:, :units], -dictionary[:, units:]
    return (
        np.maximum(gain, 0) + np.maximum(loss, 0),
        np.minimum(gain, 0) + np.minimum(loss, 0),
    )


def net_total(
    values: Float[np.ndarray, "sample column"], view: View
) -> Float[np.ndarray, " sample"]:
    """The sum of each sample's contributions, excitation and suppression together, `(N,)`.

    Only the views concat and sum hold both; raises CodeclensError for the others.

    >>> net_total(np.array([[3.0, 1.0, 0.0, 2.0]]), "concat")
    array([2.])
    """
    if view not in ("concat", "sum"):
        raise CodeclensError(
            f'The view "{view}" holds only a part of the contributions, so their sum is not '
            'the change of the target; use "concat" or "sum".'
        )
    if view == "sum":
        return np.asarray(values.sum(axis=1, dtype=np.float64))
    units = units_of(values.shape[1], view)
    gain = values[:, :units].sum(axis=1, dtype=np.float64)
    return np.asarray(gain - values[:, units:].sum(axis=1, dtype=np.float64))
