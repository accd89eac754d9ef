"""Models of torchvision, timm and transformers, with the pretrained weights of their hubs."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from codeclens._compat import import_timm, import_torchvision, prepare_torchvision
from codeclens.errors import CodeclensError
from codeclens.zoo.checkpoint import load_weights
from codeclens.zoo.efficientnet import imagenet_labels
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
        # Two of the old models ask for this flag, or warn about the time that it costs.
        options = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
        model: nn.Module = models.get_model(name, weights=None, **options)
    if weights is None:
        try:
            state = published.get_state_dict(progress=False, check_hash=True, weights_only=True)
        except _hub_errors() as error:
            raise _unreachable(f"torchvision:{name}", error) from error
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
    except _hub_errors() as error:
        raise _unreachable(f"timm:{name}", error) from error
    except RuntimeError as error:
        if weights is None and "pretrained" in str(error).lower():
            raise CodeclensError(
                f'timm publishes no weights for "{name}" ({error}): {_WITHOUT_HUB}'
            ) from error
        raise
    if weights is not None and weights != RANDOM:
        load_weights(model, weights)
    config = timm.data.resolve_model_data_config(model)
    labels = imagenet_labels() if getattr(model, "num_classes", None) == 1000 else None
    return Ready(f"timm:{name}", model.eval(), _timm_transform(config, timm), labels, "@blocks")


def load_transformers(name: str, weights: Weights = None) -> Ready:
    """Return an image classifier of transformers, by its name on the hub or its local folder.

    Its output is an object whose entry `logits` counts, which `Ready.output` says. Only
    safetensors are read, and no code from the repository is run.

    Raises `CodeclensError` where transformers is missing, the hub or folder cannot be read, it is
    no image classifier, or weights do not fit.
    """
    # transformers imports torchvision itself.
    prepare_torchvision()
    try:
        from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification
    except ImportError as error:
        raise CodeclensError(
            'The package transformers is not installed: run pip install "codeclens[hf]"'
        ) from error
    loader = AutoModelForImageClassification
    try:
        processor = AutoImageProcessor.from_pretrained(name)
        if weights is None:
            model = loader.from_pretrained(name, use_safetensors=True)
        else:
            with fixed_seed():
                model = loader.from_config(AutoConfig.from_pretrained(name))
    except _hub_errors() as error:
        raise _unreachable(f"hf:{name}", error) from error
    except ValueError as error:
        raise CodeclensError(
            f'"hf:{name}" cannot be loaded as an image classifier: {_first_sentence(error)}'
        ) from error
    if weights is not None and weights != RANDOM:
        load_weights(model, weights)
    names = model.config.id2label
    labels = [names[i] for i in sorted(names)] if names else None
    transform = ProcessorTransform(processor)
    return Ready(f"hf:{name}", model.eval(), transform, labels, "@blocks", output="logits")


class ProcessorTransform:
    """An image processor of transformers as a transform: PIL image in, `(C, H, W)` out."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, image: Image.Image) -> Tensor:
        """Return the network's input for one picture."""
        pixels: Tensor = self.processor(images=image.convert("RGB"), return_tensors="pt")[
            "pixel_values"
        ][0]
        return pixels.to(torch.float32)


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


_WITHOUT_HUB = (
    'pass a weights file (weights="FILE.safetensors", on the command line --weights FILE) '
    'or take an untrained network (weights="random", --weights random)'
)


def _unreachable(name: str, error: BaseException) -> CodeclensError:
    return CodeclensError(
        f'The pretrained weights of "{name}" cannot be fetched from their hub '
        f"({_first_sentence(error)}): check the name and the connection, {_WITHOUT_HUB}"
    )


def _hub_errors() -> tuple[type[BaseException], ...]:
    """What an unreachable hub raises: OSError, and httpx's own errors in newer clients."""
    try:
        import httpx
    except ImportError:
        return (OSError,)
    return (OSError, httpx.HTTPError)


def _first_sentence(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.split(". ")[0].rstrip(".")
