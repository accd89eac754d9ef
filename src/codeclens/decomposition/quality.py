"""Quality measures of a decomposition: arrays in, numbers out.

Samples are rows, units or modes are columns. `X` holds the data, `reconstruction` its
reconstruction, `Z` the loadings, `D` a dictionary with one mode per row. Sums use float64, one
block of rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from codeclens.errors import CodeclensError

Matrix = Num[np.ndarray, "sample unit"]


@runtime_checkable
class SparseCodes(Protocol):
    """What the measures need of sparse loadings `(N, K)`: an index gives dense arrays."""

    @property
    def shape(self) -> tuple[int, int]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, key: Any) -> Any: ...
    def per_mode(self) -> np.ndarray[Any, Any]: ...
    def sums(self, *, magnitudes: bool = False) -> np.ndarray[Any, Any]: ...


Codes = Num[np.ndarray, "sample mode"] | SparseCodes

# Values held in float64 at once (32 MiB).
_BLOCK = 1 << 22
# Values that fit into the processor's cache while they are summed (2 MiB).
_CACHED = 1 << 18


def r2(X: Matrix, reconstruction: Matrix) -> float:
    """Share of the variance about the units' means that the reconstruction explains.

    `X` and `reconstruction` are `(N, D)`; the result is `1 − Σ(x − x̂)² / Σ(x − mean)²` with both
    sums over all samples and units (scikit-learn's `r2_score(…, "variance_weighted")`); 1 is
    perfect, 0 as good as the means, NaN where no unit varies. Raises CodeclensError if the
    shapes differ (method.md §3).

    >>> r2(np.array([[0.0, 1.0], [2.0, 1.0]]), np.array([[0.5, 1.0], [1.5, 1.0]]))
    0.75
    """
    error, spread = _sums(X, reconstruction)
    total = float(spread.sum())
    return 1.0 - float(error.sum()) / total if total > 0 else float("nan")


def r2_per_unit(X: Matrix, reconstruction: Matrix) -> Float[np.ndarray, " unit"]:
    """R² of every unit about its own mean, `(D,)`; NaN for units that do not vary.

    Raises CodeclensError if the shapes differ.

    >>> r2_per_unit(np.array([[0.0, 1.0], [2.0, 1.0]]), np.array([[0.5, 1.0], [1.5, 1.0]]))
    array([0.75,  nan])
    """
    error, spread = _sums(X, reconstruction)
    varies = spread > 0
    return np.where(varies, 1.0 - error / np.where(varies, spread, 1.0), np.nan)


def l0(Z: Codes) -> float:
    """Mean number of active modes per sample: loadings that are not zero.

    >>> l0(np.array([[0.0, 2.0, 0.0], [1.0, 3.0, 0.0]]))
    1.5
    """
    return float(_counts(Z).sum()) / max(len(Z), 1)


def firing_rate(Z: Codes) -> Float[np.ndarray, " mode"]:
    """Share of the samples in which each mode is active, `(K,)` in [0, 1].

    >>> firing_rate(np.array([[0.0, 2.0, 0.0], [1.0, 3.0, 0.0]]))
    array([0.5, 1. , 0. ])
    """
    return np.asarray(_counts(Z) / max(len(Z), 1))


def dead_modes(Z: Codes) -> Bool[np.ndarray, " mode"]:
    """Which modes are active in no sample, `(K,)`.

    >>> dead_modes(np.array([[0.0, 2.0, 0.0], [1.0, 3.0, 0.0]]))
    array([False, False,  True])
    """
    return np.asarray(_counts(Z) == 0)


def dense_modes(Z: Codes, above: float = 0.5) -> Bool[np.ndarray, " mode"]:
    """Which modes are active in more than a share of the samples, `(K,)`.

    >>> dense_modes(np.array([[0.0, 2.0, 0.0], [1.0, 3.0, 0.0]]))
    array([False,  True, False])
    """
    return np.asarray(firing_rate(Z) > above)


def redundancy(D: Num[np.ndarray, "mode unit"]) -> Float[np.ndarray, " mode"]:
    """Redundancy of each mode: its largest cosine with another mode, `(K,)`.

    1 if two modes are equal, 0 if the mode is orthogonal to all others; NaN for a single mode.

    >>> redundancy(np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]))
    array([1., 1., 0.])
    """
    if len(D) < 2:
        return np.full(len(D), np.nan)
    rows = unit_rows(D)
    found = np.empty(len(D))
    for part in _blocks(np.arange(len(D)), len(D)):
        cosines = rows[part] @ rows.T
        cosines[np.arange(len(part)), part] = -1.0
        found[part] = cosines.max(axis=1)
    return np.clip(found, -1.0, 1.0)


class Fidelity(NamedTuple):
    """How well reconstructed contributions reproduce the change of the target.

    `r2` is about the mean over samples; `error` `(N,)` is each sample's error relative to its true
    change, NaN if nothing changed; `median_error` is the median over samples.

    >>> Fidelity(r2=0.9, error=np.array([0.1, 0.3, np.nan])).median_error
    0.2
    """

    r2: float
    error: np.ndarray[Any, Any]

    @property
    def median_error(self) -> float:
        """The median over samples of the relative error."""
        found = self.error[~np.isnan(self.error)]
        return float(np.median(found)) if len(found) else float("nan")


def fidelity(change: Num[np.ndarray, " sample"], total: Num[np.ndarray, " sample"]) -> Fidelity:
    """How well totals of reconstructed contributions reproduce the change of the target.

    `change` `(N,)` is T(x) − T(x0), to which the contributions of a cut sum (method.md §2); `total`
    `(N,)` is the sum of the reconstructed ones. Raises CodeclensError if lengths differ.

    >>> fidelity(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 2.5])).error.round(3)
    array([0.   , 0.   , 0.167])
    """
    if change.shape != total.shape:
        raise CodeclensError(
            f"There are {len(change)} changes of the target and {len(total)} totals; "
            "both must be of the same samples."
        )
    size = np.abs(change.astype(np.float64))
    distance = np.abs(change.astype(np.float64) - total)
    error = np.where(size > 0, distance / np.where(size > 0, size, 1.0), np.nan)
    return Fidelity(r2(change[:, None], total[:, None]), error)


def mode_sparsity(D: Num[np.ndarray, "mode unit"]) -> Float[np.ndarray, " mode"]:
    """Hoyer sparsity of every mode over its entries: 0 for equal entries, 1 for a single one.

    `D` is `(K, D)`, the result `(K,)`, `(√D − ‖d‖₁/‖d‖₂) / (√D − 1)` (method.md §4); NaN for a
    mode of zeros and where there is a single entry.

    >>> mode_sparsity(np.array([[0.0, 3.0, 0.0, 0.0], [1.0, 1.0, 1.0, -1.0]]))
    array([1., 0.])
    """
    entries = np.abs(np.asarray(D, dtype=np.float64))
    root = np.sqrt(entries.shape[1])
    norm = np.linalg.norm(entries, axis=1)
    if root <= 1:
        return np.full(len(entries), np.nan)
    ratio = entries.sum(axis=1) / np.where(norm > 0, norm, np.nan)
    return np.asarray(np.clip((root - ratio) / (root - 1), 0.0, 1.0))


def loading_share(Z: Codes, D: Num[np.ndarray, "mode unit"]) -> Float[np.ndarray, " mode"]:
    """Share of the reconstructed mass that each mode carries, `(K,)`, summing to 1.

    The mass of a mode is `Σ_n |z_nk| · Σ_u |D_ku|`: where loadings and dictionary are non-negative,
    exactly the part of the reconstructed contributions that flows through it. All zeros where
    no mode is active.

    >>> loading_share(np.array([[3.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [0.5, 0.5]]))
    array([0.75, 0.25])
    """
    if isinstance(Z, np.ndarray):
        sums = np.abs(Z).sum(axis=0, dtype=np.float64)
    else:
        sums = Z.sums(magnitudes=True)
    mass = sums * np.abs(D).sum(axis=1, dtype=np.float64)
    total = mass.sum()
    return np.asarray(mass / total) if total > 0 else mass


class ClassSums(NamedTuple):
    """Sums over the samples of every class, from which correlations with classes are computed.

    `size` `(C,)` counts the samples, `mean` `(K,)` is over the samples of known class, `square`
    `(K,)` the sum of their squared deviations from it (0 where they do not vary) and `sums`
    `(C, K)` the sum of deviations over each class.

    >>> class_sums(np.array([[1.0], [2.0], [6.0]]), np.array([0, 0, 1]), 2).sums
    array([[-3.],
           [ 3.]])
    """

    size: np.ndarray[Any, Any]
    mean: np.ndarray[Any, Any]
    square: np.ndarray[Any, Any]
    sums: np.ndarray[Any, Any]


def class_sums(Z: Codes, labels: Int[np.ndarray, " sample"], classes: int) -> ClassSums:
    """Sums of the loadings `(N, K)` over every class, in one pass over them.

    `labels` is `(N,)` in `0 … classes − 1`, or −1 for samples of unknown class, which are left out.
    Raises CodeclensError if lengths differ or a label is too large.

    >>> class_sums(np.array([[1.0], [2.0], [6.0]]), np.array([0, 0, -1]), 2).mean
    array([1.5])
    """
    if len(labels) != len(Z):
        raise CodeclensError(f"There are {len(labels)} labels for {len(Z)} samples.")
    if len(labels) and int(labels.max()) >= classes:
        raise CodeclensError(
            f"Label {int(labels.max())} is out of range: there are {classes} classes "
            f"(0 to {classes - 1})."
        )
    known = np.flatnonzero(labels >= 0)
    count = max(len(known), 1)
    size = np.bincount(labels[known], minlength=classes).astype(np.float64)
    # Sums about a mean of some samples are corrected for the mean of all afterwards.
    some = Z[known[:: max(1, count // 256)]]
    shift = some.mean(axis=0, dtype=np.float64) if len(some) else np.zeros(Z.shape[1])
    sums, square = np.zeros((classes, Z.shape[1])), np.zeros(Z.shape[1])
    # Class by class, so that a block in the processor's cache holds few classes.
    for rows in _blocks(known[np.argsort(labels[known], kind="stable")], Z.shape[1], _CACHED):
        block = Z[rows] - shift
        square += np.einsum("nk,nk->k", block, block)
        present, first = np.unique(labels[rows], return_index=True)
        sums[present] += np.add.reduceat(block, first, axis=0)
    offset = sums.sum(axis=0) / count
    square -= count * np.square(offset)
    sums -= np.outer(size, offset)
    mean = shift + offset
    # Deviations as small as this are rounding in the mean of equal loadings.
    varies = square > 1e-20 * count * np.square(mean)
    return ClassSums(size, mean, np.where(varies, square, 0.0), sums)


def indicator_correlation(
    Z: Codes, labels: Int[np.ndarray, " sample"], classes: int
) -> Float[np.ndarray, "mode class"]:
    """Pearson correlation of each mode's loadings with each class's indicator, `(K, classes)`.

    `labels` is `(N,)` in `0 … classes − 1`, or −1 for samples of unknown class, which are left out.
    NaN for classes without a sample (or with all of them) and for modes that do not vary
    (method.md §4, Semantics). Raises CodeclensError if lengths differ or a label is too large.

    >>> loadings = np.array([[2.0, 1.0], [2.0, 0.0], [0.0, 0.0], [9.0, 9.0]])
    >>> indicator_correlation(loadings, np.array([0, 0, 1, -1]), classes=2)
    array([[ 1. , -1. ],
           [ 0.5, -0.5]])
    """
    return correlation_of_sums(class_sums(Z, labels, classes))


def correlation_of_sums(found: ClassSums) -> Float[np.ndarray, "mode class"]:
    """`indicator_correlation` from given sums over classes, `(K, classes)`.

    >>> correlation_of_sums(class_sums(np.array([[2.0], [2.0], [0.0]]), np.array([0, 0, 1]), 2))
    array([[ 1., -1.]])
    """
    share = found.size / max(1.0, found.size.sum())
    spread = np.sqrt(np.outer(found.square, found.size * (1 - share)))
    spread[spread == 0] = np.nan
    return np.asarray(np.clip(found.sums.T / spread, -1.0, 1.0))


def _counts(Z: Codes) -> np.ndarray[Any, Any]:
    """How many samples each mode is active in, `(K,)`."""
    return np.asarray(np.count_nonzero(Z, axis=0)) if isinstance(Z, np.ndarray) else Z.per_mode()


def _sums(
    X: np.ndarray[Any, Any], reconstruction: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Squared errors and squared deviations from the mean, summed over samples for every unit."""
    if X.shape != reconstruction.shape:
        raise CodeclensError(
            f"The data have shape {X.shape} and the reconstruction {reconstruction.shape}; "
            "both must be the same samples and units."
        )
    mean = X.mean(axis=0, dtype=np.float64) if len(X) else np.zeros(X.shape[1])
    # The mean of equal values is off by a rounding, which would make constant units seem to vary.
    varies = (X[:1] != X).any(axis=0)
    error, spread = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for rows in _blocks(np.arange(len(X)), X.shape[1]):
        block = X[rows].astype(np.float64)
        error += np.square(block - reconstruction[rows]).sum(axis=0)
        spread += np.square(block - mean).sum(axis=0)
    return error, np.where(varies, spread, 0.0)


def unit_rows(D: Num[np.ndarray, "mode unit"]) -> Float[np.ndarray, "mode unit"]:
    """Every row divided by its length; rows of zeros stay as they are."""
    rows = D.astype(np.float64)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norm > 0, norm, 1.0))


def _blocks(
    rows: np.ndarray[Any, Any], columns: int, values: int = _BLOCK
) -> Iterator[np.ndarray[Any, Any]]:
    step = max(1, values // max(columns, 1))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]
