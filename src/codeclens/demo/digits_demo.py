"""The demonstration on digits: contributions, modes, control and maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import codeclens as cl
from codeclens import zoo
from codeclens.analysis import save_table
from codeclens.control import FRACTIONS, TRIALS, control_figure
from codeclens.control.filing import Filing
from codeclens.decomposition import Mode, Modes, save_modes
from codeclens.extraction import SampleSource
from codeclens.extraction.data import as_samples
from codeclens.extraction.fingerprint import model_fingerprint, plain
from codeclens.pages import Figure, Image, Section, Text
from codeclens.progress import epochs, progress
from codeclens.reporting import Question
from codeclens.reporting.run_files import write_modes
from codeclens.visualization import as_picture, exemplars, mode_figure, save
from codeclens.zoo import Ready

# Five steps are within 5 % of the integral for this network (docs/accuracy.md).
STEPS = 5
QUICK_SAMPLES = 600
# The quick run of control: fewer digits, fractions and random sets of units.
QUICK_HELD_OUT = 500
QUICK_FRACTIONS = (0.02, 0.1, 0.25, 0.5, 0.99)
QUICK_TRIALS = 2
SHOWN = 8
METHOD = cl.TopK(expansion=3, k=8)


@dataclass(frozen=True)
class Digits:
    """The result on digits: a store, modes by site, and sections of the report.

    `about_control` says which digits and which mode the control curves are of.
    """

    store: cl.ContributionStore
    modes: Mapping[str, Modes]
    sections: list[Section]
    about_control: str


def choices(quick: bool) -> dict[str, Any]:
    """The choices made for the digits, as plain values for a file.

    >>> choices(quick=True)["samples"]
    600
    """
    return {
        "model": "digits-resnet",
        "samples": QUICK_SAMPLES if quick else "all training digits",
        "method": repr(cl.Conductance(steps=STEPS)),
        "decomposition": repr(METHOD),
        "held_out": QUICK_HELD_OUT if quick else "all",
        "fractions": list(QUICK_FRACTIONS if quick else FRACTIONS),
        "trials": QUICK_TRIALS if quick else TRIALS,
        "exemplars": SHOWN,
    }


def run_digits(to: Path, quick: bool, seed: int) -> Digits:
    """Extract, decompose, control and map; write everything below `to`."""
    ready = zoo.load("digits-resnet")
    images, labels = zoo.digits_data("train")
    images, labels = (images[:QUICK_SAMPLES], labels[:QUICK_SAMPLES]) if quick else (images, labels)
    with progress("digits: contributions", len(images), "images") as advance:
        store = cl.extract(
            ready.model,
            (images, labels),
            sites=ready.sites,
            method=cl.Conductance(steps=STEPS),
            to=to / "contributions.zarr",
            classes=ready.labels,
            batch_size=50,
            progress=advance,
        )
    with progress("digits: modes", None, "epochs") as advance:
        modes = cl.decompose(store, METHOD, seed=seed, progress=epochs(advance, len(store.sites)))
    save_modes(modes, to / "modes")
    write_modes(modes, to)
    site, digit = most_selective(modes)
    mode = modes[site].for_class(digit)
    control(ready, modes[site], digit, to, quick, seed)
    about = (
        f"The mode of {site} whose loadings correlate best with the digit {digit}; held-out "
        "digits, on which neither the network nor the modes were trained."
    )
    return Digits(store, modes, [look(ready, modes[site], mode, images, labels, to)], about)


def shown_with(store: cl.ContributionStore) -> dict[str, Any]:
    """The network, its digits and its settings, as a report takes them."""
    found = digits_again(store)
    assert found is not None
    images, options = found
    ready = zoo.load("digits-resnet")
    colours = {name: getattr(ready.transform, name, None) for name in ("mean", "std")}
    return {"model": ready.model, "images": images, "question": Question(**options), **colours}


def digits_again(
    store: cl.ContributionStore,
) -> tuple[SampleSource, dict[str, Any]] | None:
    """The images of this demonstration and the options of its extraction, for its own store.

    None for a store of other images or of another network.
    """
    made = store.metadata["settings"]
    if made["data"].get("kind") != "array" or made["model"].get("class") != "DigitsResNet":
        return None
    images, labels = zoo.digits_data("train")
    samples = as_samples((images[: made["data"]["samples"]], labels[: made["data"]["samples"]]))
    network = plain(model_fingerprint(zoo.load("digits-resnet").model))
    if plain(samples.describe()) != made["data"] or network != made["model"]:
        return None
    method = replace(cl.Conductance(steps=STEPS), **store.metadata["learned"])
    return samples, {"method": method, "target": cl.Predicted()}


def most_selective(modes: Mapping[str, Modes]) -> tuple[str, int]:
    """A middle site, and the class with the largest correlation with one of its modes."""
    site = list(modes)[len(modes) // 2]
    correlation = np.nan_to_num(modes[site].class_correlation())
    return site, int(correlation.max(axis=0).argmax())


def control(ready: Ready, modes: Modes, digit: int, to: Path, quick: bool, seed: int) -> None:
    """Write one ablation and one preservation curve with a random control, on held-out digits."""
    images, labels = zoo.digits_data("held_out")
    count = QUICK_HELD_OUT if quick else len(images)
    curves = []
    filing = Filing(to / "control")
    filing.require({"quick": quick, "seed": seed, "digit": digit, "site": modes.site}, True)
    for kind in ("ablate", "preserve"):
        with progress(f"digits: {kind}", None, "batches") as advance:
            curve = cl.control_curve(
                ready.model,
                (images[:count], labels[:count]),
                modes,
                class_index=digit,
                kind=kind,
                fractions=QUICK_FRACTIONS if quick else FRACTIONS,
                trials=QUICK_TRIALS if quick else TRIALS,
                seed=seed,
                progress=advance,
            )
        save_table(to / f"control-{kind}.csv", curve.to_dataframe())
        filing.save_curve(curve)
        curves.append(curve)
    figure = control_figure(curves)
    for ending in ("png", "svg"):
        save(figure, to / f"control.{ending}")


def look(
    ready: Ready,
    modes: Modes,
    mode: Mode,
    images: torch.Tensor,
    labels: torch.Tensor,
    to: Path,
) -> Section:
    """The section on one mode: its exemplars, and the contributions of pixels through it."""
    found = exemplars(modes, count=SHOWN)[mode.index]
    rows = [exemplar.sample for exemplar in found]
    x = images[rows]
    maps = cl.pixel_map(ready.model, x, mode=mode)
    captions = [f"{int(labels[row])} ({exemplar.loading:.1f})" for row, exemplar in
                zip(rows, found, strict=True)]  # fmt: skip
    figure = mode_figure([as_picture(image) for image in x], maps, captions=captions)
    for ending in ("png", "svg"):
        save(figure, to / f"mode.{ending}")
    digits, counts = np.unique(labels[rows].numpy(), return_counts=True)
    most = int(counts.argmax())
    units = ", ".join(str(unit) for unit in mode.top_units(3))
    text = (
        f"Mode {mode.index} of `{mode.site}` acts mainly through channels {units}. Of the "
        f"{len(rows)} digits with the largest loadings, {counts[most]} are a {digits[most]}."
    )
    caption = (
        "The digits with the largest loadings of the mode (label and loading above each), and the "
        "pixels that act on the output through its three strongest channels: orange where they "
        "increase it, blue where they decrease it."
    )
    image = Image.of_figure(figure)
    return Section("What a mode responds to", [Text(text), Figure(image, caption, text, wide=True)])
