"""Words and numbers as they stand on a page."""

from __future__ import annotations

import numpy as np
import pytest

from codeclens.pages.words import written


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1e-6, "1e−06"),
        (999.6, "1e+03"),
        (1234.5, "1,234"),
        (np.float32(0.25), "0.25"),
        (np.int64(-1200), "−1,200"),
        (float("inf"), "∞"),
        (True, "yes"),
        (np.bool_(False), "no"),
        ("1.50", "1.50"),
    ],
)
def test_numbers_are_written_alike(value: object, text: str) -> None:
    assert written(value) == text  # type: ignore[arg-type]
