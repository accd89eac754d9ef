"""The circuit: a simulated retina whose interneurons are known."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.errors import CodeclensError, unknown, wrong_shape
from codeclens.retina.movies import Movie, Screen
from codeclens.retina.photoreceptors import Photoreceptors, causal, gamma_kernel
from codeclens.retina.response import ResponseModel


class Pool(nn.Module):
    """Gaussian pooling on a square of `size` pixels, with a cell at every pixel.

    `sigma` and the displacement `(x, y)` of the pool from the cell, y upwards, are in pixels. The
    weights sum to 1 on an unbounded plane; signals outside the square are zero. The shape `(…,
    size, size)` is kept. Weights are in double precision.

    >>> pool = Pool(9, sigma=1.0, shift=(2.0, 0.0)).float()
    >>> spot = torch.zeros(9, 9)
    >>> spot[4, 6] = 1
    >>> divmod(int(pool(spot).argmax()), 9)
    (4, 4)
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, size: int, sigma: float, shift: tuple[float, float] = (0.0, 0.0)) -> None:
        super().__init__()
        # Rows count downwards.
        self.register_buffer("rows", _gaussians(size, sigma, -shift[1]))
        self.register_buffer("columns", _gaussians(size, sigma, shift[0]).T.contiguous())

    def forward(self, signals: Float[Tensor, "*rest y x"]) -> Float[Tensor, "*rest y x"]:
        return torch.matmul(torch.matmul(self.rows, signals), self.columns)


def _gaussians(size: int, sigma: float, shift: float) -> Float[Tensor, "to source"]:
    places = torch.arange(size, dtype=torch.float64)
    apart = places[None, :] - places[:, None] - shift
    far = torch.arange(-20 * (1 + int(sigma)), 20 * (1 + int(sigma)) + 1, dtype=torch.float64)
    norm = torch.exp(-0.5 * ((far - shift % 1) / sigma) ** 2).sum()
    return torch.exp(-0.5 * (apart / sigma) ** 2) / norm


BIPOLAR = ("on.transient", "on.sustained", "off.transient", "off.sustained")
DIRECTIONS = {"right": (1.0, 0.0), "left": (-1.0, 0.0), "up": (0.0, 1.0), "down": (0.0, -1.0)}
AMACRINE = ("wide", "crossover.on", "crossover.off", *(f"starburst.{d}" for d in DIRECTIONS))
# The sharpness of the softplus that rectifies releases.
SHARPNESS = 6.0
# The inhibition of a starburst cell from its null side, for an excitation of 1.
VETO = 1.5


class Silencing(nn.Module):
    """The identity on signals `(B, channel, …)`, except that blocked channels are constant.

    >>> gate = Silencing(("a", "b")).float()
    >>> gate.hold("b", 0.0)
    >>> gate(torch.ones(1, 2))
    tensor([[1., 0.]])
    """

    passes: Tensor
    held: Tensor

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names
        self.register_buffer("passes", torch.ones(len(names), dtype=torch.float64))
        self.register_buffer("held", torch.zeros(len(names), dtype=torch.float64))

    def hold(self, name: str, level: float) -> None:
        """Block one channel: set it to `level`."""
        if name not in self.names:
            raise unknown("interneuron", name, self.names)
        channel = self.names.index(name)
        self.passes[channel], self.held[channel] = 0.0, level

    def forward(self, signals: Tensor) -> Tensor:
        shape = (-1, *[1] * (signals.ndim - 2))
        return signals * self.passes.reshape(shape) + self.held.reshape(shape)


def _table(values: list[float]) -> Float[Tensor, " channel"]:
    return torch.tensor(values, dtype=torch.float64)


class Bipolar(nn.Module):
    """ON and OFF × transient and sustained bipolar cells, one of each at every pixel.

    The cones' signal is filtered in time and by a centre minus a surround, rectified
    (`b = softplus(gain · drive − threshold)`) and released through a depressing synapse,
    `b / (1 + κ K ∗ b)` with a kernel K without lag 0. Takes the cones' signal `(B, T, H, W)` and
    gives releases `(B, 4, T', H, W)` in the order of `BIPOLAR`.
    """

    kernels: Tensor
    recovery: Tensor
    gain: Tensor
    threshold: Tensor
    depression: Tensor

    def __init__(self, size: int, rate: float, pixel: float) -> None:
        super().__init__()
        taps, memory = max(2, round(0.3 * rate)), max(2, round(0.24 * rate))
        quick = gamma_kernel(taps, rate, 0.02) - gamma_kernel(taps, rate, 0.045)
        lasting = gamma_kernel(taps, rate, 0.03) - 0.4 * gamma_kernel(taps, rate, 0.07)
        self.register_buffer("kernels", torch.stack([2.0 * quick, lasting]))
        recovery = gamma_kernel(memory - 1, rate, 0.08, order=0)
        self.register_buffer("recovery", torch.cat([torch.zeros(1, dtype=torch.float64), recovery]))
        self.centre = Pool(size, 40 / pixel)
        self.surround = Pool(size, 150 / pixel)
        self.surround_weight = 0.7
        self.register_buffer("gain", _table([40.0, 36.0, 44.0, 36.0]))
        self.register_buffer("threshold", _table([0.1, 0.0, 0.1, 0.0]))
        self.register_buffer("depression", _table([4.0, 4.0, 4.0, 4.0]))
        self.silencing = Silencing(BIPOLAR)
        self.taps = taps + memory - 1

    def forward(
        self, signal: Float[Tensor, "batch time y x"]
    ) -> Float[Tensor, "batch channel rest y x"]:
        filtered = causal(signal[:, None].expand(-1, 2, -1, -1, -1), self.kernels)
        seen = self.centre(filtered) - self.surround_weight * self.surround(filtered)
        both = torch.cat([seen, -seen], dim=1)
        drive = self.gain[:, None, None, None] * both - self.threshold[:, None, None, None]
        release = F.softplus(drive, beta=SHARPNESS)
        spent = causal(release, self.recovery.expand(len(BIPOLAR), -1))
        late = release[:, :, -spent.shape[2] :]
        left = 1 + self.depression[:, None, None, None] * spent
        return self.silencing(late / left)  # type: ignore[no-any-return]


class Amacrine(nn.Module):
    """Amacrine cells: wide-field, narrow-field crossover, starburst-like; one at every pixel.

    All are `softplus(gain · drive − threshold)` of bipolar releases, filtered in time:

    - `wide` pools both transient types over a wide area;
    - `crossover.on` pools the sustained ON type nearby (and inhibits OFF cells), `crossover.off`
      the sustained OFF type;
    - `starburst.right` adds the present release of both transient types here and their delayed
      release a step to the left, and subtracts that a step to the right: it responds to motion to
      the right.

    Takes releases `(B, 4, T, H, W)`, gives `(B, 7, T', H, W)` in the order of `AMACRINE`.
    """

    membranes: Tensor
    delays: Tensor
    gain: Tensor
    threshold: Tensor

    def __init__(self, size: int, rate: float, pixel: float) -> None:
        super().__init__()
        self.taps = max(2, round(0.12 * rate))
        slow, fast, quick = (gamma_kernel(self.taps, rate, tau) for tau in (0.03, 0.01, 0.005))
        self.register_buffer("membranes", torch.stack([quick, slow, slow]))
        late = gamma_kernel(self.taps, rate, 0.03, order=2)
        self.register_buffer("delays", torch.stack([fast, late]))
        self.wide = Pool(size, 150 / pixel)
        self.narrow = Pool(size, 60 / pixel)
        self.here = Pool(size, 40 / pixel)
        step = 75 / pixel
        self.ahead = nn.ModuleList(
            Pool(size, 40 / pixel, (step * x, step * y)) for x, y in DIRECTIONS.values()
        )
        self.register_buffer("gain", _table([3.0, 4.0, 4.0, 3.0, 3.0, 3.0, 3.0]))
        self.register_buffer("threshold", _table([1.0, 0.2, 0.2, 1.8, 1.8, 1.8, 1.8]))
        self.silencing = Silencing(AMACRINE)

    def forward(
        self, release: Float[Tensor, "batch channel time y x"]
    ) -> Float[Tensor, "batch type rest y x"]:
        transient = release[:, 0:1] + release[:, 2:3]
        sources = torch.cat([self.wide(transient), self.narrow(release[:, 1::2])], dim=1)
        gathered = causal(sources, self.membranes)
        now, late = causal(transient.expand(-1, 2, -1, -1, -1), self.delays).split(1, dim=1)
        here = self.here(now)
        nearby = [pool(late) for pool in self.ahead]
        # The step behind one direction is the step ahead of the opposite direction.
        motion = [here + nearby[back] - VETO * nearby[way] for way, back in enumerate((1, 0, 3, 2))]
        drive = torch.cat([gathered, *motion], dim=1)
        scaled = self.gain[:, None, None, None] * drive - self.threshold[:, None, None, None]
        return self.silencing(F.softplus(scaled, beta=SHARPNESS))  # type: ignore[no-any-return]


class Interneurons(nn.Module):
    """All interneurons in one tensor: the complete input of the ganglion cells.

    Joins releases of bipolar cells `(B, 4, T, H, W)` and amacrine cells `(B, 7, T', H, W)` at the
    frames that both have. Contributions at this cut of the circuit are direct: the effect of a
    bipolar type through amacrine cells counts as the amacrine cells'.
    """

    def forward(
        self,
        bipolar: Float[Tensor, "batch channel time y x"],
        amacrine: Float[Tensor, "batch type rest y x"],
    ) -> Float[Tensor, "batch unit rest y x"]:
        return torch.cat([bipolar[:, :, -amacrine.shape[2] :], amacrine], dim=1)


INTERNEURONS = (*(f"bipolar.{n}" for n in BIPOLAR), *(f"amacrine.{n}" for n in AMACRINE))
OPPOSITE = {"right": "left", "left": "right", "up": "down", "down": "up"}


@dataclass(frozen=True)
class Wiring:
    """The inputs of one type of ganglion cell: weights by interneuron, and the drive at rest.

    `excitation` and `inhibition` map names of `INTERNEURONS` to positive weights. Inputs are pooled
    by a Gaussian of `sigma` µm; wide-field cells are pooled on a ring with a radius of `ring` µm
    where one is given. `rest` is the drive in the mean light; the rate is the rectified drive.
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
    """The drive of each ganglion cell: a weighted sum over interneuron types, lags and positions.

    Takes interneurons `(B, U, T, H, W)` and gives drives `(B, T', cells)` minus the thresholds.
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
        # In a convolution the newest lag is last.
        self.register_buffer("weight", maps[:, :, None] * kernel.flip(0)[:, None, None])
        rest = [TYPES[kind].rest for kind, _ in cells]
        self.register_buffer("bias", torch.tensor(rest, dtype=torch.float64))

    def settle(self, resting: Float[Tensor, "1 unit time y x"]) -> None:
        """Set the thresholds so that each cell has its resting drive with these interneurons."""
        self.bias += self.bias - self(resting)[0, 0]

    def forward(
        self, interneurons: Float[Tensor, "batch unit time y x"]
    ) -> Float[Tensor, "batch rest cell"]:
        return F.conv3d(interneurons, self.weight, self.bias)[..., 0, 0].mT

    def parts(
        self, interneurons: Float[Tensor, "batch unit time y x"]
    ) -> Float[Tensor, "batch rest cell unit"]:
        """The summand of each interneuron type in the drives, without the thresholds."""
        cells, units = self.weight.shape[:2]
        apart = self.weight.transpose(0, 1).reshape(units * cells, 1, *self.weight.shape[2:])
        found = F.conv3d(interneurons, apart, groups=units)[..., 0, 0]
        return found.unflatten(1, (units, cells)).permute(0, 3, 2, 1)  # type: ignore[no-any-return]


def _maps(
    wiring: Wiring, place: tuple[float, float], size: int, pixel: float
) -> Float[Tensor, "unit y x"]:
    """Weights of one cell at `place` µm from the centre, y upwards."""
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


# Gain (Hz per unit drive) and sharpness of the softplus.
HERTZ, SHARPNESS_CIRCUIT = 50.0, 10.0
MIDDLE = {"": (0.0, 0.0)}


class Rates(nn.Module):
    """Drives to rates in Hz: a smooth rectification."""

    def forward(self, drive: Tensor) -> Tensor:
        return HERTZ * F.softplus(drive, beta=SHARPNESS_CIRCUIT)


class Circuit(ResponseModel):
    """A simulated retina with known interneurons: from contrast movies to rates in Hz.

    Adapting cones, ON and OFF × transient and sustained bipolar cells, wide-field, narrow-field
    crossover and starburst-like amacrine cells, and ganglion cells of nine types (`TYPES`): ON and
    OFF × transient and sustained, object-motion-sensitive (`oms`), direction-selective (`ds.right`
    and so on). The field is `size` × `size` pixels of `pixel` µm, with `rate` frames a second; one
    cell of each type is at each of `positions`, in µm from the centre, y upwards. Cells are named
    by their type, and with several positions also by the position: `"oms.left"`.

    `units` names the channels of each site: `"bipolar"`, `"amacrine"`, and `"interneurons"`, all
    inputs of the ganglion cells. Every part is a causal filter or a smooth map, so a window of
    `history` frames gives the rate at its newest frame exactly. Raises CodeclensError for sizes
    that are not positive and positions outside the field.

    The circuit has no spikes, no noise and no adaptation slower than its history. Its amacrine
    cells contact ganglion cells only, and its response to an omitted flash is a rebound whose delay
    depends on the period. docs/retina-circuit.md reports the measurements.

    >>> circuit = Circuit()
    >>> circuit.history, circuit.cells[4:6], circuit.units["amacrine"][0]
    (50, ('oms', 'ds.right'), 'wide')
    >>> circuit(torch.zeros(2, 50, 22, 22)).shape
    torch.Size([2, 9])
    """

    sites = ("bipolar", "interneurons")
    drive = "drives"

    def __init__(
        self,
        size: int = 22,
        *,
        rate: float = 50.0,
        pixel: float = 50.0,
        positions: Mapping[str, tuple[float, float]] = MIDDLE,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._require_positions(positions, Screen(size, rate, pixel).width / 2)
        placed = [(kind, name, place) for name, place in positions.items() for kind in TYPES]
        alone = len(positions) == 1
        photoreceptors = Photoreceptors(rate, dtype=torch.float64)
        bipolar = Bipolar(size, rate, pixel)
        amacrine = Amacrine(size, rate, pixel)
        synapses = Synapses([(kind, place) for kind, _, place in placed], size, rate, pixel)
        filters = (photoreceptors, bipolar, amacrine, synapses)
        super().__init__(
            history=1 + sum(part.taps - 1 for part in filters),
            rate=rate, pixel=pixel, unit="um",
            cells=[kind if alone else f"{kind}.{name}" for kind, name, _ in placed],
        )  # fmt: skip
        self.size = size
        self.field = (size, size)
        self.types = tuple(kind for kind, _, _ in placed)
        self.units = {"bipolar": BIPOLAR, "amacrine": AMACRINE, "interneurons": INTERNEURONS}
        self.photoreceptors = photoreceptors
        self.bipolar = bipolar
        self.amacrine = amacrine
        self.interneurons = Interneurons()
        self.synapses = synapses
        self.drives = nn.Flatten()
        self.rates = Rates()
        self.requires_grad_(False)
        self.synapses.settle(self.look(self._grey()))
        # Built in double precision, so that dtype=torch.float64 is exact to the last digit.
        self.to(dtype)

    def _grey(self) -> Float[Tensor, "1 history y x"]:
        """One window of the mean light."""
        return torch.zeros(1, self.history, self.size, self.size).to(self.synapses.weight)

    @staticmethod
    def _require_positions(positions: Mapping[str, tuple[float, float]], reach: float) -> None:
        if not positions:
            raise CodeclensError("positions is empty, so there are no cells; name one or more.")
        for name, place in positions.items():
            if max(abs(value) for value in place) > reach:
                raise CodeclensError(
                    f"Position {name!r} is {place} µm from the centre, but the field ends at "
                    f"{reach} µm."
                )

    @property
    def screen(self) -> Screen:
        """The screen that covers the field of the circuit."""
        return Screen(self.size, self.rate, self.pixel)

    def look(self, frames: Float[Tensor, "batch time y x"]) -> Float[Tensor, "batch unit rest y x"]:
        """All inputs of the ganglion cells while frames are shown."""
        bipolar = self.bipolar(self.photoreceptors(frames))
        return self.interneurons(bipolar, self.amacrine(bipolar))  # type: ignore[no-any-return]

    def forward(self, windows: Float[Tensor, "batch history y x"]) -> Float[Tensor, "batch cell"]:
        if windows.shape[1:] != (self.history, self.size, self.size):
            wanted = f"(batch, {self.history}, {self.size}, {self.size})"
            raise wrong_shape("windows", windows.shape, wanted)
        return self.rates(self.drives(self.synapses(self.look(windows))))  # type: ignore[no-any-return]

    def respond(self, movie: Movie, *, at_once: int = 512) -> Float[Tensor, "window cell"]:
        """The rates in Hz for every window of a movie, `at_once` windows at a time.

        The result equals that of the single windows at a fraction of the cost, since windows share
        work. Raises CodeclensError for a movie of another clock, scale or size.
        """
        with torch.no_grad():
            return torch.cat(
                [
                    self.rates(self.synapses(self.look(part)))[0]
                    for part in self.stretches(movie, at_once)
                ]
            )

    def stretches(self, movie: Movie, at_once: int) -> list[Float[Tensor, "1 time y x"]]:
        """A movie in overlapping stretches of `at_once` windows or fewer."""
        self.require_movie(movie)
        if len(movie) < self.history:
            raise CodeclensError(
                f"A movie of {len(movie)} frames is shorter than the circuit's history of "
                f"{self.history}."
            )
        like = self.synapses.weight
        frames = movie.frames[None].to(like)
        answered = len(movie) - self.history + 1
        return [
            frames[:, start : min(start + at_once, answered) + self.history - 1]
            for start in range(0, answered, at_once)
        ]

    def blocked(self, *names: str, at: Literal["nothing", "rest"] = "nothing") -> Circuit:
        """A copy in which interneurons are blocked: `circuit.blocked("amacrine.wide")`.

        A blocked bipolar type is silent for amacrine cells as well. With `at="rest"` interneurons
        are not zero but constant at their release in the mean light (at the centre of the field),
        the baseline of contributions. Raises CodeclensError for an unknown name.

        >>> circuit = Circuit()
        >>> grey = torch.zeros(1, circuit.history, 22, 22)
        >>> silent = circuit.blocked("bipolar.on.transient", "bipolar.off.transient")
        >>> bool((silent(grey) <= circuit(grey)).all())
        True
        """
        rest = self.look(self._grey())
        levels = rest[0, :, -1, self.size // 2, self.size // 2]
        copy = deepcopy(self)
        for name in names:
            if name not in INTERNEURONS:
                raise unknown("interneuron", name, INTERNEURONS)
            level = float(levels[INTERNEURONS.index(name)]) if at == "rest" else 0.0
            site, _, unit = name.partition(".")
            copy.get_submodule(site).silencing.hold(unit, level)  # type: ignore[operator, union-attr]
        return copy
