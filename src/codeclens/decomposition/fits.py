"""Fits: many decompositions, one after another or several at a time in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from codeclens.decomposition import together
from codeclens.decomposition.estimator import Estimator, as_data
from codeclens.decomposition.fitting import Autoencoder, Preparation
from codeclens.decomposition.logbook import Logbook
from codeclens.decomposition.matrices import StoredTable
from codeclens.decomposition.stability import halves
from codeclens.decomposition.training import Epoch, named
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

    Autoencoders train on `device`; classical methods are the processor's. Of all samples only the
    `half`, 0 or 1, is seen, where one is given.
    """

    site: str
    seed: int
    method: Estimator
    n_units: int
    logbook: Logbook | None = None
    device: torch.device = CPU
    half: int | None = None

    def fit(self, X: Data, progress: Callable[[Epoch], object] | None = None) -> Estimator:
        """A clone of the method, fitted; raises CodeclensError that names the site."""
        with named(self.site):
            method = self.method.clone()
            if isinstance(method, Autoencoder):
                return method.fit(
                    self.here(X),
                    seed=self.seed,
                    n_units=self.n_units,
                    progress=progress,
                    logbook=self.logbook,
                )
            if isinstance(X, StoredTable):
                raise CodeclensError(
                    f"{method!r} needs all samples in memory; pass in_memory=True."
                )
            mine = self._mine(X)
            return method.fit(mine, seed=self.seed, n_units=self.n_units, progress=progress)

    def here(self, X: Data) -> Tensor | StoredTable:
        """The data that this task sees, on its device."""
        mine = self._mine(X)
        return (as_data(mine) if isinstance(mine, np.ndarray) else mine).to(self.device)

    def prepare(self, X: Data) -> tuple[Autoencoder, Preparation]:
        """A clone of the autoencoder, and all that its training starts from."""
        method = self.method.clone()
        assert isinstance(method, Autoencoder)
        with named(self.site):
            return method, Preparation.of(method, self.here(X), self.seed, self.n_units)

    @overload
    def _mine(self, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]: ...
    @overload
    def _mine(self, X: StoredTable) -> StoredTable: ...
    def _mine(self, X: Data) -> Data:
        if self.half is None:
            return X
        rows = halves(len(X), self.seed)[self.half]
        return X.of(rows) if isinstance(X, StoredTable) else X[rows]


Group = Sequence[Task]


def grouped(
    tasks: Sequence[Task], samples: int, columns: Callable[[str], int], workers: int = 1
) -> list[Group]:
    """The tasks in groups whose networks can share their steps, and are faster so.

    Groups hold tasks of one method and shape, without a logbook, and leave work for all `workers`.
    """
    alike: dict[tuple[object, ...], list[Task]] = {}
    for task in tasks:
        width, modes = columns(task.site), task.method.modes_for(task.n_units)
        alone = (
            not isinstance(task.method, Autoencoder)
            or task.logbook is not None
            or task.device.type != "cpu"  # where it pays was measured on processors alone
            or not together.pays(modes, width)
        )
        key = (id(task),) if alone else (id(task.method), task.n_units, width, task.half)
        alike.setdefault(key, []).append(task)
    groups: list[Group] = []
    for same in alike.values():
        most = together.most(samples, columns(same[0].site))
        size = min(most, -(-len(same) // workers))
        groups += [same[start : start + size] for start in range(0, len(same), size)]
    return groups


def fit_group(group: Group, data: Sequence[Data], progress: Told | None = None) -> list[Estimator]:
    """Fit all tasks of a group, in the same steps where their networks allow it."""
    tell = progress or (lambda site, epoch: None)
    if len(group) > 1 and not any(isinstance(X, StoredTable) for X in data):
        ready = [task.prepare(X) for task, X in zip(group, data, strict=True)]
        if together.fits_together([trained for _, trained in ready]):
            sites = [task.site for task in group]
            histories = together.train_together([one for _, one in ready], sites, tell)
            fitted: list[Estimator] = []
            for site, (method, trained), history in zip(sites, ready, histories, strict=True):
                with named(site):
                    fitted.append(method.complete(trained, history))
            return fitted
    return [task.fit(X, partial(tell, task.site)) for task, X in zip(group, data, strict=True)]


def fits(
    groups: Sequence[Group], data: Callable[[str], Data], workers: int, progress: Told | None
) -> Iterator[tuple[Task, Estimator]]:
    """Each task with its fitted method, as they are done."""
    if min(workers, len(groups)) > 1:
        yield from _side_by_side(groups, data, min(workers, len(groups)), progress)
        return
    for group in groups:
        yield from zip(group, fit_group(group, _all(group, data), progress), strict=True)


def _all(group: Group, data: Callable[[str], Data]) -> list[Data]:
    """The data of each task; those of one site once."""
    found = {task.site: data(task.site) for task in group}
    return [found[task.site] for task in group]


def _side_by_side(
    groups: Sequence[Group], data: Callable[[str], Data], workers: int, progress: Told | None
) -> Iterator[tuple[Task, Estimator]]:
    """Fits in fresh processes, no more of them under way than there are workers."""
    context = get_context("spawn")
    told, stopped = context.SimpleQueue(), context.Event()
    waiting, under_way = list(groups), dict[Future[list[Learned]], Group]()

    def listen() -> set[Future[list[Learned]]]:
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
                    group = waiting.pop(0)
                    under_way[pool.submit(_learn, group, _all(group, data))] = group
                for future in listen():
                    group = under_way.pop(future)
                    for task, (summary, arrays) in zip(group, future.result(), strict=True):
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


def _learn(group: Group, data: Sequence[Data]) -> list[Learned]:
    def tell(site: str, epoch: Epoch) -> None:
        if _stopped.is_set():
            raise CodeclensError("Stopped, because another fit failed.")
        _told.put((site, tuple(epoch)))

    learned = []
    for fitted in fit_group(group, data, tell):
        arrays = {name: value.detach().cpu().numpy() for name, value in fitted.tensors().items()}
        learned.append((fitted.summary(), arrays))
    return learned
