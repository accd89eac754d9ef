"""Computing: where and how a model computes during an extraction."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from codeclens.errors import CodeclensError

Half = Literal["bfloat16", "float16"]
Batch = TypeVar("Batch")
_HALVES: dict[str, torch.dtype] = {"bfloat16": torch.bfloat16, "float16": torch.float16}
# Batches that are on their way to a GPU while it computes another.
IN_FLIGHT = 2


@dataclass(frozen=True)
class Computing:
    """Options that trade memory layout and precision for speed.

    `channels_last` lays images out pixel by pixel, which changes results by rounding alone; None
    does so where it helps. `fold_batchnorm` folds batch norms into convolutions in a private copy
    of the model (see `folded`). `autocast` computes matrix products in half precision, and sums
    contributions in single. Raises CodeclensError for a precision that is not known.
    """

    channels_last: bool | None = None
    fold_batchnorm: bool = False
    autocast: Half | None = None

    def __post_init__(self) -> None:
        if self.autocast is not None and self.autocast not in _HALVES:
            known = ", ".join(f'"{name}"' for name in _HALVES)
            raise CodeclensError(f"autocast={self.autocast!r} is not known; use one of {known}.")

    @property
    def settings(self) -> dict[str, Any] | None:
        """What numbers depend on beyond rounding; None where nothing is out of the ordinary."""
        if not self.fold_batchnorm and self.autocast is None:
            return None
        return {"fold_batchnorm": self.fold_batchnorm, "autocast": self.autocast}

    def on(self, model: nn.Module) -> Device:
        """The device of a model, and these options there."""
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                return Device(tensor.device, tensor.dtype, self._laid_out(model), self.autocast)
        return Device(torch.device("cpu"), None, False, self.autocast)

    def _laid_out(self, model: nn.Module) -> bool:
        if self.channels_last is not None:
            return self.channels_last
        return any(isinstance(module, nn.Conv2d) for module in model.modules())


@dataclass(frozen=True)
class Device:
    """Where a model computes: device and type of its values, and how images come to it."""

    device: torch.device
    dtype: torch.dtype | None
    channels_last: bool
    autocast: Half | None

    def precision(self) -> AbstractContextManager[Any]:
        """A `with` in which the model computes as precisely as was asked for."""
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(self.device.type, _HALVES[self.autocast])

    def stacked(self, images: Sequence[Tensor], pinned: bool = False) -> Tensor:
        """Images as one batch on the device; if `pinned`, the copy may still be on its way."""
        x = torch.stack(list(images))
        if self.dtype is not None:
            x = x.to(self.dtype)
        if self.channels_last and x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        if pinned:
            x = x.pin_memory()
        return x.to(self.device, non_blocking=pinned)

    def fed(
        self, batches: Iterable[Batch], images: Callable[[Batch], Sequence[Tensor]]
    ) -> Iterator[tuple[Batch, Tensor | None]]:
        """Every batch with its `images` on the device, None where there are none.

        On a GPU the next ones are copied from pinned memory, on a stream of their own, while one is
        computed.
        """
        if self.device.type != "cuda":
            for batch in batches:
                found = images(batch)
                yield batch, self.stacked(found) if found else None
            return
        stream = torch.cuda.Stream(self.device)
        waiting: deque[tuple[Batch, Tensor | None, torch.cuda.Event]] = deque()
        for batch in batches:
            found = images(batch)
            with torch.cuda.stream(stream):
                x = self.stacked(found, pinned=True) if found else None
                waiting.append((batch, x, stream.record_event()))
            if len(waiting) > IN_FLIGHT:
                yield self._arrived(*waiting.popleft())
        while waiting:
            yield self._arrived(*waiting.popleft())

    def _arrived(
        self, batch: Batch, x: Tensor | None, event: torch.cuda.Event
    ) -> tuple[Batch, Tensor | None]:
        here = torch.cuda.current_stream(self.device)
        here.wait_event(event)
        if x is not None:
            # Its memory was given out on the other stream, and must not be given away too early.
            x.record_stream(here)
        return batch, x
