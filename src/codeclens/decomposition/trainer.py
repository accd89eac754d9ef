"""One trainer for all autoencoders: repeatable by seed, resumable, honest about held-out data."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import ReduceLROnPlateau

from codeclens.decomposition.logbook import Logbook, State
from codeclens.decomposition.matrices import Table, TensorTable
from codeclens.decomposition.training import (
    Epoch,
    Recipe,
    Trainable,
    optimizer_state,
    restore_optimizer,
    under,
)
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


def train(
    network: Trainable,
    data: Float[Tensor, "sample unit"] | Table,
    *,
    rows: Int64[Tensor, " train"],
    held_out: Int64[Tensor, " held_out"],
    recipe: Recipe,
    generator: torch.Generator,
    progress: Callable[[Epoch], object] | None = None,
    logbook: Logbook | None = None,
    run: Mapping[str, Any] | None = None,
) -> list[Epoch]:
    """Train the network in place on the given rows and return what every epoch came to.

    `data` is `(N, D)`, already scaled, a tensor on the network's device or a Table. Batches are
    drawn by `generator`, whose state is all that the training depends on beside the network and the
    data. `progress` is called with each Epoch. A `logbook` is written after the epochs, and where
    it holds this very `run` (plain values that say which one), training goes on behind it. Under
    torchrun every process takes its share of each batch. Raises CodeclensError where the loss is no
    longer a finite number, and as Logbook does.
    """
    table = TensorTable(data) if isinstance(data, Tensor) else data
    training = Training(network, table, rows, held_out, recipe, generator)
    if logbook is None:
        for epoch in training:
            if progress is not None:
                progress(epoch)
    else:
        _written(training, logbook, dict(run or {}), progress)
    training.finish()
    return training.history


def _written(
    training: Training,
    logbook: Logbook,
    run: dict[str, Any],
    progress: Callable[[Epoch], object] | None,
) -> None:
    """Train, and write it down."""
    state = logbook.read(run)
    if state is not None:
        training.restore(state)
    leads = training.team.leads
    pages = logbook.open(training.history, training.rates) if leads else None
    for epoch in training:
        if pages is not None:
            pages.add(epoch, training.rates[-1])
            if training.done or epoch.epoch % logbook.every == 0:
                logbook.write(training.state(), run)
        if progress is not None:
            progress(epoch)
    if pages is not None:
        pages.close()
    training.team.wait()


class Training:
    """A training under way; going through it trains one epoch after another."""

    def __init__(
        self,
        network: Trainable,
        table: Table,
        rows: Tensor,
        held_out: Tensor,
        recipe: Recipe,
        generator: torch.Generator,
    ) -> None:
        self.network = network
        self.table = table
        self.rows = rows
        self.judged = held_out if len(held_out) else rows
        self.recipe = recipe
        self.generator = generator
        self.team = Team.gathered(table.device)
        self.optimizer = Adam(network.parameters(), lr=recipe.learning_rate, fused=True)
        steps = recipe.epochs * math.ceil(len(rows) / recipe.batch_size)
        self.scheduler = recipe.schedule.start(self.optimizer, steps)
        self.history: list[Epoch] = []
        self.rates: list[float] = []
        self.best: dict[str, Tensor] = {}
        self.best_epoch = 0

    def __iter__(self) -> Iterator[Epoch]:
        while not self.done:
            yield self.epoch()

    @property
    def done(self) -> bool:
        """Whether all epochs were trained, or none was better for as long as patience lasts."""
        number, patience = len(self.history), self.recipe.patience
        waited = patience is not None and 0 < self.best_epoch <= number - patience
        return waited or number >= self.recipe.epochs

    def epoch(self) -> Epoch:
        """Go once through the training data."""
        self.network.train()
        self.rates.append(float(self.optimizer.param_groups[0]["lr"]))
        summed = torch.zeros((), dtype=torch.float64, device=self.table.device)
        fired = torch.zeros(0)
        for batch in self.batches():
            step_loss, codes = self._step(batch)
            if not isinstance(self.scheduler, ReduceLROnPlateau):
                self.scheduler.step()
            summed += step_loss.double() * len(batch)  # read once an epoch: a GPU need not wait
            now = (codes > 0).any(dim=0)
            fired = now if not len(fired) else fired | now
        epoch = self.close(self.team.total(summed), self.team.total(fired.float()))
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(epoch.loss)
        return epoch

    def batches(self) -> Iterator[Tensor]:
        """The batches of the next epoch."""
        return self.table.batches(self.rows, self.recipe.batch_size, self.generator)

    def close(self, summed: Tensor, fired: Tensor) -> Epoch:
        """End an epoch by the losses of all its samples, summed, and which modes fired in it."""
        recipe, number = self.recipe, len(self.history) + 1
        loss = float(summed) / len(self.rows)
        if not math.isfinite(loss):
            raise CodeclensError(
                f"The loss became {loss} in epoch {number} of {recipe.epochs}; "
                f"lower the learning rate (now {recipe.learning_rate:g})."
            )
        dead = int((fired == 0).sum())
        fit, present = scores(self.network, self.table, self.judged)
        self.history.append(Epoch(number, recipe.epochs, loss, fit, present, dead))
        if recipe.patience is not None and (
            not self.best_epoch or fit > self.history[self.best_epoch - 1].r2
        ):
            self.best, self.best_epoch = _copy(self.network), number
        return self.history[-1]

    def finish(self) -> None:
        """Go back to the best epoch where patience asks for it, and stop training."""
        if self.best:
            self.network.load_state_dict(self.best)
        self.network.eval()

    def state(self) -> State:
        """All that the epochs to come depend on."""
        tensors = {f"network.{name}": value for name, value in _changing(self.network).items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors |= optimizer_state(self.optimizer, self.network.parameters())
        for number, generator in enumerate(self._generators()):
            tensors[f"generator.{number}"] = generator.get_state()
        history = [[None if math.isnan(v) else v for v in epoch] for epoch in self.history]
        facts = {
            "history": history,
            "rates": self.rates,
            "best_epoch": self.best_epoch,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "scheduler": {
                name: value
                for name, value in self.scheduler.state_dict().items()
                if isinstance(value, int | float | str | list)
            },
        }
        # Copies: the next epoch changes the network, and tensors may share their memory.
        return State({name: value.detach().clone() for name, value in tensors.items()}, facts)

    @torch.no_grad()
    def restore(self, state: State) -> None:
        """Take back what `state` gave."""
        tensors, facts = state
        for name, value in _changing(self.network).items():
            value.copy_(tensors[f"network.{name}"])
        self.best = under(tensors, "best.")
        restore_optimizer(self.optimizer, self.network.parameters(), tensors)
        for number, generator in enumerate(self._generators()):
            generator.set_state(tensors[f"generator.{number}"])
        self.history = [
            Epoch(number, of, loss, math.nan if r2 is None else r2, l0, dead)
            for number, of, loss, r2, l0, dead in facts["history"]
        ]
        self.rates = list(facts["rates"])
        self.best_epoch = facts["best_epoch"]
        self.scheduler.load_state_dict(facts["scheduler"])
        for group in self.optimizer.param_groups:
            group["lr"] = facts["learning_rate"]

    def _step(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """One step; the loss of this process's share of the batch, by its weight, and its codes."""
        network, part = self.network, self.team.share(batch)
        network.processes = len(batch) / len(part)
        network.before_loss()
        if self.recipe.precision == "float32":
            loss, codes = network.loss(part)
        else:
            with torch.autocast(batch.device.type, dtype=torch.bfloat16):
                loss, codes = network.loss(part)
        if self.team.size > 1:
            loss = loss * self.team.weight(part, batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.team.add_gradients(network)
        network.before_step()
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(network.parameters(), self.recipe.clip)
        self.optimizer.step()
        network.after_step()
        if network.renews:
            network.renewal()
        if self.team.size > 1:
            for buffer in network.buffers():
                buffer.copy_(self.team.least(buffer))
        return loss.detach(), codes.detach()

    def _generators(self) -> list[torch.Generator]:
        """All that is drawn from: the trainer's own generator, and those of the modules."""
        own = [value for module in self.network.modules() for value in vars(module).values()]
        return [self.generator, *(value for value in own if isinstance(value, torch.Generator))]


@torch.no_grad()
def scores(
    network: Trainable, data: Float[Tensor, "sample unit"] | Table, rows: Int64[Tensor, " rows"]
) -> tuple[float, float]:
    """R² about the mean and mean number of modes a sample, of the given rows, without dropout."""
    network.eval()
    table = TensorTable(data) if isinstance(data, Tensor) else data
    total = torch.zeros(table.shape[1], dtype=torch.float64, device=table.device)
    for x in table.parts(rows):
        total += x.sum(dim=0, dtype=torch.float64)
    mean = (total / max(len(rows), 1)).float()
    error = spread = present = 0.0
    for x in table.parts(rows):
        reconstruction, codes = network.reconstruct(x)
        error += float((x - reconstruction).square().sum(dtype=torch.float64))
        spread += float((x - mean).square().sum(dtype=torch.float64))
        present += float((codes > 0).sum())
    return (1 - error / spread if spread > 0 else math.nan), present / max(len(rows), 1)


def _changing(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and all buffers by name, those too that a state dict leaves out."""
    return dict(network.named_parameters()) | dict(network.named_buffers())


def _copy(network: nn.Module) -> dict[str, Tensor]:
    """The network's state, copied for good: a state dict alone would go on changing."""
    return {name: value.clone() for name, value in network.state_dict().items()}
