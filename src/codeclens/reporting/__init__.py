"""The report: what a run found about contributions and modes, as one self-contained page."""

from codeclens.reporting.control_section import control_section, controls_section
from codeclens.reporting.mode_section import modes_section, overview
from codeclens.reporting.report import report
from codeclens.reporting.sections import (
    Following,
    Gap,
    completeness_section,
    followings,
    gap_sentence,
    gaps,
    layers_section,
    provenance_section,
)

__all__ = [
    "Following",
    "Gap",
    "completeness_section",
    "control_section",
    "controls_section",
    "followings",
    "gap_sentence",
    "gaps",
    "layers_section",
    "modes_section",
    "overview",
    "provenance_section",
    "report",
]
