"""Your own model, from a function in a Python module."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from torch import nn

from codeclens._compat import is_missing_operator, prepare_torchvision
from codeclens.errors import CodeclensError, unknown
from codeclens.text import saved_tokenizer
from codeclens.zoo.checkpoint import load_weights
from codeclens.zoo.ready import RANDOM, ImageTransform, Ready, TextOnly, Tokenizer, Weights

T = TypeVar("T")


def load_custom(module: str, function: str, weights: Weights = None) -> Ready:
    """Return the model that `function` of `module` builds; the current folder is searched first.

    `function` takes no arguments and returns an `nn.Module`. The model may have the attributes
    `labels` (class names in the order of the outputs) and `transform` (PIL image to tensor
    `(C, H, W)`), a model of texts `tokenizer` (text to token ids). Without either, `Ready.assumed`
    is true and images are prepared as for ImageNet: shortest side 256, central crop 224, and
    ImageNet's mean and standard deviation.

    Raises `CodeclensError` if the module or function is missing or fails, if the function returns
    anything else, or if the weights do not fit.

    >>> load_custom("codeclens.zoo.digits", "DigitsResNet").labels is None
    True
    """
    name = f"{module}:{function}"
    if weights == RANDOM:
        raise CodeclensError(
            f'weights="random" is only for named architectures; "{name}" builds its own weights. '
            "Omit weights, or pass a file."
        )
    with _current_folder_first():
        model = _built(_imported(module), function, name)
    if weights is not None:
        load_weights(model, weights)
    own, tokenizer = _own(model, "transform"), _own(model, "tokenizer")
    labels = _labels(model, name)
    transform = own or (ImageTransform() if tokenizer is None else TextOnly(name))
    assumed = own is None and tokenizer is None
    return Ready(
        name, model.eval(), transform, labels, "@blocks", assumed=assumed, tokenizer=tokenizer
    )


def load_tokenizer(name: str | Path) -> Tokenizer:
    """Return the tokenizer of a folder that transformers saved, or `function` of a `module`.

    The function maps a text to a list of token ids. Raises `CodeclensError` if there is none.

    >>> load_tokenizer("builtins:ascii")("a")
    "'a'"
    """
    module, colon, function = str(name).rpartition(":")
    if not colon or Path(name).is_dir():
        return saved_tokenizer(name)
    with _current_folder_first():
        found = _member(_imported(module), function)
    if not callable(found):
        raise CodeclensError(
            f'"{name}" is a {type(found).__name__}; name a function from a text to token ids.'
        )
    tokenizer: Tokenizer = found
    return tokenizer


def _imported(module: str) -> ModuleType:
    importlib.invalidate_caches()
    try:
        return _with_torchvision(lambda: importlib.import_module(module))
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            raise CodeclensError(
                f'There is no module "{module}" in {os.getcwd()} or among the installed packages; '
                'models of other libraries are named "torchvision:…", "timm:…" and "hf:…".'
            ) from error
        raise CodeclensError(f'The module "{module}" cannot be imported: {error}.') from error
    except SystemExit as error:  # scripts that read their own arguments end when they are imported
        raise CodeclensError(
            f'The module "{module}" ended while it was imported (exit code {error.code}); put what '
            'it runs as a script under `if __name__ == "__main__":`.'
        ) from error
    except Exception as error:
        raise CodeclensError(
            f'The module "{module}" cannot be imported: {type(error).__name__}: {error}.'
        ) from error


def _member(module: ModuleType, function: str) -> Any:
    if not hasattr(module, function):
        public = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise unknown("function", function, public, f'The module "{module.__name__}" has')
    return getattr(module, function)


def _built(module: ModuleType, function: str, name: str) -> nn.Module:
    build = _member(module, function)
    if isinstance(build, nn.Module):
        return build
    if not callable(build):
        raise CodeclensError(
            f'"{name}" is a {type(build).__name__}; name a function without arguments that '
            "returns an nn.Module."
        )
    try:
        model = _with_torchvision(build)
    except (Exception, SystemExit) as error:
        raise CodeclensError(
            f'"{name}" failed when called without arguments: {type(error).__name__}: {error}.'
        ) from error
    if not isinstance(model, nn.Module):
        raise CodeclensError(f'"{name}" returned a {type(model).__name__}, not an nn.Module.')
    return model


def _own(model: nn.Module, name: str) -> Callable[[Any], Any] | None:
    found = getattr(model, name, None)
    # In some networks, a module of this name is part of the computation.
    if callable(found) and not isinstance(found, nn.Module):
        own: Callable[[Any], Any] = found
        return own
    return None


def _labels(model: nn.Module, name: str) -> list[str] | None:
    own = getattr(model, "labels", None)
    if own is None or isinstance(own, nn.Module):
        return None
    if isinstance(own, str) or not isinstance(own, Sequence):
        raise CodeclensError(
            f'The attribute `labels` of the model from "{name}" is a {type(own).__name__}; '
            "it must be a list of class names."
        )
    return [str(label) for label in own]


def _with_torchvision(action: Callable[[], T]) -> T:
    """Call `action`; if torchvision's operators are missing, prepare torchvision and call again."""
    try:
        return action()
    except Exception as error:
        # transformers raises an error of its own, whose cause is the missing operator.
        causes = [error, *([error.__cause__] if error.__cause__ else [])]
        if not any(map(is_missing_operator, causes)):
            raise
    prepare_torchvision()
    return action()


@contextmanager
def _current_folder_first() -> Iterator[None]:
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
