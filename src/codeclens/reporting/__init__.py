"""The report: the results of a run about contributions and modes, as one self-contained page."""

from codeclens.reporting.control_section import control_section, controls_section
from codeclens.reporting.mode_gallery import (
    EXPLANATION,
    ModeGallery,
    Question,
    gallery_page,
    mode_gallery,
)
from codeclens.reporting.mode_section import modes_section, overview
from codeclens.reporting.report import report
from codeclens.reporting.store_sections import (
    ClassSelectivity,
    Gap,
    class_selectivity,
    completeness_section,
    gap_sentence,
    gaps,
    layers_section,
    provenance_section,
)

__all__ = [
    "EXPLANATION",
    "ClassSelectivity",
    "Gap",
    "ModeGallery",
    "Question",
    "class_selectivity",
    "completeness_section",
    "control_section",
    "controls_section",
    "gallery_page",
    "gap_sentence",
    "gaps",
    "layers_section",
    "mode_gallery",
    "modes_section",
    "overview",
    "provenance_section",
    "report",
]


def __dir__() -> list[str]:
    return sorted(__all__)
