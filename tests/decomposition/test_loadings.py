from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scipy.sparse import csr_array

from codeclens import CodeclensError
from codeclens.decomposition import NMF, PCA, Loadings, Modes, quality
from codeclens.files import write_whole

DENSE = np.random.default_rng(0).gamma(1.0, size=(40, 7)).astype(np.float32)
THIN = DENSE * (np.random.default_rng(1).random(DENSE.shape) < 0.2)


@pytest.fixture(params=["sparse", "dense"])
def pair(request: pytest.FixtureRequest) -> tuple[Loadings, np.ndarray]:
    """Return loadings and the same as a dense array."""
    values = THIN if request.param == "sparse" else DENSE
    loadings = Loadings.of(values)
    assert loadings.is_sparse == (request.param == "sparse")
    return loadings, values


@pytest.mark.parametrize(
    "key",
    [
        3,
        -1,
        slice(5, 9),
        [4, 2, 2],
        [],
        np.arange(40) % 3 == 0,
        (slice(None), 2),
        (slice(None), -1),
        (7, 2),
        ([1, 5], 0),
        (slice(None), slice(1, 4)),
        (slice(None), [3, 0]),
        ([1, 2], slice(2, 5)),
        ([1, 2, 3], [4, 5, 6]),
        (2, slice(0, 3)),
    ],
    ids=str,
)
def test_an_index_gives_the_dense_entries(pair: tuple[Loadings, np.ndarray], key: Any) -> None:
    loadings, values = pair
    expected = values[key]
    found = loadings[key]
    assert isinstance(found, np.ndarray | np.floating)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_numpy_reads_them_as_an_array(pair: tuple[Loadings, np.ndarray]) -> None:
    loadings, values = pair
    np.testing.assert_array_equal(np.asarray(loadings), values)
    np.testing.assert_array_equal(np.asarray(loadings, np.float64), values)
    np.testing.assert_array_equal(loadings > 0, values > 0)
    np.testing.assert_array_equal(2 * loadings, 2 * values)
    np.testing.assert_allclose(loadings @ np.ones(7), values.sum(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(np.max(loadings, axis=0), values.max(axis=0))
    assert (loadings.shape, len(loadings), loadings.size, loadings.ndim) == ((40, 7), 40, 280, 2)
    np.array(loadings)[:] = 0
    assert np.asarray(loadings).any(), "a copy is a copy"


def test_sums_and_counts(pair: tuple[Loadings, np.ndarray]) -> None:
    loadings, values = pair
    weight = np.linspace(-1, 1, 40)
    np.testing.assert_allclose(loadings.sums(), values.sum(axis=0), rtol=1e-6)
    np.testing.assert_allclose(loadings.sums(weight), weight @ values, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(loadings.per_mode(), (values > 0).sum(axis=0))
    np.testing.assert_array_equal(loadings.per_sample(), (values > 0).sum(axis=1))
    np.testing.assert_array_equal(np.concatenate([b for _, b in loadings.blocks(7)]), values)
    for mode in range(7):
        rows, active = loadings.active(mode)
        np.testing.assert_array_equal(rows, np.flatnonzero(values[:, mode]))
        np.testing.assert_array_equal(active, values[rows, mode])


def test_quality_is_that_of_the_dense_array(pair: tuple[Loadings, np.ndarray]) -> None:
    loadings, values = pair
    labels = np.arange(40) % 4 - 1
    D = np.random.default_rng(2).random((7, 5))
    assert quality.l0(loadings) == quality.l0(values)
    for measure in (quality.firing_rate, quality.dead_modes, quality.dense_modes):
        np.testing.assert_array_equal(measure(loadings), measure(values))
    np.testing.assert_allclose(
        quality.loading_share(loadings, D), quality.loading_share(values, D), rtol=1e-6
    )
    np.testing.assert_array_equal(
        quality.indicator_correlation(loadings, labels, 3),
        quality.indicator_correlation(values, labels, 3),
    )


def test_magnitudes_of_signed_loadings() -> None:
    signed = THIN * np.where(np.arange(40) % 2, -1, 1)[:, None]
    found = Loadings.of(signed).sums(magnitudes=True)
    np.testing.assert_allclose(found, THIN.sum(axis=0), rtol=1e-6)


def test_they_are_made_from_parts_and_sparse_arrays() -> None:
    parts = Loadings.stacked((THIN[i : i + 9] for i in range(0, 40, 9)), 7)
    np.testing.assert_array_equal(parts, THIN)
    np.testing.assert_array_equal(Loadings.of(csr_array(THIN)), THIN)
    assert Loadings.of(parts) is parts
    assert Loadings.stacked([], 7).shape == (0, 7)
    assert parts.nbytes < THIN.nbytes
    with pytest.raises(CodeclensError, match=r"loadings"):
        Loadings.of(np.ones(3))
    with pytest.raises(IndexError, match="no mode 7"):
        parts[:, 7]


def modes_of(method: Any, thin: bool = True) -> Modes:
    X = np.random.default_rng(3).gamma(0.3, size=(40, 5))
    fitted = method.fit(X)
    Z = np.asarray(fitted.encode(X))
    Z = Z * (THIN[:, : Z.shape[1]] > 0) if thin else Z
    return Modes("a", "positive", fitted, Z.astype(np.float32))


def test_files_hold_the_parts_of_sparse_loadings(tmp_path: Path) -> None:
    modes = modes_of(NMF(n_modes=5))
    assert modes.loadings.is_sparse
    with safe_open(modes.save(tmp_path / "a"), "pt") as file:
        names = {name for name in file.keys() if name.startswith("loadings")}  # noqa: SIM118
    assert names == {"loadings.values", "loadings.modes", "loadings.ends"}
    again = Modes.load(tmp_path / "a")
    assert again.loadings.is_sparse
    np.testing.assert_array_equal(again.loadings, modes.loadings)


def test_dense_loadings_are_written_as_they_are(tmp_path: Path) -> None:
    modes = modes_of(PCA(n_modes=3), thin=False)
    assert not modes.loadings.is_sparse
    assert "loadings" in load_file(modes.save(tmp_path / "a"))
    np.testing.assert_array_equal(Modes.load(tmp_path / "a").loadings, modes.loadings)


def rewritten(place: Path, tensors: dict[str, torch.Tensor], **facts: Any) -> None:
    """Write other tensors and facts into the files of modes."""
    import hashlib

    save_file(tensors, place.with_suffix(".safetensors"))
    packed = place.with_suffix(".safetensors").read_bytes()
    content = json.loads(place.with_suffix(".json").read_text())
    content |= facts | {"sha256": hashlib.sha256(packed).hexdigest()}
    write_whole(place.with_suffix(".json"), json.dumps(content).encode())


def test_files_of_version_1_are_read(tmp_path: Path) -> None:
    modes = modes_of(NMF(n_modes=5))
    tensors = load_file(modes.save(tmp_path / "a"))
    old = {name: value for name, value in tensors.items() if not name.startswith("loadings.")}
    old["loadings"] = torch.from_numpy(np.asarray(modes.loadings))
    rewritten(tmp_path / "a", old, version=1)
    found = Modes.load(tmp_path / "a").loadings
    assert found.is_sparse
    np.testing.assert_array_equal(found, modes.loadings)


def test_parts_that_do_not_match_are_refused(tmp_path: Path) -> None:
    modes = modes_of(NMF(n_modes=5))
    tensors = load_file(modes.save(tmp_path / "a"))
    rewritten(tmp_path / "a", tensors | {"loadings.values": tensors["loadings.values"][:-1]})
    with pytest.raises(CodeclensError, match="does not describe modes"):
        Modes.load(tmp_path / "a")


def test_a_mode_reads_its_own_loadings() -> None:
    modes = modes_of(NMF(n_modes=5))
    for number, mode in enumerate(modes):
        np.testing.assert_array_equal(mode.loadings, np.asarray(modes.loadings)[:, number])


def test_sums_without_any_loading_are_floats() -> None:
    sums = Loadings.of(np.zeros((5, 3), np.float32)).sums()
    assert sums.dtype == np.float64
    assert sums.tolist() == [0.0, 0.0, 0.0]
