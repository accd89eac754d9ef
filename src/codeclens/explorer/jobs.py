"""Jobs: explanations that run in the background, with progress, and can be cancelled."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any

from codeclens.errors import CodeclensError
from codeclens.explorer.live_network import Cancelled, Trial

# Trials and pictures that are kept, the latest; older ones make room.
KEPT = 4
_WAITING = 16


@dataclass(eq=False)
class Job:
    """One explanation: how far it is, and its result."""

    total: int
    done: int = 0
    state: str = "waiting"
    error: str = ""
    result: dict[str, Any] | None = None
    trial: Trial | None = None
    stop: Event = field(default_factory=Event)

    def tick(self) -> None:
        """Count one run of the network; raises Cancelled where the result is not wanted."""
        if self.stop.is_set():
            raise Cancelled
        self.done = min(self.done + 1, self.total)

    def about(self) -> dict[str, Any]:
        """What the browser is told."""
        found: dict[str, Any] = {"state": self.state, "done": self.done, "total": self.total}
        if self.error:
            found["error"] = self.error
        if self.result is not None:
            found["result"] = self.result
        return found


class Jobs:
    """One worker, so that computations come one after another; the latest results are kept.

    >>> jobs = Jobs()
    >>> key = jobs.start(3, lambda job: (None, {"answer": 42}))
    >>> jobs.finish(); jobs.about(key)["result"]
    {'answer': 42}
    """

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = Lock()
        self._worker = ThreadPoolExecutor(1, "codeclens-explorer")

    def start(self, total: int, work: Callable[[Job], tuple[Trial | None, dict[str, Any]]]) -> str:
        """Begin a job and return its key; raises CodeclensError where too many are waiting."""
        key, job = secrets.token_urlsafe(12), Job(total)
        with self._lock:
            waiting = sum(one.state in ("waiting", "running") for one in self._jobs.values())
            if waiting >= _WAITING:
                raise CodeclensError(f"{waiting} explanations are waiting; try again later.")
            self._jobs[key] = job
            finished = [k for k, one in self._jobs.items() if one.state not in _OPEN]
            for old in finished[: max(0, len(self._jobs) - KEPT)]:
                del self._jobs[old]
        self._worker.submit(_run, job, work)
        return key

    def job(self, key: str) -> Job:
        """A job by its key; raises CodeclensError where it is not kept."""
        with self._lock:
            if key not in self._jobs:
                raise CodeclensError("This explanation is no longer kept; explain again.")
            self._jobs.move_to_end(key)
            return self._jobs[key]

    def about(self, key: str) -> dict[str, Any]:
        """How far a job is, and its result."""
        return self.job(key).about()

    def cancel(self, key: str) -> None:
        """Stop a job at its next run of the network."""
        job = self.job(key)
        job.stop.set()

    def finish(self) -> None:
        """Wait for all jobs, and end the worker."""
        self._worker.shutdown(wait=True)

    def close(self) -> None:
        """Cancel everything and end the worker."""
        with self._lock:
            for job in self._jobs.values():
                job.stop.set()
        self._worker.shutdown(wait=True, cancel_futures=True)


_OPEN = ("waiting", "running")


def _run(job: Job, work: Callable[[Job], tuple[Trial | None, dict[str, Any]]]) -> None:
    try:
        if job.stop.is_set():
            raise Cancelled
        job.state = "running"
        job.trial, job.result = work(job)
        job.done, job.state = job.total, "done"
    except Cancelled:
        job.state = "cancelled"
    except CodeclensError as error:
        job.state, job.error = "failed", str(error)
    except Exception as error:  # the server must go on; the browser is told what happened
        job.state, job.error = "failed", f"{type(error).__name__}: {error}"
