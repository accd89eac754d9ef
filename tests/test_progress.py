"""Progress on a terminal and elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from codeclens import progress as module
from codeclens.progress import progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that tells the one number in the list."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_elsewhere_a_line_now_and_then_and_one_at_the_end(clock: list[float]) -> None:
    text = io.StringIO()
    with progress("digits", 100, console=Console(file=text, width=200)) as advance:
        for second in range(1, 21):
            clock[0] = second
            advance(5 * second, 100)
    assert text.getvalue().splitlines() == [
        "digits: 25 of 100 samples, 5.00 samples/s, 0:15 to go",
        "digits: 75 of 100 samples, 5.00 samples/s, 0:05 to go",
        "digits: 100 samples in 0:20, 5.00 samples/s",
    ]


def test_quick_work_shows_no_progress(clock: list[float]) -> None:
    text = io.StringIO()
    with progress("digits", 100, console=Console(file=text)) as advance:
        clock[0] = 2.0
        advance(100, 100)
    assert text.getvalue() == ""


def test_a_terminal_shows_a_bar_with_rate_and_time() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120, color_system=None)
    with progress("digits", None, "images", console=console) as advance:
        advance(50, 100)
        advance(100, 100)
    last = text.getvalue()
    assert "digits" in last
    assert "100/100" in last
    assert "images/s" in last
