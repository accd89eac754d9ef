"""Tables: samples in rows and columns to decompose, in memory or in a store that is larger."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Literal, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from codeclens.errors import CodeclensError

# Rows that are looked at together where all are gone through in order.
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


class Table(ABC):
    """Data `(N, D)` as the trainer goes through them: random batches, or parts in order."""

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
        """The given rows in their order, some thousands at a time."""
        for chosen in rows.split(PART):
            yield self.take(chosen)


class TensorTable(Table):
    """A table that lies in memory.

    >>> table = TensorTable(torch.eye(5))
    >>> [len(part) for part in table.batches(torch.arange(5), 2, torch.Generator())]
    [2, 2, 1]
    """

    def __init__(self, data: Float[Tensor, "sample unit"]) -> None:
        self.data = data
        self.shape = (data.shape[0], data.shape[1])
        self.device = data.device

    def take(self, rows: Int64[Tensor, " rows"]) -> Float[Tensor, "rows unit"]:
        """The given rows."""
        return self.data[rows.to(self.device)]

    def batches(
        self, rows: Int64[Tensor, " rows"], size: int, generator: torch.Generator
    ) -> Iterator[Float[Tensor, "batch unit"]]:
        """The rows in a new random order, `size` at a time."""
        order = rows[torch.randperm(len(rows), generator=generator)].to(self.device)
        for chosen in order.split(size):
            yield self.data[chosen]


class StoredTable(Table):
    """A table that stays on disk: blocks of rows are read and shuffled together.

    `samples` are the places of the N rows in the reader, ascending; all numbers are divided by
    `scale`, and rows come to `device`. `fit` takes one in place of an array.
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

    def scaled(self, scale: float) -> StoredTable:
        """The same table with its numbers divided by `scale`."""
        return StoredTable(self.reader, self.samples, self.scale * scale, self.device)

    def of(self, rows: Int64[np.ndarray, " row"]) -> StoredTable:
        """Some of its rows, ascending, as a table."""
        return StoredTable(self.reader, self.samples[rows], self.scale, self.device)

    def to(self, device: torch.device) -> StoredTable:
        """The same table with its rows on another device."""
        return StoredTable(self.reader, self.samples, self.scale, device)

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

    def deviation(self) -> float:
        """The standard deviation of all entries about their one mean, in float64.

        Raises CodeclensError for an entry that is not finite, and where nothing varies.
        """
        peak, varies, first = 0.0, False, None
        for start, part in self._numbered():
            finite = torch.isfinite(part)
            if not bool(finite.all()):
                row, column = (int(i) for i in (~finite).nonzero()[0])
                raise CodeclensError(
                    f"The data hold values that are NaN or infinite, the first in row "
                    f"{start + row}, column {column}; drop those samples."
                )
            first = part[:1].clone() if first is None else first
            varies = varies or bool((part != first).any())
            peak = max(peak, float(part.abs().max()))
        samples, columns = self.shape
        if peak == 0 or not varies:
            what = "are zero" if peak == 0 else "are the same in every sample"
            raise CodeclensError(
                f"All {samples} × {columns} values {what}: there is nothing to decompose; "
                "leave the site out."
            )
        # Divided by the largest entry first: squares of tiny values would underflow.
        count = samples * columns
        mean = sum(float((part.double() / peak).sum()) for _, part in self._numbered()) / count
        square = sum(
            float((part.double() / peak - mean).square().sum()) for _, part in self._numbered()
        )
        return float(peak * (square / count) ** 0.5)

    def _numbered(self) -> Iterator[tuple[int, Tensor]]:
        for rows in torch.arange(len(self)).split(PART):
            yield int(rows[0]), self.take(rows)

    def _tensor(self, found: np.ndarray[Any, Any]) -> Tensor:
        tensor = torch.from_numpy(found).to(self.device)
        return tensor if self.scale == 1 else (tensor / self.scale).float()


View = Literal["concat", "sum", "positive", "negative", "activation"]
VIEWS: tuple[View, ...] = ("concat", "sum", "positive", "negative", "activation")


def check_view(view: str) -> None:
    """Raise CodeclensError unless there is such a view."""
    if view not in VIEWS:
        known = ", ".join(f'"{name}"' for name in VIEWS)
        raise CodeclensError(f'There is no view "{view}"; choose one of {known}.')


def units_of(columns: int, view: View) -> int:
    """The number of units behind so many columns of a view."""
    if view == "concat" and columns % 2:
        raise CodeclensError(
            f"The concat view has two columns for each unit, but there are {columns}."
        )
    return columns // 2 if view == "concat" else columns


def columns_of(units: int, view: View) -> int:
    """The number of columns that so many units have in a view."""
    return 2 * units if view == "concat" else units


def signed_parts(
    dictionary: Float[np.ndarray, "mode column"], view: View
) -> tuple[Float[np.ndarray, "mode unit"], Float[np.ndarray, "mode unit"]]:
    """Excitation `(K, U)` ≥ 0 and suppression `(K, U)` ≤ 0 of each unit in each mode.

    In the concat view the first half of the columns are positive contributions and the second half
    the magnitudes of negative ones, whose signs come back here. A dictionary with negative entries
    can also take away: less suppression then counts as excitation and less excitation as
    suppression, so that both always add up to the mode's net weight. In the other views entries are
    split by their sign.

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
    """What the contributions of each sample sum to, excitation and suppression together, `(N,)`.

    Only the views concat and sum hold both; raises CodeclensError for the others.

    >>> net_total(np.array([[3.0, 1.0, 0.0, 2.0]]), "concat")
    array([2.])
    """
    if view not in ("concat", "sum"):
        raise CodeclensError(
            f'The view "{view}" holds only a part of the contributions, so they sum to nothing '
            'known; take "concat" or "sum".'
        )
    if view == "sum":
        return np.asarray(values.sum(axis=1, dtype=np.float64))
    units = units_of(values.shape[1], view)
    gain = values[:, :units].sum(axis=1, dtype=np.float64)
    return np.asarray(gain - values[:, units:].sum(axis=1, dtype=np.float64))
