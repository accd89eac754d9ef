"""Matrices in memory and on disk, and the views of contributions."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from codeclens.decomposition import Logbook, StoredMatrix, TopK, decompose
from codeclens.decomposition.matrices import (
    VIEWS,
    TensorMatrix,
    View,
    check_view,
    net_total,
    signed_parts,
    units_of,
)
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore, extract

METHOD = TopK(n_modes=12, k=3, epochs=4, batch_size=32)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ContributionStore:
    """Contributions of 300 samples at one site of eight units, in shards of 64 rows."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    images = torch.randn(300, 5, generator=generator)
    folder = tmp_path_factory.mktemp("store") / "contributions.zarr"
    return extract(model, (images, torch.arange(300) % 3), sites="1", to=folder)


@pytest.fixture
def stored(store: ContributionStore) -> StoredMatrix:
    return StoredMatrix(store.reader("1", "concat"), store.sample)


def test_every_row_comes_once(store: ContributionStore, stored: StoredMatrix) -> None:
    X = torch.from_numpy(store.view("1"))
    rows = torch.arange(0, 300, 2)
    for table in (stored, TensorMatrix(X)):
        generator = torch.Generator().manual_seed(0)
        first, second = (torch.cat([*table.batches(rows, 32, generator)]) for _ in range(2))
        assert not torch.equal(first, second)
        for seen in (first, second):
            assert torch.equal(seen.sum(dim=1).sort().values, X[rows].sum(dim=1).sort().values)
        assert torch.equal(torch.cat([*table.parts(rows)]), X[rows])
        assert table.shape == (300, 16)


def test_what_is_divided(store: ContributionStore, stored: StoredMatrix) -> None:
    X = torch.from_numpy(store.view("1"))
    assert stored.deviation() == pytest.approx(TensorMatrix(X).deviation(), rel=1e-12)
    assert torch.equal(stored.scaled(3.0).take(torch.arange(9)), (X[:9] / 3.0).float())


def test_from_disk_it_learns_as_well(store: ContributionStore) -> None:
    X = store.view("1")
    inside = decompose(store, METHOD, in_memory=True)["1"]
    outside = decompose(store, METHOD, in_memory=False)["1"]
    assert outside.r2 == pytest.approx(inside.r2, abs=0.1)
    assert np.array_equal(outside.loadings, outside.encode(X))
    assert np.array_equal(outside.fitted.held_out_rows, inside.fitted.held_out_rows)
    assert not np.array_equal(outside.dictionary, inside.dictionary)  # another order of samples


def test_quality_from_disk_is_that_of_the_arrays(store: ContributionStore) -> None:
    from codeclens.decomposition.decompose import _quality

    found = decompose(store, METHOD, in_memory=False)["1"]
    expected = _quality(
        TensorMatrix(torch.from_numpy(store.view("1"))), found.loadings, found.fitted
    )
    assert found.quality.keys() - {"direction"} == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found.quality[name], value, rtol=1e-6, atol=1e-9)


def test_a_training_from_disk_resumes_to_the_bit(stored: StoredMatrix, tmp_path: Path) -> None:
    def die(epoch: Any) -> None:
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    whole = METHOD.fit(stored, n_units=8)
    with pytest.raises(KeyboardInterrupt):
        METHOD.fit(stored, n_units=8, logbook=Logbook(tmp_path), progress=die)
    resumed = METHOD.fit(stored, n_units=8, logbook=Logbook(tmp_path))
    assert np.array_equal(whole.dictionary, resumed.dictionary)
    assert whole.history == resumed.history


class Rows:
    """Rows that lie in memory, read as if from disk."""

    def __init__(self, X: np.ndarray[Any, Any]) -> None:
        self.X = X
        self.columns = X.shape[1]

    def gather(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return self.X[rows]

    def shuffled(self, rows: np.ndarray[Any, Any], batch: int, rng: np.random.Generator) -> Any:
        yield self.X[rows]


def test_stored_data_that_cannot_be_decomposed() -> None:
    bad = np.ones((5000, 2), dtype=np.float32)
    for X, said in (
        (0 * bad, "All 5000 × 2 values are zero"),
        (bad, "None of the 2 columns varies over the 5000 samples"),
    ):
        with pytest.raises(CodeclensError, match=said):
            StoredMatrix(Rows(X), np.arange(5000)).deviation()
    bad[4500, 1] = np.inf
    with pytest.raises(CodeclensError, match="the first in row 4500, column 1"):
        METHOD.fit(StoredMatrix(Rows(bad), np.arange(5000)))


def test_another_kind_of_store_stays_in_memory(
    make_modes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other:
        sites, classes, metadata, label, key = ["a"], None, {}, np.zeros(20), np.zeros(20)

        def units(self, site: str) -> int:
            return 2

        def view(self, site: str, view: str) -> np.ndarray[Any, Any]:
            return np.ones((20, 4), dtype=np.float32)

    with pytest.raises(CodeclensError, match="in_memory=False needs a ContributionStore, not a Ot"):
        decompose(Other(), TopK(n_modes=3, k=1), in_memory=False)


def test_a_site_that_would_not_fit_is_read_in_blocks(
    store: ContributionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = import_module("codeclens.decomposition.decompose")
    streamed = decompose(store, METHOD, in_memory=False)["1"]
    monkeypatch.setattr(room, "free_memory", lambda: 1000)
    assert np.array_equal(decompose(store, METHOD)["1"].dictionary, streamed.dictionary)


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
