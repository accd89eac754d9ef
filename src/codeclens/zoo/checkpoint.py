"""Load weights from a file into a network, strictly."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from codeclens.errors import CodeclensError, in_one_line, shortened
from codeclens.files import at_home

_TORCH_SUFFIXES = (".pt", ".pth", ".th", ".tar", ".bin", ".ckpt")
# How much smaller than its content an archive of weights may be: numbers hardly compress.
_COMPRESSION = 20
_POINTER = b"version https://git-lfs"
_WRAPPERS = ("state_dict", "model_state_dict", "model")
# DataParallel and torch.compile add these prefixes to every name.
_PREFIXES = ("module.", "_orig_mod.")


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load a weights file into `model`, in place; accepts what torch's strict loading accepts.

    `path` is a .safetensors file, or a state dict written by torch.save (.pt, .pth) and read with
    `weights_only=True`. The state dict may be inside a training checkpoint, and its names may have
    the prefix "module." of parallel training or "_orig_mod." of compiled models.

    Raises `CodeclensError`, with `model` unchanged, if the file cannot be read, if a name is
    missing, unexpected or of another shape, or if a tensor is not a dense one of real numbers.

    >>> import tempfile
    >>> from safetensors.torch import save_file
    >>> layer = nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = f"{folder}/weights.safetensors"
    ...     save_file({"weight": torch.ones(1, 2), "bias": torch.zeros(1)}, file)
    ...     load_weights(layer, file)
    >>> layer.weight.tolist()
    [[1.0, 1.0]]
    """
    path = at_home(path)
    state = read_weights(path)
    expected = model.state_dict()
    for prefix in _PREFIXES * 2:  # both may be there, in either order
        if not any(name.startswith(prefix) for name in expected):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    lazy = {name for name, tensor in expected.items() if is_lazy(tensor)}
    shared = [name for name in expected if name in state and name not in lazy]
    problem = difference(
        [name for name in expected if name not in state],
        [name for name in state if name not in expected],
        [
            (name, tuple(state[name].shape), tuple(expected[name].shape))
            for name in shared
            if state[name].shape != expected[name].shape
        ],
    )
    if problem:
        # Modules may adapt older files themselves, as batch norms without counters do. A copy
        # tells whether they do, because a failed attempt would change the model.
        try:
            deepcopy(model).load_state_dict(state, strict=True)
        except Exception:
            raise misfit(path, model, problem) from None
    for name in shared:
        if (kind := _unusable(state[name], expected[name])) is not None:
            raise CodeclensError(
                f'"{_short(name)}" in {path} {kind}; save the weights as dense tensors of real '
                "numbers."
            )
    model.load_state_dict(state, strict=True)


def _unusable(given: Tensor, own: Tensor) -> str | None:
    """Why a tensor of a file cannot replace one of a model, if so."""
    if given.is_meta:
        return "has no values (it is on the meta device)"
    if given.is_quantized or given.layout != own.layout:
        return f"is stored as {'quantised' if given.is_quantized else str(given.layout)[6:]}"
    if given.is_complex() and not own.is_complex():
        return "holds complex numbers"
    if own.is_floating_point() and not given.is_floating_point() and not given.is_complex():
        return f"holds whole numbers ({str(given.dtype)[6:]}) where the model has floats"
    return None


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a weights file by name, on the CPU; no code in it is executed.

    Raises `CodeclensError` if the file is missing, damaged, of another kind, or contains anything
    but tensors.
    """
    path = at_home(path)
    if not path.is_file():
        raise CodeclensError(f"There is no weights file {path}; check the path.")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except Exception as error:
            raise CodeclensError(
                f"{path} is not a valid safetensors file: {in_one_line(error)}."
            ) from error
    if path.suffix not in _TORCH_SUFFIXES:
        raise CodeclensError(
            f"{path} is not a weights file; pass a .safetensors file, or a state dict in a .pt or "
            ".pth file."
        )
    try:
        _require_whole(path)
        with warnings.catch_warnings():  # about versions of pickle; it is read safely or refused
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except CodeclensError:
        raise
    except PermissionError:
        raise CodeclensError(f"{path} cannot be read: permission denied.") from None
    except Exception as error:  # a damaged file raises whatever its format's readers raise
        raise CodeclensError(
            f"{path} cannot be loaded safely, because it is damaged or contains more than tensors; "
            "save model.state_dict() with safetensors.torch.save_file and pass that file."
        ) from error
    return _state_dict(content, path)


def _require_whole(path: Path) -> None:
    """Raise CodeclensError for a file that stands for another, or claims far more than it holds."""
    with path.open("rb") as stream:
        if stream.read(len(_POINTER)) == _POINTER:
            raise CodeclensError(
                f"{path} is only a pointer of Git LFS to the weights; get them with git lfs pull."
            )
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        claimed = sum(entry.file_size for entry in archive.infolist())
    size = path.stat().st_size
    if claimed > _COMPRESSION * size:
        raise CodeclensError(
            f"{path} claims {claimed:,} bytes of weights, but has only {size:,}; check the file."
        )


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping):
        for wrapper in _WRAPPERS:
            if isinstance(content.get(wrapper), Mapping):
                content = content[wrapper]
                break
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise CodeclensError(
            f"{path} contains {_described(content)}, not a state dict (tensors by name); save "
            "model.state_dict() and pass that file."
        )
    return {str(name): tensor for name, tensor in content.items()}


def _described(content: object) -> str:
    if isinstance(content, Mapping):
        return f"a dict with the keys {', '.join(shortened(key, 40) for key in list(content)[:4])}"
    return f"a {type(content).__name__}"


def _short(name: str, most: int = 80) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def difference(
    missing: Sequence[str],
    unexpected: Sequence[str],
    shapes: Sequence[tuple[str, tuple[int, ...], tuple[int, ...]]],
) -> str:
    """Describe how weights differ from a model, with an example of each kind; empty if they agree.

    `shapes` contains name, shape in the file and shape in the model.

    >>> difference(["fc.bias"], [], [("fc.weight", (2, 8), (10, 8))])
    '1 missing, first "fc.bias", 1 of another shape, first "fc.weight" with (2, 8) in the file and
    (10, 8) in the model'
    """
    parts = []
    if missing:
        parts.append(f'{len(missing)} missing, first "{_short(missing[0])}"')
    if unexpected:
        parts.append(f'{len(unexpected)} unexpected, first "{_short(unexpected[0])}"')
    if shapes:
        name, file, own = shapes[0]
        parts.append(
            f'{len(shapes)} of another shape, first "{_short(name)}" with {file} in the file '
            f"and {own} in the model"
        )
    return ", ".join(parts)


def misfit(path: str | Path, model: nn.Module, problem: str) -> CodeclensError:
    """Return the error for weights that do not match a model."""
    return CodeclensError(
        f"The weights in {path} do not fit {type(model).__name__}: {problem}; pass the weights of "
        "this model, or build the model of the file yourself (module:function)."
    )
