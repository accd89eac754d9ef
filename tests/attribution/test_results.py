"""Results: signs split before they are summed, labelled arrays, tables, and short words."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import xarray
from hypothesis import given

import networks
import reference
from codeclens.attribution import Attributor, Contributions, Entropy, contributions, split_signs
from codeclens.labelled import save_dataset


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 6), st.integers(0, 99))
def test_signs_are_split_before_they_are_summed(b: int, u: int, p: int, seed: int) -> None:
    values = networks.noise(b, u, p, seed=seed)
    positive, negative = split_signs(values)
    expected = reference.split_signs(reference.by_unit(values, 1))
    torch.testing.assert_close((positive, negative), expected, rtol=1e-12, atol=1e-12)
    assert bool((positive >= 0).all())
    assert bool((negative <= 0).all())


def test_opposite_places_of_one_unit_do_not_cancel() -> None:
    positive, negative = split_signs(torch.tensor([[[5.0, -5.0]]]))
    assert (positive.item(), negative.item()) == (5, -5)


def test_the_layout_does_not_matter() -> None:
    values = networks.noise(2, 5, 3, 4)
    last = values.to(memory_format=torch.channels_last).flatten(2)
    assert not values.to(memory_format=torch.channels_last).is_contiguous()
    for ours, theirs in zip(split_signs(last), split_signs(values.flatten(2)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.fixture(scope="module")
def found() -> Contributions:
    x = networks.noise(3, 3, 12, 12).float()
    return contributions(networks.residual_cnn(), x, sites=["layer1.0", "layer2.0.conv2"])


def test_contributions_are_a_tree_with_a_data_set_for_each_site(
    found: Contributions, tmp_path: Path
) -> None:
    tree = found.to_xarray()
    assert list(tree.children) == ["layer1.0", "layer2.0.conv2"]
    assert tree.attrs["explained"] == "the logit of the predicted class"
    assert tree.attrs["unit"] == "logits"
    np.testing.assert_array_equal(tree["baseline_target"], found.baseline_target)
    site = tree["layer1.0"].to_dataset()
    assert dict(site.sizes) == {"sample": 3, "unit": 6, "sign": 2}
    negative = site.contribution.sel(sign="negative")
    np.testing.assert_array_equal(negative, found["layer1.0"].negative)
    np.testing.assert_array_equal(site.completeness, found["layer1.0"].completeness)
    saved = save_dataset(tmp_path / "found.zarr", tree)
    again = xarray.open_datatree(saved, engine="zarr", consolidated=False)
    xarray.testing.assert_equal(again["layer1.0"].to_dataset(), site)


def test_contributions_are_a_table_with_a_row_for_each_site(found: Contributions) -> None:
    table = found.to_dataframe()
    assert table.site.tolist() == ["layer1.0", "layer2.0.conv2"]
    assert table.units.tolist() == [site.positive.shape[1] for site in found.values()]
    assert table.is_cut.tolist() == [True, False]
    assert table.relative_gap[0] < 1e-4
    assert np.isnan(table.relative_gap[1])
    total = float(found["layer1.0"].positive.sum(dim=1).mean())
    assert table.positive[0] == pytest.approx(total)


def test_contributions_of_a_site_are_a_table_with_a_row_for_each_unit(found: Contributions) -> None:
    site = found["layer1.0"]
    table = site.to_dataframe()
    assert table.unit.tolist() == list(range(6))
    np.testing.assert_allclose(table.net, site.net.mean(dim=0), rtol=1e-6)


def test_what_is_printed_is_short(found: Contributions) -> None:
    many = contributions(
        networks.residual_cnn(),
        networks.noise(1, 3, 12, 12).float(),
        sites=["layer*", "*.*", "*.*.*"],
    )
    assert len(many) > 20
    for one in (found, many, *many.values()):
        assert len(repr(one).splitlines()) <= 20
        assert "<table" in one._repr_html_()
    first = "Contributions to the logit of the predicted class, 3 samples"
    assert repr(found).startswith(first)
    assert repr(found["layer1.0"]).startswith('6 units at "layer1.0", means over 3 samples')


def test_batches_that_are_joined_keep_their_words() -> None:
    x = networks.noise(4, 6).float()
    attributor = Attributor(networks.plain_mlp(), sites="1", target=Entropy()).prepared(x)
    joined = Contributions.joined([attributor(rows) for rows in x.split(2)])
    assert (
        joined.title()
        == "Contributions to the entropy of the predicted probabilities (nats), 4 samples"
    )
    torch.testing.assert_close(joined["1"].positive, attributor(x)["1"].positive)
