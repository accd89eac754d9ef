"""Classical decompositions: k-means, PCA, ICA, NMF and SemiNMF."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from codeclens.decomposition import quality
from codeclens.decomposition.estimator import (
    Array,
    Estimator,
    Fitted,
    Progress,
    as_data,
    as_numpy,
    require_samples,
    restored_numbers,
)
from codeclens.decomposition.matrices import TensorMatrix
from codeclens.decomposition.training import split
from codeclens.errors import CodeclensError

Matrix = np.ndarray[Any, Any]

# From this number of samples on, methods use mini-batches, or learn from this many alone.
LARGE = 20_000


@dataclass(frozen=True, repr=False)
class Classical(Estimator):
    """Base class of all classical decompositions.

    Data are divided by the standard deviation of all their entries, `scale`. A tenth of the samples
    is held out, the same rows as for an autoencoder with the same seed: `r2` and `l0` are measured
    there. Modes have length one, except for clusters, and are sorted by their share of the
    reconstruction. From 20,000 samples on, methods use mini-batches or learn from 20,000 samples
    drawn by the seed.
    """

    _: KW_ONLY
    held_out: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("held_out", least=0, below=1)

    @classmethod
    def comparable(cls, n_modes: int, k: int) -> Self:
        """This method with `k` modes, because all of its modes are active in every sample."""
        return cls(n_modes=k)

    @abstractmethod
    def learn(self, X: Matrix, n_modes: int, seed: int) -> tuple[Matrix, Matrix]:
        """The modes `(K, D)` and the offset `(D,)` of scaled training data."""

    @abstractmethod
    def loadings(self, X: Matrix, dictionary: Matrix, offset: Matrix) -> Matrix:
        """The loadings `(N, K)` of scaled data."""

    def most_modes(self, n_train: int, n_features: int) -> int:
        """The largest number of modes for `n_train` training samples of `n_features` columns."""
        return n_train

    def fit(
        self,
        X: Array,
        *,
        seed: int = 0,
        n_units: int | None = None,
        progress: Progress | None = None,
    ) -> FittedClassical:
        """Learn the modes of `X` `(N, D)` and return what was learned.

        `n_units` (default D) is what `expansion` multiplies: half of D for the concat view. There
        are no epochs, so `progress` is not called. The same seed and data give the same modes.
        Raises CodeclensError for data that are not finite, constant or zero throughout, and for too
        few samples.
        """
        data = as_data(X)
        n_samples, n_features = data.shape
        n_units = n_features if n_units is None else n_units
        n_modes = self.modes_for(n_units)
        require_samples(n_samples)
        train, held = split(n_samples, self.held_out, torch.Generator().manual_seed(seed))
        rows, held_out = as_numpy(train), as_numpy(held)
        most = self.most_modes(len(rows), n_features)
        if n_modes > most:
            raise CodeclensError(
                f"{n_modes} modes are more than {type(self).__name__} can find in {n_samples} "
                f"samples ({len(rows)} of them to learn from) of {n_features} columns; give more "
                f"samples, or n_modes={most} or less."
            )
        scale = TensorMatrix(data).deviation()
        scaled = as_numpy(data.double() / scale)
        dictionary, offset = self.learn(scaled[rows], n_modes, seed)
        length = np.linalg.norm(dictionary, axis=1)
        dictionary = dictionary[length > 1e-12]
        if self.unit_length:
            dictionary = dictionary / length[length > 1e-12, None]
        Z = self.loadings(scaled, dictionary, offset)
        fires = np.flatnonzero((Z[rows] != 0).any(axis=0))
        if not len(fires):
            raise CodeclensError(
                f"None of the {n_modes} modes of {type(self).__name__} is active in any sample; "
                "the data may be constant."
            )
        share = quality.loading_share(Z[:, fires], dictionary[fires])
        order = fires[np.argsort(-share, kind="stable")]
        dictionary, Z = dictionary[order], Z[:, order]
        scored = held_out if len(held_out) else rows
        return FittedClassical(
            method=self,
            scale=scale,
            n_units=n_units,
            n_dropped=n_modes - len(order),
            r2=quality.r2(scaled[scored], Z[scored] @ dictionary + offset),
            l0=quality.l0(Z[scored]),
            held_out_rows=held_out,
            scaled_modes=dictionary,
            scaled_offset=offset,
        )

    def restore(self, summary: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> FittedClassical:
        """The fitted object whose `summary` and `tensors` these are."""
        return FittedClassical(
            method=self,
            **restored_numbers(summary),
            held_out_rows=as_numpy(tensors["held_out"]),
            scaled_modes=as_numpy(tensors["modes"].double()),
            scaled_offset=as_numpy(tensors["offset"].double()),
        )


@dataclass(frozen=True, eq=False, repr=False)
class FittedClassical(Fitted):
    """What a classical method learned: modes `(K, D)` and offset `(D,)` of data over `scale`."""

    method: Classical
    scaled_modes: Matrix
    scaled_offset: Matrix

    @property
    def dictionary(self) -> Float32[np.ndarray, "mode unit"]:
        """The modes, one per row, `(K, D)`, strongest first."""
        scale = 1 if self.method.unit_length else self.scale
        return np.asarray((self.scaled_modes * scale).astype(np.float32))

    @property
    def offset(self) -> Float32[np.ndarray, " unit"]:
        """The constant part of every reconstruction, `(D,)`: the mean for PCA and ICA, or zero."""
        return np.asarray((self.scaled_offset * self.scale).astype(np.float32))

    def encode(self, X: Array) -> Float32[np.ndarray, "sample mode"]:
        """The loadings `(N, K)` of `X` `(N, D)`.

        Raises CodeclensError if the number of columns differs from the fitted data.
        """
        data = as_data(X, columns=self.scaled_modes.shape[1])
        scaled = as_numpy(data.double() / self.scale)
        Z = self.method.loadings(scaled, self.scaled_modes, self.scaled_offset)
        return np.asarray((Z * (self.scale if self.method.unit_length else 1)).astype(np.float32))

    def tensors(self) -> dict[str, Tensor]:
        """What was learned, as tensors by name."""
        return {
            "modes": torch.from_numpy(self.scaled_modes),
            "offset": torch.from_numpy(self.scaled_offset),
            "held_out": torch.from_numpy(self.held_out_rows),
        }


def some_rows(X: Matrix, seed: int) -> Matrix:
    """All rows, or 20,000 of them drawn by the seed where there are more."""
    if len(X) <= LARGE:
        return X
    return np.asarray(X[np.sort(np.random.default_rng(seed).permutation(len(X))[:LARGE])])


@contextmanager
def unconverged() -> Iterator[None]:
    """Hide scikit-learn's warnings of convergence: the quality shows how good the result is."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@dataclass(frozen=True, repr=False)
class KMeans(Classical):
    """Clusters: modes are the means of groups of samples, and each sample is in exactly one group.

    Loadings are 1 for the nearest mode and 0 for the others, so the dictionary has the unit of the
    data and L0 is 1. By scikit-learn with k-means++ (Arthur and Vassilvitskii 2007), in
    mini-batches from 20,000 samples on. Raises CodeclensError as `Classical.fit` does.

    >>> X = np.repeat([[0.0, 1.0], [4.0, 1.0]], 10, axis=0)
    >>> method = KMeans(n_modes=2).fit(X)
    >>> method.dictionary, method.encode(X)[:1]
    (array([[4., 1.], [0., 1.]], dtype=float32), array([[0., 1.]], dtype=float32))
    """

    unit_length: ClassVar[bool] = False

    @classmethod
    def comparable(cls, n_modes: int, k: int) -> Self:
        """This method with `n_modes` modes, because one is active in a sample."""
        return cls(n_modes=n_modes)

    def learn(self, X: Matrix, n_modes: int, seed: int) -> tuple[Matrix, Matrix]:
        """The means of the clusters; no offset."""
        from sklearn import cluster

        kind = cluster.KMeans if len(X) <= LARGE else cluster.MiniBatchKMeans
        with unconverged():
            found = kind(n_modes, init="k-means++", n_init=1, random_state=seed).fit(X)
        return np.asarray(found.cluster_centers_), np.zeros(X.shape[1])

    def loadings(self, X: Matrix, dictionary: Matrix, offset: Matrix) -> Matrix:
        """One for the nearest mode, zero for the others."""
        half = 0.5 * np.square(dictionary).sum(axis=1)
        nearest = (X @ dictionary.T - half).argmax(axis=1) if len(X) else np.zeros(0, dtype=int)
        return np.asarray(np.eye(len(dictionary))[nearest])


# Components with less than this share of the largest variance are rounding errors.
_NOTHING = 1e-10
_BATCH = 4096


@dataclass(frozen=True, repr=False)
class Components(Classical):
    """What PCA and ICA share: loadings of either sign, linear in the data about their mean."""

    def most_modes(self, n_train: int, n_features: int) -> int:
        """At most one mode per column."""
        return min(n_train, n_features)

    def loadings(self, X: Matrix, dictionary: Matrix, offset: Matrix) -> Matrix:
        """The loadings `(N, K)` of scaled data."""
        return np.asarray((X - offset) @ np.linalg.pinv(dictionary))


@dataclass(frozen=True, repr=False)
class PCA(Components):
    """Principal components: the directions that explain most variance about the mean.

    Loadings have either sign, every mode is active in every sample, and the reconstruction has the
    mean as its offset. The sum of a mode's cubed entries is not negative. No linear method explains
    more variance with the same number of loadings per sample, so PCA is the reference at equal L0.
    By scikit-learn, incrementally from 20,000 samples on. Raises CodeclensError for more modes than
    columns, and as `Classical.fit` does.

    >>> X = np.random.default_rng(0).normal(size=(100, 1)) @ np.array([[3.0, 4.0]])
    >>> PCA(n_modes=1).fit(X).dictionary
    array([[0.6, 0.8]], dtype=float32)
    """

    def learn(self, X: Matrix, n_modes: int, seed: int) -> tuple[Matrix, Matrix]:
        """The principal components and the mean."""
        components, _, mean = principal(X, n_modes)
        return _signed(components), mean


@dataclass(frozen=True, repr=False)
class ICA(Components):
    """Independent components: directions whose loadings are as far from normal as possible.

    FastICA on the whitened principal components (Hyvärinen and Oja 2000, Neural Networks 13);
    otherwise as PCA. Data of fewer dimensions than `n_modes` give one mode per dimension.
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
        with unconverged():
            # Whitened here: FastICA's own whitening divides by variances that are rounding errors.
            ica = FastICA(whiten=False, random_state=seed, max_iter=400, tol=1e-4).fit(white)
        mixing = ica.mixing_.T @ (deviation[:, None] * components)
        return _signed(mixing), mean


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


def _signed(rows: Matrix) -> Matrix:
    """Rows with the sign that makes the sum of their cubed entries positive."""
    negative = (rows**3).sum(axis=1, keepdims=True) < 0
    return np.asarray(np.where(negative, -rows, rows))


_TINY = 1e-12


@dataclass(frozen=True, repr=False)
class Factorization(Classical):
    """Base class of NMF and SemiNMF: loadings by non-negative least squares on the dictionary.

    `iterations` is the maximum number of updates of the factors.
    """

    _: KW_ONLY
    iterations: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_counts("iterations")

    def loadings(self, X: Matrix, dictionary: Matrix, offset: Matrix) -> Matrix:
        """The non-negative loadings with the least squared error."""
        return non_negative_least_squares(X, dictionary)


@dataclass(frozen=True, repr=False)
class NMF(Factorization):
    """Non-negative matrix factorisation: `X ≈ Z D` with no negative entry in either.

    For data of one sign, such as the views concat, positive and negative (modes of the latter are
    ≤ 0). By scikit-learn's coordinate descent (Cichocki and Phan 2009), in mini-batches from 20,000
    samples on; after Lee and Seung 1999, Nature 401. Raises CodeclensError for data of both signs,
    and as `Classical.fit` does.

    >>> motifs = np.array([[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    >>> X = np.random.default_rng(0).gamma(0.5, size=(200, 2)) @ motifs
    >>> NMF(n_modes=2).fit(X).dictionary.round(2)
    array([[0.6, 0.8, 0. , 0. ],
           [0. , 0. , 0. , 1. ]], dtype=float32)
    """

    one_sign: ClassVar[bool] = True

    def learn(self, X: Matrix, n_modes: int, seed: int) -> tuple[Matrix, Matrix]:
        """The non-negative modes; no offset."""
        from sklearn import decomposition

        sign = -1.0 if bool((X <= 0).all()) else 1.0
        if bool((sign * X < 0).any()):
            raise CodeclensError(
                f"NMF needs data of one sign, and these go from {X.min():.3g} to {X.max():.3g} "
                'deviations; use the view "concat", or SemiNMF.'
            )
        few = n_modes <= min(X.shape)
        settings = {
            "init": "nndsvda" if few else "random",
            "random_state": seed,
            "max_iter": self.iterations,
        }
        kind = decomposition.NMF if len(X) <= LARGE else decomposition.MiniBatchNMF
        found = kind(n_modes, **settings)
        with unconverged():
            found.fit(sign * X)
        return np.asarray(sign * found.components_), np.zeros(X.shape[1])


@dataclass(frozen=True, repr=False)
class SemiNMF(Factorization):
    """Semi-non-negative factorisation: `X ≈ Z D` with loadings ≥ 0 and a dictionary of any sign.

    It starts from clusters and alternates least squares for the dictionary with multiplicative
    steps of the loadings, until the squared error falls by less than one part in 100,000 (Ding, Li
    and Jordan 2010, IEEE TPAMI 32, eqs. 10 and 11). Learns from 20,000 samples at most. Raises
    CodeclensError as `Classical.fit` does.

    >>> motifs = np.array([[0.6, -0.8, 0.0], [0.0, 0.0, 1.0]])
    >>> X = np.random.default_rng(0).gamma(0.5, size=(200, 2)) @ motifs
    >>> SemiNMF(n_modes=2).fit(X).r2 > 0.95
    True
    """

    def learn(self, X: Matrix, n_modes: int, seed: int) -> tuple[Matrix, Matrix]:
        """The modes; no offset."""
        X = some_rows(X, seed)
        clusters = KMeans(n_modes=n_modes)
        centres, offset = clusters.learn(X, n_modes, seed)
        Z = clusters.loadings(X, centres, offset) + 0.2
        D = best_dictionary(X, Z)
        before = np.inf
        for _ in range(self.iterations):
            Z = multiplied(X, Z, D)
            D = best_dictionary(X, Z)
            error = float(np.square(X - Z @ D).sum())
            if before - error < 1e-5 * error:
                break
            before = error
        return D, offset


def best_dictionary(X: Matrix, Z: Matrix) -> Matrix:
    """The dictionary with the least squared error for given loadings, `Z⁺ X`.

    >>> best_dictionary(np.array([[2.0, 4.0]]), np.array([[2.0]]))
    array([[1., 2.]])
    """
    return np.asarray(np.linalg.lstsq(Z, X, rcond=None)[0])


def multiplied(X: Matrix, Z: Matrix, D: Matrix) -> Matrix:
    """One multiplicative step of the loadings, which keeps their sign and never raises the error.

    `Z √(((XDᵀ)⁺ + Z (DDᵀ)⁻) / ((XDᵀ)⁻ + Z (DDᵀ)⁺))`, where ⁺ and ⁻ are the sizes of the positive
    and of the negative entries (Ding, Li and Jordan 2010, eq. 11).

    >>> multiplied(np.array([[2.0]]), np.array([[1.0]]), np.array([[1.0]])).round(3)
    array([[1.414]])
    """
    pull, overlap = X @ D.T, D @ D.T
    up = np.maximum(pull, 0) + Z @ np.maximum(-overlap, 0)
    down = np.maximum(-pull, 0) + Z @ np.maximum(overlap, 0)
    return np.asarray(Z * np.sqrt(up / np.maximum(down, _TINY)))


def non_negative_least_squares(X: Matrix, D: Matrix, sweeps: int = 300) -> Matrix:
    """The `Z ≥ 0` with the least `‖X − Z D‖²`, by coordinate descent over modes.

    Each sweep updates the loadings of every mode in turn, for all samples at once, until no loading
    changes by more than one millionth of the largest.

    >>> non_negative_least_squares(np.array([[3.0, -1.0]]), np.eye(2))
    array([[3., 0.]])
    """
    pull, overlap = X @ D.T, D @ D.T
    Z = np.maximum(pull / np.maximum(overlap.diagonal(), _TINY), 0) / max(len(D), 1)
    for _ in range(sweeps):
        moved = 0.0
        for k in range(len(D)):
            if overlap[k, k] <= _TINY:
                continue
            new = np.maximum(Z[:, k] + (pull[:, k] - Z @ overlap[:, k]) / overlap[k, k], 0)
            moved = max(moved, float(np.abs(new - Z[:, k]).max(initial=0.0)))
            Z[:, k] = new
        if moved <= 1e-6 * float(Z.max(initial=0.0)):
            break
    return np.asarray(Z)
