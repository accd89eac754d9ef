"""Components: directions of the data about their mean, as many as there are columns at most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codeclens.decomposition.classical.classical import (
    LARGE,
    Classical,
    Matrix,
    some_rows,
    unsettled,
)

# Components with less than this share of the largest variance are rounding.
_NOTHING = 1e-10
_BATCH = 4096


@dataclass(frozen=True, repr=False)
class Components(Classical):
    """What PCA and ICA share: loadings of any sign, linear in the data about their mean."""

    def most_modes(self, n_train: int, n_features: int) -> int:
        """No more than there are columns."""
        return min(n_train, n_features)

    def loadings(self, X: Matrix, dictionary: Matrix, offset: Matrix) -> Matrix:
        """The loadings `(N, K)` of scaled data."""
        return np.asarray((X - offset) @ np.linalg.pinv(dictionary))


@dataclass(frozen=True, repr=False)
class PCA(Components):
    """Principal components: the directions that explain most variance about the mean.

    Loadings have either sign, every mode is present in every sample, and the reconstruction has the
    mean as its offset. The sign of a mode is that of the sum of its cubed entries. No linear method
    explains more variance with as many numbers a sample, so this is the mark to reach at equal L0.
    By scikit-learn, incrementally from 20,000 samples on. Raises CodeclensError for more modes than
    columns, and as `Classical.fit` does.

    >>> X = np.random.default_rng(0).normal(size=(100, 1)) @ np.array([[3.0, 4.0]])
    >>> PCA(n_modes=1).fit(X).dictionary
    array([[0.6, 0.8]], dtype=float32)
    """

    def learn(self, X: Matrix, n_modes: int, seed: int) -> tuple[Matrix, Matrix]:
        """The principal components and the mean."""
        components, _, mean = principal(X, n_modes)
        return _turned(components), mean


@dataclass(frozen=True, repr=False)
class ICA(Components):
    """Independent components: directions whose loadings are as far from normal as can be.

    FastICA on the whitened principal components (Hyvärinen and Oja 2000, Neural Networks 13);
    otherwise as PCA. Data with fewer dimensions than modes give as many as there are dimensions.
    Raises CodeclensError for more modes than columns, and as `Classical.fit` does.

    >>> S = np.random.default_rng(0).exponential(size=(500, 2))
    >>> found = ICA(n_modes=2).fit(S @ np.array([[0.8, 0.6], [0.0, 1.0]])).dictionary
    >>> bool((np.abs(found) @ np.array([[0.8, 0.0], [0.6, 1.0]])).max(axis=1).min() > 0.99)
    True
    """

    def learn(self, X: Matrix, n_modes: int, seed: int) -> tuple[Matrix, Matrix]:
        """The rows of the mixing matrix, and the mean."""
        from sklearn.decomposition import FastICA

        X = some_rows(X, seed)
        components, deviation, mean = principal(X, n_modes)
        white = (X - mean) @ components.T / deviation
        with unsettled():
            # By hand, because FastICA's own whitening divides by variances that are rounding.
            ica = FastICA(whiten=False, random_state=seed, max_iter=400, tol=1e-4).fit(white)
        mixing = ica.mixing_.T @ (deviation[:, None] * components)
        return _turned(mixing), mean


def principal(X: Matrix, n_modes: int) -> tuple[Matrix, Matrix, Matrix]:
    """Principal components `(K, D)`, their standard deviations `(K,)`, and the mean `(D,)`.

    >>> principal(np.array([[0.0, 1.0], [2.0, 1.0]]), 1)[2]
    array([1., 1.])
    """
    from sklearn import decomposition

    if len(X) > LARGE:
        size = max(_BATCH, 2 * n_modes)  # no batch may have fewer rows than there are components
        pca = decomposition.IncrementalPCA(n_components=n_modes)
        for rows in np.array_split(np.arange(len(X)), max(1, len(X) // size)):
            pca.partial_fit(X[rows])
    else:
        pca = decomposition.PCA(n_components=n_modes, svd_solver="full").fit(X)
    variance = np.asarray(pca.explained_variance_)
    real = variance > _NOTHING * variance.max()
    return pca.components_[real], np.sqrt(variance[real]), np.asarray(pca.mean_)


def _turned(rows: Matrix) -> Matrix:
    """Rows turned so that the sum of their cubed entries is not negative."""
    negative = (rows**3).sum(axis=1, keepdims=True) < 0
    return np.asarray(np.where(negative, -rows, rows))
