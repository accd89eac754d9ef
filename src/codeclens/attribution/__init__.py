"""What each hidden unit contributes to the output, for one batch."""

from codeclens.attribution.attributor import Attributor
from codeclens.attribution.capture import Probe, Selector, frozen, select, tapped
from codeclens.attribution.completeness import warn_of_gaps
from codeclens.attribution.conductance import Conductance
from codeclens.attribution.contributions import contributions
from codeclens.attribution.methods import ActivationGradient, Method
from codeclens.attribution.reduction import split_signs
from codeclens.attribution.results import Contributions, SiteContributions
from codeclens.attribution.sites import Site, find_sites
from codeclens.attribution.surveys import Survey, survey
from codeclens.attribution.targets import Label, Output, Predicted, Target

__all__ = [
    "ActivationGradient",
    "Attributor",
    "Conductance",
    "Contributions",
    "Label",
    "Method",
    "Output",
    "Predicted",
    "Probe",
    "Selector",
    "Site",
    "SiteContributions",
    "Survey",
    "Target",
    "contributions",
    "find_sites",
    "frozen",
    "select",
    "split_signs",
    "survey",
    "tapped",
    "warn_of_gaps",
]
