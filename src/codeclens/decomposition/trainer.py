"""Training loops: repeatable by seed, resumable, with early stopping on held-out data."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from codeclens.decomposition.logbook import Logbook, State
from codeclens.decomposition.matrices import SampleMatrix, TensorMatrix
from codeclens.decomposition.training import (
    Epoch,
    Trainable,
    TrainingSettings,
    optimizer_state,
    restore_optimizer,
    under,
)
from codeclens.errors import CodeclensError


class Team:
    """All processes that torchrun started, or this one alone.

    Every process draws the same batches and computes its share of each. Gradients are summed, so
    all processes take the same step as a single process would. Networks that select codes over a
    batch (BatchTopK) select over their share of it instead.

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
        """The team of this process; raises CodeclensError if accelerate is missing."""
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
        """The weight of the mean over a part in the mean over the batch."""
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


Record = TypeVar("Record", bound=tuple[Any, ...])


class Training(ABC, Generic[Record]):
    """A training in progress: epochs, checkpoints, early stopping and the best state.

    Iterating over it trains one epoch after another. A subclass trains and evaluates one epoch
    (`train_epoch`), whose record is a NamedTuple of numbers with an `epoch` (from 1 on) and a
    `loss`, and says which records are better (`score`). `extra_state` may add tensors to the
    checkpoint.

    The network, its optimizer, an optional `scheduler` and the `generators` are all that changes.
    `patience` is the number of epochs without a better score after which the training ends. With
    `keep_best` the state of the best epoch is kept and restored at the end.
    """

    record: Any  # the class of the records

    def __init__(
        self,
        network: nn.Module,
        optimizer: Optimizer,
        *,
        epochs: int,
        patience: int | None = None,
        keep_best: bool = False,
        scheduler: LRScheduler | None = None,
        generators: Sequence[torch.Generator] = (),
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.epochs = epochs
        self.patience = patience
        self.keep_best = keep_best
        self.generators = generators
        self.history: list[Record] = []
        self.rates: list[float] = []
        self.best: dict[str, Tensor] = {}
        self.best_epoch = 0

    @abstractmethod
    def train_epoch(self, number: int) -> Record:
        """Train epoch `number` (from 1 on), evaluate the network and return the record."""

    @abstractmethod
    def score(self, record: Record) -> float:
        """How good the network is after an epoch; larger is better."""

    def extra_state(self) -> dict[str, Tensor]:
        """Further tensors for the checkpoint, by name."""
        return {}

    def restore_extra_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the tensors of `extra_state`."""

    @property
    def done(self) -> bool:
        """Whether all epochs are trained, or no epoch was better within the patience."""
        number, patience = len(self.history), self.patience
        waited = patience is not None and 0 < self.best_epoch <= number - patience
        return waited or number >= self.epochs

    @property
    def learning_rate(self) -> float:
        """The current learning rate."""
        return float(self.optimizer.param_groups[0]["lr"])

    def __iter__(self) -> Iterator[Record]:
        while not self.done:
            number = len(self.history) + 1
            self.rates.append(self.learning_rate)
            self.network.train()
            record = self.train_epoch(number)
            self._require_finite(record)
            better = not self.best_epoch or (
                self.score(record) > self.score(self.history[self.best_epoch - 1])
            )
            self.history.append(record)
            if better:
                self.best_epoch = number
                if self.keep_best:
                    # Copied, because a state dict shares its memory with the network.
                    state = self.network.state_dict()
                    self.best = {name: value.clone() for name, value in state.items()}
            yield record

    def run(
        self,
        progress: Callable[[Record], object] | None = None,
        logbook: Logbook | None = None,
        run: Mapping[str, Any] | None = None,
        *,
        writes: bool = True,
    ) -> list[Record]:
        """Train to the end and return the records of all epochs.

        `progress` is called with each record. If the checkpoint of the `logbook` belongs to this
        `run` (plain values that identify it), training resumes from it. If this process `writes`
        the checkpoint, it is replaced after every `logbook.every` epochs and at the end. Raises
        CodeclensError where the loss is no longer finite, and as Logbook does.
        """
        pages, asked = None, dict(run or {})
        if logbook is not None:
            state = logbook.read(asked)
            if state is not None:
                self.restore(state)
            pages = logbook.open(self.history, self.rates) if writes else None
        for record in self:
            if logbook is not None and pages is not None:
                pages.add(record, self.rates[-1])
                if self.done or len(self.history) % logbook.every == 0:
                    logbook.write(self.state(), asked)
            if progress is not None:
                progress(record)
        if pages is not None:
            pages.close()
        if self.best:
            self.network.load_state_dict(self.best)
        self.network.eval()
        return self.history

    def state(self) -> State:
        """Everything on which the next epochs depend."""
        tensors = {f"network.{name}": value for name, value in _changing(self.network).items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors |= {f"extra.{name}": value for name, value in self.extra_state().items()}
        tensors |= optimizer_state(self.optimizer, self.network.parameters())
        for number, generator in enumerate(self.generators):
            tensors[f"generator.{number}"] = generator.get_state()
        facts: dict[str, Any] = {
            "history": [[_or_none(value) for value in record] for record in self.history],
            "rates": self.rates,
            "best_epoch": self.best_epoch,
            "learning_rate": self.learning_rate,
        }
        if self.scheduler is not None:
            facts["scheduler"] = {
                name: value
                for name, value in self.scheduler.state_dict().items()
                if isinstance(value, int | float | str | list)
            }
        # Copies: the next epoch changes the network, and tensors may share their memory.
        return State({name: value.detach().clone() for name, value in tensors.items()}, facts)

    @torch.no_grad()
    def restore(self, state: State) -> None:
        """Continue from a result of `state`."""
        tensors, facts = state
        for name, value in _changing(self.network).items():
            value.copy_(tensors[f"network.{name}"])
        self.best = under(tensors, "best.")
        self.restore_extra_state(under(tensors, "extra."))
        restore_optimizer(self.optimizer, self.network.parameters(), tensors)
        for number, generator in enumerate(self.generators):
            generator.set_state(tensors[f"generator.{number}"])
        self.history = [
            self.record(*(math.nan if value is None else value for value in record))
            for record in facts["history"]
        ]
        self.rates = list(facts["rates"])
        self.best_epoch = facts["best_epoch"]
        if self.scheduler is not None:
            self.scheduler.load_state_dict(facts["scheduler"])
        for group in self.optimizer.param_groups:
            group["lr"] = facts["learning_rate"]

    def _require_finite(self, record: Any) -> None:
        if not math.isfinite(record.loss):
            raise CodeclensError(
                f"The loss became {record.loss} in epoch {record.epoch} of {self.epochs}; lower "
                f"the learning rate (now {self.optimizer.defaults['lr']:g})."
            )


class AutoencoderTraining(Training[Epoch]):
    """The training of an autoencoder on the given rows; held-out rows, if any, are scored."""

    record = Epoch

    def __init__(
        self,
        network: Trainable,
        matrix: SampleMatrix,
        rows: Int64[Tensor, " train"],
        held_out: Int64[Tensor, " held_out"],
        settings: TrainingSettings,
        generator: torch.Generator,
    ) -> None:
        self.autoencoder = network
        self.matrix = matrix
        self.rows = rows
        self.scored = held_out if len(held_out) else rows
        self.settings = settings
        self.generator = generator
        self.team = Team.gathered(matrix.device)
        optimizer = Adam(network.parameters(), lr=settings.learning_rate, fused=True)
        steps = settings.epochs * math.ceil(len(rows) / settings.batch_size)
        own = [value for module in network.modules() for value in vars(module).values()]
        super().__init__(
            network,
            optimizer,
            epochs=settings.epochs,
            patience=settings.patience,
            keep_best=settings.patience is not None,
            scheduler=settings.schedule.start(optimizer, steps),
            generators=[generator, *(one for one in own if isinstance(one, torch.Generator))],
        )

    def train_epoch(self, number: int) -> Epoch:
        """Go once through the training rows, and score the network."""
        by_epoch = isinstance(self.scheduler, ReduceLROnPlateau)
        summed = torch.zeros((), dtype=torch.float64, device=self.matrix.device)
        fired = torch.zeros(0)
        for batch in self.matrix.batches(self.rows, self.settings.batch_size, self.generator):
            step_loss, codes = self._step(batch)
            if self.scheduler is not None and not by_epoch:
                self.scheduler.step()
            summed += step_loss.double() * len(batch)  # read once an epoch: a GPU need not wait
            now = (codes > 0).any(dim=0)
            fired = now if not len(fired) else fired | now
        loss = float(self.team.total(summed)) / len(self.rows)
        dead = int((self.team.total(fired.float()) == 0).sum())
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(loss)
        r2, l0 = scores(self.autoencoder, self.matrix, self.scored)
        return Epoch(number, self.epochs, loss, r2, l0, dead)

    def score(self, record: Epoch) -> float:
        """The held-out R²."""
        return record.r2

    def _step(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """One step; the loss of this process's share of the batch, by its weight, and its codes."""
        network, part = self.autoencoder, self.team.share(batch)
        network.processes = len(batch) / len(part)
        if self.settings.precision == "float32":
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
        if self.settings.clip is not None:
            nn.utils.clip_grad_norm_(network.parameters(), self.settings.clip)
        self.optimizer.step()
        network.after_step()
        network.between_steps()
        if self.team.size > 1:
            for buffer in network.buffers():
                buffer.copy_(self.team.least(buffer))
        return loss.detach(), codes.detach()


def train(
    network: Trainable,
    data: Float[Tensor, "sample unit"] | SampleMatrix,
    *,
    rows: Int64[Tensor, " train"],
    held_out: Int64[Tensor, " held_out"],
    settings: TrainingSettings,
    generator: torch.Generator,
    progress: Callable[[Epoch], object] | None = None,
    logbook: Logbook | None = None,
    run: Mapping[str, Any] | None = None,
) -> list[Epoch]:
    """Train an autoencoder in place on the given rows and return the records of all epochs.

    `data` is `(N, D)`, already scaled, a tensor on the network's device or a SampleMatrix. Batches
    are drawn by `generator`; training depends only on it, the network and the data. Under
    torchrun every process takes its share of each batch. `progress`, `logbook`, `run` and errors
    are those of `Training.run`.
    """
    matrix = TensorMatrix(data) if isinstance(data, Tensor) else data
    training = AutoencoderTraining(network, matrix, rows, held_out, settings, generator)
    history = training.run(progress, logbook, run, writes=training.team.leads)
    if logbook is not None:
        training.team.wait()
    return history


@torch.no_grad()
def scores(
    network: Trainable,
    data: Float[Tensor, "sample unit"] | SampleMatrix,
    rows: Int64[Tensor, " rows"],
) -> tuple[float, float]:
    """R² about the mean and mean number of active modes, of the given rows, without dropout."""
    network.eval()
    matrix = TensorMatrix(data) if isinstance(data, Tensor) else data
    total = torch.zeros(matrix.shape[1], dtype=torch.float64, device=matrix.device)
    for x in matrix.parts(rows):
        total += x.sum(dim=0, dtype=torch.float64)
    mean = (total / max(len(rows), 1)).float()
    error = spread = active = 0.0
    for x in matrix.parts(rows):
        reconstruction, codes = network.reconstruct(x)
        error += float((x - reconstruction).square().sum(dtype=torch.float64))
        spread += float((x - mean).square().sum(dtype=torch.float64))
        active += float((codes > 0).sum())
    return (1 - error / spread if spread > 0 else math.nan), active / max(len(rows), 1)


def _changing(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and all buffers by name, including those that a state dict leaves out."""
    return dict(network.named_parameters()) | dict(network.named_buffers())


def _or_none(value: Any) -> Any:
    """A number for JSON, which has no NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value
