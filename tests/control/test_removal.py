"""A mode's share and its direction, against loops; what removal leaves, and what it keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import networks
from codeclens.attribution import Conductance, Contributions, contributions
from codeclens.attribution.results import SiteContributions
from codeclens.control import (
    activation_at,
    keep,
    mode_direction,
    mode_share,
    outputs_under,
    removal,
    remove,
    steer,
)
from codeclens.decomposition import NMF, Modes, SemiNMF
from codeclens.errors import CodeclensError

SITE = "layer1.1"
MODES = 4


@pytest.fixture(scope="module")
def model() -> networks.ResidualCNN:
    return networks.residual_cnn().double()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return networks.noise(12, 3, 12, 12)


@pytest.fixture(scope="module")
def found(model: networks.ResidualCNN, images: Tensor) -> Contributions:
    method = Conductance(steps=3)
    return contributions(model, images, sites=[SITE, "layer1.0"], method=method, reduce=None)


def by_unit(found: Contributions) -> SiteContributions:
    return replace(found[SITE], full=None)


@pytest.fixture(scope="module", params=["concat", "sum", "positive", "negative", "activation"])
def modes(request: pytest.FixtureRequest, found: Contributions) -> Modes:
    c, view = found[SITE], request.param
    columns = {
        "concat": torch.cat([c.positive, -c.negative], 1),
        "sum": c.net,
        "positive": c.positive,
        "negative": c.negative,
        "activation": c.activation,
    }[view].numpy()
    method = (SemiNMF if view in ("sum", "negative") else NMF)(n_modes=MODES).fit(columns)
    return Modes(SITE, view, method, method.encode(columns))


def share_by_hand(modes: Modes, c: SiteContributions, which: int) -> tuple[np.ndarray, np.ndarray]:
    """Of every sample's and unit's positive and negative contributions, the mode's share."""
    positive, negative = c.positive.numpy(), c.negative.numpy()
    both_signs, own = modes.view in ("concat", "sum"), {"positive": positive, "negative": negative}
    alone = own.get(modes.view, c.activation.numpy())
    given = (positive, negative) if both_signs else (alone,)
    loadings = modes.project(*given).astype(np.float64)
    seen = {
        "concat": np.concatenate([positive, -negative], axis=1),
        "sum": positive + negative,
        "positive": positive, "negative": negative, "activation": c.activation.numpy(),
    }[modes.view]  # fmt: skip
    samples, units = positive.shape
    both = np.zeros((2, samples, units))
    for b in range(samples):
        for column in range(modes.dictionary.shape[1]):
            sign = np.sign(seen[b, column])
            parts = [
                max(float(loadings[b, k]) * float(modes.dictionary[k, column]) * sign, 0.0)
                for k in range(len(modes))
            ]
            whole = max(sum(parts), abs(float(seen[b, column])))
            value = parts[which] / whole if whole > 0 else 0.0
            unit = column % units
            if modes.view == "concat":
                both[int(column >= units), b, unit] = value
            else:
                if modes.view != "negative":
                    both[0, b, unit] = value
                if modes.view != "positive":
                    both[1, b, unit] = value
    return both[0], both[1]


def test_shares_by_unit_and_at_every_position(modes: Modes, found: Contributions) -> None:
    c = found[SITE]
    for which in range(MODES):
        plus, minus = share_by_hand(modes, c, which)
        gain, loss = c.positive.numpy(), -c.negative.numpy()
        total = gain + loss
        expected = np.where(total > 0, (plus * gain + minus * loss) / np.where(total, total, 1), 0)
        np.testing.assert_allclose(mode_share(modes, which, by_unit(found)), expected, atol=1e-12)
        full = mode_share(modes, which, c)
        assert c.full is not None
        there = np.where(c.full.numpy() > 0, plus[:, :, None, None], minus[:, :, None, None])
        np.testing.assert_allclose(full, there, atol=1e-12)


def test_removal_is_the_formula_and_leaves_the_rest(
    model: networks.ResidualCNN, images: Tensor, modes: Modes, found: Contributions
) -> None:
    a, a0 = activation_at(model, SITE, images), activation_at(model, SITE, 0 * images[:1])
    for c in (found[SITE], by_unit(found)):
        share = mode_share(modes, 1, c).reshape(*((12, 6, 1, 1) if c.full is None else a.shape))
        with remove(model, modes, 1, c, baseline=a0):
            without = activation_at(model, SITE, images)
        torch.testing.assert_close(without, a - share * (a - a0), rtol=0, atol=1e-13)
        assert torch.equal(without[(share == 0).expand_as(a)], a[(share == 0).expand_as(a)])
        with keep(model, modes, modes[1], c, baseline=a0):
            alone = activation_at(model, SITE, images)
        torch.testing.assert_close(alone, a0 + share * (a - a0), rtol=0, atol=1e-13)
        # What is removed and what is kept are everything.
        torch.testing.assert_close(without + alone - a0, a, rtol=0, atol=1e-13)


def test_modes_together_take_the_sum_of_their_shares(
    model: networks.ResidualCNN, images: Tensor, modes: Modes, found: Contributions
) -> None:
    a, a0 = activation_at(model, SITE, images), activation_at(model, SITE, 0 * images[:1])
    c = found[SITE]
    taken = torch.zeros_like(a)
    for which in range(MODES):
        with remove(model, modes, which, c, baseline=a0):
            taken += a - activation_at(model, SITE, images)
    with remove(model, modes, range(MODES), c, baseline=a0):
        torch.testing.assert_close(
            activation_at(model, SITE, images), a - taken, rtol=0, atol=1e-12
        )


def test_a_mode_that_is_absent_changes_nothing(
    model: networks.ResidualCNN, images: Tensor, found: Contributions
) -> None:
    c = found[SITE]
    method = NMF(n_modes=MODES).fit(c.positive.numpy())
    modes = Modes(SITE, "positive", method, method.encode(c.positive.numpy()))
    without = replace(c, positive=0 * c.positive, full=None)
    a = activation_at(model, SITE, images)
    with remove(model, modes, 0, without, baseline=5.0):
        assert torch.equal(activation_at(model, SITE, images), a)


def test_removals_in_a_sweep(
    model: networks.ResidualCNN, images: Tensor, modes: Modes, found: Contributions
) -> None:
    a0 = activation_at(model, SITE, 0 * images[:1])
    acts = [
        removal(modes, which, found, baseline=a0, alone=alone)
        for which in range(MODES)
        for alone in (False, True)
    ]
    outputs = outputs_under(model, images, acts, batch_size=5)
    for number, which in ((1, 0), (7, 3)):
        with remove(model, modes, which, found, baseline=a0), torch.no_grad():
            np.testing.assert_allclose(outputs[number], model(images), rtol=0, atol=1e-12)
    with keep(model, modes, 3, found, baseline=a0), torch.no_grad():
        np.testing.assert_allclose(outputs[8], model(images), rtol=0, atol=1e-12)


def test_the_direction_is_what_removal_takes_away(
    model: networks.ResidualCNN, images: Tensor, modes: Modes, found: Contributions
) -> None:
    a, a0 = activation_at(model, SITE, images), activation_at(model, SITE, 0 * images[:1])
    c = by_unit(found)
    d = mode_direction(modes, 1, found, baseline=a0)
    with remove(model, modes, 1, c, baseline=a0):
        taken = (a - activation_at(model, SITE, images)).mean(dim=(2, 3))
    loading = torch.from_numpy(modes.loadings[:, 1]).double()
    expected = (loading[:, None] * taken).sum(0) / loading.sum()
    torch.testing.assert_close(d, expected, rtol=1e-5, atol=1e-7)
    before = activation_at(model, SITE, images).mean(dim=(2, 3))
    with steer(model, SITE, d, strength=2.0):
        moved = activation_at(model, SITE, images).mean(dim=(2, 3)) - before
    torch.testing.assert_close(moved, 2 * d.expand_as(moved), rtol=0, atol=1e-12)


def test_the_difference_of_means(found: Contributions) -> None:
    c = found[SITE]
    method = NMF(n_modes=MODES).fit(c.positive.numpy())
    modes = Modes(SITE, "positive", method, method.encode(c.positive.numpy()))
    half = replace(c, positive=c.positive.clone(), full=None)
    half.positive[6:] = 0
    loading = torch.from_numpy(modes.project(half.positive)[:, 2]).double()
    assert (loading[6:] == 0).all()
    absent = c.activation[loading == 0].mean(dim=0)
    expected = (loading @ c.activation) / loading.sum() - absent
    found_ = mode_direction(modes, 2, half, by="presence")
    torch.testing.assert_close(found_, expected, rtol=1e-10, atol=1e-12)


def test_mistakes(model: networks.ResidualCNN, images: Tensor, found: Contributions) -> None:
    c = found[SITE]
    method = NMF(n_modes=MODES).fit(c.positive.numpy())
    modes = Modes(SITE, "positive", method, method.encode(c.positive.numpy()))
    other = replace(modes, site="layer1.0")
    for message, call in (
        ('modes are of site "layer1.1", the contributions of "layer1.0"',
         lambda: removal(modes, 0, found["layer1.0"], baseline=0.0)),
        ('but the contributions are of "layer1.0"',
         lambda: removal(modes, 0, {"layer1.0": found["layer1.0"]}, baseline=0.0)),
        ("There is no mode 9", lambda: removal(modes, 9, c, baseline=0.0)),
        ('Mode 1 is of site "layer1.0"', lambda: removal(modes, other[1], c, baseline=0.0)),
        ("baseline=nan is not a finite", lambda: removal(modes, 0, c, baseline=float("nan"))),
        ('no way to find a direction "mean"', lambda: mode_direction(modes, 0, c, by="mean")),
        (r"baseline is \(5,\) in units",
         lambda: mode_direction(modes, 0, c, baseline=torch.ones(5))),
        ("is active in 0 of the 12 samples",
         lambda: mode_direction(modes, 0, replace(c, positive=0 * c.positive))),
    ):  # fmt: skip
        with pytest.raises(CodeclensError, match=message):
            call()
    with (
        pytest.raises(CodeclensError, match=r"share has shape \(12, 6, 12, 12\)"),
        remove(model, modes, 0, c, baseline=0.0),
    ):
        model(images[:5])


def test_support_and_opposition_add_up_to_both(found: Contributions, modes: Modes) -> None:
    for c in (found[SITE], by_unit(found)):
        both, plus, minus = (
            mode_share(modes, 1, c, sign=sign) for sign in ("both", "positive", "negative")
        )
        torch.testing.assert_close(plus + minus, both)
    by_sign = share_by_hand(modes, found[SITE], 1)
    full = found[SITE].full
    assert full is not None
    for sign, part, there in (
        ("positive", by_sign[0], full > 0),
        ("negative", by_sign[1], full <= 0),
    ):
        expected = np.where(there.numpy(), part[:, :, None, None], 0.0)
        share = mode_share(modes, 1, found[SITE], sign=sign)
        np.testing.assert_allclose(share, expected, atol=1e-12)


def test_support_alone_is_removed_where_it_is(
    model: networks.ResidualCNN, images: Tensor, found: Contributions, modes: Modes
) -> None:
    a = activation_at(model, SITE, images)
    act = removal(modes, 0, found, baseline=0.0, sign="positive")
    share = mode_share(modes, 0, found, sign="positive")
    torch.testing.assert_close(act(found[SITE].site, a), a * (1 - share.to(a)))


@pytest.mark.parametrize("sign", ["both", "positive", "negative"])
def test_controls_remove_as_much_from_other_units(
    found: Contributions, modes: Modes, sign: str
) -> None:
    a = torch.ones_like(found[SITE].full)
    for c, contributed in (
        (found[SITE], found[SITE].full.abs()),
        (by_unit(found), (found[SITE].positive - found[SITE].negative)[:, :, None, None]),
    ):
        removed = {
            pattern: 1 - removal(modes, 2, c, baseline=0.0, sign=sign, pattern=pattern, seed=3)(
                c.site, a
            )
            for pattern in ("mode", "permuted", "own")
        }  # fmt: skip
        # The same shares, at other units.
        for here, there in zip(removed["mode"], removed["permuted"], strict=True):
            units, others = (sorted(map(tuple, x.flatten(1).tolist())) for x in (here, there))
            np.testing.assert_allclose(units, others, atol=1e-12)
        # As much of each image's contributions, taken evenly from its own of that sign.
        amounts = {name: (share * contributed).flatten(1).sum(dim=1)
                   for name, share in removed.items()}  # fmt: skip
        torch.testing.assert_close(amounts["own"], amounts["mode"])
    own = removal(modes, 2, found, baseline=0.0, sign="positive", pattern="own")
    shares = 1 - own(found[SITE].site, a)
    for share, signed in zip(shares, found[SITE].full, strict=True):
        assert torch.unique(share[signed > 0].round(decimals=9)).numel() <= 1
        assert not share[signed < 0].any()


def test_unknown_signs_and_patterns(found: Contributions, modes: Modes) -> None:
    with pytest.raises(CodeclensError, match='no sign "plus"; the nearest'):
        mode_share(modes, 0, found, sign="plus")
    with pytest.raises(CodeclensError, match='no pattern "shuffled"'):
        removal(modes, 0, found, baseline=0.0, pattern="shuffled")
