"""How the site is built: myst-nb for the pages and notebooks, furo for the looks, autodoc."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path += [str(HERE), str(HERE.parent / "tests")]

import api_pages  # noqa: E402

import codeclens  # noqa: E402

project = "codeclens"
author = "The codeclens authors"
project_copyright = author
version = release = codeclens.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "jupyter_execute", "*.py"]
html_theme = "furo"
html_title = f"codeclens {release}"
html_copy_source = False

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3

# The tutorials are notebooks in Markdown. They are executed when the page has changed (always in a
# fresh folder), and an error in one of them fails the build.
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / ".notebooks")
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

default_role = "code"  # docstrings write `name` for code
autodoc_typehints = "none"  # shapes are read better in the sentence than in the signature
autodoc_member_order = "bysource"


def setup(app: Any) -> None:
    """Write the pages of the reference; let |x| in a docstring be a magnitude, not another name."""

    def keep_bars(*event: Any) -> None:
        lines = event[-1]
        lines[:] = [re.sub(r"\|(\w+)\|", r"\|\1\|", line) for line in lines]

    app.connect("builder-inited", lambda app: api_pages.write_pages())
    app.connect("autodoc-process-docstring", keep_bars)
