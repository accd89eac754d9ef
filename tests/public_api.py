"""Write tests/public_api.txt: every public name of the package with its signature.

python tests/public_api.py            # rewrite the file
python tests/public_api.py --check    # exit code 1 and the differences if it is out of date
"""

from __future__ import annotations

import difflib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import codeclens

PAGE = Path(__file__).with_name("public_api.txt")


def public_modules() -> list[str]:
    """The package, and its rooms that say which of their names are public."""
    rooms = [f"codeclens.{room.name}" for room in pkgutil.iter_modules(codeclens.__path__)]
    named = [room for room in rooms if hasattr(import_module(room), "__all__")]
    return ["codeclens", *(room for room in named if room != "codeclens.cli")]


def signature(thing: Any) -> str:
    """The parameters with their defaults, without annotations, which differ between Pythons.

    >>> signature(lambda a, *, b=1, **more: a)
    '(a, *, b=1, **more)'
    """
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return "(…)"
    return str(
        found.replace(
            parameters=[
                one.replace(annotation=inspect.Parameter.empty, default=_plain(one.default))
                for one in found.parameters.values()
            ],
            return_annotation=inspect.Signature.empty,
        )
    )


class _Written:
    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _plain(default: Any) -> Any:
    if default is inspect.Parameter.empty:
        return default
    text = repr(default)
    if " at 0x" in text:  # a function, or an object that does not describe itself
        text = getattr(default, "__qualname__", f"{type(default).__name__}()")
    return _Written(text)


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods, properties and class attributes that codeclens itself defines."""
    for name, _ in inspect.getmembers(kind):
        home = next((base for base in kind.__mro__ if name in vars(base)), None)
        ours = home is not None and home.__module__.startswith("codeclens")
        if ours and not name.startswith("_"):
            assert home is not None
            yield name, vars(home)[name]


def described(name: str, thing: Any) -> Iterator[str]:
    """The lines of one public name."""
    if inspect.ismodule(thing):
        yield f"{name}: module"
    elif inspect.isclass(thing):
        yield f"class {name}{signature(thing)}"
        for member, value in members(thing):
            if isinstance(value, property) or type(value).__name__ == "cached_property":
                yield f"    {member}"
            elif isinstance(value, classmethod | staticmethod):
                yield f"    {type(value).__name__} {member}{signature(value.__func__)}"
            elif callable(value):
                yield f"    {member}{signature(value)}"
    elif callable(thing):
        yield f"{name}{signature(thing)}"
    else:
        yield name


def public_api() -> str:
    """The whole text, module by module, names in alphabetical order."""
    parts = ["# Public names and signatures; python tests/public_api.py writes this file."]
    homes: dict[int, str] = {}
    for module in public_modules():
        room = import_module(module)
        parts += ["", f"[{module}]"]
        for name in sorted(room.__all__):
            thing = getattr(room, name)
            home = homes.setdefault(id(thing), module)
            parts += described(name, thing) if home == module else [f"{name}: as in {home}"]
    return "\n".join(parts) + "\n"


def main(check: bool) -> int:
    """Compare or rewrite the file; return the exit code."""
    fresh = public_api()
    written = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    if fresh == written:
        return 0
    if not check:
        PAGE.write_text(fresh, encoding="utf-8")
        return 0
    before, after = written.splitlines(), fresh.splitlines()
    changes = difflib.unified_diff(before, after, "tests/public_api.txt", "the package", "", "", 1)
    sys.stderr.write("\n".join(changes))
    sys.stderr.write(
        "\nThe public interface changed. If you mean it, run `make api`, and list the change in "
        "CHANGELOG.md.\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
