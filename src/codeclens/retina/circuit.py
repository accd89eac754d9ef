"""The circuit: a simulated retina whose interneurons are known."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.errors import CodeclensError
from codeclens.retina.ganglion import INTERNEURONS, TYPES, Synapses
from codeclens.retina.interneurons import AMACRINE, BIPOLAR, Amacrine, Bipolar, Interneurons
from codeclens.retina.movies import Movie
from codeclens.retina.photoreceptors import Photoreceptors
from codeclens.retina.response import ResponseModel
from codeclens.retina.screens import Screen

# Hz for a drive of 1 above threshold, and how sharply rates bend there.
HERTZ, SHARPNESS = 50.0, 10.0
MIDDLE = {"": (0.0, 0.0)}


class Rates(nn.Module):
    """Drives to rates in Hz: a smooth rectification."""

    def forward(self, drive: Tensor) -> Tensor:
        return HERTZ * F.softplus(drive, beta=SHARPNESS)


class Circuit(ResponseModel):
    """A retina of known interneurons: movies in contrast from the mean light, rates in Hz out.

    Adapting cones, ON and OFF × transient and sustained bipolar cells, wide-field, narrow-field
    crossover and starburst-like amacrine cells, and ganglion cells of nine types (`TYPES`): ON and
    OFF × transient and sustained, object-motion-sensitive (`oms`), direction-selective (`ds.right`
    and so on). `size` pixels each way of `pixel` µm, `rate` frames a second; one cell of each type
    at each of `positions`, µm from the middle, y upwards. Cells are named by their type, and with
    several positions also by where they are: `"oms.left"`.

    `units` names the channels of each site: `"bipolar"`, `"amacrine"`, and `"interneurons"`, all of
    them as the ganglion cells hear them. Everything is a causal filter or a smooth map, so that a
    window of `history` frames gives the rate at its newest frame exactly. Raises CodeclensError for
    sizes that are not positive and positions outside the field.

    It has no spikes, no noise, and no adaptation slower than its history; amacrine cells reach
    ganglion cells only; its answer to an omitted flash is a rebound whose delay depends on the
    period. docs/retina-circuit.md says what was measured.

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
        # Made in double precision, so that a circuit of doubles is one to the last place.
        self.to(dtype)

    def _grey(self) -> Float[Tensor, "1 history y x"]:
        """One window of the mean light."""
        return torch.zeros(1, self.history, self.size, self.size).to(self.synapses.weight)

    @staticmethod
    def _require_positions(positions: Mapping[str, tuple[float, float]], reach: float) -> None:
        if not positions:
            raise CodeclensError("A circuit without positions has no cells; name one or more.")
        for name, place in positions.items():
            if max(abs(value) for value in place) > reach:
                raise CodeclensError(
                    f"Position {name!r} is {place} µm from the middle, but the field ends at "
                    f"{reach} µm."
                )

    @property
    def screen(self) -> Screen:
        """The screen that this circuit looks at."""
        return Screen(self.size, self.rate, self.pixel)

    def look(self, frames: Float[Tensor, "batch time y x"]) -> Float[Tensor, "batch unit rest y x"]:
        """All interneurons while frames are shown, as the ganglion cells hear them."""
        bipolar = self.bipolar(self.photoreceptors(frames))
        return self.interneurons(bipolar, self.amacrine(bipolar))  # type: ignore[no-any-return]

    def forward(self, windows: Float[Tensor, "batch history y x"]) -> Float[Tensor, "batch cell"]:
        if windows.shape[1:] != (self.history, self.size, self.size):
            raise CodeclensError(
                f"Windows have shape {tuple(windows.shape)}; the circuit takes (batch, "
                f"{self.history}, {self.size}, {self.size})."
            )
        return self.rates(self.drives(self.synapses(self.look(windows))))  # type: ignore[no-any-return]

    def respond(self, movie: Movie, *, at_once: int = 512) -> Float[Tensor, "window cell"]:
        """The rates in Hz at every frame with its whole history, `at_once` frames at a time.

        The same numbers as those of all windows, at a fraction of the cost: neighbouring windows
        share their work. Raises CodeclensError for a movie of another clock or scale.
        """
        with torch.no_grad():
            return torch.cat(
                [
                    self.rates(self.synapses(self.look(part)))[0]
                    for part in self.stretches(movie, at_once)
                ]
            )

    def stretches(self, movie: Movie, at_once: int) -> list[Float[Tensor, "1 time y x"]]:
        """A movie in overlapping stretches, each of `at_once` answered frames or fewer."""
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
        """A copy in which interneurons are silent: `circuit.blocked("amacrine.wide")`.

        A blocked bipolar type is silent for amacrine cells, too. With `at="rest"` they are not at
        zero but stay at what they release in the mean light (in the middle of the field), from
        where contributions are counted. Raises CodeclensError for an unknown name.

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
                raise CodeclensError(
                    f'There is no interneuron "{name}"; there are {", ".join(INTERNEURONS)}.'
                )
            level = float(levels[INTERNEURONS.index(name)]) if at == "rest" else 0.0
            site, _, unit = name.partition(".")
            copy.get_submodule(site).silencing.hold(unit, level)  # type: ignore[operator, union-attr]
        return copy
