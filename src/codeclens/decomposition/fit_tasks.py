"""Fits of many sites and seeds, sequentially or in parallel processes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch

from codeclens.decomposition.autoencoders.base import Autoencoder
from codeclens.decomposition.estimator import Estimator, Fitted, as_data
from codeclens.decomposition.logbook import Logbook
from codeclens.decomposition.matrices import StoredMatrix
from codeclens.decomposition.stability import halves
from codeclens.decomposition.training import Epoch, named
from codeclens.errors import CodeclensError

Data = np.ndarray[Any, Any] | StoredMatrix
SiteProgress = Callable[[str, Epoch], object]

CPU = torch.device("cpu")
_SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True)
class FitTask:
    """One fit: a site with U units, a seed, and a method.

    Autoencoders train on `device`; classical methods always run on the processor. Where `half` is 0
    or 1, only that half of the samples is used.
    """

    site: str
    seed: int
    method: Estimator
    n_units: int
    logbook: Logbook | None = None
    device: torch.device = CPU
    half: int | None = None

    def fit(self, X: Data, progress: SiteProgress | None = None) -> Fitted:
        """The fitted object; raises CodeclensError that names the site."""
        tell = None if progress is None else partial(progress, self.site)
        if self.half is not None:
            rows = halves(X.shape[0], self.seed)[self.half]
            X = X.of(rows) if isinstance(X, StoredMatrix) else X[rows]
        with named(self.site):
            if isinstance(self.method, Autoencoder):
                here = (as_data(X) if isinstance(X, np.ndarray) else X).to(self.device)
                return self.method.fit(
                    here, seed=self.seed, n_units=self.n_units, progress=tell, logbook=self.logbook
                )
            if isinstance(X, StoredMatrix):
                raise CodeclensError(
                    f"{self.method!r} needs all samples in memory; pass in_memory=True."
                )
            return self.method.fit(X, seed=self.seed, n_units=self.n_units, progress=tell)


def fits(
    tasks: Sequence[FitTask],
    data: Callable[[str], Data],
    workers: int,
    progress: SiteProgress | None,
) -> Iterator[tuple[FitTask, Fitted | CodeclensError]]:
    """Yield each finished task with its fitted object; `data` returns the data of a site.

    For a site that cannot be decomposed the error is yielded, and its other tasks are left out.
    """
    if min(workers, len(tasks)) > 1:
        yield from _side_by_side(tasks, data, min(workers, len(tasks)), progress)
        return
    failed: set[str] = set()
    for task in tasks:
        if task.site in failed:
            continue
        found: Fitted | CodeclensError
        try:
            found = task.fit(data(task.site), progress)
        except CodeclensError as error:
            failed.add(task.site)
            found = error
        yield task, found


# A fitted object in the form that `Estimator.restore` takes, with arrays for other processes.
_Sent = tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]


def _side_by_side(
    tasks: Sequence[FitTask],
    data: Callable[[str], Data],
    workers: int,
    progress: SiteProgress | None,
) -> Iterator[tuple[FitTask, Fitted | CodeclensError]]:
    """Fits in fresh processes, at most `workers` at a time."""
    context = get_context("spawn")
    news, stopped = context.SimpleQueue(), context.Event()
    waiting, running = list(tasks), dict[Future[_Sent], FitTask]()

    def listen() -> set[Future[_Sent]]:
        """Wait a moment, pass on the reported epochs, and return the fits that are done."""
        done, _ = wait(running, _SECONDS_BETWEEN_LOOKS, FIRST_COMPLETED)
        while not news.empty():
            site, epoch = news.get()
            if progress is not None and not stopped.is_set():
                progress(site, Epoch(*epoch))
        return done

    with ProcessPoolExecutor(workers, context, _begin, (news, stopped)) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    task = waiting.pop(0)
                    with _uninterrupted():
                        running[pool.submit(_learn, task, data(task.site))] = task
                for future in listen():
                    task = running.pop(future)
                    try:
                        summary, arrays = future.result()
                    except BrokenProcessPool as error:
                        raise CodeclensError(
                            f"The process that fitted {task.site} was killed, perhaps for lack of "
                            "memory; use fewer workers."
                        ) from error
                    except CodeclensError as error:
                        waiting = [other for other in waiting if other.site != task.site]
                        yield task, error
                        continue
                    tensors = {name: torch.from_numpy(value) for name, value in arrays.items()}
                    yield task, task.method.restore(summary, tensors)
        finally:
            stopped.set()  # if one failed, the others need not finish
            while not all(future.done() for future in running):
                listen()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Processes that are started now ignore Ctrl-C, which this process answers for them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_news: Any = None
_stopped: Any = None


def _begin(news: Any, stopped: Any) -> None:
    """In a new process: use one thread, and keep the queue for progress and the stop signal."""
    global _news, _stopped  # the only way in which an initialiser can pass objects to the calls
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    _news, _stopped = news, stopped


def _learn(task: FitTask, X: Data) -> _Sent:
    def report(site: str, epoch: Epoch) -> None:
        if _stopped.is_set():
            raise CodeclensError("Stopped, because another fit failed.")
        _news.put((site, tuple(epoch)))

    fitted = task.fit(X, report)
    arrays = {name: value.detach().cpu().numpy() for name, value in fitted.tensors().items()}
    return fitted.summary(), arrays
