"""Pathways: what each type of interneuron of the circuit gives to each cell, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.errors import CodeclensError
from codeclens.retina.circuit import Circuit
from codeclens.retina.movies import Movie


@dataclass(frozen=True, eq=False)
class Pathways:
    """What `names` gave to `cells` at every answered frame of a movie, in Hz or in drive.

    `contributions` `(T, cells, interneurons)` sum over interneurons to `rates` `(T, cells)` less
    `rest` `(cells,)`, the response to the mean light. Where the target was the drive these are
    drives.

    >>> import torch
    >>> found = Pathways(("a",), ("x",), torch.ones(5, 1, 1), torch.ones(5, 1), torch.zeros(1))
    >>> found["x", "a"].shape
    torch.Size([5])
    """

    names: Sequence[str]
    cells: Sequence[str]
    contributions: Float[Tensor, "window cell unit"]
    rates: Float[Tensor, "window cell"]
    rest: Float[Tensor, " cell"]

    def __getitem__(self, which: tuple[str, str]) -> Float[Tensor, " window"]:
        """What one interneuron gave to one cell over time: `found["oms", "amacrine.wide"]`."""
        cell, name = which
        if cell not in self.cells or name not in self.names:
            raise KeyError(
                f'No pathway from "{name}" to "{cell}"; cells are {", ".join(self.cells)}, '
                f"interneurons {', '.join(self.names)}."
            )
        return self.contributions[:, self.cells.index(cell), self.names.index(name)]


def pathways(
    circuit: Circuit,
    movie: Movie,
    *,
    target: Literal["rate", "drive"] = "rate",
    steps: int = 20,
    at_once: int = 512,
) -> Pathways:
    """What every interneuron type contributed to every cell, at every frame of a movie.

    The net contributions at the site `"interneurons"` by secants along the straight path from the
    mean light, `steps` even segments: what `contributions` computes from windows with
    `Conductance(steps, nodes="uniform")`, but over a whole movie and for all cells at once. They
    are direct: what a bipolar type does through amacrine cells counts as theirs. For the drive
    contributions do not depend on the path. Raises CodeclensError for another target, no steps, or
    a movie that does not fit.

    >>> from codeclens.retina import Screen, white_noise
    >>> circuit = Circuit()
    >>> found = pathways(circuit, white_noise(1.2, circuit.screen), steps=5)
    >>> gap = found.contributions.sum(2) - (found.rates - found.rest)
    >>> found.contributions.shape, bool(gap.abs().max() < 1e-3)
    (torch.Size([11, 9, 11]), True)
    """
    if target not in ("rate", "drive"):
        raise CodeclensError(f'Pathways lead to "rate" or "drive", not {target!r}.')
    if steps < 1:
        raise CodeclensError(f"Pathways need one step or more, not {steps}.")
    if target == "drive":
        steps = 1
    with torch.no_grad():
        stretches = circuit.stretches(movie, at_once)
        found = torch.cat([_along_path(circuit, part, target, steps) for part in stretches])
        grey = torch.zeros_like(stretches[0][:, : circuit.history])
        drive = torch.cat([circuit.synapses(circuit.look(part))[0] for part in stretches])
        rest = circuit.synapses(circuit.look(grey))[0, 0]
        if target == "rate":
            drive, rest = circuit.rates(drive), circuit.rates(rest)
    return Pathways(circuit.units["interneurons"], circuit.cells, found, drive, rest)


def _along_path(
    circuit: Circuit, frames: Tensor, target: str, steps: int
) -> Float[Tensor, "window cell unit"]:
    """Sum over segments of the secant of the rate times the change of each part of the drive."""
    total: Tensor | None = None
    before: tuple[Tensor, Tensor, Tensor] | None = None
    for node in range(steps + 1):
        interneurons = circuit.look(frames * (node / steps))
        parts = circuit.synapses.parts(interneurons)[0]
        drive = circuit.synapses(interneurons)[0]
        now = (parts, drive, circuit.rates(drive))
        if before is not None:
            slope = 1.0 if target == "drive" else _secant(circuit, before, now)[..., None]
            change = (parts - before[0]) * slope
            total = change if total is None else total + change
        before = now
    assert total is not None
    return total


def _secant(
    circuit: Circuit, before: tuple[Tensor, Tensor, Tensor], now: tuple[Tensor, Tensor, Tensor]
) -> Float[Tensor, "window cell"]:
    """Change of the rate by change of the drive; the derivative where that hardly changes."""
    change = now[1] - before[1]
    small = change.abs() < torch.finfo(change.dtype).eps ** (1 / 3)
    with torch.enable_grad():
        middle = ((now[1] + before[1]) / 2).requires_grad_()
        (derivative,) = torch.autograd.grad(circuit.rates(middle).sum(), middle)
    return torch.where(small, derivative, (now[2] - before[2]) / change.masked_fill(small, 1))
