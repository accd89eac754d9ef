"""Sparsity of populations and dimensionality: spectra, components, participation ratios."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from codeclens.analysis.statistics import blocks, numeric, sum_by_group
from codeclens.errors import require_number

# Deviations below this share of the largest value are rounding in sums over many samples.
ROUNDING = 1e-12


def covariance_spectrum(X: Num[np.ndarray, "sample unit"]) -> Float[np.ndarray, " component"]:
    """The variances along the principal components of the samples, largest first.

    `X` is `(N, U)`; the result is `(min(N, U),)`, in squared units of `X`, the eigenvalues of the
    covariance (over N, not N − 1). They come from the smaller of the covariance and the Gram
    matrix. Deviations below 1e-12 of the largest value are rounding and count as no variance.

    Raises CodeclensError if `X` is not a finite matrix with at least one sample.

    >>> covariance_spectrum(np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    array([2. , 0.5])
    """
    array = numeric(X, "X", dimensions=2)
    samples, units = array.shape
    # Relative to the first sample, the mean of constant samples has no rounding error.
    mean = array[0].astype(np.float64)
    shift = np.zeros(units)
    peak = 0.0
    for block in blocks(samples, units):
        shift += (array[block] - mean).sum(axis=0)
        peak = max(peak, float(np.abs(array[block]).max()))
    mean += shift / samples
    gram = np.zeros((min(samples, units),) * 2)
    if units <= samples:
        for block in blocks(samples, units):
            chunk = array[block] - mean
            gram += chunk.T @ chunk
    else:
        for block in blocks(units, samples):
            chunk = array[:, block] - mean[block]
            gram += chunk @ chunk.T
    return without_rounding(gram, samples, peak, units)


def without_rounding(
    scatter: Float[np.ndarray, "row row"], samples: int, peak: float, units: int | None = None
) -> Float[np.ndarray, " component"]:
    """The variances of a scatter matrix, largest first, all zero if there is only rounding.

    `scatter` is the sum over `samples` of `units` values each, none larger than `peak`.

    >>> without_rounding(np.diag([8.0, 2.0]), samples=4, peak=2.0)
    array([2. , 0.5])
    """
    columns = len(scatter) if units is None else units
    if np.trace(scatter) <= samples * columns * (ROUNDING * peak) ** 2:
        return np.zeros(len(scatter))
    spectrum: Float[np.ndarray, " component"] = np.linalg.eigvalsh(scatter)[::-1] / samples
    spectrum[spectrum < 0] = 0.0
    return spectrum


def participation_ratio(X: Num[np.ndarray, "sample unit"]) -> float:
    """Participation ratio, the effective number of principal components: `(Σλ)² / Σλ²`.

    `X` is `(N, U)`; the result is without unit, between 1 and min(N − 1, U), and needs no
    threshold (method.md §4, Dimensionality). It is NaN if the samples do not vary.

    Raises CodeclensError if `X` is not a finite matrix with at least one sample.

    >>> corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    >>> participation_ratio(corners)
    2.0
    """
    return spectrum_participation(covariance_spectrum(X))


def components_for_variance(X: Num[np.ndarray, "sample unit"], share: float = 0.95) -> int:
    """Number of principal components that explain this share of the variance.

    `X` is `(N, U)`; the result is between 1 and min(N − 1, U), or 0 if the samples do not vary
    (method.md §4, Dimensionality: applied to class means, or to all samples).

    Raises CodeclensError if `X` is not a finite matrix or `share` is not in (0, 1].

    >>> X = np.diag([10.0, 10.0, 10.0, 0.1])
    >>> components_for_variance(X, 0.95), components_for_variance(X, 0.6)
    (3, 2)
    """
    return spectrum_components(covariance_spectrum(X), share)


def spectrum_participation(spectrum: Float[np.ndarray, " component"]) -> float:
    """The participation ratio of given variances `(R,)`; NaN if all are zero.

    >>> spectrum_participation(np.array([1.0, 1.0, 0.0]))
    2.0
    """
    total = float(spectrum.sum())
    if total == 0.0:
        return float("nan")
    return 1.0 / float(np.square(spectrum / total).sum())


def spectrum_components(spectrum: Float[np.ndarray, " component"], share: float = 0.95) -> int:
    """Number of the variances `(R,)`, largest first, that sum to this share; 0 if all are zero.

    Raises CodeclensError if `share` is not in (0, 1].

    >>> spectrum_components(np.array([9.0, 0.9, 0.1]), 0.95)
    2
    """
    require_number("share", share, above=0, most=1, hint="0.95 is usual")
    total = float(spectrum.sum())
    if total == 0.0:
        return 0
    # The slack makes 19 of 20 equal variances 95 % despite rounding.
    return int(np.searchsorted(np.cumsum(spectrum / total), share - 1e-12)) + 1


class Spectrum:
    """The covariance spectrum of rows that arrive in parts, the same as of all rows together.

    Rows are kept until there are more rows than units, then only the products of units, so that at
    most `U²` numbers are held. Sums use float64, relative to the mean of the first rows.

    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> spectrum = Spectrum()
    >>> for part in np.split(X, [1, 7, 30]):
    ...     spectrum.add(part)
    >>> bool(np.allclose(spectrum.variances(), covariance_spectrum(X)))
    True
    """

    def __init__(self) -> None:
        self._kept: list[Num[np.ndarray, "part unit"]] = []
        self._rows = 0
        self._peak = 0.0
        self._shift: Float[np.ndarray, " unit"] = np.zeros(0)
        self._sum: Float[np.ndarray, " unit"] = np.zeros(0)
        self._products: Float[np.ndarray, "unit unit"] | None = None

    def add(self, X: Num[np.ndarray, "part unit"]) -> None:
        """Take more rows `(n, U)`."""
        self._rows += len(X)
        if self._products is None:
            # A copy, because the caller may reuse the memory for the next part.
            self._kept.append(np.array(X))
            if self._rows > X.shape[1]:
                self._begin(np.concatenate(self._kept))
                self._kept = []
            return
        self._take(X)

    def variances(self) -> Float[np.ndarray, " component"]:
        """The variances along the principal components, largest first; `(min(N, U),)`."""
        if self._products is None:
            return covariance_spectrum(np.concatenate(self._kept))
        mean = self._sum / self._rows
        scatter = self._products - self._rows * np.outer(mean, mean)
        return without_rounding(scatter, self._rows, self._peak)

    def _begin(self, X: Num[np.ndarray, "row unit"]) -> None:
        self._shift = X.mean(axis=0, dtype=np.float64)
        self._sum = np.zeros(X.shape[1])
        self._products = np.zeros((X.shape[1],) * 2)
        self._take(X)

    def _take(self, X: Num[np.ndarray, "row unit"]) -> None:
        assert self._products is not None
        self._peak = max(self._peak, float(np.abs(X).max(initial=0.0)))
        centred = X - self._shift
        self._sum += centred.sum(axis=0)
        self._products += centred.T @ centred


def hoyer(values: Num[np.ndarray, "*sample unit"]) -> Float[np.ndarray, "*sample"]:
    """Hoyer sparsity of every row: 0 for equal magnitudes, 1 for a single non-zero unit.

    `values` is `(…, U)`, of any sign and unit; the result is `(…)`, without unit and independent
    of scale: `(√U − ‖v‖₁/‖v‖₂) / (√U − 1)` (method.md §4, Sparsity). It is undefined (NaN) for a
    row of zeros and for a single unit.

    Raises CodeclensError if a value is not finite.

    >>> hoyer(np.array([[0.0, 5.0, 0.0, 0.0], [1.0, -1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]))
    array([ 1.,  0., nan])
    """
    return _of_magnitudes(values, lambda v, units: hoyer_of_sums(v.sum(1), (v * v).sum(1), units))


def treves_rolls(values: Num[np.ndarray, "*sample unit"]) -> Float[np.ndarray, "*sample"]:
    """Treves–Rolls sparseness of every row: 0 for equal magnitudes, 1 for a single non-zero entry.

    `values` is `(…, U)`, of which magnitudes count: `(1 − ⟨|v|⟩² / ⟨v²⟩) / (1 − 1/U)` (Vinje &
    Gallant, Science 2000). If rows are samples this is population sparseness; `values.T` gives
    lifetime sparseness, as with `hoyer`. NaN for a row of zeros and for a single unit.

    Raises CodeclensError if a value is not finite.

    >>> treves_rolls(np.array([[0.0, 5.0, 0.0, 0.0], [1.0, -1.0, 1.0, 1.0]]))
    array([1., 0.])
    """
    return _of_magnitudes(
        values, lambda v, units: (1 - v.mean(1) ** 2 / (v * v).mean(1)) / (1 - 1 / units)
    )


def _of_magnitudes(
    values: Num[np.ndarray, "*sample unit"],
    sparsity: Callable[[Float[np.ndarray, "row unit"], int], Float[np.ndarray, " row"]],
) -> Float[np.ndarray, "*sample"]:
    """A sparsity of every row that is not zero, by blocks of rows, within [0, 1]."""
    array = numeric(values, "values", dimensions=None)
    units = array.shape[-1]
    rows = array.reshape(-1, units)
    found = np.full(len(rows), np.nan)
    if units > 1:
        for block in blocks(len(rows), units):
            # Divided by the largest entry first: squares of tiny values would underflow.
            chunk = np.abs(rows[block].astype(np.float64))
            peak = chunk.max(axis=1, keepdims=True)
            used = peak[:, 0] > 0
            found[block][used] = np.clip(sparsity(chunk[used] / peak[used], units), 0.0, 1.0)
    return found.reshape(array.shape[:-1])


def hoyer_of_sums(
    magnitude: Float[np.ndarray, " row"], square: Float[np.ndarray, " row"], count: int
) -> Float[np.ndarray, " row"]:
    """Hoyer sparsity of rows of `count` numbers, from Σ|v| and Σv².

    >>> hoyer_of_sums(np.array([5.0, 4.0]), np.array([25.0, 4.0]), 4)
    array([1., 0.])
    """
    root = np.sqrt(count)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.asarray(magnitude) / np.sqrt(square)
        return np.asarray(np.clip((root - ratio) / (root - 1), 0.0, 1.0))


class PopulationSummary:
    """Contributions, or activations, of one site, summarised as parts of the samples arrive.

    `groups` is the number of groups of samples (see `ClassResampler`), whose means are kept; a
    part's `group` `(n,)` names the group of each sample, −1 for none. `functions` are the
    statistics of single samples, from `(n, U)` to `(n,)`.

    >>> summary = PopulationSummary(groups=2, functions={"sparsity": hoyer})
    >>> summary.add(np.array([[1.0, 0.0], [0.0, 3.0], [1.0, 1.0]]), np.array([0, 1, -1]))
    >>> summary.of_samples("sparsity").tolist(), summary.group_means().tolist()
    ([1.0, 1.0, 0.0], [[1.0, 0.0], [0.0, 3.0]])
    """

    def __init__(self, groups: int, functions: Mapping[str, Callable[[Any], Any]]) -> None:
        self._functions = functions
        self._counts = np.zeros(groups, np.int64)
        self._sums: Float[np.ndarray, "group unit"] = np.zeros((groups, 0))
        self._of_samples: dict[str, list[Float[np.ndarray, " part"]]] = {n: [] for n in functions}
        self._spectrum = Spectrum()
        self.rows = 0
        # Σ|v| and Σv² of every unit.
        self.magnitude: Any = 0.0
        self.square: Any = 0.0

    def add(
        self, X: Num[np.ndarray, "part unit"], group: Int[np.ndarray, " part"], what: str = "X"
    ) -> None:
        """Add samples; raises CodeclensError, which names `what`, if a value is not finite."""
        values = numeric(X, what, dimensions=2)
        if not self.rows:
            self._sums = np.zeros((len(self._counts), values.shape[1]))
        self.rows += len(values)
        for name, function in self._functions.items():
            self._of_samples[name].append(function(values))
        sum_by_group(values, group, self._sums)
        self._counts += np.bincount(group[group >= 0], minlength=len(self._counts))
        wide = values.astype(np.float64)
        self.square = self.square + np.square(wide).sum(axis=0)
        self.magnitude = self.magnitude + np.abs(wide, out=wide).sum(axis=0)
        self._spectrum.add(values)

    def of_samples(self, name: str) -> Float[np.ndarray, " sample"]:
        """A statistic of every sample, `(N,)`."""
        return np.concatenate(self._of_samples[name])

    def group_means(self) -> Float[np.ndarray, "group unit"]:
        """The mean of every group, `(G, U)`, zero for a group without samples."""
        return np.asarray(self._sums / np.maximum(self._counts, 1)[:, None])

    def variances(self) -> Float[np.ndarray, " component"]:
        """The variances along the principal components of all samples."""
        return self._spectrum.variances()
