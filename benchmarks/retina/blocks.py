"""Blocks: what taking an interneuron away does in the circuit, predicted by contributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from benchmarks.retina.scores import Pathway, correlations
from codeclens.retina import Circuit, Movie, Pathways, pathways

Array = np.ndarray[Any, Any]
# A cell below so many Hz is silent.
SILENT = 1.0


def block_effects(
    circuit: Circuit, film: Movie, chosen: Sequence[Pathway]
) -> list[Float[Array, " window"]]:
    """The change of the cell's rate, in Hz, when each pathway's interneuron stays at rest."""
    intact = circuit.respond(film)
    names = circuit.units["interneurons"]
    without = {
        unit: circuit.blocked(names[unit], at="rest").respond(film) - intact
        for unit in {one.unit for one in chosen}
    }
    return [without[one.unit][:, one.cell].numpy() for one in chosen]


def predicted(
    circuit: Circuit, film: Movie, chosen: Sequence[Pathway]
) -> list[tuple[float, float, float]]:
    """In the circuit itself, r of the true block with what contributions predict of it.

    By contributions to the rate; by the same, where the cell is silent (below `SILENT`, NaN where
    it hardly ever is); by contributions to the drive, passed through the last nonlinearity.
    """
    true = block_effects(circuit, film, chosen)
    rate, drive = pathways(circuit, film), pathways(circuit, film, target="drive")
    rows = []
    for one, effect in zip(chosen, true, strict=True):
        expected = -rate.contributions[:, one.cell, one.unit].numpy()
        silent = (rate.rates[:, one.cell] < SILENT).numpy()
        there = _r(expected[silent], effect[silent]) if silent.sum() > 20 else np.nan
        rows.append((_r(expected, effect), there, _r(through(circuit, drive, one), effect)))
    return rows


def through(circuit: Circuit, drive: Pathways, one: Pathway) -> Float[Array, " window"]:
    """The change of the rate where the drive lacks what a pathway gives to it."""
    whole = drive.rates[:, one.cell]
    less = whole - drive.contributions[:, one.cell, one.unit]
    return (circuit.rates(less) - circuit.rates(whole)).numpy()  # type: ignore[no-any-return]


def through_softplus(
    drive: Float[Array, " window"], part: Float[Array, " window"], gain: float
) -> Float[Array, " window"]:
    """The same in a fitted network, whose rates are `gain · softplus(drive)`."""
    with torch.no_grad():
        whole, less = torch.from_numpy(drive), torch.from_numpy(drive - part)
        change = torch.nn.functional.softplus(less) - torch.nn.functional.softplus(whole)
    return gain * change.numpy()


def _r(candidate: Array, truth: Array) -> float:
    return float(correlations(candidate[:, None], truth)[0])
