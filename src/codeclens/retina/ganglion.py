"""Ganglion cells of the simulated retina: which interneurons each type hears, and how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.retina.interneurons import AMACRINE, BIPOLAR, DIRECTIONS
from codeclens.retina.kernels import gamma_kernel

INTERNEURONS = (*(f"bipolar.{n}" for n in BIPOLAR), *(f"amacrine.{n}" for n in AMACRINE))
OPPOSITE = {"right": "left", "left": "right", "up": "down", "down": "up"}


@dataclass(frozen=True)
class Wiring:
    """What one type of ganglion cell hears: weights by interneuron, and its drive at rest.

    `excitation` and `inhibition` map names of `INTERNEURONS` to positive weights. They are
    gathered by a Gaussian of `sigma` µm, wide-field cells from a ring around it at `ring` µm where
    one is given. `rest` is the drive in the mean light; the rate is its rectified part.
    """

    excitation: Mapping[str, float]
    inhibition: Mapping[str, float] = field(default_factory=dict)
    sigma: float = 90.0
    ring: float | None = None
    rest: float = 0.0


def _directional(way: str) -> Wiring:
    return Wiring(
        {"bipolar.on.transient": 2.0, "bipolar.off.transient": 2.0},
        {f"amacrine.starburst.{OPPOSITE[way]}": 3.6},
        rest=-0.1,
    )


TYPES: dict[str, Wiring] = {
    "on.transient": Wiring(
        {"bipolar.on.transient": 2.5}, {"amacrine.crossover.off": 0.8, "amacrine.wide": 0.2}
    ),
    "on.sustained": Wiring(
        {"bipolar.on.sustained": 2.5, "bipolar.on.transient": 0.3}, {"amacrine.crossover.off": 1.0}
    ),
    "off.transient": Wiring(
        {"bipolar.off.transient": 2.5}, {"amacrine.crossover.on": 0.8, "amacrine.wide": 0.2}
    ),
    "off.sustained": Wiring(
        {"bipolar.off.sustained": 2.0, "bipolar.off.transient": 0.3}, {"amacrine.crossover.on": 1.0}
    ),
    "oms": Wiring(
        {"bipolar.on.transient": 3.2, "bipolar.off.transient": 3.2},
        {"amacrine.wide": 3.1},
        ring=350.0,
        rest=-0.1,
    ),
    **{f"ds.{way}": _directional(way) for way in DIRECTIONS},
}


class Synapses(nn.Module):
    """The drive of every ganglion cell: a weighted sum of interneurons over types, lags and places.

    Takes interneurons `(B, U, T, H, W)`, gives drives `(B, T', cells)`, less each cell's threshold.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self, cells: list[tuple[str, tuple[float, float]]], size: int, rate: float, pixel: float
    ) -> None:
        super().__init__()
        self.taps = max(1, round(0.06 * rate))
        kernel = gamma_kernel(self.taps, rate, 0.01)
        maps = torch.stack([_maps(TYPES[kind], place, size, pixel) for kind, place in cells])
        # Convolutions look backwards: the newest lag is last.
        self.register_buffer("weight", maps[:, :, None] * kernel.flip(0)[:, None, None])
        rest = [TYPES[kind].rest for kind, _ in cells]
        self.register_buffer("bias", torch.tensor(rest, dtype=torch.float64))

    def settle(self, resting: Float[Tensor, "1 unit time y x"]) -> None:
        """Set the thresholds so that with these interneurons each cell's drive is its rest."""
        self.bias += self.bias - self(resting)[0, 0]

    def forward(
        self, interneurons: Float[Tensor, "batch unit time y x"]
    ) -> Float[Tensor, "batch rest cell"]:
        return F.conv3d(interneurons, self.weight, self.bias)[..., 0, 0].mT

    def parts(
        self, interneurons: Float[Tensor, "batch unit time y x"]
    ) -> Float[Tensor, "batch rest cell unit"]:
        """What each interneuron type adds to the drives: their sum less the thresholds."""
        cells, units = self.weight.shape[:2]
        apart = self.weight.transpose(0, 1).reshape(units * cells, 1, *self.weight.shape[2:])
        found = F.conv3d(interneurons, apart, groups=units)[..., 0, 0]
        return found.unflatten(1, (units, cells)).permute(0, 3, 2, 1)  # type: ignore[no-any-return]


def _maps(
    wiring: Wiring, place: tuple[float, float], size: int, pixel: float
) -> Float[Tensor, "unit y x"]:
    """Weights of one cell at `place` µm from the middle, y upwards."""
    along = (torch.arange(size, dtype=torch.float64) - (size - 1) / 2) * pixel
    far = torch.hypot(along[None, :] - place[0], -along[:, None] - place[1])
    near = torch.exp(-0.5 * (far / wiring.sigma) ** 2)
    around = near
    if wiring.ring is not None:
        around = torch.exp(-0.5 * ((far - wiring.ring) / 80.0) ** 2)
    maps = torch.zeros(len(INTERNEURONS), size, size, dtype=torch.float64)
    for sign, weights in ((1, wiring.excitation), (-1, wiring.inhibition)):
        for name, weight in weights.items():
            shape = around if name == "amacrine.wide" else near
            maps[INTERNEURONS.index(name)] += sign * weight * shape / shape.sum()
    return maps
