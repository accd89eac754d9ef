"""The classical decompositions, behind the interface of the autoencoders."""

from codeclens.decomposition.classical.clusters import KMeans
from codeclens.decomposition.classical.components import ICA, PCA
from codeclens.decomposition.classical.factorization import NMF, SemiNMF

__all__ = ["ICA", "NMF", "PCA", "KMeans", "SemiNMF"]
