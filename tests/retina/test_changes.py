"""Changes of receptive fields against the fields of all parts, subtracted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cells import HISTORY, Small, film
from codeclens import contributions
from codeclens.attribution import Sum
from codeclens.decomposition import NMF, Modes
from codeclens.errors import CodeclensError
from codeclens.retina import field_changes, field_parts, movie_changes, receptive_fields
from codeclens.retina.changes import _drawn
from codeclens.retina.passes import passes

MOVIE = film()
PAIRS = [(0, 9), (4, 5), (12, 3)]


def modes_at(model: Small, site: str) -> tuple[Modes, object]:
    found = contributions(model, MOVIE.windows(HISTORY), sites=site, target=Sum(), reduce=None)
    here = found[site]
    X = np.concatenate([here.positive.numpy(), -here.negative.numpy()], axis=1)
    method = NMF(n_modes=3).fit(X)
    return Modes(site, "concat", method, method.encode(X)), found


def by_subtraction(parts: np.ndarray, before: int, after: int) -> np.ndarray:
    """The shares of the change from fields `(time, part, …)`."""
    change = (parts[after] - parts[before]).reshape(parts.shape[1], -1)
    whole = change.sum(axis=0)
    return np.array([one @ whole for one in change]) / (whole @ whole)


@pytest.mark.parametrize("site", ["first", "second"])
def test_shares_of_channels_are_those_of_the_fields_subtracted(site: str) -> None:
    model = Small(detour=True).double()
    parts = field_parts(model, MOVIE, site)
    changes = field_changes(model, MOVIE, PAIRS, site)
    for cell in range(4):
        for row, (before, after) in enumerate(PAIRS):
            slow = by_subtraction(parts[:, cell].to_numpy(), before, after)
            assert np.allclose(changes.share[row, cell], slow, atol=1e-9)
    fields = receptive_fields(model, MOVIE)
    norm = np.linalg.norm((fields[9] - fields[0]).to_numpy().reshape(4, -1), axis=1)
    assert np.allclose(changes["size"][0], norm)


@pytest.mark.parametrize("site", ["first", "second"])
def test_shares_of_modes_are_those_of_the_fields_subtracted(site: str) -> None:
    model = Small().double()
    modes, found = modes_at(model, site)
    parts = field_parts(model, MOVIE, modes, found, cells=[2])
    changes = field_changes(model, MOVIE, PAIRS, modes, found, cells=[2], at_once=2)
    for row, (before, after) in enumerate(PAIRS):
        slow = by_subtraction(parts[:, 0].to_numpy(), before, after)
        assert np.allclose(changes.share[row, 0], slow, atol=1e-9)
    assert np.allclose(changes.share, changes.gain + changes.gating, atol=1e-12)


def test_gain_and_gating_by_jacobians_and_cotangents_exchanged() -> None:
    """Pass each moment's cotangent back through each moment's Jacobian, a channel at a time."""
    model, (before, after), cell = Small().double(), (0, 9), 1
    changes = field_changes(model, MOVIE, [(before, after)], "first", cells=[cell])
    windows = MOVIE.windows(HISTORY)
    with passes(model, windows, "first") as forward:
        moments = [forward(windows[row : row + 1]) for row in (before, after)]
        whole = (moments[1].field(cell) - moments[0].field(cell)).flatten()
        for channel in range(4):
            gains = []
            for moment in moments:
                gain = torch.zeros_like(moment.gain(cell))
                gain[:, channel] = moment.gain(cell)[:, channel]
                gains.append(gain)
            # back[i][j] is the cotangent of moment j through the Jacobian of moment i.
            back = [[m.back(g).flatten() for g in gains] for m in moments]
            gain = (back[0][1] - back[0][0] + back[1][1] - back[1][0]) / 2
            gating = (back[1][0] + back[1][1] - back[0][0] - back[0][1]) / 2
            for name, slow in (("gain", gain), ("gating", gating)):
                ours = float(changes[name].sel(channel=str(channel))[0, 0])
                assert ours == pytest.approx(float(slow @ whole / (whole @ whole)), abs=1e-10)


def test_where_only_the_last_nonlinearity_bends_all_is_gain() -> None:
    model = Small(linear=True).double()
    model.last = torch.nn.Softplus()
    changes = field_changes(model, MOVIE, PAIRS, "first")
    assert float(abs(changes.gating).max()) < 1e-9
    assert np.allclose(changes.gain.sum("channel"), 1)


def test_a_linear_model_has_no_change_and_no_shares() -> None:
    for model, movie in ((Small(linear=True).double(), MOVIE), (Small(linear=True), MOVIE)):
        windows = movie.windows(HISTORY).to(model.dense.weight.dtype)
        changes = field_changes(model, windows, PAIRS, "first")
        assert (changes["size"] == 0).all()
        assert changes.share.isnull().all()
        assert movie_changes(model, windows, "first", count=9).share.isnull().all()


def test_all_pairs_are_the_variance_about_the_mean_field() -> None:
    model = Small().double()
    total = movie_changes(model, MOVIE, "first", count=10_000, block=0.1)
    parts = field_parts(model, MOVIE, "first")
    for cell in range(4):
        about = (parts[:, cell] - parts[:, cell].mean("time")).to_numpy().reshape(20, 4, -1)
        whole = about.sum(axis=1)
        slow = np.einsum("tkp,tp->k", about, whole) / np.square(whole).sum()
        assert np.allclose(total.share[cell], slow, atol=1e-9)
    assert (total.share_low <= total.share + 1e-9).all()
    assert (total.share_high >= total.share - 1e-9).all()
    assert (total.share_high > total.share_low).all()


def test_successive_frames_are_pairs_of_neighbours() -> None:
    model = Small(detour=True).double()
    total = movie_changes(model, MOVIE, "second", against="previous", block=0.1)
    assert np.allclose(total.share.sum("channel"), 1)
    assert total.gain.sel(channel="bypass").isnull().all()
    assert not total.gain.sel(channel="wide").isnull().any()
    parts = field_parts(model, MOVIE, "second", cells=0).to_numpy()[:, 0].reshape(20, 4, -1)
    steps = np.diff(parts, axis=0)
    slow = np.einsum("tkp,tp->k", steps, steps.sum(axis=1)) / np.square(steps.sum(axis=1)).sum()
    assert np.allclose(total.share[0], slow, atol=1e-9)


@given(st.integers(2, 60), st.integers(1, 80), st.integers(0, 99))
def test_pairs_that_are_drawn_are_different_and_in_order(rows: int, count: int, seed: int) -> None:
    pairs = _drawn(rows, "mean", count, seed)
    assert len(pairs) == min(count, rows * (rows - 1) // 2)
    assert len({tuple(pair) for pair in pairs}) == len(pairs)
    assert (pairs[:, 0] >= 0).all()
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert (pairs[:, 1] < rows).all()


def test_inputs_that_are_not_a_pair_are_reported() -> None:
    model = Small().double()
    with pytest.raises(CodeclensError, match="rows before and after"):
        field_changes(model, MOVIE, [1, 2], "first")
    with pytest.raises(CodeclensError, match="windows 0 to 19"):
        field_changes(model, MOVIE, [(0, 20)], "first")
    with pytest.raises(CodeclensError, match='no reference "first"'):
        movie_changes(model, MOVIE, "first", against="first")
