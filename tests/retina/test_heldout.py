"""Held-out blocks, bootstrap bounds over blocks, and correlation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retina_reference
from codeclens import CodeclensError
from codeclens.retina.evaluation import correlation
from codeclens.retina.splits import block_draws, held_out_blocks, with_bounds


@given(
    frames=st.integers(300, 1200),
    history=st.integers(1, 40),
    share=st.floats(0.05, 0.4),
    blocks=st.integers(1, 4),
)
def test_no_frame_is_seen_on_both_sides(
    frames: int, history: int, share: float, blocks: int
) -> None:
    windows = frames - history + 1
    try:
        split = held_out_blocks(windows, share=share, blocks=blocks, gap=history)
    except CodeclensError:
        return
    train, held_out = split.train, split.held_out

    def seen(rows: np.ndarray) -> set[int]:
        return {row + step for row in rows.tolist() for step in range(history)}

    assert not seen(train) & seen(held_out)
    apart = np.abs(train[:, None] - held_out).min()
    assert apart == history + 1, "a gap of the history, and no more"
    assert abs(len(held_out) - windows * share) <= blocks
    assert len(np.unique(split.block)) == blocks
    for number in range(blocks):
        assert (np.diff(held_out[split.block == number]) == 1).all(), "contiguous blocks"
    assert train.max() < windows


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"share": 1.5, "blocks": 4}, r"share \(=1.5\)"),
        ({"share": 0.2, "blocks": 0}, r"blocks \(=0\)"),
        ({"share": 0.2, "blocks": 12}, "are left to train on"),
    ],
)
def test_impossible_splits_are_refused(options: dict, says: str) -> None:
    with pytest.raises(CodeclensError, match=says):
        held_out_blocks(361, gap=40, **options)


def test_bounds_are_quantiles_of_the_draws(rng: np.random.Generator) -> None:
    values = rng.normal(size=200)
    weight = block_draws(200, 4000, seed=1)
    assert (weight.sum(axis=1) == 200).all()
    drawn = (weight @ values / 200)[:, None]
    found = with_bounds("mean", "cell", values.mean(keepdims=True), drawn)
    half = 1.96 * values.std() / 200**0.5
    assert found["mean_low"][1][0] == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found["mean_high"][1][0] == pytest.approx(values.mean() + half, abs=0.1 * half)
    missing = with_bounds("mean", "cell", np.array([np.nan]), np.full((5, 1), np.nan))
    assert all(np.isnan(values).all() for _, values in missing.values())


def test_correlation_is_pearsons(generator: torch.Generator) -> None:
    ours = torch.randn(50, 3, generator=generator)
    theirs = ours + torch.randn(50, 3, generator=generator)
    theirs[:, 2] = 1.0
    found = correlation(ours, theirs)
    for cell in range(2):
        wanted = retina_reference.correlation(ours[:, cell], theirs[:, cell])
        assert float(found[cell]) == pytest.approx(wanted, abs=1e-9)
    assert found[2].isnan(), "a constant has no correlation"
