"""Layer statistics of stores whose statistics are known beforehand."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import xarray

from codeclens.analysis import (
    SiteStatistic,
    Spread,
    hoyer,
    layer_charts,
    layer_figure,
    layer_statistics,
    layers,
    measuring_layers,
    participation_ratio,
    save_dataset,
    sign_correlation,
    trend,
)
from codeclens.analysis.spectrum import spectrum_participation
from codeclens.draws import Draws
from codeclens.errors import CodeclensError

SAMPLES, UNITS = 120, 16


class Known:
    """A store in memory: contributions that get sparser with depth, activations that do not."""

    classes = None

    def __init__(self, depth: int = 4, classes: int = 5, units: int = UNITS) -> None:
        random = np.random.default_rng(0)
        self.sites = [f"blocks.{i}" for i in range(depth)]
        self.label = np.arange(SAMPLES) % max(classes, 1) if classes else np.full(SAMPLES, -1)
        self.prediction = (self.label + 1) % max(classes, 1)
        shared = random.exponential(size=(SAMPLES, units))
        self.arrays = {}
        for i, site in enumerate(self.sites):
            own = random.exponential(size=(2, SAMPLES, units))
            positive = np.exp(0.5 * (i + 1) * random.normal(size=(SAMPLES, units)))
            negative = -(positive * (depth - i) + own[1] * (i + 0.3) * positive.mean())
            self.arrays[site] = {"positive": positive, "negative": negative, "activation": shared}

    def __len__(self) -> int:
        return len(self.label)

    def units(self, site: str) -> int:
        return self.arrays[site]["positive"].shape[1]

    def is_cut(self, site: str) -> bool:
        return site != "blocks.0"

    def view(self, site: str, view: str, rows: slice | None = None) -> np.ndarray:
        parts = {name: array.astype(np.float32) for name, array in self.arrays[site].items()}
        positive, negative = parts["positive"], parts["negative"]
        parts["sum"] = positive + negative
        parts["concat"] = np.concatenate([positive, -negative], axis=1)
        return parts[view][rows or slice(None)]


@pytest.fixture(scope="module")
def statistics():
    return layer_statistics(Known(), resamples=200)


def test_numbers_are_those_of_the_arrays(statistics) -> None:
    store = Known()
    assert list(statistics) == store.sites
    layer = statistics["blocks.2"]
    sparsity = hoyer(store.view("blocks.2", "sum"))
    np.testing.assert_array_equal(layer.contribution.values["sparsity"], sparsity)
    assert layer.contribution.spreads["sparsity"].median == pytest.approx(np.median(sparsity))
    assert layer.contribution.spreads["sparsity"].q25 == pytest.approx(np.quantile(sparsity, 0.25))
    np.testing.assert_array_equal(
        layer.activation.values["sparsity"], hoyer(store.view("blocks.2", "activation"))
    )
    signs = sign_correlation(store.view("blocks.2", "positive"), store.view("blocks.2", "negative"))
    assert layer.signs.number("sign_correlation") == pytest.approx(np.median(signs))
    assert (layer.units, layer.is_cut, statistics["blocks.0"].is_cut) == (UNITS, True, False)
    with pytest.raises(KeyError):
        statistics["blocks.9"]


def test_intervals_and_quartiles_surround_the_median(statistics) -> None:
    for layer in statistics.layers:
        for spread in (
            layer.contribution.spreads["sparsity"],
            layer.activation.spreads["sparsity"],
        ):
            assert spread.low <= spread.median <= spread.high
            assert spread.q25 < spread.low
            assert spread.high < spread.q75
            assert spread.undefined == 0


def test_trends_of_what_rises_falls_and_stays(statistics) -> None:
    assert statistics.trends["contribution_sparsity"].direction == "rises"
    assert statistics.trends["contribution_sparsity"].rho == pytest.approx(1)
    assert statistics.trends["sign_correlation"].direction == "falls"
    # The same activations everywhere: no order, and so no correlation with depth.
    assert np.isnan(statistics.trends["activation_sparsity"].rho)
    assert {"contribution_class_components", "activation_class_participation"} <= set(
        statistics.trends
    )


def test_dimensionality_is_that_of_the_class_means() -> None:
    store = Known(depth=3, classes=5)
    # Class means on the corners of a simplex of 5 points: 4 equal dimensions.
    corners = np.eye(5, UNITS)[store.label]
    store.arrays["blocks.1"] |= {"positive": corners, "negative": 0 * corners}
    layer = layer_statistics(store, resamples=20)["blocks.1"].contribution
    assert layer.numbers["class_components"] == 4
    assert layer.numbers["class_participation"] == pytest.approx(4)
    assert layer.numbers["sample_participation"] == pytest.approx(4)
    half = layer_statistics(store, share=0.5, resamples=20)["blocks.1"].contribution
    assert (half.numbers["class_components"], half.numbers["sample_components"]) == (2, 2)


def test_views_choose_what_stands_for_a_unit() -> None:
    store = Known(depth=1)
    for view in ("sum", "concat", "positive", "negative"):
        statistics = layer_statistics(store, view=view, resamples=10)
        np.testing.assert_array_equal(
            statistics["blocks.0"].contribution.values["sparsity"],
            hoyer(store.view("blocks.0", view)),
        )
        assert statistics.view == view


def test_classes_are_labels_or_else_predictions() -> None:
    store = Known(depth=1)
    assert layer_statistics(store, resamples=10).class_source == "label"
    store.label[:] = -1
    store.prediction[:] = np.arange(SAMPLES) % 3
    statistics = layer_statistics(store, resamples=10)
    assert (statistics.classes, statistics.class_source) == (3, "prediction")
    store.label[:60] = 7
    statistics = layer_statistics(store, resamples=10)
    assert (statistics.classes, statistics.class_source) == (4, "label or prediction")


def test_a_network_without_classes_has_no_class_means() -> None:
    store = Known(depth=3)
    store.label[:] = store.prediction[:] = -1
    statistics = layer_statistics(store, resamples=10)
    assert statistics.classes == 0
    assert statistics["blocks.0"].contribution.numbers["class_components"] == 0
    assert np.isnan(statistics["blocks.0"].contribution.numbers["class_participation"])
    assert "undefined" in " ".join(statistics.sentences())


def test_samples_without_contributions_are_counted_and_left_out() -> None:
    store = Known(depth=1)
    store.arrays["blocks.0"]["positive"][:10] = 0
    store.arrays["blocks.0"]["negative"][:10] = 0
    spread = layer_statistics(store, resamples=10)["blocks.0"].contribution.spreads["sparsity"]
    assert spread.undefined == 10
    assert spread.median == pytest.approx(np.median(hoyer(store.view("blocks.0", "sum")[10:])))


def test_a_site_that_never_contributes_is_undefined_and_stops_nothing() -> None:
    store = Known(depth=3)
    for array in store.arrays["blocks.1"].values():
        array[:] = 0
    statistics = layer_statistics(store, resamples=10)
    assert np.isnan(statistics["blocks.1"].contribution.spreads["sparsity"].median)
    assert statistics["blocks.1"].contribution.spreads["sparsity"].undefined == SAMPLES
    assert len(statistics.sentences()) == len(layer_statistics(Known(), resamples=10).sentences())


def test_a_site_of_one_unit_is_undefined_and_stops_nothing() -> None:
    statistics = layer_statistics(Known(depth=3, units=1), resamples=10)
    assert np.isnan(statistics["blocks.1"].contribution.spreads["sparsity"].median)


def test_the_table_sets_both_sources_side_by_side(statistics, tmp_path: Path) -> None:
    rows = statistics.to_dataframe().to_dict("records")
    assert [row["depth"] for row in rows] == [0, 1, 2, 3]
    assert len({tuple(row) for row in rows}) == 1
    for column in ("sparsity_median", "class_components", "sample_participation"):
        assert {f"contribution_{column}", f"activation_{column}"} <= set(rows[0])
    path = statistics.to_csv(tmp_path / "layers.csv")
    with path.open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [row["site"] for row in read] == list(statistics)
    for written, row in zip(read, rows, strict=True):
        assert float(written["sign_correlation_low"]) == row["sign_correlation_low"]


def test_sentences_carry_the_numbers(statistics) -> None:
    sentences = statistics.sentences()
    first, last = (
        statistics[s].contribution.spreads["sparsity"].median for s in ("blocks.0", "blocks.3")
    )
    trend = statistics.trends["contribution_sparsity"]
    assert (
        f"of contributions rises from {first:.2f} (blocks.0) to {last:.2f} (blocks.3), "
        f"rank correlation with depth 1.00 [{trend.low:.2f}, {trend.high:.2f}]"
    ) in sentences[1]
    assert "falls from" in sentences[4]
    assert "5 class means" in sentences[2]
    assert "120 samples at 4 sites" in sentences[0]
    apart = sum(
        layer.contribution.spreads["sparsity"].low > layer.activation.spreads["sparsity"].high
        for layer in statistics.layers
    )
    assert f"sparser than activations at {apart or 'none'} of 4 sites and" in sentences[-1]


def test_sentences_of_one_and_of_two_sites() -> None:
    one = layer_statistics(Known(depth=1), resamples=10).sentences()
    assert "at 1 site;" in one[0]
    assert "rank correlation" not in " ".join(one)
    two = layer_statistics(Known(depth=2), resamples=10).sentences()
    assert "two sites are too few for a trend" in two[1]


def test_sentences_report_classes_too_small_for_an_interval() -> None:
    store = Known(depth=3, classes=SAMPLES)
    sentences = layer_statistics(store, resamples=10).sentences()
    assert "too few samples of each class for an interval" in sentences[3]


def test_few_samples_are_not_compared() -> None:
    few = Known()
    few.label = few.label[:5]
    few.prediction = few.prediction[:5]
    few.arrays = {s: {k: v[:5] for k, v in a.items()} for s, a in few.arrays.items()}
    *_, last = layer_statistics(few).sentences()
    assert last.endswith("5 samples, but at least 20 are needed.")


def test_the_seed_alone_decides() -> None:
    def run(seed: int) -> list:
        return (
            layer_statistics(Known(depth=3), resamples=20, seed=seed)
            .to_dataframe()
            .to_dict("records")
        )

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_spread_of_nothing_defined() -> None:
    spread = Spread.of(np.full(4, np.nan), Draws(10))
    assert spread.undefined == 4
    assert np.isnan([spread.median, spread.low, spread.high, spread.q25, spread.q75]).all()


# Users' mistakes


def test_a_view_that_is_not_one_of_contributions() -> None:
    for view in ("net", "activation"):
        with pytest.raises(CodeclensError, match=f'no view "{view}"'):
            layer_statistics(Known(depth=1), view=view)


def test_an_empty_store() -> None:
    store = Known(depth=2)
    store.label = store.label[:0]
    with pytest.raises(CodeclensError, match="no samples or no sites"):
        layer_statistics(store)


def test_values_that_are_not_finite_name_the_site() -> None:
    store = Known(depth=2)
    store.arrays["blocks.1"]["activation"] = np.full((SAMPLES, UNITS), np.nan)
    with pytest.raises(CodeclensError, match=r"activation of site .blocks.1. .* row 0"):
        layer_statistics(store)


def test_a_share_that_is_none() -> None:
    with pytest.raises(CodeclensError, match=r"share \(=95\)"):
        layer_statistics(Known(depth=1), share=95)


@pytest.mark.parametrize("view", ["sum", "concat", "positive", "negative"])
def test_parts_give_what_the_whole_gives(view: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = layer_statistics(Known(), view=view, resamples=50)
    monkeypatch.setattr(measuring_layers, "_READ", 7 * UNITS)
    parts = layer_statistics(Known(), view=view, resamples=50)
    for row, other in zip(
        *(one.to_dataframe().to_dict("records") for one in (parts, whole)), strict=True
    ):
        for name, value in other.items():
            if isinstance(value, float):
                np.testing.assert_allclose(row[name], value, rtol=1e-6, err_msg=name)
            else:
                assert row[name] == value


def test_classes_have_their_own_means(statistics) -> None:
    rows = statistics.class_table().to_dict("records")
    assert len(rows) == len(statistics) * 5
    row = next(row for row in rows if row["site"] == "blocks.1" and row["class"] == 3)
    of_class = Known().label == 3
    assert row["samples"] == of_class.sum()
    expected = statistics["blocks.1"].contribution.values["sparsity"][of_class].mean()
    assert row["contribution_sparsity"] == pytest.approx(expected)
    assert row["sign_correlation"] == pytest.approx(
        statistics["blocks.1"].signs.values["sign_correlation"][of_class].mean()
    )


def test_a_dataset_names_everything(statistics) -> None:
    data = statistics.to_xarray()
    assert data.sparsity.dims == ("site", "source", "sample")
    layer = statistics["blocks.2"]
    at = {"site": "blocks.2", "source": "activation"}
    np.testing.assert_array_equal(data.sparsity.sel(at), layer.activation.values["sparsity"])
    assert float(data.sparsity_median.sel(at)) == layer.activation.spreads["sparsity"].median
    assert int(data.class_components.sel(at)) == layer.activation.numbers["class_components"]
    assert data.sign_correlation.sel(site="blocks.2").values == pytest.approx(
        layer.signs.values["sign_correlation"]
    )


def test_intervals_of_dimensionality_are_those_of_samples_drawn_again(statistics) -> None:
    """Against whole samples of each class drawn again, not groups of them."""
    store, random = Known(), np.random.default_rng(3)
    values = store.view("blocks.2", "sum").astype(np.float64)
    drawn = []
    for _ in range(400):
        rows = [random.choice(np.flatnonzero(store.label == c), SAMPLES // 5) for c in range(5)]
        means = np.stack([values[own].mean(axis=0) for own in rows])
        drawn.append(participation_ratio(means))
    population = statistics["blocks.2"].contribution
    low, high = population.intervals["class_participation"]
    slow_low, slow_high = 2 * population.numbers["class_participation"] - np.quantile(
        drawn, [0.975, 0.025]
    )
    assert low == pytest.approx(slow_low, abs=0.35 * (slow_high - slow_low))
    assert high == pytest.approx(slow_high, abs=0.35 * (slow_high - slow_low))
    low, high = population.intervals["class_components"]
    row = statistics.to_dataframe().to_dict("records")[2]
    column = "contribution_class_components"
    assert (row[f"{column}_low"], row[f"{column}_high"]) == (low, high)


def test_intervals_of_dimensionality_hold_the_truth() -> None:
    """Classes whose means are known, of ten noisy samples each: nine in ten intervals hold it."""
    random = np.random.default_rng(0)
    labels, held, above = np.repeat(np.arange(20), 10), 0, 0
    for _ in range(30):
        means = random.normal(size=(20, 6)) @ random.normal(size=(6, 32))
        truth = participation_ratio(means)
        X = means[labels] + 2 * random.normal(size=(200, 32))
        redraw = trend.ClassResampler(labels, Draws(100))
        groups = np.stack([X[redraw.group == g].mean(axis=0) for g in range(redraw.groups)])
        value = participation_ratio(redraw.class_means(groups))
        low, high = trend.mirrored_interval(
            value, redraw.drawn(groups, [spectrum_participation])[:, 0]
        )
        held += low <= truth <= high
        above += value > truth
    assert held >= 24
    assert above == 30  # what the interval takes out


def test_without_two_samples_of_a_class_there_is_no_interval() -> None:
    layer = layer_statistics(Known(depth=1, classes=SAMPLES), resamples=10)["blocks.0"]
    assert np.isnan(layer.contribution.intervals["class_components"]).all()


@pytest.mark.parametrize("names", [None, ["a", "b", "c", "d", "e"]])
def test_the_dataset_holds_what_the_tables_hold(
    names: list[str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Known, "classes", names)
    found = layer_statistics(Known(), view="concat", resamples=20)
    data = xarray.open_zarr(
        save_dataset(tmp_path / "layers.zarr", found.to_xarray()), consolidated=False
    )
    with found.to_csv(tmp_path / "layers.csv").open(newline="", encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    named = [
        f"{name}{part}"
        for name in ("class_components", "class_participation")
        for part in ("", "_low", "_high")
    ]
    for row in written:
        for source in ("contribution", "activation"):
            here = data.sel(site=row["site"], source=source)
            for name in (*named, "sparsity_median", "lifetime_sparsity_high"):
                assert float(here[name]) == float(row[f"{source}_{name}"])
    for row in found.class_table().to_dict("records"):
        here = data.sel({"site": row["site"], "class": row["class"]})
        assert int(here.class_samples) == row["samples"]
        of_source = here.class_sparsity.sel(source="activation")
        assert float(of_source) == row["activation_sparsity"]
        assert float(here.class_sign_correlation) == row["sign_correlation"]
    trend = found.trends["sign_correlation"]
    there = data.sel(quantity="sign_correlation")
    assert (float(there.trend_rho), float(there.trend_high)) == (trend.rho, trend.high)
    # In this view contributions have two columns a unit, activations one: padded.
    lifetime = data.lifetime_sparsity.sel(site="blocks.1")
    contribution, activation = found["blocks.1"].contribution, found["blocks.1"].activation
    np.testing.assert_array_equal(
        lifetime.sel(source="contribution"), contribution.values["lifetime_sparsity"]
    )
    np.testing.assert_array_equal(
        lifetime.sel(source="activation")[:UNITS], activation.values["lifetime_sparsity"]
    )
    assert np.isnan(lifetime.sel(source="activation")[UNITS:]).all()


def test_a_dataset_without_classes_can_be_written(tmp_path: Path) -> None:
    store = Known(depth=2)
    store.label[:] = store.prediction[:] = -1
    data = layer_statistics(store, resamples=10).to_xarray()
    save_dataset(tmp_path / "layers.zarr", data)
    assert "class" not in data.dims


def test_lifetime_sparsity_is_that_of_the_turned_table(statistics) -> None:
    expected = hoyer(Known().view("blocks.2", "sum").T)
    np.testing.assert_allclose(
        statistics["blocks.2"].contribution.values["lifetime_sparsity"], expected, rtol=1e-6
    )


def test_the_screen_shows_a_short_table(statistics) -> None:
    for shown in (repr(statistics), repr(statistics["blocks.0"])):
        assert shown.count("\n") < 20
        assert len(shown) < 3000
    assert repr(statistics).startswith('Layer statistics of 120 samples at 4 sites, view "sum"')
    assert "blocks.3" in statistics._repr_html_()


def test_a_new_statistic_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    peak = SiteStatistic(
        "peak", "samples", lambda values: np.abs(values).max(axis=1),
        words="Largest magnitude", title="Peak", label="magnitude",
    )  # fmt: skip
    rank = SiteStatistic("rank", "class means", lambda spectrum, _: float((spectrum > 0).sum()))
    known = (*layers.STATISTICS, peak, rank)
    monkeypatch.setattr(layers, "STATISTICS", known)
    monkeypatch.setattr(layer_charts, "STATISTICS", known)
    found = layer_statistics(Known(depth=3), resamples=10)
    table, data = found.to_dataframe(), found.to_xarray()
    assert {"contribution_peak_median", "activation_rank_high"} <= set(table.columns)
    assert data.peak.dims == ("site", "source", "sample")
    assert "activation_peak" in found.class_table()
    assert "contribution_rank" in found.trends
    assert any(line.startswith("Largest magnitude of contributions ") for line in found.sentences())
    assert layer_figure(found).axes[-1].get_ylabel() == "magnitude"


def test_shuffled_labels_and_equal_units_stand_next_to_dimensionality(statistics) -> None:
    store = Known()
    values = store.view("blocks.2", "sum").astype(np.float64)
    random = np.random.default_rng(0)
    slow = []
    for _ in range(10):
        labels = random.permutation(store.label)
        slow.append(
            participation_ratio(np.stack([values[labels == c].mean(axis=0) for c in range(5)]))
        )
    found = statistics["blocks.2"].contribution
    np.testing.assert_allclose(found.shuffled["class_participation"], slow)
    # All sites have the same number of units, so that all subsets are the whole.
    assert statistics.fewest_units == UNITS
    np.testing.assert_allclose(
        found.equal_units["class_participation"], found.numbers["class_participation"]
    )
    row = statistics.to_dataframe().set_index("site").loc["blocks.2"]
    assert row["contribution_class_participation_shuffled"] == pytest.approx(np.mean(slow))
    assert "Control for contributions, shuffled labels: it" in statistics.sentences()[2]
    assert "contribution_class_components_equal_units" in statistics.trends


def test_more_units_do_not_count_as_more_dimensions() -> None:
    store = Known(depth=3, classes=30)
    random = np.random.default_rng(1)
    for site, units in zip(store.sites, (4, 8, 16), strict=True):
        means = random.normal(size=(30, units))[store.label]
        store.arrays[site] |= {"positive": np.exp(means), "negative": 0 * means}
    found = layer_statistics(store, resamples=20)
    assert found.trends["contribution_class_components"].rho == 1
    equal = found.trends["contribution_class_components_equal_units"]
    assert np.ptp(equal.values) < 1
