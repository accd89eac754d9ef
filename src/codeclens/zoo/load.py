"""Load a model by name."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from codeclens.errors import CodeclensError, nearest
from codeclens.zoo.checkpoint import load_weights
from codeclens.zoo.custom import load_custom, load_tokenizer
from codeclens.zoo.digits import DigitsResNet
from codeclens.zoo.efficientnet import load_efficientnet
from codeclens.zoo.libraries import load_timm, load_torchvision, load_transformers
from codeclens.zoo.ready import (
    RANDOM,
    ImageTransform,
    Ready,
    TextOnly,
    Weights,
    fixed_seed,
    preprocessed,
)

_log = logging.getLogger("codeclens")
DIGITS_WEIGHTS = Path(__file__).parent / "weights" / "digits-resnet.safetensors"
# Grey value / 255, as in `digits_data`.
DIGITS_TRANSFORM = ImageTransform(
    resize=28, crop=(28, 28), mean=(0.0,), std=(1.0,), interpolation="bicubic"
)


def load(
    name: str,
    *,
    weights: Weights = None,
    size: int | tuple[int, int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: str | None = None,
    tokenizer: str | Path | None = None,
) -> Ready:
    """Return the model of that name with its transform or tokenizer, class names and sites.

    - "digits-resnet": a residual network for 28 × 28 digits, with weights that ship.
    - "efficientnet-lite0": EfficientNet-Lite0 on ImageNet, with weights from a package.
    - "torchvision:NAME", "timm:NAME": a classifier of that library, with weights from its hub.
    - "hf:NAME", "hf:FOLDER": a model of transformers for images or text, from the hub or a folder.
    - "module:function": what your function returns, as it built it.

    `weights` is a .safetensors file, a state dict in a .pt or .pth file, or "random" for an
    untrained network from seed 0. The model is in evaluation mode on the CPU. The random state is
    unchanged.

    `size`, `mean`, `std` and `interpolation` replace parts of the preprocessing: the side of the
    square input (or the shortest side and the side of the crop), mean and standard deviation of
    each channel for pixels in [0, 1], and Pillow's filter. Your own model brings its preprocessing
    as the attribute `transform` (or `tokenizer`) and its class names as `labels`. Without a
    transform, the preprocessing of ImageNet is used and a warning is logged. `tokenizer` says that
    the model takes texts: the folder of a saved tokenizer, or "module:function".

    Raises `CodeclensError` for an unknown name, a missing package, and weights that are
    unreachable or do not fit.

    >>> ready = load("digits-resnet")
    >>> type(ready.model).__name__, ready.labels[:3], ready.sites
    ('DigitsResNet', ['0', '1', '2'], 'blocks.*')
    """
    if not isinstance(name, str) or not name:
        raise CodeclensError(
            f'A model is loaded by its name, not by {name!r}; pass for example "digits-resnet".'
        )
    if not isinstance(weights, str | Path | None):
        raise CodeclensError(
            f"weights is a {type(weights).__name__}; pass the path of a weights file, or "
            '"random" for an untrained network.'
        )
    ready = _found(name, weights)
    if tokenizer is not None:
        made = load_tokenizer(tokenizer)
        ready = replace(ready, tokenizer=made, transform=TextOnly(name), assumed=False)
    ready = preprocessed(ready, size, mean, std, interpolation)
    if ready.assumed:
        _log.warning(
            '"%s" does not say how its images are prepared, so the preprocessing of ImageNet is '
            "used (224 × 224 pixels, ImageNet's mean and standard deviation). If the model was "
            "trained otherwise, all numbers will be wrong: give it an attribute `transform`, or "
            "pass size, mean and std.",
            name,
        )
    return ready


def _found(name: str, weights: Weights) -> Ready:
    if name in _SHIPPED:
        return _SHIPPED[name](weights)
    source, colon, rest = name.partition(":")
    shown = name if len(name) <= 80 else f"{name[:79]}…"
    if not colon:
        raise CodeclensError(
            f'There is no model "{shown}"; the nearest included model is '
            f"{nearest(name, _SHIPPED, 1)}. Models of other libraries are named "
            f'"torchvision:{shown}", "timm:{shown}" or "hf:{shown}", your own "module:function".'
        )
    if not source or not rest:
        raise CodeclensError(
            f'"{shown}" is not a model name; write a name on both sides of the colon, '
            'for example "timm:resnet18" or "my_module:build".'
        )
    if source in _SOURCES:
        return _SOURCES[source](rest, weights)
    return load_custom(source, rest, weights)


def runs_code(name: str) -> bool:
    """Return whether loading a model of this name imports a module of the user's own.

    >>> runs_code("timm:resnet18"), runs_code("my_module:build")
    (False, True)
    """
    source, colon, _ = name.partition(":")
    return name not in _SHIPPED and bool(colon) and source not in _SOURCES


def available() -> list[str]:
    """Return the names of the models that are available without a hub.

    >>> available()
    ['digits-resnet', 'efficientnet-lite0']
    """
    return sorted(_SHIPPED)


def load_digits(weights: Weights = None) -> Ready:
    """Return the network for handwritten digits with its shipped weights.

    The input is a 28 × 28 grey image, bright ink on black, value / 255; the output is 10 logits.
    The card next to the weights states its measured accuracy.

    >>> load_digits().transform.crop
    (28, 28)
    """
    with fixed_seed():
        model = DigitsResNet()
    if weights != RANDOM:
        load_weights(model, DIGITS_WEIGHTS if weights is None else weights)
    labels = [str(digit) for digit in range(10)]
    return Ready("digits-resnet", model.eval(), DIGITS_TRANSFORM, labels, sites="blocks.*")


_SHIPPED = {"digits-resnet": load_digits, "efficientnet-lite0": load_efficientnet}
_SOURCES = {"torchvision": load_torchvision, "timm": load_timm, "hf": load_transformers}
