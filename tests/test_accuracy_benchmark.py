"""The benchmark of accuracy: what it calls an error, and where a curve meets the goal."""

from __future__ import annotations

import pytest
import torch
from benchmarks.accuracy import GOAL, SETTINGS, effort_at_goal, errors


def test_errors_are_relative_and_the_median_over_images() -> None:
    # Two channels of two places; in the third image places cancel in the net, not apart by sign.
    true = torch.tensor([[[3.0, 1.0], [0.0, 3.0]]] * 3)
    found = true.clone()
    found[1] *= 1.1
    found[2, 0] += torch.tensor([2.0, -2.0])
    ((net, split),) = errors({"a": found}, {"a": true}, ["a"])
    # Net: 0, 10 %, 0. Split: 0, 10 %, and (1, −1) of 5 in the channel of 4.
    assert net == pytest.approx(0, abs=1e-4)
    assert split == pytest.approx(10, rel=1e-4)
    ((_, worst),) = errors({"a": found[2:]}, {"a": true[2:]}, ["a"])
    assert worst == pytest.approx(100 * 2**0.5 / 5, rel=1e-4)


def test_the_goal_is_met_between_two_measured_efforts() -> None:
    # Halved whenever the effort is doubled: a line in both logarithms.
    curve = [(4.0, 4 * GOAL), (8.0, 2 * GOAL), (32.0, GOAL / 2)]
    assert effort_at_goal(curve) == "16.0"
    assert effort_at_goal(curve[:2]) == "> 8"
    assert effort_at_goal([(3.0, GOAL), (6.0, 1.0)]) == "< 3"
    assert effort_at_goal([]) == "not measured"


def test_every_setting_weighs_one_integral() -> None:
    for setting in SETTINGS:
        assert sum(weight for weight, _, _ in setting.parts) == pytest.approx(1), setting.title
        assert setting.effort(10) >= 10
