"""Extraction on a Ray cluster: workers that hold the model make shards, wherever they run."""

from __future__ import annotations

import copy
import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from codeclens.attribution import Attributor
from codeclens.errors import CodeclensError
from codeclens.extraction.computing import Computing
from codeclens.extraction.data import Sample, Samples, read_ahead
from codeclens.extraction.fingerprint import model_fingerprint
from codeclens.extraction.maps import Positions
from codeclens.extraction.shards import ShardMaker
from codeclens.extraction.storage import Place
from codeclens.extraction.writer import ShardWriter

_BATCHES_AHEAD = 2
# What a task of decoding reads from, kept for the next one: a large folder's names take a while.
_held: dict[str, Samples] = {}


@dataclass(frozen=True)
class Job:
    """All that a worker has to know; `samples` is a reference, for tasks of decoding too."""

    to: Place
    metadata: dict[str, Any]
    model: nn.Module | None
    build: Callable[[], nn.Module] | None
    state: dict[str, Tensor]
    options: dict[str, Any]
    method: Any
    samples: Any
    batch_size: int
    strict: bool
    positions: Positions
    computing: Computing
    decoders: int
    device: str
    threads: int
    folder: str

    def restored(self) -> nn.Module:
        """The model, on the worker's device; raises CodeclensError if it is another one."""
        model = self.model
        if model is None:
            assert self.build is not None
            model = self.build()
            try:
                model.load_state_dict(self.state)
            except RuntimeError as error:
                reason = " ".join(str(error).split())
                raise CodeclensError(f"What `build` returns is another model: {reason}") from None
            model.eval()
        # On the CPU, where the state of the first one was read from, too.
        if model_fingerprint(model) != self.metadata["settings"]["model"]:
            raise CodeclensError(
                "The model of a Ray worker is not the one that was passed to extract; give "
                "RayEngine a `build` that makes the same one on every machine."
            )
        return model.to(self.device)


class ShardActor:
    """One worker: it holds the model, and makes one shard after another."""

    def begin(self, job: Job) -> None:
        """Get ready."""
        torch.set_num_threads(job.threads)
        _go_to(job.folder)
        self.job = job
        attributor = Attributor(job.restored(), method=job.method, **job.options)
        samples = _samples(job.samples)
        given = (job.batch_size, job.strict, job.positions, job.computing)
        self.maker = ShardMaker(samples, attributor, *given)
        self.maker.recall(job.metadata["learned"])
        self.writer = ShardWriter(job.to, job.metadata, shared=True)

    def make(self, shard: int) -> set[str]:
        """Compute and write one shard; gives the operations without a rule."""
        layout, shape = self.writer.layout, self.job.metadata["sample_shape"]
        with self.writer.claim(shard), closing(self._stream(layout.rows(shard))) as stream:
            arrays = self.maker.make(layout, shape, stream, shard, lambda count: None)
            self.writer.write(shard, arrays, self.maker.made_by)
        return self.maker.uncovered

    def _stream(self, rows: range) -> Any:
        if self.job.decoders:
            return self._decoded(rows)
        return read_ahead(self.maker.samples, rows, _BATCHES_AHEAD * self.job.batch_size)

    def _decoded(self, rows: range) -> Iterator[Sample]:
        """Samples in order, while tasks elsewhere decode the next batches."""
        ray = the_ray()
        task, pending = ray.remote(num_cpus=1)(decode), deque[Any]()
        for start in range(0, len(rows), self.job.batch_size):
            part = rows[start : start + self.job.batch_size]
            pending.append(task.remote([self.job.samples], self.job.folder, part))
            if len(pending) >= self.job.decoders:
                yield from got(ray, pending.popleft())
        while pending:
            yield from got(ray, pending.popleft())


def decode(holder: list[Any], folder: str, indices: Sequence[int]) -> list[Sample]:
    """Load some samples; the only item of `holder` is the reference to all of them."""
    torch.set_num_threads(1)
    _go_to(folder)
    samples = _samples(holder[0])
    return [samples.load(index) for index in indices]


def the_ray() -> Any:
    """Ray; raises CodeclensError where it is not installed."""
    try:
        return import_module("ray")
    except ImportError:
        raise CodeclensError(
            'engine="ray" needs a package that is not installed: pip install "codeclens[ray]".'
        ) from None


def got(ray: Any, reference: Any) -> Any:
    """What a task returned; what it raised is raised as it was."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, CodeclensError):
            raise CodeclensError(str(cause)) from None
        if isinstance(cause, Exception):
            raise cause from error
        raise


def _samples(reference: Any) -> Samples:
    """What a reference stands for, fetched once in a process."""
    key = reference.hex()
    if key not in _held:
        _held.clear()
        _held[key] = the_ray().get(reference)
    return _held[key]


def _go_to(folder: str) -> None:
    """Let relative paths mean what they mean where the extraction was started."""
    if Path(folder).is_dir():
        os.chdir(folder)


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
