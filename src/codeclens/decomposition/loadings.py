"""Loadings: how strongly each mode is active in each sample, sparse and read like an array."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, Num
from numpy.lib.mixins import NDArrayOperatorsMixin
from torch import Tensor

from codeclens.errors import wrong_shape

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array

# Values of a dense block (16 MiB).
_BLOCK = 1 << 22


class Loadings(NDArrayOperatorsMixin):
    """The loadings `(N, K)` of K modes in N samples, kept sparse and read like an array.

    An index gives a NumPy array of the chosen rows and columns, float32: `loadings[3]` `(K,)`,
    `loadings[:, 0]` `(N,)`, `loadings[rows]`. `np.asarray`, NumPy's functions and operators use all
    entries as one dense array; `sparse` is SciPy's array, and `blocks()` are dense rows block by
    block. Loadings of which half or more are not zero, as those of PCA, are kept dense.

    >>> loadings = Loadings.of(np.array([[0.0, 2.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    >>> loadings
    Loadings of 3 modes in 3 samples, 2 not zero (22.2 %), sparse
    >>> loadings[:, 1], loadings.shape, (loadings > 0).any(axis=1)
    (array([2., 0., 0.], dtype=float32), (3, 3), array([ True,  True, False]))
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, values: np.ndarray[Any, Any] | csr_array) -> None:
        self._dense = values if isinstance(values, np.ndarray) else None
        self._csr = None if isinstance(values, np.ndarray) else values
        self._shape = (int(values.shape[0]), int(values.shape[1]))

    @classmethod
    def of(cls, values: Loadings | np.ndarray[Any, Any] | csr_array) -> Loadings:
        """Loadings from an array `(N, K)`, dense or sparse; raises CodeclensError for others."""
        if isinstance(values, Loadings):
            return values
        if values.ndim != 2:
            raise wrong_shape("loadings", values.shape, "(samples, modes)")
        return cls.stacked([values], values.shape[1])

    @classmethod
    def stacked(cls, parts: Iterable[np.ndarray[Any, Any] | csr_array], n_modes: int) -> Loadings:
        """Loadings from consecutive samples, each part `(n, K)`; one part at a time is dense."""
        from scipy.sparse import csr_array, vstack

        kept = [csr_array(part, dtype=np.float32) for part in parts]
        whole = csr_array(vstack(kept, "csr")) if kept else csr_array((0, n_modes), dtype="f4")
        whole.eliminate_zeros()
        dense = 2 * whole.nnz >= max(whole.shape[0] * n_modes, 1)
        return cls(whole.toarray() if dense else whole)

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of samples and modes, (N, K)."""
        return self._shape

    @property
    def size(self) -> int:
        """The number of entries, N · K."""
        return self.shape[0] * self.shape[1]

    @property
    def nbytes(self) -> int:
        """The memory that they take, in bytes."""
        if self._csr is None:
            return int(self.toarray().nbytes)
        return sum(a.nbytes for a in (self._csr.data, self._csr.indices, self._csr.indptr))

    @property
    def is_sparse(self) -> bool:
        """Whether less than half of the entries are active, so that only those are kept."""
        return self._csr is not None

    @property
    def sparse(self) -> csr_array:
        """The loadings as SciPy's CSR array, one row per sample."""
        from scipy.sparse import csr_array

        return csr_array(self._dense) if self._csr is None else self._csr

    @cached_property
    def by_mode(self) -> csc_array:
        """The loadings as SciPy's CSC array, from which single modes are read."""
        from scipy.sparse import csc_array

        return csc_array(self.sparse)

    def toarray(self) -> Float32[np.ndarray, "sample mode"]:
        """All loadings as a dense array."""
        if self._csr is None:
            assert self._dense is not None
            return self._dense
        return np.asarray(self._csr.toarray())

    def active(
        self, mode: int
    ) -> tuple[Int64[np.ndarray, " active"], Float32[np.ndarray, " active"]]:
        """The samples in which a mode is not zero, ascending, and its loadings there."""
        if self._dense is not None:
            column = self._dense[:, mode]
            rows = np.flatnonzero(column)
            return rows.astype(np.int64), column[rows]
        columns = self.by_mode
        entries = slice(columns.indptr[mode], columns.indptr[mode + 1])
        return columns.indices[entries].astype(np.int64), columns.data[entries]

    def blocks(
        self, rows: int | None = None
    ) -> Iterator[tuple[slice, Float32[np.ndarray, "part mode"]]]:
        """Consecutive rows as dense arrays, with their place; about 16 MiB each by default."""
        step = max(1, _BLOCK // max(self.shape[1], 1)) if rows is None else rows
        for start in range(0, len(self), step):
            place = slice(start, min(start + step, len(self)))
            yield place, self[place]

    def per_sample(self) -> Int64[np.ndarray, " sample"]:
        """The number of modes that are not zero in each sample, `(N,)`."""
        if self._csr is None:
            return np.asarray(np.count_nonzero(self.toarray(), axis=1), np.int64)
        return np.asarray(np.diff(self._csr.indptr), np.int64)

    def per_mode(self) -> Int64[np.ndarray, " mode"]:
        """The number of samples in which each mode is not zero, `(K,)`."""
        if self._csr is None:
            return np.asarray(np.count_nonzero(self.toarray(), axis=0), np.int64)
        return np.asarray(np.bincount(self._csr.indices, minlength=self.shape[1]), np.int64)

    def sums(
        self, weights: Num[np.ndarray, " sample"] | None = None, *, magnitudes: bool = False
    ) -> Float[np.ndarray, " mode"]:
        """The sum of each mode over the samples in float64, `(K,)`; weighted, or of magnitudes."""
        weight = np.ones(len(self)) if weights is None else np.asarray(weights, np.float64)
        if self._csr is None:
            dense = self.toarray()
            return np.asarray(weight @ (np.abs(dense) if magnitudes else dense))
        values = np.abs(self._csr.data) if magnitudes else self._csr.data
        weighted = np.repeat(weight, self.per_sample()) * values
        # Without any loading NumPy counts in integers, whatever the weights are.
        sums = np.bincount(self._csr.indices, weighted, minlength=self.shape[1])
        return sums.astype(np.float64)

    def is_finite(self) -> bool:
        """Whether no loading is NaN or infinite."""
        return bool(np.isfinite(self.toarray() if self._csr is None else self._csr.data).all())

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        if self._csr is None:
            return self.toarray()[key]
        rows, columns = key if isinstance(key, tuple) and len(key) == 2 else (key, slice(None))
        if isinstance(columns, int | np.integer):
            return self._column(int(columns))[rows]
        if isinstance(rows, int | np.integer):
            return self[[int(rows)]][0][columns]
        if not isinstance(columns, slice):
            if not (isinstance(rows, slice) and np.ndim(columns) == 1):
                return self.toarray()[key]
            return self._csr[rows][:, np.asarray(columns)].toarray()
        if not isinstance(rows, slice) and np.ndim(rows) != 1:
            return self.toarray()[key]
        found = self._csr[rows if isinstance(rows, slice) else np.asarray(rows, _index(rows))]
        return (found if columns == slice(None) else found[:, columns]).toarray()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        found = self.toarray()
        return found.copy() if copy and self._csr is None else np.asarray(found, dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        dense = [one.toarray() if isinstance(one, Loadings) else one for one in inputs]
        return getattr(ufunc, method)(*dense, **options)

    def __repr__(self) -> str:
        count = int(self.per_sample().sum())
        samples, modes = self.shape
        kept = "sparse" if self.is_sparse else "dense"
        return (
            f"Loadings of {modes:,} modes in {samples:,} samples, {count:,} not zero "
            f"({count / max(self.size, 1):.1%}), {kept}".replace("%", " %")
        )

    def _column(self, number: int) -> np.ndarray[Any, Any]:
        if not -self.shape[1] <= number < self.shape[1]:
            raise IndexError(f"There is no mode {number}: there are {self.shape[1]}.")
        column = np.zeros(len(self), np.float32)
        rows, values = self.active(number % self.shape[1])
        column[rows] = values
        return column


def _index(rows: Any) -> type:
    """The type of an index of rows: a mask, or numbers (an empty list too)."""
    return bool if np.asarray(rows).dtype == bool else np.int64


def packed(given: Loadings | np.ndarray[Any, Any]) -> dict[str, Tensor]:
    """Loadings as the tensors of a file: the parts of compressed rows, or one dense array."""
    loadings = Loadings.of(given)
    if not loadings.is_sparse:
        return {"loadings": torch.from_numpy(loadings.toarray())}
    rows = loadings.sparse
    small = np.int16 if rows.shape[1] <= np.iinfo(np.int16).max else np.int32
    return {
        "loadings.values": torch.from_numpy(rows.data),
        "loadings.modes": torch.from_numpy(rows.indices.astype(small)),
        "loadings.ends": torch.from_numpy(rows.indptr[1:].astype(np.int64)),
    }


def unpacked(tensors: dict[str, Tensor], n_modes: int) -> Loadings:
    """What `packed` gave; raises KeyError where something is missing."""
    from scipy.sparse import csr_array

    if "loadings" in tensors:
        return Loadings.of(tensors["loadings"].numpy())
    values, modes, ends = (
        tensors[f"loadings.{name}"].numpy() for name in ("values", "modes", "ends")
    )
    # Small index types are those of SciPy where the entries allow it.
    index = np.int32 if len(values) <= np.iinfo(np.int32).max else np.int64
    indptr = np.concatenate([[0], ends]).astype(index)
    try:
        rows = csr_array((values, modes.astype(index), indptr), (len(ends), n_modes))
        rows.check_format(full_check=True)  # compiled code trusts the indices
        return Loadings.of(rows)
    except ValueError as error:
        raise RuntimeError(f"the parts of the loadings do not match ({error})") from error
