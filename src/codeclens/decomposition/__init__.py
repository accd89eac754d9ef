"""Modes: the recurring patterns of contributions, found, judged, kept."""

from codeclens.decomposition.autoencoders import ThresholdSAE, TopK
from codeclens.decomposition.decompose import Store, decompose
from codeclens.decomposition.estimator import Estimator
from codeclens.decomposition.files import load_modes, save_modes
from codeclens.decomposition.fitting import Autoencoder
from codeclens.decomposition.modes import Mode, Modes
from codeclens.decomposition.training import Epoch
from codeclens.decomposition.views import View

__all__ = [
    "Autoencoder",
    "Epoch",
    "Estimator",
    "Mode",
    "Modes",
    "Store",
    "ThresholdSAE",
    "TopK",
    "View",
    "decompose",
    "load_modes",
    "save_modes",
]
