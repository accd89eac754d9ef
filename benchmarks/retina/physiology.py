"""Physiology of the simulated retina: what its cells do with the classical stimuli.

    python -m benchmarks.retina.physiology
    python -m benchmarks.retina.physiology --figure docs/retina-circuit.svg
    python -m benchmarks.retina.physiology --explained docs/retina-phenomenon.svg

Prints one table, a row a cell; the figure shows one cell of each phenomenon. The second one
explains the response of one cell to an omitted flash by interneurons and modes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from codeclens import Conductance
from codeclens.retina import (
    Circuit,
    bar,
    contrast_adaptation,
    direction_selectivity,
    explain_phenomenon,
    flash_train,
    latency,
    motion_reversal,
    natural_movie,
    object_motion,
    omitted_stimulus,
    pathways,
    white_noise,
)
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

SECONDS = 60.0
HEAD = (
    "cell", "rate, Hz", "direction", "object motion", "gain at 0.1, 0.35",
    "latency at 0.1, 0.8, ms", "omitted flash, single, Hz", "turn, smooth, Hz",
)  # fmt: skip


def rows(circuit: Circuit) -> list[tuple[str, ...]]:
    """One row a cell; of dark and bright trains and bars the one that the cell answers more."""
    screen = circuit.screen
    rates = circuit.respond(natural_movie(SECONDS, screen)).mean(dim=0)
    direction = direction_selectivity(circuit, screen).index
    objects = object_motion(circuit, screen).index
    gain = contrast_adaptation(circuit, screen).gain
    onset = 1000 * latency(circuit, screen).onset
    omitted = [omitted_stimulus(circuit, screen, contrast=c) for c in (-1.0, 1.0)]
    turned = [motion_reversal(circuit, screen, contrast=c) for c in (-1.0, 1.0)]
    table = []
    for n, cell in enumerate(circuit.cells):
        gap = max(omitted, key=lambda found: float(found.omitted[n] - found.single[n]))
        turn = max(turned, key=lambda found: float(found.reversed[n] - found.smooth[n]))
        table.append(
            (
                cell,
                f"{rates[n]:.1f}",
                f"{direction[n]:.2f}",
                f"{objects[n]:.2f}",
                f"{gain[0, n]:.0f}, {gain[1, n]:.0f}",
                f"{onset[0, n]:.0f}, {onset[-1, n]:.0f}",
                f"{gap.omitted[n]:.0f}, {gap.single[n]:.0f}",
                f"{turn.reversed[n]:.0f}, {turn.smooth[n]:.0f}",
            )
        )
    return table


def timing(circuit: Circuit) -> float:
    """Seconds of one thread for 10,000 frames."""
    movie = white_noise(10_000 / circuit.rate, circuit.screen)
    start = time.perf_counter()
    circuit.respond(movie)
    return time.perf_counter() - start


def draw(circuit: Circuit, path: Path) -> None:
    """The figure of docs/retina-circuit.md."""
    screen, of = circuit.screen, circuit.cells.index
    with styled():
        figure = blank(WIDTH, 4.6)
        axes = figure.subplots(2, 3)
        _pathways(axes[0, 0], circuit)
        found = direction_selectivity(circuit, screen)
        for cell, colour in (
            ("ds.right", MODE),
            ("ds.up", CONTROLS[1]),
            ("on.sustained", CONTROLS[0]),
        ):
            axes[0, 1].plot(
                found.direction, found.mean_rate[:, of(cell)], "o-", color=colour, label=cell
            )
        axes[0, 1].set(
            title="Direction", xlabel="grating moves to, degrees", ylabel="Hz", ylim=(0, 62)
        )
        axes[0, 1].set_xticks([0, 90, 180, 270])
        axes[0, 1].legend(loc="upper right")
        motion = object_motion(circuit, screen)
        kinds = [
            "on.transient",
            "on.sustained",
            "off.transient",
            "off.sustained",
            "oms",
            "ds.right",
        ]
        for shift, (label, values, colour) in enumerate(
            (
                ("differential", motion.mean_rate.sel(motion="differential"), MODE),
                ("global", motion.mean_rate.sel(motion="global"), CONTROLS[0]),
            )
        ):
            places = [n + 0.38 * shift for n in range(len(kinds))]
            axes[0, 2].bar(
                places, [float(values[of(k)]) for k in kinds], 0.36, color=colour, label=label
            )
        axes[0, 2].set_xticks([n + 0.19 for n in range(len(kinds))], kinds, rotation=40, ha="right")
        axes[0, 2].set(title="Object motion", ylabel="Hz")
        axes[0, 2].legend(loc="upper left")
        contrasts = (0.05, 0.1, 0.2, 0.4, 0.8)
        late = latency(circuit, screen, contrasts=contrasts)
        for cell, colour in (
            ("on.transient", ACTIVATION),
            ("off.sustained", CONTRIBUTION),
            ("oms", MODE),
        ):
            axes[1, 0].plot(
                contrasts, 1000 * late.onset[:, of(cell)], "o-", color=colour, label=cell
            )
        axes[1, 0].set(title="Latency", xlabel="contrast of a flash", ylabel="ms", xscale="log")
        axes[1, 0].set_xticks(contrasts, [str(c) for c in contrasts])
        axes[1, 0].minorticks_off()
        axes[1, 0].legend(loc="upper right")
        _omitted(axes[1, 1], circuit)
        _turned(axes[1, 2], circuit)
        save(figure, path)


def _pathways(axes: Any, circuit: Circuit) -> None:
    movie = natural_movie(5.0, circuit.screen, seed=4)
    found = pathways(circuit, movie)
    times = movie.window_times(circuit.history)
    for name, colour in (
        ("bipolar.on.transient", ACTIVATION),
        ("bipolar.off.transient", CONTRIBUTION),
        ("amacrine.wide", MODE),
    ):
        axes.plot(times, found["oms", name], color=colour, label=name, linewidth=1.0)
    axes.set(title="Pathways to the OMS cell", xlabel="s of a natural movie", ylabel="Hz")
    axes.set_ylim(-150, 240)
    axes.legend(loc="upper right", fontsize=7.0)


def _omitted(axes: Any, circuit: Circuit) -> None:
    of, screen, period = circuit.cells.index, circuit.screen, 0.12
    for flashes, colour, label in ((12, MODE, "train"), (1, CONTROLS[0], "one flash")):
        movie = flash_train(screen, flashes=flashes, period=period)
        times = movie.window_times(circuit.history) - (1.2 + flashes * period)
        rates = circuit.respond(movie)[:, of("on.sustained")]
        near = (times >= -0.6) & (times < 0.6)
        axes.plot(times[near], rates[torch.from_numpy(near)], color=colour, label=label)
    for number in range(5):
        axes.axvspan(-(number + 1) * period, -(number + 1) * period + 0.04, color="#d1d5db", lw=0)
    axes.set(
        title="Omitted flash: on.sustained",
        xlabel="s from when it was due",
        ylabel="Hz",
        ylim=(0, 65),
    )
    axes.legend(loc="upper left")


def _turned(axes: Any, circuit: Circuit) -> None:
    of, screen, speed = circuit.cells.index, circuit.screen, 500.0
    places = range(-400, 401, 50)
    half = screen.width * 0.5**0.5 + 100.0
    for turns, colour, label in ((True, MODE, "turns"), (False, CONTROLS[0], "goes on")):
        total: Tensor | None = None
        for place in places:
            movie = bar(
                screen, direction=0.0, contrast=-1.0, speed=speed, reversal=place if turns else None
            )
            there = round((1.2 + (place + half) / speed) * screen.rate) - circuit.history + 1
            part = circuit.respond(movie)[there - 15 : there + 25, of("off.transient")]
            total = part if total is None else total + part
        assert total is not None
        times = (torch.arange(40) - 15) / screen.rate
        axes.plot(times, total / len(places), color=colour, label=label)
    axes.set(title="Turning bar: off.transient", xlabel="s from the turn", ylabel="Hz")
    axes.legend(loc="upper left")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", type=Path, help="draw there, and print nothing")
    parser.add_argument("--explained", type=Path, help="draw an explanation there instead")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    circuit = Circuit()
    if given.explained:
        found = explain_phenomenon(
            "omitted_stimulus", circuit, circuit.screen, cells=["on.sustained"],
            method=Conductance(5), at_once=16,
        )  # fmt: skip
        save(found.figure(), given.explained)
        return
    if given.figure:
        draw(circuit, given.figure)
        return
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    for row in rows(circuit):
        print(f"| {' | '.join(row)} |", flush=True)
    print(f"\n10,000 frames in {timing(circuit):.1f} s")


if __name__ == "__main__":
    main()
