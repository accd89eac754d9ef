"""One pass over the samples of a site: what is kept is small, and enough for all statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from codeclens.analysis.sparsity import hoyer, hoyer_of_sums
from codeclens.analysis.spectrum import Spectrum
from codeclens.analysis.statistics import numeric, sum_by_group


class PopulationSummary:
    """One kind of numbers at a site (contributions, or activations), sample by sample.

    `groups` is how many groups samples are dealt into: of the resampler, which divides classes. A
    part's `group` `(n,)` says which, −1 for samples that are left out of class means.

    >>> summary = PopulationSummary(groups=2)
    >>> summary.add(np.array([[1.0, 0.0], [0.0, 3.0], [1.0, 1.0]]), np.array([0, 1, -1]))
    >>> summary.hoyer.tolist(), summary.group_means().tolist()
    ([1.0, 1.0, 0.0], [[1.0, 0.0], [0.0, 3.0]])
    """

    def __init__(self, groups: int) -> None:
        self._groups = groups
        self._counts = np.zeros(groups, np.int64)
        self._sums: Float[np.ndarray, "group unit"] = np.zeros((groups, 0))
        self._hoyer: list[Float[np.ndarray, " part"]] = []
        self._magnitude: Any = 0.0
        self._square: Any = 0.0
        self._spectrum = Spectrum()
        self.rows = 0

    def add(
        self, X: Num[np.ndarray, "part unit"], group: Int[np.ndarray, " part"], what: str = "X"
    ) -> None:
        """Take more samples; raises CodeclensError, which tells `what`, if one is not finite."""
        values = numeric(X, what, dimensions=2)
        if not self.rows:
            self._sums = np.zeros((self._groups, values.shape[1]))
        self.rows += len(values)
        self._hoyer.append(hoyer(values))
        sum_by_group(values, group, self._sums)
        self._counts += np.bincount(group[group >= 0], minlength=self._groups)
        wide = values.astype(np.float64)
        self._square = self._square + np.square(wide).sum(axis=0)
        self._magnitude = self._magnitude + np.abs(wide, out=wide).sum(axis=0)
        self._spectrum.add(values)

    @property
    def hoyer(self) -> Float[np.ndarray, " sample"]:
        """Sparsity of every sample over units, `(N,)`: population sparsity."""
        return np.concatenate(self._hoyer)

    @property
    def lifetime(self) -> Float[np.ndarray, " unit"]:
        """Sparsity of every unit over samples, `(U,)`: lifetime sparsity."""
        return hoyer_of_sums(self._magnitude, self._square, self.rows)

    def group_means(self) -> Float[np.ndarray, "group unit"]:
        """The mean of every group, `(G, U)`, zero where a group has no sample."""
        return np.asarray(self._sums / np.maximum(self._counts, 1)[:, None])

    def variances(self) -> Float[np.ndarray, " component"]:
        """The variances along the principal components of all samples."""
        return self._spectrum.variances()
