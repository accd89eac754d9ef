"""Fitting: a response model to a recording, evaluated on held-out time, resumable."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.optim import AdamW

from codeclens.decomposition.logbook import State, read_checkpoint, write_checkpoint
from codeclens.decomposition.training import Cosine, optimizer_state, restore_optimizer, under
from codeclens.errors import CodeclensError, require_number
from codeclens.labelled import Labelled
from codeclens.retina.evaluation import correlation
from codeclens.retina.recordings import Recording
from codeclens.retina.response import ResponseModel
from codeclens.retina.splits import held_out_blocks

if TYPE_CHECKING:
    import pandas

CHECKPOINT = "fit.safetensors"


class FitEpoch(NamedTuple):
    """The result of an epoch: the mean training loss, and held-out r, the mean over cells."""

    epoch: int
    epochs: int
    loss: float
    r: float


@dataclass(frozen=True, eq=False, repr=False)
class Fit(Labelled):
    """A fitted model and its performance on held-out time.

    `curve` has `loss` (training, nats a frame and cell) and `r` (held-out, mean over cells) by
    `epoch`; `r` is Pearson's r by `cell` on held-out time, at the epoch that was kept.
    """

    model: ResponseModel
    curve: xr.Dataset
    r: xr.DataArray
    best_epoch: int

    def title(self) -> str:
        return (
            f"Fit of {type(self.model).__name__}: held-out r {float(self.r.mean()):.3f} over "
            f"{self.r.size} cells, epoch {self.best_epoch} of {self.curve.sizes['epoch']}"
        )

    def to_dataframe(self) -> pandas.DataFrame:
        """Held-out r by cell."""
        return self.r.to_dataframe().reset_index()

    def to_xarray(self) -> xr.Dataset:
        """`loss` and `mean_r` by epoch, and `r` by cell."""
        curve = self.curve.rename(r="mean_r")
        return curve.assign(r=self.r).assign_attrs(best_epoch=self.best_epoch)


def fit(
    model: ResponseModel,
    recording: Recording,
    *,
    held_out: float | Recording = 0.1,
    blocks: int = 4,
    epochs: int = 50,
    batch_size: int = 256,
    lr: float = 1e-3,
    weight_decay: float = 1e-4,
    activity_l1: float = 0.0,
    patience: int | None = 10,
    seed: int = 0,
    to: str | os.PathLike[str] | None = None,
    progress: Callable[[FitEpoch], object] | None = None,
) -> Fit:
    """Fit a model in place to the rates of a recording, and evaluate it on held-out time.

    The loss is the Poisson loss in nats a frame and cell, λ − k ln λ of the k spikes in a frame,
    plus `activity_l1` times the mean λ; `weight_decay` (decoupled) applies to all weights except
    biases and norms. `held_out` is a share of the windows, in contiguous `blocks` with gaps of the
    model's history, or another recording of the same cells. Adam runs at the learning rate `lr`
    with a warm-up and a cosine decay. The epoch with the best held-out r is kept; the fit ends
    after `patience` epochs without a better one. All random numbers follow from `seed`, and torch's
    random state is restored.

    With a folder `to`, the state after every epoch is saved; the same fit started again resumes
    there and ends with the same bits. Raises CodeclensError for cells, a clock or a scale that
    differ from the model's, for settings out of range, for a file in place of a folder, and where
    the loss is not finite.

    >>> from codeclens.retina import Movie, RetinaCNN
    >>> generator = torch.Generator().manual_seed(0)
    >>> movie = Movie(torch.randn(300, 8, 8, generator=generator), rate=50.0, pixel=1.0, unit="deg")
    >>> recording = Recording(movie, 20 * movie.frames[:, 4, 4:5].relu(), ["on"])
    >>> cnn = RetinaCNN(["on"], rate=50.0, pixel=1.0, unit="deg", history=4, size=(8, 8),
    ...                 channels=(2, 2), kernels=(3, 3))
    >>> found = fit(cnn, recording, epochs=3, batch_size=32)
    >>> found.curve.sizes["epoch"], found.r.dims
    (3, ('cell',))
    """
    counts = {"epochs": epochs, "batch_size": batch_size, "patience": patience, "seed": seed}
    sizes = {"lr": lr, "weight_decay": weight_decay, "activity_l1": activity_l1}
    _require_settings(counts, sizes, to)
    _require_usable(model, recording)
    device = next(model.parameters()).device
    if isinstance(held_out, Recording):
        _require_usable(model, held_out)
        train = torch.arange(len(recording.targets(model)))
        judged = (held_out, torch.arange(len(held_out.targets(model))))
        asked: Any = _digest(held_out)
    else:
        windows = len(recording.targets(model))
        split = held_out_blocks(windows, share=held_out, blocks=blocks, gap=model.history)
        train, rows = torch.from_numpy(split.train), torch.from_numpy(split.held_out)
        judged, asked = (recording, rows), [held_out, blocks]
    run = {
        "model": type(model).__name__,
        "config": model.config(),
        "start": _hash(model.state_dict()),
        "data": _digest(recording),
        "held_out": asked,
        **{name: None if value is None else int(value) for name, value in counts.items()},
        **{name: float(value) for name, value in sizes.items()},
    }
    data = _Windows(recording, train, model, device)
    test = _Windows(*judged, model, device)
    model.calibrate(data.rates[train.to(device)])
    work = _Work(model, data, test, epochs, batch_size, lr, weight_decay, activity_l1, seed)
    file = None if to is None else Path(to) / CHECKPOINT
    if file is not None and (state := read_checkpoint(file, run)) is not None:
        work.restore(state)
    while not work.done(patience):
        epoch = work.epoch()
        if file is not None:
            write_checkpoint(file, work.state(), run)
        if progress is not None:
            progress(epoch)
    return work.finish(recording.cells)


class _Windows:
    """Windows of a recording by number, and the responses to them."""

    def __init__(
        self, recording: Recording, rows: Tensor, model: ResponseModel, device: torch.device
    ) -> None:
        there = recording.movie.frames.to(device)
        self.movie = model.windows(replace(recording.movie, frames=there))
        self.rates = recording.targets(model).to(self.movie)
        self.rows = rows
        self.frame = 1 / recording.movie.rate

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        at = rows.to(self.rates.device)
        return self.movie[at], self.rates[at]


class _Work:
    """A running fit."""

    def __init__(
        self,
        model: ResponseModel,
        data: _Windows,
        test: _Windows,
        epochs: int,
        batch_size: int,
        lr: float,
        weight_decay: float,
        activity_l1: float,
        seed: int,
    ) -> None:
        self.model, self.data, self.test = model, data, test
        self.epochs, self.batch_size, self.lr = int(epochs), int(batch_size), float(lr)
        self.activity_l1, self.seed = float(activity_l1), int(seed)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in self.parameters if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in self.parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = AdamW([group for group in groups if group["params"]], lr=lr)
        self.history: list[FitEpoch] = []
        self.best: dict[str, Tensor] = {}
        self.best_epoch = 0
        self.best_r = torch.zeros(0)

    def done(self, patience: int | None) -> bool:
        number = len(self.history)
        waited = patience is not None and 0 < self.best_epoch <= number - patience
        return waited or number >= self.epochs

    def epoch(self) -> FitEpoch:
        number = len(self.history) + 1
        self.model.train()
        total = torch.zeros((), dtype=torch.float64, device=self.data.rates.device)
        with _random(self.seed, number, self.data.rates.device):
            order = self.data.rows[torch.randperm(len(self.data.rows))]
            batches = [part for part in order.split(self.batch_size) if len(part) > 1]
            steps = self.epochs * len(batches)
            for place, rows in enumerate(batches):
                step = (number - 1) * len(batches) + place
                for group in self.optimizer.param_groups:
                    group["lr"] = self.lr * Cosine().rate(step, steps)
                total += self._step(rows) * len(rows)
        loss = float(total) / len(order)
        if not math.isfinite(loss):
            raise CodeclensError(
                f"The loss became {loss} in epoch {number} of {self.epochs}; lower the learning "
                f"rate (now {self.lr:g})."
            )
        r = self._judge()
        mean = float(r.nanmean())
        self.history.append(FitEpoch(number, self.epochs, loss, mean))
        if not self.best_epoch or mean > self.history[self.best_epoch - 1].r:
            state = self.model.state_dict()
            self.best = {name: value.clone() for name, value in state.items()}
            self.best_epoch, self.best_r = number, r
        return self.history[-1]

    def _step(self, rows: Tensor) -> Tensor:
        windows, rates = self.data.batch(rows)
        frame = self.data.frame
        expected = self.model(windows).clamp(min=1e-6) * frame
        loss = (expected - rates * frame * expected.log()).mean()
        self.optimizer.zero_grad()
        (loss + self.activity_l1 * expected.mean()).backward()
        self.optimizer.step()
        detached: Tensor = loss.detach().double()
        return detached

    @torch.no_grad()
    def _judge(self) -> Tensor:
        self.model.eval()
        parts = [self.test.batch(rows) for rows in self.test.rows.split(512)]
        predicted = torch.cat([self.model(windows) for windows, _ in parts])
        return correlation(predicted, torch.cat([rates for _, rates in parts])).cpu()

    def finish(self, cells: Any) -> Fit:
        if self.best:
            self.model.load_state_dict(self.best)
        self.model.eval()
        index = [epoch.epoch for epoch in self.history]
        curve = xr.Dataset(
            {
                "loss": ("epoch", [epoch.loss for epoch in self.history], {"units": "nats"}),
                "r": ("epoch", [epoch.r for epoch in self.history]),
            },
            {"epoch": index},
        )
        r = xr.DataArray(self.best_r.numpy(), {"cell": list(cells)}, ("cell",), name="r")
        return Fit(self.model, curve, r, self.best_epoch)

    def state(self) -> State:
        """Everything later epochs depend on; random numbers follow from seed and epoch."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors["best_r"] = self.best_r
        tensors |= optimizer_state(self.optimizer, self.parameters)
        history = [[None if math.isnan(v) else v for v in epoch] for epoch in self.history]
        facts = {"history": history, "best_epoch": self.best_epoch}
        return State({name: value.detach().clone() for name, value in tensors.items()}, facts)

    def restore(self, state: State) -> None:
        tensors, facts = state
        self.model.load_state_dict(under(tensors, "model."))
        self.best, self.best_r = under(tensors, "best."), tensors["best_r"]
        restore_optimizer(self.optimizer, self.parameters, tensors)
        self.history = [
            FitEpoch(number, of, loss, math.nan if r is None else r)
            for number, of, loss, r in facts["history"]
        ]
        self.best_epoch = facts["best_epoch"]


@contextmanager
def _random(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Random numbers that follow from seed and epoch; torch's own state is restored."""
    drawn = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(drawn)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(drawn)
        yield


def _require_settings(
    counts: Mapping[str, Any], sizes: Mapping[str, Any], to: str | os.PathLike[str] | None
) -> None:
    """Raises CodeclensError for settings out of range, before anything is computed."""
    # The batch norms need two windows or more.
    for name, least in (("epochs", 1), ("batch_size", 2), ("patience", 1), ("seed", 0)):
        if name != "patience" or counts[name] is not None:
            hint = "or None" if name == "patience" else ""
            require_number(name, counts[name], least=least, whole=True, hint=hint)
    require_number("lr", sizes["lr"], above=0)
    for name in ("weight_decay", "activity_l1"):
        require_number(name, sizes[name], least=0)
    for place in () if to is None else (Path(to), *Path(to).parents):
        if place.exists() and not place.is_dir():
            raise CodeclensError(f'to="{to}" cannot be a folder: "{place}" is a file.')


def _require_usable(model: ResponseModel, recording: Recording) -> None:
    model.require_movie(recording.movie)
    if tuple(recording.cells) != tuple(model.cells):
        raise CodeclensError(
            f"The recording's cells are {', '.join(recording.cells)}, and the model's "
            f"{', '.join(model.cells)}; pass the same ones in the same order."
        )


def _digest(recording: Recording) -> str:
    return _hash({"frames": recording.movie.frames, "rates": recording.rates})


def _hash(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
