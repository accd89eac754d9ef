"""Sites: their names, their units, and what is said where there is none."""

from __future__ import annotations

from collections import OrderedDict

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import nn

import networks
import reference
from codeclens.attribution import Site, find_sites
from codeclens.attribution.sites import natural_key
from codeclens.errors import CodeclensError


@pytest.mark.parametrize(
    ("text", "site"),
    [
        ("layer1.0", Site("layer1.0")),
        ("fc2:input", Site("fc2", port="input")),
        ("fc2:output", Site("fc2")),
        ("relu#1", Site("relu", call=1)),
        ("h.0[0]", Site("h.0", item=0)),
        ("h.0[hidden]", Site("h.0", item="hidden")),
        ("a.b:input[1]#2", Site("a.b", port="input", item=1, call=2)),
    ],
)
def test_a_site_is_read_from_its_text_and_written_back(text: str, site: Site) -> None:
    assert Site.parse(text) == site
    assert site.key == text.removesuffix(":output")
    assert Site.parse(site.key) == site


@pytest.mark.parametrize("text", ["", "a#b", "a:inside", "a[", "a[0]b", "#1", "a#-1"])
def test_strings_that_are_not_sites_are_rejected(text: str) -> None:
    with pytest.raises(
        CodeclensError, match=r"is not a site: write a module name, .*\"fc2:input\""
    ):
        Site.parse(text)


def keys(model: nn.Module, *patterns: str | Site) -> list[str]:
    return [site.key for site in find_sites(model, list(patterns))]


def test_globs_stop_at_dots_and_come_in_natural_order() -> None:
    blocks = nn.Sequential(*(nn.Sequential(nn.Linear(2, 2), nn.ReLU()) for _ in range(11)))
    model = nn.Sequential(OrderedDict(h=blocks, out=nn.Linear(2, 2)))
    assert keys(model, "h.*") == [f"h.{i}" for i in range(11)]
    assert keys(model, "h.1*") == ["h.1", "h.10"]
    assert keys(model, "h.*.0:input") == [f"h.{i}.0:input" for i in range(11)]
    assert keys(model, "out", "h.2", "h.2") == ["out", "h.2"]
    assert keys(model, "h.?") == [f"h.{i}" for i in range(10)]


def test_natural_order_puts_numbers_by_their_value() -> None:
    names = ["b", "a10", "a9", "a9.x", "a", "a9.10", "a9.9"]
    assert sorted(names, key=natural_key) == ["a", "a9", "a9.9", "a9.10", "a9.x", "a10", "b"]


def test_one_pattern_needs_no_list() -> None:
    model = networks.residual_cnn()
    assert find_sites(model, "layer1.0") == find_sites(model, ["layer1.0"])
    assert find_sites(model, Site("layer1.0")) == find_sites(model, "layer1.0")


def test_presets_and_names_mix_without_repeating() -> None:
    model = networks.residual_cnn()
    assert keys(model, "layer2.0", "@blocks") == ["layer2.0", "layer1.0", "layer1.1"]


# --- Where the units are ---


@pytest.mark.parametrize(
    ("site", "shape", "units", "positions"),
    [
        (Site("a"), (2, 5), 5, 1),
        (Site("a"), (2, 7, 5), 5, 7),
        (Site("a"), (2, 5, 3, 4), 5, 12),
        (Site("a"), (2, 5, 2, 3, 4), 5, 24),
        (Site("a", unit_axis=-1), (2, 3, 4, 5), 5, 12),
        (Site("a", unit_axis=1), (2, 5, 7), 5, 7),
        (Site("a", heads=3), (2, 7, 6), 3, 14),
        (Site("a", heads=2, unit_axis=-1), (2, 3, 4, 6), 2, 36),
    ],
)
def test_units_and_back(site: Site, shape: tuple[int, ...], units: int, positions: int) -> None:
    activation = networks.noise(*shape)
    values = site.units(activation)
    assert values.shape == (2, units, positions)
    assert torch.equal(site.restore(values, activation), activation)
    grid = site.grid(activation)
    assert torch.Size(grid).numel() == positions


def test_units_are_those_of_the_reference() -> None:
    tokens = networks.noise(2, 7, 6)
    for heads in (None, 3):
        expected = torch.tensor(reference.by_unit(tokens, 2, heads), dtype=torch.float64)
        found = Site("a", heads=heads).units(tokens)
        assert torch.equal(found.sort(dim=2).values, expected.sort(dim=2).values)


def test_values_by_unit_spread_over_positions() -> None:
    # One number a unit, as an ablation mask has it, is restored to the whole activation.
    activation = networks.noise(2, 3, 4, 5)
    restored = Site("a").restore(torch.arange(3.0)[None, :, None].expand(2, 3, 1), activation)
    assert restored.shape == activation.shape
    assert all(restored[:, unit].eq(unit).all() for unit in range(3))


@given(st.integers(1, 4), st.integers(1, 4), st.lists(st.integers(1, 4), max_size=3), st.data())
def test_restoring_is_the_inverse_of_units(
    samples: int, units: int, rest: list[int], data: st.DataObject
) -> None:
    axis = data.draw(st.integers(1, 1 + len(rest)))
    shape = [samples, *rest]
    shape.insert(axis, units)
    site = Site("a", unit_axis=data.draw(st.sampled_from([axis, axis - len(shape)])))
    activation = networks.noise(*shape)
    assert site.units(activation).shape == (samples, units, torch.Size(rest).numel())
    assert torch.equal(site.restore(site.units(activation), activation), activation)


def test_layers_define_the_unit_axis() -> None:
    stack = nn.Sequential(
        *(nn.Conv1d(2, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(3, 4), nn.GELU(), nn.LayerNorm(4)),
        *(nn.LayerNorm([2, 4, 4]), nn.Tanh(), nn.Identity()),
    )
    axes = [site.unit_axis for site in find_sites(stack, [str(i) for i in range(9)])]
    # The conv and its relu; nothing tells of flatten; the linear layer, its gelu and its norm; a
    # norm over whole feature maps and what follows it; an identity alone tells nothing.
    assert axes == [1, 1, None, -1, -1, -1, 1, 1, None]


def test_an_activation_outside_a_stack_is_not_guessed() -> None:
    # It is defined behind the last linear layer and called behind the convolutions.
    model = nn.Module()
    model.conv, model.fc, model.relu = nn.Conv2d(1, 2, 1), nn.Linear(2, 2), nn.ReLU()
    assert find_sites(model, "relu") == [Site("relu")]


def test_blocks_define_the_unit_axis() -> None:
    model = nn.Module()
    model.tokens = nn.TransformerEncoderLayer(4, nhead=2, batch_first=True)
    model.sequence = nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.ReLU())
    model.image = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU())
    model.mixed = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Linear(3, 3))
    sites = find_sites(model, ["tokens", "sequence", "image", "mixed"])
    assert [site.unit_axis for site in sites] == [-1, 1, None, None]


def test_a_unit_axis_given_by_the_user_is_kept() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    assert find_sites(model, Site("0", unit_axis=1))[0].unit_axis == 1


# --- Mistakes ---


def test_an_unknown_site_lists_the_three_nearest() -> None:
    with pytest.raises(CodeclensError) as error:
        find_sites(networks.residual_cnn(), "layer1.2")
    told = str(error.value)
    assert told.startswith('The model has no site "layer1.2"; the nearest names are "')
    offered = told.split("are ")[1].rstrip(".").split(", ")
    assert len(offered) == 3
    assert {'"layer1.0"', '"layer1.1"'} < set(offered)


def test_a_glob_without_matches_is_an_unknown_site() -> None:
    with pytest.raises(CodeclensError, match=r'no site "layer9\.\*"; the nearest names are "layer'):
        find_sites(networks.residual_cnn(), "layer9.*")


def test_no_sites_at_all() -> None:
    with pytest.raises(CodeclensError, match=r"No sites were given; pass a module name, a glob"):
        find_sites(networks.residual_cnn(), [])


def test_one_key_cannot_mean_two_things() -> None:
    with pytest.raises(CodeclensError, match=r"requested twice with different units"):
        find_sites(networks.small_vit(), ["@attention", "@heads"])


@pytest.mark.parametrize(
    ("site", "shape", "sentence"),
    [
        (Site("a"), (4,), r'Site "a" gives a tensor of shape \(4,\); a site needs a sample axis'),
        (Site("a", heads=4), (2, 3, 6), r'Site "a" has 6 features, which do not divide into 4'),
        (Site("a", unit_axis=3), (2, 3, 6), r"unit_axis=3, but its tensor has shape \(2, 3, 6\)"),
        (Site("a", unit_axis=0), (2, 3, 6), r"unit_axis=0, .* axis 0 counts samples"),
        (Site("a", unit_axis=-3), (2, 3, 6), r"unit_axis=-3, .* axis 0 counts samples"),
    ],
)
def test_units_that_are_not_there(site: Site, shape: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(CodeclensError, match=sentence):
        site.units(torch.zeros(shape))


def test_a_site_is_an_output_or_an_input() -> None:
    with pytest.raises(CodeclensError, match=r'port=\'middle\'; it is "output" or "input"'):
        Site("a", port="middle")  # type: ignore[arg-type]
    with pytest.raises(CodeclensError, match=r'Site "a" has heads=0; it needs one or more'):
        Site("a", heads=0)


@pytest.mark.parametrize("sites", [3, None, ["0", 3], [None], nn.ReLU()])
def test_what_is_no_site_is_refused(sites: object) -> None:
    with pytest.raises(CodeclensError, match="is not a site; pass module names"):
        find_sites(nn.Sequential(nn.ReLU()), sites)  # type: ignore[arg-type]


class Gate(nn.Module):
    """Squeeze and excitation made of linear layers: what it gives are feature maps."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(8, 2), nn.Linear(2, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.up(self.down(x.mean(dim=(2, 3))).relu()).sigmoid()[:, :, None, None]


class ChannelsLast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mix(x)


@pytest.mark.parametrize(
    ("module", "shape"), [(Gate(), (2, 8, 5, 6)), (ChannelsLast(), (2, 5, 6, 8))]
)
def test_linear_layers_may_give_feature_maps(module: nn.Module, shape: tuple[int, ...]) -> None:
    model = nn.Sequential(module, nn.Flatten())
    site = find_sites(model, "0")[0]
    found = module(torch.randn(shape))
    units = site.units(found)
    assert units.shape == (2, 8, 30)
    assert torch.equal(site.restore(units, like=found), found)
