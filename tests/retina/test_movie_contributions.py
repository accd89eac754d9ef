"""Contributions over a movie, in hertz, and stores and modes made of movies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import codeclens as cl
import reference
from codeclens import CodeclensError
from codeclens.retina import (
    LNK,
    CoreLayer,
    CoreReadout,
    Movie,
    MovieWindows,
    RetinaCNN,
    movie_contributions,
)

ABOUT: dict = {"rate": 50.0, "pixel": 30.0, "unit": "um"}


@pytest.fixture
def movie(generator: torch.Generator) -> Movie:
    return Movie(torch.randn(30, 9, 9, generator=generator, dtype=torch.float64), **ABOUT)


@pytest.fixture
def cnn(movie: Movie) -> RetinaCNN:
    model = RetinaCNN(
        ["on", "off"], history=5, size=(9, 9), kernels=(3, 3), channels=(3, 2), **ABOUT
    ).double()
    with torch.no_grad(), torch.random.fork_rng():
        model.train()(movie.windows(5))
    model.calibrate(torch.tensor([[5.0, 20.0]]))
    return model.eval()


def test_every_frame_of_every_cell_and_layer_adds_up(movie: Movie, cnn: RetinaCNN) -> None:
    found = movie_contributions(cnn, movie)
    assert dict(found.sizes) == {"time": 26, "cell": 2, "layer": 2, "channel": 3}
    assert np.allclose(found.time, movie.window_times(5))
    assert list(found.cell.values) == ["on", "off"]
    assert np.allclose(found.rate, cnn.respond(movie), atol=1e-9)
    net = (found.positive + found.negative).sum("channel")
    assert abs(net - (found.rate - found.baseline_rate)).max() < 1e-9
    assert abs(found.completeness).max() < 1e-9
    assert found.positive.attrs["units"] == found.completeness.attrs["units"] == "Hz"
    assert found.time.attrs["units"] == "s"
    assert bool((found.negative.fillna(0) <= 0).all())
    assert found.positive.sel(layer="second", channel=2).isnull().all(), "a layer of two channels"


@pytest.mark.parametrize("cell", ["on", "off"])
def test_it_is_integrated_gradients_at_the_sites(movie: Movie, cnn: RetinaCNN, cell: str) -> None:
    """With many steps, what the slow version integrates."""
    x = movie.windows(5)[:3]
    method = cl.Conductance(steps=200)
    found = movie_contributions(
        cnn, movie, cells=[cell], times=movie.window_times(5)[:3], method=method
    )
    index = cnn.cells.index(cell)
    slow = _conductance(cnn, x, index, 400)
    for layer, wanted in slow.items():
        ours = (found.positive + found.negative).sel(cell=cell, layer=layer)
        ours = torch.from_numpy(ours.values[:, : wanted.shape[1]])
        assert reference.difference(ours, wanted) < 1e-3


def _conductance(model: RetinaCNN, x: Tensor, cell: int, steps: int) -> dict[str, Tensor]:
    """A plain midpoint rule: gradient at the middle times the change of the activation."""
    total: dict[str, Tensor] = {}
    for step in range(steps):
        kept: dict[str, Tensor] = {}
        ends: dict[str, list[Tensor]] = {site: [] for site in model.sites}

        def note(name: str, kept: dict = kept) -> object:
            def hook(module: object, args: object, output: Tensor) -> None:
                if output.requires_grad:
                    output.retain_grad()
                kept[name] = output

            return hook

        taps = [getattr(model, s).register_forward_hook(note(s)) for s in model.sites]
        for share in (step / steps, (step + 1) / steps):
            with torch.no_grad():
                model(x * share)
            for site in model.sites:
                ends[site].append(kept[site].detach().clone())
        model(x * (step + 0.5) / steps)[:, cell].sum().backward()
        for tap in taps:
            tap.remove()
        for site in model.sites:
            part = kept[site].grad * (ends[site][1] - ends[site][0])
            total[site] = total.get(site, 0) + part.flatten(2).sum(dim=2)
    model.zero_grad()
    return total


def test_frames_are_chosen_by_time_and_batches_change_nothing(movie: Movie, cnn: RetinaCNN) -> None:
    whole = movie_contributions(cnn, movie, method=cl.Conductance(steps=3))
    part = movie_contributions(
        cnn, movie, between=(0.2, 0.4), batch_size=3, method=cl.Conductance(steps=3)
    )
    assert np.allclose(part.time, np.arange(10, 20) / 50)
    assert np.allclose(part.rate, whole.rate.isel(time=slice(6, 16)))
    some = movie_contributions(cnn, movie, times=[0.1, 0.32])
    assert np.allclose(some.time, [0.1, 0.32])
    assert np.allclose(some.rate, whole.rate.sel(time=[0.1, 0.32], method="nearest"))
    small = movie_contributions(cnn, movie, batch_size=1)
    assert np.allclose(small.positive, movie_contributions(cnn, movie).positive, equal_nan=True)


def test_population_surprisal_and_drive_are_targets(movie: Movie, cnn: RetinaCNN) -> None:
    surprisal = cl.Surprisal.fit(cnn.respond(movie)[:15])
    found = movie_contributions(
        cnn, movie, targets={"population": cl.Sum(), "surprisal": surprisal}, between=(0.4, 0.6)
    )
    assert list(found.units.values) == ["Hz", "Hz", "Hz", "nats"]
    assert "units" not in found.rate.attrs
    rates = found.rate.sel(cell=["on", "off"]).sum("cell")
    assert np.allclose(found.rate.sel(cell="population"), rates)
    both = found.positive + found.negative
    parts = both.sel(cell=["on", "off"]).sum("cell", skipna=False)
    assert np.allclose(both.sel(cell="population"), parts, equal_nan=True)
    assert abs(found.completeness).max() < 1e-9
    drive = movie_contributions(cnn, movie, drive=True)
    again = cnn.output.gain.numpy() * np.log1p(np.exp(drive.rate))
    assert np.allclose(again, movie_contributions(cnn, movie).rate)
    assert set(drive.units.values) == {"drive"}
    assert abs(drive.completeness).max() < 1e-9


def test_layers_with_a_time_axis_have_lags(movie: Movie) -> None:
    model = LNK(["a"], history=20, taps=6, size=(9, 9), channels=2, **ABOUT).double()
    found = movie_contributions(model, movie, sites="nonlinear", lags=True)
    assert found.positive.dims == ("time", "cell", "layer", "channel", "lag")
    assert np.allclose(found.lag, np.arange(15)[::-1] / 50)
    whole = movie_contributions(model, movie, sites="nonlinear")
    net = found.positive + found.negative
    assert np.allclose(net.sum("lag"), whole.positive + whole.negative)
    with pytest.raises(CodeclensError, match='"active" has no time axis'):
        movie_contributions(model, movie, lags=True)


def test_a_lag_is_when_the_film_was_seen(movie: Movie) -> None:
    """A core that passes only one frame on: what it contributed came that long ago."""
    kernel = torch.zeros(1, 1, 4, 1, 1, dtype=torch.float64)
    kernel[0, 0, 1] = 1.0  # two frames before the newest
    newest = torch.zeros_like(kernel)
    newest[0, 0, 3] = 1.0
    ones = torch.ones(1, 1, dtype=torch.float64)
    mask = torch.ones(9, 9, 1, dtype=torch.float64) / 81
    layers = [CoreLayer(newest), CoreLayer(kernel)]
    model = CoreReadout(["a"], layers, ones, mask, **ABOUT).double().eval()
    found = movie_contributions(model, movie, sites="layer0", lags=True)
    net = (found.positive + found.negative).sum("channel")
    assert float(abs(net.sel(lag=0.04)).max()) > 0.01
    assert float(abs(net.drop_sel(lag=0.04)).max()) < 1e-12
    assert abs(found.completeness).max() < 1e-9


def test_times_are_shifted_for_models_that_look_ahead_or_before(movie: Movie) -> None:
    model = RetinaCNN(["a"], history=5, size=(9, 9), kernels=(3, 3), ahead=-1, **ABOUT)
    found = movie_contributions(model.double(), movie)
    assert np.allclose(found.time, movie.window_times(5) + 0.02)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cells": ["up"]}, 'no cell "up"'),
        ({"cells": []}, "pass one or more"),
        ({"targets": {"on": cl.Sum()}}, "with a unique name"),
        ({"between": (0.0, 0.05)}, "no frame with a whole history"),
        ({"times": [9.0]}, "no frame at 9.0 s"),
        ({"times": []}, "No time was given"),
        ({"times": [0.1], "between": (0, 1)}, "not both"),
        ({"sites": "third"}, "third"),
        ({"lags": True}, "none in this model"),
    ],
)
def test_impossible_input_is_reported(
    movie: Movie, cnn: RetinaCNN, options: dict, says: str
) -> None:
    with pytest.raises(CodeclensError, match=says):
        movie_contributions(cnn, movie, **options)


def test_the_model_is_left_as_it_was(movie: Movie, cnn: RetinaCNN) -> None:
    cnn.train()
    before = {key: value.clone() for key, value in cnn.state_dict().items()}
    movie_contributions(cnn, movie, between=(0.2, 0.3))
    assert cnn.training
    assert all(torch.equal(before[key], value) for key, value in cnn.state_dict().items())
    cnn.eval()


def test_movies_go_through_stores_and_decomposition_unchanged(
    movie: Movie, cnn: RetinaCNN, tmp_path: Path
) -> None:
    options: dict = {"sites": cnn.sites, "target": cl.Output(1)}
    plain = cl.extract(cnn, movie.windows(5), to=tmp_path / "plain.zarr", **options)
    windows = MovieWindows(movie, 5)
    store = cl.extract(cnn, windows, to=tmp_path / "timed.zarr", **options)
    assert store.key[0] == "0.080000 s"
    assert [float(key.split()[0]) for key in store.key] == pytest.approx(movie.window_times(5))
    found = movie_contributions(cnn, movie, cells=["off"])
    for layer in cnn.sites:
        ours = found.positive.sel(cell="off", layer=layer).dropna("channel")
        for one in (plain, store):
            held = one.view(layer, "positive")
            assert np.allclose(held, ours, rtol=1e-3, atol=1e-4)
    modes = cl.decompose(store, cl.NMF(2), sites="first")
    assert modes["first"].loadings.shape == (26, 2)
