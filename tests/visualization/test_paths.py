"""Path maps against one backward for each place and segment, and what they sum to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
import reference
from codeclens import CodeclensError, Contrast, Output
from codeclens.attribution import (
    ActivationGradient,
    Attributor,
    Conductance,
    Contributions,
    Division,
    contributions,
)
from codeclens.decomposition import NMF, PCA, Modes, mode_shares
from codeclens.visualization import path_maps
from codeclens.visualization.pixel_maps import maps_of_modes, net_maps_of_modes
from visualization.slow_pixels import slow_path_maps

NODES = (0.0, 0.15, 0.5, 1.0)
METHOD = Conductance(nodes=NODES)


@dataclass(frozen=True)
class Setting:
    model: torch.nn.Module
    x: Tensor
    modes: Modes
    found: Contributions


def setting(site: str, view: str = "concat", kind: str = "residual") -> Setting:
    model = (networks.residual_cnn() if kind == "residual" else networks.small_vit()).double()
    x = networks.noise(12, 3, 8, 8)
    found = contributions(model, x, sites=site, method=METHOD)
    here = found[site]
    given = {"concat": torch.cat([here.positive, -here.negative], 1), "sum": here.net}[view]
    method = (NMF(n_modes=4) if view == "concat" else PCA(n_modes=3)).fit(given.numpy())
    modes = Modes(site, view, method, method.encode(given.numpy()))  # type: ignore[arg-type]
    return Setting(model, x, modes, found)


def test_maps_equal_one_backward_for_each_place_and_segment() -> None:
    # No pooling by maxima, which has no slope of its own in the slow version.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [
            nn.Conv2d(3, 5, 3, 2),
            nn.ReLU(),
            nn.Conv2d(5, 6, 2),
            nn.ReLU(),
            nn.Conv2d(6, 4, 2),
        ]
        layers += [nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)]
        model = nn.Sequential(*layers).double()
    x = networks.noise(2, 3, 9, 9)
    attributor = Attributor(
        model, sites="3", method=METHOD, target=Output(1), baseline=0.125, reduce=None
    )
    full = attributor(x)["3"].full
    assert full is not None
    shares = torch.rand(2, 2, full.shape[1], generator=torch.Generator().manual_seed(0)).double()
    divided = Division(shares, shares.flip(1), full.flatten(2) > 0)
    found = attributor.pixels(x, {"3": divided})["3"]
    for part in range(2):
        share = divided.field(part).reshape(full.shape)
        expected = slow_path_maps(
            model, x, "3", lambda y: y[:, 1], torch.full_like(x, 0.125), NODES, share
        )
        for ours, slow in zip(found[part], expected, strict=True):
            assert slow.abs().max() > 0
            assert reference.difference(ours, slow) < 1e-9
            large = slow.abs() > 1e-12 * slow.abs().max()
            assert torch.equal(ours.sign()[large], slow.sign()[large])


@pytest.mark.parametrize("kind", ["residual", "vit"])
@pytest.mark.parametrize("view", ["concat", "sum"])
def test_pixels_modes_and_output_add_up(kind: str, view: str) -> None:
    site = "layer1.1" if kind == "residual" else "blocks.0"
    made = setting(site, view, kind)
    x = made.x[:3]
    maps = path_maps(made.model, x, made.modes, method=METHOD)
    here = made.found[site]
    parts = [part[:3].double().numpy() for part in (here.positive, here.negative, here.activation)]
    shares = mode_shares(made.modes, *parts, most=99)
    for number, one in enumerate(maps):
        expected = (shares.contribution * (shares.mode == number)).sum(axis=1)
        np.testing.assert_allclose(one.net.flatten(1).sum(dim=1), expected, rtol=1e-9, atol=1e-12)
        assert one.mode == number
    # The site is a cut: nothing reaches the target by another way.
    total = sum(one.net for one in maps).flatten(1).sum(dim=1)  # type: ignore[union-attr]
    change = (made.found.target - made.found.baseline_target)[:3]
    torch.testing.assert_close(total, change, rtol=1e-9, atol=1e-12)


def test_signs_hold_where_units_excite_and_suppress() -> None:
    made = setting("layer1.1")
    maps = path_maps(made.model, made.x[:2], made.modes, method=METHOD)
    here = made.found["layer1.1"]
    total = sum(one.excitation for one in maps)
    torch.testing.assert_close(total, here.positive[:2].sum(dim=1), rtol=1e-9, atol=1e-12)
    total = sum(one.suppression for one in maps)
    torch.testing.assert_close(total, here.negative[:2].sum(dim=1), rtol=1e-9, atol=1e-12)


def test_chosen_modes_come_in_their_order_and_targets_are_kept() -> None:
    made = setting("layer1.1")
    x, target = made.x[:2], Contrast(0, 3)
    three = path_maps(made.model, x, made.modes, [2, 0], method=METHOD, target=target)
    whole = path_maps(made.model, x, made.modes, method=METHOD, target=target)
    assert [one.mode for one in three] == [2, 0]
    torch.testing.assert_close(three[0].positive, whole[2].positive)
    output = made.model(x).detach()
    torch.testing.assert_close(three[0].target, output[:, 0] - output[:, 3])
    assert 'mode 2 of "layer1.1"' in repr(three[0])


def test_smoothing_keeps_the_sums() -> None:
    made = setting("layer1.1")
    one = path_maps(made.model, made.x[:2], made.modes, [0], method=METHOD)[0]
    soft = one.smoothed(1.5)
    torch.testing.assert_close(soft.excitation, one.excitation)
    torch.testing.assert_close(soft.suppression, one.suppression)
    assert soft.positive.abs().max() < one.positive.abs().max()


def test_sums_and_modes_that_do_not_exist_are_reported() -> None:
    made = setting("layer1.1")
    with pytest.raises(CodeclensError, match=r"1\.5 is not a mode"):
        path_maps(made.model, made.x, made.modes, [1.5], method=METHOD)  # type: ignore[list-item]
    with pytest.raises(CodeclensError, match="no mode 9"):
        path_maps(made.model, made.x[:1], made.modes, [9], method=METHOD)
    with pytest.raises(CodeclensError, match="secant"):
        path_maps(made.model, made.x[:1], made.modes, [0], method=Conductance(4, "trapezoid"))
    with pytest.raises(CodeclensError, match="secant"):
        path_maps(made.model, made.x[:1], made.modes, [0], method=ActivationGradient())


def test_net_maps_are_the_sums_of_both_signs() -> None:
    model, x = networks.residual_cnn().double(), networks.noise(2, 3, 8, 8)
    attributor = Attributor(model, sites="layer1.1", reduce=None, method=Conductance(3))
    attributor = attributor.prepared(x)
    found = attributor(x)
    values = np.random.default_rng(0).gamma(0.5, size=(20, found["layer1.1"].positive.shape[1]))
    modes = Modes("layer1.1", "positive", (nmf := NMF(n_modes=2).fit(values)), nmf.encode(values))
    given = (attributor, x, found, {"layer1.1": modes}, {"layer1.1": [1, 2]})
    net = net_maps_of_modes(*given)["layer1.1"]
    for one in maps_of_modes(*given)["layer1.1"]:
        assert one.mode is not None
        torch.testing.assert_close(net[one.mode], one.net, rtol=1e-9, atol=1e-12)
