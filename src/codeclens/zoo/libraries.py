"""Models of torchvision and timm, with the pretrained weights of their hubs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from torch import nn

from codeclens._compat import import_timm, import_torchvision
from codeclens.errors import CodeclensError
from codeclens.zoo.checkpoint import load_weights
from codeclens.zoo.efficientnet import imagenet_labels
from codeclens.zoo.hub import WITHOUT_HUB, hub_errors, unreachable
from codeclens.zoo.names import nearest
from codeclens.zoo.ready import RANDOM, Ready, Transform, Weights, fixed_seed
from codeclens.zoo.transform import ImageTransform


def load_torchvision(name: str, weights: Weights = None) -> Ready:
    """Return a classifier of torchvision by its name there, with its best published weights.

    Raises `CodeclensError` for an unknown name, unreachable weights, or weights that do not fit.

    >>> ready = load_torchvision("resnet18", weights="random")
    >>> ready.name, ready.transform.crop, ready.labels[0]
    ('torchvision:resnet18', (224, 224), 'tench')
    """
    models = import_torchvision().models
    known = models.list_models(module=models)
    if name not in known:
        raise CodeclensError(
            f'torchvision has no classifier "{name}"; the nearest names are {nearest(name, known)}'
        )
    published = models.get_model_weights(name).DEFAULT
    with fixed_seed():
        options = _torchvision_options(name, published.meta)
        model: nn.Module = models.get_model(name, weights=None, **options)
    if weights is None:
        try:
            state = published.get_state_dict(progress=False, check_hash=True, weights_only=True)
        except hub_errors() as error:
            raise unreachable(f"torchvision:{name}", error) from error
        model.load_state_dict(state)
    elif weights != RANDOM:
        load_weights(model, weights)
    preset = published.transforms()
    transform = ImageTransform(
        resize=preset.resize_size[0],
        crop=(preset.crop_size[0],) * 2,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation.value,
    )
    labels = list(published.meta["categories"])
    return Ready(f"torchvision:{name}", model.eval(), transform, labels, sites="@blocks")


def load_timm(name: str, weights: Weights = None) -> Ready:
    """Return a model of timm by its name there, tag included if wanted ("resnet18.a1_in1k").

    Raises `CodeclensError` for an unknown name, one without published weights, unreachable
    weights, or weights that do not fit.

    >>> ready = load_timm("resnet18", weights="random")
    >>> ready.transform.resize, ready.transform.interpolation
    (235, 'bicubic')
    """
    timm = import_timm()
    if not timm.is_model(name):
        near = nearest(name.partition(".")[0], timm.list_models())
        raise CodeclensError(f'timm has no model "{name}"; the nearest names are {near}')
    try:
        with fixed_seed():
            model: nn.Module = timm.create_model(name, pretrained=weights is None)
    except hub_errors() as error:
        raise unreachable(f"timm:{name}", error) from error
    except RuntimeError as error:
        if weights is None and "pretrained" in str(error).lower():
            raise CodeclensError(
                f'timm publishes no weights for "{name}" ({error}): {WITHOUT_HUB}'
            ) from error
        raise
    if weights is not None and weights != RANDOM:
        load_weights(model, weights)
    config = timm.data.resolve_model_data_config(model)
    labels = imagenet_labels() if getattr(model, "num_classes", None) == 1000 else None
    return Ready(f"timm:{name}", model.eval(), _timm_transform(config, timm), labels, "@blocks")


def _torchvision_options(name: str, published: Mapping[str, Any]) -> dict[str, Any]:
    """What torchvision itself sets where it loads published weights, which it does by pickle."""
    if name in ("googlenet", "inception_v3"):
        # Their weights expect another scaling; the other option only avoids a warning.
        return {"transform_input": True, "init_weights": True}
    if name.startswith("vit_"):
        return {"image_size": published["min_size"][0]}
    return {}


def _timm_transform(config: dict[str, Any], timm: ModuleType) -> Transform:
    rows, columns = config["input_size"][1:]
    fraction, mode = config["crop_pct"], config["crop_mode"]
    size = math.floor(rows / fraction), math.floor(columns / fraction)
    if mode not in ("center", "squash") or (mode == "center" and rows != columns):
        # Padded borders and the like: rare enough to leave to timm.
        transform: Transform = timm.data.create_transform(**config, is_training=False)
        return transform
    return ImageTransform(
        resize=size if mode == "squash" else size[0],
        crop=(rows, columns),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=config["interpolation"],
    )
