"""The example in docs/receptive-fields.md runs, and says what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

PAGE = Path(__file__).parents[2] / "docs" / "receptive-fields.md"


def test_the_example_runs_and_adds_up() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, str(PAGE), "exec"), names)
    whole, parts = names["fields"][:20], names["parts"]
    assert abs(parts.sum("mode") - whole).max() < 1e-5 * abs(whole).max()
    assert np.allclose(names["changes"].share.sum("mode"), 1, atol=1e-5)
    assert names["fields"].dims == ("time", "cell", "lag", "y", "x")
