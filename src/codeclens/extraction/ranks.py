"""Ranks: which shards are this process's, where a launcher has started several."""

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
# Number and count of the processes that one launcher started together: torchrun's or those of a
# step of SLURM. In a batch script that is not a step, SLURM_PROCID says 0 all the same.
_TOGETHER = (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"))


@dataclass(frozen=True)
class Rank:
    """One of `of` processes that share a store; `number` counts from 0.

    `launched` says whether all of them were started at once, `guarded` whether their launcher ends
    all of them when one fails.

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
        """The rank that torchrun or SLURM gave this process; the only one if neither did.

        `RANK` of `WORLD_SIZE` counts, or `SLURM_PROCID` of the `SLURM_STEP_NUM_TASKS` of a job's
        step, and each within its task of an array of jobs, `SLURM_ARRAY_TASK_ID`. Raises
        CodeclensError for numbers that make no sense.
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
                f"The environment says that this is process {number} of {of} in task {task} of "
                f"{tasks}, counted from 0, which cannot be; number the tasks of an array without "
                f"gaps, as in --array=0-{tasks - 1}."
            )
        return rank

    @property
    def leads(self) -> bool:
        """Whether this process speaks for all."""
        return self.number == 0

    @property
    def shards(self) -> slice | None:
        """The shards of this process, for `extract`; None where it is the only one."""
        return None if self.of == 1 else slice(self.number, None, self.of)


class SharedProgress:
    """Progress of all ranks together, as one of them sees it by the shards that are in the store.

    It is called as `progress` of an `extract` of this rank's shards, and calls `told` with samples
    (done, total) of the whole store.
    """

    def __init__(self, to: Location, rank: Rank, told: Progress) -> None:
        self.to = to
        self.rank = rank
        self.told = told
        self._layout: Layout | None = None
        self._own = 0
        self._began = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """`done` of the `total` samples of this rank."""
        self._own = done
        self._look()

    def wait(self, shortest: float = _SHORTEST_PATIENCE) -> None:
        """Wait until the others are done, and no longer than that can be expected to take.

        Without a guard somebody may have died: then as long as this rank worked itself is enough,
        counted from the last shard that was finished, but not less than `shortest` seconds.
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
        """Tell what is done by now."""
        if self._layout is None:
            metadata = read_metadata(self.to)
            if metadata is None:
                return 0
            self._layout = Layout.from_metadata(metadata)
        layout, rank = self._layout, self.rank
        others = [s for s in finished_shards(self.to) if s % rank.of != rank.number]
        done = self._own + sum(len(layout.rows(shard)) for shard in others)
        self.told(done, layout.samples)
        return done

    def _total(self) -> float:
        return inf if self._layout is None else self._layout.samples


def _array_task(given: Mapping[str, str]) -> tuple[int, int]:
    """Number, from 0, and count of the tasks of an array of SLURM jobs."""
    if "SLURM_ARRAY_TASK_ID" not in given or "SLURM_ARRAY_TASK_COUNT" not in given:
        return 0, 1
    first = _number(given, "SLURM_ARRAY_TASK_MIN") if "SLURM_ARRAY_TASK_MIN" in given else 0
    step = _number(given, "SLURM_ARRAY_TASK_STEP") if "SLURM_ARRAY_TASK_STEP" in given else 1
    task = _number(given, "SLURM_ARRAY_TASK_ID") - first
    return task // max(step, 1), _number(given, "SLURM_ARRAY_TASK_COUNT")


def _number(given: Mapping[str, str], name: str) -> int:
    text = given[name]
    if not text.isdecimal():
        raise CodeclensError(f'{name} is "{text}", and should be a whole number.')
    return int(text)
