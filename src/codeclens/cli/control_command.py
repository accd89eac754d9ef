"""`codeclens control`: the effects of modes, compared with other ways to choose units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from torch import Tensor

import codeclens as cl
from codeclens.analysis import save_table
from codeclens.attribution import Inputs
from codeclens.cli.config import ControlSettings
from codeclens.cli.config_files import write_section
from codeclens.cli.extract_command import (
    Reloaded,
    class_list,
    class_number,
    load_again,
    open_images,
)
from codeclens.cli.terminal import say
from codeclens.control import (
    ALL,
    CONTROLS,
    FRACTIONS,
    Study,
    curves_figure,
    necessity,
    necessity_figure,
    prepared,
)
from codeclens.control.edits import Kind
from codeclens.control.filing import Filed, Filing
from codeclens.control.off import Off
from codeclens.decomposition import Modes, load_modes, require_modes_of
from codeclens.errors import CodeclensError
from codeclens.extraction import SampleSource
from codeclens.extraction.data import stratified
from codeclens.extraction.fingerprint import array_digest
from codeclens.progress import progress
from codeclens.reporting.run_files import save_sentences
from codeclens.visualization import save

if TYPE_CHECKING:
    import pandas

# Images of each class whose gradients are averaged.
_TRAINING = 30


@dataclass(frozen=True)
class Wanted:
    """A class, or a superclass with its `name`."""

    members: tuple[int, ...]
    name: str | None = None


def run_control(settings: ControlSettings) -> None:
    """Measure what is not saved yet, write all files, and print the sentences."""
    assert settings.store is not None
    assert settings.modes is not None
    assert settings.to is not None
    store, found = cl.ContributionStore(settings.store), load_modes(settings.modes)
    require_modes_of(store, found)
    modes = {site: found[site] for site in _sites(found, settings.sites)}
    again = load_again(store, "codeclens control", "codeclens.control_curve", settings.run_code)
    names = list(store.classes or [])
    groups = [_superclass(text, names) for text in settings.superclass or []]
    classes = _classes(settings.classes, names)
    x, labels, described = measured_on(settings, again, store)
    filing = Filing(settings.to)
    made_by = {
        "store": {name: store.metadata["settings"][name] for name in ("model", "data", "method")},
        "images": described,
        "limit": settings.limit,
        "fractions": list(_fractions(settings)),
        "trials": settings.trials,
        "controls": list(_controls(settings)),
        "seed": settings.seed,
        "off": settings.off,
        "necessity": [settings.necessity, settings.necessity_modes],
    }
    filing.require(made_by, settings.overwrite)
    for site, one in modes.items():
        # Only settings on which a site's results depend, so that other results can be added.
        Filing(filing.place(site)).require(
            {"modes": array_digest(one.dictionary)}, settings.overwrite
        )
        measure(settings, filing, again, store, one, (x, labels), (classes, groups))
    about = held_out_sentence(settings, len(x))
    write_control(filing, settings.to, about, list(store.sites))
    write_section(settings.to, settings)
    say((settings.to / "control.txt").read_text(encoding="utf-8"), end="")
    say(f"Tables, figures and sentences are in {settings.to}")


def measure(
    settings: ControlSettings,
    filing: Filing,
    again: Reloaded,
    store: cl.ContributionStore,
    modes: Modes,
    data: tuple[Any, Tensor],
    wanted: tuple[list[Wanted] | None, list[Wanted]],
) -> None:
    """Measure the curves of one site, and its necessity, that are not saved yet."""
    site, output = modes.site, again.options["output"]
    controls = _controls(settings)
    study = prepared(
        again.ready.model,
        data,
        modes,
        site=site,
        fractions=_fractions(settings),
        off=_off(settings),
        baseline=again.options.get("baseline"),
        controls=controls,
        store=store,
        training=training_of(again, store) if "gradient" in controls else None,
        activation_modes=_activation_modes(settings, filing, store, modes, controls),
        trials=settings.trials,
        seed=settings.seed,
        batch_size=settings.batch_size,
        output=output,
    )
    kinds: tuple[Kind, ...] = get_args(Kind) if settings.kind == "both" else (settings.kind,)
    runs = [(kind, one) for kind in kinds for one in _asked(study, *wanted)]
    with progress(f"control: {site}", len(runs), "curves") as advance:
        for done, (kind, one) in enumerate(runs):
            if filing.curve(site, kind, one.members, one.name) is None:
                filing.save_curve(study.curve(one.members, kind, one.name), one.name)
            advance(done + 1, len(runs))
    if not settings.necessity or modes.view not in ("concat", "sum"):
        return
    if filing.necessity(site) is not None:
        return
    rows = list(stratified(data[1].tolist(), settings.necessity, settings.seed))
    chosen = None
    if settings.necessity_modes is not None:
        chosen = list(range(min(settings.necessity_modes, len(modes))))
    with progress(f"necessity: {site}", None, "modes") as advance:
        found = necessity(
            again.ready.model, (data[0][rows], data[1][rows]), modes,
            chosen=chosen, site=site, off=_off(settings), batch_size=settings.batch_size,
            seed=settings.seed, progress=advance, **again.options,
        )  # fmt: skip
    filing.save_necessity(found, settings.seed)


def measured_on(
    settings: ControlSettings, again: Reloaded, store: cl.ContributionStore
) -> tuple[Any, Tensor, Any]:
    """The images `(N, …)` that are measured on, their labels, and what describes them.

    Raises CodeclensError if none is labelled, or their classes are not those of the store.
    """
    if settings.images is None:
        images, rows = again.data, store.sample[store.label >= 0]
    else:
        asked = again.settings.model_copy(update={"images": settings.images, "limit": None})
        images = open_images(asked, again.ready)
        if images.classes != store.classes:
            raise CodeclensError(
                f"The classes of {settings.images} ({_few(images.classes)}) are not those of the "
                f"store ({_few(store.classes)}); name the folders of images after these."
            )
        rows = np.arange(len(images))
    known = [images.label(int(row)) for row in rows]
    chosen = rows[list(stratified(known, settings.limit, settings.seed))] if len(rows) else rows
    x, labels = loaded(images, chosen)
    if not len(x):
        where = settings.images or f'the store "{store.path}"'
        raise CodeclensError(f"No image of {where} has a label, so no class can be controlled.")
    return x, labels, images.describe()


def training_of(again: Reloaded, store: cl.ContributionStore) -> tuple[Any, Tensor]:
    """Some images of each class among those in which the modes were found, and their labels."""
    labels = store.label
    rows = [store.sample[labels == which][:_TRAINING] for which in np.unique(labels[labels >= 0])]
    return loaded(again.data, np.concatenate(rows))


def loaded(images: SampleSource, rows: Sequence[int] | np.ndarray) -> tuple[Any, Tensor]:
    """The labelled ones of these samples that can be read, as one batch, and their labels."""
    samples = [images.load(int(row)) for row in rows]
    good = [sample for sample in samples if sample.image is not None and sample.label >= 0]
    if not good:
        return torch.zeros(0, 1), torch.zeros(0, dtype=torch.long)
    found = [sample.image for sample in good]
    x = Inputs.joined(found) if isinstance(found[0], Inputs) else torch.stack(found)
    return x, torch.tensor([sample.label for sample in good])


def write_control(filing: Filing, to: Path, about: str, sites: list[str]) -> None:
    """Write curves.csv, classes.csv, comparisons.csv, necessity.csv, figures and control.txt."""
    filed = sorted(filing.all(), key=lambda one: sites.index(one.site))
    curves = [curves for one in filed for curves in one.curves]
    save_table(to / "curves.csv", rows_of(one.to_dataframe("fractions") for one in curves))
    save_table(to / "classes.csv", rows_of(one.to_dataframe("classes") for one in curves))
    save_table(to / "comparisons.csv", rows_of(one.to_dataframe("controls") for one in curves))
    found = [one.necessity for one in filed if one.necessity is not None]
    if found:
        save_table(to / "necessity.csv", rows_of(one.to_dataframe() for one in found))
    for one in filed:
        name = filing.place(one.site).name
        if one.curves:
            save(curves_figure(one.curves), to / f"control-{name}.png")
            save(curves_figure(one.curves), to / f"control-{name}.svg")
        if one.necessity is not None:
            for ending in ("png", "svg"):
                save(necessity_figure(one.necessity), to / f"necessity-{name}.{ending}")
    save_sentences(to / "control.txt", [about, *_sentences(filed)])


def rows_of(tables: Iterable[pandas.DataFrame]) -> list[dict[str, Any]]:
    """The rows of several tables with the same columns, one after another; empty cells for NaN."""
    found = []
    for table in tables:
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        found += [{str(name): value for name, value in row.items()} for row in rows]
    return found


def held_out_sentence(settings: ControlSettings, count: int) -> str:
    """The images of the measurement, and whether the modes were found in them."""
    if settings.images is None:
        return (
            f"Measured on {count:,} images of the store in which the modes were also found; pass "
            "--images for others."
        )
    return f"Measured on {count:,} images of {settings.images}; modes and controls are from others."


def _sentences(filed: Sequence[Filed]) -> Iterator[str]:
    for one in filed:
        for curves in one.curves:
            yield from curves.sentences()
        if one.necessity is not None:
            yield from one.necessity.sentences()


def _asked(study: Study, classes: list[Wanted] | None, groups: list[Wanted]) -> list[Wanted]:
    if classes is None:
        classes = [] if groups else [Wanted((which,)) for which in study.classes()]
    if not classes and not groups:
        raise CodeclensError(
            "There is no class that the network recognises in an image and that the modes know; "
            "pass other images."
        )
    return [*classes, *groups]


def _activation_modes(
    settings: ControlSettings,
    filing: Filing,
    store: cl.ContributionStore,
    modes: Modes,
    controls: Sequence[str],
) -> Modes | None:
    """The modes of the activations, found once and then saved."""
    if "activation modes" not in controls:
        return None
    to = filing.place(modes.site) / "activation-modes"
    if to.with_suffix(".json").is_file() and to.with_suffix(".safetensors").is_file():
        return Modes.load(to)
    method = modes.method
    found = cl.decompose(store, method, sites=[modes.site], view="activation", seed=settings.seed)
    found[modes.site].save(to)
    return found[modes.site]


def _sites(modes: Mapping[str, Modes], asked: list[str] | None) -> list[str]:
    unknown = [site for site in asked or [] if site not in modes]
    if unknown:
        raise CodeclensError(
            f'There are no modes of site "{unknown[0]}"; there are those of {", ".join(modes)}.'
        )
    return list(asked or modes)


def _controls(settings: ControlSettings) -> tuple[str, ...]:
    if settings.controls in ("all", "none"):
        return ALL if settings.controls == "all" else ()
    names = tuple(name.strip() for name in settings.controls.split(","))
    for name in names:
        if name not in CONTROLS:
            raise CodeclensError(
                f'There is no control "{name}"; known are {", ".join(CONTROLS)}, and all or none.'
            )
    return names


def _fractions(settings: ControlSettings) -> tuple[float, ...]:
    if settings.fractions is None:
        return FRACTIONS
    try:
        return tuple(sorted(float(part) for part in settings.fractions.split(",")))
    except ValueError:
        raise CodeclensError(
            f"--fractions (={settings.fractions}) must be shares, for example 0.05,0.1,0.25."
        ) from None


def _off(settings: ControlSettings) -> Off | None:
    named: dict[str | None, Off | None] = {None: None, "baseline": "baseline", "mean": "mean"}
    return named[settings.off] if settings.off in named else float(str(settings.off))


def _classes(asked: list[str] | None, names: list[str]) -> list[Wanted] | None:
    if asked is None:
        return None
    return [Wanted((_class(one, names),)) for one in class_list(asked, names)]


def _superclass(text: str, names: list[str]) -> Wanted:
    name, equals, members = text.partition("=")
    parts = class_list(members.split(","), names)
    if not equals or not name.strip() or not parts:
        raise CodeclensError(
            f'--superclass "{text}" is not a group; write NAME=CLASS,CLASS, for example odd=1,3,5.'
        )
    return Wanted(tuple(sorted({_class(part, names) for part in parts})), name.strip())


def _class(text: str, names: list[str]) -> int:
    number = class_number(text, names)
    if number < 0 or (names and number >= len(names)):
        raise CodeclensError(f"There is no class {number}; the classes are {_few(names)}.")
    return number


def _few(names: Sequence[str] | None) -> str:
    some = list(names or [])
    return (", ".join(some[:6]) + (" …" if len(some) > 6 else "")) or "not named"
