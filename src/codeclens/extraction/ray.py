"""Extraction on a Ray cluster: each worker holds the model and computes shards."""

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
from codeclens.errors import CodeclensError, require_number
from codeclens.extraction.data import Sample, SampleSource, read_ahead
from codeclens.extraction.fingerprint import model_fingerprint
from codeclens.extraction.shards import ShardMaker, ShardOptions
from codeclens.extraction.storage import Location
from codeclens.extraction.writer import ShardWriter

_log = logging.getLogger(__name__)
_SECONDS_BETWEEN_REPORTS = 60.0
# The source of a decoding task, kept for the next one: the names in a large folder take a while.
_cached: dict[str, SampleSource] = {}


@dataclass(frozen=True)
class WorkerSetup:
    """Everything that a worker needs; `samples` is a Ray reference, used by decoding tasks too."""

    to: Location
    metadata: dict[str, Any]
    model: nn.Module | None
    build: Callable[[], nn.Module] | None
    state: dict[str, Tensor]
    attribution: dict[str, Any]
    samples: Any
    options: ShardOptions
    decoders: int
    device: str
    threads: int
    folder: str

    def restored(self) -> nn.Module:
        """The model on the worker's device; raises CodeclensError if it is a different model."""
        model = self.model
        if model is None:
            assert self.build is not None
            model = self.build()
            try:
                model.load_state_dict(self.state)
            except RuntimeError as error:
                reason = " ".join(str(error).split())
                raise CodeclensError(f"`build` returns a different model: {reason}") from None
            model.eval()
        # Compared on the CPU, as the fingerprint of the caller's model was.
        if model_fingerprint(model) != self.metadata["settings"]["model"]:
            raise CodeclensError(
                "The model of a Ray worker differs from the model passed to extract; give "
                "RayEngine a `build` that makes the same model on every machine."
            )
        return model.to(self.device)


class ShardActor:
    """A worker: it holds the model and computes one shard after another."""

    def begin(self, setup: WorkerSetup) -> None:
        """Prepare the model, the data and the writer."""
        torch.set_num_threads(setup.threads)
        _change_folder(setup.folder)
        self.setup = setup
        attributor = Attributor(setup.restored(), **setup.attribution)
        self.maker = ShardMaker(_samples(setup.samples), attributor, setup.options)
        self.maker.resume(setup.metadata["learned"])
        self.writer = ShardWriter(setup.to, setup.metadata, shared=True)

    def make(self, shard: int) -> set[str]:
        """Compute and write one shard; returns the operations without a rule."""
        layout, shape = self.writer.layout, self.setup.metadata["sample_shape"]
        with self.writer.claim(shard), closing(self._stream(layout.rows(shard))) as stream:
            arrays = self.maker.make(layout, shape, stream, shard, lambda count: None)
            self.writer.write(shard, arrays, self.maker.made_by)
        return self.maker.uncovered

    def _stream(self, rows: range) -> Any:
        if self.setup.decoders:
            return self._decoded(rows)
        return read_ahead(self.maker.samples, rows, self.setup.options.samples_ahead)

    def _decoded(self, rows: range) -> Iterator[Sample]:
        """Samples in order, while tasks anywhere in the cluster decode the next batches."""
        ray, size = the_ray(), self.setup.options.batch_size
        task, pending = ray.remote(num_cpus=1)(decode), deque[Any]()
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            pending.append(task.remote([self.setup.samples], self.setup.folder, part))
            if len(pending) >= self.setup.decoders:
                yield from result_of(ray, pending.popleft())
        while pending:
            yield from result_of(ray, pending.popleft())


def decode(holder: list[Any], folder: str, indices: Sequence[int]) -> list[Sample]:
    """Load some samples; the only item of `holder` is the reference to their source."""
    torch.set_num_threads(1)
    _change_folder(folder)
    samples = _samples(holder[0])
    return [samples.load(index) for index in indices]


def the_ray() -> Any:
    """The module `ray`; raises CodeclensError if it is not installed."""
    try:
        return import_module("ray")
    except ImportError:
        raise CodeclensError(
            'engine="ray" needs a package that is not installed: pip install "codeclens[ray]".'
        ) from None


def result_of(ray: Any, reference: Any) -> Any:
    """The result of a task; its own exception is raised unchanged."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, CodeclensError):
            raise CodeclensError(str(cause)) from None
        if isinstance(cause, Exception):
            raise cause from error
        raise


def _samples(reference: Any) -> SampleSource:
    """The source of a reference, fetched once by each process."""
    key = reference.hex()
    if key not in _cached:
        _cached.clear()
        _cached[key] = the_ray().get(reference)
    return _cached[key]


def _change_folder(folder: str) -> None:
    """Resolve relative paths as in the process that started the extraction."""
    if Path(folder).is_dir():
        os.chdir(folder)


@dataclass(frozen=True)
class RayEngine:
    """Options of `extract` on a Ray cluster; `engine="ray"` uses the defaults.

    Each of `workers` (by default as many as fit into the cluster) holds the model, has `cpus` CPUs
    and `gpus` GPUs, and computes one shard at a time, on the GPU if it has one. Threads of the
    worker read and decode the samples, or, with `decoders`, that many tasks of one batch each
    anywhere in the cluster. If a worker dies, its shard is computed again, at most `retries` times.
    `address` is the address of the cluster; by default it is read from the environment, or a
    cluster is started on this machine.

    Ray sends the model to the workers. With `build`, a function that the workers can import, they
    call it instead and load the model's state into the result. All workers must find the data and
    the store at the same path or address. Raises CodeclensError for numbers out of range.

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
        for name in ("workers", "cpus", "gpus", "decoders", "retries"):
            if (value := getattr(self, name)) is not None:
                require_number(name, value, least=1 if name == "workers" else 0)

    def make(
        self,
        writer: ShardWriter,
        maker: ShardMaker,
        missing: Sequence[int],
        advance: Callable[[int], None],
    ) -> set[str]:
        """Compute the `missing` shards of a store whose metadata are written.

        Returns the operations for which the method has no rule. Raises CodeclensError for errors
        in model, data or store, for a cluster that is too small, and for a shard that failed more
        than `retries` times.
        """
        if not missing:
            return set()
        ray = the_ray()
        with _connected(ray, self.address):
            size = self._size(ray, len(missing))
            setup = ray.put(self._setup(ray, writer, maker))
            with closing(_WorkerPool(ray, self, setup, size)) as pool:
                return pool.make(missing, lambda s: advance(len(writer.layout.rows(s))))

    def _size(self, ray: Any, shards: int) -> int:
        """The number of workers."""
        there = ray.cluster_resources()
        cpus, gpus = there.get("CPU", 0), there.get("GPU", 0)
        # Keep a CPU for decoding; else workers take all CPUs and wait forever for their samples.
        kept = 1 if self.decoders else 0
        room = min(
            cpus // (self.cpus + self.decoders) if self.cpus + self.decoders else shards,
            gpus // self.gpus if self.gpus else shards,
        )
        size = min(shards, int(room) if self.workers is None else self.workers)
        if size < 1 or (kept and size * self.cpus + kept > cpus):
            raise CodeclensError(
                f"The cluster has {cpus:g} CPUs and {gpus:g} GPUs, too few for {max(size, 1)} "
                f"workers of {self}; ask for fewer or smaller workers, or for no decoders."
            )
        return size

    def _setup(self, ray: Any, writer: ShardWriter, maker: ShardMaker) -> WorkerSetup:
        names = ("sites", "method", "target", "baseline", "output", "reduce")
        path = writer.path
        return WorkerSetup(
            to=path.absolute() if isinstance(path, Path) else path,
            metadata=writer.metadata,
            model=_on_cpu(maker.model) if self.build is None else None,
            build=self.build,
            state=_state(maker.model) if self.build is not None else {},
            attribution={name: getattr(maker.attributor, name) for name in names},
            samples=ray.put(maker.samples),
            options=maker.options,
            decoders=self.decoders,
            device="cuda" if self.gpus else "cpu",
            threads=max(1, int(self.cpus)),
            folder=str(Path.cwd()),
        )


class _WorkerPool:
    """The workers of one extraction; a worker that dies is replaced."""

    def __init__(self, ray: Any, engine: RayEngine, setup: Any, size: int) -> None:
        self.ray = ray
        self.engine = engine
        self.setup = setup
        options = {"num_cpus": engine.cpus, "num_gpus": engine.gpus, "max_restarts": 0}
        self._actor = ray.remote(ShardActor).options(**options)
        # By pending task: the worker and its shard, or None while it prepares.
        self._busy: dict[Any, tuple[Any, int | None]] = {}
        self._failed: Counter[int | None] = Counter()
        for _ in range(size):
            self._start_worker()

    def make(self, missing: Sequence[int], done: Callable[[int], None]) -> set[str]:
        """Compute the shards; each free worker takes the next one."""
        waiting, uncovered = deque(missing), set[str]()
        # Do not wait for workers that still prepare once all shards are done.
        while waiting or any(shard is not None for _, shard in self._busy.values()):
            ready, _ = self.ray.wait(list(self._busy), timeout=_SECONDS_BETWEEN_REPORTS)
            if not ready:
                _log.info("%d shards wait, %d workers are busy", len(waiting), len(self._busy))
                continue
            worker, shard = self._busy.pop(ready[0])
            try:
                found = result_of(self.ray, ready[0])
            except (self.ray.exceptions.RayError, OSError, MemoryError) as error:
                self._count_failure(shard, error)
                if shard is not None:
                    waiting.appendleft(shard)
                self.ray.kill(worker)
                self._start_worker()
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
        """Stop all workers."""
        for worker, _ in self._busy.values():
            self.ray.kill(worker)
        self._busy.clear()

    def _start_worker(self) -> None:
        worker = self._actor.remote()
        self._busy[worker.begin.remote(self.setup)] = worker, None

    def _count_failure(self, shard: int | None, error: Exception) -> None:
        what = "Preparing a worker" if shard is None else f"Shard {shard}"
        reason = " ".join(str(error).split())
        self._failed[shard] += 1
        times = self._failed[shard]
        if times > self.engine.retries:
            raise CodeclensError(
                f"{what} failed {times} times on the Ray cluster (last: {reason[:300]}); finished "
                "shards are kept, and running the same again resumes from there."
            ) from error
        _log.warning("%s failed (%s) and is tried again.", what, reason[:300])


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """Connect to a cluster: the current one, the one at `address`, or a new one on this machine."""
    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS")
    local = {} if address else {"include_dashboard": False}
    ray.init(address=address, log_to_driver=False, logging_level="ERROR", **local)
    try:
        yield
    finally:
        ray.shutdown()


def _on_cpu(model: nn.Module) -> nn.Module:
    """The model on the CPU, for machines without its device; a copy if it is elsewhere."""
    tensors = [*model.parameters(), *model.buffers()]
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return model
    return copy.deepcopy(model).cpu()


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu() for name, value in model.state_dict().items()}
