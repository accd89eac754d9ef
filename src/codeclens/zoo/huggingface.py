"""Image classifiers of transformers, from the hub or a local folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from codeclens._compat import prepare_torchvision
from codeclens.errors import CodeclensError
from codeclens.zoo.checkpoint import difference, misfit, read_weights
from codeclens.zoo.hub import first_sentence, hub_errors, unreachable
from codeclens.zoo.ready import RANDOM, Ready, Weights, fixed_seed


class ProcessorTransform:
    """An image processor of transformers as a transform: PIL image in, `(C, H, W)` out."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, image: Image.Image) -> Float[Tensor, "channels rows columns"]:
        """Return the network's input for one picture."""
        batch = self.processor(images=image.convert("RGB"), return_tensors="pt")
        pixels: Tensor = batch["pixel_values"][0]
        return pixels.to(torch.float32)


def load_transformers(name: str, weights: Weights = None) -> Ready:
    """Return an image classifier of transformers, by its name on the hub or its local folder.

    Its output is an object whose entry `logits` counts, which `Ready.output` says. Only
    safetensors are read, and no code from the repository is run.

    Raises `CodeclensError` where transformers is missing, the hub or folder cannot be read, it is
    no image classifier, or weights do not fit.
    """
    transformers = _transformers()
    full = f"hf:{name}"
    model: Any
    if Path(name).is_absolute() and not Path(name).is_dir():
        raise CodeclensError(f'There is no folder {name}: check the path in "{full}"')
    try:
        with _quiet(transformers):
            processor = transformers.AutoImageProcessor.from_pretrained(name)
            if weights is None:
                model = _pretrained(transformers, name)
            else:
                config = transformers.AutoConfig.from_pretrained(name)
                with fixed_seed():
                    model = transformers.AutoModelForImageClassification.from_config(config)
                if weights != RANDOM:
                    model = _with_weights(model, weights)
    except hub_errors() as error:
        if Path(name).is_dir():
            raise CodeclensError(
                f"The folder {name} is no saved image classifier ({first_sentence(error)}): it "
                "needs config.json, preprocessor_config.json and model.safetensors"
            ) from error
        raise unreachable(full, error, "name the folder of a saved model, hf:FOLDER") from error
    except CodeclensError:
        raise
    except ValueError as error:
        raise CodeclensError(
            f'"{full}" cannot be loaded as an image classifier: {first_sentence(error)}'
        ) from error
    names = model.config.id2label
    labels = [str(names[index]) for index in sorted(names)] if names else None
    transform = ProcessorTransform(processor)
    return Ready(full, model.eval(), transform, labels, sites="@blocks", output="logits")


def _transformers() -> ModuleType:
    # transformers imports torchvision itself.
    prepare_torchvision()
    try:
        import transformers
    except ImportError as error:
        raise CodeclensError(
            'The package transformers is not installed: run pip install "codeclens[hf]"'
        ) from error
    module: ModuleType = transformers
    return module


def _pretrained(transformers: ModuleType, name: str) -> nn.Module:
    loader = transformers.AutoModelForImageClassification
    with fixed_seed():
        model, report = loader.from_pretrained(name, use_safetensors=True, output_loading_info=True)
    missing = sorted(report["missing_keys"])
    if missing:
        # It would be drawn at random: a backbone that was never trained to classify.
        raise CodeclensError(
            f'"hf:{name}" is no complete image classifier: its weights lack {len(missing)} '
            f'entries, first "{missing[0]}"; name a model that was trained to classify images'
        )
    network: nn.Module = model
    return network


def _with_weights(model: nn.Module, path: str | Path) -> nn.Module:
    # By transformers' own loading, because its files keep older names than its networks.
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
    """Keep transformers' report on entries to itself: what matters of it is raised."""
    logging = transformers.utils.logging
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
