"""Modes on disk: nothing is lost, nothing broken is believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from codeclens.decomposition import (
    NMF,
    Estimator,
    Modes,
    ThresholdSAE,
    TopK,
    load_modes,
    save_modes,
)
from codeclens.errors import CodeclensError

Make = Callable[..., Modes]


@pytest.fixture(scope="module")
def modes(make_modes: Make) -> Modes:
    return make_modes()


def same(a: Modes, b: Modes) -> None:
    X = np.random.default_rng(5).random((50, 8)).astype(np.float32)
    for name in ("dictionary", "loadings", "labels", "keys", "positive", "negative"):
        one, other = getattr(a, name), getattr(b, name)
        assert one.dtype == other.dtype, name
        assert np.array_equal(one, other), name
    assert np.array_equal(a.encode(X), b.encode(X))
    for name in ("site", "view", "classes", "provenance", "method"):
        assert getattr(a, name) == getattr(b, name), name
    assert a.quality.keys() == b.quality.keys()
    for name, value in a.quality.items():
        np.testing.assert_array_equal(value, b.quality[name])


def test_what_was_saved_comes_back_to_the_bit(modes: Modes, tmp_path: Path) -> None:
    file = modes.save(tmp_path / "deep" / "layer3.5")
    assert file == tmp_path / "deep" / "layer3.5.safetensors"
    assert sorted(p.name for p in file.parent.iterdir()) == [
        "layer3.5.json",
        "layer3.5.safetensors",
    ]
    for path in (tmp_path / "deep" / "layer3.5", str(file), file.with_suffix(".json")):
        same(modes, Modes.load(path))
    back = Modes.load(file)
    assert back.fitted.history == modes.fitted.history  # type: ignore[attr-defined]
    assert back.r2 == modes.r2
    assert back.for_class("cat").index == modes.for_class("cat").index


@pytest.mark.parametrize("method", [TopK(n_modes=10, k=3, epochs=2), NMF(n_modes=4)])
def test_compact_files_are_half_as_large_and_round_once(
    make_modes: Make, tmp_path: Path, method: Estimator
) -> None:
    X = np.random.default_rng(0).gamma(0.5, size=(400, 8)).astype(np.float32)
    fitted = method.fit(X)
    labels, keys = np.arange(400) % 3, np.array([f"image {row}" for row in range(400)])
    modes = make_modes(fitted=fitted, loadings=fitted.encode(X), labels=labels, keys=keys)
    whole = modes.save(tmp_path / "whole")
    small = modes.save(tmp_path / "small", compact=True)
    back = Modes.load(small)
    text = len("\0".join(keys))
    assert small.stat().st_size - text < 0.6 * (whole.stat().st_size - text)
    for name in ("dictionary", "loadings", "positive", "negative"):
        found, exact = np.asarray(getattr(back, name)), np.asarray(getattr(modes, name))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, exact, rtol=1e-3, atol=1e-3 * np.abs(exact).max())
    assert back.labels is not None
    assert back.labels.dtype == np.int64
    np.testing.assert_array_equal(back.labels, labels)
    np.testing.assert_array_equal(back.keys, keys)
    # Written again, they stay what they are.
    same(back, Modes.load(back.save(tmp_path / "again", compact=True)))


def test_numbers_too_large_for_half_precision_are_kept_whole(
    make_modes: Make, tmp_path: Path
) -> None:
    X = np.random.default_rng(0).gamma(0.5, size=(60, 8)).astype(np.float32) * 1e6
    fitted = NMF(n_modes=3).fit(X)
    modes = make_modes(fitted=fitted, loadings=fitted.encode(X))
    back = Modes.load(modes.save(tmp_path / "large", compact=True))
    assert np.isfinite(np.asarray(back.loadings)).all()
    np.testing.assert_allclose(back.dictionary, modes.dictionary, rtol=1e-3, atol=1e-3)


def test_the_reference_autoencoder_comes_back_too(make_modes: Make, tmp_path: Path) -> None:
    X = np.random.default_rng(0).gamma(0.5, size=(60, 8)).astype(np.float32)
    fitted = ThresholdSAE(
        n_modes=10, threshold=0.5, learning_rate=1e-2, epochs=5, hidden=3, non_negative=True
    ).fit(X)
    modes = make_modes(fitted=fitted, loadings=fitted.encode(X))
    same(modes, Modes.load(modes.save(tmp_path / "reference")))


def test_what_is_missing_stays_missing(make_modes: Make, tmp_path: Path) -> None:
    bare = make_modes(labels=None, classes=None, keys=None, quality={"r2": float("nan")})
    back = Modes.load(bare.save(tmp_path / "bare"))
    assert (back.labels, back.classes, back.keys) == (None, None, None)
    assert np.isnan(back.quality["r2"])


def test_others_can_read_the_files(modes: Modes, tmp_path: Path) -> None:
    file = modes.save(tmp_path / "layer3.5")
    arrays = load_file(file)
    assert np.array_equal(arrays["dictionary"], modes.dictionary)
    assert np.array_equal(arrays["loadings"], modes.loadings)
    facts = json.loads((tmp_path / "layer3.5.json").read_text())
    assert (facts["site"], facts["view"]) == ("layer3.5", "concat")
    assert (facts["samples"], facts["modes"], facts["units"]) == (60, len(modes), 4)
    assert facts["method"]["name"] == "TopK"
    assert facts["method"]["config"]["k"] == 2
    assert facts["provenance"] == {"seed": 0, "contributions": {"steps": 10}}


def test_saving_again_replaces(modes: Modes, make_modes: Make, tmp_path: Path) -> None:
    modes.save(tmp_path / "m")
    make_modes(site="other").save(tmp_path / "m")
    assert Modes.load(tmp_path / "m").site == "other"


def test_what_json_cannot_hold_is_refused_before_anything_is_written(
    make_modes: Make, tmp_path: Path
) -> None:
    for provenance in ({"model": object()}, {"gap": float("inf")}):
        with pytest.raises(CodeclensError, match=r'/m" would hold, with modes, something that'):
            make_modes(provenance=provenance).save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def edit(path: Path, **changed: Any) -> None:
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | changed))


def test_files_that_cannot_be_believed(modes: Modes, tmp_path: Path) -> None:
    def load() -> None:
        Modes.load(tmp_path / "m")

    with pytest.raises(CodeclensError, match=r'There is no ".*m\.json" that describes modes'):
        load()
    file = modes.save(tmp_path / "m")
    packed = bytearray(file.read_bytes())
    packed[-1] ^= 1
    file.write_bytes(packed)
    with pytest.raises(CodeclensError, match=r"m\.safetensors\" is damaged, or was not written"):
        load()
    file.unlink()
    with pytest.raises(CodeclensError, match=r"m\.safetensors\" is missing"):
        load()
    facts = tmp_path / "m.json"
    for changed, said in (
        ({"version": 99}, "of version 99, and this codeclens reads version 2"),
        ({"format": "recipes"}, "does not describe modes"),
        ({"method": {"name": "Magic", "config": {}, "fitted": {}}}, 'no method "Magic"'),
        (
            {"method": {"name": "TopK", "config": {"kay": 1}, "fitted": {}}},
            r"not describe modes \(.*kay",
        ),
        ({"method": None}, "does not describe modes"),
    ):
        modes.save(tmp_path / "m")
        edit(facts, **changed)
        with pytest.raises(CodeclensError, match=said):
            load()
    facts.write_text("{")
    with pytest.raises(CodeclensError, match=r"m\.json\" cannot be read as JSON"):
        load()


def test_an_encoder_of_another_shape_is_refused(modes: Modes, tmp_path: Path) -> None:
    modes.save(tmp_path / "m")
    described = json.loads((tmp_path / "m.json").read_text())["method"]
    described["fitted"]["n_features"] = 6
    edit(tmp_path / "m.json", method=described)
    with pytest.raises(CodeclensError, match=r"does not describe modes \(.*size mismatch"):
        Modes.load(tmp_path / "m")


def test_many_sites_keep_their_order_and_names(make_modes: Make, tmp_path: Path) -> None:
    sites = ["stem", "blocks.10", "blocks.9", "h.0[1]", "fc2:input", "relu#1", "a/b"]
    many = {site: make_modes(site=site) for site in sites}
    folder = save_modes(many, tmp_path / "all")
    assert all(path.parent == folder for path in folder.rglob("*"))
    back = load_modes(folder)
    assert list(back) == sites
    for site in sites:
        same(many[site], back[site])
    with pytest.raises(CodeclensError, match="There are no modes in the folder"):
        load_modes(tmp_path)


def test_a_folder_of_several_sites_explains_how_to_load_it(
    make_modes: Make, tmp_path: Path
) -> None:
    folder = save_modes({"a": make_modes(site="a")}, tmp_path / "all")
    with pytest.raises(CodeclensError, match=r"read them by load_modes\(folder\)"):
        Modes.load(folder)
