"""Pathways: the exact contributions of the circuit's interneuron types to each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.errors import require_number, unknown
from codeclens.labelled import Labelled
from codeclens.retina.circuit import Circuit
from codeclens.retina.movies import Movie

if TYPE_CHECKING:
    import pandas
    import xarray


@dataclass(frozen=True, eq=False, repr=False)
class Pathways(Labelled):
    """The contributions of interneurons `names` to `cells` over a movie, in Hz or as drives.

    `contributions` `(T, cells, interneurons)` sum over interneurons to `rates` `(T, cells)` minus
    `rest` `(cells,)`, the response to the mean light. With the drive as the target all three are
    drives. `times` are in s.

    >>> import torch
    >>> found = Pathways(("a",), ("x",), torch.ones(5, 1, 1), torch.ones(5, 1), torch.zeros(1),
    ...                  np.arange(5) / 50.0)
    >>> found["x", "a"].shape
    torch.Size([5])
    """

    names: Sequence[str]
    cells: Sequence[str]
    contributions: Float[Tensor, "window cell unit"]
    rates: Float[Tensor, "window cell"]
    rest: Float[Tensor, " cell"]
    times: Float[np.ndarray, " window"]

    def title(self) -> str:
        return (
            f"Pathways from {len(self.names)} interneuron types to {len(self.cells)} cells over "
            f"{len(self.times)} frames: mean and standard deviation"
        )

    def to_xarray(self) -> xarray.Dataset:
        """`contribution` `(time, cell, interneuron)`, `rate` `(time, cell)` and `rest` `(cell)`."""
        import xarray

        return xarray.Dataset(
            {
                "contribution": (("time", "cell", "interneuron"), self.contributions.cpu().numpy()),
                "rate": (("time", "cell"), self.rates.cpu().numpy()),
                "rest": ("cell", self.rest.cpu().numpy()),
            },
            {
                "time": ("time", self.times, {"units": "s"}),
                "cell": np.array(self.cells, object),
                "interneuron": np.array(self.names, object),
            },
        )

    def to_dataframe(self) -> pandas.DataFrame:
        """A row for each pathway with a contribution: its mean and standard deviation over time."""
        found = self.to_xarray().contribution
        table = found.mean("time").to_dataframe("mean").reset_index()
        table["deviation"] = found.std("time").to_numpy().ravel()
        return table[table.deviation > 0].reset_index(drop=True)

    def __getitem__(self, which: tuple[str, str]) -> Float[Tensor, " window"]:
        """The contribution of one interneuron to one cell: `found["oms", "amacrine.wide"]`."""
        cell, name = which
        for what, one, known in (("cell", cell, self.cells), ("interneuron", name, self.names)):
            if one not in known:
                raise unknown(what, one, known)
        return self.contributions[:, self.cells.index(cell), self.names.index(name)]


def pathways(
    circuit: Circuit,
    movie: Movie,
    *,
    target: Literal["rate", "drive"] = "rate",
    steps: int = 20,
    at_once: int = 512,
) -> Pathways:
    """The contribution of every interneuron type to every cell at every frame of a movie.

    These are the net contributions at the site `"interneurons"` by secants along the straight path
    from the mean light in `steps` even segments: the result of `contributions` on windows with
    `Conductance(steps, nodes="uniform")`, but for a whole movie and all cells at once. They are
    direct: the effect of a bipolar type through amacrine cells counts as the amacrine cells'. For
    the drive they do not depend on the path. Raises CodeclensError for another target, no steps,
    and a movie of another clock, scale or size.

    >>> from codeclens.retina import Screen, white_noise
    >>> circuit = Circuit()
    >>> found = pathways(circuit, white_noise(1.2, circuit.screen), steps=5)
    >>> gap = found.contributions.sum(2) - (found.rates - found.rest)
    >>> found.contributions.shape, bool(gap.abs().max() < 1e-3)
    (torch.Size([11, 9, 11]), True)
    """
    if target not in ("rate", "drive"):
        raise unknown("target", target, ("rate", "drive"))
    require_number("steps", steps, least=1, whole=True)
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
    times = circuit.response_times(movie)
    return Pathways(circuit.units["interneurons"], circuit.cells, found, drive, rest, times)


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
    """The change of the rate over that of the drive; the derivative where the change is tiny."""
    change = now[1] - before[1]
    small = change.abs() < torch.finfo(change.dtype).eps ** (1 / 3)
    with torch.enable_grad():
        middle = ((now[1] + before[1]) / 2).requires_grad_()
        (derivative,) = torch.autograd.grad(circuit.rates(middle).sum(), middle)
    return torch.where(small, derivative, (now[2] - before[2]) / change.masked_fill(small, 1))
