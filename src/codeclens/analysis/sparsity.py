"""Sparsity: how few units carry a sample, and how few samples a unit."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Num

from codeclens.analysis.statistics import blocks, numeric


def hoyer(values: Num[np.ndarray, "*sample unit"]) -> Float[np.ndarray, "*sample"]:
    """Hoyer sparsity of every row: 0 where all units weigh the same, 1 where one unit is alone.

    `values` is `(…, U)`, of any sign and unit; the result is `(…)`, without unit and independent
    of scale: `(√U − ‖v‖₁/‖v‖₂) / (√U − 1)` (METHOD.md §4, Sparsity). It is NaN where it is
    undefined: for a row of zeros, which is neither sparse nor dense, and for a single unit.

    Raises CodeclensError where a value is not finite.

    >>> hoyer(np.array([[0.0, 5.0, 0.0, 0.0], [1.0, -1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]))
    array([ 1.,  0., nan])
    """
    array = numeric(values, "values", dimensions=None)
    units = array.shape[-1]
    rows = array.reshape(-1, units)
    sparsity = np.full(len(rows), np.nan)
    if units > 1:
        root = np.sqrt(units)
        for block in blocks(len(rows), units):
            # Divided by the largest entry first: squares of tiny values would underflow.
            chunk = np.abs(rows[block].astype(np.float64))
            peak = chunk.max(axis=1, keepdims=True)
            used = peak[:, 0] > 0
            chunk = chunk[used] / peak[used]
            ratio = chunk.sum(axis=1) / np.sqrt(np.square(chunk).sum(axis=1))
            sparsity[block][used] = np.clip((root - ratio) / (root - 1), 0.0, 1.0)
    return sparsity.reshape(array.shape[:-1])


def treves_rolls(values: Num[np.ndarray, "*sample unit"]) -> Float[np.ndarray, "*sample"]:
    """Treves–Rolls sparseness of every row, 0 where all units weigh the same, 1 where one is alone.

    `values` is `(…, U)`; magnitudes count. `(1 − ⟨|v|⟩² / ⟨v²⟩) / (1 − 1/U)` (Vinje & Gallant,
    Science 2000). Rows that are samples give population sparseness; `values.T` gives lifetime
    sparseness, of every unit over samples, as it does for `hoyer`. NaN for a row of zeros and for
    a single unit. Raises CodeclensError where a value is not finite.

    >>> treves_rolls(np.array([[0.0, 5.0, 0.0, 0.0], [1.0, -1.0, 1.0, 1.0]]))
    array([1., 0.])
    """
    array = numeric(values, "values", dimensions=None)
    units = array.shape[-1]
    rows = array.reshape(-1, units)
    found = np.full(len(rows), np.nan)
    if units > 1:
        for block in blocks(len(rows), units):
            chunk = np.abs(rows[block].astype(np.float64))
            peak = chunk.max(axis=1, keepdims=True)
            used = peak[:, 0] > 0
            chunk = chunk[used] / peak[used]
            ratio = np.square(chunk.mean(axis=1)) / np.square(chunk).mean(axis=1)
            found[block][used] = np.clip((1 - ratio) / (1 - 1 / units), 0.0, 1.0)
    return found.reshape(array.shape[:-1])


def hoyer_of_sums(
    magnitude: Float[np.ndarray, " row"], square: Float[np.ndarray, " row"], count: int
) -> Float[np.ndarray, " row"]:
    """Hoyer sparsity of rows of `count` numbers of which only Σ|v| and Σv² are known.

    >>> hoyer_of_sums(np.array([5.0, 4.0]), np.array([25.0, 4.0]), 4)
    array([1., 0.])
    """
    root = np.sqrt(count)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.asarray(magnitude) / np.sqrt(square)
        return np.asarray(np.clip((root - ratio) / (root - 1), 0.0, 1.0))
