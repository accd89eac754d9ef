"""Tables: rows of named values, as files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def save_table(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows with the same keys as CSV (UTF-8) and return its path; without rows it is empty.

    >>> import tempfile
    >>> save_table(Path(tempfile.mkdtemp(), "a.csv"), [{"site": "conv1", "units": 8}]).read_text()
    'site,units\\nconv1,8\\n'
    """
    to = Path(path)
    to.parent.mkdir(parents=True, exist_ok=True)
    with to.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
    return to
