from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from torch import Tensor

from codeclens import ActivationGradient, CodeclensError, ContributionStore

CLASSES = ["ant", "bee", "cat", "dog", "eel"]


@pytest.fixture
def store(
    run: Callable[..., ContributionStore], x: Tensor, labels: Tensor, tmp_path: Path
) -> ContributionStore:
    """Return a store of fifty samples in four shards, two of them skipped."""
    data = x.clone()
    data[[3, 40]] = float("nan")
    return run((data, labels), tmp_path / "s.zarr", classes=CLASSES)


def test_all_arrays_have_the_same_samples(store: ContributionStore, labels: Tensor) -> None:
    kept = [i for i in range(50) if i not in (3, 40)]
    assert len(store) == 48
    assert store.sample.tolist() == kept
    assert store.key.tolist() == [str(i) for i in kept]
    assert store.label.tolist() == labels[kept].tolist()
    for array in (store.prediction, store.target, store.baseline_target, store.completeness("1")):
        assert array.shape == (48,)
        assert np.isfinite(array).all()
    assert store.view("3").shape == (48, 12)


def test_the_repr_describes_the_contents(store: ContributionStore) -> None:
    assert store.sites == ["1", "3"]
    assert [store.units(site) for site in store.sites] == [4, 6]
    assert store.is_cut("1")
    assert store.classes == CLASSES
    assert store.finished
    assert store.metadata["settings"]["method"]["steps"] == 4
    assert repr(store).splitlines() == [
        f"ContributionStore '{store.path}'",
        "48 of 50 samples (2 skipped), 2 sites, float32",
        "Conductance(steps=4, rule='trapezoid', nodes='uniform', tolerance=None, max_steps=320) "
        "of Predicted(of='logits') in Sequential",
        "site  units  is_cut",
        "   1      4    True",
        "   3      6    True",
    ]


def test_many_sites_print_as_a_short_table(
    store: ContributionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.to_dataframe().to_dict("list") == {
        "site": ["1", "3"],
        "units": [4, 6],
        "is_cut": [True, True],
    }
    assert "<td>3</td>" in store._repr_html_()
    many = replace(store._layout, sites=store._layout.sites * 20)
    monkeypatch.setattr(store, "_layout", many)
    assert len(repr(store).splitlines()) == 19
    assert repr(store).endswith("… 26 more rows; to_dataframe() returns all of them")


def test_skipped_samples_are_listed(store: ContributionStore) -> None:
    reason = "the image holds NaN or infinite values"
    assert store.skipped == [("3", reason), ("40", reason)]


def test_opening_is_the_same_as_making(store: ContributionStore) -> None:
    again = ContributionStore.open(str(store.path))
    np.testing.assert_array_equal(again.view("1"), store.view("1"))
    assert again.metadata == store.metadata


def test_xarray_opens_it_without_help(store: ContributionStore) -> None:
    root = xr.open_zarr(store.path)
    assert dict(root.sizes) == {"sample": 50, "site": 2, "class": 5, "shard": 4}
    assert root["site"].values.tolist() == ["1", "3"]
    assert root["class"].values.tolist() == CLASSES
    assert root["key"].values[7] == "7"
    assert root["valid"].values.sum() == 48
    assert "NaN" in root["reason"].values[3]
    assert {"key", "label", "prediction", "sample"} <= set(root.coords)
    site = xr.open_zarr(store.path, group="sites/3")
    assert site["positive"].dims == ("sample", "unit")
    assert np.isnan(site["positive"].values[3]).all()
    tree = xr.open_datatree(store.path, engine="zarr")
    assert tree["sites/3"]["negative"].shape == (50, 6)


def test_datasets_hold_the_usable_samples(store: ContributionStore) -> None:
    root, site = store.to_xarray(), store.to_xarray("3")
    assert root.sizes["sample"] == site.sizes["sample"] == 48
    assert "shard" not in root.dims
    np.testing.assert_array_equal(site["negative"], store.view("3", "negative"))
    np.testing.assert_array_equal(site["completeness"], store.completeness("3"))
    np.testing.assert_array_equal(site["label"], store.label)
    np.testing.assert_array_equal(site["target"], store.target)
    assert site["unit"].values.tolist() == list(range(6))
    assert site.attrs["site"] == "3"


def test_a_method_without_baseline_has_no_completeness(
    run: Callable[..., ContributionStore], x: Tensor, tmp_path: Path
) -> None:
    store = run(x, tmp_path / "s.zarr", method=ActivationGradient())
    assert store.is_cut("1")
    assert np.isnan(store.completeness("1")).all()
    assert np.isnan(store.baseline_target).all()
    assert (store.label == -1).all()
    assert store.classes is None


def test_an_unfinished_store_holds_its_finished_shards(store: ContributionStore) -> None:
    (store.path / "shard_record" / "c" / "1").unlink()
    part = ContributionStore(store.path)
    assert not part.finished
    assert part.sample.tolist() == [i for i in (*range(16), *range(32, 50)) if i not in (3, 40)]
    np.testing.assert_array_equal(
        part.view("1"), store.view("1")[np.isin(store.sample, part.sample)]
    )
    assert np.concatenate(list(part.batches("1"))).shape == (32, 8)
    assert part.to_xarray("1").sizes["sample"] == 32
    assert "32 of 50 samples (2 skipped), 3 of 4 shards" in repr(part)


def test_classes_choose_rows(store: ContributionStore) -> None:
    cats = store.rows(label="cat")
    assert cats.tolist() == np.flatnonzero(store.label == 2).tolist()
    assert len(cats) == 10
    np.testing.assert_array_equal(store.view("3", rows=cats), store.view("3")[store.label == 2])
    both = store.rows(label=2, prediction=int(store.prediction[cats[0]]))
    assert cats[0] in both
    assert set(both) <= set(cats)
    batches = np.concatenate(list(store.batches("3", batch=4, rows=cats)))
    assert batches.shape == (10, 12)
    np.testing.assert_array_equal(np.sort(batches, 0), np.sort(store.view("3", rows=cats), 0))
    with pytest.raises(CodeclensError, match='no class "catt"; the nearest names are "cat"'):
        store.rows(label="catt")


def test_what_does_not_fit_into_memory_is_refused(
    store: ContributionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codeclens.extraction.store.free_memory", lambda: 2000)
    words = r"48 samples × 12 columns take 2.3 kB, but 2 kB of memory are free; read fewer rows"
    with pytest.raises(CodeclensError, match=words):
        store.view("3")
    assert store.view("3", rows=slice(40)).shape == (40, 12)
    assert len(list(store.batches("3", batch=16))) == 3


def test_verify_finds_what_was_damaged(store: ContributionStore) -> None:
    assert store.verify() == {}
    changed = store.path / "sites" / "1" / "positive" / "c" / "0" / "0"
    content = bytearray(changed.read_bytes())
    content[5] ^= 1
    changed.write_bytes(content)
    (store.path / "label" / "c" / "2").unlink()
    record = store.path / "shard_record" / "c" / "3"
    record.write_bytes(record.read_bytes()[:50])
    assert store.verify() == {
        0: ["sites/1/positive/c/0/0"],
        2: ["label/c/2"],
        3: ["shard_record/c/3"],
    }


def test_damage_is_a_table(store: ContributionStore) -> None:
    assert repr(store.verify()) == "Damaged files: 0"
    (store.path / "label" / "c" / "2").unlink()
    (store.path / "site" / "c" / "0").unlink()
    found = store.verify()
    assert found["metadata"] == ["site/c/0"]
    assert found.to_dataframe().to_dict("list") == {
        "part": ["2", "metadata"],
        "file": ["label/c/2", "site/c/0"],
    }
    assert found.to_xarray()["file"].values.tolist() == ["label/c/2", "site/c/0"]
    assert "Damaged files: 2" in repr(found)
    assert "<td>site/c/0</td>" in found._repr_html_()


def test_a_lost_file_is_not_read_as_something_else(store: ContributionStore) -> None:
    again = ContributionStore(store.path)
    (store.path / "label" / "c" / "2").unlink()
    with pytest.raises(CodeclensError, match=r"label/c/2.* is missing or truncated"):
        _ = again.label
    file = store.path / "target" / "c" / "1"
    file.write_bytes(file.read_bytes()[:7])
    with pytest.raises(CodeclensError, match=r'"target" .* is missing or truncated'):
        _ = again.target


def test_bad_input_is_reported(store: ContributionStore, tmp_path: Path) -> None:
    with pytest.raises(CodeclensError, match=r"There is no store of contributions at .*missing"):
        ContributionStore(tmp_path / "missing")
    with pytest.raises(CodeclensError, match=r'no site "layer1"; the nearest names are "1", "3"'):
        store.view("layer1")
    with pytest.raises(CodeclensError, match="no site"):
        store.units("layer1")
    with pytest.raises(CodeclensError, match='no view "net"; the nearest names are '):
        store.view("1", "net")
    with pytest.raises(CodeclensError, match=r"batch \(=0\) must be a whole number"):
        store.batches("1", batch=0)


def test_the_record_of_a_shard_is_readable_by_zarr(store: ContributionStore) -> None:
    records = xr.open_zarr(store.path)["shard_record"].values
    record = json.loads(str(records[2]))
    assert record["made_by"]["batch_size"] == 5
    assert record["made_by"]["device"] == "cpu"
    assert record["files"]["sites/1/positive/c/2/0"]["bytes"] == 16 * 4 * 4 + 16 + 4
