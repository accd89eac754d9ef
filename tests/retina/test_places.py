"""Modes by place: found where they were planted, and exact through fields and removals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import codeclens as cl
from codeclens.errors import CodeclensError
from codeclens.retina import (
    Movie,
    RetinaCNN,
    Screen,
    explain_phenomenon,
    field_parts,
    held_out_blocks,
    mode_maps,
    movie_contributions,
    population_modes,
    receptive_fields,
    removal_effects,
    sign_balance,
)


@pytest.fixture(scope="module")
def model() -> RetinaCNN:
    return RetinaCNN(
        ["a", "b"], rate=50.0, pixel=50.0, unit="um", size=(9, 8), history=5, kernels=(3, 3),
        channels=(2, 3), seed=1,
    ).eval().double()  # fmt: skip


@pytest.fixture(scope="module")
def movie() -> Movie:
    generator = torch.Generator().manual_seed(0)
    return Movie(torch.randn(140, 9, 8, generator=generator, dtype=torch.float64), 50.0, 50.0, "um")


def test_contributions_by_place_sum_to_those_of_channels(model: RetinaCNN, movie: Movie) -> None:
    found = movie_contributions(model, movie, between=(0.5, 1.0), places=True)
    assert found.contribution.dims == ("time", "cell", "layer", "channel", "row", "column")
    net = found.contribution.sum(("row", "column"))
    wanted = (found.positive + found.negative).fillna(0)
    np.testing.assert_allclose(net, wanted, atol=1e-9)
    gain = found.contribution.clip(min=0).sum(("row", "column"))
    np.testing.assert_allclose(gain, found.positive.fillna(0), atol=1e-9)
    # The maps of the second layer are smaller than those of the first.
    second = found.contribution.sel(layer="second")
    assert not np.isnan(second[:, :, :3, :5, :4]).any()
    assert np.isnan(second[:, :, :3, 5:]).all()
    whole = cl.contributions(
        model, model.windows(movie)[21:22], sites="second", target=cl.Output(1), reduce=None
    )["second"].full
    assert whole is not None
    # The nodes of the path are placed by other windows.
    np.testing.assert_allclose(second[0, 1, :3, :5, :4], whole[0], atol=1e-6)
    with pytest.raises(CodeclensError, match="not both"):
        movie_contributions(model, movie, places=True, lags=True)


def test_modes_by_place_are_the_same_from_both_sources(model: RetinaCNN, movie: Movie) -> None:
    windows = model.windows(movie)
    full = cl.contributions(model, windows, sites="second", target=cl.Output(0), reduce=None)
    found = movie_contributions(model, movie, cells=["a"], places=True).sel(cell="a")
    split = held_out_blocks(len(windows), gap=4)
    one, other = (
        population_modes(each, cl.NMF(2), split, sites="second", places=True)["second"]
        for each in (full, found)
    )
    np.testing.assert_allclose(one.dictionary, other.dictionary, atol=1e-4)
    assert one.dictionary.shape == (4, 2 * 3 * 5 * 4)
    np.testing.assert_array_equal(sign_balance(one), [1, 1, -1, -1])
    maps = mode_maps(one)
    assert maps.shape == (4, 3, 5, 4)
    assert bool((maps[:2] >= 0).all() and (maps[2:] <= 0).all())
    assert 0 < one.r2 <= 1
    plain = population_modes(full, cl.NMF(2), split)["second"]
    with pytest.raises(CodeclensError, match="have no maps"):
        mode_maps(plain)
    summed = cl.contributions(model, windows, sites="second", target=cl.Output(0))
    with pytest.raises(CodeclensError, match="summed over places"):
        population_modes(summed, cl.NMF(2), split, places=True)


def test_planted_inhibition_at_a_place_is_a_mode() -> None:
    """Two inputs of one unit at two places, which sums over places mix."""
    random = np.random.default_rng(0)
    sources = random.gamma(0.5, size=(200, 2))
    values = np.zeros((200, 1, 2, 3), np.float32)
    values[:, 0, 0, 0], values[:, 0, 1, 2] = -sources[:, 0], -3 * sources[:, 1]
    site = cl.Site("x")
    full = torch.from_numpy(values)
    units = full.flatten(2).sum(2)
    found = {
        "x": cl.attribution.SiteContributions(
            site, 0 * units, units, 0 * units, torch.zeros(200), True, full
        )
    }
    # Where nothing excites there would be nothing to decompose.
    full[:, 0, 0, 1] = torch.from_numpy(random.gamma(0.5, size=200)).float()
    modes = population_modes(found, cl.NMF(2), held_out_blocks(200), places=True)["x"]
    inhibition = np.asarray(modes.loadings)[:, 2:]
    r = np.corrcoef(inhibition.T, sources.T)[:2, 2:]
    assert np.sort(r.max(axis=0))[0] > 0.99


def test_fields_and_removals_divide_by_place_exactly(model: RetinaCNN, movie: Movie) -> None:
    windows = model.windows(movie)
    found = cl.contributions(model, windows, sites="second", target=cl.Output(0), reduce=None)
    split = held_out_blocks(len(windows), gap=4)
    modes = population_modes(found, cl.NMF(2), split, places=True)["second"]
    parts = field_parts(model, movie, modes, found, frames=range(3), cells="a")
    assert parts.mode.values.tolist() == ["0", "1", "2", "3", "remainder"]
    whole = receptive_fields(model, movie, frames=range(3), cells="a")
    np.testing.assert_allclose(parts.sum("mode"), whole, atol=1e-9)
    # The first part by hand: its share of every unit at every place, times the gain.
    full = found["second"].full
    assert full is not None
    flat = full.flatten(1).numpy()
    loading = modes.encode(np.concatenate([flat.clip(0), (-flat).clip(0)], 1).astype(np.float32))
    columns = flat.shape[1]
    towards = loading[0, :, None] * np.where(
        flat[0] > 0, modes.dictionary[:, :columns], modes.dictionary[:, columns:]
    )
    share = towards[0] / np.maximum(towards.sum(axis=0), abs(flat[0]))
    start = windows[:1].clone().requires_grad_()
    kept: list[torch.Tensor] = []
    hook = model.second.register_forward_hook(lambda *a: kept.append(a[2]))
    rate = model(start)[0, 0]
    hook.remove()
    (gain,) = torch.autograd.grad(rate, kept[0], retain_graph=True)
    cotangent = gain * torch.from_numpy(share).view_as(gain)
    (wanted,) = torch.autograd.grad(kept[0], start, cotangent)
    np.testing.assert_allclose(parts[0, 0, 0], wanted[0], atol=1e-6)
    effects = removal_effects(model, movie, modes, found, frames=range(3), cells="a")
    predicted = effects.rate_predicted.sum("mode")
    rest = model(torch.zeros_like(windows[:1]))[0, 0].detach()
    change = rest - model(windows[:3])[:, 0].detach()
    np.testing.assert_allclose(predicted[:, 0], change, atol=1e-6)
    explained = explain_phenomenon(
        "omitted_stimulus", model, Screen((9, 8)), modes=modes, cells="a"
    ).data
    np.testing.assert_allclose(
        explained.mode_contribution.sum("mode"), explained.rate - explained.baseline_rate, atol=1e-6
    )
