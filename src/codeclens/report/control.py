"""The section on control: what happens to a class when the units of its mode are taken away."""

from __future__ import annotations

from collections.abc import Sequence

from codeclens.control import ControlCurve
from codeclens.report.document import Block, Figure, Section, Table, Text
from codeclens.report.images import Image
from codeclens.report.words import Cell, counted, listed
from codeclens.visualization import control_figure


def control_section(curves: Sequence[ControlCurve], about: str = "") -> Section:
    """What ablating and preserving did; `about` is a sentence on the images that were used."""
    first = curves[0]
    paragraphs = [Text(f"{about} {curve.sentence()}".strip()) for curve in curves[:1]]
    paragraphs += [Text(curve.sentence()) for curve in curves[1:]]
    kinds = {"ablate": "ablated", "preserve": "preserved"}
    figure = Figure(
        Image.of_figure(control_figure(list(curves))),
        caption=(
            f"Accuracy on {counted(first.samples, 'image')} while units of `{first.site}` are "
            f"{listed([kinds.get(c.kind, c.kind) for c in curves])}, from the strongest of "
            f"{first.mode.name} down. Solid: the class; dashed: all others. Shades are 95 % "
            f"bootstrap intervals over images and over the "
            f"{max(c.trials for c in first.conditions)} trials of the control; dotted: the "
            "network undisturbed."
        ),
        alt=" ".join(curve.sentence() for curve in curves),
        wide=True,
    )
    blocks: list[Block | Section] = [*paragraphs, figure, _table(curves)]
    return Section("What modes do", blocks, finding=finding(first))


def finding(curve: ControlCurve) -> str:
    """Whether the mode is more selective than the controls, in one sentence."""
    verb = "Ablating" if curve.kind == "ablate" else "Preserving only"
    controls = [
        f"{condition.selectivity} for {condition.name} units (difference {condition.advantage})"
        for condition in curve.conditions[1:]
    ]
    against = f", against {listed(controls)}" if controls else ""
    return (
        f"{verb} the strongest units of the mode of {curve.class_name} at `{curve.site}` acts on "
        f"its class with a selectivity of {curve.mode.selectivity}{against}."
    )


def _table(curves: Sequence[ControlCurve]) -> Table:
    rows: list[list[Cell]] = []
    for curve in curves:
        for condition in curve.conditions:
            advantage = None if condition.advantage is None else str(condition.advantage)
            rows.append([curve.kind, condition.name, str(condition.selectivity), advantage or "–"])
    caption = (
        "Selectivity over all fractions, (AUC of the class − AUC of the others) / AUC of the "
        "others, and by how much the mode is more selective than each control; brackets hold 95 % "
        "bootstrap intervals, and an interval that excludes zero is a clear difference."
    )
    return Table(
        ["acting", "units ranked by", "selectivity", "advantage of the mode"], rows, caption
    )
