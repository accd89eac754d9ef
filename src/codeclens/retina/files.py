"""Fitted models on disk: weights as safetensors, the rest as JSON, nothing that could run."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import nn

from codeclens.errors import CodeclensError
from codeclens.retina.cascades import LN, LNK, LNLN
from codeclens.retina.networks import RetinaCNN
from codeclens.retina.response import ResponseModel

FORMAT = "codeclens response model"
VERSION = 1
MODELS: dict[str, type[Any]] = {kind.__name__: kind for kind in (RetinaCNN, LN, LNLN, LNK)}


def save_model(
    model: ResponseModel,
    path: str | os.PathLike[str],
    *,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Write `path.safetensors` and `path.json`; `about` is plain values to keep beside it.

    Raises CodeclensError for models of other kinds than this package makes.

    >>> import tempfile
    >>> cnn = RetinaCNN(["on"], rate=100.0, pixel=50.0, unit="um", size=(8, 8), kernels=(3, 3))
    >>> place = save_model(cnn, tempfile.mkdtemp() + "/cnn")
    >>> load_model(place).cells
    ('on',)
    """
    name = type(model).__name__
    if MODELS.get(name) is not type(model):
        raise CodeclensError(
            f"A {name} cannot be written as a fitted model; those that can are {', '.join(MODELS)}."
        )
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    packed = safetensors.save(state)
    front = getattr(model, "front", None)
    facts = {
        "format": FORMAT,
        "version": VERSION,
        "model": name,
        "config": model.config(),
        "front": None if front is None else type(front).__name__,
        "about": dict(about or {}),
        "sha256": hashlib.sha256(packed).hexdigest(),
    }
    try:
        text = json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CodeclensError(f"`about` holds something that JSON cannot: {error}.") from error
    tensor_file, fact_file = _paths(path)
    tensor_file.parent.mkdir(parents=True, exist_ok=True)
    tensor_file.write_bytes(packed)
    fact_file.write_text(text, encoding="utf-8")
    return tensor_file


def load_model(path: str | os.PathLike[str], *, front: nn.Module | None = None) -> ResponseModel:
    """Read what `save_model` wrote, in evaluation mode.

    A model with a front needs one of the same kind, `front`, to which its weights are given.
    Raises CodeclensError where a file is missing, damaged or of another kind.

    >>> load_model("nowhere")
    Traceback (most recent call last):
    codeclens.errors.CodeclensError: There is no model at "nowhere.json".
    """
    tensor_file, fact_file = _paths(path)
    facts = _facts(fact_file)
    try:
        packed = tensor_file.read_bytes()
    except FileNotFoundError as error:
        raise CodeclensError(f'"{tensor_file}" is missing beside "{fact_file.name}".') from error
    if hashlib.sha256(packed).hexdigest() != facts.get("sha256"):
        raise CodeclensError(f'"{tensor_file}" is damaged, or belongs to another JSON file.')
    given = None if front is None else type(front).__name__
    if given != facts.get("front"):
        raise CodeclensError(
            f'The model in "{fact_file}" has the front {facts.get("front")}, not {given}; pass '
            "front= as it was."
        )
    kind = MODELS.get(facts.get("model", ""))
    if kind is None:
        raise CodeclensError(
            f'"{fact_file}" holds a {facts.get("model")}, which is not known here.'
        )
    try:
        with_front = {} if front is None else {"front": front}
        model: ResponseModel = kind(**facts["config"], **with_front)
        state = safetensors.load(packed)
        # The weights say in which precision the model was.
        floating = next(value.dtype for value in state.values() if value.is_floating_point())
        model.to(floating).load_state_dict(state)
    except (KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise CodeclensError(f'"{fact_file}" does not describe a model: {reason}.') from error
    return model.eval()


def _facts(file: Path) -> dict[str, Any]:
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CodeclensError(f'There is no model at "{file}".') from error
    except ValueError as error:
        raise CodeclensError(f'"{file}" is no JSON: {error}.') from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise CodeclensError(f'"{file}" does not describe a response model.')
    if facts.get("version") != VERSION:
        raise CodeclensError(
            f'"{file}" is of version {facts.get("version")}, and this codeclens reads version '
            f"{VERSION}; use the codeclens that wrote it."
        )
    return facts


def _paths(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    base = os.fspath(path).removesuffix(".safetensors").removesuffix(".json")
    return Path(f"{base}.safetensors"), Path(f"{base}.json")
