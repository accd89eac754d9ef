"""Complaints: what is wrong with a configuration, in one sentence."""

from __future__ import annotations

import difflib

from pydantic import BaseModel, ValidationError


def complaint(error: ValidationError, settings: type[BaseModel], source: str) -> str:
    """One sentence for what pydantic found wrong, the nearest key or the value in it."""
    problems = error.errors(include_url=False)
    unknown = [str(p["loc"][0]) for p in problems if p["type"] == "extra_forbidden"]
    if unknown:
        return unknown_key(source, unknown, list(settings.model_fields), "key")
    first = problems[0]
    name = ".".join(str(part) for part in first["loc"]) or source
    wanted = first["msg"].removeprefix("Input ").removeprefix("Value error, ")
    if name == "seeds":
        wanted = "should be whole numbers separated by commas, for example 0,1,2"
    if name == "target":
        wanted = "should be predicted, label or output:INDEX, for example output:3"
    others = sorted({str(p["loc"][0]) for p in problems[1:] if p["loc"]} - {name})
    more = f" (wrong, too: {', '.join(others)})" if others else ""
    return f"{source}: {name} (={first['input']!r}) {wanted}{more}."


def unknown_key(source: str, unknown: list[str], known: list[str], what: str) -> str:
    """One sentence for keys that are not known, with the one that is nearest to the first.

    >>> unknown_key("a.yaml", ["step"], ["steps", "sites"], "key")
    'a.yaml has the unknown key "step"; the nearest key is "steps".'
    """
    near = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0.0)[0]
    names = ", ".join(f'"{name}"' for name in unknown)
    return f'{source} has the unknown {what} {names}; the nearest {what} is "{near}".'
