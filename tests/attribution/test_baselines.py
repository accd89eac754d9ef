"""Baselines: from where contributions are counted."""

from __future__ import annotations

import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

import networks
from codeclens.attribution import (
    Attributor,
    Baseline,
    Blur,
    Conductance,
    Constant,
    Contributions,
    Given,
    Samples,
)
from codeclens.attribution.baselines import as_baseline
from codeclens.errors import CodeclensError

METHOD = Conductance(3, nodes="uniform")


def attributed(baseline: float | Tensor | Baseline, samples: int = 4) -> Contributions:
    model, x = networks.plain_cnn().double(), networks.noise(samples, 3, 12, 12)
    return Attributor(model, sites="@blocks", method=METHOD, baseline=baseline)(x)


@pytest.mark.parametrize(
    "baseline",
    [
        Constant(0.3),
        Given(networks.noise(3, 12, 12, seed=4)),
        Given.mean(networks.noise(9, 3, 12, 12, seed=5)),
        Blur(2.0),
        Samples(networks.noise(6, 3, 12, 12, seed=6), draws=3),
    ],
    ids=repr,
)
def test_contributions_sum_to_the_change_from_any_baseline(baseline: Baseline) -> None:
    model, x = networks.plain_cnn().double(), networks.noise(4, 3, 12, 12)
    found = attributed(baseline)
    classes = model(x).argmax(dim=1, keepdim=True)
    starts = [baseline.at(x, draw).expand_as(x) for draw in range(baseline.draws)]
    before = torch.stack([model(start).gather(1, classes)[:, 0] for start in starts]).mean(dim=0)
    torch.testing.assert_close(found.baseline_target, before.detach())
    for site in found.values():
        change = found.target - found.baseline_target
        torch.testing.assert_close(site.net.sum(dim=1), change, rtol=1e-11, atol=1e-12)


def test_the_mean_of_inputs_is_taken_over_all_of_them() -> None:
    inputs = networks.noise(10, 3, 12, 12, dtype=torch.float32)
    expected = inputs.double().mean(dim=0)
    for given in (inputs, inputs.split(3), iter(inputs.split(1))):
        found = Given.mean(given).values
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-7)


def test_there_is_no_mean_of_nothing() -> None:
    with pytest.raises(CodeclensError, match="needs one input or more"):
        Given.mean([])


def test_expected_gradients_are_the_mean_over_the_draws() -> None:
    inputs = networks.noise(4, 3, 12, 12, seed=6)
    whole = attributed(Samples(inputs, draws=4))
    parts = [attributed(Given(one)) for one in inputs]
    for key, site in whole.items():
        mean = torch.stack([part[key].net for part in parts]).mean(dim=0)
        torch.testing.assert_close(site.net, mean)


def test_draws_do_not_depend_on_the_batch() -> None:
    baseline = Samples(networks.noise(9, 3, 12, 12, seed=6), draws=2, seed=3)
    few, many = attributed(baseline, 2), attributed(baseline, 4)
    for key in few:
        torch.testing.assert_close(few[key].net, many[key].net[:2])
    other = attributed(Samples(networks.noise(9, 3, 12, 12, seed=6), draws=2, seed=4), 2)
    assert not torch.allclose(other.baseline_target, few.baseline_target)


def test_a_blur_is_a_gaussian_that_keeps_flat_images_flat() -> None:
    x = networks.noise(2, 3, 20, 24)
    found = Blur(2.0).at(x, 0)
    expected = gaussian_filter1d(x.numpy(), 2.0, axis=2, mode="nearest", radius=6)
    expected = gaussian_filter1d(expected, 2.0, axis=3, mode="nearest", radius=6)
    torch.testing.assert_close(found, torch.from_numpy(expected))
    flat = torch.full((1, 3, 5, 5), 0.7)
    torch.testing.assert_close(Blur(4.0).at(flat, 0), flat)


def test_numbers_and_tensors_mean_baselines() -> None:
    assert as_baseline(0.5) == Constant(0.5)
    assert as_baseline(torch.tensor(0.5)) == Constant(0.5)
    assert repr(as_baseline(torch.zeros(3, 2))) == "Given(shape=(3, 2))"
    blur = Blur()
    assert as_baseline(blur) is blur


@pytest.mark.parametrize(("draws", "count"), [(0, 4), (5, 4)])
def test_there_are_as_many_draws_as_inputs_at_most(draws: int, count: int) -> None:
    with pytest.raises(
        CodeclensError, match=rf"draws \(={draws}\) must be .* at least 1 and at most {count}"
    ):
        Samples(torch.zeros(count, 3), draws=draws)


@pytest.mark.parametrize(("x", "sigma"), [(torch.zeros(2, 6), 1.0), (torch.zeros(1, 3, 4, 4), 0.0)])
def test_only_images_are_blurred(x: Tensor, sigma: float) -> None:
    with pytest.raises(CodeclensError, match=r"needs images \(B, C, H, W\) and a sigma above 0"):
        Blur(sigma).at(x, 0)


@pytest.mark.parametrize("given", [None, Blur, Constant, ["a"], "median", {"a": "b"}])
def test_what_is_no_baseline_is_refused(given: object) -> None:
    with pytest.raises(CodeclensError, match="is not a baseline; pass a number, a tensor"):
        as_baseline(given)  # type: ignore[arg-type]


def test_a_number_keeps_its_precision() -> None:
    x = torch.zeros(2, 3, dtype=torch.float64)
    assert float(as_baseline(0.3).at(x, 0)) == 0.3
    assert float(as_baseline(torch.tensor(0.3, dtype=torch.float64)).at(x, 0)) == 0.3
