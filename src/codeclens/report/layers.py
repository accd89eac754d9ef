"""The section on layers: contributions and activations side by side, from input to output."""

from __future__ import annotations

from codeclens.analysis import LayerStatistics
from codeclens.report.document import Block, Figure, Points, Section, Table
from codeclens.report.images import Image
from codeclens.report.words import Cell, percent
from codeclens.visualization import layer_figure


def layers_section(statistics: LayerStatistics) -> Section:
    """How sparsity, dimensionality and the signs' correlation change with depth."""
    about, *findings = statistics.sentences()
    figure = Figure(
        Image.of_figure(layer_figure(statistics)),
        caption=(
            f"{findings[-1]} Left: Hoyer sparsity of single samples. Middle: principal components "
            f"for {percent(statistics.share)} of the variance of {statistics.classes} class means. "
            "Right: correlation over units of positive contributions with the size of negative "
            "ones. Bars are 95 % bootstrap intervals of medians and of components, shades hold the "
            "middle half of the samples."
        ),
        alt=" ".join(findings),
        wide=True,
    )
    blocks: list[Block | Section] = [Points(findings), figure, _table(statistics, about)]
    return Section("From layer to layer", blocks, finding=findings[-1])


def _table(statistics: LayerStatistics, about: str) -> Table:
    header = [
        "site", "units", "sparsity of contributions", "of activations",
        "components, contributions", "activations", "sign correlation",
    ]  # fmt: skip
    rows: list[list[Cell]] = []
    for layer in statistics.layers:
        both = (layer.contribution, layer.activation)
        rows.append(
            [
                layer.site,
                layer.units,
                *(f"{p.sparsity.median:.2f}" for p in both),
                *(p.class_components for p in both),
                f"{layer.sign_correlation.median:.2f}",
            ]
        )
    return Table(header, rows, f"The medians of the figure above in numbers. {about}", wide=True)
