"""Models of torchvision, timm and transformers, with the pretrained weights of their hubs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from codeclens._compat import import_timm, import_torchvision, prepare_torchvision
from codeclens.errors import CodeclensError, unknown
from codeclens.zoo.checkpoint import difference, load_weights, misfit, read_weights
from codeclens.zoo.efficientnet import imagenet_labels
from codeclens.zoo.ready import (
    RANDOM,
    ImageTransform,
    Ready,
    TextOnly,
    Tokenizer,
    Transform,
    Weights,
    fixed_seed,
)

WITHOUT_HUB = (
    'pass a weights file (weights="FILE.safetensors", on the command line --weights FILE) '
    'or use an untrained network (weights="random", --weights random)'
)


def unreachable(name: str, error: BaseException, instead: str = WITHOUT_HUB) -> CodeclensError:
    """Return the error for pretrained weights that cannot be fetched.

    >>> str(unreachable("timm:resnet18", OSError("no route to host. Retry"), "try later"))
    'The pretrained weights of "timm:resnet18" cannot be fetched from their hub (no route to host);
    check the name and the connection, or try later.'
    """
    return CodeclensError(
        f'The pretrained weights of "{name}" cannot be fetched from their hub '
        f"({first_sentence(error)}); check the name and the connection, or {instead}."
    )


def hub_errors() -> tuple[type[BaseException], ...]:
    """Return the exceptions of an unreachable hub: OSError, and those of httpx in newer clients."""
    try:
        import httpx
    except ImportError:
        return (OSError,)
    return (OSError, httpx.HTTPError)


def first_sentence(error: BaseException) -> str:
    """Return the first sentence of an error message in one line.

    >>> first_sentence(ValueError("No such model.\\nSee the manual."))
    'No such model'
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text.split(". ")[0].rstrip(".")


def load_torchvision(name: str, weights: Weights = None) -> Ready:
    """Return a torchvision classifier by its torchvision name, with its best published weights.

    Raises `CodeclensError` for an unknown name, unreachable weights, or weights that do not fit.

    >>> ready = load_torchvision("resnet18", weights="random")
    >>> ready.name, ready.transform.crop, ready.labels[0]
    ('torchvision:resnet18', (224, 224), 'tench')
    """
    models = import_torchvision().models
    known = models.list_models(module=models)
    if name not in known:
        raise unknown("classifier", name, known, "torchvision has")
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
    """Return a timm model by its timm name, with or without a tag ("resnet18.a1_in1k").

    Raises `CodeclensError` for an unknown name, a model without published weights, unreachable
    weights, or weights that do not fit.

    >>> ready = load_timm("resnet18", weights="random")
    >>> ready.transform.resize, ready.transform.interpolation
    (235, 'bicubic')
    """
    timm = import_timm()
    if not timm.is_model(name):
        raise unknown("model", name.partition(".")[0], timm.list_models(), "timm has")
    try:
        with fixed_seed():
            model: nn.Module = timm.create_model(name, pretrained=weights is None)
    except hub_errors() as error:
        raise unreachable(f"timm:{name}", error) from error
    except RuntimeError as error:
        if weights is None and "pretrained" in str(error).lower():
            raise CodeclensError(
                f'timm publishes no weights for "{name}" ({error}); {WITHOUT_HUB}.'
            ) from error
        raise
    if weights is not None and weights != RANDOM:
        load_weights(model, weights)
    config = timm.data.resolve_model_data_config(model)
    labels = imagenet_labels() if getattr(model, "num_classes", None) == 1000 else None
    return Ready(f"timm:{name}", model.eval(), _timm_transform(config, timm), labels, "@blocks")


def _torchvision_options(name: str, published: Mapping[str, Any]) -> dict[str, Any]:
    """The options that torchvision sets when it loads published weights itself (by pickle)."""
    if name in ("googlenet", "inception_v3"):
        # Their weights expect another input scaling; the second option only avoids a warning.
        return {"transform_input": True, "init_weights": True}
    if name.startswith("vit_"):
        return {"image_size": published["min_size"][0]}
    return {}


def _timm_transform(config: dict[str, Any], timm: ModuleType) -> Transform:
    rows, columns = config["input_size"][1:]
    fraction, mode = config["crop_pct"], config["crop_mode"]
    size = math.floor(rows / fraction), math.floor(columns / fraction)
    if mode not in ("center", "squash") or (mode == "center" and rows != columns):
        # Rare modes, such as padded borders, are left to timm.
        transform: Transform = timm.data.create_transform(**config, is_training=False)
        return transform
    return ImageTransform(
        resize=size if mode == "squash" else size[0],
        crop=(rows, columns),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=config["interpolation"],
    )


class ProcessorTransform:
    """An image processor of transformers as a transform from PIL image to `(C, H, W)`."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, image: Image.Image) -> Float[Tensor, "channels rows columns"]:
        """Return the network's input for one image."""
        batch = self.processor(images=image.convert("RGB"), return_tensors="pt")
        pixels: Tensor = batch["pixel_values"][0]
        return pixels.to(torch.float32)


def load_transformers(name: str, weights: Weights = None) -> Ready:
    """Return a model of transformers, by its name on the hub or its local folder.

    It is an image classifier, a text classifier or a language model, as its configuration says; a
    model of texts comes with the tokenizer that lies beside it, if there is one. The output is an
    object with the entry `logits`, so `Ready.output` is "logits". Only safetensors are read, and no
    code from the repository is run.

    Raises `CodeclensError` if transformers is missing, the hub or folder cannot be read, the model
    is of another kind, or the weights do not fit.
    """
    transformers = _transformers()
    full = f"hf:{name}"
    model: Any
    if Path(name).is_absolute() and not Path(name).is_dir():
        raise CodeclensError(f'There is no folder {name}; check the path in "{full}".')
    try:
        with _quiet(transformers):
            config = transformers.AutoConfig.from_pretrained(name)
            kind = _kind_of_text(config)
            loader = getattr(transformers, f"AutoModelFor{kind or 'ImageClassification'}")
            transform: Transform = (
                TextOnly(full)
                if kind
                else ProcessorTransform(transformers.AutoImageProcessor.from_pretrained(name))
            )
            if weights is None:
                model = _pretrained(loader, name)
            else:
                with fixed_seed():
                    model = loader.from_config(config)
                if weights != RANDOM:
                    model = _with_weights(model, weights)
            tokenizer = _tokenizer_beside(transformers, name) if kind else None
    except hub_errors() as error:
        if Path(name).is_dir():
            raise CodeclensError(
                f"The folder {name} is not a saved classifier or language model "
                f"({first_sentence(error)}); it needs config.json, model.safetensors and, for "
                "images, preprocessor_config.json."
            ) from error
        raise unreachable(full, error, "pass the folder of a saved model, hf:FOLDER") from error
    except CodeclensError:
        raise
    except ValueError as error:
        raise CodeclensError(
            f'"{full}" cannot be loaded as a classifier or language model: {first_sentence(error)}.'
        ) from error
    # The classes of a language model are its tokens.
    names = model.config.id2label if kind in (None, _TEXT_CLASSIFIER) else None
    labels = [str(names[index]) for index in sorted(names)] if names else None
    return Ready(full, model.eval(), transform, labels, "@blocks", "logits", tokenizer=tokenizer)


_TEXT_CLASSIFIER = "SequenceClassification"
_TEXT_KINDS = {
    _TEXT_CLASSIFIER: "SEQUENCE_CLASSIFICATION", "CausalLM": "CAUSAL_LM", "MaskedLM": "MASKED_LM",
}  # fmt: skip


def _kind_of_text(config: Any) -> str | None:
    """Which kind of model of texts a configuration describes; None for other models."""
    from transformers.models.auto import modeling_auto

    made = (getattr(config, "architectures", None) or [None])[0]
    for kind, known in _TEXT_KINDS.items():
        classes: Mapping[str, Any] = getattr(modeling_auto, f"MODEL_FOR_{known}_MAPPING_NAMES")
        named = classes.get(config.model_type, ())
        if made in ((named,) if isinstance(named, str) else named):
            return kind
    return None


def _tokenizer_beside(transformers: ModuleType, name: str) -> Tokenizer | None:
    try:
        found: Tokenizer = transformers.AutoTokenizer.from_pretrained(name)
    except (ValueError, KeyError):
        return None
    except hub_errors():
        return None
    return found


def _transformers() -> ModuleType:
    # transformers imports torchvision itself.
    prepare_torchvision()
    try:
        import transformers
    except ImportError as error:
        raise CodeclensError(
            'The package transformers is not installed; run pip install "codeclens[hf]".'
        ) from error
    module: ModuleType = transformers
    return module


def _pretrained(loader: Any, name: str) -> nn.Module:
    with fixed_seed():
        model, report = loader.from_pretrained(name, use_safetensors=True, output_loading_info=True)
    missing = sorted(report["missing_keys"])
    if missing:
        # They would be random, as in a backbone that was never trained to classify.
        raise CodeclensError(
            f'"hf:{name}" is not a complete model: its weights lack {len(missing)} entries, first '
            f'"{missing[0]}"; choose a model that was trained to classify or to predict tokens.'
        )
    network: nn.Module = model
    return network


def _with_weights(model: nn.Module, path: str | Path) -> nn.Module:
    # Loaded by transformers, which renames the older names in its files.
    loaded, report = type(model).from_pretrained(  # type: ignore[attr-defined]
        None,
        config=model.config,
        state_dict=read_weights(path),
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    problem = difference(
        sorted(report["missing_keys"]),
        sorted(report["unexpected_keys"]),
        [(key, tuple(file), tuple(own)) for key, file, own in sorted(report["mismatched_keys"])],
    )
    if problem:
        raise misfit(path, model, problem)
    network: nn.Module = loaded
    return network


@contextmanager
def _quiet(transformers: ModuleType) -> Iterator[None]:
    """Silence the loading report of transformers; its relevant parts are raised as errors."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
