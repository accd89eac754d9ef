"""Modes: the recurring patterns of contributions, found, evaluated, saved."""

from codeclens.decomposition.autoencoders.base import Autoencoder, FittedAutoencoder
from codeclens.decomposition.autoencoders.relu import Gated, JumpReLU, ReLUSAE
from codeclens.decomposition.autoencoders.threshold import ThresholdSAE
from codeclens.decomposition.autoencoders.topk import BatchTopK, Matryoshka, TopK
from codeclens.decomposition.classical import ICA, NMF, PCA, FittedClassical, KMeans, SemiNMF
from codeclens.decomposition.comparison import Comparison, compare, default_methods
from codeclens.decomposition.decompose import Store, decompose
from codeclens.decomposition.estimator import Estimator, Fitted
from codeclens.decomposition.export import export_overcomplete, export_saelens
from codeclens.decomposition.hub import from_hub, push_to_hub
from codeclens.decomposition.loadings import Loadings
from codeclens.decomposition.logbook import Logbook
from codeclens.decomposition.matrices import StoredMatrix, View
from codeclens.decomposition.modes import Mode, Modes
from codeclens.decomposition.registry import METHODS
from codeclens.decomposition.shares import Shares, division, mode_shares, shares_of
from codeclens.decomposition.site_modes import (
    ModesBySeed,
    ModesBySite,
    load_modes,
    ready_card,
    ready_modes,
    ready_names,
    require_modes_of,
    require_samples_of,
    save_modes,
)
from codeclens.decomposition.training import Epoch

__all__ = [
    "ICA",
    "METHODS",
    "NMF",
    "PCA",
    "Autoencoder",
    "BatchTopK",
    "Comparison",
    "Epoch",
    "Estimator",
    "Fitted",
    "FittedAutoencoder",
    "FittedClassical",
    "Gated",
    "JumpReLU",
    "KMeans",
    "Loadings",
    "Logbook",
    "Matryoshka",
    "Mode",
    "Modes",
    "ModesBySeed",
    "ModesBySite",
    "ReLUSAE",
    "SemiNMF",
    "Shares",
    "Store",
    "StoredMatrix",
    "ThresholdSAE",
    "TopK",
    "View",
    "compare",
    "decompose",
    "default_methods",
    "division",
    "export_overcomplete",
    "export_saelens",
    "from_hub",
    "load_modes",
    "mode_shares",
    "push_to_hub",
    "ready_card",
    "ready_modes",
    "ready_names",
    "require_modes_of",
    "require_samples_of",
    "save_modes",
    "shares_of",
]


def __dir__() -> list[str]:
    return sorted(__all__)
