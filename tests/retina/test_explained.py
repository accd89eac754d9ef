"""Variance explained against scikit-learn and against fields that are known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, Ridge

from codeclens.errors import CodeclensError
from codeclens.retina import held_out_blocks, variance_explained
from codeclens.retina.changes import ridge_errors

SPLIT = held_out_blocks(160, blocks=4, gap=3)


def fields_of(values: np.ndarray) -> xarray.DataArray:
    """Flat fields `(time, cell, 24)` with their axes."""
    times, cells = values.shape[:2]
    return xarray.DataArray(
        values.reshape(times, cells, 2, 3, 4),
        {"cell": [f"c{n}" for n in range(cells)]},
        ["time", "cell", "lag", "y", "x"],
    )


def test_errors_are_those_of_scikit_learn(rng: np.random.Generator) -> None:
    Y, X = rng.normal(size=(160, 24)) + 3, rng.normal(size=(160, 5)) * [1, 5, 0.1, 2, 1] + 7
    Y += np.tanh(X[:, :1]) * rng.normal(size=24)
    train, held = SPLIT.train, SPLIT.held_out
    mean, scale = X[train].mean(axis=0), X[train].std(axis=0)
    for penalty in (1e-8, 0.1, 10.0):
        peer = Ridge(alpha=penalty * len(train)).fit((X[train] - mean) / scale, Y[train])
        slow = np.square(Y[held] - peer.predict((X[held] - mean) / scale)).sum(axis=1)
        assert np.allclose(ridge_errors(Y @ Y.T, X, train, held, penalty), slow)


def test_baselines_by_their_definitions(rng: np.random.Generator) -> None:
    rate = rng.gamma(1.0, size=(160, 1))
    base = rng.normal(size=24)
    Y = base * (1 + rate) + rate * rng.normal(size=24) * 0.3 + 0.1 * rng.normal(size=(160, 24))
    table = variance_explained(fields_of(Y[:, None]), rate, {}, SPLIT)
    train, held = SPLIT.train, SPLIT.held_out
    static = Y[train].mean(axis=0)
    about = np.square(Y[held] - static).sum()
    own = Y @ static / (static @ static)
    by_rate = LinearRegression().fit(rate[train], own[train]).predict(rate[held])
    line = LinearRegression().fit(rate[train], Y[train]).predict(rate[held])
    for name, prediction in {
        "static field": np.tile(static, (len(held), 1)),
        "gain by the rate": by_rate[:, None] * static,
        "rate": line,
        "gain, known": own[held, None] * static,
    }.items():
        error = np.square(Y[held] - prediction).sum()
        row = table.sel(predictor=name)
        assert float(row.r2[0]) == pytest.approx(1 - error / about)
        assert float(row.power[0]) == pytest.approx(1 - error / np.square(Y[held]).sum())
    assert float(table.r2.sel(predictor="static field")[0]) == 0


def test_loadings_that_make_the_field_explain_it_and_shuffled_ones_do_not(
    rng: np.random.Generator,
) -> None:
    loadings = rng.gamma(0.5, size=(160, 6))
    Y = np.einsum("tk,kcp->tcp", loadings, rng.normal(size=(6, 2, 24)))
    Y += 0.1 * rng.normal(size=Y.shape)
    rates = np.stack([loadings[:, 0], loadings[:, 1]], axis=1)
    predictors = {"modes": loadings, "shuffled": rng.permutation(loadings)}
    table = variance_explained(fields_of(Y), rates, predictors, SPLIT, against="rate")
    modes, shuffled = (table.sel(predictor=name) for name in predictors)
    assert (modes.r2 > 0.97).all()
    assert (shuffled.r2 < 0.05).all()
    assert (modes.ahead_low > 0).all()
    assert (modes.r2_low <= modes.r2).all()
    assert (modes.r2 <= modes.r2_high).all()
    assert (shuffled.penalty > modes.penalty).all()
    assert np.allclose(modes.ahead, modes.r2 - table.r2.sel(predictor="rate"))
    assert list(table.columns.values) == [0, 1, 1, 1, 6, 6]


def test_a_field_that_stands_still_has_no_score(rng: np.random.Generator) -> None:
    Y = np.tile(rng.normal(size=(1, 1, 24)), (160, 1, 1))
    table = variance_explained(fields_of(Y), rng.random((160, 1)), {"m": Y[:, 0, :3]}, SPLIT)
    assert table.r2.isnull().all()
    assert np.allclose(table.power, 1)


@given(st.integers(30, 400), st.floats(0.1, 0.5), st.integers(1, 5), st.integers(0, 3))
def test_held_out_frames_are_never_near_the_others(
    count: int, share: float, blocks: int, gap: int
) -> None:
    try:
        split = held_out_blocks(count, share=share, blocks=blocks, gap=gap)
    except CodeclensError:
        assert count / blocks * (1 - share) < 2 * gap + 3
        return
    apart = np.abs(split.train[:, None] - split.held_out[None]).min()
    assert apart > gap
    assert len(split.held_out) == pytest.approx(share * count, abs=blocks)
    assert len(np.unique(split.block)) == blocks
    assert len(split.train) >= count - len(split.held_out) - 2 * gap * blocks


def test_inputs_that_do_not_fit_are_reported(rng: np.random.Generator) -> None:
    fields, rates = fields_of(rng.normal(size=(160, 1, 24))), rng.random((160, 1))
    with pytest.raises(CodeclensError, match="a row a field"):
        variance_explained(fields, rates, {"m": rates[1:]}, SPLIT)
    with pytest.raises(CodeclensError, match="name of a baseline"):
        variance_explained(fields, rates, {"rate": rates}, SPLIT)
    with pytest.raises(CodeclensError, match="no predictor"):
        variance_explained(fields, rates, {"m": rates}, SPLIT, against="modes")
    with pytest.raises(CodeclensError, match="times and cells"):
        variance_explained(fields, rates[1:], {}, SPLIT)
    with pytest.raises(CodeclensError, match="NaN"):
        variance_explained(fields, rates, {"m": rates * np.nan}, SPLIT)
    with pytest.raises(CodeclensError, match="beyond"):
        variance_explained(fields[:100], rates[:100], {}, SPLIT)
    with pytest.raises(CodeclensError, match="left to train on"):
        held_out_blocks(20, blocks=4, gap=5)
