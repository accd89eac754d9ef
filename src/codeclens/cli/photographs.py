"""The demo's photographs: which channels of an ImageNet network speak for its answer, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image as Picture
from torch import Tensor

import codeclens as cl
from codeclens import zoo
from codeclens.attribution import Contributions
from codeclens.cli.outputs import save_arrays, save_pixels, save_table
from codeclens.cli.progress import progress
from codeclens.report import Gallery, Image, Section, Table, Text
from codeclens.report.document import Block
from codeclens.report.words import Cell, listed, percent
from codeclens.visualization import PixelMap, common_scale, overlay, pixel_maps
from codeclens.zoo.efficientnet import TRANSFORM, imagenet_labels

CHANNELS = 3


@dataclass(frozen=True)
class Channel:
    """One channel of one block, what it contributed to the answer, and its pixel map."""

    site: str
    unit: int
    net: float
    map: PixelMap


@dataclass(frozen=True)
class Look:
    """One photograph, the network's answer, and the channels that moved it most."""

    name: str
    picture: Picture.Image
    label: str
    logit: float
    probability: float
    contributions: Contributions
    channels: list[Channel]


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
    looks = []
    with progress("photographs", len(pictures), "photographs") as advance:
        for name, picture in pictures:
            x = ready.transform(picture)[None]
            with torch.no_grad():
                logits = ready.model(x)[0]
            best = int(logits.argmax())
            found = cl.contributions(ready.model, x, sites=sites)
            channels = [c for site in sites for c in _channels(ready.model, x, site, found)]
            looks.append(
                Look(
                    name,
                    TRANSFORM.picture(picture),
                    labels[best],
                    float(logits[best]),
                    float(logits.softmax(0)[best]),
                    found,
                    channels,
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


def strongest(net: Float[np.ndarray, " unit"], count: int = CHANNELS) -> list[int]:
    """The units that contributed most, and those that counted most against, strongest first.

    >>> strongest(np.array([0.1, -2.0, 3.0, 0.0, 0.4]), count=2)
    [2, 4, 1]
    """
    order = np.argsort(-net, kind="stable")
    most, least = order[:count], order[::-1][:count]
    return [int(u) for u in most if net[u] > 0] + [int(u) for u in least if net[u] < 0]


def _channels(model: torch.nn.Module, x: Tensor, site: str, found: Contributions) -> list[Channel]:
    net = found[site].net[0].numpy()
    units = strongest(net)
    maps = pixel_maps(model, x, site=site, units=[[unit] for unit in units])
    return [Channel(site, u, float(net[u]), m) for u, m in zip(units, maps, strict=True)]


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
        f"{cl.Conductance().steps} steps of equal length in hidden space. Their sums miss the "
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
    seen = Image.of_photograph(look.picture)
    tiles = [(seen, f"what the network sees: {look.label}")]
    shown: list[tuple[Image, str]] = []
    for site in look.contributions:
        channels = [channel for channel in look.channels if channel.site == site]
        # One strength of colour for a block, so that its maps can be compared.
        scale = common_scale([(c.map.positive[0], c.map.negative[0]) for c in channels])
        for c in channels:
            pixels = overlay(look.picture, c.map.positive[0], c.map.negative[0], scale=scale).pixels
            save_pixels(to / f"{site}-channel-{c.unit}.png", pixels)
            image = Image.of_photograph(Picture.fromarray(pixels))
            shown.append((image, f"{site}, channel {c.unit}: {_signed(c.net)}"))
    save_arrays(to / "arrays.npz", _arrays(look))
    text = (
        f"The answer is {look.label}, with a logit of {look.logit:.2f} "
        f"({percent(look.probability, 1)} of the probability). {_told(look)}"
    )
    caption = (
        f"Channels that moved the logit of {look.label} most in {look.name}, by block from early "
        "to late: first those that contributed, then those that counted against it, with the net "
        "contribution in logits. Orange marks pixels that feed places where the channel "
        "contributes, blue those that feed places where it counts against the answer; the scale of "
        "colour is that of each block."
    )
    return Section(look.name, [Text(text), Gallery([*tiles, *shown], caption, columns=6)])


def _told(look: Look) -> str:
    """How the strongest channels of every block share the answer, in words."""
    parts = []
    for site, part in look.contributions.items():
        net = part.net[0].numpy()
        best, worst = int(net.argmax()), int(net.argmin())
        whole = float((look.contributions.target - look.contributions.baseline_target)[0])
        parts.append(
            f"in `{site}` channel {best} contributes most ({_signed(net[best])} logits of "
            f"{_signed(whole)}) and channel {worst} counts most against it ({_signed(net[worst])})"
            if net[worst] < 0
            else f"in `{site}` channel {best} contributes most ({_signed(net[best])} logits of "
            f"{_signed(whole)}) and no channel counts against it"
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
            "net": c.net,
            "positive": float(look.contributions[c.site].positive[0, c.unit]),
            "negative": float(look.contributions[c.site].negative[0, c.unit]),
            "map_excitation": float(c.map.excitation[0]),
            "map_suppression": float(c.map.suppression[0]),
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
            pixels = getattr(c.map, name)[0].sum(0).numpy()
            arrays[f"{c.site}/channel-{c.unit}/{name}"] = pixels.astype(np.float16)
    return arrays


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
