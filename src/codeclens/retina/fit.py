"""Fitting: a response model to a recording, evaluated on held-out time, resumable."""

from __future__ import annotations

import hashlib
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import LBFGS, AdamW

from codeclens.decomposition.logbook import State, read_checkpoint, write_checkpoint
from codeclens.decomposition.training import Cosine, optimizer_state, restore_optimizer, under
from codeclens.errors import CodeclensError, require_number, unknown
from codeclens.labelled import Labelled
from codeclens.retina.evaluation import correlation
from codeclens.retina.recordings import Recording
from codeclens.retina.response import Fittable, ResponseModel
from codeclens.retina.splits import held_out_blocks

if TYPE_CHECKING:
    import pandas

CHECKPOINT = "fit.safetensors"
Solver = Literal["adam", "lbfgs"]
SMOOTH = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 0.0)
# The strength of the prior on the logarithm of a gain, about the mean rate.
_GAINS = 1e-3
_ITERATIONS = 100


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
    method: Solver | None = None,
    held_out: float | Recording = 0.1,
    blocks: int = 4,
    smooth: Sequence[float] = SMOOTH,
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
    plus `activity_l1` times the mean λ. `held_out` is a share of the windows, in contiguous
    `blocks` with gaps of the model's history, or another recording of the same cells.

    - `method="lbfgs"`, the default of LN and LNLN: L-BFGS on all windows; LN starts from the
      spike-triggered average. A smoothness prior (the variance of the film times `roughness`) has
      each strength in `smooth` in turn, and the one with the least held-out loss is kept: an epoch
      is one strength.
      In an LN model each cell has its own strength, the coordinate `smooth` of `r`. The gains of
      the output are fitted as well. `epochs`, `batch_size`, `lr`, `weight_decay`, `patience` and
      `seed` have no effect.
    - `method="adam"`, the default of other models: Adam at the learning rate `lr` with a warm-up
      and a cosine decay. `weight_decay` (decoupled) applies to all weights except biases and norms.
      The epoch with the best held-out r is kept; the fit ends after `patience` epochs without a
      better one. All random numbers follow from `seed`, and torch's random state is restored.

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
    _require_settings(counts, sizes, smooth, to)
    method = getattr(model, "solver", "adam") if method is None else method
    if method not in get_args(Solver):
        raise unknown("method", method, get_args(Solver))
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
        "method": method,
        "smooth": [float(one) for one in smooth],
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
    work: _Fitting
    if method == "lbfgs":
        work = _Lbfgs(model, data, test, smooth=smooth, activity_l1=activity_l1)
    else:
        work = _Adam(
            model, data, test, epochs=epochs, batch_size=batch_size, lr=lr,
            weight_decay=weight_decay, activity_l1=activity_l1, seed=seed,
        )  # fmt: skip
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


class _Fitting(ABC):
    """A running fit: its history, the best state so far, and the contents of a checkpoint."""

    epochs: int

    def __init__(self, model: ResponseModel, data: _Windows, test: _Windows) -> None:
        self.model, self.data, self.test = model, data, test
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.history: list[FitEpoch] = []
        self.best: dict[str, Tensor] = {}
        self.best_epoch = 0
        # Of each cell: r, and the loss and smoothness where these are chosen cell by cell.
        self.found: dict[str, Tensor] = {}

    @abstractmethod
    def epoch(self) -> FitEpoch:
        """Run one epoch."""

    def done(self, patience: int | None) -> bool:
        """Whether all epochs were run, or none was better for `patience` epochs."""
        number = len(self.history)
        waited = patience is not None and 0 < self.best_epoch <= number - patience
        return waited or number >= self.epochs

    def _poisson(self, windows: Tensor, rates: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of each response in nats, and the expected counts."""
        frame = self.data.frame
        expected = self.model(windows).clamp(min=1e-6) * frame
        return expected - rates * frame * expected.log(), expected

    @torch.no_grad()
    def _judge(self) -> tuple[Tensor, Tensor]:
        """Pearson's r and the mean loss on held-out windows, by cell."""
        self.model.eval()
        predicted, rates, losses = [], [], []
        for rows in self.test.rows.split(1024):
            windows, measured = self.test.batch(rows)
            loss, expected = self._poisson(windows, measured)
            losses.append(loss.double())
            predicted.append(expected)
            rates.append(measured)
        r = correlation(torch.cat(predicted), torch.cat(rates))
        return r.cpu(), torch.cat(losses).mean(dim=0).cpu()

    def _enter(self, loss: float, r: Tensor) -> bool:
        """Enter an epoch into the history, and say whether it is the best so far."""
        mean = float(r.nanmean())
        self.history.append(FitEpoch(len(self.history) + 1, self.epochs, loss, mean))
        better = not self.best_epoch or mean > self.history[self.best_epoch - 1].r
        if better:
            self.best_epoch = len(self.history)
        return better

    def _copied(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.model.state_dict().items()}

    def finish(self, cells: Any) -> Fit:
        """The result, with the model in its best state."""
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
        coords: dict[str, Any] = {"cell": list(cells)}
        if "smooth" in self.found:
            coords["smooth"] = ("cell", self.found["smooth"].numpy())
        r = xr.DataArray(self.found["r"].numpy(), coords, ("cell",), name="r")
        return Fit(self.model, curve, r, self.best_epoch)

    def state(self) -> State:
        """Everything later epochs depend on; random numbers follow from seed and epoch."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors |= {f"found.{name}": value for name, value in self.found.items()}
        history = [[None if math.isnan(v) else v for v in epoch] for epoch in self.history]
        facts = {"history": history, "best_epoch": self.best_epoch}
        return State({name: value.detach().clone() for name, value in tensors.items()}, facts)

    def restore(self, state: State) -> None:
        """Continue from a state."""
        tensors, facts = state
        self.model.load_state_dict(under(tensors, "model."))
        self.best, self.found = under(tensors, "best."), under(tensors, "found.")
        self.history = [
            FitEpoch(number, of, loss, math.nan if r is None else r)
            for number, of, loss, r in facts["history"]
        ]
        self.best_epoch = facts["best_epoch"]


class _Adam(_Fitting):
    """Adam on batches; the epoch with the best held-out r is kept."""

    def __init__(
        self,
        *parts: Any,
        epochs: int,
        batch_size: int,
        lr: float,
        weight_decay: float,
        activity_l1: float,
        seed: int,
    ) -> None:
        super().__init__(*parts)
        self.epochs, self.batch_size, self.lr = int(epochs), int(batch_size), float(lr)
        self.activity_l1, self.seed = float(activity_l1), int(seed)
        groups = [
            {"params": [p for p in self.parameters if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in self.parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = AdamW([group for group in groups if group["params"]], lr=lr)

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
        r, _ = self._judge()
        if self._enter(loss, r):
            self.best, self.found = self._copied(), {"r": r}
        return self.history[-1]

    def _step(self, rows: Tensor) -> Tensor:
        losses, expected = self._poisson(*self.data.batch(rows))
        loss = losses.mean()
        self.optimizer.zero_grad()
        (loss + self.activity_l1 * expected.mean()).backward()
        self.optimizer.step()
        detached: Tensor = loss.detach().double()
        return detached

    def state(self) -> State:
        tensors, facts = super().state()
        moments = optimizer_state(self.optimizer, self.parameters)
        return State(tensors | {name: v.clone() for name, v in moments.items()}, facts)

    def restore(self, state: State) -> None:
        super().restore(state)
        restore_optimizer(self.optimizer, self.parameters, state.tensors)


class _Lbfgs(_Fitting):
    """L-BFGS on all windows, with a smoothness prior on the filters of the film.

    An epoch is one strength of the prior, from the same start. The strength with the least held-out
    loss is kept, for each cell where cells share no parameters.
    """

    def __init__(self, *parts: Any, smooth: Sequence[float], activity_l1: float) -> None:
        super().__init__(*parts)
        if not isinstance(self.model, Fittable) or any(
            isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) for part in self.model.modules()
        ):
            raise CodeclensError(
                f"A {type(self.model).__name__} has batch norms or no filters of the film, which "
                'need method="adam".'
            )
        self.strengths = sorted((float(one) for one in smooth), reverse=True)
        self.epochs = len(self.strengths)
        self.activity_l1 = float(activity_l1)
        front = self.model.front
        trained = front is not None and any(p.requires_grad for p in front.parameters())
        self.apart = self.model.separate_cells and not trained
        windows = self.data.movie
        size = max(64, min(8192, 2**24 // windows[0].numel()))
        self.rows = self.data.rows.split(size)
        small = len(self.data.rows) * windows[0].numel() <= 2**27
        self.kept = [self.data.batch(rows) for rows in self.rows] if small else None
        self.variance = float(windows[self.data.rows[:2048].to(windows.device)].double().var())
        self._start(self.model)
        self.begin = self._copied()

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self.kept or map(self.data.batch, self.rows))

    @torch.no_grad()
    def _start(self, model: Fittable) -> None:
        """Start the filters from the spike-triggered average over the variance of the film."""
        total = weighted = spikes = count = torch.zeros((), dtype=torch.float64)
        for windows, rates in self._batches():
            seen = model.seen(windows).double()
            total = total + seen.sum(dim=0)
            weighted = weighted + torch.einsum("bc,btyx->ctyx", rates.double(), seen)
            spikes, count = spikes + rates.double().sum(dim=0), count + len(rates)
        average = weighted / spikes.clamp(min=1e-9).view(-1, 1, 1, 1) - total / count
        model.start((average / max(self.variance, 1e-12)).to(windows.dtype))

    def epoch(self) -> FitEpoch:
        model = self.model
        assert isinstance(model, Fittable)
        model.load_state_dict(self.begin)
        model.eval()
        smooth = self.strengths[len(self.history)]
        # The gains set how sharply each cell rectifies. Without their own prior they would grow
        # without bound where a strong one holds the filters back.
        gain = model.output.gain.new_zeros(len(model.cells)).requires_grad_()
        optimizer = LBFGS(
            [*self.parameters, gain], max_iter=_ITERATIONS, line_search_fn="strong_wolfe",
            tolerance_grad=1e-7, tolerance_change=1e-9,
        )  # fmt: skip
        count = len(self.data.rows) * len(model.cells)
        frame = self.data.frame

        def total() -> Tensor:
            optimizer.zero_grad()
            whole = gain.new_zeros((), dtype=torch.float64)
            for windows, rates in self._batches():
                expected = (model(windows) * gain.exp()).clamp(min=1e-6) * frame
                loss = (expected - rates * frame * expected.log()).sum() / count
                loss = loss + self.activity_l1 * expected.sum() / count
                loss.backward()
                whole += loss.detach()
            rough = torch.stack([roughness(one) for one in model.filters_of_film]).sum()
            prior = smooth * self.variance * rough + _GAINS * gain.square().sum()
            (prior / len(model.cells)).backward()
            whole += (prior / len(model.cells)).detach()
            return whole

        loss = float(optimizer.step(total))
        loss = float(total())
        if not math.isfinite(loss):
            raise CodeclensError(
                f"The loss became {loss} with smooth={smooth:g}; check the scale of the film."
            )
        with torch.no_grad():
            model.output.gain.mul_(gain.exp())
        self._choose(loss, smooth)
        return self.history[-1]

    def _choose(self, loss: float, smooth: float) -> None:
        r, held_out = self._judge()
        self._enter(loss, r)
        strength = torch.full_like(held_out, smooth)
        now = {"r": r, "loss": held_out, "smooth": strength}
        if not self.best:
            self.best, self.found = self._copied(), now
            return
        better = held_out < self.found["loss"]
        if not self.apart:
            better = (held_out.mean() < self.found["loss"].mean()).expand_as(better)
        self.found = {name: torch.where(better, v, self.found[name]) for name, v in now.items()}
        for name, value in self.model.state_dict().items():
            if self.apart and not name.startswith("front."):
                rows = better.to(value.device).view(-1, *[1] * (value.ndim - 1))
                self.best[name] = torch.where(rows, value, self.best[name])
            elif bool(better.all()):
                self.best[name] = value.clone()

    def done(self, patience: int | None) -> bool:
        return len(self.history) >= self.epochs


def roughness(filters: Float[Tensor, "channel taps y x"]) -> Tensor:
    """The sum of squared differences between neighbours in time and space.

    Before the oldest frame a filter is zero.

    >>> float(roughness(torch.ones(1, 3, 2, 2)))
    4.0
    """
    padded = F.pad(filters, (0, 0, 0, 0, 1, 0))
    steps = [padded.diff(dim=1), filters.diff(dim=2), filters.diff(dim=3)]
    return torch.stack([step.square().sum() for step in steps]).sum()


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
    counts: Mapping[str, Any],
    sizes: Mapping[str, Any],
    smooth: Sequence[float],
    to: str | os.PathLike[str] | None,
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
    if not len(smooth):
        raise CodeclensError(f"smooth (={smooth!r}) must be one or more strengths of the prior.")
    for one in smooth:
        require_number("smooth", one, least=0)
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
