"""Signs of modes, view by view."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from codeclens.decomposition.matrices import (
    VIEWS,
    View,
    check_view,
    net_total,
    signed_parts,
    units_of,
)
from codeclens.errors import CodeclensError

dictionaries = arrays(np.float64, (3, 8), elements=st.floats(-5, 5))


@given(dictionaries, st.sampled_from(VIEWS))
def test_parts_have_their_signs_and_add_up(D: np.ndarray, view: View) -> None:
    positive, negative = signed_parts(D, view)
    assert (positive >= 0).all()
    assert (negative <= 0).all()
    net = D[:, :4] - D[:, 4:] if view == "concat" else D
    np.testing.assert_allclose(positive + negative, net, atol=1e-12)


@given(dictionaries)
def test_concat_of_a_non_negative_dictionary_keeps_both_halves(D: np.ndarray) -> None:
    positive, negative = signed_parts(np.abs(D), "concat")
    assert (positive == np.abs(D)[:, :4]).all()
    assert (negative == -np.abs(D)[:, 4:]).all()


def test_less_suppression_is_excitation() -> None:
    positive, negative = signed_parts(np.array([[1.0, -2.0, -3.0, 4.0]]), "concat")
    assert positive.tolist() == [[4, 0]]
    assert negative.tolist() == [[0, -6]]


def test_units_behind_columns() -> None:
    assert units_of(8, "concat") == 4
    assert units_of(8, "sum") == 8
    with pytest.raises(CodeclensError, match="two columns for each unit, but there are 7"):
        units_of(7, "concat")


def test_an_unknown_view_is_refused() -> None:
    with pytest.raises(CodeclensError, match='no view "both"; the nearest names are "concat"'):
        check_view("both")


def test_totals_count_suppression_as_negative() -> None:
    positive, negative = np.array([[3.0, 1.0]]), np.array([[0.0, -2.0]])
    concat = np.concatenate([positive, -negative], axis=1)
    assert net_total(concat, "concat").tolist() == net_total(positive + negative, "sum").tolist()
    with pytest.raises(CodeclensError, match='"activation" holds only a part'):
        net_total(positive, "activation")
