"""Stricter controls on a network whose units belong to classes and to halves of a class."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benchmarks.control_study import merged
from torch import Tensor, nn

from codeclens.control import RankingInputs, by_modes_of, clusters, control_curve, learned_mask
from codeclens.control.controls import CONTROLS
from codeclens.control.strict_controls import STRICT
from codeclens.decomposition import NMF, Modes
from codeclens.errors import CodeclensError

CLASSES, UNITS = 4, 8


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """Class c is seen by the units 2 c and 2 c + 1."""
    head = nn.Linear(UNITS, CLASSES, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.eye(CLASSES).repeat_interleave(2, dim=1))
    return nn.Sequential(nn.Identity(), head)


@pytest.fixture(scope="module")
def data() -> tuple[Tensor, Tensor]:
    """Each image shows its class in one of its two units: the first in two thirds of them."""
    labels = torch.arange(120) % CLASSES
    x = torch.rand(120, UNITS, generator=torch.Generator().manual_seed(0)) * 0.2
    for row, which in enumerate(labels):
        x[row, 2 * which + int(row // CLASSES % 3 == 0)] += 2.0
    return x, labels


@pytest.fixture(scope="module")
def modes(data: tuple[Tensor, Tensor]) -> Modes:
    method = NMF(n_modes=CLASSES).fit(data[0].numpy())
    return Modes("0", "activation", method, method.encode(data[0].numpy()), labels=data[1].numpy())


def test_a_learned_mask_finds_the_units_of_a_class(
    model: nn.Module, data: tuple[Tensor, Tensor]
) -> None:
    for which in range(CLASSES):
        mask = learned_mask(model, "0", data, [which])
        assert set(np.argsort(-mask)[:2]) == {2 * which, 2 * which + 1}
    assert np.array_equal(learned_mask(model, "0", data, [1]), learned_mask(model, "0", data, [1]))
    mask = learned_mask(model, "0", data, [1, 2])
    assert set(np.argsort(-mask)[:4]) == {2, 3, 4, 5}


def test_a_mask_counts_from_the_off_value(model: nn.Module, data: tuple[Tensor, Tensor]) -> None:
    """Units that are at their off value anyway cannot be learned from."""
    mask = learned_mask(model, "0", data, [1], value=data[0])
    np.testing.assert_allclose(mask, -2.0)
    with pytest.raises(CodeclensError, match="of the class and of others"):
        learned_mask(model, "0", data, [9])


def test_clusters_find_the_halves_and_the_larger_is_ranked(
    model: nn.Module, data: tuple[Tensor, Tensor], modes: Modes
) -> None:
    inputs = RankingInputs(model, modes, training=data)
    member = data[1] == 2
    found = clusters(data[0][member].numpy())
    first = data[0][member][:, 4].numpy() > 1
    assert np.array_equal(found, first) or np.array_equal(found, ~first)
    ranking = STRICT["k-means gradient"](inputs, [2])
    assert ranking.orders(UNITS, 1, 0)[0, 0] == 4  # the unit of two thirds of the images
    expected = data[0][member][first].double().mean(dim=0)[4:6]
    np.testing.assert_allclose(ranking.scores[4:6], expected, rtol=1e-5)


def test_strict_controls_are_named_like_the_others(
    model: nn.Module, data: tuple[Tensor, Tensor], modes: Modes
) -> None:
    assert set(STRICT) < set(CONTROLS)
    curve = control_curve(
        model, data, modes, class_index=1, fractions=[0.25], training=data,
        controls=["learned mask", "k-means gradient", by_modes_of(modes, "the same modes")],
    )  # fmt: skip
    assert curve["learned mask"].target.value[0] == 0
    assert curve["the same modes"].selectivity.value == curve.mode.selectivity.value
    assert "trained by gradient" in curve["learned mask"].source


# Merged classes


def test_a_merged_output_is_the_logsumexp_and_the_rest_stays(generator: torch.Generator) -> None:
    logits = torch.randn(5, 6, generator=generator)
    found = merged.Merged(nn.Identity(), [(1, 4), (5, 0)], classes=6)(logits)
    odds = logits.exp()
    expected = torch.stack([odds[:, 1] + odds[:, 4], odds[:, 5] + odds[:, 0]], dim=1).log()
    torch.testing.assert_close(found[:, :2], expected)
    torch.testing.assert_close(found[:, 2:], logits[:, [2, 3]])
    with pytest.raises(ValueError, match="more than one group"):
        merged.Merged(nn.Identity(), [(1, 4), (4, 0)], classes=6)


def test_methods_that_know_the_halves_win_and_a_mean_cannot(
    model: nn.Module, data: tuple[Tensor, Tensor]
) -> None:
    pairs = [((0,), (1,)), ((2,), (3,))]
    rows = [
        row
        for question in merged.questions_of_pairs(model, data, data, pairs)
        for row in merged.measure(question, "0", fractions=[0.13, 0.25, 0.38])
    ]
    assert len(rows) == len(merged.METHODS) * 4
    mean = {
        name: np.mean([row["difference"] for row in rows if row["condition"] == name])
        for name in merged.METHODS
    }
    for name in ("true sub-labels, then gradient", "k-means, then gradient", "gradient modes"):
        assert mean[name] < -0.5, name
    assert abs(mean["class mean"]) < 1e-9  # it hits both halves of each pair by turns


def test_groups_of_classes_are_the_halves_of_one_output(data: tuple[Tensor, Tensor]) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(data[0][0].numel(), 4))
    (question,) = merged.questions_of_pairs(model, data, data, [((0, 3), (1, 2))])
    assert question.names == ("0, 3", "1, 2")
    rows = np.isin(data[1].numpy(), (1, 2))
    np.testing.assert_array_equal(question.held_out[1], rows.astype(int))
    torch.testing.assert_close(
        question.model(data[0])[:, question.output], model(data[0]).logsumexp(dim=1)
    )


def test_halves_of_one_class_need_no_merged_output(
    model: nn.Module, data: tuple[Tensor, Tensor]
) -> None:
    # Images of class 0 show it in one of its two units.
    rows = data[1] == 0
    half = (data[0][rows][:, 1] > 1).long().numpy()
    side = (data[0][rows], half)
    question = merged.Question(model, 0, ("first unit", "second unit"), side, side)
    found = merged.measure(question, "0", fractions=[0.13, 0.25, 0.38])
    assert {row["half"] for row in found} == {"first unit", "second unit"}
    mean = {
        name: np.mean([row["difference"] for row in found if row["condition"] == name])
        for name in merged.METHODS
    }
    assert mean["true sub-labels, then gradient"] < -0.3
    assert abs(mean["class mean"]) < 1e-9


def test_rankings_go_to_the_half_that_they_are_made_from() -> None:
    belongs = np.array([[5.0, 0.0], [4.0, 1.0], [0.0, 0.2], [0.0, 0.1]])
    assert merged.assigned(belongs, np.array([0, 0, 1, 1])) == [0, 1]
    assert merged.assigned(belongs, np.array([1, 1, 0, 0])) == [1, 0]
    # The scale of a ranking does not matter.
    assert merged.assigned(belongs * [1.0, 1000.0], np.array([0, 0, 1, 1])) == [0, 1]
