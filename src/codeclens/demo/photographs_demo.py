"""The photographs of the demo: the modes behind an ImageNet network's predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import codeclens as cl
from codeclens import zoo
from codeclens.analysis import Hierarchy
from codeclens.explanation import Explanation
from codeclens.explanation.explanations import DEFINITIONS
from codeclens.pages import Points, Section, Table, Text
from codeclens.pages.document import Block
from codeclens.pages.words import Cell, percent
from codeclens.progress import progress
from codeclens.zoo.efficientnet import TRANSFORM

# Where the modes that ship explain photographs, and how many of them are shown.
EXPLAINED, SHOWN = "blocks.6.0", 4


@dataclass(frozen=True)
class Look:
    """One photograph, the predicted class, and its explanation."""

    name: str
    label: str
    logit: float
    probability: float
    explanation: Explanation


def photographs_section(to: Path) -> Section:
    """Explain every photograph, write figures and tables, and return the page's section."""
    looks = look_at_photographs()
    blocks: list[Block | Section] = [
        Text(introduction(looks)), Points(DEFINITIONS), answers(looks)
    ]  # fmt: skip
    blocks.extend(_section(look, to / look.name) for look in looks)
    return Section("Photographs", blocks)


def look_at_photographs() -> list[Look]:
    """The answer and its explanation for every photograph that ships with scikit-image."""
    ready = zoo.load("efficientnet-lite0")
    pictures = zoo.demo_photographs()
    modes, kinds = cl.ready_modes("efficientnet-lite0"), Hierarchy.from_file("imagenet")
    labels = ready.labels or []
    looks = []
    with progress("photographs", len(pictures), "photographs") as advance:
        for name, picture in pictures:
            x = ready.transform(picture)[None]
            with torch.no_grad():
                logits = ready.model(x)[0]
            best = int(logits.argmax())
            explanation = cl.explain(
                ready.model, x, modes, sites=EXPLAINED, most=SHOWN, classes=labels, names=kinds,
                picture=TRANSFORM.picture(picture),
            )  # fmt: skip
            probability = float(logits.softmax(0)[best])
            looks.append(Look(name, labels[best], float(logits[best]), probability, explanation))
            advance(len(looks), len(pictures))
    return looks


def introduction(looks: Sequence[Look]) -> str:
    """The settings, and the largest error of the sums."""
    misses = [
        abs(look.explanation[EXPLAINED].elsewhere / look.explanation.change) for look in looks
    ]
    return (
        f"EfficientNet-Lite0 classified {len(looks)} photographs into the 1,000 classes of "
        f"ImageNet. The logit of each predicted class is explained as a sum over the modes of "
        f"`{EXPLAINED}`, which are part of the package. The sums differ from the change of the "
        f"logit between a grey image and the photograph by at most {max(misses):.0e} of it."
    )


def answers(looks: Sequence[Look]) -> Table:
    """The network's answers."""
    rows: list[list[Cell]] = [
        [look.name, look.label, look.logit, percent(look.probability, 1)] for look in looks
    ]
    least = min(looks, key=lambda look: look.probability)
    sure = sum(look.probability > 0.5 for look in looks)
    caption = (
        f"The predicted classes. Their probability is above one half for {sure} of {len(looks)} "
        f"photographs, and lowest for {least.name} ({least.label}, {percent(least.probability)})."
    )
    return Table(["photograph", "answer", "logit", "probability"], rows, caption)


def _section(look: Look, to: Path) -> Section:
    """The section of one photograph; writes its figures and its table."""
    look.explanation.save(to / "explanation")
    look.explanation.to_csv(to / "explanation.csv")
    told = look.explanation.sentences()[1:]
    blocks: list[Block | Section] = [Points(told), look.explanation.chart(EXPLAINED)]
    return Section(f"{look.name}: {look.label}", blocks, finding=told[0])
