"""Words and numbers as they stand on a page: escaped, and written alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

import numpy as np

Cell = str | float | int | None

# Neither can stand in an HTML file: control characters and halves of surrogate pairs (which file
# names that are no UTF-8 bring along).
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def inline(text: str) -> str:
    """Text as HTML: escaped, with names between backticks in a typewriter face.

    >>> inline("`a<b>` & c")
    '<code>a&lt;b&gt;</code> &amp; c'
    """
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", plain(text))


def plain(text: str) -> str:
    """Text as HTML, escaped, for attributes too; what cannot be printed becomes �.

    >>> plain("\\x00 < \\"b\\"")
    '� &lt; &quot;b&quot;'
    """
    return escape(_UNPRINTABLE.sub("\ufffd", str(text)), quote=True)


def written(value: Cell) -> str:
    """A cell as text: three significant digits, thousands apart, a dash for what is missing.

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


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    >>> counted(1, "site"), counted(5000, "class", "classes")
    ('1 site', '5,000 classes')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(items: Sequence[str]) -> str:
    """Items as a phrase.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
