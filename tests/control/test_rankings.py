"""Rankings: every unit once, the strongest first, chance by the seed alone."""

from __future__ import annotations

import numpy as np
import pytest

from codeclens.control.controls import ByScore, Random, Ranking, find_controls
from codeclens.errors import CodeclensError


def test_random_orders_are_permutations_that_differ_and_repeat() -> None:
    orders = Random().orders(30, trials=4, seed=0)
    assert (np.sort(orders, axis=1) == np.arange(30)).all()
    assert len({tuple(order) for order in orders}) == 4
    np.testing.assert_array_equal(orders, Random().orders(30, trials=4, seed=0))
    assert not np.array_equal(orders, Random().orders(30, trials=4, seed=1))
    # More trials leave the first ones as they were.
    np.testing.assert_array_equal(orders[:2], Random().orders(30, trials=2, seed=0))


def test_scores_rank_by_magnitude_and_break_ties_by_place() -> None:
    ranking = ByScore("gradient", np.array([1.0, -4.0, 4.0, 0.0]))
    assert ranking.orders(4, trials=5, seed=0).tolist() == [[1, 2, 0, 3]]


@pytest.mark.parametrize("scores", [np.ones(3), np.array([1.0, np.nan, 0.0, 2.0])])
def test_scores_must_fit_the_units(scores: np.ndarray) -> None:
    with pytest.raises(CodeclensError, match=r'"gradient" have shape .* each of the 4 units'):
        ByScore("gradient", scores).orders(4, trials=1, seed=0)


def test_controls_are_found_by_name_and_by_object() -> None:
    mine = ByScore("mine", np.ones(2))
    assert [c.name for c in find_controls(["random", mine], None, [0])] == ["random", "mine"]
    assert find_controls((), None, [0]) == []
    assert isinstance(mine, Ranking)


def test_scores_with_a_sign_are_taken_from_the_largest_down() -> None:
    ranking = ByScore("gradient", np.array([1.0, -4.0, 4.0, 0.0]), signed=True)
    assert ranking.orders(4, trials=5, seed=0).tolist() == [[2, 0, 3, 1]]


def test_controls_that_cannot_be() -> None:
    with pytest.raises(CodeclensError, match='no control "rondom"; the nearest names are "random"'):
        find_controls(["rondom"], None, [0])
    with pytest.raises(CodeclensError, match='Two rankings are called "random"'):
        find_controls(["random", Random()], None, [0])
    with pytest.raises(CodeclensError, match="a single mode was given; pass the Modes"):
        find_controls(["gradient"], None, [0])
    with pytest.raises(CodeclensError, match="makes one, not a int"):
        find_controls([3], None, [0])
