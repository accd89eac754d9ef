"""Pairs of files: tensors as safetensors and facts as JSON, with a checksum that links them."""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import torch as safetensors
from torch import Tensor

from codeclens.errors import CodeclensError, as_sentence
from codeclens.files import at_home, replaced
from codeclens.pictures import require_file


@dataclass(frozen=True)
class Kind:
    """A kind of pair: its format and version in the JSON, and its name in errors.

    Files of the `older` versions are read too.
    """

    format: str
    version: int
    what: str
    older: tuple[int, ...] = ()

    def facts(self, file: Path) -> dict[str, Any]:
        """The JSON of such a pair; raises CodeclensError if it is missing or of another kind."""
        if not os.path.lexists(file):
            raise CodeclensError(f'There is no "{file}" that describes {self.what}.')
        with as_sentence(f'"{file}" cannot be read as JSON'):
            require_file(file)
            facts = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(facts, dict) or facts.get("format") != self.format:
            raise CodeclensError(f'"{file}" does not describe {self.what}.')
        if facts.get("version") not in (self.version, *self.older):
            raise CodeclensError(
                f'"{file}" is of version {facts.get("version")}, and this codeclens reads version '
                f"{self.version}; use the codeclens that wrote it."
            )
        return facts


def write_pair(
    path: str | os.PathLike[str],
    kind: Kind,
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, Any],
) -> Path:
    """Write `path.safetensors` and `path.json`; the JSON comes last and holds a checksum.

    Raises CodeclensError for facts that JSON cannot hold. Each file is written atomically.
    """
    packed = safetensors.save({name: value.clone().contiguous() for name, value in tensors.items()})
    content = {
        "format": kind.format,
        "version": kind.version,
        **facts,
        "sha256": hashlib.sha256(packed).hexdigest(),
    }
    try:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CodeclensError(
            f'"{path}" would hold, with {kind.what}, something that JSON cannot hold: {error}; '
            "use only text, finite numbers, lists and dicts."
        ) from error
    tensor_file, fact_file = paths(path)
    # Both are complete before either is moved: a kill between the moves is mended when reading.
    with replaced(fact_file) as facts_part, replaced(tensor_file) as tensors_part:
        facts_part.write_bytes(text.encode())
        tensors_part.write_bytes(packed)
    return tensor_file


def read_pair(
    path: str | os.PathLike[str], kind: Kind
) -> tuple[dict[str, Any], dict[str, Tensor], Path]:
    """What `write_pair` wrote: facts, tensors, and the path of the JSON for errors.

    Raises CodeclensError if a file is missing, damaged or of another kind.
    """
    tensor_file, fact_file = paths(path)
    facts = kind.facts(fact_file)
    if not os.path.lexists(tensor_file):
        raise CodeclensError(f'"{tensor_file}" is missing, but "{fact_file.name}" exists.')
    with as_sentence(f'"{tensor_file}" cannot be read'):
        require_file(tensor_file)
        packed = tensor_file.read_bytes()
    checksum = hashlib.sha256(packed).hexdigest()
    if checksum != facts.get("sha256"):
        facts = _unmoved(fact_file, kind, checksum) or facts
    if checksum != facts.get("sha256"):
        raise CodeclensError(
            f'"{tensor_file}" is damaged, or was not written with "{fact_file.name}"; '
            f"save {kind.what} again."
        )
    with as_sentence(f'"{tensor_file}" holds no tensors'):
        return facts, safetensors.load(packed), fact_file


def paths(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """The two files of a pair; its name may be given with the ending of either."""
    # Sites have dots in their names: endings are added, never replaced.
    base = os.fspath(at_home(path)).removesuffix(".safetensors").removesuffix(".json")
    return Path(f"{base}.safetensors"), Path(f"{base}.json")


def _unmoved(fact_file: Path, kind: Kind, checksum: str) -> dict[str, Any] | None:
    """The facts of a pair whose writing was killed after its tensors were moved."""
    for part in sorted(fact_file.parent.glob(f".{glob.escape(fact_file.name)}.*.part")):
        try:
            facts = kind.facts(part)
        except CodeclensError:
            continue
        if facts.get("sha256") == checksum:
            return facts
    return None


def smaller(value: Tensor) -> Tensor:
    """A tensor of the smallest type that a compact file has for it: half, int16, int32 or int64."""
    if value.dtype is torch.float32:
        half = value.half()
        return half if bool(torch.isfinite(half).all()) else value
    if value.dtype is not torch.int64:
        return value
    for dtype in (torch.int16, torch.int32):
        range_ = torch.iinfo(dtype)
        if not len(value) or (value.min() >= range_.min and value.max() <= range_.max):
            return value.to(dtype)
    return value


def larger(value: Tensor) -> Tensor:
    """The tensor that a compact file was made from, but for rounding."""
    if value.dtype is torch.float16:
        return value.float()
    return value.long() if value.dtype in (torch.int16, torch.int32) else value
