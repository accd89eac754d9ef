"""Extraction on a Ray cluster: workers that hold the model make shards, wherever they run."""

from __future__ import annotations

import copy
import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from codeclens.errors import CodeclensError
from codeclens.extraction.shards import ShardMaker
from codeclens.extraction.worker import Job, ShardActor, got, the_ray
from codeclens.extraction.writer import ShardWriter

_log = logging.getLogger(__name__)
_SECONDS_BEFORE_WORD = 60.0


@dataclass(frozen=True)
class RayEngine:
    """How `extract` works on a Ray cluster: `engine="ray"` with other options than the usual.

    Each of `workers` (as many as the cluster has room for) holds the model, has `cpus` CPUs and
    `gpus` GPUs, and makes one shard at a time; with a GPU it computes there. Samples are read and
    decoded by threads of the worker, or, `decoders` batches at a time, by tasks anywhere in the
    cluster. A shard whose worker died is made again, `retries` times at most. `address` is that of
    a cluster; by default that of the environment, else one is started on this machine.

    The model goes to the workers by Ray's own means, or they call `build`, a function that can be
    imported there, and load the model's state into what it returns. All of them must see the data
    and the store under the same path or address. Raises CodeclensError for numbers that make no
    sense.

    >>> RayEngine(workers=4, cpus=2).retries
    3
    """

    workers: int | None = None
    cpus: float = 1
    gpus: float = 0
    decoders: int = 0
    retries: int = 3
    build: Callable[[], nn.Module] | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        low = {"workers": 1, "cpus": 0, "gpus": 0, "decoders": 0, "retries": 0}
        for name, least in low.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise CodeclensError(f"RayEngine({name}={value}) should be at least {least}.")

    def make(
        self,
        writer: ShardWriter,
        maker: ShardMaker,
        missing: Sequence[int],
        advance: Callable[[int], None],
    ) -> set[str]:
        """Make the `missing` shards of a store whose metadata are written.

        Gives the operations for which the method had no rule. Raises CodeclensError for whatever
        is wrong with model, data or store, for a cluster without room, and for a shard that killed
        its workers again and again.
        """
        if not missing:
            return set()
        ray = the_ray()
        with _connected(ray, self.address):
            size = self._size(ray, len(missing))
            job = ray.put(self._job(ray, writer, maker))
            with closing(_Crew(ray, self, job, size)) as crew:
                return crew.make(missing, lambda s: advance(len(writer.layout.rows(s))))

    def _size(self, ray: Any, shards: int) -> int:
        """How many workers there will be."""
        there = ray.cluster_resources()
        cpus, gpus = there.get("CPU", 0), there.get("GPU", 0)
        # Without this, workers could take all CPUs and wait for ever for what they had decoded.
        kept = 1 if self.decoders else 0
        room = min(
            cpus // (self.cpus + self.decoders) if self.cpus + self.decoders else shards,
            gpus // self.gpus if self.gpus else shards,
        )
        size = min(shards, int(room) if self.workers is None else self.workers)
        if size < 1 or (kept and size * self.cpus + kept > cpus):
            raise CodeclensError(
                f"The cluster has {cpus:g} CPUs and {gpus:g} GPUs, too few for {max(size, 1)} "
                f"workers of {self}; ask for less, or for no decoders."
            )
        return size

    def _job(self, ray: Any, writer: ShardWriter, maker: ShardMaker) -> Job:
        attributor = maker.attributor
        names = ("sites", "target", "baseline", "output", "reduce")
        path = writer.path
        return Job(
            to=path.absolute() if isinstance(path, Path) else path,
            metadata=writer.metadata,
            model=_at_home(maker.model) if self.build is None else None,
            build=self.build,
            state=_state(maker.model) if self.build is not None else {},
            options={name: getattr(attributor, name) for name in names},
            method=attributor.method,
            samples=ray.put(maker.samples),
            batch_size=maker.batch_size,
            strict=maker.strict,
            positions=maker.positions,
            computing=maker.computing,
            decoders=self.decoders,
            device="cuda" if self.gpus else "cpu",
            threads=max(1, int(self.cpus)),
            folder=str(Path.cwd()),
        )


class _Crew:
    """Workers of one extraction, replaced when they die."""

    def __init__(self, ray: Any, engine: RayEngine, job: Any, size: int) -> None:
        self.ray = ray
        self.engine = engine
        self.job = job
        options = {"num_cpus": engine.cpus, "num_gpus": engine.gpus, "max_restarts": 0}
        self._kind = ray.remote(ShardActor).options(**options)
        # What each worker is at: a shard, or None while it gets ready.
        self._busy: dict[Any, tuple[Any, int | None]] = {}
        self._failed: Counter[int | None] = Counter()
        for _ in range(size):
            self._hire()

    def make(self, missing: Sequence[int], done: Callable[[int], None]) -> set[str]:
        """Have the shards made, whoever is free taking the next one."""
        waiting, uncovered = deque(missing), set[str]()
        # A worker that has no place yet is not waited for while others work.
        while waiting or any(shard is not None for _, shard in self._busy.values()):
            ready, _ = self.ray.wait(list(self._busy), timeout=_SECONDS_BEFORE_WORD)
            if not ready:
                _log.info("%d shards wait, %d workers are busy", len(waiting), len(self._busy))
                continue
            worker, shard = self._busy.pop(ready[0])
            try:
                found = got(self.ray, ready[0])
            except (self.ray.exceptions.RayError, OSError, MemoryError) as error:
                self._count(shard, error)
                if shard is not None:
                    waiting.appendleft(shard)
                self.ray.kill(worker)
                self._hire()
                continue
            self._failed.pop(shard, None)
            if shard is not None:
                uncovered |= found
                done(shard)
            if waiting:
                following = waiting.popleft()
                self._busy[worker.make.remote(following)] = worker, following
            else:
                self.ray.kill(worker)
        return uncovered

    def close(self) -> None:
        """Send everybody away."""
        for worker, _ in self._busy.values():
            self.ray.kill(worker)
        self._busy.clear()

    def _hire(self) -> None:
        worker = self._kind.remote()
        self._busy[worker.begin.remote(self.job)] = worker, None

    def _count(self, shard: int | None, error: Exception) -> None:
        what = "Getting a worker ready" if shard is None else f"Shard {shard}"
        reason = " ".join(str(error).split())
        self._failed[shard] += 1
        times = self._failed[shard]
        if times > self.engine.retries:
            raise CodeclensError(
                f"{what} failed {times} times on the Ray cluster (last: {reason[:300]}); finished "
                "shards are kept, and the same run again goes on from there."
            ) from error
        _log.warning("%s failed (%s); it is tried again.", what, reason[:300])


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """Be in a cluster: the one that this process is in, the one asked for, or a new one here."""
    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS")
    here = {} if address else {"include_dashboard": False}
    ray.init(address=address, log_to_driver=False, logging_level="ERROR", **here)
    try:
        yield
    finally:
        ray.shutdown()


def _at_home(model: nn.Module) -> nn.Module:
    """The model on the CPU, for machines that may have no other device."""
    tensors = [*model.parameters(), *model.buffers()]
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return model
    return copy.deepcopy(model).cpu()


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu() for name, value in model.state_dict().items()}
