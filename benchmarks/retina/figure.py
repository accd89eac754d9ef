"""The figure of the benchmark: true inhibition, the best contribution mode, the best baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.retina.candidates import makers
from benchmarks.retina.scores import Pathway, correlations, summary
from benchmarks.retina.study import Network
from codeclens.decomposition import NMF
from codeclens.visualization.canvas import (
    ACTIVATION,
    CONTRIBUTION,
    CONTROLS,
    MODE,
    WIDTH,
    blank,
    save,
    styled,
)

SHOWN = ("amacrine.wide → oms", "amacrine.starburst.left → ds.right")
BASELINE = "activation modes"
SECONDS = (20.0, 26.0)


def draw(network: Network, scores: Mapping[str, Sequence[float]], modes: int, path: Path) -> None:
    """Time courses of two pathways, and every method's |r| over all of them."""
    study = network.study
    named = {one.name: one for one in study.pathways}
    with styled():
        figure = blank(WIDTH, 4.2)
        grid = figure.add_gridspec(2, 2, width_ratios=(2.0, 1.0))
        for row, name in enumerate(SHOWN):
            _courses(figure.add_subplot(grid[row, 0]), network, named[name], modes, row == 1)
        _scores(figure.add_subplot(grid[:, 1]), study.pathways, scores)
        save(figure, path)


def _courses(axes: Any, network: Network, one: Pathway, modes: int, last_row: bool) -> None:
    every, rate = network.study.size.every, network.study.circuit.rate
    train, held = network.evidence("training"), network.evidence("reported")
    truth = network.truth(one, "training"), network.truth(one, "reported")
    first, last = (round(second * rate / every) for second in SECONDS)
    times = np.arange(first, last) * every / rate
    axes.plot(times, truth[1][first:last], color=CONTRIBUTION, label="true", linewidth=1.8)
    make = makers(NMF(n_modes=modes))
    for name, colour in (("contribution modes", MODE), (BASELINE, ACTIVATION)):
        pair = make[name](train, held, one.cell)
        r = correlations(pair[0], truth[0])
        which = int(np.abs(r).argmax())
        # Scale and offset by the training film: what is scored has neither.
        slope, offset = np.polyfit(pair[0][:, which], truth[0], 1)
        value = slope * pair[1][:, which] + offset
        score = abs(correlations(value[:, None], truth[1])[0])
        label = f"{name.split()[0]}, |r| {score:.2f}"
        axes.plot(times, value[first:last], color=colour, label=label, linewidth=1.1)
    axes.set(title=one.name, ylabel="Hz")
    axes.legend(loc="lower left", handlelength=1.4)
    if last_row:
        axes.set_xlabel("s of the reported film")


def _scores(axes: Any, pathways: Sequence[Pathway], scores: Mapping[str, Sequence[float]]) -> None:
    names = list(scores)[::-1]
    for kind, shift, colour in (("excitatory", 0.16, CONTROLS[1]), ("inhibitory", -0.16, MODE)):
        found = {name: bounds for k, name, bounds in summary(pathways, scores) if k == kind}
        mean, low, high = np.array([found[name] for name in names]).T
        axes.errorbar(
            mean, np.arange(len(names)) + shift, xerr=[mean - low, high - mean], fmt="o",
            color=colour, label=kind, linewidth=1.0,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.set(title="Recovered", xlabel="mean |r|", xlim=(0, 1))
    axes.grid(axis="x")
    axes.legend(loc="upper left", borderpad=0.0, handletextpad=0.2)
