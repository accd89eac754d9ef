"""Stacks of small convolutions, and their fold."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from codeclens import CodeclensError
from codeclens.retina import StackedConv2d, fold


@given(
    kernel=st.sampled_from([3, 5, 7, 11, 15]),
    channels=st.integers(1, 4),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_stack_folds_exactly(kernel: int, channels: int, bias: bool, seed: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        stack = StackedConv2d(3, channels, kernel, bias=bias).double()
        x = torch.randn(2, 3, kernel + 2, kernel + 3, dtype=torch.float64)
    folded = fold(stack)
    assert folded.kernel_size == (kernel, kernel)
    assert (folded(x) - stack(x)).abs().max() < 1e-10


def test_norms_between_fold_as_they_are_in_evaluation(generator: torch.Generator) -> None:
    stack = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Conv2d(3, 2, (5, 3))
    ).double()
    x = torch.randn(4, 2, 9, 9, generator=generator, dtype=torch.float64)
    stack.train()(x)
    stack.eval()
    assert (fold(stack)(x) - stack(x)).abs().max() < 1e-10


def test_folding_draws_nothing() -> None:
    stack = StackedConv2d(1, 2, 5)
    before = torch.get_rng_state()
    fold(stack)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("stack", "says"),
    [
        (nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU()), "ReLU cannot be folded"),
        (nn.Sequential(nn.Conv2d(1, 1, 3, padding=1)), "padding"),
        (nn.Sequential(nn.Conv2d(1, 1, 3, stride=2)), "stride"),
        (nn.Sequential(nn.BatchNorm2d(1)), "before all"),
        (nn.Sequential(), "no convolution"),
    ],
)
def test_what_is_not_linear_is_refused(stack: nn.Module, says: str) -> None:
    with pytest.raises(CodeclensError, match=says):
        fold(stack)


@pytest.mark.parametrize("kernel", [1, 4])
def test_a_stack_reaches_odd_sizes(kernel: int) -> None:
    with pytest.raises(CodeclensError, match="3, 5, 7"):
        StackedConv2d(1, 1, kernel)
