"""`codeclens extract`: the contributions of a model on images from disk, written to a store."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

import codeclens as cl
from codeclens import zoo
from codeclens.attribution.targets import parse_target
from codeclens.cli.config import ExtractSettings, configuration, write_section
from codeclens.errors import CodeclensError
from codeclens.extraction import (
    Rank,
    RayEngine,
    SampleSource,
    SharedProgress,
    default_device,
    locate,
    open_samples,
    usable_device,
)
from codeclens.extraction.fingerprint import differences, model_fingerprint, plain
from codeclens.progress import Advance, progress
from codeclens.reporting import gap_sentence, gaps

if TYPE_CHECKING:
    from codeclens.attribution import Method


_SHOWN_SKIPPED = 3


def run_extract(settings: ExtractSettings) -> None:
    """Extract as the options say, and print a summary.

    If a launcher started several processes, each computes its share and the first one reports.
    """
    assert settings.model is not None
    assert settings.images is not None
    assert settings.to is not None
    ready = zoo.load(settings.model, weights=settings.weights)
    if settings.engine == "local":  # a worker of a cluster has a device of its own
        ready.model.to(usable_device(settings.device or default_device()))
    elif settings.device is not None:
        raise CodeclensError(
            f"--device {settings.device} has no effect with --engine ray: its workers use the GPUs "
            "that --worker-gpus assigns. Leave it out."
        )
    images = open_images(settings, ready)
    options: dict[str, Any] = {
        "sites": settings.sites or ready.sites,
        "method": method_of(settings),
        "target": parse_target(settings.target, settings.target_scale),
        "baseline": settings.baseline,
        "output": selector(settings.output) if settings.output else ready.output,
        "batch_size": settings.batch_size,
        "shard_size": settings.shard_size,
        "grid": settings.grid,
        "dtype": settings.dtype,
        "channels_last": settings.channels_last,
        "fold_batchnorm": settings.fold_batchnorm,
        "autocast": settings.autocast,
        "to": settings.to,
    }
    if settings.plan:
        print(cl.plan(ready.model, images, **options))
        return
    rank = Rank.from_environment()
    with _leading_progress(rank, len(images)) as advance, _quiet_followers(rank):
        whole = SharedProgress(locate(settings.to), rank, advance)
        store = cl.extract(
            ready.model,
            images,
            strict=settings.strict,
            progress=whole,
            shards=rank.shards,
            engine=engine_of(settings),
            **options,
        )
        if rank.leads:
            whole.wait()
    if rank.leads:
        if isinstance(store.path, Path):
            made = {
                "sites": store.sites,
                "shard_size": store.metadata["settings"]["shard_size"],
                "device": None if settings.engine == "ray" else str(_device_of(ready.model)),
            }
            write_section(store.path.absolute().parent, settings.model_copy(update=made))
        print(summary(cl.ContributionStore(store.path)))


def _device_of(model: nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def open_images(settings: ExtractSettings, ready: zoo.Ready) -> SampleSource:
    """The images, labelled with the model's classes if the folders are named after them.

    Otherwise the folders are new classes, unless the target is the label.
    """
    assert settings.images is not None
    given = settings.images, ready.transform
    if settings.classes:
        return open_samples(*given, class_names(settings.classes), settings.limit)
    images = open_samples(*given, None, settings.limit)
    strange = set(images.classes or []) - set(ready.labels or [])
    if ready.labels is None or (strange and settings.target != "label"):
        if ready.labels:
            print(
                f'The folders are used as classes: "{min(strange)}" is not among the '
                f"{len(ready.labels)} classes of the model."
            )
        return images
    return open_samples(*given, ready.labels, settings.limit)


@contextmanager
def _leading_progress(rank: Rank, total: int) -> Iterator[Advance]:
    """Show the progress of all processes, in the first one only."""
    if rank.leads:
        with progress("contributions", total, "images") as advance:
            yield advance
    else:
        yield lambda done, of, note="": None


@contextmanager
def _quiet_followers(rank: Rank) -> Iterator[None]:
    """Silence warnings and logs in all processes but the first."""
    log = logging.getLogger("codeclens")
    level = log.level
    with warnings.catch_warnings():
        if not rank.leads:
            warnings.simplefilter("ignore", cl.CompletenessWarning)
            log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)


def summary(store: cl.ContributionStore) -> str:
    """A summary of a store: its contents, the completeness gap and the skipped samples."""
    lines = [repr(store), gap_sentence(gaps(store)).replace("`", "")]
    if store.skipped:
        count = len(store.skipped)
        lines.append(f"{count:,} {'image was' if count == 1 else 'images were'} skipped:")
        lines += [f"  {key}: {reason}" for key, reason in store.skipped[:_SHOWN_SKIPPED]]
        if count > _SHOWN_SKIPPED:
            lines.append(f"  … and {count - _SHOWN_SKIPPED:,} more, listed in the store")
    return "\n".join(lines)


def method_of(settings: ExtractSettings) -> Method:
    """The attribution method of the options."""
    if settings.method == "conductance":
        return cl.Conductance(steps=settings.steps)
    return cl.ActivationGradient()


def engine_of(settings: ExtractSettings) -> Literal["local"] | RayEngine:
    """The engine of the options."""
    if settings.engine == "local":
        return "local"
    return RayEngine(
        settings.workers, settings.worker_cpus, settings.worker_gpus, settings.decoders
    )


def selector(text: str) -> str | int:
    """The entry of the model's output that holds the classes: a key or an index.

    >>> selector("logits"), selector("0")
    ('logits', 0)
    """
    return int(text) if text.lstrip("-").isdigit() else text


def class_names(file: Path) -> list[str]:
    """The class names in a text file, one per line.

    Raises CodeclensError if the file cannot be read, has an empty line or repeats a name.
    """
    try:
        names = [line.strip() for line in file.read_text(encoding="utf-8").rstrip().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise CodeclensError(f"The class names in {file} cannot be read: {error}.") from error
    if not all(names) or not names:
        place = names.index("") + 1 if names else 1
        raise CodeclensError(f"Line {place} of {file} is empty; write one class name per line.")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise CodeclensError(
            f'The file {file} lists "{name}" {count} times; each class needs its own name.'
        )
    return names


@dataclass(frozen=True)
class Reloaded:
    """The model and images of a store, and the options of its extraction."""

    ready: zoo.Ready
    images: SampleSource
    options: dict[str, Any]
    batch_size: int
    settings: ExtractSettings


def load_again(store: cl.ContributionStore, purpose: str, function: str) -> Reloaded:
    """Load the model and images of a store again, from the `config.yaml` next to it.

    `purpose` and `function` name, in an error, what needs them and the Python function that does
    not. Raises CodeclensError if there is no configuration or if the model or images changed.
    """
    path = store.path
    file = configuration(path) if isinstance(path, Path) else None
    if file is None or not file.is_file():
        raise CodeclensError(
            f"{purpose} needs the model and the images, but there is no config.yaml of codeclens "
            f'extract next to "{path}"; extract on the command line, or call {function} in Python.'
        )
    settings = ExtractSettings.resolve(None, file)
    assert settings.model is not None
    ready = zoo.load(settings.model, weights=settings.weights)
    images = open_images(settings, ready)
    made = store.metadata["settings"]
    for what, now in (("model", model_fingerprint(ready.model)), ("data", images.describe())):
        changed = next(differences(made[what], plain(now), what), None)
        if changed is not None:
            kind = "weights" if what == "model" else "images"
            raise CodeclensError(
                f'{file} names other {kind} than those of "{path}" ({changed[0]} differs); '
                f"extract again, or call {function} in Python."
            )
    ready.model.to(usable_device(settings.device or default_device()))
    method = replace(method_of(settings), **store.metadata["learned"])  # type: ignore[type-var]
    options = {
        "method": method,
        "target": parse_target(settings.target, settings.target_scale),
        "baseline": settings.baseline,
        "output": selector(settings.output) if settings.output else ready.output,
    }
    return Reloaded(ready, images, options, settings.batch_size, settings)
