"""Channels for and against one sample's target."""

from __future__ import annotations

import pytest
import torch

from codeclens import ActivationGradient, CodeclensError, Label, contributions
from codeclens.visualization import channel_maps, pixel_map
from visualization.conftest import Run


def test_the_extremes_of_every_site_are_mapped(run: Run) -> None:
    x = run.x[:3]
    found = contributions(run.model, x, sites=["layer1.0", "layer2.0"], target=Label(),
                          method=ActivationGradient(), labels=run.labels[:3])  # fmt: skip
    maps = channel_maps(
        run.model, x, found, sample=2, count=2, target=Label(), labels=run.labels[:3]
    )
    for site in ("layer1.0", "layer2.0"):
        net = found[site].net[2]
        order = net.argsort(descending=True, stable=True).tolist()
        expected = [u for u in order[:2] if net[u] > 0] + [u for u in order[-2:] if net[u] < 0]
        here = [one for one in maps if one.site == site]
        assert [one.unit for one in here] == expected
        assert [one.contribution for one in here] == [float(net[u]) for u in expected]
        for one in here:
            alone = pixel_map(
                run.model, x[2:3], site=site, units=[one.unit],
                target=Label(), labels=run.labels[2:3],
            )  # fmt: skip
            assert torch.equal(one.positive, alone.positive[0])
            assert torch.equal(one.negative, alone.negative[0])
            assert one.at_input == pytest.approx(float(alone.net.sum()), abs=1e-6)


def test_each_sample_may_have_its_baseline(run: Run) -> None:
    x = run.x[:2]
    baseline = torch.stack([torch.zeros(3, 12, 12), torch.full((3, 12, 12), 0.5)])
    found = contributions(
        run.model, x, sites="layer1.0", method=ActivationGradient(), baseline=baseline
    )
    one = channel_maps(run.model, x, found, sample=1, count=1, baseline=baseline)[0]
    same = pixel_map(run.model, x[1:], site="layer1.0", units=[one.unit], baseline=0.5)
    assert torch.equal(one.positive, same.positive[0])


def test_mistakes_get_a_sentence(run: Run) -> None:
    found = contributions(run.model, run.x[:2], sites="layer1.0", method=ActivationGradient())
    with pytest.raises(CodeclensError, match="3 inputs and contributions of 2 samples"):
        channel_maps(run.model, run.x[:3], found)
    with pytest.raises(CodeclensError, match=r"sample \(=2\) must be a whole number"):
        channel_maps(run.model, run.x[:2], found, sample=2)
    with pytest.raises(CodeclensError, match=r"count \(=0\)"):
        channel_maps(run.model, run.x[:2], found, count=0)
