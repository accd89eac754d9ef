"""Factorisations: loadings that are not negative, as many modes as wanted."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np

from codeclens.decomposition.classical.classical import (
    LARGE,
    Classical,
    Matrix,
    some_rows,
    unsettled,
)
from codeclens.decomposition.classical.clusters import KMeans
from codeclens.errors import CodeclensError

_TINY = 1e-12


@dataclass(frozen=True, repr=False)
class Factorization(Classical):
    """What NMF and SemiNMF share: loadings by non-negative least squares against the dictionary.

    `iterations` limits how often the factors are improved.
    """

    _: KW_ONLY
    iterations: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        self._count("iterations", self.iterations)

    def loadings(self, X: Matrix, dictionary: Matrix, offset: Matrix) -> Matrix:
        """The non-negative loadings that leave the least squared error."""
        return non_negative_least_squares(X, dictionary)


@dataclass(frozen=True, repr=False)
class NMF(Factorization):
    """Non-negative matrix factorisation: `X ≈ Z D` with no negative entry in either.

    For data of one sign, such as the views concat, positive and negative (whose modes then are
    ≤ 0). By scikit-learn's coordinate descent (Cichocki and Phan 2009), in mini-batches from 20,000
    samples on; after Lee and Seung 1999, Nature 401. Raises CodeclensError for data of both signs,
    and as `Classical.fit` does.

    >>> motifs = np.array([[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    >>> X = np.random.default_rng(0).gamma(0.5, size=(200, 2)) @ motifs
    >>> NMF(n_modes=2).fit(X).dictionary.round(2)
    array([[0.6, 0.8, 0. , 0. ],
           [0. , 0. , 0. , 1. ]], dtype=float32)
    """

    def learn(self, X: Matrix, n_modes: int, seed: int) -> tuple[Matrix, Matrix]:
        """The non-negative modes; no offset."""
        from sklearn import decomposition

        sign = -1.0 if bool((X <= 0).all()) else 1.0
        if bool((sign * X < 0).any()):
            raise CodeclensError(
                f"NMF needs data of one sign, and these go from {X.min():.3g} to {X.max():.3g} "
                'deviations; take the view "concat", or SemiNMF.'
            )
        few = n_modes <= min(X.shape)
        settings = {
            "init": "nndsvda" if few else "random",
            "random_state": seed,
            "max_iter": self.iterations,
        }
        kind = decomposition.NMF if len(X) <= LARGE else decomposition.MiniBatchNMF
        found = kind(n_modes, **settings)
        with unsettled():
            found.fit(sign * X)
        return np.asarray(sign * found.components_), np.zeros(X.shape[1])


@dataclass(frozen=True, repr=False)
class SemiNMF(Factorization):
    """Semi-non-negative factorisation: `X ≈ Z D` with loadings ≥ 0 and a dictionary of any sign.

    It begins with clusters and alternates the dictionary's least squares with multiplicative steps
    of the loadings, until the squared error falls by less than one part in 100,000 (Ding, Li and
    Jordan 2010, IEEE TPAMI 32, eqs. 10 and 11). Learns from 20,000 samples at most. Raises
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
    """The dictionary that leaves the least squared error with given loadings, `Z⁺ X`.

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

    Each sweep solves for one mode after another, for all samples at once, until no loading moves by
    more than one part in a million of the largest.

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
