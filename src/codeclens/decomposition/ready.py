"""Ready modes: the modes of known networks that ship with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from codeclens.decomposition import files
from codeclens.errors import CodeclensError

if TYPE_CHECKING:
    from codeclens.decomposition.modes import Modes


def ready_modes(name: str = "efficientnet-lite0") -> dict[str, Modes]:
    """The modes of a network that ship with the package, by site, from input to output.

    `name` is that of `zoo.load`; `ready_names()` tells which there are. Each carries its loadings
    in the photographs that it was found in, their keys and classes, and its quality on photographs
    that were held out; the card lies beside them (`ready_card`). `load_modes(name)` and `--modes
    NAME` mean the same where no folder is called so. Raises CodeclensError for another name.

    >>> modes = ready_modes("efficientnet-lite0")
    >>> len(modes), modes["blocks.6.0"].n_units, modes["blocks.6.0"].r2 > 0
    (16, 320, True)
    """
    return files.load_modes(_folder(name))


def ready_names() -> list[str]:
    """The networks whose modes ship with the package.

    >>> ready_names()
    ['efficientnet-lite0']
    """
    return files.shipped()


def ready_card(name: str = "efficientnet-lite0") -> str:
    """What those modes are, how they were made and how good they are, in Markdown.

    >>> ready_card().splitlines()[0]
    '# Modes of EfficientNet-Lite0'
    """
    return (_folder(name) / "README.md").read_text(encoding="utf-8")


def _folder(name: str) -> Path:
    if name not in ready_names():
        known = ", ".join(f'"{one}"' for one in ready_names())
        raise CodeclensError(
            f'No modes of "{name}" ship with codeclens, but of {known}; make some by extract and '
            "decompose."
        )
    return files.SHIPPED / name
