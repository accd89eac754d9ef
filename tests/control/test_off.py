"""Off values against a network whose activations are known, and what curves make of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from codeclens.attribution import ActivationGradient, Blur, Conductance, Label, Site
from codeclens.control import (
    ByScore,
    ablate,
    activation_at,
    control_curve,
    default_off,
    necessity,
    off_value,
    preserve,
)
from codeclens.control.controls import RankingInputs
from codeclens.decomposition import NMF, Modes, decompose
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore, extract

CLASSES, UNITS = 3, 6


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, UNITS), nn.Softplus(), nn.Linear(UNITS, CLASSES))


@pytest.fixture(scope="module")
def data(model: nn.Module) -> tuple[Tensor, Tensor]:
    x = torch.randn(90, 4, generator=torch.Generator().manual_seed(1)) * 3
    with torch.no_grad():
        return x, model(x).argmax(dim=1)


def stored(
    model: nn.Module, data: tuple[Tensor, Tensor], to: Path, **options: object
) -> tuple[ContributionStore, Modes]:
    store = extract(model, data, sites="1", target=Label(), to=to / "c.zarr", **options)
    return store, decompose(store, NMF(n_modes=4))["1"]


def test_values_are_those_of_the_network(model: nn.Module, data: tuple[Tensor, Tensor]) -> None:
    x, site = data[0], Site("1")
    rest = model[1](model[0](torch.zeros(1, 4)))
    torch.testing.assert_close(off_value(model, site, x, "baseline"), rest.detach())
    mean = model[1](model[0](x)).mean(dim=0, keepdim=True)
    torch.testing.assert_close(off_value(model, site, x, "mean"), mean.detach())
    assert off_value(model, site, None, 2.0) == 2.0
    shifted = off_value(model, site, x, "baseline", baseline=x + 1)
    torch.testing.assert_close(shifted, activation_at(model, "1", x + 1))


def test_mistakes(model: nn.Module, data: tuple[Tensor, Tensor]) -> None:
    for off, images, message in (
        ("basline", data[0], 'no off value "basline"; the nearest name'),
        ("mean", None, 'off="mean" is computed from images; pass images=x'),
        (float("nan"), data[0], "off=nan is not a finite"),
    ):
        with pytest.raises(CodeclensError, match=message):
            off_value(model, Site("1"), images, off)


def test_interventions_take_the_same_values(model: nn.Module, data: tuple[Tensor, Tensor]) -> None:
    x = data[0]
    rest = activation_at(model, "1", torch.zeros(1, 4))
    a = activation_at(model, "1", x)
    edited = a.clone()
    edited[:, [0, 2]] = rest[:, [0, 2]]
    with ablate(model, "1", units=[0, 2], images=x):  # the default, where images are given
        torch.testing.assert_close(model(x), model[2](edited))
    with preserve(model, "1", units=[1, 3, 4, 5], off="baseline", images=x):
        torch.testing.assert_close(model(x), model[2](edited))
    with ablate(model, "1", units=range(UNITS), off="mean", images=x):
        torch.testing.assert_close(model(x), model[2](a.mean(dim=0)).expand(90, -1))


def test_the_default_matches_how_contributions_count(
    model: nn.Module, data: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    _, counted = stored(model, data, tmp_path / "a", method=Conductance(steps=3), baseline=0.5)
    assert default_off(counted) == ("baseline", 0.5)
    _, gradient = stored(model, data, tmp_path / "b", method=ActivationGradient())
    assert default_off(gradient) == (0.0, 0.0)
    assert default_off(counted[0]) == (0.0, 0.0)
    # A baseline that is not one number is only named in the store.
    provenance = {"contributions": {"settings": {
        "method": {"class": "Conductance"}, "baseline": {"class": "Blur"}}}}  # fmt: skip
    blurred = replace(counted, provenance=provenance)
    with pytest.raises(CodeclensError, match="baseline of class Blur"):
        default_off(blurred)
    assert default_off(blurred, Blur(2.0)) == ("baseline", Blur(2.0))


def test_curves_set_units_to_it_and_name_it(
    model: nn.Module, data: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    x, labels = data
    store, modes = stored(model, data, tmp_path, method=Conductance(steps=3))
    chosen = ByScore("first", np.arange(UNITS, 0, -1))
    for kind in ("ablate", "preserve"):
        curve = control_curve(
            model, data, modes, class_index=1, fractions=[0.5], controls=[chosen, "gradient"],
            store=store, kind=kind,
        )  # fmt: skip
        assert curve.off == "the baseline activation"
        assert "set to the baseline activation" in curve.sentence()
        assert "gradient × (activation − the baseline activation)" in curve["gradient"].source
        edited = activation_at(model, "1", x)
        gone = [0, 1, 2] if kind == "ablate" else [3, 4, 5]
        edited[:, gone] = activation_at(model, "1", torch.zeros(1, 4))[:, gone]
        hits = (model[2](edited).argmax(dim=1) == labels)[labels == 1]
        assert curve["first"].target.value[0] == pytest.approx(hits.double().mean().item())


def test_the_gradient_control_predicts_the_off_value(
    model: nn.Module, data: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    x, labels = data
    _, modes = stored(model, data, tmp_path, method=Conductance(steps=3))
    a = activation_at(model, "1", x)
    weight = model[2].weight.detach()
    rest = activation_at(model, "1", torch.zeros(1, 4))
    for off, from_ in (("baseline", rest), (0.0, 0 * rest), ("mean", a.mean(dim=0))):
        inputs = RankingInputs(model, modes, training=data, off=off)
        member = labels == 2
        expected = ((a - from_) * weight[2])[member].mean(dim=0)  # the rest is linear
        np.testing.assert_allclose(inputs.gradients([2]), expected, rtol=1e-4, atol=1e-5)


def test_necessity_warns_where_method_and_intervention_do_not_match(
    model: nn.Module, data: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    x = data[0][:10]
    _, modes = stored(model, data, tmp_path, method=Conductance(steps=3))
    found = necessity(model, x, modes, method=Conductance(steps=3), chosen=[0])
    assert found.off == "the baseline activation"
    assert found.to_xarray().attrs["off"] == found.off
    with pytest.warns(UserWarning, match="units return to the baseline activation, and here"):
        necessity(model, x, modes, method=Conductance(steps=3), chosen=[0], off=0)
    assert necessity(model, x, modes, method=ActivationGradient(), chosen=[0]).off == "0"
