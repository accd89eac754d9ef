"""Parts of a training: settings, schedules, the record of an epoch, seeds and splits."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from codeclens.errors import CodeclensError

Precision = Literal["float32", "bfloat16"]


class Epoch(NamedTuple):
    """The record of one pass over the training data.

    `loss` is the mean over the epoch's samples. `r2` (about the mean) and `l0` (active modes per
    sample) are measured on the held-out rows at the end of the epoch; `dead` counts the modes that
    fired in none of its batches.

    >>> Epoch(epoch=1, epochs=30, loss=0.5, r2=0.4, l0=16.0, dead=3).l0
    16.0
    """

    epoch: int
    epochs: int
    loss: float
    r2: float
    l0: float
    dead: int


@dataclass(frozen=True)
class Cosine:
    """A learning rate that warms up over a share of all steps, then decays to zero as a cosine.

    >>> [round(Cosine(warmup=0.5).rate(step, 4), 2) for step in range(4)]
    [0.5, 1.0, 1.0, 0.5]
    """

    warmup: float = 0.05

    def rate(self, step: int, steps: int) -> float:
        """The learning rate at a step, as a share of the full one."""
        rising = self.warmup * steps
        if step + 1 <= rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(steps - rising, 1)))

    def start(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        """The scheduler for a training of `steps` steps."""
        return LambdaLR(optimizer, lambda step: self.rate(min(step, steps), steps))


@dataclass(frozen=True)
class Plateau:
    """A learning rate that is multiplied by `factor` when the training loss stops falling.

    The loss counts as falling if it is at least one part in ten thousand below its best. The rate
    is multiplied after more than `patience` epochs without this.
    """

    factor: float = 0.5
    patience: int = 10

    def start(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        """The scheduler for a training of `steps` steps."""
        return ReduceLROnPlateau(optimizer, factor=self.factor, patience=self.patience)


@dataclass(frozen=True)
class TrainingSettings:
    """How to train: number of epochs, batch size, learning rate and when to stop.

    `patience` is the number of epochs without a better held-out R² after which training stops and
    goes back to the best epoch; `clip` limits the norm of the gradient. `precision` "bfloat16"
    computes the loss under torch's autocast; parameters, gradients and scores stay float32.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    schedule: Cosine | Plateau = Cosine()
    patience: int | None = None
    clip: float | None = None
    precision: Precision = "float32"


class Trainable(nn.Module, ABC):
    """A network that defines its own loss and constraints, as the trainer needs it.

    A checkpoint holds its parameters, its buffers (persistent or not) and the generators that are
    attributes of its modules; nothing else may change in training. Where several processes share a
    batch, `processes` is the size of the batch relative to the part that `loss` sees, and each
    buffer entry is set to the smallest of all processes after each step.
    """

    processes: float = 1

    @abstractmethod
    def loss(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of a batch `(B, D)`, and its codes `(B, K)`."""

    @abstractmethod
    def reconstruct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The reconstruction `(B, D)` of a batch, and its codes `(B, K)`."""

    @abstractmethod
    def before_step(self) -> None:
        """Edit the gradients."""

    @abstractmethod
    def after_step(self) -> None:
        """Restore the constraints on the parameters."""

    def between_steps(self) -> None:
        """Periodic changes, such as resampling dead modes."""


@contextmanager
def seeded(seed: int) -> Iterator[torch.Generator]:
    """Draw a network's initial parameters from `seed`, and leave torch's random state as it was.

    Inside, torch's global CPU generator is seeded; afterwards it is as before. The `with` yields a
    generator for all later draws.

    >>> before = torch.get_rng_state()
    >>> with seeded(0):
    ...     a = torch.nn.Linear(2, 2).weight
    >>> with seeded(0):
    ...     b = torch.nn.Linear(2, 2).weight
    >>> bool((a == b).all()), bool((before == torch.get_rng_state()).all())
    (True, True)
    """
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would also reseed every accelerator, outside the fork.
        torch.default_generator.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)


def split(
    count: int, held_out: float, generator: torch.Generator
) -> tuple[Int64[Tensor, " train"], Int64[Tensor, " held_out"]]:
    """Row numbers for training and held-out rows, drawn at random, each sorted.

    >>> train_rows, held_out = split(20, 0.1, torch.Generator().manual_seed(0))
    >>> len(train_rows), len(held_out)
    (18, 2)
    """
    order = torch.randperm(count, generator=generator)
    size = max(2, round(count * held_out)) if held_out > 0 else 0
    return order[size:].sort().values, order[:size].sort().values


def optimizer_state(optimizer: Optimizer, parameters: Iterable[Tensor]) -> dict[str, Tensor]:
    """The tensors of an optimizer, named by the number of the parameter, for a checkpoint."""
    return {
        f"optimizer.{number}.{name}": value
        for number, parameter in enumerate(parameters)
        for name, value in optimizer.state[parameter].items()
    }


def restore_optimizer(
    optimizer: Optimizer, parameters: Iterable[Tensor], tensors: Mapping[str, Tensor]
) -> None:
    """Restore what `optimizer_state` returned."""
    for number, parameter in enumerate(parameters):
        optimizer.state[parameter] = {
            # Adam counts its steps on the CPU, unless it is fused.
            name: value if name == "step" and not _fused(optimizer) else value.to(parameter.device)
            for name, value in under(tensors, f"optimizer.{number}.").items()
        }


def _fused(optimizer: Optimizer) -> bool:
    return any(group.get("fused") for group in optimizer.param_groups)


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, without it.

    >>> list(under({"best.a": torch.zeros(1), "b": torch.zeros(1)}, "best."))
    ['a']
    """
    start = len(prefix)
    return {name[start:]: value for name, value in tensors.items() if name.startswith(prefix)}


@contextmanager
def named(site: str) -> Iterator[None]:
    """Name the site in errors that arise inside.

    >>> with named("conv1"):
    ...     raise CodeclensError("All values are zero.")
    Traceback (most recent call last):
    codeclens.errors.CodeclensError: Site "conv1": All values are zero.
    """
    try:
        yield
    except CodeclensError as error:
        raise CodeclensError(f'Site "{site}": {error}') from error
