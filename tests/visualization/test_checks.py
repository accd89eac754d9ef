"""Sanity checks: what they must find where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from codeclens import CodeclensError, Output
from codeclens.visualization import (
    Box,
    PixelCurve,
    deletion_curve,
    pixel_map,
    randomisation_test,
    randomised,
    share_inside,
    side_by_side,
)
from networks import noise, residual_cnn


def test_layers_are_mixed_up_one_after_another_in_a_copy() -> None:
    model = residual_cnn()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    names = []
    for name, mixed in randomised(model, ["fc", "layer2", "layer1.0"]):
        names.append(name)
        for key, value in mixed.state_dict().items():
            touched = any(key.startswith(done) for done in names) and before[key].numel() > 1
            # Normalisation keeps its own, and biases of one value cannot be distinguished.
            if touched and ("conv" in key or "fc" in key) and before[key].unique().numel() > 1:
                assert not torch.equal(value, before[key]), key
                assert torch.equal(value.flatten().sort()[0], before[key].flatten().sort()[0])
            elif "bn" in key or not touched:
                assert torch.equal(value, before[key]), key
    assert names == ["fc", "layer2", "layer1.0"]
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())
    with pytest.raises(CodeclensError, match="not a layer with weights"):
        next(randomised(model, ["bn1"]))


def test_a_map_of_the_network_changes_and_one_of_the_image_does_not() -> None:
    model, x = residual_cnn().double(), noise(3, 3, 12, 12)

    def through_units(model: nn.Module, x: Tensor) -> Tensor:
        return pixel_map(model, x, site="layer1.0", units=[0, 2], target=Output(1)).net

    found = randomisation_test(through_units, model, x, ["fc", "layer2", "layer1", "conv1"])
    assert found.layers == ("fc", "layer2", "layer1", "conv1")
    assert found.rank.shape == found.linear.shape == (4, 3)
    assert np.nanmedian(found.rank[-1]) < 0.5
    assert np.nanmax(found.linear[-1]) < 0.9
    still = randomisation_test(lambda _, x: x**2, model, x, ["fc", "conv1"])
    assert (still.rank == 1).all()
    assert (still.linear == 1).all()


def test_rank_correlation_is_spearmans() -> None:
    maps = iter(noise(2, 2, 30))
    first, second = noise(2, 2, 30).abs()
    found = randomisation_test(
        lambda *_: next(maps), nn.Sequential(nn.Linear(2, 2)), torch.zeros(2, 2)
    )
    for sample in range(2):
        expected = stats.spearmanr(first[sample], second[sample]).statistic
        assert found.rank[0, sample] == pytest.approx(expected)


def test_the_order_of_a_sum_is_best_by_its_own_terms() -> None:
    x = noise(4, 2, 8, 8).abs()

    def total(x: Tensor) -> Tensor:
        return x.sum(dim=(1, 2, 3))

    own = x.sum(dim=1)
    best, worst = (deletion_curve(total, x, order) for order in (own, -own))
    for sample in range(4):
        values = own[sample].flatten().sort(descending=True).values
        for fraction, value in zip(best.fractions, best.values[:, sample], strict=True):
            gone = float(values[: round(fraction * 64)].sum())
            assert value == pytest.approx(float(values.sum()) - gone)
    assert (best.area < worst.area).all()
    inserted = deletion_curve(total, x, own, insert=True)
    np.testing.assert_allclose(inserted.area, 1 - best.area)


def test_deleted_pixels_are_those_of_the_baseline() -> None:
    x = noise(2, 3, 6, 6)
    seen: list[Tensor] = []

    def look(x: Tensor) -> Tensor:
        seen.append(x)
        return x.mean(dim=(1, 2, 3))

    deletion_curve(look, x, x[:, 0], fractions=(0, 0.5, 1), baseline=0.25)
    assert torch.equal(seen[0], x)
    assert (seen[1] == 0.25).all(dim=1).sum().item() == 2 * 18
    assert (seen[2] == 0.25).all()
    for wrong in (x, x[:, 0, :3], x[:, 0] * torch.nan):
        with pytest.raises(CodeclensError, match="do not order"):
            deletion_curve(look, x, wrong)
    with pytest.raises(CodeclensError, match="ascend"):
        deletion_curve(look, x, x[:, 0], fractions=(0, 0.5))


def test_halves_are_at_the_documented_positions() -> None:
    left, right = noise(2, 3, 6, 9), noise(2, 3, 6, 9, seed=2)
    both, (first, second) = side_by_side(left, right)
    assert both.shape == left.shape
    assert torch.equal(both[(..., *first.slices)], left[..., 2:6])
    assert torch.equal(both[(..., *second.slices)], right[..., 2:7])
    inside = share_inside(both, first) + share_inside(both, second)
    torch.testing.assert_close(inside, torch.ones(2, dtype=torch.float64))
    assert share_inside(torch.zeros(1, 4, 4), Box(0, 0, 2, 2)).isnan().all()
    with pytest.raises(CodeclensError, match="side by side"):
        side_by_side(left, right[:, :1])
    with pytest.raises(CodeclensError, match="with colours"):
        share_inside(left[0, 0], first)


def test_a_ratio_of_vanishing_areas_is_not_reported() -> None:
    values = np.array([[1.0, 1.0], [3.0, 0.4], [1.001, 0.0]])
    area = PixelCurve(np.array([0, 0.5, 1.0]), values, inserted=False).area
    assert np.isnan(area[0])
    assert area[1] == pytest.approx((1 + 0.4) / 4 + 0.4 / 4)
