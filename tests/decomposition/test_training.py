"""The trainer: schedules, seeds, stopping, and what it reports."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from codeclens.decomposition.networks import TopKNetwork
from codeclens.decomposition.tables import TensorTable
from codeclens.decomposition.trainer import scores, train
from codeclens.decomposition.training import (
    Cosine,
    Epoch,
    Plateau,
    Recipe,
    Trainable,
    seeded,
    split,
)
from codeclens.errors import CodeclensError

STEADY = Recipe(epochs=4, batch_size=16, learning_rate=1e-2)


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


def run(network: Trainable, data: Tensor, recipe: Recipe = STEADY, **more: Any) -> list[Epoch]:
    generator = torch.Generator().manual_seed(0)
    rows, held_out = split(len(data), 0.2, generator)
    given = {"rows": rows, "held_out": held_out, "generator": generator}
    return train(network, data, recipe=recipe, **(given | more))


@pytest.fixture
def data(generator: torch.Generator) -> Tensor:
    return torch.randn(50, 4, generator=generator)


def test_cosine_rises_then_falls_to_zero() -> None:
    rates = [Cosine(warmup=0.1).rate(step, 100) for step in range(101)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert all(a >= b for a, b in itertools.pairwise(rates[9:]))
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0)
    assert Cosine(warmup=0).rate(0, 10) == 1


def test_plateau_halves_after_its_patience() -> None:
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = Plateau(patience=2).start(optimizer, 99)
    rates = []
    for _ in range(8):
        optimizer.step()
        scheduler.step(1.0)  # type: ignore[arg-type]
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_seeded_leaves_no_trace_and_repeats() -> None:
    before = torch.get_rng_state()
    drawn = []
    for _ in range(2):
        with seeded(7) as generator:
            drawn.append((torch.rand(3).tolist(), torch.rand(3, generator=generator).tolist()))
    assert drawn[0] == drawn[1]
    assert torch.equal(torch.get_rng_state(), before)


def test_split_is_a_partition() -> None:
    rows, held_out = split(101, 0.1, torch.Generator().manual_seed(0))
    assert sorted([*rows.tolist(), *held_out.tolist()]) == list(range(101))
    assert len(held_out) == 10
    assert len(split(10, 0.1, torch.Generator())[1]) == 2  # one sample has no variance
    assert len(split(10, 0.0, torch.Generator())[1]) == 0


def test_every_training_row_comes_once_an_epoch(data: Tensor) -> None:
    rows, table = torch.arange(0, 50, 2), TensorTable(data)
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


def test_history_says_what_happened(data: Tensor) -> None:
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
            network = TopKNetwork(n_features=4, n_modes=6, non_negative=False, k=2, aux_weight=0.1)
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

    recipe = Recipe(epochs=50, batch_size=16, learning_rate=1e-3, patience=4)
    network = Overshooting(4)
    history = run(network, data, recipe)
    best = max(history, key=lambda h: h.r2)
    assert len(history) == best.epoch + 4
    _, held_out = split(50, 0.2, torch.Generator().manual_seed(0))
    assert scores(network, data, held_out)[0] == pytest.approx(best.r2)


def test_clip_limits_the_gradient(data: Tensor) -> None:
    class Watched(Toy):
        def after_step(self) -> None:
            self.norm = float(self.factor.grad.norm())  # type: ignore[union-attr]

    network = Watched(4)
    run(network, 1e3 * data, Recipe(epochs=1, batch_size=16, learning_rate=1e-3, clip=0.5))
    assert network.clipped_from > 1
    assert network.norm == pytest.approx(0.5, rel=1e-4)


def test_a_loss_that_blows_up_is_told(data: Tensor) -> None:
    class Exploding(Toy):
        def loss(self, x: Tensor) -> tuple[Tensor, Tensor]:
            loss, codes = super().loss(x)
            return loss * torch.inf, codes

    with pytest.raises(CodeclensError, match=r"became (inf|nan) in epoch 1 of 4; lower .*0\.01"):
        run(Exploding(4), data)
