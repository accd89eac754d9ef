"""Words and numbers on a page, formatted in one way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

import numpy as np

from codeclens.text import visible

Cell = str | float | int | None

_NUMBER = re.compile(r"–|(< )?[−+-]?[\d.,]+(e[−+-]?\d+)?(\s%)?(\s\[.*\])?")
_HYPHEN_FOR_MINUS = re.compile(r"(?<![\w.)-])-(?=\d)")


def shown(text: str) -> str:
    """Text as a page shows it: minus signs for hyphens, control characters visible.

    Names between backticks stay as they are.

    >>> shown("`a<b>-1` & -0.5")
    '`a<b>-1` & −0.5'
    """
    parts = re.split(r"(`[^`\n]+`)", visible(text, keep="\n\t"))
    parts[::2] = [_HYPHEN_FOR_MINUS.sub("−", part).replace(" %", "\u00a0%") for part in parts[::2]]
    return "".join(parts)


def plain(text: str) -> str:
    """Text escaped for HTML and for attributes; control and direction characters become visible.

    >>> print(plain("\\x00 < \\"b\\""))
    \\x00 &lt; &quot;b&quot;
    """
    return escape(visible(text, keep="\n\t"), quote=True)


def written(value: Cell) -> str:
    """A cell as text: three significant digits, commas in thousands, a dash for missing values.

    >>> [written(v) for v in (0.12345, 1234567, -3.0, float("nan"), None, "as it is")]
    ['0.123', '1,234,567', '−3', '–', '–', 'as it is']
    """
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{int(value):,}".replace("-", "−")
    if not np.isfinite(value):
        return "–" if np.isnan(value) else ("∞" if value > 0 else "−∞")
    size = abs(value)
    text = f"{value:,.0f}" if size >= 1000 else f"{value:.3g}"
    return text.replace("-", "−")


def listed(items: Sequence[str]) -> str:
    """Items as a phrase.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def percent(share: float, digits: int = 0) -> str:
    """A share in percent; a small one is distinguished from zero.

    >>> percent(0.5), percent(0.9941, 1), percent(0.0004, 1), percent(0.0)
    ('50 %', '99.4 %', '< 0.1 %', '0 %')
    """
    least = 10.0 ** (-2 - digits)
    if 0 < share < least / 2:
        return f"< {100 * least:.{digits}f} %"
    return f"{100 * share:.{digits}f} %"


def is_number(text: str) -> bool:
    """Whether the text of a cell is a number, with sign, percent or interval.

    >>> [is_number(text) for text in ("0.5", "−3", "< 0.1 %", "0.4 [0.2, 0.6]", "–", "a 1")]
    [True, True, True, True, True, False]
    """
    return _NUMBER.fullmatch(text) is not None
