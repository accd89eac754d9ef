"""From a store to the modes of every site."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from codeclens.decomposition import PCA, Epoch, Modes, TopK, decompose, quality
from codeclens.decomposition.stability import halves, matched
from codeclens.errors import CodeclensError
from codeclens.extraction import extract

METHOD = TopK(n_modes=6, k=2, epochs=40)


def test_every_site_of_a_store(store: Any) -> None:
    modes = decompose(store, METHOD)
    assert list(modes) == store.sites
    for site, found in modes.items():
        assert found.site == site
        assert found.view == "concat"
        assert found.n_units == 6
        assert found.loadings.shape == (90, len(found))
        assert np.array_equal(found.loadings, found.encode(store.view(site, "concat")))
        assert np.array_equal(found.labels, store.label)
        assert np.array_equal(found.keys, store.key)
        assert found.classes == ("cat", "dog", "espresso")
        assert set(found.for_class("dog").top_units(count=2)) <= {2, 3, 4, 5}
        assert found.for_class("dog").best_class[0] == "dog"


def test_the_method_that_was_passed_stays_unfitted(store: Any) -> None:
    modes = decompose(store, METHOD, sites="layer1.*")
    first, second = modes.values()
    assert first.method == second.method == METHOD
    assert first.fitted is not second.fitted


def test_a_site_is_what_its_own_fit_gives(store: Any) -> None:
    found = decompose(store, TopK(expansion=3, k=2, epochs=4), sites="layer1.1", seed=3)["layer1.1"]
    X = store.view("layer1.1", "concat")
    alone = TopK(n_modes=18, k=2, epochs=4).fit(X, seed=3)
    assert np.array_equal(found.dictionary, alone.dictionary)


@pytest.mark.parametrize("view", ["concat", "sum", "positive", "negative", "activation"])
def test_every_view_gives_signed_modes(store: Any, view: Any) -> None:
    modes = decompose(store, METHOD, sites="layer1.0", view=view)["layer1.0"]
    mode = modes[0]
    assert mode.positive.shape == mode.negative.shape == (6,)
    assert mode.positive.min() >= 0
    assert mode.negative.max() <= 0
    excites, suppresses = mode.positive.max() > 0.1, mode.negative.min() < -0.1
    expected = {
        "concat": (True, True),
        "sum": (True, True),
        "positive": (True, False),
        "negative": (False, True),
        "activation": (True, False),
    }[view]
    assert (excites, suppresses) == expected
    # All views tell of the same two classes of units: the net reconstruction is the contribution.
    net = modes.loadings @ modes.weights
    assert quality.r2(truth(store, view), net) > 0.8


def truth(store: Any, view: str) -> np.ndarray[Any, Any]:
    return np.asarray(store.view("layer1.0", "sum" if view == "concat" else view))


def test_quality_is_measured_on_held_out_samples(store: Any) -> None:
    found = decompose(store, METHOD, sites="layer1.0")["layer1.0"]
    X = store.view("layer1.0", "concat")
    rows = found.fitted.held_out_rows
    reconstruction = found.decode(found.loadings)
    told = found.quality
    assert found.r2 == told["r2"] == pytest.approx(quality.r2(X[rows], reconstruction[rows]))
    rest = np.delete(np.arange(90), rows)
    assert told["r2_train"] == pytest.approx(quality.r2(X[rest], reconstruction[rest]))
    assert told["l0"] == found.l0 == quality.l0(found.loadings[rows])
    assert (told["samples_train"], told["samples_held_out"]) == (81, 9)
    assert told["modes_dropped"] == 6 - len(found)
    assert told["units_constant"] == 0
    per_unit = quality.r2_per_unit(X[rows], reconstruction[rows])
    np.testing.assert_allclose(told["r2_per_unit"], per_unit)
    assert told["mode_sparsity"].shape == (len(found),)


def test_provenance_records_the_source_of_modes(store: Any, tmp_path: Any) -> None:
    found = decompose(store, METHOD, sites="layer1.0", seed=11)["layer1.0"]
    assert found.provenance["seed"] == 11
    assert found.provenance["contributions"] == store.metadata
    assert found.provenance["codeclens"]
    back = Modes.load(found.save(tmp_path / "m"))
    assert back.provenance == found.provenance
    assert np.array_equal(back.keys, store.key)


def test_the_same_seed_gives_the_same_modes(store: Any) -> None:
    before = torch.get_rng_state()
    first, again, other = (decompose(store, METHOD, sites="layer1.0", seed=s) for s in (1, 1, 2))
    assert np.array_equal(first["layer1.0"].loadings, again["layer1.0"].loadings)
    assert not np.array_equal(first["layer1.0"].loadings, other["layer1.0"].loadings)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("sites", "expected"),
    [
        (None, ["layer1.0", "layer1.1", "h.0[1]"]),
        ("layer1.*", ["layer1.0", "layer1.1"]),
        ("h.0[1]", ["h.0[1]"]),
        ("h.*[1]", ["h.0[1]"]),
        (["h.0[1]", "layer1.0"], ["layer1.0", "h.0[1]"]),
        (["*", "layer1.0"], ["layer1.0", "layer1.1", "h.0[1]"]),
        ([], []),
    ],
)
def test_sites_by_name_and_glob(store: Any, sites: Any, expected: list[str]) -> None:
    assert list(decompose(store, replace(METHOD, epochs=1), sites=sites)) == expected


def test_progress_names_the_site(store: Any) -> None:
    told: list[tuple[str, Epoch]] = []
    decompose(store, replace(METHOD, epochs=3), progress=lambda site, e: told.append((site, e)))
    assert sorted(site for site, _ in told) == sorted(3 * store.sites)
    for site in store.sites:
        assert [e.epoch for at, e in told if at == site] == [1, 2, 3]


def test_a_store_without_labels_or_class_names(store: Any) -> None:
    store.classes = None
    found = decompose(store, METHOD, sites="layer1.0")["layer1.0"]
    assert found.classes is None
    assert found.for_class(1).index >= 0


def test_it_is_logged(store: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="codeclens"):
        decompose(store, replace(METHOD, epochs=1), sites="layer1.0")
    assert "layer1.0: " in caplog.text


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"sites": "layer1.7"}, 'no site "layer1.7"; the nearest names are "layer1'),
        ({"view": "both"}, 'no view "both"'),
        ({"method": TopK(expansion=1)}, r'Site "layer1.0": k \(=16\) must not exceed .* \(=6\)'),
        ({"method": TopK(n_modes=85, k=2)}, r'Site "layer1.0": 90 samples \(81 of them'),
    ],
)
def test_what_cannot_be_decomposed(store: Any, asked: dict[str, Any], said: str) -> None:
    given = {"method": METHOD} | asked
    with pytest.raises(CodeclensError, match=said):
        decompose(store, given.pop("method"), **given)


def test_a_bad_site_is_named(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = np.zeros((90, 12), dtype=np.float32)
    monkeypatch.setattr(store, "view", lambda site, view: bad)
    with pytest.raises(CodeclensError, match=r'Site "layer1\.0": All 90 × 12 values are zero'):
        decompose(store, METHOD)
    bad[4, 7] = np.nan
    with pytest.raises(CodeclensError, match=r'Site "layer1\.0": .* row 4, column 7'):
        decompose(store, METHOD)


def test_sites_too_small_for_k_are_found_before_anything_is_fitted(store: Any) -> None:
    class Growing(type(store)):  # type: ignore[misc]
        def units(self, site: str) -> int:
            return 6 if site == "layer1.0" else 1

    told: list[str] = []
    with pytest.raises(CodeclensError, match=r'Site "layer1\.1": k \(=4\)'):
        decompose(Growing(), TopK(expansion=3, k=4), progress=lambda site, _: told.append(site))
    assert told == []


def test_sites_with_too_few_samples_are_found_before_anything_is_fitted(store: Any) -> None:
    class Growing(type(store)):  # type: ignore[misc]
        def units(self, site: str) -> int:
            return 6 if site == "layer1.0" else 40

    told: list[str] = []
    sentence = r'Site "layer1\.1": 90 samples \(81 of them to train on\) are too few for 120 modes'
    with pytest.raises(CodeclensError, match=sentence):
        decompose(Growing(), TopK(expansion=3, k=2), progress=lambda site, _: told.append(site))
    assert told == [], "the first site would have been trained for nothing"


def test_every_mode_reports_its_stability(store: Any) -> None:
    site = store.sites[0]
    found = decompose(store, METHOD, sites=site, seed=[0, 1, 2], halves=True)[site]
    X = store.view(site, "concat")
    for seed, modes in found.items():
        others = [found[other].dictionary for other in found if other != seed]
        seeds = np.mean(
            [np.nan_to_num(matched(modes.dictionary, D).cosine) for D in others], axis=0
        )
        np.testing.assert_allclose(modes.quality["stability_seeds"], seeds)
        fits = [METHOD.fit(X[rows], seed=seed, n_units=6) for rows in halves(90, seed)]
        parts = [np.nan_to_num(matched(modes.dictionary, fit.dictionary).cosine) for fit in fits]
        np.testing.assert_allclose(
            modes.quality["stability_halves"], np.mean(parts, axis=0), atol=1e-3
        )
        np.testing.assert_allclose(
            modes.stability, np.fmin(seeds, modes.quality["stability_halves"])
        )
        assert [mode.stability for mode in modes] == modes.stability.tolist()
        ranked = [mode.stability for mode in modes.sorted("stability")]
        assert ranked == sorted(ranked, reverse=True)
        assert "Reproducible (cosine of" in repr(modes)
        assert 0 < modes.quality["stability_chance"] < 1
    alone = decompose(store, METHOD, sites=site)[site]
    assert np.isnan(alone.stability).all()
    assert "Reproducible" not in repr(alone)


def test_stability_of_a_stored_site(tmp_path: Any) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    images = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    stored = extract(model, images, sites="1", to=tmp_path / "c.zarr")
    method = TopK(n_modes=8, k=2, epochs=3)
    found = decompose(stored, method, halves=True, in_memory=False)["1"]
    assert found.stability.shape == (len(found),)
    assert np.isfinite(found.stability).all()


def test_halves_that_are_too_few(store: Any) -> None:
    with pytest.raises(
        CodeclensError, match=r'Site "layer1.0": 45 samples .* too few for 60 modes'
    ):
        decompose(store, TopK(n_modes=60, k=2), halves=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_site_that_cannot_be_decomposed_does_not_cost_the_others(
    store: Any, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    sites, view = store.sites, store.view

    def broken(site: str, which: Any) -> Any:
        return view(site, which) * (np.nan if site == sites[0] else 1)

    monkeypatch.setattr(store, "view", broken)
    with pytest.warns(UserWarning, match=rf'1 site of {len(sites)} could not .* Site "{sites[0]}"'):
        found = decompose(store, PCA(n_modes=2), seed=[0, 1], workers=workers)
    assert list(found) == sites[1:]
    alone = decompose(store, PCA(n_modes=2), sites=sites[1], seed=1)[sites[1]]
    np.testing.assert_array_equal(found[sites[1]][1].dictionary, alone.dictionary)
    with pytest.raises(CodeclensError, match=f'Site "{sites[0]}"'):
        decompose(store, PCA(n_modes=2), sites=sites[0])
