"""Static pages: sections with text, figures and tables, as one HTML file without outside parts."""

from codeclens.pages.document import (
    Facts,
    Figure,
    Gallery,
    Page,
    Points,
    Section,
    Table,
    Text,
)
from codeclens.pages.images import Image

__all__ = ["Facts", "Figure", "Gallery", "Image", "Page", "Points", "Section", "Table", "Text"]
