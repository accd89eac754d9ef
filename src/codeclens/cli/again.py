"""The model and images of a store, found again by the configuration beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import codeclens as cl
from codeclens import zoo
from codeclens.cli.config import ExtractSettings, configuration
from codeclens.cli.extract import method_of, opened, selector, target_of
from codeclens.errors import CodeclensError
from codeclens.extraction import Samples, default_device, usable_device
from codeclens.extraction.fingerprint import differences, model_fingerprint, plain


@dataclass(frozen=True)
class Again:
    """The model and images of a store, and the options that it was extracted with."""

    ready: zoo.Ready
    images: Samples
    options: dict[str, Any]
    batch_size: int
    settings: ExtractSettings


def load_again(store: cl.ContributionStore, purpose: str, function: str) -> Again:
    """The model and images that a store was extracted from, by the configuration beside it.

    `purpose` and `function` say in an error what needs them, and how to go without. Raises
    CodeclensError where there is none, and where model or images are not the same any more.
    """
    path = store.path
    file = configuration(path) if isinstance(path, Path) else None
    if file is None or not file.is_file():
        raise CodeclensError(
            f"{purpose} needs the model and the images, and no config.yaml of codeclens extract "
            f'lies beside "{path}"; extract with the command line, or call {function} in Python.'
        )
    settings = ExtractSettings.resolve(None, file)
    assert settings.model is not None
    ready = zoo.load(settings.model, weights=settings.weights)
    images = opened(settings, ready)
    made = store.metadata["settings"]
    for what, now in (("model", model_fingerprint(ready.model)), ("data", images.describe())):
        changed = next(differences(made[what], plain(now), what), None)
        if changed is not None:
            kind = "weights" if what == "model" else "images"
            raise CodeclensError(
                f'{file} names other {kind} than "{path}" was made from ({changed[0]} differs); '
                f"extract again, or call {function} in Python."
            )
    ready.model.to(usable_device(settings.device or default_device()))
    method = replace(method_of(settings), **store.metadata["learned"])  # type: ignore[type-var]
    options = {
        "method": method,
        "target": target_of(settings),
        "baseline": settings.baseline,
        "output": selector(settings.output) if settings.output else ready.output,
    }
    return Again(ready, images, options, settings.batch_size, settings)
