"""The registry of methods: it feeds the command line, the files of modes and the comparison.

A new method needs its own file and one entry here; nothing else needs to change.
"""

from __future__ import annotations

from codeclens.decomposition.autoencoders.relu import Gated, JumpReLU, ReLUSAE
from codeclens.decomposition.autoencoders.threshold import ThresholdSAE
from codeclens.decomposition.autoencoders.topk import BatchTopK, Matryoshka, TopK
from codeclens.decomposition.classical import ICA, NMF, PCA, KMeans, SemiNMF
from codeclens.decomposition.estimator import Estimator
from codeclens.errors import unknown

# By name on the command line, in the order of comparisons: autoencoders first.
METHODS: dict[str, type[Estimator]] = {
    "topk": TopK,
    "batch-topk": BatchTopK,
    "matryoshka": Matryoshka,
    "jump-relu": JumpReLU,
    "gated": Gated,
    "relu-sae": ReLUSAE,
    "threshold-sae": ThresholdSAE,
    "pca": PCA,
    "ica": ICA,
    "nmf": NMF,
    "semi-nmf": SemiNMF,
    "kmeans": KMeans,
}


def method_named(name: str) -> type[Estimator]:
    """The method with this name on the command line; raises CodeclensError for another.

    >>> method_named("topk").__name__
    'TopK'
    """
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]


def method_class(name: str) -> type[Estimator]:
    """The method with this class name, as in files of modes; raises CodeclensError for another.

    >>> method_class("TopK").__name__
    'TopK'
    """
    classes = {kind.__name__: kind for kind in METHODS.values()}
    if name not in classes:
        raise unknown("method", name, classes)
    return classes[name]
