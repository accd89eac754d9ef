"""What a training is made of: schedules, seeds, and rows that are held out."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from codeclens.decomposition.training import Cosine, Plateau, seeded, split


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
