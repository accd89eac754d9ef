"""Static pages: sections with text, figures and tables, as one HTML file without outside parts."""

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
