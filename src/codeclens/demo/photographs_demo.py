"""The demo's photographs: which modes and channels of an ImageNet network make its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Picture

import codeclens as cl
from codeclens import zoo
from codeclens.analysis import Hierarchy, save_table
from codeclens.attribution import Contributions
from codeclens.explanation import Explanation
from codeclens.pages import Figure, Image, Section, Table, Text
from codeclens.pages.document import Block
from codeclens.pages.words import Cell, listed, percent
from codeclens.progress import progress
from codeclens.visualization import ChannelMap, channel_figure, channel_maps, save
from codeclens.zoo.efficientnet import TRANSFORM, imagenet_labels

# Where modes that ship explain photographs, and by how many steps: sums are exact at any number.
EXPLAINED, STEPS = "blocks.5.3", 5


@dataclass(frozen=True)
class Look:
    """One photograph, the network's answer, and the modes and channels that moved it most."""

    name: str
    picture: Picture.Image
    label: str
    logit: float
    probability: float
    contributions: Contributions
    channels: list[ChannelMap]
    explanation: Explanation


def photographs_section(to: Path) -> Section:
    """Explain every photograph, write arrays, tables and figures, and return the page's section."""
    looks = look_at_photographs()
    save_table(to / "channels.csv", [row for look in looks for row in _rows(look)])
    sites = list(looks[0].contributions)
    blocks: list[Block | Section] = [Text(introduction(looks, sites)), answers(looks)]
    blocks.extend(_section(look, to / look.name) for look in looks)
    return Section("Photographs", blocks)


def look_at_photographs() -> list[Look]:
    """Contributions and pixel maps for every photograph that ships with scikit-image."""
    ready = zoo.load("efficientnet-lite0")
    labels = imagenet_labels()
    pictures = zoo.demo_photographs()
    sites = early_middle_late([site.key for site in cl.find_sites(ready.model, ready.sites)])
    modes, kinds = cl.ready_modes("efficientnet-lite0"), Hierarchy.from_file("imagenet")
    looks = []
    with progress("photographs", len(pictures), "photographs") as advance:
        for name, picture in pictures:
            x = ready.transform(picture)[None]
            with torch.no_grad():
                logits = ready.model(x)[0]
            best = int(logits.argmax())
            found = cl.contributions(ready.model, x, sites=sites)
            as_seen = TRANSFORM.picture(picture)
            explained = cl.explain(
                ready.model, x, modes, sites=EXPLAINED, method=cl.Conductance(STEPS), most=5,
                classes=labels, names=kinds, picture=as_seen,
            )  # fmt: skip
            looks.append(
                Look(
                    name,
                    as_seen,
                    labels[best],
                    float(logits[best]),
                    float(logits.softmax(0)[best]),
                    found,
                    channel_maps(ready.model, x, found),
                    explained,
                )
            )
            advance(len(looks), len(pictures))
    return looks


def early_middle_late(sites: Sequence[str]) -> list[str]:
    """Three of many sites, from near the input, from the middle, and the last.

    >>> early_middle_late([f"blocks.{i}" for i in range(16)])
    ['blocks.2', 'blocks.8', 'blocks.15']
    """
    return [sites[len(sites) // 8], sites[len(sites) // 2], sites[-1]]


def introduction(looks: Sequence[Look], sites: Sequence[str]) -> str:
    """What was done, and how far the sums can be trusted."""
    misses = np.array(
        [
            [
                abs(float(found[site].completeness[0] / (found.target - found.baseline_target)[0]))
                for site in sites
            ]
            for found in (look.contributions for look in looks)
        ]
    )
    worst = int(misses.max(axis=0).argmax())
    return (
        f"{len(looks)} photographs were shown to EfficientNet-Lite0, which knows the 1,000 classes "
        f"of ImageNet. Contributions of the channels of {listed([f'`{s}`' for s in sites])} to the "
        "logit of its answer were counted from grey, along "
        f"{cl.Conductance().steps} steps placed by arc length in hidden space. Their sums miss the "
        f"change of the logit by {misses.max():.0e} of it at worst (`{sites[worst]}`, "
        f"{looks[int(misses[:, worst].argmax())].name})."
    )


def answers(looks: Sequence[Look]) -> Table:
    """The network's answers."""
    rows: list[list[Cell]] = [
        [look.name, look.label, look.logit, percent(look.probability, 1)] for look in looks
    ]
    least = min(looks, key=lambda look: look.probability)
    sure = sum(look.probability > 0.5 for look in looks)
    caption = (
        f"What the network sees in the photographs: it gives its answer more than half of the "
        f"probability for {sure} of {len(looks)}, and least for {least.name} "
        f"({least.label}, {percent(least.probability)})."
    )
    return Table(["photograph", "answer", "logit", "probability"], rows, caption)


def _section(look: Look, to: Path) -> Section:
    """The section of one photograph; writes its arrays and figures."""
    to.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(to / "arrays.npz", allow_pickle=False, **_arrays(look))
    figure = channel_figure(look.picture, look.channels, title=look.label)
    for ending in ("png", "svg"):
        save(figure, to / f"channels.{ending}")
    text = (
        f"The answer is {look.label}, with a logit of {look.logit:.2f} "
        f"({percent(look.probability, 1)} of the probability). {_told(look)}"
    )
    look.explanation.save(to / "modes")
    look.explanation.to_csv(to / "modes.csv")
    by_modes = " ".join(look.explanation.sentences()[1:])
    of_modes = (
        f"The answer for {look.name} as a sum over the modes of `{EXPLAINED}`, which ship with the "
        "package, the largest measured effect first. The outlined region of a map holds half of "
        "the mode's contribution."
    )
    differ = sum(c.contribution * c.at_input < 0 for c in look.channels)
    caption = (
        f"Channels of {look.name} that moved the logit of {look.label} most, by block from early "
        "to late: left those that contributed, right those that counted against it. The first "
        "number is the contribution, counted along the way from grey to the picture; the second is "
        "the sum of the map, which is the derivative at the picture itself. Where the network "
        f"saturates on the way the two differ, here also in sign for {differ} of "
        f"{len(look.channels)} channels."
    )
    return Section(
        look.name,
        [
            Text(text),
            Figure(Image.of_figure(figure), caption, text, wide=True),
            Text(by_modes),
            Figure(Image.of_figure(look.explanation.figure(most=5)), of_modes, by_modes, wide=True),
        ],
    )


def _told(look: Look) -> str:
    """How the strongest channels of every block share the answer, in words."""
    parts = []
    for site, part in look.contributions.items():
        net = part.net[0].numpy()
        best, worst = int(net.argmax()), int(net.argmin())
        whole = float((look.contributions.target - look.contributions.baseline_target)[0])
        against = (
            f"channel {worst} counts most against it ({_signed(net[worst])})"
            if net[worst] < 0
            else "no channel counts against it"
        )
        parts.append(
            f"in `{site}` channel {best} contributes most ({_signed(net[best])} of the "
            f"{_signed(whole)} logits from grey to the picture) and {against}"
        )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _rows(look: Look) -> list[dict[str, Any]]:
    return [
        {
            "photograph": look.name,
            "answer": look.label,
            "logit": look.logit,
            "probability": look.probability,
            "site": c.site,
            "channel": c.unit,
            "net": c.contribution,
            "positive": float(look.contributions[c.site].positive[0, c.unit]),
            "negative": float(look.contributions[c.site].negative[0, c.unit]),
            "map_positive": float(c.positive.sum()),
            "map_negative": float(c.negative.sum()),
        }
        for c in look.channels
    ]


def _arrays(look: Look) -> dict[str, np.ndarray[Any, Any]]:
    arrays = {}
    for site, part in look.contributions.items():
        for name in ("positive", "negative", "activation", "completeness"):
            arrays[f"{site}/{name}"] = getattr(part, name)[0].numpy()
    for c in look.channels:
        for name in ("positive", "negative"):
            # Summed over colours, in half the width: maps are to be looked at.
            pixels = getattr(c, name).sum(0).numpy()
            arrays[f"{c.site}/channel-{c.unit}/{name}"] = pixels.astype(np.float16)
    return arrays


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
