"""What each hidden unit contributes to the output, for one batch."""

from codeclens.attribution.activation_path import AblationEffect, ActivationPath
from codeclens.attribution.adapters import Captum, Zennit
from codeclens.attribution.attributor import Attributor, contributions
from codeclens.attribution.axes import in_axes
from codeclens.attribution.baselines import (
    Baseline,
    Blur,
    Constant,
    Given,
    MeanEmbedding,
    Samples,
    TokenEmbedding,
)
from codeclens.attribution.capture import Probe, Selector, frozen, select, tapped
from codeclens.attribution.conductance import Conductance
from codeclens.attribution.dense_targets import BoxScore, Pixels, Positive
from codeclens.attribution.inputs import Inputs, SharedValue
from codeclens.attribution.joint import Division
from codeclens.attribution.methods import ActivationGradient, Method
from codeclens.attribution.path import ArcLength, Geometric, Power
from codeclens.attribution.replay import Replay
from codeclens.attribution.results import (
    Contributions,
    SiteContributions,
    split_signs,
    warn_of_gaps,
    warn_of_tolerance,
)
from codeclens.attribution.sites import Site, find_sites
from codeclens.attribution.surprisal import Surprisal
from codeclens.attribution.surveys import Survey, survey
from codeclens.attribution.targets import (
    Contrast,
    Entropy,
    Label,
    Output,
    Predicted,
    Sum,
    Target,
    TopKSum,
)
from codeclens.attribution.token_targets import Continuation, Token

__all__ = [
    "AblationEffect",
    "ActivationGradient",
    "ActivationPath",
    "ArcLength",
    "Attributor",
    "Baseline",
    "Blur",
    "BoxScore",
    "Captum",
    "Conductance",
    "Constant",
    "Continuation",
    "Contrast",
    "Contributions",
    "Division",
    "Entropy",
    "Geometric",
    "Given",
    "Inputs",
    "Label",
    "MeanEmbedding",
    "Method",
    "Output",
    "Pixels",
    "Positive",
    "Power",
    "Predicted",
    "Probe",
    "Replay",
    "Samples",
    "Selector",
    "SharedValue",
    "Site",
    "SiteContributions",
    "Sum",
    "Surprisal",
    "Survey",
    "Target",
    "Token",
    "TokenEmbedding",
    "TopKSum",
    "Zennit",
    "contributions",
    "find_sites",
    "frozen",
    "in_axes",
    "select",
    "split_signs",
    "survey",
    "tapped",
    "warn_of_gaps",
    "warn_of_tolerance",
]


def __dir__() -> list[str]:
    return sorted(__all__)
