"""How Sphinx builds these pages: Markdown in, furo out, the reference from the docstrings."""

from __future__ import annotations

import re
from typing import Any

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


def setup(app: Any) -> None:
    """Let |x| in a docstring be a magnitude, not a name that stands for something else."""

    def keep_bars(*event: Any) -> None:
        lines = event[-1]
        lines[:] = [re.sub(r"\|(\w+)\|", r"\|\1\|", line) for line in lines]

    app.connect("autodoc-process-docstring", keep_bars)
