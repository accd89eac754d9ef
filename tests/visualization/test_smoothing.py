"""Smoothing against scipy's Gaussian filter."""

from __future__ import annotations

import pytest
import torch
from scipy import ndimage

from codeclens import CodeclensError
from codeclens.visualization.overlays import smooth
from networks import noise


@pytest.mark.parametrize("sigma", [0.6, 2.0, 9.0])
def test_it_is_the_gaussian_with_mirrored_borders(sigma: float) -> None:
    maps = noise(2, 3, 11, 17)
    expected = ndimage.gaussian_filter(maps.numpy(), (0, 0, sigma, sigma), mode="reflect")
    torch.testing.assert_close(
        smooth(maps, sigma), torch.from_numpy(expected), rtol=1e-9, atol=1e-12
    )
    torch.testing.assert_close(smooth(maps, sigma).sum(), maps.sum())


def test_sigma_zero_changes_nothing_and_bad_values_are_reported() -> None:
    maps = noise(4, 4)
    assert torch.equal(smooth(maps, 0), maps)
    with pytest.raises(CodeclensError, match="-1"):
        smooth(maps, -1)
    with pytest.raises(CodeclensError, match="rows"):
        smooth(noise(3, 1)[:, 0], 1.0)
