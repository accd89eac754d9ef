"""An explanation as a page: its waterfall and its numbers in one self-contained HTML file."""

from __future__ import annotations

import base64
import io
import re
from html import escape
from pathlib import Path

from codeclens.explanation.results import Explanation
from codeclens.visualization.canvas import styled

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1b1b1b;background:#fff}img{max-width:100%;height:auto}"
)
_TABLE = "border-collapse:collapse;font-size:0.85em;margin:0.8em 0"
_CELL = "padding:0.15em 0.7em;border-bottom:1px solid #ddd;text-align:{}"
# Nothing but what is in the file itself may be shown: no script, no request of any kind.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def save_page(explanation: Explanation, path: Path, *, most: int = 6) -> Path:
    """Write one self-contained HTML file, without scripts; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    title = escape(f"Why {explanation.words}")
    path.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1>{fragment(explanation, most=most)}</body></html>\n",
        encoding="utf-8",
    )
    return path


def fragment(explanation: Explanation, *, most: int = 6) -> str:
    """The sentences, the waterfall of every site and all numbers, as a piece of HTML."""
    parts = [f"<p>{_minus(escape(sentence))}</p>" for sentence in explanation.sentences()]
    for site, one in explanation.items():
        alt = escape(f"Waterfall over the modes of {site}", quote=True)
        data = base64.b64encode(_png(explanation, site, most)).decode("ascii")
        parts.append(f'<p><img alt="{alt}" src="data:image/png;base64,{data}"></p>')
        rows = [
            (term.title, term.contribution, term.effect, ", ".join(term.shows))
            for term in one.terms
        ]
        rows += [
            ("of no mode", one.unexplained, None, ""),
            ("not through this site", one.elsewhere, None, ""),
            ("sum: T(x) − T(x0)", one.change, None, ""),
        ]
        parts.append(
            _table(("part of " + site, "contribution", "fall without it", "strongest in"), rows)
        )
    return "".join(parts)


def _png(explanation: Explanation, site: str, most: int) -> bytes:
    stream = io.BytesIO()
    figure = explanation.figure(site, most=most)
    with styled():
        figure.savefig(stream, format="png", dpi=150)
    return stream.getvalue()


def _table(heads: tuple[str, ...], rows: list[tuple[str, float, float | None, str]]) -> str:
    left, right = _CELL.format("left"), _CELL.format("right")
    styles = (left, right, right, left)
    head = "".join(
        f'<th style="{style}">{escape(name)}</th>'
        for name, style in zip(heads, styles, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="{style}">{_written(cell)}</td>'
            for cell, style in zip(row, styles, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f'<table style="{_TABLE}"><tr>{head}</tr>{body}</table>'


def _written(cell: str | float | None) -> str:
    if isinstance(cell, str):
        return escape(cell)
    return "–" if cell is None else _minus(f"{cell:+.3f}")


def _minus(text: str) -> str:
    """True minus signs before numbers."""
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)
