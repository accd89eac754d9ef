"""The showcase: a network and the circuit it was fitted to, asked the same, as files and a page."""

from codeclens.retina.showcase.files import refuse_others, save_showcase
from codeclens.retina.showcase.page import showcase_page
from codeclens.retina.showcase.parts import FULL, QUICK, Effort
from codeclens.retina.showcase.showing import LOOKED, Showcase, showcase

__all__ = [
    "FULL",
    "LOOKED",
    "QUICK",
    "Effort",
    "Showcase",
    "refuse_others",
    "save_showcase",
    "showcase",
    "showcase_page",
]
