"""Paired timing: two implementations alternate on one thread and are compared by their ratio.

Machines are shared and their speed varies. The ratio of two neighbouring runs in the same process
varies much less than either run. CPU time of the process is measured, so the work of other programs
is not counted (their pressure on caches and memory still matters).
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch

Work = Callable[[], object]


@dataclass(frozen=True)
class Paired:
    """Seconds of process CPU time of two ways, pair by pair; every `ratio` is `first / second`."""

    first: list[float]
    second: list[float]

    @property
    def ratios(self) -> list[float]:
        """One ratio for each pair."""
        return [a / b for a, b in zip(self.first, self.second, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return median(self.ratios)

    def __str__(self) -> str:
        spread = f"{min(self.ratios):.3f} to {max(self.ratios):.3f}"
        return (
            f"{median(self.first):.2f} s / {median(self.second):.2f} s = {self.ratio:.3f} "
            f"(median of {len(self.ratios)} pairs, {spread})"
        )


def paired(first: Work, second: Work, *, pairs: int = 5, warm_up: bool = True) -> Paired:
    """Time A B, then B A, then A B …; `warm_up` runs both once before, uncounted."""
    if warm_up:
        in_turns([first, second], rounds=1)
    return Paired(*in_turns([first, second], rounds=pairs))


def in_turns(works: Sequence[Work], rounds: int) -> list[list[float]]:
    """CPU seconds of each of several ways, round by round: one list for each way.

    Every other round goes backwards, so that no way profits from its place. Sets torch to one
    thread for the time being.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times: list[list[float]] = [[] for _ in works]
        for number in range(rounds):
            order = list(zip(works, times, strict=True))
            for work, taken in order if number % 2 == 0 else reversed(order):
                taken.append(cpu_seconds(work))
        return times
    finally:
        torch.set_num_threads(threads)


def cpu_seconds(work: Work) -> float:
    """CPU time that this process, all its threads together, spends on `work`."""
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start
