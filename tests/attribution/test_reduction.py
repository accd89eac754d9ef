"""Reduction over positions, against loops."""

from __future__ import annotations

import hypothesis.strategies as st
import torch
from hypothesis import given

import networks
import reference
from codeclens.attribution import split_signs


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 6), st.integers(0, 99))
def test_signs_are_split_before_they_are_summed(b: int, u: int, p: int, seed: int) -> None:
    values = networks.noise(b, u, p, seed=seed)
    positive, negative = split_signs(values)
    expected = reference.split_signs(reference.by_unit(values, 1))
    torch.testing.assert_close((positive, negative), expected, rtol=1e-12, atol=1e-12)
    assert bool((positive >= 0).all())
    assert bool((negative <= 0).all())


def test_opposite_places_of_one_unit_do_not_cancel() -> None:
    positive, negative = split_signs(torch.tensor([[[5.0, -5.0]]]))
    assert (positive.item(), negative.item()) == (5, -5)


def test_the_layout_does_not_matter() -> None:
    values = networks.noise(2, 5, 3, 4)
    last = values.to(memory_format=torch.channels_last).flatten(2)
    assert not values.to(memory_format=torch.channels_last).is_contiguous()
    for ours, theirs in zip(split_signs(last), split_signs(values.flatten(2)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
