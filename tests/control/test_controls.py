"""Every control against what it says it is, on a network whose units belong to classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from codeclens.attribution import ActivationGradient, Label
from codeclens.control import ALL, RankingInputs, control_curve, mode_of
from codeclens.control.controls import CONTROLS, following
from codeclens.decomposition import NMF, Modes, decompose
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore, extract
from reference import correlation_with_group, mean_gradient_times_activation

CLASSES = 4


class Network(nn.Module):
    """Class c is seen by the units 2 c, strongly, and 2 c + 1."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(2 * CLASSES, 2 * CLASSES, bias=False), nn.ReLU())
        self.head = nn.Linear(2 * CLASSES, CLASSES)
        with torch.no_grad():
            self.hidden[0].weight.copy_(torch.eye(2 * CLASSES))
            head = torch.zeros(CLASSES, 2 * CLASSES)
            for which in range(CLASSES):
                head[which, 2 * which : 2 * which + 2] = torch.tensor([2.0, 1.0])
            self.head.weight.copy_(head)
            self.head.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(x))


@pytest.fixture(scope="module")
def model() -> Network:
    return Network()


@pytest.fixture(scope="module")
def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % CLASSES
    x = torch.rand(120, 2 * CLASSES, generator=generator) * 0.2
    for row, which in enumerate(labels):
        x[row, 2 * which : 2 * which + 2] += 0.5 + torch.rand(2, generator=generator)
    return x, labels


@pytest.fixture(scope="module")
def store(
    model: Network, data: tuple[Tensor, Tensor], tmp_path_factory: pytest.TempPathFactory
) -> ContributionStore:
    to = tmp_path_factory.mktemp("controls") / "c.zarr"
    method, target = ActivationGradient(), Label()
    return extract(model, data, sites="hidden", method=method, target=target, to=to)


@pytest.fixture(scope="module")
def modes(store: ContributionStore) -> Modes:
    return decompose(store, NMF(n_modes=CLASSES))["hidden"]


@pytest.fixture(scope="module")
def evidence(
    model: Network, data: tuple[Tensor, Tensor], store: ContributionStore, modes: Modes
) -> RankingInputs:
    return RankingInputs(model, modes, store, data)


def order(name: str, evidence: RankingInputs, *members: int) -> list[int]:
    return CONTROLS[name](evidence, members).orders(2 * CLASSES, 1, 0)[0].tolist()


# A principal component holds what two classes differ in.
ALIKE = [name for name in ALL if name not in ("random", "PCA modes")]


@pytest.mark.parametrize("name", ALIKE)
@pytest.mark.parametrize("which", range(CLASSES))
def test_every_control_finds_the_two_units_of_a_class(
    name: str, which: int, evidence: RankingInputs
) -> None:
    assert set(order(name, evidence, which)[:2]) == {2 * which, 2 * which + 1}


@pytest.mark.parametrize("name", ["best channels", "class mean", "class contrast", "gradient"])
def test_a_superclass_has_the_units_of_its_classes(name: str, evidence: RankingInputs) -> None:
    assert set(order(name, evidence, 1, 3)[:4]) == {2, 3, 6, 7}


def test_scores_are_those_of_the_reference(
    evidence: RankingInputs, model: Network, data: tuple[Tensor, Tensor], store: ContributionStore
) -> None:
    x, labels = data
    member = labels.numpy() == 2
    net, activation = store.view("hidden", "sum"), store.view("hidden", "activation")
    found = {name: CONTROLS[name](evidence, [2]).scores for name in ALL if name in (
        "best channels", "class mean", "class contrast", "gradient")}  # fmt: skip
    expected = [correlation_with_group(activation[:, unit], member) for unit in range(2 * CLASSES)]
    np.testing.assert_allclose(found["best channels"], expected, atol=1e-6)
    # All contributions are positive here: the larger of both signs is the mean.
    np.testing.assert_allclose(found["class mean"], net[member].mean(axis=0), rtol=1e-5)
    contrast = net[member].mean(axis=0) - net[~member].mean(axis=0)
    np.testing.assert_allclose(found["class contrast"], contrast, rtol=1e-5)
    gradient = mean_gradient_times_activation(model.hidden, model.head, x[labels == 2], 2)
    np.testing.assert_allclose(found["gradient"], gradient, rtol=1e-5)


def test_the_mode_of_a_superclass_follows_all_of_it(modes: Modes) -> None:
    member = np.isin(modes.labels, [0, 3])
    expected = [correlation_with_group(z, member) for z in np.asarray(modes.loadings).T]
    np.testing.assert_allclose(following(modes, [0, 3]), expected, atol=1e-6)
    assert mode_of(modes, [0, 3]).index == int(np.argmax(expected))
    assert mode_of(modes, [2]).index == modes.for_class(2).index
    with pytest.raises(CodeclensError, match="classes 0, 1, 2, 3 together"):
        mode_of(modes, [0, 1, 2, 3])


def test_summed_modes_weigh_modes_by_how_much_more_the_class_loads_on_them(
    evidence: RankingInputs, modes: Modes
) -> None:
    ranking = CONTROLS["summed modes"](evidence, [1])
    member = modes.labels == 1
    expected = sum(
        (z[member].mean() - z.mean()) * net
        for z, net in zip(np.asarray(modes.loadings).T, modes.weights, strict=True)
    )
    np.testing.assert_allclose(ranking.scores, expected, atol=1e-6)
    assert "uses labels" in ranking.source


def test_the_component_is_the_one_that_follows_the_class(
    evidence: RankingInputs, store: ContributionStore
) -> None:
    found = evidence.components
    for which in range(CLASSES):
        member = store.label == which
        follows = np.array(
            [correlation_with_group(z, member) for z in np.asarray(found.loadings).T]
        )
        number = int(np.argmax(np.abs(follows)))
        row = found.dictionary[number] * np.sign(follows[number])
        net = row[: 2 * CLASSES] - row[2 * CLASSES :]
        top = order("PCA modes", evidence, which)[:4]
        np.testing.assert_allclose(net[top], np.sort(net)[::-1][:4])


def test_all_controls_in_one_call(
    model: Network, data: tuple[Tensor, Tensor], store: ContributionStore, modes: Modes
) -> None:
    curve = control_curve(
        model, data, modes, class_index=3, controls=ALL, store=store, fractions=[0.25, 0.5]
    )
    assert [condition.name for condition in curve.conditions[1:]] == list(ALL)
    for name in ALIKE:  # they choose the same two units
        assert curve[name].target.value[0] == curve.mode.target.value[0]
        assert curve[name].others.value[0] == 1
    assert curve["random"].advantage.verdict == "better"
    assert "the very images that are measured" in curve["gradient"].source
    apart = control_curve(
        model, data, modes, class_index=3, controls=["gradient"], store=store,
        training=(data[0][:60], data[1][:60]), fractions=[0.25],
    )  # fmt: skip
    assert "its training images" in apart["gradient"].source


def test_missing_input_is_reported(
    model: Network, data: tuple[Tensor, Tensor], modes: Modes, store: ContributionStore
) -> None:
    for name in ("best channels", "class mean", "activation modes", "PCA modes"):
        with pytest.raises(CodeclensError, match="pass store=…"):
            control_curve(model, data, modes, class_index=0, controls=[name])
    with pytest.raises(CodeclensError, match="No training image has the label 1"):
        RankingInputs(model, modes, store, (data[0][:1], data[1][:1])).gradients([1])
    with pytest.raises(CodeclensError, match="no sample of class 9"):
        RankingInputs(model, modes, store).member([9])


def test_activation_modes_that_are_given_are_taken(
    model: Network, store: ContributionStore, modes: Modes, tmp_path: Path
) -> None:
    given = decompose(store, NMF(n_modes=3), view="activation")["hidden"]
    assert RankingInputs(model, modes, store, activation_modes=given).of_activations is given
    assert len(RankingInputs(model, modes, store).of_activations) == CLASSES
