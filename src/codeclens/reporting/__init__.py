"""What a run found about contributions and modes: sections of its report, galleries and files."""

from codeclens.reporting.control_section import controls_section
from codeclens.reporting.mode_gallery import (
    EXPLANATION,
    ModeGallery,
    Question,
    gallery_page,
    mode_gallery,
)
from codeclens.reporting.mode_section import modes_section, overview
from codeclens.reporting.store_sections import (
    ClassSelectivity,
    Gap,
    class_selectivity,
    completeness_section,
    gap_sentence,
    gaps,
    lead,
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
    "controls_section",
    "gallery_page",
    "gap_sentence",
    "gaps",
    "lead",
    "mode_gallery",
    "modes_section",
    "overview",
    "provenance_section",
]


def __dir__() -> list[str]:
    return sorted(__all__)
