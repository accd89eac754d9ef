"""Keyword arguments of a model, in every function that computes with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import codeclens as cl
import networks
from codeclens.attribution import Inputs, SharedValue
from codeclens.errors import CodeclensError


class Gated(nn.Module):
    """Features `(B, 6)` and a mask by keyword; `scale` is shared by all samples."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor, mask: Tensor | None = None, scale: Any = 1.0) -> Tensor:
        assert mask is not None
        h = torch.tanh(self.first(x)) * mask
        out: Tensor = self.head(torch.relu(self.second(h)) * scale)
        return out


class Fixed(nn.Module):
    """The same model with the mask as the last eight features of its input."""

    def __init__(self, inner: Gated, scale: float) -> None:
        super().__init__()
        self.inner, self.scale = inner, scale

    def forward(self, both: Tensor) -> Tensor:
        out: Tensor = self.inner(both[:, :6], both[:, 6:], self.scale)
        return out


@pytest.fixture
def model() -> Gated:
    return networks.seeded(Gated).double()


@pytest.fixture
def x() -> Tensor:
    return networks.noise(12, 6)


@pytest.fixture
def mask() -> Tensor:
    return (networks.noise(12, 8, seed=3) > -0.5).double()


METHOD = cl.Conductance(3, nodes="uniform")


def modes_of(store: cl.ContributionStore) -> Any:
    return cl.decompose(store, cl.NMF(n_modes=3))


def test_extraction_and_flow_take_them(model: Gated, x: Tensor, mask: Tensor, tmp_path: Path):
    given = {"mask": mask, "scale": 2.0}
    sites, options = ["first", "second"], {"method": METHOD, "batch_size": 5}
    store = cl.extract(model, x, sites=sites, to=tmp_path / "a.zarr", model_kwargs=given, **options)
    whole = cl.contributions(model, x, sites=sites, method=METHOD, model_kwargs=given)
    for site in sites:
        np.testing.assert_allclose(store.view(site, "sum"), whole[site].net, rtol=1e-5, atol=1e-7)
    modes = modes_of(store)
    flowed = cl.flow(model, x, modes, method=METHOD, batch_size=5, model_kwargs=given)
    assert abs(flowed["first", "second"].completeness).max() < 1e-12
    # One tensor in place of both inputs, with a baseline that holds the mask.
    both = torch.cat([x, mask], dim=1)
    start = torch.cat([torch.zeros_like(x), mask], dim=1)
    joined = {f"inner.{site}": modes[site] for site in sites}
    for name, one in joined.items():
        joined[name] = cl.Modes(name, one.view, one.fitted, one.loadings)
    other = cl.flow(
        Fixed(model, 2.0), both[:5], joined, method=METHOD, batch_size=5, baseline=start[:5]
    )
    own = flowed["first", "second"].joint[:5].toarray()
    np.testing.assert_allclose(
        other["inner.first", "inner.second"].joint.toarray(), own, rtol=1e-6, atol=1e-9
    )


def test_another_argument_is_another_store(model: Gated, x: Tensor, mask: Tensor, tmp_path: Path):
    to = {"sites": "first", "to": tmp_path / "a.zarr", "method": METHOD}
    cl.extract(model, x, model_kwargs={"mask": mask}, **to)
    again = cl.extract(model, x, model_kwargs={"mask": mask}, **to)
    assert len(again) == 12
    with pytest.raises(CodeclensError, match="model_kwargs"):
        cl.extract(model, x, model_kwargs={"mask": 1 - mask}, **to)
    planned = cl.plan(model, x, sites="first", method=METHOD, model_kwargs={"mask": mask})
    assert planned.samples == 12


def test_shared_values_stay_whole(model: Gated, x: Tensor, mask: Tensor, tmp_path: Path) -> None:
    # As long as the data, but of all samples: one number for each of the eight hidden units.
    few, shared = x[:8], torch.linspace(0.5, 2, 8, dtype=torch.float64)
    given = {"mask": mask[:8], "scale": SharedValue(shared)}
    store = cl.extract(
        model, few, sites="second", to=tmp_path / "a.zarr", method=METHOD, batch_size=3,
        model_kwargs=given,
    )  # fmt: skip
    plain = {"mask": mask[:8], "scale": shared[None].expand(8, 8).clone()}
    whole = cl.contributions(model, few, sites="second", method=METHOD, model_kwargs=plain)
    np.testing.assert_allclose(store.view("second", "sum"), whole["second"].net, rtol=1e-5)


def test_axes_are_rotated_with_them(model: Gated, x: Tensor, mask: Tensor) -> None:
    given = {"mask": mask, "scale": 2.0}
    turned, site = cl.in_axes(model, "second", x, axes="principal", model_kwargs=given)
    torch.testing.assert_close(turned(x, **given), model(x, **given))
    found = cl.contributions(turned, x, sites=site, method=METHOD, model_kwargs=given)
    before = cl.contributions(model, x, sites="second", method=METHOD, model_kwargs=given)
    one, other = found[site.key], before["second"]
    torch.testing.assert_close(one.net.sum(1), other.net.sum(1))
    size = (one.positive - one.negative).sum(1)
    assert (one.completeness.abs() / size).max() < 1e-12


def test_joint_contributions_of_several_inputs_sum(model: Gated, x: Tensor, mask: Tensor) -> None:
    from codeclens.attribution import Attributor, Division

    several = Inputs.of(x, {"mask": mask, "scale": 2.0})
    attributor = Attributor(model, sites=["first", "second"], method=METHOD, reduce=None)
    found = attributor(several)
    ones = {}
    for key in ("first", "second"):
        full = torch.ones(12, 1, 8, dtype=torch.float64)
        ones[key] = Division(full, full, (found[key].full > 0)[:, :, None])
    joint = attributor.joint(several, ones, [("first", "second")])["first", "second"]
    change = found.target - found.baseline_target
    torch.testing.assert_close(joint[:, 0, 0], change)
