"""The section on control: how ablating and preserving the units of modes changes classes."""

from __future__ import annotations

from collections.abc import Sequence

from codeclens.control import ControlCurves, Necessity, curves_figure, necessity_figure
from codeclens.control.filing import Filed
from codeclens.errors import CodeclensError, counted
from codeclens.pages.document import Block, Figure, Points, Section, Table, Text
from codeclens.pages.images import Image
from codeclens.pages.words import Cell


def controls_section(filed: Sequence[Filed], about: str = "") -> Section:
    """The effects of modes of many classes at every site, with all controls: `codeclens control`.

    `about` is a sentence on the images. Raises CodeclensError if there are no curves.
    """
    runs = [curves for one in filed for curves in one.curves]
    if not runs:
        raise CodeclensError(
            "There are no control curves to report; run codeclens control into that folder."
        )
    blocks: list[Block | Section] = [Text(about)] if about else []
    for one in filed:
        inside: list[Block | Section] = []
        if one.curves:
            sentences = [line for curves in one.curves for line in curves.sentences()]
            inside += [Points(sentences), _curves(one.curves), _comparisons(one.curves)]
        if one.necessity is not None:
            inside += [Points(one.necessity.sentences()), _necessity(one.necessity)]
        blocks.append(Section(f"Control at {one.site}", inside))
    last = runs[-1].sentences()
    summary = [line for line in last if line.startswith(f"{runs[-1].site}, ")]
    return Section("What modes do", blocks, finding=(summary or last)[0])


def _curves(runs: Sequence[ControlCurves]) -> Figure:
    first = runs[0][0]
    caption = (
        f"Left and middle: accuracy on {counted(first.samples, 'image')}, means over "
        f"{counted(len(runs[0].counted), 'class', 'classes')}, while more and more units of "
        f"`{first.site}` are changed, in the order of each ranking; the shaded area is the 95 % "
        "interval of the modes over classes, the dotted line the intact network. Right: the "
        "difference in selectivity between modes and each control, with 95 % intervals over "
        "classes; better or worse by the sign-flip test after Holm's correction."
    )
    alt = " ".join(line for curves in runs for line in curves.sentences())
    return Figure(Image.of_figure(curves_figure(runs)), caption, alt, wide=True)


def _comparisons(runs: Sequence[ControlCurves]) -> Table:
    rows: list[list[Cell]] = [
        [curves.kind, one.control, str(curves.mean(one.control)), str(one.difference),
         f"{one.wins} : {one.losses}", f"{one.adjusted:.3f}", one.verdict]
        for curves in runs
        for one in curves.comparisons
    ]  # fmt: skip
    means = ", ".join(f"{curves.mean()} when units are {curves.kind}d" for curves in runs)
    caption = (
        f"Selectivity over all fractions, (AUC of the class − AUC of the others) / AUC of the "
        f"others, is {means} for modes. For each control: its selectivity, the advantage of modes, "
        "the numbers of classes in which modes win and lose, p corrected for all controls, and the "
        "verdict."
    )
    header = [
        *("intervention", "units ranked by", "selectivity", "modes better by", "won : lost"),
        *("p", "modes are"),
    ]
    return Table(header, rows, caption, wide=True)


def _necessity(found: Necessity) -> Figure:
    caption = (
        f"The effect on the target of removing each mode of `{found.site}`, and of keeping it "
        "alone, compared with the prediction from its contributions. One point is one mode: means "
        "over the images in which it is active, with 95 % intervals. On the line both agree; the "
        "shaded area is a factor of two."
    )
    image = Image.of_figure(necessity_figure(found))
    return Figure(image, caption, " ".join(found.sentences(3)), wide=True)
