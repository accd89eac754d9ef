"""Interventions: equal to networks edited by hand, undone however the block ends."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from codeclens.attribution import Site
from codeclens.control import Intervention, Units, ablate, preserve
from codeclens.control.units import share_to_count
from codeclens.decomposition import Mode
from codeclens.errors import CodeclensError


class Convolutions(nn.Module):
    """A small CNN with an in-place nonlinearity after its first convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 6, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(6, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor, off: Tensor | None = None, value: float = 0.0) -> Tensor:
        """Run; `off` (6,) says by hand which channels of `first` become `value`."""
        first = self.first(x)
        if off is not None:
            first = torch.where(off[:, None, None], torch.tensor(value), first)
        hidden = self.second(self.act(first)).relu()
        return self.head(hidden.mean(dim=(2, 3)))


class Tokens(nn.Module):
    """Self-attention as transformers write it: features last, heads side by side in them."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.proj = nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor, off: Tensor | None = None) -> Tensor:
        """Run; `off` (8,) says by hand which features of the mixed values become zero."""
        q, k, v = self.qkv(x).reshape(*x.shape[:2], 3, 4, 2).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2)).softmax(dim=-1)
        mixed = (weights @ v).transpose(1, 2).reshape(x.shape)
        if off is not None:
            mixed = mixed * ~off
        return self.head(self.proj(mixed).mean(dim=1))


@pytest.fixture
def cnn() -> Convolutions:
    torch.manual_seed(0)
    return Convolutions()


@pytest.fixture
def tokens() -> Tokens:
    torch.manual_seed(0)
    return Tokens()


@pytest.fixture
def images(generator: torch.Generator) -> Tensor:
    return torch.randn(3, 1, 5, 7, generator=generator)


@pytest.fixture
def sequences(generator: torch.Generator) -> Tensor:
    return torch.randn(3, 5, 8, generator=generator)


def mask(size: int, chosen: list[int]) -> Tensor:
    off = torch.zeros(size, dtype=torch.bool)
    off[chosen] = True
    return off


def hooks(model: nn.Module) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in kinds)


# Equal to a network edited by hand


def test_ablating_channels_equals_the_edited_forward(cnn: Convolutions, images: Tensor) -> None:
    before = cnn(images)
    with ablate(cnn, "first", units=[1, 4]) as done:
        assert torch.equal(cnn(images), cnn_by_hand(cnn, images, [1, 4]))
    assert done.chosen == (1, 4)
    assert torch.equal(cnn(images), before)


def cnn_by_hand(cnn: Convolutions, images: Tensor, off: list[int], value: float = 0.0) -> Tensor:
    copy = Convolutions()
    copy.load_state_dict(cnn.state_dict())
    return copy(images, mask(6, off), value)


def test_preserving_channels_ablates_all_the_others(cnn: Convolutions, images: Tensor) -> None:
    with preserve(cnn, "first", units=[1, 4]):
        assert torch.equal(cnn(images), cnn_by_hand(cnn, images, [0, 2, 3, 5]))


def test_none_and_all_units(cnn: Convolutions, images: Tensor) -> None:
    plain, empty = cnn(images), cnn_by_hand(cnn, images, list(range(6)))
    for intervention, units, expected in (
        (ablate, [], plain),
        (preserve, range(6), plain),
        (ablate, range(6), empty),
        (preserve, [], empty),
    ):
        with intervention(cnn, "first", units=units):
            assert torch.equal(cnn(images), expected)


def test_units_take_a_value_or_one_each(cnn: Convolutions, images: Tensor) -> None:
    with ablate(cnn, "first", units=[2, 3], off=0.7):
        assert torch.equal(cnn(images), cnn_by_hand(cnn, images, [2, 3], 0.7))
    seen: list[Tensor] = []
    means = torch.arange(6.0)
    with ablate(cnn, "first", units=[2, 3], off=means):
        handle = cnn.act.register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
        cnn(images)
        handle.remove()
    assert (seen[0][:, 2] == 2).all()
    assert (seen[0][:, 3] == 3).all()
    assert not (seen[0][:, 4] == 4).any()


def test_token_features_are_units(tokens: Tokens, sequences: Tensor) -> None:
    by_hand = tokens(sequences, off=mask(8, [0, 5]))
    with ablate(tokens, "proj:input", units=[0, 5]):
        torch.testing.assert_close(tokens(sequences), by_hand, rtol=0, atol=0)


def test_heads_are_units(tokens: Tokens, sequences: Tensor) -> None:
    by_hand = tokens(sequences, off=mask(8, [2, 3, 6, 7]))
    site = Site("proj", port="input", heads=4)
    with ablate(tokens, site, units=[1, 3]):
        torch.testing.assert_close(tokens(sequences), by_hand, rtol=0, atol=0)
    with preserve(tokens, site, units=[0, 2]):
        torch.testing.assert_close(tokens(sequences), by_hand, rtol=0, atol=0)


def test_plain_features_are_units(generator: torch.Generator) -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    x = torch.randn(3, 4, generator=generator)
    by_hand = model[2](model[1](model[0](x)) * ~mask(5, [3]))
    with ablate(model, "1", units=[3]):
        assert torch.equal(model(x), by_hand)


def test_one_call_of_a_module_that_runs_twice(generator: torch.Generator) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.Tanh()

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.act(x) + 1)

    model, x = Twice(), torch.randn(2, 3, generator=generator)
    expected = torch.tanh(torch.tanh(x) + 1) * ~mask(3, [0])
    with ablate(model, "act#1", units=[0]):
        assert torch.equal(model(x), expected)
        assert torch.equal(model(x), expected)


# Composition, gradients, undoing


def test_interventions_compose(cnn: Convolutions, images: Tensor) -> None:
    with ablate(cnn, "first", units=[1]), ablate(cnn, "first", units=[4]):
        assert torch.equal(cnn(images), cnn_by_hand(cnn, images, [1, 4]))
    with preserve(cnn, "first", units=[0, 1, 2]), preserve(cnn, "first", units=[1, 2, 5]):
        assert torch.equal(cnn(images), cnn_by_hand(cnn, images, [0, 3, 4, 5]))
    with ablate(cnn, "first", units=[1]):
        with ablate(cnn, "second", units=[0, 1, 2, 3]):
            assert torch.equal(cnn(images), cnn.head.bias.expand(3, 3))
        assert torch.equal(cnn(images), cnn_by_hand(cnn, images, [1]))


def test_gradients_flow_through_what_is_left(cnn: Convolutions, images: Tensor) -> None:
    with ablate(cnn, "first", units=[1, 4]):
        cnn(images).sum().backward()
    gradient = cnn.first.weight.grad
    assert gradient is not None
    assert (gradient[[1, 4]] == 0).all()
    assert (gradient[[0, 2, 3, 5]] != 0).any()


def test_the_activation_itself_is_not_changed(generator: torch.Generator) -> None:
    kept: list[Tensor] = []
    model = nn.Sequential(nn.Linear(3, 4), nn.Identity())
    model[0].register_forward_hook(lambda _m, _a, output: kept.append(output))
    with ablate(model, "0", units=[0, 1, 2, 3]):
        assert (model(torch.randn(2, 3, generator=generator)) == 0).all()
    assert (kept[0] != 0).all()


def test_everything_is_undone_after_an_exception(cnn: Convolutions, images: Tensor) -> None:
    before, count = cnn(images), hooks(cnn)
    cnn.train()
    with pytest.raises(RuntimeError, match="mat1"), ablate(cnn, "first", units=[1]):
        cnn.head(torch.zeros(1, 99))
    with pytest.raises(CodeclensError), preserve(cnn, "first", units=[99]):
        cnn(images)
    assert hooks(cnn) == count
    assert cnn.training
    assert all(parameter.requires_grad for parameter in cnn.parameters())
    assert torch.equal(cnn(images), before)


def test_the_hooks_of_others_stay(cnn: Convolutions, images: Tensor) -> None:
    seen: list[int] = []
    cnn.first.register_forward_hook(lambda *_: seen.append(1))
    with ablate(cnn, "first", units=[1]):
        cnn(images)
    cnn(images)
    assert len(seen) == 2


# Modes


@pytest.fixture
def mode() -> Mode:
    """Ranks the channels of `first` 0, 2, 4, 3, 5, 1: by net entries."""
    positive = np.array([0.2, 0.0, 0.1, 0.0, 5.0, 0.3])
    negative = np.array([0.0, -2.0, 0.0, 0.0, -4.9, -0.3])
    return Mode("first", 3, positive, negative, np.ones(1))


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        ({"fraction": 0.3}, (0, 2)),
        ({"fraction": 0.001}, (0,)),
        ({"count": 3}, (0, 2, 4)),
        ({"count": 0}, ()),
        ({"fraction": 1.0}, (0, 2, 4, 3, 5, 1)),
        ({"units": Units(count=2)}, (0, 2)),
        ({"units": [5, 2]}, (5, 2)),
    ],
)
def test_modes_rank_the_units(
    cnn: Convolutions, images: Tensor, mode: Mode, choice: dict, chosen: tuple[int, ...]
) -> None:
    with ablate(cnn, mode, **choice) as done:
        assert done.chosen == chosen
        assert torch.equal(cnn(images), cnn_by_hand(cnn, images, list(chosen)))
    with preserve(cnn, mode, **choice):
        others = [unit for unit in range(6) if unit not in chosen]
        assert torch.equal(cnn(images), cnn_by_hand(cnn, images, others))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"fraction": 1.5}, r"fraction \(=1.5\) must lie between 0 and 1"),
        ({"fraction": 18}, r"fraction \(=18\) must lie between 0 and 1"),
        ({"count": 7}, r"count \(=7\) .* at most 6"),
        ({"count": -1}, r"count \(=-1\) .* at least 0"),
        ({"units": Units(count=1), "count": 1}, "leave out count"),
        ({"fraction": 0.1, "count": 1}, "got fraction=0.1 and count=1"),
        ({}, "got none of them"),
    ],
)
def test_modes_cannot_rank_more_units_than_they_have(
    cnn: Convolutions, mode: Mode, choice: dict, message: str
) -> None:
    with pytest.raises(CodeclensError, match=message), ablate(cnn, mode, **choice):
        pass


def test_a_mode_of_another_width_is_refused(cnn: Convolutions, images: Tensor, mode: Mode) -> None:
    foreign = replace(mode, site="second")
    message = r'The mode has 6 units, but site "second" gives \(3, 4, 5, 7\), which has 4 units'
    with pytest.raises(CodeclensError, match=message), ablate(cnn, foreign, count=1):
        cnn(images)


def test_an_intervention_needs_one_mode(cnn: Convolutions, mode: Mode) -> None:
    with (
        pytest.raises(CodeclensError, match=r"not on a list; pass a single mode"),
        ablate(cnn, [mode], count=1),
    ):
        pass


# Users' mistakes


def test_an_unknown_site_offers_the_nearest(cnn: Convolutions) -> None:
    with (
        pytest.raises(CodeclensError, match=r'no site "frist".*"first"'),
        ablate(cnn, "frist", units=[0]),
    ):
        pass


def test_a_pattern_that_means_several_sites(cnn: Convolutions) -> None:
    with pytest.raises(CodeclensError, match="means 4 sites"), ablate(cnn, "*", units=[0]):
        pass


def test_units_out_of_range_carry_their_number(cnn: Convolutions, images: Tensor) -> None:
    message = r'Unit 6 is out of range: site "first" gives \(3, 6, 5, 7\), which has 6 units'
    with pytest.raises(CodeclensError, match=message), ablate(cnn, "first", units=[0, 6]):
        cnn(images)
    with (
        pytest.raises(CodeclensError, match=r"Unit -1 .* count from 0"),
        ablate(cnn, "first", units=[-1]),
    ):
        pass


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({}, "got none of them"),
        ({"fraction": 0.5, "units": [1]}, r"got fraction=0.5 and units=\[1\]"),
        ({"fraction": 0.5}, 'fraction=0.5 needs a mode to rank the units of site "first"'),
        ({"count": 2}, "count=2 needs a mode"),
        ({"units": 3}, r"units=3 must be a list of indices: units=\[3\]"),
        ({"units": [0.5]}, r"shape \(1,\) and type float64"),
        ({"units": [[1]]}, r"shape \(1, 1\)"),
        ({"units": [True]}, "type bool"),
    ],
)
def test_units_are_chosen_in_one_way(cnn: Convolutions, choice: dict, message: str) -> None:
    for intervention in (ablate, preserve):
        with pytest.raises(CodeclensError, match=message), intervention(cnn, "first", **choice):
            pass


def test_a_value_that_fits_no_unit(cnn: Convolutions, images: Tensor) -> None:
    message = r"value has shape \(5,\); pass one number, or one for each of the 6 units"
    with (
        pytest.raises(CodeclensError, match=message),
        ablate(cnn, "first", units=[0], off=torch.zeros(5)),
    ):
        cnn(images)


def test_a_site_that_is_never_reached_is_no_silent_success(generator: torch.Generator) -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.ReLU(), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    model, x = Idle(), torch.randn(2, 3, generator=generator)
    for site in ("idle", "used#1"):
        with (
            pytest.raises(CodeclensError, match=f'without reaching site "{site}"'),
            ablate(model, site, units=[0]),
        ):
            model(x)
    assert hooks(model) == 0


@pytest.mark.parametrize("fraction", [-0.01, 1.01, 18, math.nan])
def test_a_fraction_is_a_share(fraction: float) -> None:
    with pytest.raises(CodeclensError, match=rf"fraction \(={fraction}\) must lie between 0 and 1"):
        share_to_count(fraction, 10)


def test_shares_round_to_the_nearest_unit_but_never_to_none() -> None:
    counts = [share_to_count(f, 64) for f in (0, 0.001, 0.01, 0.1, 0.18, 0.99, 1)]
    assert counts == [0, 1, 1, 6, 12, 63, 64]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(CodeclensError, match='no kind of intervention "presrve"'):
        Intervention(Site("0"), "presrve", (1,))
