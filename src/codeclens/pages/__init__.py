"""Pages: the front end, and text, figures, tables and charts in sections that it shows."""

from codeclens.pages.document import (
    Facts,
    Figure,
    MarkedText,
    Page,
    Part,
    Points,
    Section,
    Table,
    Text,
)
from codeclens.pages.images import Image

__all__ = [
    "Facts",
    "Figure",
    "Image",
    "MarkedText",
    "Page",
    "Part",
    "Points",
    "Section",
    "Table",
    "Text",
]


def __dir__() -> list[str]:
    return sorted(__all__)
