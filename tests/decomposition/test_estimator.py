"""The data that estimators take, and their configuration."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from codeclens.decomposition import ThresholdSAE, TopK
from codeclens.decomposition.estimator import as_data
from codeclens.decomposition.matrices import TensorMatrix
from codeclens.errors import CodeclensError


@given(
    st.integers(2, 30), st.integers(2, 9), st.floats(-1e3, 1e3), st.sampled_from([1e-30, 1, 1e9])
)
def test_scale_is_the_standard_deviation(n: int, d: int, shift: float, size: float) -> None:
    X = (np.random.default_rng(n).normal(size=(n, d)) + shift) * size
    assert TensorMatrix(torch.from_numpy(X)).deviation() == pytest.approx(X.std(), rel=1e-9)


def test_scale_of_values_whose_squares_vanish() -> None:
    X = np.random.default_rng(0).random((20, 3)) * 1e-200
    assert TensorMatrix(torch.from_numpy(X)).deviation() == pytest.approx(
        (X * 1e200).std() * 1e-200
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.uint8, bool])
def test_data_of_any_real_type(dtype: type) -> None:
    X = np.eye(4).astype(dtype)
    X.flags.writeable = False
    assert as_data(X).is_floating_point()
    assert as_data(X).tolist() == np.eye(4).tolist()
    assert as_data(torch.eye(4, requires_grad=True)).requires_grad is False


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (np.zeros(4), "data has shape (4); it must be two-dimensional"),
        (np.zeros((2, 2), dtype=complex), "complex128"),
        (torch.zeros(2, 2, dtype=torch.complex64), "complex64"),
        (np.array([["a"]]), "<U1"),
        (
            np.array([[1.0, 2.0], [3.0, np.nan]]),
            "1 values that are NaN or infinite, the first (nan) in row 1, column 1",
        ),
        (
            np.array([[1.0, -np.inf], [3.0, np.nan]]),
            "2 values that are NaN or infinite, the first (-inf) in row 0",
        ),
    ],
)
def test_data_that_cannot_be_used(X: Any, said: str) -> None:
    with pytest.raises(CodeclensError, match=re.escape(said)):
        as_data(X)


def test_sites_where_nothing_happens() -> None:
    with pytest.raises(CodeclensError, match="All 12 × 3 values are zero"):
        TensorMatrix(torch.zeros(12, 3)).deviation()
    with pytest.raises(CodeclensError, match="None of the 3 columns varies over the 12 samples"):
        TensorMatrix(torch.tensor([0.1, 0.0, 3.0]).expand(12, 3)).deviation()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "TopK needs either n_modes or expansion (modes per unit), and was given neither"),
        ({"n_modes": 8, "expansion": 3}, "was given 8 and 3"),
        ({"n_modes": 0}, "TopK.n_modes (=0) must be"),
        ({"n_modes": 2.5}, "TopK.n_modes (=2.5) must be a whole number"),
        ({"n_modes": 40, "k": 0}, "TopK.k (=0) must be"),
        ({"n_modes": 32, "k": 40}, "k (=40) must not exceed the number of modes (=32)"),
        ({"expansion": -1}, "TopK.expansion (=-1) must be"),
        ({"expansion": float("inf")}, "TopK.expansion (=inf) must be"),
        ({"expansion": 3, "batch_size": 0}, "TopK.batch_size (=0) must be"),
        ({"expansion": 3, "epochs": 0}, "TopK.epochs (=0) must be"),
        ({"expansion": 3, "learning_rate": 0.0}, "TopK.learning_rate (=0.0) must be"),
        ({"expansion": 3, "held_out": 1.0}, "TopK.held_out (=1.0) must be"),
        ({"expansion": 3, "warmup": -0.1}, "TopK.warmup (=-0.1) must be"),
        ({"expansion": 3, "clip": 0.0}, "TopK.clip (=0.0) must be"),
        ({"expansion": 3, "aux_weight": -1.0}, "TopK.aux_weight (=-1.0) must be"),
    ],
)
def test_configurations_that_cannot_be(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(CodeclensError, match=re.escape(said)):
        TopK(**wrong)


def test_modes_per_unit() -> None:
    assert TopK(expansion=3).modes_for(64) == 192
    assert TopK(n_modes=20).modes_for(64) == 20
    assert TopK(expansion=0.5).modes_for(64) == 32
    with pytest.raises(CodeclensError, match=r"k \(=16\) must not exceed .* \(=12\)"):
        TopK(expansion=3).modes_for(4)


def test_the_object_is_its_configuration() -> None:
    method = TopK(expansion=3, k=8)
    assert method == TopK(expansion=3, k=8) != TopK(expansion=3, k=9)
    assert TopK(**method.config()) == method
    assert ThresholdSAE(**ThresholdSAE(n_modes=5).config()) == ThresholdSAE(n_modes=5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        method.k = 3  # type: ignore[misc]


def test_reprs_show_what_was_chosen() -> None:
    assert repr(TopK(expansion=3)) == "TopK(expansion=3, k=16)"
    assert (
        repr(TopK(n_modes=40, k=4, learning_rate=1e-3))
        == "TopK(n_modes=40, k=4, learning_rate=0.001)"
    )
    assert repr(ThresholdSAE(expansion=2.5)) == "ThresholdSAE(expansion=2.5, threshold=0.8)"
