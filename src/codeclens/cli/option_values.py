"""Values of options as a command line or a YAML file gives them, and what is wrong with them."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from codeclens.errors import CodeclensError, shortened


def split_commas(value: Any) -> Any:
    """A list from names separated by commas.

    >>> split_commas("layer1.*,layer2"), split_commas(["a,b", "c"]), split_commas(None)
    (['layer1.*', 'layer2'], ['a', 'b', 'c'], None)
    """
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        return value
    return [part.strip() for item in items for part in item.split(",") if part.strip()]


def joined(value: Any) -> Any:
    """Numbers from a YAML file as text with commas, as they are written on the command line.

    >>> joined([0.5, 0.4]), joined(32), joined("1,2")
    ('0.5,0.4', '32', '1,2')
    """
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return str(value) if isinstance(value, int | float) else value


def require_writable(name: str, value: Any, source: str) -> None:
    """Raise CodeclensError for text that no file name and no terminal can hold."""
    text = str(value) if isinstance(value, str | Path) else ""
    try:
        sound = "\0" not in text and os.fsencode(text) is not None
    except UnicodeEncodeError:
        sound = False
    if not sound:
        raise CodeclensError(
            f"{source}: {name} (={shortened(text)}) holds a character that no file name may hold."
        )


# What the texts of some options look like, in words instead of the pattern.
_PATTERNS = {
    "seeds": "should be whole numbers separated by commas, for example 0,1,2",
    "size": "should be one or two whole numbers of at most five digits, for example 224 or 256,224",
    "mean": "should be one number or three, separated by commas, for example 0.5,0.5,0.5",
    "std": "should be one number or three, separated by commas, for example 0.5,0.5,0.5",
    "off": "should be baseline, mean or a number",
    "fractions": "should be numbers separated by commas, for example 0.01,0.1",
}


def complaint(error: ValidationError, settings: type[BaseModel], source: str) -> str:
    """One sentence for a validation error, with the wrong value or the nearest known key."""
    problems = error.errors(include_url=False)
    unknown = [str(p["loc"][0]) for p in problems if p["type"] == "extra_forbidden"]
    if unknown:
        return unknown_key(source, unknown, list(settings.model_fields), "key")
    first = problems[0]
    name = ".".join(str(part) for part in first["loc"]) or source
    wanted = first["msg"].removeprefix("Input ").removeprefix("Value error, ")
    wanted = _PATTERNS.get(name, wanted) if first["type"] == "string_pattern_mismatch" else wanted
    others = sorted({str(p["loc"][0]) for p in problems[1:] if p["loc"]} - {name})
    more = f" (also wrong: {', '.join(others)})" if others else ""
    return f"{source}: {name} (={shortened(first['input'])}) {wanted}{more}."


def unknown_key(source: str, unknown: list[str], known: list[str], what: str) -> str:
    """One sentence for unknown keys, with the known key nearest to the first of them.

    >>> unknown_key("a.yaml", ["step"], ["steps", "sites"], "key")
    'a.yaml has the unknown key "step"; the nearest key is "steps".'
    """
    near = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0.0)[0]
    names = ", ".join(f'"{name if len(name) <= 80 else name[:79] + "…"}"' for name in unknown[:5])
    first = "" if len(unknown) == 1 else f' to "{unknown[0][:80]}"'
    kind = what if len(unknown) == 1 else f"{what}s"
    return f'{source} has the unknown {kind} {names}; the nearest {what}{first} is "{near}".'
