"""One self-contained page about contributions and modes."""

from codeclens.report.completeness import Gap, completeness_section, gap_sentence, gaps
from codeclens.report.control import control_section, controls_section
from codeclens.report.document import (
    Facts,
    Figure,
    Gallery,
    Page,
    Points,
    Section,
    Table,
    Text,
)
from codeclens.report.images import Image
from codeclens.report.layers import layers_section
from codeclens.report.modes import modes_section, overview
from codeclens.report.provenance import provenance_section
from codeclens.report.report import report
from codeclens.report.semantics import Following, followings

__all__ = [
    "Facts",
    "Figure",
    "Following",
    "Gallery",
    "Gap",
    "Image",
    "Page",
    "Points",
    "Section",
    "Table",
    "Text",
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
