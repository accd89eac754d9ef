"""`codeclens extract`: a model, images on disk, a store of contributions."""

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
    from codeclens.attribution import Method, Target


_SHOWN_SKIPPED = 3


def run_extract(settings: ExtractSettings) -> None:
    """Extract as the settings say, and tell what came out.

    Where a launcher started several processes, each takes its share, and the first speaks for all.
    """
    assert settings.model is not None
    assert settings.images is not None
    assert settings.to is not None
    ready = zoo.load(settings.model, weights=settings.weights)
    if settings.engine == "local":  # a worker of a cluster has a device of its own
        ready.model.to(usable_device(settings.device or default_device()))
    elif settings.device is not None:
        raise CodeclensError(
            f"--device {settings.device} means nothing to --engine ray, whose workers compute on "
            "the GPUs that --worker-gpus gives them; leave it out."
        )
    images = opened(settings, ready)
    options: dict[str, Any] = {
        "sites": settings.sites or ready.sites,
        "method": method_of(settings),
        "target": target_of(settings),
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
    with _spoken(rank, len(images)) as advance, _said_once(rank):
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
        print(told(cl.ContributionStore(store.path)))


def _device_of(model: nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def opened(settings: ExtractSettings, ready: zoo.Ready) -> SampleSource:
    """The images, labelled by the model's classes where their folders are named after these.

    Elsewhere folders are classes of their own, unless the labels themselves are explained.
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
                f'Folders are taken for classes of their own: "{min(strange)}" is none of the '
                f"{len(ready.labels)} classes of the model."
            )
        return images
    return open_samples(*given, ready.labels, settings.limit)


@contextmanager
def _spoken(rank: Rank, total: int) -> Iterator[Advance]:
    """Progress of the whole, by one process alone."""
    if rank.leads:
        with progress("contributions", total, "images") as advance:
            yield advance
    else:
        yield lambda done, of, note="": None


@contextmanager
def _said_once(rank: Rank) -> Iterator[None]:
    """Keep all but the first process from saying what that one says."""
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


def told(store: cl.ContributionStore) -> str:
    """What a store holds, which samples are missing, and how far the sums can be trusted."""
    lines = [repr(store), gap_sentence(gaps(store)).replace("`", "")]
    if store.skipped:
        count = len(store.skipped)
        lines.append(f"{count:,} {'image was' if count == 1 else 'images were'} skipped:")
        lines += [f"  {key}: {reason}" for key, reason in store.skipped[:_SHOWN_SKIPPED]]
        if count > _SHOWN_SKIPPED:
            lines.append(f"  … and {count - _SHOWN_SKIPPED:,} more, listed in the store")
    return "\n".join(lines)


def method_of(settings: ExtractSettings) -> Method:
    """The method that the settings name."""
    if settings.method == "conductance":
        return cl.Conductance(steps=settings.steps)
    return cl.ActivationGradient()


def engine_of(settings: ExtractSettings) -> Literal["local"] | RayEngine:
    """Where the settings have shards computed."""
    if settings.engine == "local":
        return "local"
    return RayEngine(
        settings.workers, settings.worker_cpus, settings.worker_gpus, settings.decoders
    )


def target_of(settings: ExtractSettings) -> Target:
    """The target that the settings name: predicted, label or output:INDEX."""
    kind, _, index = settings.target.partition(":")
    if kind == "output":
        return cl.Output(int(index), of=settings.target_scale)
    target = cl.Label if kind == "label" else cl.Predicted
    return target(of=settings.target_scale)


def selector(text: str) -> str | int:
    """Where the classes are in the model's output: a key, or an index of a tuple.

    >>> selector("logits"), selector("0")
    ('logits', 0)
    """
    return int(text) if text.lstrip("-").isdigit() else text


def class_names(file: Path) -> list[str]:
    """The class names of a text file, one a line.

    Raises CodeclensError where the file cannot be read, has an empty line or names a class twice.
    """
    try:
        names = [line.strip() for line in file.read_text(encoding="utf-8").rstrip().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise CodeclensError(f"The class names {file} cannot be read: {error}.") from error
    if not all(names) or not names:
        place = names.index("") + 1 if names else 1
        raise CodeclensError(f"Line {place} of {file} is empty; write one class name a line.")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise CodeclensError(f'The file {file} names "{name}" {count} times; a name is one class.')
    return names


@dataclass(frozen=True)
class Again:
    """The model and images of a store, and the options that it was extracted with."""

    ready: zoo.Ready
    images: SampleSource
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
