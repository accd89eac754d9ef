"""Receptive fields against moving one pixel after another, and their division against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cells import HISTORY, PIXEL, RATE, Small, film
from codeclens import contributions
from codeclens.attribution import Output, Site
from codeclens.decomposition import NMF, Modes
from codeclens.errors import CodeclensError
from codeclens.retina import (
    Movie,
    field_cosine,
    field_parts,
    movie_contributions,
    receptive_fields,
    removal_effects,
    separable,
)
from reference import field_by_differences, mode_shares_by_hand

MOVIE = film()


def small(**options: bool) -> Small:
    return Small(**options).double()


def modes_at(model: Small, site: str, *, full: bool, n_modes: int = 3) -> tuple[Modes, object]:
    windows = MOVIE.windows(HISTORY)
    reduce = None if full else "sum"
    found = contributions(model, windows, sites=site, target=Output(1), reduce=reduce)
    here = found[site]
    X = np.concatenate([here.positive.numpy(), -here.negative.numpy()], axis=1)
    method = NMF(n_modes=n_modes).fit(X)
    return Modes(site, "concat", method, method.encode(X)), found


def test_fields_are_what_moving_each_pixel_does() -> None:
    model = small()
    fields = receptive_fields(model, MOVIE, frames=[0, 7])
    for row, frame in enumerate((0, 7)):
        for cell in range(4):
            slow = field_by_differences(
                lambda x, cell=cell: model(x)[:, cell], MOVIE.windows(HISTORY)[frame]
            )
            assert np.allclose(fields[row, cell], slow, rtol=1e-5, atol=1e-8)


def test_labels_name_position_time_and_cell() -> None:
    fields = receptive_fields(small(), MOVIE, cells=["c", 0], frames=slice(2, 9))
    assert fields.dims == ("time", "cell", "lag", "y", "x")
    assert list(fields.cell.values) == ["c", "a"]
    assert np.allclose(fields.time, (np.arange(2, 9) + HISTORY - 1) / RATE)
    assert np.allclose(fields.lag, np.arange(HISTORY - 1, -1, -1) / RATE)
    assert np.allclose(fields.y, (np.arange(6) + 0.5) * PIXEL)
    assert (fields.attrs["units"], fields.x.attrs["units"]) == ("Hz per stimulus unit", "um")


@pytest.mark.parametrize("ahead", [-1, 0, 2])
def test_times_and_lags_are_counted_from_the_frame_that_is_answered(ahead: int) -> None:
    model = small()
    model.ahead = ahead
    fields = receptive_fields(model, MOVIE, cells=1)
    found = movie_contributions(model, MOVIE, cells=["b"])
    assert np.allclose(fields.time, found.time)
    rates = model.respond(MOVIE)[:, 1].detach().numpy()
    assert np.allclose(rates, found.rate.sel(cell="b"))
    # The frame that a pixel belongs to is the same by its time and its lag.
    newest = (fields.time - fields.lag).max("lag").to_numpy()
    assert np.allclose(newest, MOVIE.window_times(HISTORY))
    effects = removal_effects(model, MOVIE, "first", frames=[3], cells=["b"])
    assert np.allclose(effects.time, fields.time[3])


def test_portions_and_windows_change_nothing_and_the_model_stays_as_it_is() -> None:
    model = small().train()
    model.conv1.weight.requires_grad_(False)
    whole = receptive_fields(model, MOVIE, at_once=1000)
    by_threes = receptive_fields(model, MOVIE.windows(HISTORY), at_once=3)
    assert np.allclose(whole, by_threes, rtol=1e-12, atol=1e-15)
    assert model.training
    assert not model.conv1.weight.requires_grad
    assert model.conv2.weight.requires_grad
    assert not model.first._forward_hooks
    with torch.inference_mode():
        assert np.array_equal(whole, receptive_fields(model, MOVIE))


def test_the_drive_has_a_field_where_the_rate_is_silent() -> None:
    model = small()
    drive = receptive_fields(model, MOVIE, output="dense", frames=[3])
    rate = receptive_fields(model, MOVIE, frames=[3])
    window = MOVIE.windows(HISTORY)[3:4]
    slope = torch.sigmoid(model.dense(model.second(model.conv2(model.front(window))).flatten(1)))
    assert np.allclose(rate[0], drive[0] * slope.detach().numpy()[0][:, None, None, None])


@pytest.mark.parametrize("site", ["first", "second"])
@pytest.mark.parametrize("double", [True, False])
def test_channels_sum_to_the_field(site: str, double: bool) -> None:
    model = small() if double else small().float()
    movie = MOVIE if double else Movie(MOVIE.frames.float(), RATE, PIXEL, "um")
    whole = receptive_fields(model, movie)
    parts = field_parts(model, movie, site)
    assert "bypass" not in parts.channel
    apart = abs(parts.sum("channel") - whole).max() / abs(whole).max()
    assert apart < (1e-12 if double else 1e-5)


@pytest.mark.parametrize("site", ["first", "second"])
@pytest.mark.parametrize("full", [True, False])
def test_modes_and_the_remainder_sum_to_the_field(site: str, full: bool) -> None:
    model = small()
    modes, found = modes_at(model, site, full=full)
    parts = field_parts(model, MOVIE, modes, found, cells=[1, 2])
    assert list(parts.mode.values) == ["0", "1", "2", "remainder"]
    assert list(parts.part.values) == ["mode", "mode", "mode", "remainder"]
    assert list(parts[:, :, parts.part == "mode"].mode.values) == ["0", "1", "2"]
    whole = receptive_fields(model, MOVIE, cells=[1, 2])
    assert abs(parts.sum("mode") - whole).max() < 1e-10 * abs(whole).max()
    float_parts = field_parts(
        small().float(), Movie(MOVIE.frames.float(), RATE, PIXEL, "um"), modes, found, cells=[1, 2]
    )
    assert abs(float_parts.sum("mode") - whole).max() < 1e-5 * abs(whole).max()


def test_a_channel_has_what_moving_pixels_does_while_the_others_are_held() -> None:
    model = small(detour=True)
    window = MOVIE.windows(HISTORY)[4]
    held = model.front(window[None]).detach()
    parts = field_parts(model, MOVIE, "first", frames=[4], cells=2)
    for channel in range(4):

        def rate(x: torch.Tensor, channel: int = channel) -> torch.Tensor:
            a = held.repeat(len(x), 1, 1, 1)
            a[:, channel] = model.front(x)[:, channel]
            return model.back(a)[:, 2]

        slow = field_by_differences(rate, window)
        assert np.allclose(parts[0, 0, channel], slow, rtol=1e-5, atol=1e-8)


def test_a_mode_has_what_moving_pixels_does_to_its_share_alone() -> None:
    model = small()
    modes, found = modes_at(model, "first", full=True)
    windows, frame = MOVIE.windows(HISTORY), 6
    held = model.front(windows[frame : frame + 1]).detach()
    full = found["first"].full[frame].flatten(1).numpy()
    shares = mode_shares_by_hand(modes.loadings[frame], modes.dictionary, full)
    parts = field_parts(model, MOVIE, modes, found, frames=[frame], cells=[1])
    for part, share in enumerate(shares):

        def rate(x: torch.Tensor, share: np.ndarray = share) -> torch.Tensor:
            taken = torch.from_numpy(share).reshape(held.shape[1:])
            return model.back(held + taken * (model.front(x) - held))[:, 1]

        slow = field_by_differences(rate, windows[frame])
        assert np.allclose(parts[0, 0, part], slow, rtol=1e-4, atol=1e-7)


def test_what_passes_by_a_site_that_is_no_cut_is_named() -> None:
    model = small(detour=True)
    parts = field_parts(model, MOVIE, "second", frames=[1])
    assert list(parts.channel.values) == ["wide", "narrow", "starburst", "bypass"]
    whole = receptive_fields(model, MOVIE, frames=[1])
    assert np.allclose(parts.sum("channel"), whole)
    window = MOVIE.windows(HISTORY)[1]
    second = model.second(model.conv2(model.front(window[None]))).detach()

    def around(x: torch.Tensor) -> torch.Tensor:
        a = model.front(x)
        return model.last(model.dense(second.flatten(1)) + model.skip(a.flatten(1)))[:, 0]

    slow = field_by_differences(around, window)
    assert np.allclose(parts.sel(channel="bypass")[0, 0], slow, rtol=1e-5, atol=1e-8)


def test_a_linear_model_has_one_field_for_ever() -> None:
    fields = receptive_fields(small(linear=True), MOVIE)
    assert float(fields.std("time").max()) < 1e-12
    assert float(abs(fields).max()) > 1e-3


@given(st.integers(0, 10_000), st.floats(0.0, 1.0))
def test_rank_one_power_is_that_of_the_nearest_product(seed: int, weight: float) -> None:
    random = np.random.default_rng(seed)
    time, place = random.normal(size=5), random.normal(size=36)
    field = np.outer(time, place) + weight * random.normal(size=(5, 36))
    fields = receptive_fields(small(), MOVIE, frames=[0], cells=[0])
    split = separable(fields.copy(data=field.reshape(1, 1, 5, 6, 6)))
    near = np.einsum("l,yx->lyx", split.temporal[0, 0], split.spatial[0, 0])
    residue = np.square(near.reshape(5, 36) - field).sum()
    assert float(split.power[0, 0]) == pytest.approx(1 - residue / np.square(field).sum())
    assert residue <= np.square(field - np.outer(time, place)).sum() + 1e-9
    assert np.linalg.norm(split.spatial) == pytest.approx(1)
    assert float(abs(split.spatial).max()) == float(split.spatial.max())


def test_a_field_of_zeros_has_no_rank_one_power() -> None:
    fields = receptive_fields(small(), MOVIE, frames=[0], cells=[0])
    assert np.isnan(separable(0 * fields).power).all()


def test_cosines_of_fields_are_those_of_their_entries() -> None:
    one, other = (receptive_fields(Small(seed=seed).double(), MOVIE) for seed in (0, 1))
    cosine = field_cosine(one, other)
    assert cosine.dims == ("time", "cell")
    a, b = one[4, 2].to_numpy().ravel(), other[4, 2].to_numpy().ravel()
    assert float(cosine[4, 2]) == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)))
    assert field_cosine(one, 0 * other).isnull().all()
    with pytest.raises(CodeclensError, match="same moments"):
        field_cosine(one, other[1:])


def test_ambiguous_input_is_reported() -> None:
    model, plain = small(), torch.nn.Flatten()
    modes, found = modes_at(model, "first", full=False)
    with pytest.raises(CodeclensError, match='no cell "z"; the nearest names are'):
        receptive_fields(model, MOVIE, cells="z")
    with pytest.raises(CodeclensError, match="not rows of the 20 windows"):
        receptive_fields(model, MOVIE, frames=[20])
    for frames in ([1.7], np.ones(5, bool), [[1, 2]]):
        with pytest.raises(CodeclensError, match="not rows of the 20 windows"):
            receptive_fields(model, MOVIE, frames=frames)
    with pytest.raises(CodeclensError, match="history"):
        receptive_fields(plain, MOVIE)
    with pytest.raises(CodeclensError, match="have a clock"):
        receptive_fields(plain, MOVIE.windows(5))
    with pytest.raises(CodeclensError, match=r"windows, 5"):
        receptive_fields(model, MOVIE.windows(4))
    with pytest.raises(CodeclensError, match="runs at 25"):
        receptive_fields(model, Movie(MOVIE.frames, 25.0, PIXEL, "um"))
    with pytest.raises(CodeclensError, match="pass found="):
        field_parts(model, MOVIE, modes)
    with pytest.raises(CodeclensError, match="contributions of 20 windows, but the movie has 19"):
        field_parts(model, MOVIE.between(0.02, 0.48), modes, found)
    with pytest.raises(CodeclensError, match='no site "third"'):
        field_parts(model, MOVIE, "third")
    with pytest.raises(CodeclensError, match="rates"):
        receptive_fields(model, MOVIE, output=Site("first"))
