"""Clusters: every sample is one of a few typical ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codeclens.decomposition.classical.classical import LARGE, Classical, Matrix, unsettled


@dataclass(frozen=True, repr=False)
class KMeans(Classical):
    """Clusters: modes are the means of groups of samples, and a sample is exactly one of them.

    Loadings are 1 for the nearest mode and 0 for the others, so the dictionary carries the data's
    unit and L0 is 1. By scikit-learn with k-means++ (Arthur and Vassilvitskii 2007), in
    mini-batches from 20,000 samples on. Raises CodeclensError as `Classical.fit` does.

    >>> X = np.repeat([[0.0, 1.0], [4.0, 1.0]], 10, axis=0)
    >>> method = KMeans(n_modes=2).fit(X)
    >>> method.dictionary, method.encode(X)[:1]
    (array([[4., 1.], [0., 1.]], dtype=float32), array([[0., 1.]], dtype=float32))
    """

    _unit_rows: ClassVar[bool] = False

    def learn(self, X: Matrix, n_modes: int, seed: int) -> tuple[Matrix, Matrix]:
        """The means of the clusters; no offset."""
        from sklearn import cluster

        kind = cluster.KMeans if len(X) <= LARGE else cluster.MiniBatchKMeans
        with unsettled():
            found = kind(n_modes, init="k-means++", n_init=1, random_state=seed).fit(X)
        return np.asarray(found.cluster_centers_), np.zeros(X.shape[1])

    def loadings(self, X: Matrix, dictionary: Matrix, offset: Matrix) -> Matrix:
        """One for the nearest mode, zero for the others."""
        half = 0.5 * np.square(dictionary).sum(axis=1)
        nearest = (X @ dictionary.T - half).argmax(axis=1) if len(X) else np.zeros(0, dtype=int)
        return np.asarray(np.eye(len(dictionary))[nearest])
