"""The statistics of every site of a store, computed site by site in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from codeclens.analysis.layers import (
    SOURCES,
    VIEWS,
    Layer,
    LayerStatistics,
    Population,
    chosen,
)
from codeclens.analysis.nulls import ShuffledLabels
from codeclens.analysis.spectrum import (
    PopulationSummary,
    covariance_spectrum,
)
from codeclens.analysis.statistics import Spread
from codeclens.analysis.trend import (
    ClassResampler,
    Trend,
    mirrored_interval,
    redrawn_medians,
)
from codeclens.draws import Draws
from codeclens.errors import CodeclensError, require_kind, unknown
from codeclens.extraction import ContributionStore, View

# Values of one array that are read together (32 MiB in float32).
_READ = 1 << 23


def layer_statistics(
    store: ContributionStore,
    *,
    view: View = "sum",
    share: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> LayerStatistics:
    """Sparsity, dimensionality and sign correlation of every site (method.md §4).

    `view` selects the numbers for a unit's contribution. The default is the net contribution
    ("sum", one number per unit): an activation is also one number per unit, so the two can be
    compared. In "concat" (signs separate, two numbers per unit) sparsity also grows if the two
    signs occur at different units, which the sign correlation already measures. The class of a
    sample is its label, or its prediction if the label is unknown.

    Every site is read once, in parts, so that it need not fit into memory. Depth is the order of
    the sites in the store. Intervals are 95 % bootstrap intervals over samples with `resamples`
    draws (at most 100 for class means, 40 for more than 200 classes); the intervals of trends use
    the same draws at all sites. Means of few samples are noisy, and noise adds dimensions:
    `mirrored_interval` corrects for that. Two controls accompany the dimensionality of class
    means: labels shuffled up to 10 times, and up to 20 random subsets with as many units as the
    smallest site has.

    Raises CodeclensError for an empty store, an unknown view or values that are not finite.

    >>> import tempfile, torch
    >>> from codeclens.extraction import extract
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> to = tempfile.mkdtemp() + "/contributions.zarr"
    >>> store = extract(model, torch.eye(4), sites=["0", "1"], to=to)
    >>> statistics = layer_statistics(store)
    >>> list(statistics.to_dataframe().site), statistics["1"].contribution.values["sparsity"].shape
    (['0', '1'], (4,))
    """
    if view not in VIEWS:
        raise unknown("view", view, VIEWS)
    if not hasattr(store, "view"):
        require_kind("store", store, (), "a ContributionStore, as extract returns it")
    if not len(store) or not store.sites:
        raise CodeclensError("The store has no samples or no sites; it needs one of each.")
    draws = Draws(resamples, seed)
    labels, source = _classes(store)
    classes = len(np.unique(labels[labels >= 0]))
    # Each draw takes eigenvalues of a matrix of classes: 1,000 of them need a tenth of a second.
    redraw = ClassResampler(labels, draws.at_most(100 if classes <= 200 else 40))
    shuffle = ShuffledLabels(labels, draws.at_most(10 if classes <= 200 else 4))
    measures = [
        lambda spectrum, one=one: one.function(spectrum, share) for one in chosen("class means")
    ]
    fewest = min(store.units(site) for site in store.sites)
    layers: list[Layer] = []
    drawn: dict[str, list[Float[np.ndarray, "draw measure"]]] = {s: [] for s in SOURCES}
    for site in store.sites:
        summaries, shuffled, signs = _summaries(store, site, view, redraw, shuffle)
        populations = {}
        for name, summary in summaries.items():
            groups = summary.group_means()
            drawn[name].append(redraw.drawn(groups, measures))
            means = redraw.class_means(groups)
            without_classes = _measured(shuffle.means(shuffled[name]), measures)
            equal = _measured(_subsets(means, fewest, draws.at_most(20)), measures)
            populations[name] = replace(
                _population(summary, means, drawn[name][-1], share, draws),
                shuffled=without_classes,
                equal_units=equal,
            )
        of_signs = Population(signs, {name: Spread.of(v, draws) for name, v in signs.items()})
        layers.append(
            Layer(site, store.units(site), store.is_cut(site), **populations, signs=of_signs)
        )
    trends = _trends(layers, drawn, draws.at_most(200))
    return LayerStatistics(
        tuple(layers), view, share, len(store), classes, source, trends, labels, store.classes,
        fewest,
    )  # fmt: skip


def _subsets(
    means: Float[np.ndarray, "class unit"], count: int, draws: Draws
) -> Iterator[Float[np.ndarray, "class unit"]]:
    """Class means of random subsets of `count` units."""
    random = np.random.default_rng(draws.seed)
    for _ in range(draws.n):
        yield means[:, np.sort(random.choice(means.shape[1], count, replace=False))]


def _measured(
    means: Iterable[Float[np.ndarray, "class unit"]], measures: Sequence[Callable[[Any], float]]
) -> dict[str, Float[np.ndarray, " draw"]]:
    """The dimensionality of each of several class means, by the name of the statistic."""
    spectra = [covariance_spectrum(one) if len(one) else np.zeros(1) for one in means]
    return {
        one.name: np.array([measure(spectrum) for spectrum in spectra], np.float64)
        for one, measure in zip(chosen("class means"), measures, strict=True)
    }


def _classes(store: ContributionStore) -> tuple[Int[np.ndarray, " sample"], str]:
    known = np.asarray(store.label) >= 0
    source = "label" if known.all() else "label or prediction" if known.any() else "prediction"
    return np.where(known, store.label, store.prediction).astype(np.int64), source


def _summaries(
    store: ContributionStore,
    site: str,
    view: View,
    redraw: ClassResampler,
    shuffle: ShuffledLabels,
) -> tuple[dict[str, PopulationSummary], dict[str, Any], dict[str, Float[np.ndarray, " sample"]]]:
    """Summaries, sums over shuffled classes, and statistics of signs, in one pass over a site."""
    functions = {one.name: one.function for one in chosen("samples")}
    found = {name: PopulationSummary(redraw.groups, functions) for name in SOURCES}
    shuffled: dict[str, Any] = dict.fromkeys(SOURCES, 0.0)
    signs: dict[str, list[Any]] = {one.name: [] for one in chosen("signs")}
    step = max(1, _READ // store.units(site))
    for start in range(0, len(store), step):
        rows = slice(start, start + step)
        positive, negative, activation = (
            store.view(site, part, rows) for part in ("positive", "negative", "activation")
        )
        for name, kind, values in (
            ("contribution", view, _in_view(view, positive, negative)),
            ("activation", "activation", activation),
        ):
            found[name].add(values, redraw.group[rows], f'{kind} of site "{site}"')
            shuffled[name] = shuffled[name] + shuffle.sums(values, rows)
        for one in chosen("signs"):
            signs[one.name].append(one.function(positive, negative))
    return found, shuffled, {name: np.concatenate(parts) for name, parts in signs.items()}


def _in_view(
    view: View, positive: Float[np.ndarray, "part unit"], negative: Float[np.ndarray, "part unit"]
) -> Float[np.ndarray, "part column"]:
    if view == "positive":
        return positive
    if view == "negative":
        return negative
    return positive + negative if view == "sum" else np.concatenate([positive, -negative], axis=1)


def _population(
    summary: PopulationSummary,
    means: Float[np.ndarray, "class unit"],
    drawn: Float[np.ndarray, "draw measure"],
    share: float,
    draws: Draws,
) -> Population:
    values = {one.name: summary.of_samples(one.name) for one in chosen("samples")}
    for one in chosen("units"):
        values[one.name] = one.function(summary.magnitude, summary.square, summary.rows)
    spectra = {
        # The outputs of some networks are not classes.
        "class means": covariance_spectrum(means) if len(means) else np.zeros(1),
        "all samples": summary.variances(),
    }
    numbers = {
        one.name: one.function(spectra[one.over], share)
        for one in chosen("class means", "all samples")
    }
    intervals = {
        one.name: mirrored_interval(numbers[one.name], drawn[:, measure])
        for measure, one in enumerate(chosen("class means"))
    }
    spreads = {name: Spread.of(found, draws) for name, found in values.items()}
    return Population(values, spreads, numbers, intervals)


def _trends(
    layers: list[Layer], drawn: dict[str, list[Float[np.ndarray, "draw measure"]]], draws: Draws
) -> dict[str, Trend]:
    """Trends by the beginning of the columns, of all statistics whose samples are drawn again."""
    trends = {}
    for one in chosen("samples", "signs", "class means"):
        for prefix in layers[0].of(one):
            populations = [layer.of(one)[prefix] for layer in layers]
            if one.over == "class means":
                measure = chosen("class means").index(one)
                redrawn = np.stack([site[:, measure] for site in drawn[prefix[:-1]]], axis=1)
                for control in ("shuffled", "equal_units"):
                    values = np.stack([getattr(p, control)[one.name] for p in populations], axis=1)
                    trends[f"{prefix}{one.name}_{control}"] = Trend.of(values.mean(axis=0), values)
            else:
                redrawn = redrawn_medians([p.values[one.name] for p in populations], draws)
            values = np.array([float(p.number(one.name)) for p in populations])
            trends[f"{prefix}{one.name}"] = Trend.of(values, redrawn)
    return trends
