"""`codeclens explain`: the output for one image as a sum over modes, in figures and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

import codeclens as cl
from codeclens import zoo
from codeclens.analysis import Hierarchy
from codeclens.attribution import Target, select
from codeclens.attribution.targets import predicted_classes
from codeclens.cli.config import ExplainSettings, require_own, write_section
from codeclens.cli.extract_command import (
    class_names,
    class_number,
    preprocessing_words,
    selector,
)
from codeclens.cli.terminal import say
from codeclens.decomposition import Modes, load_modes, ready_names
from codeclens.errors import CodeclensError
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
    assert settings.image is not None
    assert settings.to is not None
    require_own(settings, settings.to, "an explanation", "explanation.*", _MADE_BY)
    modes, sites = modes_of(settings)
    ready = zoo.load(settings.model, weights=settings.weights, **settings.preprocessing)
    classes = class_names(settings.classes) if settings.classes else ready.labels
    image = _opened(settings.image)
    x = ready.transform(image)[None]
    as_seen = getattr(ready.transform, "picture", None)
    with progress("explain", None, "steps") as advance:
        explanation = cl.explain(
            ready.model,
            x,
            modes,
            sites=sites,
            method=cl.Conductance(settings.steps, nodes="geometric"),
            target=_target(settings, ready, x, classes),
            baseline=settings.baseline,
            output=selector(settings.output) if settings.output else ready.output,
            most=settings.most,
            maps="pixels" if settings.pixels else settings.maps,
            effects=settings.effects,
            classes=classes,
            # Packaged modes have names of their own; others may follow superclasses.
            names=Hierarchy.from_file("imagenet") if settings.modes is None else None,
            picture=None if as_seen is None else as_seen(image),
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


def _target(
    settings: ExplainSettings, ready: zoo.Ready, x: Tensor, classes: Sequence[str] | None
) -> Target:
    """The target of the options; a contrast with another class needs the predicted class first."""
    if settings.target == "predicted" and settings.instead_of is None:
        return cl.Predicted()
    if settings.target == "predicted":
        output = selector(settings.output) if settings.output else ready.output
        with torch.no_grad():
            first = int(predicted_classes(select(ready.model(x), output))[0])
    else:
        first = class_number(settings.target, classes)
    if settings.instead_of is None:
        return cl.Output(first)
    return cl.Contrast(first, class_number(settings.instead_of, classes))


def _require_sites(sites: Sequence[str] | None, modes: Mapping[str, Any], folder: Path) -> None:
    missing = [site for site in sites or () if site not in modes]
    if missing or not modes:
        known = ", ".join(modes) or "no site"
        wanted = f', not of "{missing[0]}"' if missing else ""
        raise CodeclensError(f"{folder} holds modes of {known}{wanted}.")
