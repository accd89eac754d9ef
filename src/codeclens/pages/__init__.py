"""Static pages: text, figures and tables in sections, as one self-contained HTML file."""

from codeclens.pages.document import (
    Facts,
    Figure,
    Page,
    Points,
    Section,
    Table,
    Text,
    Tiles,
)
from codeclens.pages.images import Image

__all__ = ["Facts", "Figure", "Image", "Page", "Points", "Section", "Table", "Text", "Tiles"]


def __dir__() -> list[str]:
    return sorted(__all__)
