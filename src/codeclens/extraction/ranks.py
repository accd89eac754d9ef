"""Ranks: the shards of this process, if a launcher has started several."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

from codeclens.errors import CodeclensError
from codeclens.extraction.layout import Layout, finished_shards, read_metadata
from codeclens.extraction.storage import Location

Progress = Callable[[int, int], None]

_SHORTEST_PATIENCE = 60.0
_SECONDS_BETWEEN_LOOKS = 0.5
# Rank and number of the processes started together by torchrun or by a step of SLURM. A batch
# script that is not a step also has a SLURM_PROCID, which is 0.
_TOGETHER = (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"))


@dataclass(frozen=True)
class Rank:
    """One of `of` processes that share a store; `number` counts from 0.

    `launched` is true if all of them were started at once, `guarded` if their launcher stops all
    of them when one fails.

    >>> rank = Rank.from_environment({"RANK": "1", "WORLD_SIZE": "3"})
    >>> rank.number, rank.of, rank.shards
    (1, 3, slice(1, None, 3))
    """

    number: int = 0
    of: int = 1
    launched: bool = True
    guarded: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Rank:
        """The rank given to this process by torchrun or SLURM, else rank 0 of 1.

        It is `RANK` of `WORLD_SIZE`, or `SLURM_PROCID` of `SLURM_STEP_NUM_TASKS` in a step of a
        job, within the task `SLURM_ARRAY_TASK_ID` of a job array. Raises CodeclensError for
        inconsistent numbers.
        """
        given = os.environ if environment is None else environment
        number, of, guarded = 0, 1, False
        for name, count in _TOGETHER:
            if name in given and count in given:
                number, of = _number(given, name), _number(given, count)
                guarded = name == "RANK"
                break
        task, tasks = _array_task(given)
        rank = cls(task * of + number, tasks * of, tasks == 1, guarded and tasks == 1)
        if number >= of or task not in range(tasks):
            raise CodeclensError(
                f"According to the environment, this is process {number} of {of} in task {task} of "
                f"{tasks}, counted from 0, which is impossible; number the tasks of an array "
                f"without gaps, as in --array=0-{tasks - 1}."
            )
        return rank

    @property
    def leads(self) -> bool:
        """Whether this process reports for all."""
        return self.number == 0

    @property
    def shards(self) -> slice | None:
        """The shards of this process, for `extract`; None if it is the only one."""
        return None if self.of == 1 else slice(self.number, None, self.of)


class SharedProgress:
    """Progress of all ranks together, from the shards in the store.

    Pass it as `progress` to the `extract` of this rank; it calls `progress` with (done, total)
    samples of the whole store.
    """

    def __init__(self, to: Location, rank: Rank, progress: Progress) -> None:
        self.to = to
        self.rank = rank
        self.progress = progress
        self._layout: Layout | None = None
        self._own = 0
        self._began = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Note that `done` of the `total` samples of this rank are done."""
        self._own = done
        self._look()

    def wait(self, shortest: float = _SHORTEST_PATIENCE) -> None:
        """Wait until all ranks are done.

        If no launcher guards the ranks, one may have died. Then the wait ends when no shard has
        been finished for as long as this rank worked itself, but at least `shortest` seconds.
        """
        if self.rank.of == 1 or not self.rank.launched:
            return
        took = time.monotonic() - self._began
        patience = inf if self.rank.guarded else max(took, shortest)
        last, seen = time.monotonic(), -1
        while (done := self._look()) < self._total() and time.monotonic() - last < patience:
            if done != seen:
                last, seen = time.monotonic(), done
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def _look(self) -> int:
        """Report and return the number of samples done by now."""
        if self._layout is None:
            metadata = read_metadata(self.to)
            if metadata is None:
                return 0
            self._layout = Layout.from_metadata(metadata)
        layout, rank = self._layout, self.rank
        others = [s for s in finished_shards(self.to) if s % rank.of != rank.number]
        done = self._own + sum(len(layout.rows(shard)) for shard in others)
        self.progress(done, layout.samples)
        return done

    def _total(self) -> float:
        return inf if self._layout is None else self._layout.samples


def _array_task(given: Mapping[str, str]) -> tuple[int, int]:
    """The number of this task, from 0, and the number of tasks in a SLURM job array."""
    if "SLURM_ARRAY_TASK_ID" not in given or "SLURM_ARRAY_TASK_COUNT" not in given:
        return 0, 1
    first = _number(given, "SLURM_ARRAY_TASK_MIN") if "SLURM_ARRAY_TASK_MIN" in given else 0
    step = _number(given, "SLURM_ARRAY_TASK_STEP") if "SLURM_ARRAY_TASK_STEP" in given else 1
    task = _number(given, "SLURM_ARRAY_TASK_ID") - first
    return task // max(step, 1), _number(given, "SLURM_ARRAY_TASK_COUNT")


def _number(given: Mapping[str, str], name: str) -> int:
    text = given[name]
    if not text.isdecimal():
        raise CodeclensError(f'{name} (="{text}") must be a whole number.')
    return int(text)
