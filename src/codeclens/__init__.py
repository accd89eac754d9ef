"""What hidden neurons contribute to a network's output, decomposed into modes."""

from codeclens.analysis import layer_statistics
from codeclens.attribution import (
    ActivationGradient,
    Blur,
    Conductance,
    Contrast,
    Entropy,
    Label,
    Output,
    Predicted,
    Samples,
    Site,
    Sum,
    Surprisal,
    Token,
    TopKSum,
    contributions,
    find_sites,
)
from codeclens.control import ablate, control_curve, preserve
from codeclens.decomposition import Modes, ThresholdSAE, TopK, decompose
from codeclens.errors import CodeclensError, CompletenessWarning
from codeclens.extraction import ContributionStore, ImageFolder, extract
from codeclens.report import report
from codeclens.visualization import pixel_map

__version__ = "0.1.0"

__all__ = [
    "ActivationGradient",
    "Blur",
    "CodeclensError",
    "CompletenessWarning",
    "Conductance",
    "Contrast",
    "ContributionStore",
    "Entropy",
    "ImageFolder",
    "Label",
    "Modes",
    "Output",
    "Predicted",
    "Samples",
    "Site",
    "Sum",
    "Surprisal",
    "ThresholdSAE",
    "Token",
    "TopK",
    "TopKSum",
    "__version__",
    "ablate",
    "contributions",
    "control_curve",
    "decompose",
    "extract",
    "find_sites",
    "layer_statistics",
    "pixel_map",
    "preserve",
    "report",
]
