"""What is fitted to recordings: response models that can be made again from plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from codeclens.retina.layers import Rate
from codeclens.retina.movies import Unit
from codeclens.retina.response import ResponseModel


class Fittable(ResponseModel):
    """A response model with a front, a drive that is called potential, and rates behind it.

    `front` is a module from windows to windows of `front_history` frames, such as photoreceptors;
    `taken` is how many frames the model itself takes. `options` are the arguments that, beside the
    clock, the scale and the cells, make an equal model.
    """

    drive: str | None = "potential"

    def __init__(
        self,
        cells: Sequence[str],
        *,
        rate: float,
        pixel: float,
        unit: Unit,
        history: int,
        size: tuple[int, int],
        front: nn.Module | None,
        front_history: int | None,
    ) -> None:
        super().__init__(history=history, rate=rate, pixel=pixel, unit=unit, cells=cells)
        self.options: dict[str, Any] = {
            "history": history,
            "size": list(size),
            "front_history": front_history,
        }
        self.field = (int(size[0]), int(size[1]))
        self.taken = front_history or history
        self.front = front
        self.output = Rate(len(self.cells))

    def seen(self, x: Tensor) -> Tensor:
        """The film as the front passes it on."""
        through: Tensor = x if self.front is None else self.front(x)
        return through

    def config(self) -> dict[str, Any]:
        """What makes an equal model, in plain values, its front apart."""
        return super().config() | self.options

    def calibrate(self, rates: Float[Tensor, "time cell"]) -> None:
        """Let a drive of about 1 mean a cell's mean rate, before a fit."""
        self.output.calibrate(rates)
