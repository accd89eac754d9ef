"""Semantics of stores and modes whose meanings are known beforehand."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray

from codeclens import Hierarchy, Modes, semantics
from codeclens.analysis import (
    Closest,
    Semantics,
    class_profile,
    false_discovery,
    names_beyond_chance,
    p_values,
    permutation_nulls,
    save_dataset,
    specificity,
)
from codeclens.decomposition import PCA, ready_modes
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
        self.key = np.arange(SAMPLES).astype(str)
        self.path, self.metadata = "known.zarr", {"settings": {}}
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
    np.testing.assert_allclose(one.correlation, correlation, rtol=1e-5)
    np.testing.assert_allclose(one.closest.correlation, correlation.max(axis=1))
    assert one.closest.place.tolist() == correlation.argmax(axis=1).tolist()
    assert one.above.tolist() == (correlation > 0.2).sum(axis=1).tolist()
    assert one.covered == (correlation > 0.2).any(axis=0).sum() == 5
    np.testing.assert_allclose(one.spread.median, np.median(one.closest.correlation))
    for ours, theirs in zip(
        one.specificity, specificity(class_profile(values, store.label, 5)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs)
    assert found.samples == (store.label >= 0).sum()


def test_planted_correlations_are_distinguished_from_chance(found: Semantics) -> None:
    assert found["blocks.3"]["contributions"].significant(0.05) == UNITS
    for site in found:
        assert found[site]["activations"].significant(0.05) <= 1
        assert (found[site]["modes"].closest.q[:3] <= 0.05).all()
        assert found[site]["modes"].closest.q[3] > 0.05
        assert np.isnan(found[site]["modes"].closest.q[4])


def test_superclasses_are_held_against_their_own_chance(found: Semantics, store: Known) -> None:
    members = TREE.among(CLASSES).members
    nulls = permutation_nulls(planted(store), store.label, 5, members=members, n=199)
    one = found["blocks.0"]["modes"]
    group = one.closest_superclass
    assert group is not None
    expected = false_discovery(p_values(group.correlation, nulls.superclasses))
    np.testing.assert_allclose(group.q, expected)
    assert not np.allclose(group.q, one.closest.q, equal_nan=True)
    of_dogs = np.isin(store.label, [0, 1])[store.label >= 0]
    column = found.superclasses.index("dog")
    slow = np.corrcoef(planted(store)[store.label >= 0, 2], of_dogs)[0, 1]
    assert one.superclass_correlation[2, column] == pytest.approx(slow, rel=1e-5)
    assert one.broader(0.05).tolist() == [False, False, True, False, False]
    assert one.beyond_chance(0.05).tolist() == [True, True, True, False, False]
    assert not found["blocks.0"]["activations"].broader(0.05).any()


def test_modes_get_names(found: Semantics) -> None:
    names = found["blocks.0"]["modes"].names
    assert set(names[1].split(", ")) == {"pug", "cup"}
    assert (names[0], *names[2:]) == (
        "cab", "dog (2 of 2 classes)", "no class beyond chance", "does not vary",
    )  # fmt: skip
    assert found["blocks.0"]["contributions"].names == ()


def test_a_row_for_every_mode(found: Semantics) -> None:
    rows = found.modes_table().to_dict("records")
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
    assert "name" not in found.modes_table("activations")


def test_a_row_for_every_site_and_source(found: Semantics, tmp_path: Path) -> None:
    rows = found.to_dataframe().to_dict("records")
    assert [row["source"] for row in rows[:3]] == ["modes", "contributions", "activations"]
    assert [row["depth"] for row in rows] == [d for d in range(4) for _ in range(3)]
    with found.to_csv(tmp_path / "semantics.csv").open(encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert [row["above"] for row in written] == [str(row["above"]) for row in rows]
    assert float(written[-2]["top_correlation_median"]) == rows[-2]["top_correlation_median"]


def test_the_dataset_holds_what_the_tables_hold(found: Semantics, tmp_path: Path) -> None:
    data = xarray.open_zarr(
        save_dataset(tmp_path / "semantics.zarr", found.to_xarray()), consolidated=False
    )
    with found.to_csv(tmp_path / "semantics.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            here = data.sel(site=row["site"], source=row["source"])
            for name in ("top_correlation_median", "above", "significant", "gini_median"):
                assert float(here[name]) == float(row[name])
            assert float(here.superclass_closer) == float(row["superclass_closer"])
    rows = found.features_table().to_dict("records")
    assert all(list(row) == list(rows[0]) for row in rows)
    assert data.sizes["feature"] == len(rows) == 4 * (5 + 2 * UNITS)
    for place in (0, 2, 4, 7, -1):
        here, row = data.isel(feature=place), rows[place]
        assert str(here.feature_site.values) == row["site"]
        assert str(here.feature_source.values) == row["source"]
        assert int(here.feature_number) == row["number"]
        assert str(here.closest_class.values) == row["class"]
        assert str(here.closest_superclass.values) == row["superclass"]
        for name in ("class_correlation", "critical", "p", "q", "superclass_q", "entropy"):
            np.testing.assert_equal(float(here[name]), row[name])
        if row["class"]:
            at = here.correlation.sel({"class": row["class"]})
            assert float(at) == pytest.approx(row["class_correlation"], rel=1e-5)
            above = here.correlation_with_superclass.sel(superclass=row["superclass"])
            assert float(above) == pytest.approx(row["superclass_correlation"], rel=1e-5)
    trend = data.sel(quantity="contributions_top_correlation")
    assert float(trend.trend_rho) == found.trends["contributions_top_correlation"].rho
    assert data.attrs["permutations"] == 199


def test_classes_that_are_numbers_of_wordnet_get_its_titles() -> None:
    parents = {"n01": ["n05"], "n02": ["n05"], "n03": ["n06"], "n04": ["n06"], "n05": ["n07"],
               "n06": ["n07"]}  # fmt: skip
    names = {"n01": ["tench", "Tinca tinca"], "n02": ["crane"], "n03": ["crane"], "n05": ["animal"]}
    tree = Hierarchy(parents, names)
    found = semantics(Known(2, ["n01", "n02", "n03", "n04", "n07"]), None, tree, permutations=9)
    assert found.classes == ("tench", "crane (n02)", "crane (n03)", "n04", "n07")
    assert found.features_table()["class"][0] in found.classes
    plain = semantics(Known(2, ["n01", "n02", "n03", "n04", "n07"]), permutations=9)
    assert plain.classes[0] == "n01"


def test_trends_rise_where_they_were_planted_to(found: Semantics) -> None:
    assert found.trends["contributions_top_correlation"].direction == "rises"
    assert found.trends["contributions_top_correlation"].rho == 1
    assert found.trends["activations_top_correlation"].direction == "shows no clear trend"
    share = found.trends["contributions_share_above"]
    assert -1 <= share.low <= share.rho <= share.high  # not NaN
    assert share.values.tolist() == [one.count_above / UNITS for one in found.of("contributions")]


def chance(closest: Closest) -> Closest:
    return replace(closest, q=np.ones(len(closest.q)))


def test_sentences_are_computed(found: Semantics) -> None:
    text = "\n".join(found.sentences())
    at_last = found["blocks.3"]["contributions"]
    assert "220 samples of 5 classes at 4 sites; significance by 199 permutations" in text
    rho = found.trends["contributions_top_correlation"]
    assert f"rises from {rho.values[0]:.2f} (blocks.0) to {rho.values[-1]:.2f} (blocks.3)" in text
    assert f"{at_last.significant(0.05)} correlate significantly with a class" in text
    assert "than for activations of channels at 3 of 4 sites and smaller at none" in text
    assert "Highest class correlation: mode 0 at blocks." in text
    assert 'with class "cab" (r = ' in text
    share = found.trends["modes_share_broader"].values
    assert share.tolist() == [0.2] * 4
    assert (
        "Share that correlates with a superclass beyond chance and more than with any class" in text
    )
    group = found["blocks.0"]["modes"].closest_superclass.correlation[2]
    assert (
        "Highest correlation among modes that correlate more with a superclass than with any "
        'class: mode 2 ("dog (2 of 2 classes)") at blocks.0 with superclass "dog" '
        f"(r = {group:.2f})."
    ) in text
    blind = {
        site: {**of, "modes": replace(of["modes"], closest=chance(of["modes"].closest))}
        for site, of in found.sites.items()
    }
    assert (
        "No mode correlates with a class beyond chance." in replace(found, sites=blind).sentences()
    )


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
    assert [row["site"] for row in found.modes_table("activation_modes").to_dict("records")] == [
        site
    ]
    told = "larger for modes of contributions than for modes of activations at"
    assert any(f"{told} " in line and "of 1 sites" in line for line in found.sentences())
    assert "superclass_significant" not in found.to_dataframe()
    assert "superclass" not in "".join(found.sentences())
    # A site without such modes is NaN in the dataset, and everything can be written.
    data = found.to_xarray()
    count = data["count"].sel(source="activation_modes")
    assert np.isnan(count.sel(site="blocks.0"))
    assert float(count.sel(site=site)) == 1
    assert "superclass" not in data.dims


def test_a_seed_gives_the_same_and_permutations_only_p_values(store: Known) -> None:
    first, again, other = (
        semantics(store, permutations=n, seed=seed).to_dataframe().to_dict("records")
        for n, seed in ((9, 0), (9, 0), (19, 0))
    )
    assert first == again
    assert first[0]["top_correlation_low"] == other[0]["top_correlation_low"]


def test_classes_without_names_are_numbered() -> None:
    found = semantics(Known(2, classes=None), permutations=9)
    assert found.classes == tuple(f"class {c}" for c in range(5))
    digits = Hierarchy({"0": ["low"], "1": ["low"], "2": ["high"], "3": ["high"], "4": ["high"]})
    assert semantics(Known(2, None), None, digits, permutations=9).superclasses == ("high", "low")


def test_ambiguous_names_are_reported() -> None:
    parents = {**TREE.parents, "mug": ["car"]}
    tree = Hierarchy(parents, {"mug": ["cup", "mug"], "cup": ["cup"]})
    found = semantics(Known(2, ["beagle", "pug", "cab", "van", "Cup"]), None, tree, permutations=9)
    assert found.ambiguous == ("Cup",)
    assert (
        '1 class name with several equally good matches in the hierarchy (such as "Cup")'
        in "\n".join(found.sentences())
    )


def test_bad_input_is_reported(store: Known) -> None:
    unlabelled = Known(1)
    unlabelled.label = np.where(unlabelled.label == 1, 1, -1)
    with pytest.raises(CodeclensError, match="have labels of 1 class;"):
        semantics(unlabelled)
    with pytest.raises(CodeclensError, match=r"threshold \(=2\) must be above 0 and below 1"):
        semantics(store, threshold=2)
    with pytest.raises(CodeclensError, match='the store has no site "layer9"'):
        semantics(store, {"layer9": modes_of(store, "blocks.0", planted(store))})
    short = modes_of(store, "blocks.0", planted(store)[:7])
    with pytest.raises(CodeclensError, match="7 of them, not 240"):
        semantics(store, {"blocks.0": short})
    of_activations = modes_of(store, "blocks.0", planted(store), "activation")
    with pytest.raises(CodeclensError, match='of the view "activation"; pass modes of activations'):
        semantics(store, {"blocks.0": of_activations})
    with pytest.raises(CodeclensError, match='no class "cup"'):
        semantics(
            store, None, Hierarchy({"beagle": ["x"], "pug": ["x"], "cab": ["x"], "van": ["x"]})
        )


def test_modes_are_named_beyond_chance_by_classes_or_superclasses() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(SAMPLES) % 5
    Z = random.gamma(0.5, size=(SAMPLES, 4)).astype(np.float32)
    Z[:, 1] += 3 * (labels == 4)
    Z[:, 2] += 2 * (labels < 2)
    method = PCA(n_modes=4).fit(random.normal(size=(50, 6)))
    modes = Modes("a", "activation", method, Z, labels, tuple(CLASSES))
    assert names_beyond_chance(modes) == ["", "cup", "beagle, hound, pug", ""]
    assert names_beyond_chance(modes, TREE) == ["", "cup", "dog (2 of 2 classes)", ""]
    assert names_beyond_chance(replace(modes, labels=None)) == [""] * 4


def test_the_tree_that_ships_knows_every_class_of_imagenet_once() -> None:
    tree = Hierarchy.from_file("imagenet")
    classes = ready_modes()["blocks.5.3"].classes
    assert classes is not None
    found = tree.among(classes)
    deepest = found.members[:, found.depth == found.depth.max()]
    assert tree.matrix(classes).any(axis=1).all()
    assert deepest.sum(axis=1).max() == 1
    dogs = found.members[:, found.names.index("dog")]
    assert dogs.sum() == 118  # as many breeds as ILSVRC 2012 has
    assert not tree.ambiguous(classes)


def test_the_screen_shows_a_short_table(found: Semantics) -> None:
    assert repr(found).startswith("Semantics of 220 samples of 5 classes at 4 sites\n")
    for shown in (repr(found), repr(found["blocks.0"]["modes"])):
        assert shown.count("\n") < 20
        assert len(shown) < 3000
    assert "top_correlation_median" in found._repr_html_()
