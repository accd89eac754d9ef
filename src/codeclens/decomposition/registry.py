"""The methods by name: every decomposition that modes on disk may have been made by."""

from __future__ import annotations

from codeclens.decomposition.autoencoders import (
    BatchTopK,
    Gated,
    JumpReLU,
    Matryoshka,
    ReLUSAE,
    ThresholdSAE,
    TopK,
)
from codeclens.decomposition.classical import ICA, NMF, PCA, KMeans, SemiNMF
from codeclens.decomposition.estimator import Estimator

AUTOENCODERS: tuple[type[Estimator], ...] = (
    *(TopK, BatchTopK, Matryoshka, JumpReLU, Gated, ReLUSAE, ThresholdSAE),
)
CLASSICAL: tuple[type[Estimator], ...] = (PCA, ICA, NMF, SemiNMF, KMeans)
METHODS: dict[str, type[Estimator]] = {kind.__name__: kind for kind in (*AUTOENCODERS, *CLASSICAL)}
