"""Training: the same seed gives the same network, and a bad network is not written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from benchmarks import train_digits
from benchmarks.train_digits import DigitsRecipe, augment, train, wilson_interval
from torch import Tensor

from codeclens.errors import CodeclensError
from codeclens.zoo import digits_data, load

SHORT = DigitsRecipe(epochs=1, batch_size=16)


@pytest.fixture(scope="module")
def few() -> tuple[Tensor, Tensor]:
    images, labels = digits_data("train")
    return images[:100], labels[:100]


def test_the_same_seed_gives_the_same_network(few: tuple[Tensor, Tensor]) -> None:
    first, again = (train(*few, SHORT).state_dict() for _ in range(2))
    other = train(*few, DigitsRecipe(seed=1, epochs=1, batch_size=16)).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_training_learns_and_keeps_the_random_state(few: tuple[Tensor, Tensor]) -> None:
    images, labels = few
    before = torch.random.get_rng_state()
    model = train(images, labels, DigitsRecipe(epochs=12, batch_size=16))
    assert torch.equal(before, torch.random.get_rng_state())
    assert train_digits.count_correct(model, images, labels) > 80


def test_augmentation_of_nothing_changes_nothing(few: tuple[Tensor, Tensor]) -> None:
    still = DigitsRecipe(shift=0, rotation=0, scale=0)
    images = few[0][:8]
    result = augment(images, still, torch.Generator().manual_seed(0))
    torch.testing.assert_close(result, images, rtol=0, atol=1e-5)


def test_augmentation_shifts_by_at_most_that_many_pixels() -> None:
    dots = torch.zeros(200, 1, 28, 28)
    dots[:, :, 14, 14] = 1
    moved = augment(dots, DigitsRecipe(rotation=0, scale=0), torch.Generator().manual_seed(0))
    places = moved.flatten(2).argmax(2)
    rows, columns = places // 28 - 14, places % 28 - 14
    assert {*rows.flatten().tolist()} == {*columns.flatten().tolist()} == {-2, -1, 0, 1, 2}


def test_a_bad_network_is_not_written(
    few: tuple[Tensor, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_digits, "digits_data", lambda split: few)
    with pytest.raises(CodeclensError, match=r"of 100 held-out.*required 98%.*more than 1 epochs"):
        train_digits.run(SHORT, tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


def test_what_is_written_loads_again(
    few: tuple[Tensor, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_digits, "digits_data", lambda split: few)
    monkeypatch.setattr(train_digits, "REQUIRED_ACCURACY", 0.0)
    file = tmp_path / "new" / "w.safetensors"
    train_digits.main(["--epochs", "1", "--seed", "3", "--to", str(file)])
    card = json.loads(file.with_suffix(".json").read_text())
    assert card["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert card["command"].endswith("--seed 3 --epochs 1")
    expected = train(*few, DigitsRecipe(seed=3, epochs=1))
    loaded = load("digits-resnet", weights=file).model
    assert torch.equal(loaded(few[0]), expected(few[0]))


def test_the_interval_is_wilsons() -> None:
    # From Agresti and Coull (1998): 9 of 10.
    assert wilson_interval(9, 10) == pytest.approx((0.596, 0.982), abs=1e-3)


@pytest.mark.slow
def test_the_recipe_reaches_its_accuracy(tmp_path: Path) -> None:
    card = train_digits.run(DigitsRecipe(), tmp_path / "w.safetensors")
    assert card["held_out_accuracy"] >= 0.98
