"""Workers: what runs on the machines of a Ray cluster, each holding the model."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
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
