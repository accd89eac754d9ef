"""The front end: the script of the explorer, and pages that hold it together with their data."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from codeclens.pages.words import plain

# Built from the sources in frontend/ of the repository.
SCRIPT = Path(__file__).parent / "static" / "explorer.js"
# Numbers keep so many significant digits: more than a picture shows, fewer than a float has.
_DIGITS = 6


def plain_numbers(value: Any) -> Any:
    """A value as JSON has it: arrays as lists, floats shortened, None for what is not finite.

    >>> plain_numbers({"a": np.array([1.23456789, np.nan]), "b": np.int64(3)})
    {'a': [1.23457, None], 'b': 3}
    """
    if isinstance(value, Mapping):
        return {str(key): plain_numbers(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return plain_numbers(value.tolist())
    if isinstance(value, list | tuple):
        return [plain_numbers(one) for one in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value


def self_contained(data: Mapping[str, Any], title: str) -> str:
    """A page of the front end and its data, as one HTML file that makes no requests.

    Its policy allows this script, its styles and images inside the file, and nothing else.
    """
    script, digest = _script()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark"><title>{plain(title)}</title>\n'
        '<link rel="icon" href="data:,"></head><body><div id="codeclens-explorer"></div>\n'
        f'<script type="application/json" id="codeclens-data">{_embedded(data)}</script>\n'
        f'<script type="module">{script}</script></body></html>\n'
    )


@cache
def _script() -> tuple[str, str]:
    """The script as it stands in a page, and its digest."""
    # Inside a page a script must not hold the end of one; lines end as a browser reads them.
    text = SCRIPT.read_text(encoding="utf-8").replace("</script", "<\\/script")
    return text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _embedded(found: Mapping[str, Any]) -> str:
    """JSON that cannot end the element in which it stands."""
    text = json.dumps(found, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").encode("utf-8", "replace").decode()
