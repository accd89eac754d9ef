"""Surveys: which sites are cuts, which are called twice, and what does not fit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import networks
from codeclens.attribution import Attributor, Conductance, Site, find_sites, survey
from codeclens.errors import CodeclensError, CompletenessWarning


def surveyed(model: nn.Module, x: Tensor, *patterns: str | Site) -> tuple[list[str], set[str]]:
    found = survey(model, find_sites(model, list(patterns)), x)
    return [site.key for site in found.sites], set(found.cuts)


def test_cuts_of_a_residual_network() -> None:
    sites = ["conv1", "relu", "layer1.0.conv1", "layer1.0.bn2", "layer1.0", "layer1.1"]
    sites += ["layer2.0.downsample", "layer2", "fc:input", "fc"]
    _, cuts = surveyed(networks.residual_cnn(inplace=True), torch.ones(1, 3, 12, 12), *sites)
    assert cuts == {"conv1", "relu", "layer1.0", "layer1.1", "layer2", "fc:input", "fc"}


def test_a_shortcut_is_no_cut_although_it_hands_on_the_same_tensor() -> None:
    model = networks.residual_cnn()
    assert isinstance(model.layer1[1].downsample, nn.Identity)
    _, cuts = surveyed(model, torch.ones(1, 3, 12, 12), "layer1.0", "layer1.1.downsample")
    assert cuts == {"layer1.0"}


def test_cuts_of_a_vision_transformer() -> None:
    sites = [
        "patch_embed",
        "blocks.0",
        "blocks.0.attn",
        "blocks.0.mlp.fc2:input",
        "blocks.1",
        "norm",
    ]
    _, cuts = surveyed(networks.small_vit(), torch.ones(1, 3, 8, 8), *sites)
    assert cuts == {"patch_embed", "blocks.0", "blocks.1", "norm"}


class Branches(nn.Module):
    """`(B, 4)` → `(B, 2)`: two branches side by side, and one that the output ignores."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.aside = nn.Linear(4, 3), nn.Linear(4, 3), nn.Linear(4, 3)
        self.join = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        self.aside(x)
        out: Tensor = self.join(torch.cat([self.left(x).relu(), self.right(x).tanh()], dim=1))
        return out


def test_branches_are_no_cuts_and_what_is_ignored_contributes_nothing() -> None:
    model = networks.seeded(Branches).double()
    x = networks.noise(3, 4)
    _, cuts = surveyed(model, x, "left", "right", "aside", "join:input", "join")
    assert cuts == {"join:input", "join"}
    method = Conductance(steps=200, rule="trapezoid", nodes="uniform")
    with pytest.warns(CompletenessWarning, match='does not depend on "aside": .* are 0'):
        found = Attributor(model, sites=["left", "right", "aside", "join"], method=method)(x)
    assert found["aside"].net.eq(0).all()
    # What passes through both branches is all that there is.
    through = found["left"].net.sum(1) + found["right"].net.sum(1)
    torch.testing.assert_close(through, found.target - found.baseline_target, rtol=1e-3, atol=1e-3)


def test_a_module_that_is_called_twice_has_two_sites() -> None:
    model, x = networks.called_twice(), torch.ones(1, 6)
    assert surveyed(model, x, "shared", "act", "first") == (
        ["shared#0", "shared#1", "act#0", "act#1", "first"],
        {"shared#0", "shared#1", "act#0", "act#1", "first"},
    )
    assert surveyed(model, x, "shared#1", "act#0") == (["shared#1", "act#0"], {"shared#1", "act#0"})
    # Asked for by name and by number: once is enough.
    assert surveyed(model, x, "shared", "shared#1")[0] == ["shared#0", "shared#1"]


@pytest.mark.parametrize("site", ["shared#2", "aside"])
def test_a_site_that_is_not_reached(site: str) -> None:
    model = networks.called_twice()
    model.aside = nn.Linear(1, 1)
    sentence = f'Site "{site}" is not reached when the model runs; choose another module.'
    with pytest.raises(CodeclensError, match=sentence):
        surveyed(model, torch.ones(1, 6), site)


class Folding(nn.Module):
    """`(B, 6)` → `(B, 4)`: inside, samples are folded into windows, or come after the tokens."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        self.inner, self.last, self.first = nn.Linear(2, 3), nn.Linear(9, 4), first

    def forward(self, x: Tensor) -> Tensor:
        windows = x.reshape(len(x), 3, 2)
        inner = self.inner(windows.flatten(0, 1) if self.first else windows.transpose(0, 1))
        inner = inner.reshape(len(x), 9) if self.first else inner.transpose(0, 1).flatten(1)
        out: Tensor = self.last(inner)
        return out


@pytest.mark.parametrize(("first", "shape"), [(True, r"\(6, 3\)"), (False, r"\(3, 2, 3\)")])
def test_a_site_whose_first_axis_counts_something_else(first: bool, shape: str) -> None:
    model = networks.seeded(lambda: Folding(first))
    sentence = (
        rf'Site "inner" returns a tensor of shape {shape} for 2 samples; its first axis does not'
    )
    with pytest.raises(CodeclensError, match=sentence):
        Attributor(model, sites="inner")(torch.ones(4, 6))


def test_a_tensor_that_is_the_same_for_every_sample_is_noticed() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.positions, self.last = nn.Embedding(1, 6), nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.last(x + self.positions(torch.zeros(1, dtype=torch.long)))
            return out

    with pytest.raises(CodeclensError, match=r"of shape \(1, 6\) for 2 samples"):
        Attributor(networks.seeded(Positions), sites="positions")(torch.ones(3, 6))


def test_an_image_without_batch_axis() -> None:
    sentence = (
        r"The model does not run on an input of shape \(2, 12, 12\), torch\.float32 on cpu "
        r"\(the first axis counts samples; pass x\[None\] for a single one\): .*channels"
    )
    with pytest.raises(CodeclensError, match=sentence) as error:
        Attributor(networks.residual_cnn(), sites="layer1.0")(torch.ones(3, 12, 12))
    assert isinstance(error.value.__cause__, RuntimeError)
    assert "\n" not in str(error.value)


def test_errors_in_forward_are_reported_in_one_sentence() -> None:
    class Picky(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            raise KeyError("mask")

    with pytest.raises(CodeclensError, match=r"does not run .* \(the first.*: KeyError: 'mask'$"):
        Attributor(nn.Sequential(Picky(2, 2)), sites="0")(torch.ones(3, 2))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"reduce": "mean"}, r"reduce='mean' is not known; use \"sum\", or None"),
        (
            {"method": "conductance"},
            r"'conductance' is not a method; pass for example Conductance\(\)",
        ),
        ({"method": Conductance}, r"is not a method; pass for example Conductance\(\)"),
    ],
)
def test_options_that_are_none(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(CodeclensError, match=sentence):
        Attributor(networks.plain_mlp(), sites="1", **options)  # type: ignore[arg-type]


def test_an_input_that_is_no_tensor() -> None:
    array = networks.noise(2, 6).numpy()
    with pytest.raises(CodeclensError, match=r"The input is a ndarray; pass a tensor"):
        Attributor(networks.plain_mlp(), sites="1")(array)  # type: ignore[arg-type]


def test_an_input_of_another_type_than_the_model() -> None:
    with pytest.raises(CodeclensError, match=r"does not run on an input .*torch\.float64 on cpu"):
        Attributor(networks.plain_mlp(), sites="1")(networks.noise(2, 6))


@pytest.mark.parametrize(
    ("wrap", "shape"), [(lambda y: y.sum(), r"\(\)"), (lambda y: y.sum(0), r"\(4,\)")]
)
def test_an_output_that_does_not_count_samples(wrap: object, shape: str) -> None:
    model = networks.returning(wrap)  # type: ignore[arg-type]
    sentence = (
        rf"returns a tensor of shape {shape} for 2 samples of shape \(6,\); its first axis must"
    )
    with pytest.raises(CodeclensError, match=sentence):
        Attributor(model, sites="body.1")(torch.ones(3, 6))
