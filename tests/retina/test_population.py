"""Populations, clusters, combinations and groups against loops, peers and planted truths."""

from __future__ import annotations

from itertools import combinations as subsets
from pathlib import Path

import numpy as np
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d
from scipy.stats import pearsonr
from sklearn.metrics import adjusted_rand_score, silhouette_score

from cells import HISTORY, Small, film
from codeclens import Conductance, contributions, extract
from codeclens.attribution import Sum
from codeclens.decomposition import NMF, Modes, TopK, quality
from codeclens.errors import CodeclensError
from codeclens.retina import (
    active_modes,
    cluster_cells,
    combinations,
    grouped_fields,
    held_out_blocks,
    mode_cell_matrix,
    movie_contributions,
    population_modes,
    prevailing,
    sign_balance,
)

MOVIE = film(140)
# Nodes that are placed by samples would differ a little with the samples.
EVEN = Conductance(4, nodes="uniform")


def smooth(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Columns that vary slowly, as loadings and rates over a film do."""
    return gaussian_filter1d(rng.normal(size=shape), 6.0, axis=0, mode="wrap") * 5


@pytest.mark.parametrize("stored", [True, False])
def test_modes_are_learned_from_training_frames_alone(stored: bool, tmp_path: Path) -> None:
    model, windows = Small(), MOVIE.windows(HISTORY).float()
    split = held_out_blocks(len(windows), blocks=4, gap=HISTORY - 1)
    found = contributions(model, windows, sites=model.sites, target=Sum())
    source = (
        extract(model, windows, sites=model.sites, target=Sum(), to=tmp_path / "c.zarr")
        if stored
        else found
    )
    modes = population_modes(source, NMF(n_modes=3), split)
    assert list(modes) == ["first", "second"]
    for site, ours in modes.items():
        here = found[site]
        X = np.concatenate([here.positive.numpy(), -here.negative.numpy()], axis=1)
        alone = NMF(n_modes=3).fit(X[split.train])
        assert np.allclose(ours.dictionary, alone.dictionary, atol=1e-3)
        assert ours.loadings.shape == (len(windows), 3)
        again = alone.decode(alone.encode(X[split.held_out]))
        assert ours.r2 == pytest.approx(quality.r2(X[split.held_out], again), abs=1e-3)
        assert ours.r2 != pytest.approx(ours.quality["r2_train"], abs=1e-4)
    ours.save(tmp_path / "modes")


def test_contributions_over_a_movie_give_the_same_modes() -> None:
    model, movie = Small().double(), MOVIE
    found = contributions(
        model, movie.windows(HISTORY), sites=model.sites, target=Sum(), method=EVEN
    )
    labelled = movie_contributions(model, movie, cells=[], targets={"all": Sum()}, method=EVEN)
    split = held_out_blocks(len(movie) - HISTORY + 1, blocks=4, gap=HISTORY - 1)
    for view in ("concat", "activation"):
        ours, theirs = (
            population_modes(one, NMF(n_modes=3), split, view=view)
            for one in (labelled.sel(cell="all"), found)
        )
        assert list(ours) == list(theirs)
        for site, modes in ours.items():
            np.testing.assert_allclose(modes.loadings, theirs[site].loadings, rtol=1e-3, atol=1e-4)
    with pytest.raises(CodeclensError, match=r"the axis 'cell'; choose one target"):
        population_modes(labelled, NMF(n_modes=3), split)
    with pytest.raises(CodeclensError, match="has no contributions"):
        population_modes(labelled[["rate"]].sel(cell="all"), NMF(n_modes=3), split)


def test_autoencoders_do_as_well() -> None:
    model, windows = Small(), MOVIE.windows(HISTORY).float()
    found = contributions(model, windows, sites="first", target=Sum())
    split = held_out_blocks(len(windows), blocks=4)
    modes = population_modes(found, TopK(n_modes=6, k=2, epochs=3), split, view="positive")
    assert modes["first"].loadings.shape[0] == len(windows)
    with pytest.raises(CodeclensError, match="beyond"):
        population_modes(found, NMF(n_modes=3), held_out_blocks(len(windows) + 60))


def test_correlations_and_their_chance_by_shifting(rng: np.random.Generator) -> None:
    loadings, rates, least = smooth(rng, 90, 3), smooth(rng, 90, 2), 20
    matrix = mode_cell_matrix(loadings, rates, cells=["on", "off"], shortest=least)
    for mode in range(3):
        for cell in range(2):
            z, r = loadings[:, mode], rates[:, cell]
            value = pearsonr(z, r).statistic
            assert float(matrix.correlation[mode, cell]) == pytest.approx(value)
            null = [pearsonr(np.roll(z, s), r).statistic for s in range(least, 90 - least + 1)]
            low, high = np.quantile(null, [0.025, 0.975])
            assert float(matrix.null_low[mode, cell]) == pytest.approx(low)
            assert float(matrix.null_high[mode, cell]) == pytest.approx(high)
            p = (1 + sum(abs(n) >= abs(value) - 1e-12 for n in null)) / (1 + len(null))
            assert float(matrix.p[mode, cell]) == pytest.approx(p)
    assert (matrix.q >= matrix.p - 1e-12).all()


def test_slow_noise_is_rarely_significant() -> None:
    """Slow noise correlates by chance; shifts know how much, permutations would not."""
    random = np.random.default_rng(1)
    matrix = mode_cell_matrix(smooth(random, 400, 30), smooth(random, 400, 10))
    # With 400 independent frames 5 % would be beyond 0.1.
    assert float((abs(matrix.correlation) > 0.1).mean()) > 0.4
    assert float((matrix.p < 0.05).mean()) < 0.08


def test_what_does_not_vary_has_no_correlation(rng: np.random.Generator) -> None:
    loadings = rng.random((120, 3))
    loadings[:, 1] = 0.7
    matrix = mode_cell_matrix(loadings, rng.random((120, 2)))
    assert matrix.correlation[1].isnull().all()
    assert matrix.p[1].isnull().all()
    assert not matrix.q[[0, 2]].isnull().any()
    with pytest.raises(CodeclensError, match="119"):
        mode_cell_matrix(loadings[:119], rng.random((120, 2)))
    with pytest.raises(CodeclensError, match="shortest \\(=50\\)"):
        mode_cell_matrix(loadings[:60], rng.random((60, 2)))


@pytest.mark.parametrize("kind", ["agglomerative", "kmeans"])
def test_planted_groups_of_cells_are_found(kind: str, rng: np.random.Generator) -> None:
    truth = np.repeat([0, 1, 2, 3], 6)
    matrix = 2 * np.eye(12)[:, truth] + 0.3 * rng.normal(size=(12, 24))
    found = cluster_cells(matrix, kind=kind, draws=39)
    assert found.count == 4
    assert adjusted_rand_score(truth, found.labels) == 1
    assert found.score == pytest.approx(silhouette_score(matrix.T, found.labels))
    assert found.p == 1 / 40
    assert list(found.labels[found.order]) == sorted(found.labels)


def test_cells_of_one_kind_are_no_groups(rng: np.random.Generator) -> None:
    ps = [cluster_cells(rng.normal(size=(5, 20)), draws=19, seed=s).p for s in range(8)]
    assert np.mean(ps) > 0.2
    with pytest.raises(CodeclensError, match="three cells"):
        cluster_cells(rng.normal(size=(5, 2)))
    with pytest.raises(CodeclensError, match="2 to 4 clusters"):
        cluster_cells(rng.normal(size=(5, 5)), counts=[5])


@given(st.integers(0, 10_000), st.integers(2, 4))
def test_combinations_are_counted_as_by_hand(seed: int, largest: int) -> None:
    loadings = np.random.default_rng(seed).random((60, 6))
    found = combinations(
        loadings, quantile=0.5, largest=largest, least=8, draws=3, shortest=5, seed=seed
    )
    active = active_modes(loadings, 0.5)
    slow = {}
    for size in range(2, largest + 1):
        for one in subsets(range(6), size):
            count = sum(all(row[mode] for mode in one) for row in active)
            if count >= 8:
                slow["+".join(map(str, one))] = count
    assert dict(zip(found.combination.values, found["count"].values, strict=True)) == slow
    assert (found["first"] + found["second"] == found["count"]).all()


def test_modes_that_go_together_exceed_chance_and_others_do_not(
    rng: np.random.Generator,
) -> None:
    loadings = np.exp(smooth(rng, 600, 6))
    loadings[:, 5] = loadings[:, 2] * 1.1
    found = combinations(loadings, least=1, largest=2, draws=200)
    pair = found.sel(combination="2+5")
    assert int(pair["count"]) == 120
    assert float(pair.p) < 0.02
    assert float(pair.lift) > 2
    # Chance keeps each mode's own time, so that slow modes meet in long stretches.
    assert float((found.drop_sel(combination="2+5").p < 0.05).mean()) < 0.3


def test_expected_counts_are_those_of_independent_modes(rng: np.random.Generator) -> None:
    found = combinations(rng.random((2000, 4)), quantile=0.7, largest=3, draws=100)
    share = np.where(found["size"] == 2, 0.3**2, 0.3**3)
    assert np.allclose(found.expected / 2000, share, rtol=0.05)
    assert abs(found.lift - 1).max() < 0.35


def fields_of(values: np.ndarray) -> xarray.DataArray:
    times, cells = values.shape[:2]
    shape = (times, cells, 2, 3, 4)
    return xarray.DataArray(
        values.reshape(shape), {"cell": list("ab")}, ["time", "cell", "lag", "y", "x"]
    )


def test_groups_of_moments_have_their_mean_fields(rng: np.random.Generator) -> None:
    loadings = np.maximum(smooth(rng, 200, 3), 0)
    fields = fields_of(rng.normal(size=(200, 2, 24)))
    found = grouped_fields(fields, loadings, least=2, draws=20)
    names = prevailing(loadings)
    grouped = np.isin(names, found.group.values)
    flat = fields.to_numpy().reshape(200, 2, 24)[grouped]
    for cell in range(2):
        inside = 0.0
        for name in found.group.values:
            rows = flat[names[grouped] == name, cell]
            assert np.allclose(
                found.field.sel(group=name)[cell].to_numpy().ravel(), rows.mean(axis=0)
            )
            assert int(found.frames.sel(group=name)) == len(rows)
            inside += np.square(rows - rows.mean(axis=0)).sum()
        total = np.square(flat[:, cell] - flat[:, cell].mean(axis=0)).sum()
        assert float(found.between[cell]) == pytest.approx(1 - inside / total)
    # Noise that has nothing to do with the modes is grouped no better than by shifted ones.
    assert (found.between < found.null + 0.05).all()


def test_fields_of_modes_are_distinguished(rng: np.random.Generator) -> None:
    loadings = np.maximum(smooth(rng, 300, 3), 0) + 0.01
    chosen = loadings.argmax(axis=1)
    values = rng.normal(size=(3, 2, 24))[chosen] + 0.1 * rng.normal(size=(300, 2, 24))
    found = grouped_fields(fields_of(values), loadings)
    assert (found.between > 0.9).all()
    assert (found.between > found.null_high).all()


def test_prevailing_modes_weigh_what_they_contribute() -> None:
    loadings = np.array([[1.0, 2.0], [0.0, 0.0]])
    assert list(prevailing(loadings)) == ["1", "none"]
    model, windows = Small(), MOVIE.windows(HISTORY).float()
    found = contributions(model, windows, sites="first", target=Sum())
    modes = population_modes(found, NMF(n_modes=3), held_out_blocks(len(windows)))["first"]
    strength = modes.loadings * np.abs(modes.dictionary).sum(axis=1)
    assert list(prevailing(modes)) == [str(k) for k in strength.argmax(axis=1)]
    with pytest.raises(CodeclensError, match="together \\(=3\\)"):
        prevailing(loadings, together=3)
    with pytest.raises(CodeclensError, match="of the same frames"):
        grouped_fields(fields_of(np.zeros((3, 2, 24))), loadings)


def test_names_are_one_for_each_cell(rng: np.random.Generator) -> None:
    loadings, rates = smooth(rng, 120, 2), smooth(rng, 120, 2)
    for cells in (["a"], ["a", "a"], "ab"):
        with pytest.raises(CodeclensError, match="must be 2 unique names"):
            mode_cell_matrix(loadings, rates, cells=cells)


def test_a_matrix_is_clustered_in_any_form(rng: np.random.Generator) -> None:
    matrix = mode_cell_matrix(smooth(rng, 200, 3), smooth(rng, 200, 8))
    wanted = cluster_cells(matrix.correlation.to_numpy(), draws=5)
    for form in (matrix, matrix.correlation, matrix.transpose("cell", "mode")):
        found = cluster_cells(form, draws=5)
        assert np.array_equal(found.labels, wanted.labels)
        assert np.array_equal(found.null, wanted.null)
    assert repr(wanted).startswith(f"8 cells in {wanted.count} clusters: silhouette ")
    assert len(repr(wanted).splitlines()) <= 20
    assert wanted._repr_html_().count("<tr>") == 8
    table = wanted.to_dataframe()
    assert table.cluster.is_monotonic_increasing
    assert sorted(table.cell) == sorted(wanted.cells)
    labelled = wanted.to_xarray()
    assert np.array_equal(labelled.cluster, wanted.labels)
    assert labelled.attrs["p"] == wanted.p
    with pytest.raises(CodeclensError, match="has q and no correlation"):
        cluster_cells(matrix[["q"]])
    with pytest.raises(CodeclensError, match="is not a matrix"):
        cluster_cells([["a"]])  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, 2])
def test_few_combinations_have_a_stability(count: int, rng: np.random.Generator) -> None:
    """A single combination has no rank: its counts of both halves are compared."""
    loadings = np.zeros((200, 2 * count))
    for pair in range(count):
        on = rng.random(200) < 0.15 + 0.1 * pair
        loadings[on, 2 * pair : 2 * pair + 2] = 1.0
    found = combinations(loadings, quantile=0.5, least=5, largest=2, draws=20)
    assert found.sizes["combination"] >= count
    assert -1 <= float(found.stability) <= 1
    if found.sizes["combination"] == 1:
        first, second = int(found["first"][0]), int(found["second"][0])
        assert float(found.stability) == min(first, second) / max(first, second)


def test_the_sign_of_a_mode_is_that_of_its_entries() -> None:
    dictionary = np.array([[1.0, 3.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [1.0, 0.0, 1.0, 0.0]])
    X = np.abs(np.random.default_rng(0).normal(size=(60, 3))).astype(np.float32) @ dictionary
    fitted = NMF(n_modes=3).fit(X.astype(np.float32), seed=0)
    modes = Modes("1", "concat", fitted, fitted.encode(X.astype(np.float32)))
    halves = np.abs(modes.dictionary).reshape(3, 2, 2).sum(axis=2)
    wanted = (halves[:, 0] - halves[:, 1]) / halves.sum(axis=1)
    np.testing.assert_allclose(sign_balance(modes), wanted, rtol=1e-5)
    of_sums = NMF(n_modes=2).fit(X[:, :2].astype(np.float32), seed=0)
    summed = Modes("1", "sum", of_sums, np.zeros((60, 2), np.float32))
    with pytest.raises(CodeclensError, match='of the view "sum"'):
        sign_balance(summed)
