"""One interface of four: what every method promises, whatever it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from codeclens.decomposition import (
    ICA,
    NMF,
    PCA,
    BatchTopK,
    Estimator,
    Gated,
    JumpReLU,
    KMeans,
    Matryoshka,
    Modes,
    ReLUSAE,
    SemiNMF,
    ThresholdSAE,
    TopK,
    quality,
)
from codeclens.decomposition.registry import METHODS
from codeclens.decomposition.stability import matched
from codeclens.errors import CodeclensError

Array = np.ndarray[Any, Any]

# Quick fits of 8 columns, and for the recovery of 16 motifs in 32 columns the mean cosine to reach.
QUICK: list[Estimator] = [
    *(kind(n_modes=12, k=3, epochs=15) for kind in (TopK, BatchTopK, JumpReLU)),
    Matryoshka(n_modes=12, k=3, epochs=60),
    *(kind(n_modes=12, epochs=15) for kind in (Gated, ReLUSAE)),
    ThresholdSAE(n_modes=12, threshold=0.5, learning_rate=1e-2, epochs=20, batch_size=32),
    *(kind(n_modes=4) for kind in (PCA, ICA, NMF, SemiNMF)),
    KMeans(n_modes=12),
]
MLPS: list[Estimator] = [
    *(kind(n_modes=12, k=3, epochs=15, encoder="mlp") for kind in (TopK, JumpReLU)),
    Gated(n_modes=12, epochs=15, encoder="mlp", hidden=5),
]


def named(method: Estimator) -> str:
    return type(method).__name__ + ("-mlp" if getattr(method, "encoder", "") == "mlp" else "")


every = pytest.mark.parametrize("method", [*QUICK, *MLPS], ids=named)


def test_every_method_is_here() -> None:
    assert {type(method).__name__ for method in QUICK} == {
        kind.__name__ for kind in METHODS.values()
    }


@every
def test_an_interface_of_four(method: Estimator, small: Array) -> None:
    fitted = method.fit(small, seed=0)
    assert fitted.method is method
    Z, D = fitted.encode(small), fitted.dictionary
    assert D.shape == (len(D), 8)
    assert len(D) + fitted.n_dropped == method.n_modes
    assert Z.shape == (120, len(D))
    made = fitted.decode(Z)
    assert made.shape == small.shape
    assert Z.dtype == D.dtype == made.dtype == np.float32
    if not isinstance(method, PCA | ICA):
        assert Z.min() >= 0
    rows = fitted.held_out_rows
    assert len(rows) == 12
    assert fitted.r2 == pytest.approx(quality.r2(small[rows], made[rows]), abs=1e-4)
    assert fitted.r2 > 0.5


@every
def test_the_same_seed_gives_the_same_bits(method: Estimator, small: Array) -> None:
    first, again = (method.fit(small, seed=3) for _ in range(2))
    assert np.array_equal(first.dictionary, again.dictionary)
    assert np.array_equal(first.encode(small), again.encode(small))


@every
def test_all_hold_out_the_same_samples(method: Estimator, small: Array) -> None:
    reference = TopK(n_modes=8, k=2, epochs=1).fit(small, seed=5)
    assert np.array_equal(method.fit(small, seed=5).held_out_rows, reference.held_out_rows)


@every
def test_saved_and_loaded_is_the_same(
    method: Estimator, small: Array, make_modes: Callable[..., Modes], tmp_path: Any
) -> None:
    fitted = method.fit(small, seed=0)
    modes = make_modes(
        fitted=fitted,
        loadings=fitted.encode(small),
        labels=None,
        keys=None,
        view="activation",
    )
    back = Modes.load(modes.save(tmp_path / "m")).fitted
    assert back.method == method
    assert np.array_equal(back.dictionary, fitted.dictionary)
    assert np.array_equal(back.encode(small), fitted.encode(small))
    assert np.array_equal(back.decode(back.encode(small)), fitted.decode(fitted.encode(small)))
    assert np.array_equal(back.held_out_rows, fitted.held_out_rows)


@every
def test_ten_thousand_times_as_much_is_ten_thousand_times_as_much(
    method: Estimator, small: Array
) -> None:
    # A power of two changes no digit, so scaled data are the same to the bit.
    factor = 2.0**13
    one, large = method.fit(small), method.fit(factor * small)
    made = one.decode(one.encode(small))
    np.testing.assert_allclose(
        large.decode(large.encode(factor * small)), factor * made, rtol=1e-4, atol=1e-4 * factor
    )
    assert large.r2 == pytest.approx(one.r2, abs=1e-5)


@every
def test_what_cannot_be_decomposed(method: Estimator, small: Array) -> None:
    for X, said in (
        (small[:9], "9 samples cannot be decomposed"),
        (np.zeros((40, 8)), "All 40 × 8 values are zero"),
        (np.tile(np.arange(8.0), (40, 1)), "None of the 8 columns varies over the 40 samples"),
        (np.where(np.arange(8) == 3, np.inf, small), "120 values that are NaN or infinite"),
    ):
        with pytest.raises(CodeclensError, match=said):
            method.fit(X)
    fitted = method.fit(small)
    with pytest.raises(CodeclensError, match="7 columns, but this was fitted to 8"):
        fitted.encode(small[:, :7])
    with pytest.raises(CodeclensError, match=r"loadings has shape \(2, 3\); it must be \(sam"):
        fitted.decode(np.ones((2, 3)))


@every
def test_too_many_modes_for_the_samples(method: Estimator, small: Array) -> None:
    changed = type(method)(**(method.config() | {"n_modes": 40}))
    with pytest.raises(CodeclensError, match=r"20 samples \(18 of them .*n_modes=(18|8) or less"):
        changed.fit(small[:20])


@every
def test_constant_units_are_no_obstacle(method: Estimator, small: Array) -> None:
    X = np.concatenate([small, np.zeros((120, 1)), np.full((120, 1), 0.1)], axis=1)
    fitted = method.fit(X)
    assert fitted.r2 > 0.5
    made = fitted.decode(fitted.encode(X))
    assert np.abs(made[:, 8]).max() < 0.2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        *((kind(n_modes=32, k=3), 0.9) for kind in (TopK, BatchTopK, JumpReLU)),
        (Matryoshka(n_modes=32, k=3), 0.85),
        *((kind(n_modes=32), 0.85) for kind in (Gated, ReLUSAE)),
        *((kind(n_modes=16), 0.9) for kind in (NMF, ICA)),
        (SemiNMF(n_modes=16), 0.7),
        (KMeans(n_modes=32), 0.7),
    ],
    ids=lambda value: named(value) if isinstance(value, Estimator) else "",
)
def test_planted_motifs_are_found(method: Estimator, wanted: float, planted: Any) -> None:
    fitted = method.fit(planted.X, seed=0)
    match = matched(planted.motifs, fitted.dictionary)
    assert match.cosine.mean() > wanted
