"""Held-out blocks, and correlation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retina_reference
from codeclens import CodeclensError
from codeclens.retina.splits import correlation, divide


@given(
    frames=st.integers(300, 1200),
    history=st.integers(1, 40),
    share=st.floats(0.05, 0.4),
    blocks=st.integers(1, 4),
)
def test_no_frame_is_seen_on_both_sides(
    frames: int, history: int, share: float, blocks: int
) -> None:
    try:
        train, held_out = divide(frames, history, share=share, blocks=blocks)
    except CodeclensError:
        return

    def seen(rows: torch.Tensor) -> set[int]:
        return {row + step for row in rows.tolist() for step in range(history)}

    assert not seen(train) & seen(held_out)
    apart = (train[:, None] - held_out).abs().min()
    assert apart == history + 1, "a gap of the history, and no more"
    assert len(held_out) == blocks * round((frames - history + 1) * share / blocks)
    jumps = (held_out.diff() > 1).sum()
    assert int(jumps) == blocks - 1, "contiguous blocks"
    assert train.max() < frames - history + 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"share": 0.001, "blocks": 4}, "holds out too little"),
        ({"share": 1.5, "blocks": 4}, "holds out too little"),
        ({"share": 0.2, "blocks": 12}, "leave nothing"),
    ],
)
def test_impossible_divisions_are_said(options: dict, says: str) -> None:
    with pytest.raises(CodeclensError, match=says):
        divide(400, 40, **options)


def test_correlation_is_pearsons(generator: torch.Generator) -> None:
    ours = torch.randn(50, 3, generator=generator)
    theirs = ours + torch.randn(50, 3, generator=generator)
    theirs[:, 2] = 1.0
    found = correlation(ours, theirs)
    for cell in range(2):
        wanted = retina_reference.correlation(ours[:, cell], theirs[:, cell])
        assert float(found[cell]) == pytest.approx(wanted, abs=1e-9)
    assert found[2].isnan(), "a constant has no correlation"
