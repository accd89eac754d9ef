"""Clusters of cells that fire with the same modes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray
from jaxtyping import Float, Int64

from codeclens.errors import CodeclensError

Kind = Literal["agglomerative", "kmeans"]


@dataclass(frozen=True, eq=False)
class CellClusters:
    """Cells in groups, with how well each belongs there.

    `labels` `(cell,)` number the groups in the order of the cells. `silhouette` `(cell,)` in [−1,
    1] says how much nearer a cell is to its own group than to the next. `counts` are the numbers of
    groups that were tried, `scores` the mean silhouette of each, and `null` `(draw,)` the best
    score of cells without groups; `p` is how often that is as good.
    """

    labels: Int64[np.ndarray, " cell"]
    silhouette: Float[np.ndarray, " cell"]
    counts: tuple[int, ...]
    scores: Float[np.ndarray, " count"]
    null: Float[np.ndarray, " draw"]

    def __repr__(self) -> str:
        return (
            f"CellClusters({len(self.labels)} cells in {self.count} groups: silhouette "
            f"{self.score:.3f}, p {self.p:.3f})"
        )

    @property
    def count(self) -> int:
        """The number of groups."""
        return int(self.labels.max()) + 1

    @property
    def score(self) -> float:
        """The mean silhouette."""
        return float(self.silhouette.mean())

    @property
    def p(self) -> float:
        """How often cells drawn from one normal distribution group as well."""
        return float((1 + (self.null >= self.scores.max()).sum()) / (1 + len(self.null)))

    @property
    def order(self) -> Int64[np.ndarray, " cell"]:
        """The cells group by group, the surest first, for figures."""
        return np.lexsort((-self.silhouette, self.labels)).astype(np.int64)


def cluster_cells(
    matrix: Float[np.ndarray, "mode cell"] | xarray.Dataset | xarray.DataArray,
    *,
    counts: Sequence[int] | None = None,
    kind: Kind = "agglomerative",
    draws: int = 200,
    seed: int = 0,
) -> CellClusters:
    """Group cells by the modes that they fire with: columns of a mode–cell matrix.

    `matrix` is what `mode_cell_matrix` gives, of which the correlations are taken, or an array.
    Of the numbers of groups in `counts` (default: 2 to 10, or one less than there are cells) the
    one with the largest mean silhouette is taken (Rousseeuw 1987), by scikit-learn's agglomerative
    clustering (average linkage) or k-means. Any cells fall into groups, so the score is held
    against that of `draws` populations from one normal distribution with the mean and covariance of
    these cells (Liu et al. 2008, SigClust). Modes with NaN are left out. Raises CodeclensError
    where there are too few cells, or no such number of groups.

    >>> kinds = np.repeat([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], 5, axis=0).T
    >>> found = cluster_cells(kinds + 0.1 * np.random.default_rng(0).normal(size=(2, 15)))
    >>> found.labels
    array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2])
    >>> found.score > 0.7, found.p < 0.05
    (True, True)
    """
    values = given = _values(matrix)
    values = values[np.isfinite(values).all(axis=1)] if values.ndim == 2 else values
    if values.ndim != 2 or not len(values) or values.shape[1] < 3:
        raise CodeclensError(
            f"A matrix of shape {given.shape} has no groups; pass (modes, cells) of three "
            "cells or more, with a mode that correlates with all of them."
        )
    cells = values.T
    tried = tuple(range(2, min(10, len(cells) - 1) + 1)) if counts is None else tuple(counts)
    if not tried or min(tried) < 2 or max(tried) >= len(cells):
        raise CodeclensError(
            f"{len(cells)} cells cannot be tried in {list(tried)} groups; from 2 to "
            f"{len(cells) - 1} can."
        )
    if kind not in ("agglomerative", "kmeans"):
        raise CodeclensError(f'kind={kind!r} is not known; it is "agglomerative" or "kmeans".')
    random = np.random.default_rng(seed)
    groups, scores = _tried(cells, tried, kind, seed)
    centred = (cells - cells.mean(axis=0)) / (len(cells) - 1) ** 0.5
    null = np.array(
        [
            _tried(random.normal(size=(len(cells),) * 2) @ centred, tried, kind, seed)[1].max()
            for _ in range(draws)
        ]
    )
    from sklearn.metrics import silhouette_samples

    labels = _in_order(groups[int(scores.argmax())])
    return CellClusters(labels, silhouette_samples(cells, labels), tried, scores, null)


def _values(
    matrix: Float[np.ndarray, "mode cell"] | xarray.Dataset | xarray.DataArray,
) -> Float[np.ndarray, "..."]:
    """The numbers of a mode–cell matrix in any of its forms."""
    if isinstance(matrix, xarray.Dataset):
        if "correlation" not in matrix:
            raise CodeclensError(
                f"The Dataset has {', '.join(map(str, matrix)) or 'nothing'} and no correlation; "
                "pass one of mode_cell_matrix."
            )
        matrix = matrix.correlation
    if isinstance(matrix, xarray.DataArray) and {"mode", "cell"} == set(matrix.dims):
        matrix = matrix.transpose("mode", "cell")
    try:
        return np.asarray(matrix, np.float64)
    except (TypeError, ValueError) as error:
        raise CodeclensError(
            f"A {type(matrix).__name__} is no matrix of numbers; pass one of mode_cell_matrix."
        ) from error


def _tried(
    cells: Float[np.ndarray, "cell mode"], counts: Sequence[int], kind: str, seed: int
) -> tuple[list[Int64[np.ndarray, " cell"]], Float[np.ndarray, " count"]]:
    from sklearn.cluster import AgglomerativeClustering, KMeans
    from sklearn.metrics import silhouette_score

    groups, scores = [], []
    for count in counts:
        if len(np.unique(cells, axis=0)) < count:
            groups.append(np.arange(len(cells)) % count)
            scores.append(-1.0)
            continue
        if kind == "kmeans":
            found = KMeans(count, n_init=10, random_state=seed).fit_predict(cells)
        else:
            found = AgglomerativeClustering(count, linkage="average").fit_predict(cells)
        groups.append(np.asarray(found, np.int64))
        scores.append(float(silhouette_score(cells, found)))
    return groups, np.array(scores)


def _in_order(labels: np.ndarray[Any, Any]) -> Int64[np.ndarray, " cell"]:
    """Groups numbered in the order in which the cells name them."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)
