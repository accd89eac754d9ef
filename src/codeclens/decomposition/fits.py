"""Fits: many decompositions, one after another or several at a time in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch

from codeclens.decomposition.estimator import Estimator, as_data
from codeclens.decomposition.fitting import Autoencoder
from codeclens.decomposition.logbook import Logbook
from codeclens.decomposition.tables import StoredTable
from codeclens.decomposition.training import Epoch
from codeclens.errors import CodeclensError

Data = np.ndarray[Any, Any] | StoredTable
Told = Callable[[str, Epoch], object]
# What was learned, as `Estimator.restore` takes it, in arrays that go from process to process.
Learned = tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]

CPU = torch.device("cpu")
_SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True)
class Task:
    """One fit: a site with U units, a seed, and the method that stays unfitted itself.

    Autoencoders train on `device`; classical methods are the processor's.
    """

    site: str
    seed: int
    method: Estimator
    n_units: int
    logbook: Logbook | None = None
    device: torch.device = CPU

    def fit(self, X: Data, progress: Callable[[Epoch], object] | None = None) -> Estimator:
        """A clone of the method, fitted; raises CodeclensError that names the site."""
        with named(self.site):
            method = self.method.clone()
            if isinstance(method, Autoencoder):
                here = as_data(X) if isinstance(X, np.ndarray) else X
                return method.fit(
                    here.to(self.device),
                    seed=self.seed,
                    n_units=self.n_units,
                    progress=progress,
                    logbook=self.logbook,
                )
            if isinstance(X, StoredTable):
                raise CodeclensError(
                    f"{method!r} needs all samples in memory; pass in_memory=True."
                )
            return method.fit(X, seed=self.seed, n_units=self.n_units, progress=progress)


def fits(
    tasks: Sequence[Task], data: Callable[[str], Data], workers: int, progress: Told | None
) -> Iterator[tuple[Task, Estimator]]:
    """Each task with its fitted method, as they are done."""
    if min(workers, len(tasks)) > 1:
        yield from _side_by_side(tasks, data, min(workers, len(tasks)), progress)
        return
    for task in tasks:
        yield task, task.fit(data(task.site), _teller(task.site, progress))


def _side_by_side(
    tasks: Sequence[Task], data: Callable[[str], Data], workers: int, progress: Told | None
) -> Iterator[tuple[Task, Estimator]]:
    """Fits in fresh processes, no more of them under way than there are workers."""
    context = get_context("spawn")
    told, stopped = context.SimpleQueue(), context.Event()
    waiting, under_way = list(tasks), dict[Future[Learned], Task]()

    def listen() -> set[Future[Learned]]:
        """Wait a moment, pass on what was told, and say which fits are done."""
        done, _ = wait(under_way, _SECONDS_BETWEEN_LOOKS, FIRST_COMPLETED)
        while not told.empty():
            site, epoch = told.get()
            if progress is not None and not stopped.is_set():
                progress(site, Epoch(*epoch))
        return done

    with ProcessPoolExecutor(workers, context, _begin, (told, stopped)) as pool:
        try:
            while waiting or under_way:
                while waiting and len(under_way) < workers:
                    task = waiting.pop(0)
                    under_way[pool.submit(_learn, task, data(task.site))] = task
                for future in listen():
                    task = under_way.pop(future)
                    summary, arrays = future.result()
                    tensors = {name: torch.from_numpy(value) for name, value in arrays.items()}
                    yield task, task.method.clone().restore(summary, tensors)
        finally:
            stopped.set()  # where one failed, the others need not end what they do
            while not all(future.done() for future in under_way):
                listen()


_told: Any = None
_stopped: Any = None


def _begin(told: Any, stopped: Any) -> None:
    """In a new process: one thread, the way back for news, and the sign to stop."""
    global _told, _stopped  # the only way by which an initialiser can leave something to the calls
    torch.set_num_threads(1)
    _told, _stopped = told, stopped


def _learn(task: Task, X: Data) -> Learned:
    def tell(epoch: Epoch) -> None:
        if _stopped.is_set():
            raise CodeclensError("Stopped, because another fit failed.")
        _told.put((task.site, tuple(epoch)))

    fitted = task.fit(X, tell)
    arrays = {name: value.detach().cpu().numpy() for name, value in fitted.tensors().items()}
    return fitted.summary(), arrays


def _teller(site: str, progress: Told | None) -> Callable[[Epoch], object] | None:
    return None if progress is None else lambda epoch: progress(site, epoch)


@contextmanager
def named(site: str) -> Iterator[None]:
    """Say at which site an error arose."""
    try:
        yield
    except CodeclensError as error:
        raise CodeclensError(f'Site "{site}": {error}') from error
