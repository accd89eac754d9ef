"""Write docs/reference/: a page for the package and for each of its rooms, with every public name.

Called by docs/conf.py at the begin of a build; the pages are not kept. Sphinx fills them with the
docstrings. A name that several rooms have is described once, where it comes first.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from public_api import public_modules  # type: ignore[import-not-found,unused-ignore]

DOCS = Path(__file__).parent
FOLDER = DOCS / "reference"
CODE = re.compile(r"^```(?:python|\{code-cell\}[^\n]*)$(.*?)^```$", re.MULTILINE | re.DOTALL)


def shown_in() -> dict[str, str]:
    """The code of every page of the docs, by the page's name without its ending."""
    pages = [page for page in sorted(DOCS.glob("**/*.md")) if "_build" not in page.parts]
    return {
        page.relative_to(DOCS).with_suffix("").as_posix(): "\n".join(
            CODE.findall(page.read_text(encoding="utf-8"))
        )
        for page in pages
        if FOLDER not in page.parents
    }


def entry(module: str, name: str, thing: Any, pages: dict[str, str]) -> Iterator[str]:
    """The lines of one public name: its docstring, and the pages whose code calls it."""
    if isinstance(thing, dict | list | tuple):  # its docstring would be that of dict
        yield f".. py:data:: {module}.{name}"
        yield ""
        yield f"   {', '.join(f'``{key!r}``' for key in thing)}."
        yield ""
        return
    kind = "class" if inspect.isclass(thing) else "function" if callable(thing) else "data"
    if inspect.isclass(thing) and issubclass(thing, BaseException):
        kind = "exception"
    yield f".. auto{kind}:: {module}.{name}"
    if kind == "class":
        yield "   :members:"
    yield ""
    used = re.compile(rf"(?<![\w\"'.])(?:cl\.|zoo\.|codeclens\.\w+\.)?{name}\(")
    if found := [page for page, code in pages.items() if used.search(code)]:
        yield f"   Used in {', '.join(f':doc:`/{page}`' for page in found)}."
        yield ""


def page(module: str, homes: dict[int, str], pages: dict[str, str]) -> str:
    """The page of one module; `homes` collects where every name was described."""
    room = import_module(module)
    here, elsewhere = [], []
    for name in sorted(set(room.__all__) - {"__version__"}):
        thing = getattr(room, name)
        home = homes.setdefault(id(thing), module)
        if inspect.ismodule(thing):
            continue
        if home == module:
            here += list(entry(module, name, thing, pages))
        else:
            elsewhere.append(f"{{py:obj}}`{name} <{home}.{name}>`")
    text = [f"# {module}", "", inspect.getdoc(room) or "", ""]
    if elsewhere:
        text += [f"Also here: {', '.join(elsewhere)}.", ""]
    return "\n".join([*text, "```{eval-rst}", *here, "```", ""])


def write_pages() -> None:
    """Write all pages; one that is unchanged keeps its time, so Sphinx does not read it again."""
    FOLDER.mkdir(exist_ok=True)
    homes: dict[int, str] = {}
    pages = shown_in()
    written = set()
    for module in public_modules():
        file = FOLDER / f"{module}.md"
        text = page(module, homes, pages)
        written.add(file)
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
    for file in set(FOLDER.glob("*.md")) - written:
        file.unlink()
