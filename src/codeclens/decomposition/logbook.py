"""Logbooks: the logs and checkpoints of a training, to monitor and resume it."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors import torch as safetensors
from torch import Tensor

from codeclens.errors import CodeclensError, in_one_line, require_number, shortened
from codeclens.files import write_whole
from codeclens.pictures import require_file

FORMAT = "codeclens training"
VERSION = 1


class State(NamedTuple):
    """Tensors by name, and facts that JSON can hold."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def write_checkpoint(file: Path, state: State, run: Mapping[str, Any]) -> None:
    """Write a training's state; `run` identifies the training, in plain values.

    The facts are in the header of the safetensors file, so that there is one file to replace.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.tensors.items()}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "run": dict(run),
        "state": state.facts,
        "sha256": _digest(tensors),
    }
    with _written(f'The checkpoint "{file}"', "the one before is still there"):
        write_whole(file, safetensors.save(tensors, metadata={"codeclens": json.dumps(header)}))


def read_checkpoint(file: Path, run: Mapping[str, Any]) -> State | None:
    """The state in a file, or None where there is no file.

    Raises CodeclensError if the file is damaged or of another training than `run`.
    """
    if not file.exists():
        return None
    try:
        require_file(file)
        with safe_open(os.fspath(file), framework="pt") as content:
            header = json.loads((content.metadata() or {})["codeclens"])
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
        sound = header["format"] == FORMAT and header["sha256"] == _digest(tensors)
        header["version"], dict(header["run"]), dict(header["state"])
    except Exception as error:  # a damaged file raises whatever its readers raise
        raise CodeclensError(
            f'The checkpoint "{file}" cannot be read ({in_one_line(error)}); delete it to start '
            "again."
        ) from error
    if not sound:
        raise CodeclensError(
            f'The checkpoint "{file}" is damaged: its checksum differs; delete it to start again.'
        )
    if header["version"] != VERSION:
        raise CodeclensError(
            f'The checkpoint "{file}" is of version {header["version"]}, and this codeclens reads '
            f"version {VERSION}; delete it to start again."
        )
    # Through JSON and back, like the written one.
    asked = json.loads(json.dumps(dict(run)))
    differing = [name for name in asked if header["run"].get(name) != asked[name]]
    if differing or header["run"].keys() != asked.keys():
        different = "; ".join(
            f"{name} is {shortened(header['run'].get(name))} there and {shortened(asked[name])} "
            "here"
            for name in differing[:3]
        )
        raise CodeclensError(
            f'The checkpoint "{file}" is of another run: {different}; delete it, or write this '
            "run elsewhere."
        )
    return State(tensors, header["state"])


@contextmanager
def _written(what: str, hint: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CodeclensError(
            f"{what} cannot be written: {error.strerror or error}; {hint}."
        ) from error


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        if value.numel():
            digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


@dataclass(frozen=True)
class Logbook:
    """A training's files in a folder: `name.safetensors`, its checkpoint, and `name.jsonl`.

    The checkpoint is replaced after every `every` epochs and at the end. A training that is started
    again with the same data, method and seed resumes from it; its result is bit-identical to that
    of an uninterrupted training. The JSONL file has one line for each epoch: epoch, epochs, loss,
    held-out r2, l0, dead modes and the learning rate. `tensorboard=True` writes the same numbers
    for TensorBoard into the folder `name`, which needs the package tensorboard.

    Raises CodeclensError if the checkpoint is damaged or of another training.

    >>> import tempfile, numpy as np
    >>> from codeclens.decomposition import TopK
    >>> X = np.random.default_rng(0).gamma(0.3, size=(100, 6)).astype(np.float32)
    >>> logbook = Logbook(tempfile.mkdtemp(), "conv1")
    >>> _ = TopK(n_modes=8, k=3, epochs=2).fit(X, logbook=logbook)
    >>> logbook.metrics.read_text().count("r2"), logbook.checkpoint.name
    (2, 'conv1.safetensors')
    """

    folder: str | os.PathLike[str]
    name: str = "training"
    _: KW_ONLY
    every: int = 1
    tensorboard: bool = False

    def __post_init__(self) -> None:
        require_number("Logbook.every", self.every, least=1, whole=True)

    @property
    def checkpoint(self) -> Path:
        """The file with the training's state."""
        return Path(self.folder) / f"{self.name}.safetensors"

    @property
    def metrics(self) -> Path:
        """The file with one line for each epoch."""
        return Path(self.folder) / f"{self.name}.jsonl"

    def read(self, run: Mapping[str, Any]) -> State | None:
        """The state that this run has written, or None."""
        return read_checkpoint(self.checkpoint, run)

    def write(self, state: State, run: Mapping[str, Any]) -> None:
        """Replace the state."""
        write_checkpoint(self.checkpoint, state, run)

    def open(self, history: Sequence[Any], rates: Sequence[float]) -> Pages:
        """Start writing after the finished epochs; later lines of a killed run are removed."""
        return Pages(self, history, rates)


class Pages:
    """An open logbook; the records of epochs are NamedTuples of numbers."""

    def __init__(self, logbook: Logbook, history: Sequence[Any], rates: Sequence[float]) -> None:
        self._file = logbook.metrics
        lines = [line(epoch, rate) for epoch, rate in zip(history, rates, strict=True)]
        with _written(f'The log "{self._file}"', "nothing was trained"):
            write_whole(self._file, "".join(lines))
        self._board = _board(logbook, len(history)) if logbook.tensorboard else None

    def add(self, epoch: Any, rate: float) -> None:
        """Write the record of one epoch."""
        with (
            _written(f'The log "{self._file}"', "the checkpoint before is still there"),
            self._file.open("a", encoding="utf-8") as file,
        ):
            file.write(line(epoch, rate))
        if self._board is not None:
            for name in set(epoch._fields) - {"epoch", "epochs"}:
                self._board.add_scalar(name, getattr(epoch, name), epoch.epoch)
            self._board.add_scalar("learning_rate", rate, epoch.epoch)

    def close(self) -> None:
        """Finish."""
        if self._board is not None:
            self._board.close()


def line(epoch: Any, rate: float) -> str:
    """One epoch as a line of JSON; numbers that are not finite are null.

    >>> from codeclens.decomposition import Epoch
    >>> line(Epoch(epoch=1, epochs=2, loss=0.5, r2=float("nan"), l0=16.0, dead=3), 0.001)[:58]
    '{"epoch": 1, "epochs": 2, "loss": 0.5, "r2": null, "l0": 1'
    """
    facts = {
        name: value if math.isfinite(value) else None
        for name, value in [*epoch._asdict().items(), ("learning_rate", rate)]
    }
    return json.dumps(facts) + "\n"


def _board(logbook: Logbook, done: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise CodeclensError(
            "Logbook(tensorboard=True) needs the package tensorboard: pip install tensorboard, or "
            f'read "{logbook.metrics.name}", which holds the same numbers.'
        ) from error
    # A resumed run hides later epochs that a killed run had written.
    return SummaryWriter(os.fspath(Path(logbook.folder) / logbook.name), purge_step=done + 1)
