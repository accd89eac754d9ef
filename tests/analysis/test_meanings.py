"""Semantics of stores and modes whose meanings are known beforehand."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codeclens import Hierarchy, Modes, semantics
from codeclens.analysis import (
    Semantics,
    class_profile,
    false_discovery,
    p_values,
    permutation_nulls,
    specificity,
)
from codeclens.decomposition import PCA
from codeclens.decomposition.quality import indicator_correlation
from codeclens.errors import CodeclensError

SAMPLES, UNITS = 240, 12
CLASSES = ["beagle, hound", "pug", "cab", "van", "cup"]
TREE = Hierarchy(
    {
        "beagle": ["dog"], "pug": ["dog"], "cab": ["car"], "van": ["car"],
        "dog": ["thing"], "car": ["thing"], "cup": ["thing"],
    }
)  # fmt: skip


class Known:
    """A store in memory: channels follow classes more closely with depth; activations do not."""

    def __init__(self, depth: int = 4, classes: list[str] | None = CLASSES) -> None:
        random = np.random.default_rng(0)
        self.sites = [f"blocks.{i}" for i in range(depth)]
        self.classes = classes
        self.label = np.arange(SAMPLES) % 5
        self.label[::12] = -1
        self.arrays = {}
        wanted = np.arange(UNITS) % 5
        shared = random.exponential(size=(SAMPLES, UNITS))
        for i, site in enumerate(self.sites):
            noise = random.normal(size=(SAMPLES, UNITS))
            follows = (self.label[:, None] == wanted).astype(float)
            self.arrays[site] = {
                "sum": 0.8 * i * follows + noise,
                "activation": shared,
            }

    def __len__(self) -> int:
        return len(self.label)

    def view(self, site: str, view: str) -> np.ndarray:
        return self.arrays[site][view].astype(np.float32)


def modes_of(store: Known, site: str, columns: np.ndarray, view: str = "sum") -> Modes:
    """Modes whose loadings are given."""
    method = PCA(n_modes=columns.shape[1]).fit(store.view(site, "sum"))
    return Modes(site, view, method, columns.astype(np.float32))


def planted(store: Known) -> np.ndarray:
    """Loadings: one class, two classes, a superclass, chance, nothing at all."""
    random = np.random.default_rng(2)
    of = [store.label == c for c in range(5)]
    noise = random.random(SAMPLES)
    return np.stack(
        [of[2] + 0.1 * noise, of[1] + of[4] + 0.1 * noise, of[0] + of[1] + 0.1 * noise, noise,
         np.full(SAMPLES, 0.3)], axis=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def store() -> Known:
    return Known()


@pytest.fixture(scope="module")
def found(store: Known) -> Semantics:
    modes = {site: modes_of(store, site, planted(store)) for site in store.sites}
    return semantics(store, modes, TREE, permutations=199, resamples=200)


def test_numbers_are_those_of_the_arrays(found: Semantics, store: Known) -> None:
    assert list(found) == store.sites
    one = found["blocks.2"]["contributions"]
    values = store.view("blocks.2", "sum")
    correlation = indicator_correlation(values, store.label, 5)
    np.testing.assert_allclose(one.top, correlation.max(axis=1))
    assert one.top_class.tolist() == correlation.argmax(axis=1).tolist()
    assert one.above.tolist() == (correlation > 0.2).sum(axis=1).tolist()
    assert one.covered == (correlation > 0.2).any(axis=0).sum() == 5
    np.testing.assert_allclose(one.spread.median, np.median(one.top))
    for ours, theirs in zip(
        one.specificity, specificity(class_profile(values, store.label, 5)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs)
    assert found.samples == (store.label >= 0).sum()


def test_chance_is_told_from_what_was_planted(found: Semantics) -> None:
    assert found["blocks.3"]["contributions"].significant(0.05) == UNITS
    for site in found:
        assert found[site]["activations"].significant(0.05) <= 1
        assert (found[site]["modes"].q[:3] <= 0.05).all()
        assert found[site]["modes"].q[3] > 0.05
        assert np.isnan(found[site]["modes"].q[4])


def test_superclasses_are_held_against_their_own_chance(found: Semantics, store: Known) -> None:
    members = TREE.among(CLASSES).members
    nulls = permutation_nulls(planted(store), store.label, 5, members=members, n=199)
    one = found["blocks.0"]["modes"]
    expected = false_discovery(p_values(one.superclass_top, nulls.superclasses))
    np.testing.assert_allclose(one.superclass_q, expected)
    assert not np.allclose(one.superclass_q, one.q, equal_nan=True)


def test_modes_get_names(found: Semantics) -> None:
    names = found["blocks.0"]["modes"].names
    assert set(names[1].split(", ")) == {"pug", "cup"}
    assert (names[0], *names[2:]) == (
        "cab", "dog (2 of 2 classes)", "no class beyond chance", "does not vary",
    )  # fmt: skip
    assert found["blocks.0"]["contributions"].names == ()


def test_a_row_for_every_mode(found: Semantics) -> None:
    rows = found.modes_table()
    assert len(rows) == 5 * len(found)
    first, group, empty = rows[0], rows[2], rows[4]
    assert (first["site"], first["mode"], first["name"]) == ("blocks.0", 0, "cab")
    assert first["class"] == "cab"
    assert first["class_correlation"] > 0.9
    assert first["p"] == 1 / 200
    assert group["superclass"] == "dog"
    assert group["superclass_correlation"] > group["class_correlation"]
    assert group["superclass_q"] <= 0.05
    assert empty["class"] == empty["superclass"] == ""
    assert all(list(row) == list(first) for row in rows)
    assert "name" not in found.modes_table("activations")[0]


def test_a_row_for_every_site_and_source(found: Semantics, tmp_path: Path) -> None:
    rows = found.table()
    assert [row["source"] for row in rows[:3]] == ["modes", "contributions", "activations"]
    assert [row["depth"] for row in rows] == [d for d in range(4) for _ in range(3)]
    with found.to_csv(tmp_path / "semantics.csv").open(encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert [row["above"] for row in written] == [str(row["above"]) for row in rows]
    assert float(written[-2]["top_correlation_median"]) == rows[-2]["top_correlation_median"]


def test_trends_rise_where_they_were_planted_to(found: Semantics) -> None:
    assert found.trends["contributions_top_correlation"].direction == "rises"
    assert found.trends["contributions_top_correlation"].rho == 1
    assert found.trends["activations_top_correlation"].direction == "shows no clear trend"
    share = found.trends["contributions_share_above"]
    assert -1 <= share.low <= share.rho <= share.high  # not NaN
    assert share.values.tolist() == [one.count_above / UNITS for one in found.of("contributions")]


def test_sentences_are_computed(found: Semantics) -> None:
    text = "\n".join(found.sentences())
    at_last = found["blocks.3"]["contributions"]
    assert "220 samples of 5 classes at 4 sites; significance by 199 permutations" in text
    rho = found.trends["contributions_top_correlation"]
    assert f"rises from {rho.values[0]:.2f} (blocks.0) to {rho.values[-1]:.2f} (blocks.3)" in text
    assert f"{at_last.significant(0.05)} follow a class beyond chance" in text
    assert "more closely than activations of channels at 3 of 4 sites and less closely at 0" in text
    assert "is mode 0 of blocks." in text
    assert '("cab")' in text
    blind = {
        site: {**of, "modes": replace(of["modes"], q=np.ones(5))}
        for site, of in found.sites.items()
    }
    assert "No mode follows a class beyond chance." in replace(found, sites=blind).sentences()


def test_modes_of_activations_stand_beside(store: Known) -> None:
    site = "blocks.1"
    found = semantics(
        store,
        {site: modes_of(store, site, planted(store))},
        activation_modes={site: modes_of(store, site, planted(store)[:, 3:4], "activation")},
        permutations=19,
    )
    assert list(found[site]) == ["modes", "activation_modes", "contributions", "activations"]
    assert list(found["blocks.0"]) == ["contributions", "activations"]
    assert [row["site"] for row in found.modes_table("activation_modes")] == [site]
    told = "modes of contributions follow classes more closely than modes of activations at"
    assert any(f"{told} " in line and "of 1 sites" in line for line in found.sentences())
    assert "superclass_significant" not in found.table()[0]


def test_a_seed_gives_the_same_and_permutations_only_p_values(store: Known) -> None:
    first, again, other = (
        semantics(store, permutations=n, seed=seed).table() for n, seed in ((9, 0), (9, 0), (19, 0))
    )
    assert first == again
    assert first[0]["top_correlation_low"] == other[0]["top_correlation_low"]


def test_classes_without_names_are_numbered() -> None:
    found = semantics(Known(2, classes=None), permutations=9)
    assert found.classes == tuple(f"class {c}" for c in range(5))
    digits = Hierarchy({"0": ["low"], "1": ["low"], "2": ["high"], "3": ["high"], "4": ["high"]})
    assert semantics(Known(2, None), None, digits, permutations=9).superclasses == ("high", "low")


def test_names_that_fit_several_places_are_told() -> None:
    parents = {**TREE.parents, "mug": ["car"]}
    tree = Hierarchy(parents, {"mug": ["cup", "mug"], "cup": ["cup"]})
    found = semantics(Known(2, ["beagle", "pug", "cab", "van", "Cup"]), None, tree, permutations=9)
    assert found.ambiguous == ("Cup",)
    assert '1 class name fit several places of the hierarchy equally well ("Cup"' in "\n".join(
        found.sentences()
    )


def test_it_says_what_is_wrong(store: Known) -> None:
    unlabelled = Known(1)
    unlabelled.label = np.where(unlabelled.label == 1, 1, -1)
    with pytest.raises(CodeclensError, match="have labels of 1 classes"):
        semantics(unlabelled)
    with pytest.raises(CodeclensError, match=r"threshold \(=2\) must lie between 0 and 1"):
        semantics(store, threshold=2)
    with pytest.raises(CodeclensError, match='modes of "layer9", which the store does not have'):
        semantics(store, {"layer9": modes_of(store, "blocks.0", planted(store))})
    short = modes_of(store, "blocks.0", planted(store)[:7])
    with pytest.raises(CodeclensError, match="loadings of 7 samples and the store 240"):
        semantics(store, {"blocks.0": short})
    of_activations = modes_of(store, "blocks.0", planted(store), "activation")
    with pytest.raises(CodeclensError, match='of the view "activation"; pass modes of activations'):
        semantics(store, {"blocks.0": of_activations})
    with pytest.raises(CodeclensError, match='no class "cup"'):
        semantics(
            store, None, Hierarchy({"beagle": ["x"], "pug": ["x"], "cab": ["x"], "van": ["x"]})
        )
