"""Methods side by side: figures, verdicts in words, and what cannot be compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import codeclens as cl
from codeclens.decomposition import (
    NMF,
    PCA,
    Comparison,
    KMeans,
    ReLUSAE,
    ThresholdSAE,
    TopK,
    compare,
    default_methods,
)
from codeclens.decomposition.comparison import BestPair
from codeclens.decomposition.stability import matched
from codeclens.errors import CodeclensError

METHODS = (TopK(n_modes=6, k=2, epochs=10), PCA(n_modes=2), KMeans(n_modes=6))


@pytest.fixture
def found(store: Any) -> Comparison:
    return compare(store, METHODS, sites="layer1.*", seeds=[0, 1])


@pytest.fixture(scope="module")
def real(tmp_path_factory: Any) -> cl.ContributionStore:
    """A store of a network whose hidden layer is a cut."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    images = torch.randn(120, 4, generator=torch.Generator().manual_seed(0))
    to: Path = tmp_path_factory.mktemp("compared") / "contributions.zarr"
    return cl.extract(model, images, sites="1", to=to)


def test_one_entry_for_each_site_and_method(found: Comparison) -> None:
    assert [(one.site, one.method) for one in found.scores] == [
        (site, method) for site in ("layer1.0", "layer1.1") for method in METHODS
    ]
    assert [one.is_classical for one in found.at("layer1.0")] == [False, True, True]


def test_figures_are_those_of_the_fits(found: Comparison, store: Any) -> None:
    X = store.view("layer1.1", "concat")
    one = found.at("layer1.1")[0]
    fits = [METHODS[0].fit(X, seed=seed) for seed in (0, 1)]
    assert one.r2 == pytest.approx([fit.r2 for fit in fits], abs=1e-5)
    assert one.l0 == pytest.approx([fit.l0 for fit in fits])
    assert one.modes.tolist() == [len(fit.dictionary) for fit in fits]
    again = matched(fits[0].dictionary, fits[1].dictionary)
    assert one.stability_seeds == pytest.approx(again.mean)
    np.testing.assert_allclose(one.mode_stability, again.cosine)
    assert 0 < one.stability_halves <= 1
    assert np.isnan(one.target_r2).all()  # this store knows no target
    row = found.to_dataframe().iloc[3]
    assert (row["site"], row["seeds"]) == ("layer1.1", 2)
    assert row["r2_low"] <= row["r2"] <= row["r2_high"]


def test_what_is_left_of_the_target(real: cl.ContributionStore) -> None:
    methods = [PCA(n_modes=m) for m in (1, 12)]
    few, all_of_them = compare(real, methods, seeds=[0], halves=False).scores
    assert all_of_them.target_r2[0] == pytest.approx(1, abs=1e-4)
    assert all_of_them.target_error[0] < 1e-3
    assert few.target_r2[0] < 0.99
    rows = PCA(n_modes=1).fit(real.view("1"), seed=0)
    made = rows.decode(rows.encode(real.view("1")))[rows.held_out_rows]
    change = (real.target - real.baseline_target)[rows.held_out_rows]
    total = made[:, :6].sum(axis=1) - made[:, 6:].sum(axis=1)
    expected = np.median(np.abs(total - change) / np.abs(change))
    assert few.target_error[0] == pytest.approx(expected, rel=1e-4)
    assert np.isnan(few.stability_halves)
    assert np.isnan(few.stability_seeds)
    activation = compare(real, methods[:1], view="activation", seeds=[0], halves=False)
    assert np.isnan(activation.scores[0].target_r2[0])


def test_default_methods_are_matched() -> None:
    kinds = {type(one).__name__: one for one in default_methods(1000, 32, 64, expansion=2, k=8)}
    assert len(kinds) == 12
    assert kinds["TopK"].n_modes == kinds["KMeans"].n_modes == 64
    assert kinds["PCA"].n_modes == kinds["NMF"].n_modes == 8
    few = {type(one).__name__: one for one in default_methods(20, 32, 64)}
    assert few["TopK"].n_modes == 17  # no more than samples to learn from
    assert default_methods(1000, 2, 4)[0].n_modes == 6


def test_nmf_is_left_out_where_it_cannot(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codeclens.decomposition.autoencoders.base._EPOCHS", (1, 3))
    progress: list[tuple[int, int, str]] = []
    found = compare(
        store, sites="layer1.0", view="sum", seeds=[0], halves=False, k=2,
        progress=lambda *told: progress.append(told),
    )  # fmt: skip
    assert not any(isinstance(one.method, NMF) for one in found.scores)
    assert [told[0] for told in progress] == list(range(1, 12))
    assert progress[-1][1] == 11


def scores_of(r2: dict[str, list[float]]) -> list[Any]:
    """Entries that differ in their R² alone."""
    kinds = {"TopK": TopK(n_modes=9, k=3), "PCA": PCA(n_modes=3), "ReLUSAE": ReLUSAE(n_modes=9)}
    from codeclens.decomposition.comparison import MethodScores

    entries = []
    for name, values in r2.items():
        figures = {
            key: np.zeros(len(values))
            for key in ("modes", "dead", "dense", "redundancy", "target_r2", "seconds")
        }
        entries.append(
            MethodScores(
                site="s", method=kinds[name], seeds=tuple(range(len(values))),
                r2=np.array(values), l0=np.full(len(values), 3.0),
                target_error=np.zeros(len(values)), stability_seeds=1.0, stability_halves=1.0,
                mode_stability=np.ones(3), **figures,
            )
        )  # fmt: skip
    return entries


def test_sentences_follow_the_numbers() -> None:
    better = BestPair.of(scores_of({"TopK": [0.9, 0.91, 0.92], "PCA": [0.8, 0.81, 0.825]}))
    assert better.gain == pytest.approx(0.0983, abs=1e-3)
    assert 0.08 < better.low < better.gain < better.high
    assert not better.as_good
    assert "; the autoencoder is better." in better.sentence()
    unsure = BestPair.of(scores_of({"TopK": [0.9, 0.7, 0.92], "PCA": [0.8, 0.81, 0.82]}))
    assert not unsure.as_good
    assert not unsure.better
    assert "; 3 seeds do not decide whether the classical method is as good." in unsure.sentence()
    small = BestPair.of(scores_of({"TopK": [0.9, 0.9], "PCA": [0.895, 0.895]}))
    assert small.as_good
    assert "; the classical method is as good." in small.sentence()
    one = BestPair.of(scores_of({"TopK": [0.9], "PCA": [0.5]}))
    assert not one.as_good
    assert "(a single seed, so no interval)" in one.sentence()
    assert "no classical method" in BestPair.of(scores_of({"TopK": [0.9]})).sentence()
    assert "no autoencoder" in BestPair.of(scores_of({"PCA": [0.9]})).sentence()


def test_a_denser_classical_method_does_not_count() -> None:
    entries = scores_of({"TopK": [0.9], "PCA": [0.95]})
    entries[1] = replace(entries[1], l0=np.array([9.0]))
    assert BestPair.of(entries).classical is None


def test_the_table_for_people(found: Comparison) -> None:
    text = repr(found)
    assert text.splitlines()[0] == "3 methods at 2 sites, means over 2 seeds"
    assert len(text.splitlines()) == 8
    assert f"{found.scores[0].r2.mean():.3f}" in text
    assert "–" in text  # what is not known
    assert found._repr_html_().count("<tr") == 7
    assert [line.partition(":")[0] for line in found.sentences()] == ["layer1.0", "layer1.1"]


def test_the_figures_as_a_data_set(found: Comparison) -> None:
    data = found.to_xarray()
    assert dict(data.sizes) == {"entry": 6, "seed": 2, "mode": data.sizes["mode"]}
    assert data.site.values.tolist() == ["layer1.0"] * 3 + ["layer1.1"] * 3
    for number, one in enumerate(found.scores):
        np.testing.assert_array_equal(data.r2[number], one.r2)
        np.testing.assert_array_equal(
            data.mode_stability[number, : len(one.mode_stability)], one.mode_stability
        )
    rows = found.to_dataframe()
    assert len(rows) == 6
    np.testing.assert_allclose(rows["r2"], data.r2.mean("seed"))
    assert Comparison(()).sites() == []


def test_what_cannot_be_compared(store: Any) -> None:
    with pytest.raises(CodeclensError, match="No seeds were given"):
        compare(store, seeds=[])
    with pytest.raises(CodeclensError, match='no site "layer9"'):
        compare(store, METHODS, sites="layer9")
    with pytest.raises(CodeclensError, match='no view "both"'):
        compare(store, METHODS, view="both")  # type: ignore[arg-type]
    with pytest.raises(CodeclensError, match=r'Site "layer1\.0": 200 modes are more than KMeans'):
        compare(store, [KMeans(n_modes=200)], sites="layer1.0", seeds=[0])


def test_a_default_method_without_modes_is_skipped_with_a_note(store: Any) -> None:
    """300 epochs of three batches are too few for any code to reach the published threshold."""
    kinds = [ThresholdSAE, PCA]
    found = compare(store, sites="layer1.0", seeds=[0], halves=False, k=2, kinds=kinds)
    assert [type(one.method) for one in found.scores] == [PCA]
    (reason,) = found.failed
    assert 'Site "layer1.0": None of the 18 modes reaches the threshold' in reason
    assert "; left out: 1" in repr(found)
    with pytest.raises(CodeclensError, match="None of the 18 modes reaches the threshold"):
        compare(store, sites="layer1.0", seeds=[0], halves=False, kinds=[ThresholdSAE])
    with pytest.raises(CodeclensError, match="None of the 18 modes reaches the threshold"):
        compare(store, [ThresholdSAE(n_modes=18), PCA(n_modes=2)], sites="layer1.0", seeds=[0])
