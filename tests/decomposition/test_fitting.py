"""What both autoencoders do with their data: scale, split, drop, order, encode, decode."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import r2_score

from codeclens.decomposition import Autoencoder, Epoch, ThresholdSAE, TopK, quality
from codeclens.errors import CodeclensError

Array = np.ndarray[Any, Any]


def quick_topk(**more: Any) -> Autoencoder:
    return TopK(**({"n_modes": 12, "k": 3, "epochs": 20} | more))


def quick_threshold(**more: Any) -> Autoencoder:
    given = {"n_modes": 12, "threshold": 0.5, "learning_rate": 1e-2, "epochs": 20, "batch_size": 32}
    return ThresholdSAE(**(given | more))


both = pytest.mark.parametrize("make", [quick_topk, quick_threshold])
Make = Callable[..., Autoencoder]


@both
def test_an_interface_of_four(make: Make, small: Array) -> None:
    method = make().fit(small, seed=0)
    Z = method.encode(small)
    assert Z.shape == (120, len(method.dictionary))
    assert Z.dtype == method.dictionary.dtype == method.decode(Z).dtype == np.float32
    assert Z.min() >= 0
    np.testing.assert_allclose(method.decode(Z), Z @ method.dictionary, rtol=1e-6)
    assert method.r2 > 0.5
    assert method.scale == pytest.approx(small.std(), rel=1e-6)


@both
def test_codes_and_dictionary_are_in_the_units_of_the_data(make: Make, small: Array) -> None:
    one = make().fit(small)
    large = make().fit(1e4 * small)
    np.testing.assert_allclose(
        large.decode(large.encode(1e4 * small)), 1e4 * one.decode(one.encode(small)), rtol=1e-2
    )


def test_where_the_unit_lies(small: Array) -> None:
    topk = quick_topk().fit(1e4 * small)
    np.testing.assert_allclose(np.linalg.norm(topk.dictionary, axis=1), 1, rtol=1e-5)
    assert topk.encode(1e4 * small).max() > 1e3
    threshold = quick_threshold().fit(1e4 * small)
    codes = threshold.encode(1e4 * small)
    assert codes.max() < 1
    assert codes[codes > 0].min() >= 0.5


@both
def test_r2_and_l0_are_those_of_the_held_out_rows(make: Make, small: Array) -> None:
    method = make(held_out=0.25).fit(small)
    rows = method.held_out_rows
    assert len(set(rows.tolist())) == 30
    Z = method.encode(small[rows])
    assert method.r2 == pytest.approx(
        r2_score(small[rows], method.decode(Z), multioutput="variance_weighted"), abs=1e-5
    )
    assert method.l0 == pytest.approx(quality.l0(Z))


@both
def test_nothing_held_out_means_all_is_judged(make: Make, small: Array) -> None:
    method = make(held_out=0.0).fit(small)
    assert len(method.held_out_rows) == 0
    expected = quality.r2(small, method.decode(method.encode(small)))
    assert method.r2 == pytest.approx(expected, abs=1e-5)


@both
def test_modes_that_never_fire_are_dropped_and_the_others_sorted(make: Make, small: Array) -> None:
    more = {} if make is quick_topk else {"threshold": 0.7, "epochs": 5}
    method = make(n_modes=80, **more).fit(small)
    assert method.n_dropped > 0
    assert len(method.dictionary) == 80 - method.n_dropped
    Z = method.encode(small)
    trained = np.delete(np.arange(120), method.held_out_rows)
    assert not quality.dead_modes(Z[trained]).any()
    share = quality.loading_share(Z, method.dictionary)
    assert (np.diff(share) <= 1e-7).all()


@both
def test_the_same_seed_gives_the_same_bits(make: Make, small: Array) -> None:
    before = torch.get_rng_state()
    first, again, other = (make().fit(small, seed=seed) for seed in (5, 5, 6))
    assert np.array_equal(first.dictionary, again.dictionary)
    assert np.array_equal(first.encode(small), again.encode(small))
    assert first.history == again.history
    assert first.dictionary.shape != other.dictionary.shape or not np.array_equal(
        first.dictionary, other.dictionary
    )
    assert torch.equal(torch.get_rng_state(), before)


@both
def test_tensors_and_arrays_are_the_same(make: Make, small: Array) -> None:
    by_array, by_tensor = make().fit(small), make().fit(torch.from_numpy(small))
    assert np.array_equal(by_array.dictionary, by_tensor.dictionary)
    Z = by_array.encode(small)
    assert np.array_equal(by_tensor.encode(torch.from_numpy(small)), Z)
    assert np.array_equal(by_tensor.decode(torch.from_numpy(Z)), by_array.decode(Z))


@both
def test_data_are_left_as_they_were(make: Make, small: Array) -> None:
    X = small.copy()
    make().fit(X).encode(X)
    assert np.array_equal(X, small)


def test_the_original_stays_unfitted(small: Array) -> None:
    method = quick_topk()
    fitted = method.fit(small)
    assert fitted.method is method
    assert vars(method) == vars(quick_topk())
    assert not hasattr(method, "dictionary")
    assert fitted != method.fit(small)
    assert repr(fitted).startswith("TopK(n_modes=12, k=3, epochs=20) fitted: ")


@both
def test_what_was_learned_comes_back(make: Make, small: Array) -> None:
    method = make(n_modes=30).fit(small)
    back = method.method.restore(method.summary(), method.tensors())
    assert np.array_equal(back.dictionary, method.dictionary)
    assert np.array_equal(back.encode(small), method.encode(small))
    assert np.array_equal(back.held_out_rows, method.held_out_rows)
    assert (back.r2, back.l0, back.scale) == (method.r2, method.l0, method.scale)
    assert (back.n_dropped, back.history) == (method.n_dropped, method.history)


def test_progress_is_reported_every_epoch(small: Array) -> None:
    told: list[Epoch] = []
    method = quick_topk().fit(small, progress=told.append)
    assert tuple(told) == method.history
    assert len(told) == 20


def test_expansion_multiplies_units_not_columns(small: Array) -> None:
    method = TopK(expansion=3, k=2, epochs=1).fit(small, n_units=4)
    assert len(method.dictionary) + method.n_dropped == 12
    method = TopK(expansion=3, k=2, epochs=1).fit(small)
    assert len(method.dictionary) + method.n_dropped == 24


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (np.ones((9, 8)), "9 samples cannot be decomposed; give at least 10"),
        (
            np.eye(12),
            "12 samples (10 of them to train on) are too few for 12 modes; "
            "give more samples, or n_modes=10",
        ),
        (np.zeros((20, 8)), "All 20 × 8 values are zero"),
        (np.tile(np.arange(8.0), (20, 1)), "None of the 8 columns varies over the 20 samples"),
        (np.full((20, 8), np.nan), "160 values that are NaN or infinite"),
    ],
)
def test_data_that_cannot_be_decomposed(X: Array, said: str) -> None:
    with pytest.raises(CodeclensError, match=re.escape(said)):
        quick_topk().fit(X)


def test_what_does_not_fit_the_modes(small: Array) -> None:
    method = quick_topk().fit(small)
    with pytest.raises(CodeclensError, match="7 columns, but this was fitted to 8"):
        method.encode(small[:, :7])
    with pytest.raises(CodeclensError, match=r"loadings has shape \(2, 3\); it must be \(sam"):
        method.decode(np.ones((2, 3)))
    with pytest.raises(CodeclensError, match="NaN"):
        method.encode(np.full((2, 8), np.nan))


def test_constant_units_are_no_obstacle(small: Array) -> None:
    X = np.concatenate([small, np.zeros((120, 1)), np.full((120, 1), 0.1)], axis=1)
    method = quick_topk().fit(X)
    assert method.r2 > 0.5
    assert np.abs(method.dictionary[:, 8]).max() < 0.05


def test_no_samples_to_encode_is_no_loadings(small: Array) -> None:
    method = quick_topk().fit(small)
    assert method.encode(small[:0]).shape == (0, len(method.dictionary))


@settings(max_examples=25)
@given(
    st.integers(10, 40),
    st.integers(1, 9),
    st.integers(1, 8),
    st.booleans(),
    st.integers(0, 2**32),
    st.sampled_from([1e-20, 1.0, 1e15]),
)
def test_whatever_the_data_codes_are_sparse_and_add_up(
    samples: int, units: int, modes: int, signed: bool, seed: int, size: float
) -> None:
    rng = np.random.default_rng(seed)
    X = (
        rng.normal(size=(samples, units)) if signed else rng.gamma(0.2, size=(samples, units))
    ) * size
    k = min(3, modes)
    method = TopK(n_modes=modes, k=k, epochs=2).fit(X, seed=seed)
    Z = method.encode(X)
    assert (Z >= 0).all()
    assert np.isfinite(Z).all()
    assert (np.count_nonzero(Z, axis=1) <= k).all()
    np.testing.assert_allclose(np.linalg.norm(method.dictionary, axis=1), 1, rtol=1e-5)
    assert signed or (method.dictionary >= 0).all()
    np.testing.assert_allclose(method.decode(Z), Z @ method.dictionary, rtol=1e-5)
