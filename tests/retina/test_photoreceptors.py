"""Photoreceptors adapt to the light, pools and kernels are normalised, and gradients flow."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from codeclens.errors import CodeclensError
from codeclens.retina import Photoreceptors
from codeclens.retina.circuit import Pool, causal, gamma_kernel


def steady(cones: Photoreceptors, contrast: float) -> float:
    return float(cones(torch.full((1, cones.taps + 5, 1, 1), contrast)).detach()[0, -1, 0, 0])


def test_they_are_zero_in_the_mean_light_and_compress_the_rest() -> None:
    cones = Photoreceptors(rate=50.0)
    assert steady(cones, 0.0) == pytest.approx(0.0, abs=1e-6)
    assert steady(cones, -1.0) == pytest.approx(-1.0, abs=1e-6)
    # (1 + β) s / (1 + β s) − 1 with β = 2.
    assert steady(cones, 1.0) == pytest.approx(3 * 2 / 5 - 1, rel=1e-5)
    assert steady(cones, 9.0) == pytest.approx(3 * 10 / 21 - 1, rel=1e-5)


def test_the_gain_falls_with_the_mean_light_and_the_answer_to_a_step_relaxes() -> None:
    cones = Photoreceptors(rate=50.0)

    def answer(mean: float) -> float:
        light = torch.full((1, 120, 1, 1), mean)
        light[:, 60] += 0.01
        signal = cones(light).detach().flatten()
        return float((signal - signal[0]).abs().max())

    assert answer(3.0) < 0.5 * answer(0.0)
    step = torch.zeros(1, 100, 1, 1)
    step[:, 50:] = 2.0
    signal = cones(step).detach().flatten()
    assert float(signal.max()) > 1.3 * float(signal[-1]) > 0


def test_they_can_be_trained() -> None:
    cones = Photoreceptors(rate=50.0)
    out = cones(torch.randn(2, 30, 3, 3, generator=torch.Generator().manual_seed(0)) * 0.2)
    assert out.shape == (2, 30 - cones.taps + 1, 3, 3)
    out.square().sum().backward()
    assert all(float(p.grad.abs()) > 0 for p in cones.parameters())  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "wrong", [{"rate": 0.0}, {"fast": -1.0}, {"gamma": 1.0}, {"beta": float("nan")}]
)
def test_bad_input_is_reported(wrong: dict[str, float]) -> None:
    with pytest.raises(CodeclensError, match=next(iter(wrong))):
        Photoreceptors(**{"rate": 50.0, **wrong})


def test_filters_in_time_are_numpy_s_convolutions(rng: np.random.Generator) -> None:
    signals, kernels = rng.normal(size=(2, 3, 20, 2, 2)), rng.normal(size=(3, 6))
    found = causal(torch.from_numpy(signals), torch.from_numpy(kernels)).numpy()
    for channel in range(3):
        expected = np.convolve(signals[1, channel, :, 0, 1], kernels[channel], mode="valid")
        np.testing.assert_allclose(found[1, channel, :, 0, 1], expected)


def test_kernels_and_pools_sum_to_one_and_lie_where_they_should() -> None:
    kernel = gamma_kernel(60, rate=100.0, tau=0.05, order=2.0)
    assert float(kernel.sum()) == pytest.approx(1.0)
    assert int(kernel.argmax()) in (9, 10)
    pool = Pool(21, sigma=1.5, shift=(3.0, 2.0))
    spot = torch.zeros(21, 21, dtype=torch.float64)
    spot[10, 10] = 1
    felt = pool(spot)
    assert float(felt.sum()) == pytest.approx(1.0, abs=1e-6)
    # Cells whose pool lies right of and above them feel the spot from the left and from below.
    assert divmod(int(felt.argmax()), 21) == (12, 7)
