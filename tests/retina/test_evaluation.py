"""Evaluation against closed forms: perfect, scaled and shifted models of Poisson cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from codeclens import CodeclensError
from codeclens.retina import Movie, Recording, ResponseModel, evaluate, fit, noise_ceiling
from codeclens.retina.cascades import LN

FRAMES, RATE = 4000, 50.0


class Known(ResponseModel):
    """The rate is that of one frame of the film; `history` 6, and any frame of the window."""

    def __init__(self, ahead: int = 0, gain: float = 1.0, offset: float = 0.0) -> None:
        super().__init__(history=6, rate=RATE, pixel=1.0, unit="deg", cells=["a", "b"])
        self.ahead, self.gain, self.offset = ahead, gain, offset

    def forward(self, windows: Tensor) -> Tensor:
        return self.offset + self.gain * windows[:, -1 - max(self.ahead, 0), 0]


@pytest.fixture(scope="module")
def movie() -> Movie:
    """Two pixels whose light is the rate of a cell each; slow, so that a frame later is similar."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(FRAMES + 4, 1, 2, generator=generator, dtype=torch.float64)
    smooth = noise.unfold(0, 5, 1).mean(dim=-1)
    return Movie(20 * (1 + smooth.clamp(-1, 1)), rate=RATE, pixel=1.0, unit="deg")


def recorded(movie: Movie, repeats: int, seed: int = 1) -> Recording:
    generator = torch.Generator().manual_seed(seed)
    expected = (movie.frames[:, 0] / RATE).expand(repeats, -1, -1)
    counts = torch.poisson(expected, generator=generator)
    return Recording.from_counts(movie, counts if repeats > 1 else counts[0], ["a", "b"])


@pytest.mark.parametrize("ahead", [0, -1, 2])
def test_the_right_frame_is_compared(movie: Movie, ahead: int) -> None:
    """A model of the frame after its window is compared with that frame."""
    rates = movie.frames[:, 0]
    if ahead < 0:
        rates = torch.cat([rates[:1], rates[:-1]])
    recording = Recording(movie, rates, ["a", "b"])
    model = Known(ahead)
    found = evaluate(model, recording, draws=50)
    np.testing.assert_allclose(found.r, 1.0, atol=1e-12)
    wanted = model.respond(movie)[: len(recording.targets(model))]
    torch.testing.assert_close(recording.targets(model), wanted)


def test_r_and_bits_are_what_they_are_by_definition(movie: Movie) -> None:
    recording, model = recorded(movie, 1), Known(gain=0.5, offset=3.0)
    found = evaluate(model, recording, draws=20)
    predicted = model.respond(movie).numpy()
    measured = recording.targets(model).numpy()
    for cell in range(2):
        assert float(found.r[cell]) == pytest.approx(
            np.corrcoef(predicted[:, cell], measured[:, cell])[0, 1], abs=1e-12
        )
        counts, expected = measured[:, cell] / RATE, predicted[:, cell] / RATE
        flat = np.full_like(counts, counts.mean())
        gain = [(counts * np.log(x) - x).sum() for x in (expected, flat)]
        bits = (gain[0] - gain[1]) / counts.sum() / np.log(2)
        assert float(found.bits_per_spike[cell]) == pytest.approx(bits, abs=1e-12)
    assert "ceiling" not in found, "there are no repeats"


def test_a_perfect_model_reaches_the_ceiling(movie: Movie) -> None:
    found = evaluate(Known(), recorded(movie, 30), draws=200)
    np.testing.assert_allclose(found.normalised_r, 1.0, atol=0.02)
    np.testing.assert_allclose(found.explained, 1.0, atol=0.05)
    np.testing.assert_allclose(found.r, found.ceiling, atol=0.02)
    assert bool((found.r_low < found.r).all())
    assert bool((found.r < found.r_high).all())


def test_a_wrong_gain_costs_explained_variance_but_no_correlation(movie: Movie) -> None:
    recording = recorded(movie, 30)
    right, half = evaluate(Known(), recording), evaluate(Known(gain=0.5, offset=10.0), recording)
    np.testing.assert_allclose(half.r, right.r, atol=1e-9)
    np.testing.assert_allclose(half.normalised_r, right.normalised_r, atol=1e-9)
    # Half of the deviation from the mean of 20 Hz is missed: 1 - 1/4.
    np.testing.assert_allclose(half.explained, 0.75, atol=0.03)


def test_ceilings_are_those_of_poisson_cells(movie: Movie) -> None:
    repeats = 20
    found = noise_ceiling(recorded(movie, repeats), draws=100)
    rate = movie.frames[:, 0].numpy()
    signal, noise = rate.var(axis=0), rate.mean(axis=0) * RATE  # of rates from counts in a frame
    np.testing.assert_allclose(found.explainable, signal / (signal + noise), rtol=0.1)
    ceiling = np.sqrt(signal / (signal + noise / repeats))
    np.testing.assert_allclose(found.ceiling, ceiling, atol=0.02)
    np.testing.assert_allclose(found.reliability, ceiling**2, atol=0.03)


def test_noise_without_signal_has_no_ceiling() -> None:
    movie = Movie(torch.zeros(2000, 1, 1), rate=RATE, pixel=1.0, unit="deg")
    generator = torch.Generator().manual_seed(3)
    counts = torch.poisson(torch.full((6, 2000, 1), 0.4), generator=generator)
    found = noise_ceiling(Recording.from_counts(movie, counts, ["a"]), draws=200)
    assert abs(found.explainable.item()) < 0.02
    assert found.reliability_low.item() < 0 < found.reliability_high.item()


def test_repeats_are_kept_and_cut(movie: Movie) -> None:
    recording = recorded(movie, 3)
    assert recording.repeats is not None
    torch.testing.assert_close(recording.repeats.mean(dim=0), recording.rates)
    part = recording.between(2.0, 4.0)
    assert part.repeats is not None
    torch.testing.assert_close(part.repeats, recording.repeats[:, 100:200])
    torch.testing.assert_close(part.rates, recording.rates[100:200])
    model = LN(["a", "b"], rate=RATE, pixel=1.0, unit="deg", history=2, size=(1, 2)).double()
    assert fit(model, recording, epochs=1).r.sizes["cell"] == 2


def test_what_cannot_be_compared_is_refused(movie: Movie) -> None:
    one = recorded(movie, 1)
    with pytest.raises(CodeclensError, match="no repeats"):
        noise_ceiling(one)
    with pytest.raises(CodeclensError, match="the same ones in the same order"):
        evaluate(Known(), Recording(movie, one.rates, ["b", "a"]))
    with pytest.raises(CodeclensError, match="two repeats or more"):
        Recording(movie, one.rates[None], ["a", "b"])
    with pytest.raises(CodeclensError, match=r"block \(=0\)"):
        evaluate(Known(), one, block=0)
    bad = torch.stack([one.rates, one.rates])
    bad[1, 7, 1] = -1.0
    with pytest.raises(CodeclensError, match=r"Cell 'b' has the rate -1\.0 at frame 7"):
        Recording(movie, bad, ["a", "b"])
