"""How Sphinx builds these pages: Markdown in, furo out, the reference from the docstrings."""

from __future__ import annotations

import codeclens

project = "codeclens"
author = "The codeclens authors"
project_copyright = author
version = release = codeclens.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.doctest"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"codeclens {release}"

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3

default_role = "code"  # docstrings write `name` for code
autodoc_typehints = "none"  # shapes are read better in the sentence than in the signature
autodoc_member_order = "bysource"
