"""One trainer for all autoencoders: repeatable by seed, and honest about held-out data."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from codeclens.errors import CodeclensError


class Epoch(NamedTuple):
    """What one pass over the training data came to.

    `loss` is the mean over the epoch's batches. `r2` (about the mean) and `l0` (modes a sample) are
    measured on the held-out rows at the end of the epoch, `dead` counts the modes that fired in no
    batch of it.

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
    """A learning rate that warms up over a share of all steps and then decays to zero as a cosine.

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
        """Begin a training of so many steps."""
        return LambdaLR(optimizer, lambda step: self.rate(min(step, steps), steps))


@dataclass(frozen=True)
class Plateau:
    """A learning rate that is multiplied by `factor` when the training loss stops falling.

    It has stopped when for more than `patience` epochs it was never below the best so far by one
    part in ten thousand.
    """

    factor: float = 0.5
    patience: int = 10

    def start(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        """Begin a training of so many steps."""
        return ReduceLROnPlateau(optimizer, factor=self.factor, patience=self.patience)


@dataclass(frozen=True)
class Recipe:
    """How to train: length, batches, learning rate and when to stop.

    `patience` stops after so many epochs without a better held-out R² and goes back to the best
    epoch; `clip` limits the norm of the gradient.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    schedule: Cosine | Plateau = Cosine()
    patience: int | None = None
    clip: float | None = None


class Trainable(nn.Module, ABC):
    """A network as the trainer needs it: it knows its own loss and its own constraints."""

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
        """Bring the parameters back to where they may be."""


@contextmanager
def seeded(seed: int) -> Iterator[torch.Generator]:
    """Draw a network's initial parameters from `seed`, and leave torch's random state as it was.

    Inside, the CPU's global generator is a forked one; it gives a generator of its own for
    everything that is drawn later.

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
    """Row numbers to train on and to hold out, drawn at random, each sorted.

    >>> train_rows, held_out = split(20, 0.1, torch.Generator().manual_seed(0))
    >>> len(train_rows), len(held_out)
    (18, 2)
    """
    order = torch.randperm(count, generator=generator)
    size = max(2, round(count * held_out)) if held_out > 0 else 0
    return order[size:].sort().values, order[:size].sort().values


def batches(
    data: Tensor, rows: Tensor, size: int, generator: torch.Generator
) -> Iterator[Float[Tensor, "batch unit"]]:
    """The rows of a tensor in a new random order, `size` at a time."""
    order = rows[torch.randperm(len(rows), generator=generator)].to(data.device)
    for chosen in order.split(size):
        yield data[chosen]


def train(
    network: Trainable,
    data: Float[Tensor, "sample unit"],
    *,
    rows: Int64[Tensor, " train"],
    held_out: Int64[Tensor, " held_out"],
    recipe: Recipe,
    generator: torch.Generator,
    progress: Callable[[Epoch], object] | None = None,
) -> list[Epoch]:
    """Train the network in place on the given rows and return what every epoch came to.

    `data` is `(N, D)`, already scaled, on the network's device. Batches are drawn by `generator`,
    whose state is all that the run depends on beside the network and the data. `progress` is called
    with each Epoch. Raises CodeclensError where the loss is no longer a finite number.
    """
    optimizer = Adam(network.parameters(), lr=recipe.learning_rate, fused=True)
    per_epoch = math.ceil(len(rows) / recipe.batch_size)
    scheduler = recipe.schedule.start(optimizer, recipe.epochs * per_epoch)
    history: list[Epoch] = []
    best, best_epoch = _copy(network), -1
    for number in range(1, recipe.epochs + 1):
        network.train()
        total, fired = 0.0, torch.zeros(0)
        for batch in batches(data, rows, recipe.batch_size, generator):
            loss, codes = _step(network, batch, optimizer, recipe.clip)
            if not isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step()
            total += loss * len(batch)
            now = (codes > 0).any(dim=0)
            fired = now if not len(fired) else fired | now
        loss = total / len(rows)
        if not math.isfinite(loss):
            raise CodeclensError(
                f"The loss became {loss} in epoch {number} of {recipe.epochs}; "
                f"lower the learning rate (now {recipe.learning_rate:g})."
            )
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(loss)
        fit, present = scores(network, data, held_out if len(held_out) else rows)
        dead = int((~fired.bool()).sum())
        history.append(Epoch(number, recipe.epochs, loss, fit, present, dead))
        if progress is not None:
            progress(history[-1])
        if recipe.patience is not None:
            if best_epoch < 0 or fit > history[best_epoch].r2:
                best, best_epoch = _copy(network), number - 1
            elif number - 1 - best_epoch >= recipe.patience:
                break
    if recipe.patience is not None:
        network.load_state_dict(best)
    network.eval()
    return history


@torch.no_grad()
def scores(
    network: Trainable, data: Float[Tensor, "sample unit"], rows: Int64[Tensor, " rows"]
) -> tuple[float, float]:
    """R² about the mean and mean number of modes a sample, of the given rows, without dropout."""
    network.eval()
    chosen = rows.to(data.device)
    mean = data[chosen].mean(dim=0)
    error = spread = present = 0.0
    for part in chosen.split(4096):
        x = data[part]
        reconstruction, codes = network.reconstruct(x)
        error += float((x - reconstruction).square().sum(dtype=torch.float64))
        spread += float((x - mean).square().sum(dtype=torch.float64))
        present += float((codes > 0).sum())
    return (1 - error / spread if spread > 0 else math.nan), present / max(len(rows), 1)


def _step(
    network: Trainable, batch: Tensor, optimizer: Optimizer, clip: float | None
) -> tuple[float, Tensor]:
    loss, codes = network.loss(batch)
    optimizer.zero_grad()
    loss.backward()
    network.before_step()
    if clip is not None:
        nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimizer.step()
    network.after_step()
    return float(loss.detach()), codes.detach()


def _copy(network: nn.Module) -> dict[str, Tensor]:
    """The network's state, copied for good: a state dict alone would go on changing."""
    return {name: value.clone() for name, value in network.state_dict().items()}
