"""Place maps: they sum to what modes contribute, on the site and on the picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import networks
from codeclens import CodeclensError, Conductance
from codeclens.attribution import contributions
from codeclens.decomposition import NMF, PCA, Modes, shares_of
from codeclens.visualization import as_plane, place_maps, place_overlay, region, spread
from codeclens.visualization.place_maps import half_level

METHOD = Conductance(4, nodes="geometric")


def setting(kind: str, view: str = "concat") -> tuple[Modes, object]:
    model, site = {
        "residual": (networks.residual_cnn(), "layer2.0"),
        "vit": (networks.small_vit(), "blocks.0"),
    }[kind]
    x = networks.noise(12, 3, 8, 8)
    found = contributions(model.double(), x, sites=site, method=METHOD, reduce=None)
    here = found[site]
    values = {
        "concat": torch.cat([here.positive, -here.negative], 1),
        "sum": here.net,
        "activation": here.activation.clamp(min=0),
    }[view]
    method = (PCA if view == "sum" else NMF)(n_modes=3).fit(values.numpy())
    return Modes(site, view, method, method.encode(values.numpy())), found  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["residual", "vit"])
@pytest.mark.parametrize("view", ["concat", "sum", "activation"])
def test_places_sum_to_the_contribution_of_the_mode(kind: str, view: str) -> None:
    modes, found = setting(kind, view)
    maps = place_maps(modes, found)  # type: ignore[arg-type]
    here = found[modes.site]  # type: ignore[index]
    shares = shares_of(modes, here, most=len(modes)).only(range(len(modes) + 1))
    np.testing.assert_allclose(maps.contribution, shares.contribution, rtol=1e-9, atol=1e-12)
    assert here.full is not None
    whole = here.site.units(here.full).sum(dim=1).numpy()
    every = maps.values.sum(axis=1).reshape(whole.shape)
    np.testing.assert_allclose(every, whole, rtol=1e-9, atol=1e-12)


def test_maps_are_labelled_data() -> None:
    modes, found = setting("residual")
    maps = place_maps(modes, found, [2, 0])  # type: ignore[arg-type]
    assert maps.modes == (2, 0)
    data = maps.to_xarray()
    assert dict(data.sizes) == {"sample": 12, "mode": 2, "row": 4, "column": 4}
    np.testing.assert_array_equal(data.contribution.sel(mode=0), maps.values[:, 1])
    table = maps.to_dataframe()
    assert len(table) == 24
    assert table.contribution[0] == pytest.approx(maps.of(0, 2).sum())
    assert len(repr(maps).splitlines()) <= 20
    assert "4 × 4 places" in maps._repr_html_()
    with pytest.raises(CodeclensError, match="no place map of mode 1"):
        maps.of(0, 1)


def test_mistakes_get_a_sentence() -> None:
    modes, found = setting("residual")
    with pytest.raises(CodeclensError, match="There is no mode 4"):
        place_maps(modes, found, [4])  # type: ignore[arg-type]
    with pytest.raises(CodeclensError, match="is not a mode"):
        place_maps(modes, found, [True])  # type: ignore[arg-type]
    summed = contributions(nn.Sequential(networks.residual_cnn()), networks.noise(12, 3, 8, 8,
                           dtype=torch.float32), sites="0.layer2.0", method=METHOD)  # fmt: skip
    with pytest.raises(CodeclensError, match="reduce=None"):
        place_maps(modes, summed["0.layer2.0"])
    with pytest.raises(CodeclensError, match="spread the map"):
        place_overlay(np.zeros((4, 4)), np.zeros((3, 3)), 1.0)
    with pytest.raises(CodeclensError, match="share"):
        half_level(np.ones((2, 2)), 1.0)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40), st.integers(1, 40))
def test_spreading_keeps_the_sum(rows: int, columns: int, height: int, width: int) -> None:
    shape = max(height, rows), max(width, columns)
    values = np.random.default_rng(rows).normal(size=(rows, columns))
    assert spread(values, shape).sum() == pytest.approx(values.sum(), rel=1e-9, abs=1e-9)


def test_a_place_is_spread_about_its_centre() -> None:
    values = np.zeros((7, 7))
    values[2, 5] = 1.0
    density = spread(values, (224, 224))
    assert np.unravel_index(density.argmax(), density.shape) in [
        (row, column) for row in (79, 80) for column in (175, 176)
    ]
    assert density.min() == 0
    even = spread(np.ones((7, 7)), (224, 224))
    np.testing.assert_allclose(even, 49 / 224**2)


def test_the_region_holds_half_and_no_smaller_one_does() -> None:
    density = spread(np.random.default_rng(0).normal(size=(5, 5)), (50, 50))
    for signed in (density, -density):
        inside = region(signed)
        total = signed.sum()
        values = signed * np.sign(total)
        held = values[inside].sum()
        whole = np.maximum(values, 0).sum()
        assert held >= whole / 2 * (1 - 1e-9)
        assert held - values[inside].min() < whole / 2
    assert not region(np.zeros((3, 3))).any()


def test_the_overlay_is_orange_for_and_blue_against() -> None:
    grey = np.full((20, 20), 0.5)
    density = np.zeros((20, 20))
    density[:5], density[15:] = 1.0, -0.5
    pixels = place_overlay(grey, density, 1.0).astype(int)
    red, blue = pixels[..., 0], pixels[..., 2]
    assert (red[:5] > blue[:5]).all()
    assert (red[15:] < blue[15:]).all()
    assert (red[8] == blue[8]).all()


def test_tokens_are_laid_out_as_a_square() -> None:
    tokens = np.arange(17.0)
    plane = as_plane(tokens)
    assert plane is not None
    np.testing.assert_array_equal(plane, np.arange(1.0, 17.0).reshape(4, 4))
    assert as_plane(np.ones(())) is None
    assert as_plane(np.ones(7)) is None
