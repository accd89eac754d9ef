"""The trainer: seeds, stopping, resuming, and what it reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from codeclens.decomposition import Autoencoder, ThresholdSAE, TopK
from codeclens.decomposition.autoencoders.topk import TopKNetwork
from codeclens.decomposition.logbook import Logbook
from codeclens.decomposition.matrices import TensorMatrix
from codeclens.decomposition.trainer import Training, scores, train
from codeclens.decomposition.training import (
    Epoch,
    Trainable,
    TrainingSettings,
    seeded,
    split,
)
from codeclens.errors import CodeclensError

STEADY = TrainingSettings(epochs=4, batch_size=16, learning_rate=1e-2)


class Toy(Trainable):
    """A factor for each unit; codes say which units of a batch are above zero."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.zeros(units))
        self.seen: list[Tensor] = []

    def reconstruct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x * self.factor, torch.relu(x)

    def loss(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(x)
        reconstruction, codes = self.reconstruct(x)
        return (x - reconstruction).square().mean(), codes

    def before_step(self) -> None:
        self.clipped_from = float(self.factor.grad.norm())  # type: ignore[union-attr]

    def after_step(self) -> None:
        pass


def run(
    network: Trainable, data: Tensor, settings: TrainingSettings = STEADY, **more: Any
) -> list[Epoch]:
    generator = torch.Generator().manual_seed(0)
    rows, held_out = split(len(data), 0.2, generator)
    given = {"rows": rows, "held_out": held_out, "generator": generator}
    return train(network, data, settings=settings, **(given | more))


@pytest.fixture
def data(generator: torch.Generator) -> Tensor:
    return torch.randn(50, 4, generator=generator)


def test_every_training_row_comes_once_an_epoch(data: Tensor) -> None:
    rows, table = torch.arange(0, 50, 2), TensorMatrix(data)
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.cat(list(table.batches(rows, 7, generator))) for _ in range(2))
    assert not torch.equal(first, second)
    for seen in (first, second):
        assert sorted(seen[:, 0].tolist()) == sorted(data[rows, 0].tolist())


def test_held_out_rows_are_never_trained_on(data: Tensor) -> None:
    network = Toy(4)
    rows, held_out = split(50, 0.2, torch.Generator().manual_seed(1))
    run(network, data, rows=rows, held_out=held_out)
    seen = {float(v) for v in torch.cat(network.seen)[:, 0]}
    assert seen == {float(v) for v in data[rows, 0]}
    assert not seen & {float(v) for v in data[held_out, 0]}


def test_history_records_the_training(data: Tensor) -> None:
    data[:, 3] = -1 - data[:, 3].abs()  # a mode that never fires
    data[:, 2] = 1 + data[:, 2].abs()  # one that always does
    network = Toy(4)
    told: list[Epoch] = []
    rows, held_out = split(50, 0.2, torch.Generator().manual_seed(0))
    history = run(network, data, rows=rows, held_out=held_out, progress=told.append)
    assert told == history
    assert [h.epoch for h in history] == [1, 2, 3, 4]
    assert {h.epochs for h in history} == {4}
    assert {h.dead for h in history} == {1}
    assert history[-1].loss < history[0].loss
    X = data[held_out]
    error = (X * (1 - network.factor.detach())).square().sum()
    expected = 1 - float(error / (X - X.mean(dim=0)).square().sum())
    assert history[-1].r2 == pytest.approx(expected, rel=1e-5)
    assert history[-1].l0 == pytest.approx(float((X > 0).sum()) / len(X))


def test_scores_in_parts(data: Tensor) -> None:
    many = data.repeat(100, 1)
    rows = torch.arange(len(many))
    assert scores(Toy(4), many, rows) == pytest.approx(scores(Toy(4), data, torch.arange(50)))
    assert np.isnan(scores(Toy(4), torch.ones(9, 4), torch.arange(9))[0])


def test_the_same_seed_gives_the_same_bits(data: Tensor) -> None:
    before = torch.get_rng_state()
    states = []
    for _ in range(2):
        with seeded(3) as generator:
            network = TopKNetwork(
                n_features=4, n_modes=6, n_units=4, non_negative=False, count=2, aux_weight=0.1
            )
        network.start_from(data, generator)
        history = run(network, data)
        states.append((network.state_dict(), history))
    assert states[0][1] == states[1][1]
    for name, value in states[0][0].items():
        assert torch.equal(value, states[1][0][name]), name
    assert torch.equal(torch.get_rng_state(), before)


def test_a_callback_that_draws_changes_nothing(data: Tensor) -> None:
    alone, watched = Toy(4), Toy(4)
    run(alone, data)
    run(watched, data, progress=lambda _: torch.rand(5))
    assert torch.equal(alone.factor, watched.factor)


def test_patience_goes_back_to_the_best_epoch(data: Tensor) -> None:
    class Overshooting(Toy):
        """Better until the third epoch, worse ever after, whatever the optimiser does."""

        def after_step(self) -> None:
            steps = len(self.seen) // 3 + 1
            with torch.no_grad():
                self.factor.fill_(steps / 3)

    settings = TrainingSettings(epochs=50, batch_size=16, learning_rate=1e-3, patience=4)
    network = Overshooting(4)
    history = run(network, data, settings)
    best = max(history, key=lambda h: h.r2)
    assert len(history) == best.epoch + 4
    _, held_out = split(50, 0.2, torch.Generator().manual_seed(0))
    assert scores(network, data, held_out)[0] == pytest.approx(best.r2)


def test_clip_limits_the_gradient(data: Tensor) -> None:
    class Watched(Toy):
        def after_step(self) -> None:
            self.norm = float(self.factor.grad.norm())  # type: ignore[union-attr]

    network = Watched(4)
    run(
        network, 1e3 * data, TrainingSettings(epochs=1, batch_size=16, learning_rate=1e-3, clip=0.5)
    )
    assert network.clipped_from > 1
    assert network.norm == pytest.approx(0.5, rel=1e-4)


def test_a_diverging_loss_is_reported(data: Tensor) -> None:
    class Exploding(Toy):
        def loss(self, x: Tensor) -> tuple[Tensor, Tensor]:
            loss, codes = super().loss(x)
            return loss * torch.inf, codes

    with pytest.raises(CodeclensError, match=r"became (inf|nan) in epoch 1 of 4; lower .*0\.01"):
        run(Exploding(4), data)


METHODS: list[Autoencoder] = [
    TopK(n_modes=20, k=3, epochs=8, resample=2),
    ThresholdSAE(
        n_modes=12, threshold=0.5, learning_rate=1e-2, epochs=8, batch_size=32, plateau_patience=1
    ),
    TopK(n_modes=12, k=3, epochs=8, patience=2),
    TopK(n_modes=12, k=3, epochs=8, precision="bfloat16", clip=0.1),
]


class KilledError(Exception):
    """What a run dies of."""


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("after", [1, 5])
def test_a_killed_training_ends_as_if_it_had_never_stopped(
    method: Autoencoder, after: int, small: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    whole = Logbook(tmp_path / "whole", "a")
    undisturbed = method.fit(small, seed=3, logbook=whole)
    after = min(after, len(undisturbed.history) - 1)

    def die(epoch: Epoch) -> None:
        if epoch.epoch == after:
            raise KilledError

    logbook = Logbook(tmp_path / "killed", "a")
    with pytest.raises(KilledError):
        method.fit(small, seed=3, logbook=logbook, progress=die)
    told: list[Epoch] = []
    resumed = method.fit(small, seed=3, logbook=logbook, progress=told.append)
    assert tuple(told) == undisturbed.history[after:]
    assert resumed.history == undisturbed.history
    for name, value in undisturbed.tensors().items():
        assert torch.equal(value, resumed.tensors()[name]), name
    assert logbook.metrics.read_text() == whole.metrics.read_text()
    assert logbook.checkpoint.read_bytes() == whole.checkpoint.read_bytes()


def test_a_finished_training_is_not_trained_again(
    small: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    method, logbook = METHODS[0], Logbook(tmp_path)
    first = method.fit(small, logbook=logbook)
    told: list[Epoch] = []
    again = method.fit(small, logbook=logbook, progress=told.append)
    assert told == []
    assert np.array_equal(first.dictionary, again.dictionary)
    assert first.history == again.history


def test_epochs_behind_the_last_checkpoint_are_trained_again(
    small: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    def die(epoch: Epoch) -> None:
        if epoch.epoch == 5:
            raise KilledError

    logbook = Logbook(tmp_path, every=3)
    with pytest.raises(KilledError):
        METHODS[0].fit(small, logbook=logbook, progress=die)
    assert logbook.metrics.read_text().count("\n") == 5
    told: list[Epoch] = []
    METHODS[0].fit(small, logbook=logbook, progress=told.append)
    assert [epoch.epoch for epoch in told] == [4, 5, 6, 7, 8]
    assert logbook.metrics.read_text().count("\n") == 8


def test_a_logbook_changes_nothing(small: np.ndarray[Any, Any], tmp_path: Path) -> None:
    for method in METHODS:
        alone = method.fit(small)
        written = method.fit(small, logbook=Logbook(tmp_path, repr(method)))
        assert np.array_equal(alone.dictionary, written.dictionary)


def test_bfloat16_is_close_and_stays_finite(small: np.ndarray[Any, Any]) -> None:
    exact, rough = (
        replace(METHODS[3], precision=p, epochs=60).fit(small) for p in ("float32", "bfloat16")
    )
    assert not np.array_equal(exact.dictionary, rough.dictionary)
    assert rough.dictionary.dtype == np.float32
    assert rough.r2 == pytest.approx(exact.r2, abs=0.1)
    with pytest.raises(CodeclensError, match='no precision "half"; the nearest'):
        TopK(n_modes=2, k=1, precision="half")  # type: ignore[arg-type]


class Fall(NamedTuple):
    """One epoch of a weight that falls to a target."""

    epoch: int
    loss: float


class Falling(Training[Fall]):
    """Any network can be trained: this one has a single weight, and a count in its checkpoint."""

    record = Fall

    def __init__(self, **more: Any) -> None:
        network = nn.Linear(1, 1, bias=False)
        with torch.no_grad():
            network.weight.fill_(1.0)
        self.count = torch.zeros(())
        optimizer = torch.optim.SGD(network.parameters(), lr=0.3, momentum=0.9)
        super().__init__(network, optimizer, **more)

    def train_epoch(self, number: int) -> Fall:
        self.count += 1
        loss = self.network.weight.square().sum()  # type: ignore[operator]
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return Fall(number, loss.item())

    def score(self, record: Fall) -> float:
        return -record.loss

    def extra_state(self) -> dict[str, Tensor]:
        return {"count": self.count}

    def restore_extra_state(self, tensors: Any) -> None:
        self.count = tensors["count"]


def test_any_network_can_be_trained_and_resumed(tmp_path: Path) -> None:
    whole = Falling(epochs=6, keep_best=True)
    history = whole.run()
    assert [record.epoch for record in history] == [1, 2, 3, 4, 5, 6]
    assert whole.best_epoch == min(history, key=lambda record: record.loss).epoch
    assert not whole.network.training

    def die(record: Fall) -> None:
        if record.epoch == 3:
            raise KilledError

    with pytest.raises(KilledError):
        Falling(epochs=6, keep_best=True).run(die, Logbook(tmp_path), {"task": "fall"})
    resumed = Falling(epochs=6, keep_best=True)
    assert resumed.run(None, Logbook(tmp_path), {"task": "fall"}) == history
    assert resumed.count == 6
    assert torch.equal(resumed.network.weight, whole.network.weight)  # type: ignore[arg-type]
    stopped = Falling(epochs=60, patience=2)
    assert len(stopped.run()) == stopped.best_epoch + 2
