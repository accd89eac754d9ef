"""Teams: the processes that train one network together, each on its share of every batch."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from codeclens.errors import CodeclensError


class Team:
    """All processes that torchrun started, or this one alone.

    Every process draws the same batches and works on its share of each; gradients are added up, so
    that all take the same step as one process would. Networks that look at a batch as a whole
    (BatchTopK) look at their share of it instead.

    >>> alone = Team(None)
    >>> alone.size, alone.share(torch.ones(5, 2)).shape
    (1, torch.Size([5, 2]))
    """

    def __init__(self, accelerator: Any) -> None:
        self._accelerator = accelerator
        self.size = 1 if accelerator is None else int(accelerator.num_processes)
        self.rank = 0 if accelerator is None else int(accelerator.process_index)

    @staticmethod
    def gathered(device: torch.device) -> Team:
        """The team of this process; raises CodeclensError where it needs accelerate."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return Team(None)
        return _launched(device.type == "cpu")

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """This process's part of a batch; all of it where there are fewer rows than processes."""
        if self.size == 1 or len(batch) < self.size:
            return batch
        return batch.tensor_split(self.size)[self.rank]

    def weight(self, part: Tensor, batch: Tensor) -> float:
        """By how much the mean over a part counts in the mean over the batch."""
        return 1 / self.size if len(batch) < self.size else len(part) / len(batch)

    @torch.no_grad()
    def add_gradients(self, network: nn.Module) -> None:
        """Replace the gradients of every process by their sum."""
        if self.size == 1:
            return
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        flat = self.total(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        for gradient, summed in zip(
            gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True
        ):
            gradient.copy_(summed.view_as(gradient))

    def total(self, value: Tensor) -> Tensor:
        """The sum over processes."""
        if self.size == 1:
            return value
        found: Tensor = self._accelerator.reduce(value, reduction="sum")
        return found

    def least(self, value: Tensor) -> Tensor:
        """The smallest over processes, entry by entry."""
        if self.size == 1:
            return value
        found: Tensor = self._accelerator.gather(value[None]).amin(dim=0)
        return found

    def wait(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            self._accelerator.wait_for_everyone()


@lru_cache(maxsize=1)
def _launched(cpu: bool) -> Team:
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise CodeclensError(
            f"torchrun started {os.environ['WORLD_SIZE']} processes, and training over them needs "
            "accelerate: pip install 'codeclens[distributed]', or start one process."
        ) from error
    return Team(Accelerator(cpu=cpu))
