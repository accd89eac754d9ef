"""Values of options as a command line or a YAML file gives them: lists, and numbers by commas."""

from __future__ import annotations

from typing import Any


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
