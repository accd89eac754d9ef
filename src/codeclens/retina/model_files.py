"""Files of fitted models: weights as safetensors, the configuration as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from torch import nn

from codeclens.decomposition.pairs import Kind, read_pair, write_pair
from codeclens.errors import CodeclensError
from codeclens.retina.cascades import LN, LNK, LNLN
from codeclens.retina.cnn import RetinaCNN
from codeclens.retina.photoreceptors import Photoreceptors
from codeclens.retina.response import ResponseModel

KIND = Kind("codeclens response model", 1, "a response model")
MODELS: dict[str, type[Any]] = {kind.__name__: kind for kind in (RetinaCNN, LN, LNLN, LNK)}


def save_model(
    model: ResponseModel,
    path: str | os.PathLike[str],
    *,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Write `path.safetensors` and `path.json`; `about` are plain values to keep with the model.

    Raises CodeclensError for models of other classes than this package fits.

    >>> import tempfile
    >>> cnn = RetinaCNN(["on"], rate=100.0, pixel=50.0, unit="um", size=(8, 8), kernels=(3, 3))
    >>> place = save_model(cnn, tempfile.mkdtemp() + "/cnn")
    >>> load_model(place).cells
    ('on',)
    """
    name = type(model).__name__
    if MODELS.get(name) is not type(model):
        raise CodeclensError(f"A {name} cannot be saved; models of {', '.join(MODELS)} can.")
    front = getattr(model, "front", None)
    facts = {
        "model": name,
        "config": model.config(),
        "front": None if front is None else type(front).__name__,
        "about": dict(about or {}),
    }
    state = {key: value.detach().cpu() for key, value in model.state_dict().items()}
    return write_pair(path, KIND, state, facts)


def load_model(path: str | os.PathLike[str], *, front: nn.Module | None = None) -> ResponseModel:
    """Read a model that `save_model` wrote, in evaluation mode.

    A model with a front needs one of the same class, `front`, which receives the saved weights.
    Raises CodeclensError where a file is missing, damaged or of another kind.

    >>> load_model("nowhere")
    Traceback (most recent call last):
    codeclens.errors.CodeclensError: There is no "nowhere.json" that describes a response model.
    """
    facts, state, fact_file = read_pair(path, KIND)
    given = None if front is None else type(front).__name__
    if given != facts.get("front"):
        raise CodeclensError(
            f'The model in "{fact_file}" has {_a_front(facts.get("front"))}, and '
            f"{_a_front(given)} was passed; pass front= of the model's class."
        )
    kind = MODELS.get(facts.get("model", ""))
    if kind is None:
        raise CodeclensError(
            f'"{fact_file}" holds a {facts.get("model")}, which is not a model of this package.'
        )
    try:
        with_front = {} if front is None else {"front": front}
        model: ResponseModel = kind(**facts["config"], **with_front)
        # The precision of the model is that of its weights.
        floating = next(value.dtype for value in state.values() if value.is_floating_point())
        model.to(floating).load_state_dict(state)
    except (KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise CodeclensError(f'"{fact_file}" does not describe a model: {reason}.') from error
    return model.eval()


def _a_front(name: str | None) -> str:
    return "no front" if name is None else f"the front {name}"


RATE = 50.0
# Photographs that the network was not fitted to.
UNSEEN = ("flower", "rocket")


def ready_cnn() -> RetinaCNN:
    """A RetinaCNN that was fitted to the cells of a `Circuit`, in evaluation mode.

    Its front is `Photoreceptors`. `ready_cnn_facts()` names the command that fitted it.

    >>> cnn = ready_cnn()
    >>> cnn.rate, cnn.pixel, cnn.unit, len(cnn.cells)
    (50.0, 50.0, 'um', 9)
    """
    with as_file(_folder()) as folder:
        model = load_model(folder / "cnn", front=Photoreceptors(RATE))
    assert isinstance(model, RetinaCNN)
    return model


def ready_cnn_facts() -> dict[str, Any]:
    """Facts about the network that ships: how it was fitted, to what, and its held-out r.

    >>> sorted(ready_cnn_facts()["r on photographs not fitted on"])[:2]
    ['ds.down', 'ds.left']
    """
    text = _folder().joinpath("cnn.json").read_text(encoding="utf-8")
    facts: dict[str, Any] = json.loads(text)["about"]
    return facts


def _folder() -> Any:
    return files("codeclens.retina").joinpath("shipped")
