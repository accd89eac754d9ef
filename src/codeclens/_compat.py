"""Imports of torchvision and timm that also work where torchvision's compiled part does not."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from types import ModuleType

import torch

from codeclens.errors import CodeclensError

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
# A library object takes its declarations along when it is collected.
_declared: list[torch.library.Library] = []


def import_torchvision() -> ModuleType:
    """Return torchvision, imported.

    A torchvision that was compiled for another device than torch cannot load its operators and
    fails on import with "operator torchvision::nms does not exist". Models, weights and transforms
    need none of them, so the missing schemas are declared, only then, and the import is repeated.

    Raises `CodeclensError` where torchvision is not installed or fails for another reason.

    >>> import_torchvision().models.list_models(include="resnet18")
    ['resnet18']
    """
    return _imported("torchvision")


def import_timm() -> ModuleType:
    """Return timm, imported, with the same remedy as `import_torchvision`, on which timm builds.

    Raises `CodeclensError` where timm or torchvision is not installed.

    >>> import_timm().list_models("tf_efficientnet_lite0")
    ['tf_efficientnet_lite0']
    """
    import_torchvision()
    return _imported("timm")


def prepare_torchvision() -> None:
    """Make a later plain `import torchvision` work, where torchvision is installed at all.

    For libraries and users' own modules that import torchvision themselves.
    """
    if find_spec("torchvision") is not None:
        import_torchvision()


def is_missing_operator(error: BaseException) -> bool:
    """Tell whether an import failed because torchvision's operators were not declared.

    >>> is_missing_operator(RuntimeError("operator torchvision::nms does not exist"))
    True
    """
    text = str(error)
    return isinstance(error, RuntimeError) and any(f"torchvision::{n} " in text for n in _SCHEMAS)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise CodeclensError(
            f'The package {name} is not installed; run pip install "codeclens[vision]".'
        ) from error
    except RuntimeError as error:
        if not is_missing_operator(error):
            raise CodeclensError(
                f"The package {name} cannot be imported with torch {torch.__version__}: {error}"
            ) from error
    _declare_operators()
    _forget_fragments()
    return importlib.import_module(name)


def _declare_operators() -> None:
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator, schema in _SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, operator):
            library.define(schema)
    _declared.append(library)


def _forget_fragments() -> None:
    """Drop submodules that a failed import left behind: their new parent would not know them."""
    for package in ("torchvision", "timm"):
        if package not in sys.modules:
            for name in [n for n in sys.modules if n.startswith(f"{package}.")]:
                del sys.modules[name]
