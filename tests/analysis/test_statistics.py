"""Statistics against closed forms, slow obvious versions, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.stats import binom

from codeclens.analysis import (
    Spectrum,
    bootstrap_interval,
    class_means,
    components_for_variance,
    covariance_spectrum,
    hoyer,
    participation_ratio,
    sign_correlation,
    statistics,
    treves_rolls,
)
from codeclens.analysis.spectrum import PopulationSummary, hoyer_of_sums, spectrum_components
from codeclens.errors import CodeclensError

values = st.floats(-100, 100, width=32).map(lambda v: 0.0 if abs(v) < 1e-3 else v)
matrices = arrays(
    np.float64, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=7), elements=values
)
scales = st.floats(1e-6, 1e6)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut every array into many blocks, so that their seams are exercised."""
    monkeypatch.setattr(statistics, "_BLOCK", 50)


# Hoyer sparsity


@pytest.mark.parametrize("units", [2, 3, 64, 2048])
def test_hoyer_of_one_hot_is_one_and_of_uniform_zero(units: int) -> None:
    one_hot = np.eye(units)[0] * -3.5
    assert hoyer(np.stack([one_hot, np.full(units, 1e-30)])) == pytest.approx([1, 0], abs=1e-12)


def test_hoyer_of_half_the_units_has_a_closed_form() -> None:
    half = np.concatenate([np.ones(32), np.zeros(32)])
    assert hoyer(half) == pytest.approx((8 - np.sqrt(32)) / 7)


def test_hoyer_of_gaussian_units_is_one_minus_root_two_over_pi(rng: np.random.Generator) -> None:
    median = np.median(hoyer(rng.normal(size=(50, 20_000))))
    assert median == pytest.approx(1 - np.sqrt(2 / np.pi), abs=0.005)


def test_hoyer_is_undefined_for_zeros_and_for_one_unit() -> None:
    assert np.isnan(hoyer(np.array([[0.0, 0.0], [1.0, 0.0]]))).tolist() == [True, False]
    assert np.isnan(hoyer(np.ones((3, 1)))).all()


def test_hoyer_keeps_leading_axes_and_small_and_large_values() -> None:
    assert hoyer(np.ones((2, 3, 4))).shape == (2, 3)
    tiny, huge = np.array([3e-320, 0.0]), np.array([1e300, 0.0])
    assert hoyer(np.stack([tiny, huge])).tolist() == [1.0, 1.0]


@given(matrices, scales, st.randoms(use_true_random=False))
def test_hoyer_ignores_scale_sign_and_order(X: np.ndarray, scale: float, random) -> None:
    order = random.sample(range(X.shape[1]), X.shape[1])
    expected = hoyer(X)
    defined = expected[~np.isnan(expected)]
    assert ((defined >= 0) & (defined <= 1)).all()
    np.testing.assert_allclose(hoyer(-X[:, order] * scale), expected, atol=1e-12)


@pytest.mark.usefixtures("small_blocks")
def test_hoyer_by_blocks_equals_the_formula(rng: np.random.Generator) -> None:
    X = rng.normal(size=(40, 16)).astype(np.float32)
    norm = np.linalg.norm(X.astype(float), axis=1)
    formula = (4 - np.abs(X.astype(float)).sum(axis=1) / norm) / 3
    np.testing.assert_allclose(hoyer(X), formula, rtol=1e-12)


# Sign correlation


@pytest.mark.usefixtures("small_blocks")
def test_sign_correlation_is_pearson_for_every_sample(rng: np.random.Generator) -> None:
    positive, negative = rng.exponential(size=(2, 30, 12))
    expected = [np.corrcoef(p, n)[0, 1] for p, n in zip(positive, negative, strict=True)]
    np.testing.assert_allclose(sign_correlation(positive, -negative), expected, rtol=1e-10)


def test_sign_correlation_is_one_zero_and_minus_one() -> None:
    positive = np.array([[1.0, 2.0, 3.0], [1.0, 0.0, 1.0], [0.0, 1.0, 2.0]])
    negative = -np.array([[5.0, 7.0, 9.0], [1.0, 2.0, 3.0], [2.0, 1.0, 0.0]])
    assert sign_correlation(positive, negative) == pytest.approx([1, 0, -1], abs=1e-12)


def test_sign_correlation_is_undefined_where_units_do_not_differ() -> None:
    positive, negative = np.full((1, 3), 0.1), -np.array([[1.0, 2.0, 3.0]])
    assert np.isnan(sign_correlation(positive, negative)).all()


@given(matrices, scales, scales)
def test_sign_correlation_ignores_the_scale_of_either(X: np.ndarray, a: float, b: float) -> None:
    other = np.abs(X[::-1] + 1)
    expected = sign_correlation(np.abs(X), -other)
    np.testing.assert_allclose(sign_correlation(np.abs(X) * a, -other * b), expected, atol=1e-9)


def test_sign_correlation_needs_equal_shapes() -> None:
    with pytest.raises(CodeclensError, match=r"\(2, 3\) and negative \(2, 4\)"):
        sign_correlation(np.ones((2, 3)), np.ones((2, 4)))


# Dimensionality


@pytest.mark.parametrize("dimension", [1, 4, 20])
def test_isotropic_covariance_has_participation_ratio_of_its_dimension(dimension: int) -> None:
    X = np.concatenate([np.eye(dimension), -np.eye(dimension)])
    assert participation_ratio(X) == pytest.approx(dimension)
    assert components_for_variance(X, 1.0) == dimension
    assert components_for_variance(X, 0.95) == int(np.ceil(0.95 * dimension - 1e-9))


def test_one_direction_has_one_dimension(rng: np.random.Generator) -> None:
    X = 5 + np.outer(rng.normal(size=100), rng.normal(size=30))
    assert participation_ratio(X) == pytest.approx(1)
    assert components_for_variance(X) == 1


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e8])
def test_samples_that_do_not_vary_have_no_dimension(constant: float) -> None:
    X = np.full((1000, 7), constant)
    assert np.isnan(participation_ratio(X))
    assert components_for_variance(X) == 0


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (20, 20)])
def test_spectrum_is_that_of_the_covariance(
    shape: tuple[int, int], rng: np.random.Generator
) -> None:
    X = (rng.normal(size=shape) * rng.exponential(size=shape[1]) + 50).astype(np.float32)
    covariance = np.cov(X.astype(float), rowvar=False, bias=True)
    expected = np.linalg.eigvalsh(covariance)[::-1][: min(shape)]
    np.testing.assert_allclose(covariance_spectrum(X), expected, rtol=1e-8, atol=1e-10)


def test_spectrum_survives_a_mean_far_from_zero(rng: np.random.Generator) -> None:
    X = rng.normal(size=(500, 6)) * [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(covariance_spectrum(X + 1e6), covariance_spectrum(X), rtol=1e-6)


@given(matrices, scales, st.randoms(use_true_random=False))
def test_dimensionality_ignores_scale_and_order(X: np.ndarray, scale: float, random) -> None:
    rows = random.sample(range(X.shape[0]), X.shape[0])
    columns = random.sample(range(X.shape[1]), X.shape[1])
    moved = X[rows][:, columns] * scale
    expected = participation_ratio(X)
    assert participation_ratio(moved) == pytest.approx(expected, rel=1e-6, nan_ok=True)
    assert np.isnan(expected) or 1 <= expected <= min(X.shape[0] - 1, X.shape[1]) + 1e-9


def test_components_reach_their_share_and_not_one_fewer(rng: np.random.Generator) -> None:
    X = rng.normal(size=(300, 40)) * np.linspace(3, 0.1, 40)
    spectrum = covariance_spectrum(X)
    count = components_for_variance(X, 0.9)
    assert spectrum[:count].sum() >= 0.9 * spectrum.sum() > spectrum[: count - 1].sum()
    assert spectrum_components(spectrum, 0.9) == count


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
def test_share_must_be_a_share(share: float) -> None:
    with pytest.raises(CodeclensError, match="must be above 0 and at most 1"):
        components_for_variance(np.eye(3), share)


# Class means


@pytest.mark.usefixtures("small_blocks")
def test_class_means_leave_unknown_labels_out(rng: np.random.Generator) -> None:
    X, labels = rng.normal(size=(200, 9)), rng.integers(-1, 5, size=200)
    labels[labels == 3] = 7
    means, classes = class_means(X, labels)
    assert classes.tolist() == [0, 1, 2, 4, 7]
    expected = [X[labels == c].mean(axis=0) for c in classes]
    np.testing.assert_allclose(means, expected, rtol=1e-12)


def test_class_means_sum_in_double_precision() -> None:
    X = np.full((30_000, 1), 1 / 3, np.float32)
    means, _ = class_means(X, np.zeros(30_000, int))
    assert means[0, 0] == pytest.approx(float(np.float32(1 / 3)), rel=1e-13)


def test_class_means_refuse_labels_that_do_not_fit() -> None:
    X = np.ones((4, 2))
    with pytest.raises(CodeclensError, match=r"shape \(3,\).*4 samples"):
        class_means(X, np.zeros(3, int))
    with pytest.raises(CodeclensError, match="type float64"):
        class_means(X, np.zeros(4))
    with pytest.raises(CodeclensError, match="All 4 labels are unknown"):
        class_means(X, np.full(4, -1))


# Bootstrap


@pytest.mark.parametrize("size", [9, 10, 101])
def test_bootstrap_of_the_median_follows_the_exact_distribution(size: int) -> None:
    """P(median ≤ k-th value) is a binomial tail; even sizes are compared with plain draws."""
    data = np.arange(size, dtype=float)
    random = np.random.default_rng(1)
    fast = statistics._median_draws(data, 40_000, random)
    if size % 2:
        k = np.arange(1, size + 1)
        exact = binom.sf((size - 1) // 2, size, k / size)
        drawn = (fast[:, None] <= data).mean(axis=0)
    else:
        slow = np.median(random.choice(data, size=(40_000, size)), axis=1)
        grid = np.arange(0, size, 0.5)[:, None]
        exact, drawn = (slow <= grid).mean(axis=1), (fast <= grid).mean(axis=1)
    np.testing.assert_allclose(drawn, exact, atol=0.012)


def test_bootstrap_of_the_mean_matches_its_standard_error(rng: np.random.Generator) -> None:
    data = rng.normal(3, 2, size=400)
    low, high = bootstrap_interval(data, np.mean, n=4000)
    half = 1.96 * data.std() / 20
    assert (low, high) == pytest.approx((data.mean() - half, data.mean() + half), abs=0.02)


def test_bootstrap_coverage_of_the_median_is_nominal() -> None:
    random = np.random.default_rng(2)
    intervals = [bootstrap_interval(random.normal(size=60), n=400, level=0.8) for _ in range(400)]
    covered = np.mean([low <= 0 <= high for low, high in intervals])
    assert 0.74 < covered < 0.87


@pytest.mark.usefixtures("small_blocks")
def test_bootstrap_depends_on_its_seed_alone(rng: np.random.Generator) -> None:
    data = rng.normal(size=30)
    np.random.default_rng(5).normal()
    first = bootstrap_interval(data, np.mean, seed=3)
    assert bootstrap_interval(data, np.mean, seed=3) == first
    assert bootstrap_interval(data, np.mean, seed=4) != first


@given(arrays(np.float64, st.integers(1, 20), elements=values))
def test_bootstrap_of_the_median_stays_within_the_data(data: np.ndarray) -> None:
    low, high = bootstrap_interval(data, n=50)
    assert data.min() <= low <= high <= data.max()


@pytest.mark.parametrize(("n", "level"), [(0, 0.95), (10, 0.0), (10, 1.0), (10, 95.0)])
def test_bootstrap_refuses_settings_without_meaning(n: int, level: float) -> None:
    with pytest.raises(CodeclensError, match=rf"level \(={level}\)" if n else r"n \(=0\)"):
        bootstrap_interval(np.ones(3), n=n, level=level)


# What users hand over


@pytest.mark.parametrize("function", [hoyer, participation_ratio, components_for_variance])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(function, bad: float) -> None:
    X = np.ones((4, 3))
    X[2, 1] = bad
    with pytest.raises(CodeclensError, match=r"\(4, 3\) is not finite in row 2"):
        function(X)


@pytest.mark.parametrize("shape", [(), (3,), (0, 3), (3, 0), (1, 2, 3)])
def test_shapes_that_are_no_matrix_are_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(CodeclensError, match=r"X has shape .*must be \(samples, units\)"):
        participation_ratio(np.zeros(shape))


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(CodeclensError, match="complex128"):
        hoyer(np.ones((2, 2), complex))


@pytest.mark.slow
def test_a_large_site_is_done_in_time_and_memory() -> None:
    """50,000 × 2,048 in float32: the covariance's spectrum, sparsity and class means."""
    import time
    import tracemalloc

    X = np.random.default_rng(0).standard_normal((50_000, 2_048), dtype=np.float32)
    labels = np.arange(len(X)) % 1000
    tracemalloc.start()
    start = time.perf_counter()
    spectrum = covariance_spectrum(X)
    hoyer(X)
    class_means(X, labels)
    assert time.perf_counter() - start < 120
    assert tracemalloc.get_traced_memory()[1] < 0.5 * 2**30
    tracemalloc.stop()
    # Marchenko–Pastur: the participation ratio of white noise is U / (1 + U / N).
    assert statistics.spectrum_participation(spectrum) == pytest.approx(
        2048 / (1 + 2048 / 5e4), rel=0.01
    )


@given(matrices)
def test_treves_rolls_is_its_formula(X: np.ndarray) -> None:
    expected = np.full(len(X), np.nan)
    for row, v in zip(range(len(X)), X, strict=True):
        if v.any():
            a = np.mean(np.abs(v)) ** 2 / np.mean(v**2)
            expected[row] = (1 - a) / (1 - 1 / len(v))
    np.testing.assert_allclose(treves_rolls(X), expected, atol=1e-9)


@given(matrices, st.integers(1, 4))
def test_a_spectrum_of_parts_is_that_of_the_whole(X: np.ndarray, size: int) -> None:
    spectrum = Spectrum()
    for start in range(0, len(X), size):
        spectrum.add(X[start : start + size])
    whole = covariance_spectrum(X)
    found = spectrum.variances()
    count = min(len(found), len(whole))
    scale = max(1.0, float(np.abs(X).max()) ** 2)
    np.testing.assert_allclose(found[:count], whole[:count], atol=1e-10 * scale)
    np.testing.assert_allclose(found[count:], 0, atol=1e-10 * scale)


def test_a_summary_of_parts_is_that_of_the_whole(rng: np.random.Generator) -> None:
    X = rng.gamma(0.4, size=(90, 7)).astype(np.float32) - 0.1
    group = rng.integers(-1, 3, size=90)
    summary = PopulationSummary(groups=4, functions={"sparsity": hoyer})
    for part in np.array_split(np.arange(90), 5):
        summary.add(X[part], group[part])
    np.testing.assert_array_equal(summary.of_samples("sparsity"), hoyer(X))
    np.testing.assert_allclose(
        hoyer_of_sums(summary.magnitude, summary.square, summary.rows), hoyer(X.T), rtol=1e-6
    )
    np.testing.assert_allclose(summary.variances(), covariance_spectrum(X), rtol=1e-9)
    means, classes = class_means(X, group)
    np.testing.assert_allclose(summary.group_means()[classes], means, rtol=1e-6)
    assert not summary.group_means()[3].any()


def test_a_unit_that_is_always_silent_has_no_lifetime_sparsity() -> None:
    summary = PopulationSummary(groups=0, functions={})
    summary.add(np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([-1, -1]))
    np.testing.assert_array_equal(
        hoyer_of_sums(summary.magnitude, summary.square, summary.rows), [np.nan, 1.0]
    )
