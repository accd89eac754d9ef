"""Removals against the network run by hand without a part."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cells import HISTORY, Small, film
from codeclens import contributions
from codeclens.attribution import Output, Sum
from codeclens.control import activation_at, remove
from codeclens.decomposition import NMF, Modes
from codeclens.errors import CodeclensError
from codeclens.retina import (
    field_parts,
    movie_contributions,
    receptive_fields,
    removal_agreement,
    removal_effects,
)

MOVIE = film()
WINDOWS = MOVIE.windows(HISTORY)


def modes_at(model: Small, site: str) -> tuple[Modes, object]:
    found = contributions(model, WINDOWS, sites=site, target=Sum(), baseline=0.3, reduce=None)
    here = found[site]
    X = np.concatenate([here.positive.numpy(), -here.negative.numpy()], axis=1)
    method = NMF(n_modes=3).fit(X)
    return Modes(site, "concat", method, method.encode(X)), found


def flat(fields: object) -> np.ndarray:
    return np.asarray(fields).reshape(len(fields), -1)


def test_a_channel_by_hand() -> None:
    model, cell, channel, start = Small(detour=True).double(), 1, 2, 0.3
    effects = removal_effects(
        model, MOVIE, "first", baseline=start, parts=["2"], cells=[cell], at_once=7
    )
    rest = model.front(torch.full_like(WINDOWS[:1], start))
    found = contributions(model, WINDOWS, sites="first", target=Output(cell), baseline=start)

    def without(x: torch.Tensor) -> torch.Tensor:
        a = model.front(x).clone()
        a[:, channel] = rest[:, channel]
        return model.back(a)[:, cell]

    x = WINDOWS.clone().requires_grad_()
    (field,) = torch.autograd.grad(without(x).sum(), x)
    measured = (without(WINDOWS) - model(WINDOWS)[:, cell]).detach()
    assert np.allclose(effects.rate_measured[:, 0, 0], measured)
    assert np.allclose(effects.rate_predicted[:, 0, 0], -found["first"].net[:, channel])
    change = flat(field) - flat(receptive_fields(model, MOVIE, cells=[cell]))
    share = -flat(field_parts(model, MOVIE, "first", cells=[cell]).sel(channel="2"))
    assert np.allclose(effects.field_measured[:, 0, 0], np.linalg.norm(change, axis=1))
    assert np.allclose(effects.field_predicted[:, 0, 0], np.linalg.norm(share, axis=1))
    assert np.allclose(effects.field_product[:, 0, 0], (change * share).sum(axis=1))


def test_a_mode_as_control_removes_it() -> None:
    model = Small().double()
    modes, found = modes_at(model, "second")
    effects = removal_effects(model, MOVIE, modes, found, baseline=0.3)
    assert list(effects.mode.values) == ["0", "1", "2", "remainder"]
    start = activation_at(model, "second", torch.full_like(WINDOWS[:1], 0.3))
    for number in range(3):
        with torch.no_grad(), remove(model, modes, number, found, baseline=start):
            measured = model(WINDOWS)
        measured = measured - model(WINDOWS).detach()
        assert np.allclose(effects.rate_measured[:, :, number], measured, atol=1e-12)


def test_what_all_modes_foretell_is_the_rate() -> None:
    model = Small().double()
    modes, found = modes_at(model, "first")
    some = removal_effects(model, MOVIE, modes, found, baseline=0.3, frames=[2, 11], cells="c")
    whole = model(WINDOWS)[[2, 11], 2] - model(torch.full_like(WINDOWS[:1], 0.3))[:, 2]
    assert np.allclose(some.rate_predicted.sum("mode")[:, 0], -whole.detach(), atol=1e-9)


def test_behind_a_site_that_is_linear_all_comes_as_predicted() -> None:
    model = Small(linear=True).double()
    model.first = torch.nn.Softplus()
    table = removal_agreement(removal_effects(model, MOVIE, "first"))
    for name in ("rate_correlation", "rate_slope", "field_cosine", "field_slope"):
        assert np.allclose(table[name], 1)
        assert np.allclose(table[f"{name}_low"], 1)
        assert np.allclose(table[f"{name}_of_parts"], 1)


def test_agreement_by_its_definition() -> None:
    model = Small().double()
    effects = removal_effects(model, MOVIE, "first", output=model.drive)
    table = removal_agreement(effects, block=4)
    for cell in range(4):
        predicted = effects.rate_predicted[:, cell].to_numpy().ravel()
        measured = effects.rate_measured[:, cell].to_numpy().ravel()
        slope, _ = np.polyfit(predicted, measured, 1)
        correlation = np.corrcoef(predicted, measured)[0, 1]
        assert float(table.rate_slope[cell]) == pytest.approx(slope)
        assert float(table.rate_correlation[cell]) == pytest.approx(correlation)
        assert table.rate_correlation_low[cell] < correlation < table.rate_correlation_high[cell]
    product = effects.field_product.sum(["time", "channel"])
    square = (effects.field_predicted**2).sum(["time", "channel"])
    assert np.allclose(table.field_slope, product / square)


def test_the_model_is_unchanged_and_bad_input_is_reported() -> None:
    model = Small().double()
    before = model(WINDOWS).detach()
    with pytest.raises(CodeclensError, match='no channel "9"'):
        removal_effects(model, MOVIE, "first", parts=["9"])
    removal_effects(model, MOVIE, "first", parts=["1"], frames=[0])
    assert torch.equal(model(WINDOWS), before)
    assert not model.first._forward_hooks


@pytest.mark.parametrize(
    ("baseline", "says"),
    [
        (torch.zeros(3, 3), r"of shape \(3, 3\); pass a number or one window of shape"),
        ("grey", "is 'grey'; pass"),
        (float("nan"), "NaN or infinity"),
    ],
)
def test_a_baseline_is_a_number_or_a_window(baseline: object, says: str) -> None:
    with pytest.raises(CodeclensError, match=says):
        removal_effects(Small().double(), MOVIE, "first", baseline=baseline)  # type: ignore[arg-type]


def test_modes_need_contributions_with_their_positions() -> None:
    model = Small().double()
    modes, _ = modes_at(model, "first")
    labelled = movie_contributions(model, MOVIE)
    for found in (labelled, labelled.positive, 3):
        for ask in (removal_effects, field_parts):
            with pytest.raises(CodeclensError, match=r"sites=\"first\", reduce=None"):
                ask(model, MOVIE, modes, found)  # type: ignore[arg-type]
