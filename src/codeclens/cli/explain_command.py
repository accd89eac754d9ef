"""`codeclens explain`: the output for one image or text as a sum over modes, with figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

import codeclens as cl
from codeclens import zoo
from codeclens.analysis import Hierarchy
from codeclens.attribution import Selector, Target, select
from codeclens.attribution.inputs import called
from codeclens.attribution.targets import predicted_classes
from codeclens.cli.config import ExplainSettings
from codeclens.cli.config_files import require_own, write_section
from codeclens.cli.extract_command import (
    baseline_of,
    class_names,
    class_number,
    load_ready,
    preprocessing_words,
    selector,
    target_named,
    tokenizer_of,
)
from codeclens.cli.terminal import say
from codeclens.decomposition import Modes, load_modes, ready_names
from codeclens.errors import CodeclensError
from codeclens.extraction import TextLines
from codeclens.extraction.fingerprint import describe
from codeclens.files import staged
from codeclens.pictures import open_rgb
from codeclens.progress import progress
from codeclens.reporting.run_files import save_sentences

# The default site of the modes that ship.
SHOWN = ("blocks.6.0",)
_MADE_BY = [
    name
    for name in ExplainSettings.model_fields
    if name not in ("to", "overwrite", "maps", "pixels")
]


def run_explain(settings: ExplainSettings) -> None:
    """Explain as the options say, print the sentences and write all files."""
    assert settings.to is not None
    require_own(settings, settings.to, "an explanation", "explanation.*", _MADE_BY)
    modes, sites = modes_of(settings)
    ready = load_ready(settings, settings.model)
    output = selector(settings.output) if settings.output else ready.output
    asked = _asked(settings, ready, output)
    classes = class_names(settings.classes) if settings.classes else ready.labels or asked.tokens
    with progress("explain", None, "steps") as advance:
        explanation = cl.explain(
            ready.model,
            asked.x,
            modes,
            sites=sites,
            method=cl.Conductance(settings.steps, nodes="geometric"),
            target=_target(settings, asked, classes),
            baseline=baseline_of(settings),
            output=output,
            most=settings.most,
            maps="pixels" if settings.pixels else settings.maps,
            effects=settings.effects,
            classes=classes,
            # Packaged modes have names of their own; others may follow superclasses.
            names=Hierarchy.from_file("imagenet") if settings.modes is None else None,
            picture=asked.picture,
            tokens=asked.words,
            progress=advance,
        )
    to = settings.to
    with staged(to) as part:
        explanation.save(part / "explanation", most=settings.most)
        explanation.save(part / "explanation.html", most=settings.most)
        explanation.to_csv(part / "explanation.csv")
        save_sentences(part / "sentences.txt", explanation.sentences())
    write_section(to, settings)
    say("\n".join(explanation.sentences()))
    if settings.image is not None:
        say(f"Preprocessing: {preprocessing_words(describe(ready.transform))}.")
    say(f"The figure, the page, the table and these sentences are in {to}")


def modes_of(settings: ExplainSettings) -> tuple[Mapping[str, Modes], Sequence[str] | None]:
    """The modes that are meant, and at which sites; raises CodeclensError if there are none.

    Without a folder they are those that ship with the package, of one late block: all sixteen would
    take minutes.
    """
    if settings.modes is None and settings.model not in ready_names():
        raise CodeclensError(
            f"No modes of {settings.model} ship with codeclens; pass --modes FOLDER, which "
            "codeclens decompose wrote."
        )
    where = Path(settings.model) if settings.modes is None else settings.modes
    modes = load_modes(where)
    _require_sites(settings.sites, modes, where)
    if settings.modes is None and settings.sites is None:
        return modes, SHOWN
    return modes, settings.sites


def _opened(path: Path) -> Image.Image:
    """The image of a file; raises CodeclensError if there is none."""
    try:
        return open_rgb(path)
    except FileNotFoundError:
        raise CodeclensError(f"There is no image {path}: check the path.") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise CodeclensError(f"{path} cannot be read as an image: {error}.") from error


@dataclass(frozen=True)
class _TextAsked:
    """What is explained: the input, what the model returns for it, and how it is drawn.

    `words` are the tokens of a text, `tokens` the names of the outputs of a language model.
    """

    x: Any
    result: Tensor
    picture: Any = None
    words: Sequence[str] | None = None
    tokens: Sequence[str] | None = None


def _asked(settings: ExplainSettings, ready: zoo.Ready, output: Selector) -> _TextAsked:
    if settings.image is not None:
        image = _opened(settings.image)
        x = ready.transform(image)[None]
        as_seen = getattr(ready.transform, "picture", None)
        picture = None if as_seen is None else as_seen(image)
        return _TextAsked(x, _result(ready, x, output), picture)
    tokenizer = tokenizer_of(settings, ready)
    text = TextLines([settings.sentence or ""], tokenizer)
    ids = text.load(0).image
    result = _result(ready, ids, output)
    decode = getattr(tokenizer, "decode", None)
    names = (
        [str(decode([token])) for token in range(result.shape[2])]
        if callable(decode) and result.ndim == 3
        else None
    )
    return _TextAsked(ids, result, None, text.words(0), names)


def _result(ready: zoo.Ready, x: Any, output: Selector) -> Tensor:
    with torch.no_grad():
        return select(called(ready.model, x), output)


def _target(settings: ExplainSettings, asked: _TextAsked, classes: Sequence[str] | None) -> Target:
    """The target of the options; a contrast with another class needs the predicted class first."""
    text, other = settings.target, settings.instead_of
    if other is None:
        return target_named(text, "logits", classes)
    if asked.result.ndim > 2:
        raise CodeclensError(
            "--instead-of contrasts classes; for tokens pass --target token:-1,contrast:ID,ID."
        )
    first = (
        int(predicted_classes(asked.result)[0])
        if text == "predicted"
        else class_number(text, classes)
    )
    return cl.Contrast(first, class_number(other, classes))


def _require_sites(sites: Sequence[str] | None, modes: Mapping[str, Any], folder: Path) -> None:
    missing = [site for site in sites or () if site not in modes]
    if missing or not modes:
        known = ", ".join(modes) or "no site"
        wanted = f', not of "{missing[0]}"' if missing else ""
        raise CodeclensError(f"{folder} holds modes of {known}{wanted}.")
