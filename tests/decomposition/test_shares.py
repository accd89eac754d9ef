"""Shares: what each mode makes of a unit's contribution, never more than there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeclens.decomposition import NMF, PCA, Modes, mode_shares


def case(seed: int, signed: bool) -> tuple[Modes, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positive, negative = rng.gamma(0.5, size=(12, 5)), -rng.gamma(0.5, size=(12, 5))
    X = positive + negative if signed else np.concatenate([positive, -negative], axis=1)
    method = PCA(n_modes=3).fit(X) if signed else NMF(n_modes=3).fit(X)
    modes = Modes("a", "sum" if signed else "concat", method, method.encode(X))
    return modes, positive, negative, X


@given(st.integers(0, 10_000), st.booleans())
def test_no_mode_has_more_of_a_unit_than_its_loading_times_its_pattern(
    seed: int, signed: bool
) -> None:
    modes, positive, negative, X = case(seed, signed)
    shares = mode_shares(modes, positive, negative, positive, most=3)
    loadings = np.asarray(modes.loadings, np.float64)
    for row in range(len(X)):
        for part, number in enumerate(shares.mode[row, :-1]):
            if number < 0:
                continue
            both = shares.positive[row, part], shares.negative[row, part]
            share = both[0] if signed else np.concatenate(both)
            made = np.abs(loadings[row, number] * modes.dictionary[number])
            assert (share * np.abs(X[row]) <= made + 1e-6).all()
    together = shares.positive.sum(axis=1), shares.negative.sum(axis=1)
    np.testing.assert_allclose(together, 1, atol=1e-9)


def test_what_the_modes_do_not_make_is_the_remainder() -> None:
    modes, positive, negative, X = case(0, signed=False)
    made = np.asarray(modes.loadings, np.float64) @ modes.dictionary
    shares = mode_shares(modes, positive, negative, positive, most=3)
    left = shares.contribution[np.arange(12), -1]
    gaps = np.maximum(X - made, 0)
    np.testing.assert_allclose(left, gaps[:, :5].sum(1) - gaps[:, 5:].sum(1), atol=1e-5)


def test_modes_that_make_too_much_divide_what_there_is() -> None:
    X = np.outer(np.arange(1.0, 13), [1.0, 1.0])
    nmf = NMF(n_modes=1).fit(X)
    modes = Modes("a", "positive", nmf, nmf.encode(X))
    there = np.array([[1.0, 3.0]])  # of which the one mode makes 2 and 2
    shares = mode_shares(modes, there, 0 * there, there)
    np.testing.assert_allclose(shares.positive[0], [[1, 2 / 3], [0, 1 / 3]], atol=1e-4)
    np.testing.assert_allclose(shares.contribution, [[3, 1]], atol=1e-3)


def test_shares_are_labelled() -> None:
    modes, positive, negative, _ = case(0, signed=False)
    shares = mode_shares(modes, positive, negative, positive)
    data = shares.to_xarray()
    assert dict(data.sizes) == {"sample": 12, "part": shares.mode.shape[1], "unit": 5}
    table = shares.to_dataframe()
    assert len(table) == (shares.mode >= 0).sum()
    totals = table.groupby("sample")["contribution"].sum()
    np.testing.assert_allclose(totals, shares.contribution.sum(axis=1))
    assert len(repr(shares).splitlines()) <= 20
    assert "<table" in shares._repr_html_()


def test_where_a_unit_contributes_nothing_no_mode_has_a_share() -> None:
    X = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 2.0], [2.0, 1.0]] * 3)
    nmf = NMF(n_modes=2).fit(X)
    modes = Modes("a", "positive", nmf, nmf.encode(X))
    there = np.array([[3.0, 0.0], [1.0, 2.0]])
    shares = mode_shares(modes, there, 0 * there, there)
    assert (shares.positive[0, :-1, 1] == 0).all()  # the first sample's second unit is silent
    assert shares.positive[0, -1, 1] == 1


def test_a_sample_with_fewer_modes_is_padded_by_no_mode() -> None:
    X = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 2.0], [2.0, 1.0]] * 3)
    nmf = NMF(n_modes=2).fit(X)
    modes = Modes("a", "positive", nmf, nmf.encode(X))
    there = np.array([[3.0, 0.0], [1.0, 2.0]])
    shares = mode_shares(modes, there, 0 * there, there)
    active = [int((row >= 0).sum()) for row in shares.mode]
    assert active == [2, 3]  # the remainder, K = 2, is counted
    assert (np.sort(shares.mode[0]) == [-1, np.sort(shares.mode[0])[1], 2]).all()
    assert len(shares.to_dataframe()) == 5


def share_of(loadings: np.ndarray, patterns: np.ndarray, offset: float, x: float) -> np.ndarray:
    """The shares of one contribution `x` among modes with these loadings and entries, `(K,)`."""
    parts = np.zeros(len(loadings))
    constant = 0.0
    for k in range(len(loadings)):
        made = float(loadings[k]) * float(patterns[k])
        if made * x > 0:  # entries of the other sign do not count
            parts[k] = abs(made)
    if offset * x > 0:
        constant = abs(offset)
    whole = max(parts.sum() + constant, abs(x))
    return parts / whole if whole > 0 else parts


@pytest.mark.parametrize("method", [NMF, PCA])
@pytest.mark.parametrize("view", ["positive", "negative", "sum", "activation"])
def test_shares_are_those_of_the_definition(view: str, method: type[NMF]) -> None:
    rng = np.random.default_rng(1)
    positive, negative = rng.gamma(0.5, size=(12, 4)), -rng.gamma(0.5, size=(12, 4))
    activation = rng.gamma(0.7, size=(12, 4))
    seen = {
        "positive": positive, "negative": negative, "activation": activation,
        "sum": positive + negative,
    }[view]  # fmt: skip
    if method is NMF and (seen < 0).any():
        return  # NMF refuses negative numbers
    fitted = method(n_modes=2).fit(seen)
    modes = Modes("a", view, fitted, fitted.encode(seen))
    shares = mode_shares(modes, positive, negative, activation)
    loadings = modes.project(*([positive, negative] if view == "sum" else [seen]))
    offset = modes.decode(np.zeros((1, 2), np.float32))[0]
    for row in range(12):
        for unit in range(4):
            wanted = share_of(
                loadings[row], modes.dictionary[:, unit], offset[unit], seen[row, unit]
            )
            found = shares.only([0, 1])
            none = np.zeros(2)
            of_positive = none if view == "negative" else wanted
            of_negative = none if view == "positive" else wanted
            np.testing.assert_allclose(found.positive[row, :, unit], of_positive, atol=1e-6)
            np.testing.assert_allclose(found.negative[row, :, unit], of_negative, atol=1e-6)
