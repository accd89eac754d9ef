"""Spike-triggered averages against a loop over spikes, and chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cells import HISTORY, Small, film
from codeclens.errors import CodeclensError
from codeclens.retina import Recording, receptive_fields, spike_triggered_average


def test_every_spike_adds_what_was_seen_before_it(rng: np.random.Generator) -> None:
    movie = film(130)
    counts = rng.poisson(1.0, size=(130, 2))
    recording = Recording.from_counts(movie, torch.from_numpy(counts).double(), ["a", "b"])
    found = spike_triggered_average(recording, HISTORY, draws=9)
    frames = movie.frames.numpy()
    windows = np.stack([frames[t - HISTORY + 1 : t + 1] for t in range(HISTORY - 1, 130)])
    for cell in range(2):
        seen = [
            frames[t - HISTORY + 1 : t + 1]
            for t in range(HISTORY - 1, 130)
            for _ in range(counts[t, cell])
        ]
        slow = np.mean(seen, axis=0) - windows.mean(axis=0)
        assert np.allclose(found.average[cell], slow)
    # These spikes do not know the film.
    assert (found.p > 0.05).all()
    assert found.average.dims == ("cell", "lag", "y", "x")


def test_a_linear_model_under_noise_has_its_field() -> None:
    movie = film(4000, seed=3)
    model = Small(linear=True).double()
    field = receptive_fields(model, movie, frames=[0])[0]
    rates = torch.cat([torch.zeros(HISTORY - 1, 4), model.respond(movie)])
    recording = Recording(movie, rates - rates.min(), list("abcd"))
    found = spike_triggered_average(recording, HISTORY, draws=40)
    for cell in range(4):
        ours, truth = found.average[cell].to_numpy().ravel(), field[cell].to_numpy().ravel()
        assert ours @ truth / np.linalg.norm(ours) / np.linalg.norm(truth) > 0.95
    assert (found.p < 0.05).all()
    assert float(abs(found.z).max()) > 5


def test_a_silent_cell_is_reported() -> None:
    movie = film(130)
    recording = Recording(movie, torch.zeros(130, 1), ["quiet"])
    with pytest.raises(CodeclensError, match='"quiet" has no spikes'):
        spike_triggered_average(recording, HISTORY)
    with pytest.raises(CodeclensError, match=r"shortest \(=100\)"):
        spike_triggered_average(recording, HISTORY, shortest=100)
