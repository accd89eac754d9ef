"""Single places: they add up to the pixel map, and each map to its contribution."""

from __future__ import annotations

import pytest
import torch

from codeclens import CodeclensError
from codeclens.visualization import pixel_map, unit_places
from networks import noise, residual_cnn


def test_places_add_up_to_the_map_of_their_unit() -> None:
    model, x = residual_cnn().double(), noise(2, 3, 8, 8)
    whole = pixel_map(model, x, site="layer1.0", units=[3])
    found = unit_places(model, x, site="layer1.0", units=[3], count=10_000)
    for sample, places in enumerate(found.strongest):
        helping = sum(one.pixels for one in places if one.contribution > 0)
        torch.testing.assert_close(helping, whole.positive[sample], rtol=1e-9, atol=1e-15)
        harming = sum(one.pixels for one in places if one.contribution < 0)
        torch.testing.assert_close(harming, whole.negative[sample], rtol=1e-9, atol=1e-15)
        for one in places:
            assert one.contribution == pytest.approx(float(one.pixels.sum()), rel=1e-8, abs=1e-14)
            at = (sample, 0, *one.position)
            assert one.contribution == float(found.contributions[at])
        sizes = [abs(one.contribution) for one in places]
        assert sizes == sorted(sizes, reverse=True)


def test_units_that_do_not_exist_are_reported() -> None:
    with pytest.raises(CodeclensError, match="no places"):
        unit_places(residual_cnn().double(), noise(1, 3, 8, 8), site="layer1.0", units=[99])
    with pytest.raises(CodeclensError, match="sites"):
        unit_places(residual_cnn().double(), noise(1, 3, 8, 8), site="layer1.*", units=[0])
