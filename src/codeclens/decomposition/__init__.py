"""Modes: the recurring patterns of contributions, found, judged, kept."""

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
from codeclens.decomposition.comparison import Comparison, compare, rivals
from codeclens.decomposition.decompose import Store, decompose
from codeclens.decomposition.estimator import Estimator
from codeclens.decomposition.export import export_overcomplete, export_saelens
from codeclens.decomposition.files import load_modes, save_modes
from codeclens.decomposition.fitting import Autoencoder
from codeclens.decomposition.hub import from_hub, push_to_hub, ready_card, ready_modes, ready_names
from codeclens.decomposition.logbook import Logbook
from codeclens.decomposition.matrices import StoredTable, View
from codeclens.decomposition.modes import Mode, Modes
from codeclens.decomposition.origins import require_modes_of, require_samples_of
from codeclens.decomposition.shares import Shares, division, mode_shares, shares_of
from codeclens.decomposition.training import Epoch

__all__ = [
    "ICA",
    "NMF",
    "PCA",
    "Autoencoder",
    "BatchTopK",
    "Comparison",
    "Epoch",
    "Estimator",
    "Gated",
    "JumpReLU",
    "KMeans",
    "Logbook",
    "Matryoshka",
    "Mode",
    "Modes",
    "ReLUSAE",
    "SemiNMF",
    "Shares",
    "Store",
    "StoredTable",
    "ThresholdSAE",
    "TopK",
    "View",
    "compare",
    "decompose",
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
    "rivals",
    "save_modes",
    "shares_of",
]
