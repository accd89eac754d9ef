"""Progress: a bar with rate and remaining time on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class Advance(Protocol):
    """Report progress: how much is done, of how much, and a note to show."""

    def __call__(self, done: int, of: int, note: str = "") -> None: ...


class EpochFigures(Protocol):
    """What an epoch of a training came to, such as `codeclens.decomposition.Epoch`."""

    @property
    def epoch(self) -> int: ...
    @property
    def epochs(self) -> int: ...
    @property
    def loss(self) -> float: ...
    @property
    def r2(self) -> float: ...
    @property
    def l0(self) -> float: ...
    @property
    def dead(self) -> int: ...


_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BEFORE_FIRST_LINE = 5.0


class RateColumn(ProgressColumn):
    """How many items a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """The rate over the last moments, or over the whole task once it is done."""
        speed = task.finished_speed or task.speed
        return Text(rate(speed, self.unit) if speed else "", style="progress.data.speed")


@contextmanager
def progress(
    title: str, total: int | None = None, unit: str = "samples", console: Console | None = None
) -> Iterator[Advance]:
    """Show the progress of one task on stderr; yields a function of (done, total).

    On a terminal it is a bar with rate and remaining time; elsewhere a plain line about every ten
    seconds, and one at the end of what took longer than five.
    """
    console = console or Console(stderr=True, highlight=False)
    with (_bar if console.is_terminal else _lines)(title, total, unit, console) as advance:
        yield advance


@contextmanager
def _bar(title: str, total: int | None, unit: str, console: Console) -> Iterator[Advance]:
    columns = (
        TextColumn("{task.description:<26}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        RateColumn(unit),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console, speed_estimate_period=10) as bar:
        task = bar.add_task(title, total=total, note="")

        def advance(done: int, of: int, note: str = "") -> None:
            bar.update(task, completed=done, total=of, note=note)

        yield advance


@contextmanager
def _lines(title: str, total: int | None, unit: str, console: Console) -> Iterator[Advance]:
    start = time.monotonic()
    state = {"done": 0, "total": total or 0}
    spoken = start + _SECONDS_BEFORE_FIRST_LINE - _SECONDS_BETWEEN_LINES

    def advance(done: int, of: int, note: str = "") -> None:
        nonlocal spoken
        state.update(done=done, total=of)
        now = time.monotonic()
        if done < of and now - spoken >= _SECONDS_BETWEEN_LINES:
            spoken = now
            text = line(title, done, of, now - start, unit) + (f"; {note}" if note else "")
            console.print(text, soft_wrap=True, markup=False)

    yield advance
    took = time.monotonic() - start
    if took >= _SECONDS_BEFORE_FIRST_LINE:
        text = line(title, state["done"], state["total"], took, unit)
        console.print(text, soft_wrap=True, markup=False)


def line(title: str, done: int, total: int, seconds: float, unit: str) -> str:
    """One line of progress.

    >>> line("digits", 1000, 5000, 10.0, "samples")
    'digits: 1,000 of 5,000 samples, 100 samples/s, 0:40 to go'
    >>> line("digits", 5000, 5000, 50.0, "samples")
    'digits: 5,000 samples in 0:50, 100 samples/s'
    """
    speed = done / seconds if seconds > 0 else 0.0
    pace = f", {rate(speed, unit)}" if speed else ""
    if done >= total:
        return f"{title}: {done:,} {unit} in {clock(seconds)}{pace}"
    to_go = f", {clock((total - done) / speed)} to go" if speed else ""
    return f"{title}: {done:,} of {total:,} {unit}{pace}{to_go}"


def rate(speed: float, unit: str) -> str:
    """A rate with two or three significant digits.

    >>> rate(123.4, "samples"), rate(0.5, "images")
    ('123 samples/s', '0.50 images/s')
    """
    return f"{speed:.0f} {unit}/s" if speed >= 10 else f"{speed:.2f} {unit}/s"


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, with hours where there are any.

    >>> clock(75), clock(3700)
    ('1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def epochs(advance: Advance, fits: int) -> Callable[[str, EpochFigures], None]:
    """Show the epochs of all fits on one bar; the number of epochs is that of the first fit."""
    done = 0

    def tell(site: str, epoch: EpochFigures) -> None:
        nonlocal done
        done += 1
        advance(done, epoch.epochs * fits, note(site, epoch))

    return tell


def note(site: str, epoch: EpochFigures) -> str:
    """The figures of an epoch in few words.

    >>> from codeclens.decomposition import Epoch
    >>> note("conv1", Epoch(epoch=3, epochs=30, loss=0.512, r2=0.4567, l0=15.9, dead=3))
    'conv1 3/30: loss 0.512, R² 0.457, L0 15.9, 3 dead'
    """
    return (
        f"{site} {epoch.epoch}/{epoch.epochs}: loss {epoch.loss:.3g}, R² {epoch.r2:.3f}, "
        f"L0 {epoch.l0:.1f}, {epoch.dead} dead"
    )
