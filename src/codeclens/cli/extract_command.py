"""`codeclens extract`: the contributions of a model on images or texts, written to a store."""

from __future__ import annotations

import logging
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import nn

import codeclens as cl
from codeclens import zoo
from codeclens.attribution import ActivationPath, TokenEmbedding
from codeclens.attribution.target_forms import TARGET_FORMS, parse_target
from codeclens.attribution.targets import Scale
from codeclens.cli.config import ExtractSettings, ModelSettings
from codeclens.cli.config_files import configuration, write_section
from codeclens.cli.terminal import say
from codeclens.errors import CodeclensError, counted, unknown
from codeclens.extraction import (
    Rank,
    RayEngine,
    SampleSource,
    SharedProgress,
    TextLines,
    default_device,
    locate,
    open_samples,
    usable_device,
)
from codeclens.extraction.fingerprint import differences, model_fingerprint, plain
from codeclens.extraction.sources import is_imagenet
from codeclens.progress import Advance, progress
from codeclens.reporting import gap_sentence, gaps
from codeclens.text import composed, visible
from codeclens.yaml_files import limited_text

if TYPE_CHECKING:
    from codeclens.attribution import Method, Target


_SHOWN_SKIPPED = 3


def run_extract(settings: ExtractSettings) -> None:
    """Extract as the options say, and print a summary.

    If a launcher started several processes, each computes its share and the first one reports.
    """
    assert settings.model is not None
    assert settings.to is not None
    ready = load_ready(settings, settings.model)
    if settings.engine == "local":  # a worker of a cluster has a device of its own
        ready.model.to(usable_device(settings.device or default_device()))
    elif settings.device is not None:
        raise CodeclensError(
            f"--device {settings.device} has no effect with --engine ray: its workers use the GPUs "
            "that --worker-gpus assigns. Leave it out."
        )
    data = open_data(settings, ready)
    options: dict[str, Any] = {
        "sites": settings.sites or ready.sites,
        "method": method_of(settings),
        "target": target_of(settings, output_names(settings, ready, data)),
        "baseline": baseline_of(settings),
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
        say(cl.plan(ready.model, data, **options))
        return
    rank = Rank.from_environment()
    with _leading_progress(rank, len(data)) as advance, _quiet_followers(rank):
        whole = SharedProgress(locate(settings.to), rank, advance)
        store = cl.extract(
            ready.model,
            data,
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
        say(summary(cl.ContributionStore(store.path)))


def _device_of(model: nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def load_ready(settings: ModelSettings, model: str) -> zoo.Ready:
    """The model that the options name, with its preprocessing or tokenizer."""
    return zoo.load(
        model, weights=settings.weights, tokenizer=settings.tokenizer, **settings.preprocessing
    )


def baseline_of(settings: ModelSettings) -> Any:
    """The baseline of the options: a number, "mean", or the embedding of a token.

    >>> baseline_of(ExtractSettings(baseline="token:3"))
    TokenEmbedding(token=3)
    """
    given = settings.baseline
    token = given.partition(":")[2] if isinstance(given, str) else ""
    return TokenEmbedding(int(token)) if token else given


def tokenizer_of(settings: ModelSettings, ready: zoo.Ready) -> Callable[[str], Any]:
    """The tokenizer of the options or of the model; raises CodeclensError if there is none."""
    if ready.tokenizer is None:
        raise CodeclensError(
            f'"{ready.name}" comes without a tokenizer; pass --tokenizer FOLDER or '
            "--tokenizer module:function."
        )
    return ready.tokenizer


def open_data(settings: ExtractSettings, ready: zoo.Ready) -> SampleSource:
    """The texts or images, labelled with the model's classes if the labels are named after them.

    Otherwise the labels are new classes, unless the target is the label.
    """
    return (
        _open_texts(settings, ready) if settings.text is not None else open_images(settings, ready)
    )


def _open_texts(settings: ExtractSettings, ready: zoo.Ready) -> TextLines:
    assert settings.text is not None
    tokenizer = tokenizer_of(settings, ready)

    def opened(classes: Sequence[str] | None) -> TextLines:
        return TextLines(
            settings.text or "", tokenizer, field=settings.field, label=settings.label,
            classes=classes, most=settings.tokens, limit=settings.limit, seed=settings.seed,
        )  # fmt: skip

    if settings.classes:
        return opened(class_names(settings.classes))
    texts = opened(None)
    if texts.classes is None or ready.labels is None:
        return texts
    strange = set(texts.classes) - set(ready.labels)
    if not strange or settings.target == "label":
        return opened(ready.labels)
    texts.own_classes = True
    say(_foreign(len(texts.classes), "labels", min(strange), ready.labels))
    return texts


def _foreign(count: int, what: str, example: str, labels: Sequence[str]) -> str:
    return (
        f"The {count} {what} are not among the model's {len(labels):,} classes (for example "
        f'"{example}"), so no accuracy is reported.'
    )


def open_images(settings: ExtractSettings, ready: zoo.Ready) -> SampleSource:
    """The images, labelled with the model's classes if the folders are named after them."""
    assert settings.images is not None
    given = settings.images, ready.transform
    drawn = settings.limit, settings.seed
    if settings.classes:
        return open_samples(*given, class_names(settings.classes), *drawn)
    images = open_samples(*given, None, *drawn)
    if is_imagenet(images.classes or [], ready.labels or []):
        return open_samples(*given, ready.labels, *drawn)
    strange = set(images.classes or []) - set(ready.labels or [])
    if ready.labels is None or (strange and settings.target != "label"):
        if ready.labels:
            images.own_classes = True
            count = len(images.classes or [])
            say(_foreign(count, "folder names", min(strange), ready.labels))
        return images
    return open_samples(*given, ready.labels, *drawn)


@contextmanager
def _leading_progress(rank: Rank, total: int) -> Iterator[Advance]:
    """Show the progress of all processes, in the first one only."""
    if rank.leads:
        with progress("contributions", total, "samples") as advance:
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


def data_sentence(store: cl.ContributionStore) -> str:
    """One line on the samples of a store: classes covered, accuracy and preprocessing."""
    label, classes = store.label, store.classes
    known = label >= 0
    seen = len(np.unique(label[known]))
    outputs = store.metadata.get("outputs")
    text = counted(len(store), "sample")
    if not known.any():
        text += " without labels"
    else:
        all_of = f"{seen:,} of {len(classes):,}" if classes else f"{seen:,}"
        text += f" of {all_of} class{'' if (len(classes) if classes else seen) == 1 else 'es'}"
    predicted = store.prediction
    if known.any() and (predicted >= 0).any():
        if _labels_index_outputs(store, outputs):
            accuracy = float(np.mean(predicted[known] == label[known]))
            text += f"; accuracy {accuracy:.1%}"
        else:
            of = f" the {counted(outputs, 'output')}" if outputs else " the outputs"
            text += f"; no accuracy, since the labels do not index{of} of the model"
    data = store.metadata["settings"]["data"]
    described = data.get("transform")
    if data.get("kind") == "text":
        return f"{text}; tokenizer: {described}."
    return f"{text}; preprocessing: {preprocessing_words(described)}."


def _labels_index_outputs(store: cl.ContributionStore, outputs: int | None) -> bool:
    if store.metadata.get("own_classes"):
        return False
    if store.classes is None:
        return outputs is None or int(store.label.max()) < outputs
    return len(store.classes) == (int(store.prediction.max()) + 1 if outputs is None else outputs)


def preprocessing_words(described: Any) -> str:
    """The preprocessing in words, from the description of a transform in a store.

    >>> from codeclens.extraction.fingerprint import describe
    >>> from codeclens.zoo.ready import ImageTransform
    >>> preprocessing_words(describe(ImageTransform(resize=32, crop=(32, 32))))
    'shortest side 32, crop 32 × 32, bilinear, mean 0.485, 0.456, 0.406, std 0.229, 0.224, 0.225'
    >>> preprocessing_words(None)
    'none'
    """
    if described is None:
        return "none"
    if not isinstance(described, dict):
        return str(described)
    if described.get("class") != "ImageTransform":
        name = described.get("function") or described.get("method") or described.get("class")
        return f"the transform {name} of the model's own"
    resize = described["resize"]
    if isinstance(resize, int):
        resized = f"shortest side {resize}"
    else:
        resized = f"resized to {' × '.join(map(str, resize))}"
    mean, std = (", ".join(f"{one:.4g}" for one in described[name]) for name in ("mean", "std"))
    crop = " × ".join(map(str, described["crop"]))
    return f"{resized}, crop {crop}, {described['interpolation']}, mean {mean}, std {std}"


def summary(store: cl.ContributionStore) -> str:
    """A summary of a store: its contents, the completeness gap and the skipped samples."""
    lines = [
        repr(store),
        data_sentence(store),
        gap_sentence(gaps(store)).replace("`", ""),
    ]
    if store.skipped:
        count = len(store.skipped)
        lines.append(f"{count:,} {'sample was' if count == 1 else 'samples were'} skipped:")
        lines += [f"  {key}: {reason}" for key, reason in store.skipped[:_SHOWN_SKIPPED]]
        if count > _SHOWN_SKIPPED:
            lines.append(f"  … and {count - _SHOWN_SKIPPED:,} more, listed in the store")
    return "\n".join(lines)


def method_of(settings: ExtractSettings) -> Method:
    """The attribution method of the options."""
    match settings.method:
        case "conductance":
            return cl.Conductance(steps=settings.steps)
        case "activation-path":
            return ActivationPath(steps=settings.steps)
        case "late-activation-path":
            return ActivationPath(steps=settings.steps, start=0.5)
        case "activation-gradient":
            return cl.ActivationGradient()


def engine_of(settings: ExtractSettings) -> Literal["local"] | RayEngine:
    """The engine of the options."""
    if settings.engine == "local":
        return "local"
    return RayEngine(
        settings.workers, settings.worker_cpus, settings.worker_gpus, settings.decoders
    )


def output_names(
    settings: ExtractSettings, ready: zoo.Ready, data: SampleSource
) -> Sequence[str] | None:
    """The class names of the model's outputs, or those of the data if it has none."""
    if settings.classes:
        return class_names(settings.classes)
    return ready.labels or data.classes


def target_of(settings: ExtractSettings, classes: Sequence[str] | None) -> Target:
    """The target of the options of an extraction."""
    return target_named(settings.target, settings.target_scale, classes)


def target_named(text: str, scale: Scale, classes: Sequence[str] | None) -> Target:
    """The target that a text names: a class by its name or number, or one of `TARGET_FORMS`."""
    text = composed(text)
    kind = text.partition(":")[0]
    if text in (classes or ()) or kind not in {form.partition(":")[0] for form in TARGET_FORMS}:
        return cl.Output(class_number(text, classes), of=scale)
    return parse_target(_numbered(text, classes), scale)


def _numbered(text: str, classes: Sequence[str] | None) -> str:
    """A target with numbers in place of the names of classes.

    >>> _numbered("token:-1,contrast:cat,dog", ["dog", "cat"])
    'token:-1,contrast:1,0'
    """
    kind, _, rest = text.partition(":")
    if kind == "token" and "," in rest:
        position, _, inner = rest.partition(",")
        return f"token:{position},{_numbered(inner, classes)}"
    if kind not in ("output", "contrast", "pixels", "box") or not rest:
        return text
    parts = class_list(rest.split(","), classes)
    return f"{kind}:{','.join(str(class_number(part, classes)) for part in parts)}"


def class_list(parts: Sequence[str], classes: Sequence[str] | None) -> list[str]:
    """Names of classes from parts between commas, since a name may hold commas itself.

    >>> class_list("tench, Tinca tinca,cat".split(","), ["tench, Tinca tinca", "cat"])
    ['tench, Tinca tinca', 'cat']
    """
    written = {_joined(name.split(",")).casefold(): name for name in classes or ()}
    left, found = [part for part in parts if part.strip()], []
    while left:
        sizes = range(len(left), 1, -1)
        many = next((n for n in sizes if _joined(left[:n]).casefold() in written), 1)
        found.append(written.get(_joined(left[:many]).casefold(), left[0].strip()))
        left = left[many:]
    return found


def _joined(parts: Sequence[str]) -> str:
    return ", ".join(composed(part.strip()) for part in parts)


def class_number(text: str, classes: Sequence[str] | None) -> int:
    """The number of a class given by its name (in any case) or number, or as output:NUMBER.

    >>> class_number("Cat", ["dog", "cat"]), class_number("output:1", None), class_number("7", None)
    (1, 1, 7)
    """
    names, text = list(classes or []), composed(text)
    kind, _, number = text.partition(":")
    if kind == "output" and text not in names:
        if re.fullmatch(r"-?[0-9]{1,9}", number):
            return int(number)
        text = number
    if text in names:
        if names.count(text) > 1:
            raise CodeclensError(
                f'{names.count(text)} classes are called "{text}"; give the number of one.'
            )
        return names.index(text)
    if re.fullmatch(r"-?[0-9]{1,9}", text):
        return int(text)
    if not names:
        raise CodeclensError(
            f'The classes have no names, so "{_cut(text)}" is none; give its number, or --classes '
            "FILE."
        )
    lowered = [name.casefold() for name in names]
    same = [place for place, name in enumerate(lowered) if name == text.casefold()]
    if len(same) == 1:
        return same[0]
    near = same or [p for p, name in enumerate(lowered) if name.startswith(f"{text.casefold()} (")]
    if near:
        found = " and ".join(f'"{names[place]}"' for place in near)
        raise CodeclensError(
            f'Several classes are called "{_cut(text)}": {found}; write the full name.'
        )
    raise unknown("class", text, names)


def _cut(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"


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
    text = limited_text(file, "file of class names", 10_000_000)
    # Lines end as in a text editor: names may hold other separators.
    names = [composed(visible(line.strip())) for line in re.split(r"\r\n|\n|\r", text.rstrip())]
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
    """The model and samples of a store, and the options of its extraction."""

    ready: zoo.Ready
    data: SampleSource
    options: dict[str, Any]
    batch_size: int
    settings: ExtractSettings


def load_again(
    store: cl.ContributionStore, purpose: str, function: str, run_code: bool = False
) -> Reloaded:
    """Load the model and samples of a store again, from the `config.yaml` next to it.

    `purpose` and `function` name, in an error, what needs them and the Python function that does
    not. The file may come with somebody else's store, so a model or tokenizer that is Python code
    (module:function) is only imported with `run_code`. Raises CodeclensError without that, if there
    is no configuration, and if the model or the samples changed.
    """
    path = store.path
    file = configuration(path) if isinstance(path, Path) else None
    if file is None or not file.is_file():
        raise CodeclensError(
            f"{purpose} needs the model and the data, but there is no config.yaml of codeclens "
            f'extract next to "{path}"; extract on the command line, or call {function} in Python.'
        )
    settings = ExtractSettings.resolve(None, file)
    assert settings.model is not None
    code = [
        name
        for name in (settings.model, settings.tokenizer)
        if name is not None and zoo.runs_code(name) and not Path(name).is_dir()
    ]
    if code and not run_code:
        raise CodeclensError(
            f'{purpose} would run the Python code "{code[0]}", which {file} names; pass '
            f"--run-code if the store is your own or you trust it, or call {function} in Python."
        )
    ready = load_ready(settings, settings.model)
    data = open_data(settings, ready)
    made = store.metadata["settings"]
    for what, now in (("model", model_fingerprint(ready.model)), ("data", data.describe())):
        changed = next(differences(made[what], plain(now), what), None)
        if changed is not None:
            kind = "weights" if what == "model" else "texts" if settings.text else "images"
            raise CodeclensError(
                f'{file} names other {kind} than those of "{path}" ({changed[0]} differs); '
                f"extract again, or call {function} in Python."
            )
    ready.model.to(usable_device(settings.device or default_device()))
    method = replace(method_of(settings), **store.metadata["learned"])  # type: ignore[type-var]
    options = {
        "method": method,
        "target": target_of(settings, output_names(settings, ready, data)),
        "baseline": baseline_of(settings),
        "output": selector(settings.output) if settings.output else ready.output,
    }
    return Reloaded(ready, data, options, settings.batch_size, settings)
