"""Checkpoints: a training as it stands after an epoch, in one file that is whole or absent."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors
from torch import Tensor

from codeclens.errors import CodeclensError

FORMAT = "codeclens training"
VERSION = 1


class State(NamedTuple):
    """Tensors by name, and facts that JSON can hold."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def write_checkpoint(file: Path, state: State, run: Mapping[str, Any]) -> None:
    """Write a training's state; `run` says which training it is, in plain values.

    The facts lie in the header of the safetensors file, so that there is one file to replace.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.tensors.items()}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "run": dict(run),
        "state": state.facts,
        "sha256": _digest(tensors),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(file.name + ".part")
    try:
        packed = safetensors.save(tensors, metadata={"codeclens": json.dumps(header)})
        beside.write_bytes(packed)
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise CodeclensError(
            f'The checkpoint "{file}" cannot be written: {error.strerror or error}; the one before '
            "is still there."
        ) from error


def read_checkpoint(file: Path, run: Mapping[str, Any]) -> State | None:
    """The state in a file, or None where there is no file.

    Raises CodeclensError where the file is damaged or belongs to another training than `run`.
    """
    if not file.exists():
        return None
    try:
        with safe_open(os.fspath(file), framework="pt") as content:
            header = json.loads((content.metadata() or {})["codeclens"])
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
        sound = header["format"] == FORMAT and header["sha256"] == _digest(tensors)
    except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise CodeclensError(
            f'The checkpoint "{file}" cannot be read ({reason}); delete it to start again.'
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
    # Through JSON and back, as the written one went.
    asked = json.loads(json.dumps(dict(run)))
    differing = [name for name in asked if header["run"].get(name) != asked[name]]
    if differing or header["run"].keys() != asked.keys():
        told = "; ".join(
            f"{name} is {header['run'].get(name)!r} there and {asked[name]!r} here"
            for name in differing[:3]
        )
        raise CodeclensError(
            f'The checkpoint "{file}" belongs to another run: {told}; delete it, or write this '
            "run elsewhere."
        )
    return State(tensors, header["state"])


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        if value.numel():
            digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
