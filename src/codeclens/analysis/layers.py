"""Layer statistics: how contributions and activations change with depth, side by side."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from codeclens.analysis.results import (
    DRAWN,
    SOURCES,
    Layer,
    LayerStatistics,
    Population,
    Spread,
)
from codeclens.analysis.spectrum import (
    covariance_spectrum,
    spectrum_components,
    spectrum_participation,
)
from codeclens.analysis.statistics import sign_correlation
from codeclens.analysis.summary import PopulationSummary
from codeclens.analysis.trend import ClassResampler, Trend, mirrored_interval, redrawn_medians
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore, View

VIEWS: tuple[View, ...] = ("sum", "concat", "positive", "negative")
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
    """Sparsity, dimensionality and sign correlation of every site (METHOD.md §4).

    `view` is which numbers stand for a unit's contribution. The default is the net contribution
    ("sum", one number per unit), because an activation is also one number per unit, so the two can
    be set side by side. In "concat" (positive and negative apart, two numbers per unit) sparsity
    also grows when the two signs merely fall on different units, which is what the sign
    correlation measures already. A class is the label, or the prediction where it is unknown.

    One pass reads every site in parts, so that it need not fit into memory; the results are those
    of all samples together. Depth is the order of the sites in the store. Intervals are 95 %
    bootstrap intervals over samples, `resamples` draws of them (at most 100 of class means, 40 of
    those of more than 200 classes); the intervals of trends draw the same samples at all sites.
    Means of few samples are noisy, which makes dimensions: `mirrored_interval` takes that out.

    Raises CodeclensError for an empty store, an unknown view or values that are not finite.

    >>> import tempfile, torch
    >>> from codeclens.extraction import extract
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> to = tempfile.mkdtemp() + "/contributions.zarr"
    >>> store = extract(model, torch.eye(4), sites=["0", "1"], to=to)
    >>> statistics = layer_statistics(store)
    >>> [row["site"] for row in statistics.table()], statistics["1"].contribution.hoyer.shape
    (['0', '1'], (4,))
    """
    if view not in VIEWS:
        raise CodeclensError(f'view="{view}" is not known; choose one of {", ".join(VIEWS)}.')
    if not len(store) or not store.sites:
        raise CodeclensError(
            f"The store holds {len(store)} samples of {len(store.sites)} sites; "
            "extract some before their statistics are taken."
        )
    labels, source = _classes(store)
    classes = len(np.unique(labels[labels >= 0]))
    # Each draw takes eigenvalues of a matrix of classes: 1,000 of them want a tenth of a second.
    redraw = ClassResampler(labels, min(resamples, 100 if classes <= 200 else 40), seed)
    layers: list[Layer] = []
    dimensions: dict[str, list[Float[np.ndarray, "draw measure"]]] = {s: [] for s in SOURCES}
    for site in store.sites:
        summaries, signs = _summaries(store, site, view, redraw)
        populations = {}
        for name, summary in summaries.items():
            groups = summary.group_means()
            of_classes = (
                covariance_spectrum(means)
                if len(means := redraw.class_means(groups))
                else (
                    np.zeros(1)  # a network whose outputs are no classes
                )
            )
            # Without two samples of a class every draw would be the same, and say nothing.
            drawn = redraw.dimensions(groups, share) if redraw.varies else np.empty((0, 2))
            dimensions[name].append(drawn)
            populations[name] = _population(summary, of_classes, drawn, share, resamples, seed)
        layers.append(
            Layer(
                site,
                store.units(site),
                store.is_cut(site),
                populations["contribution"],
                populations["activation"],
                signs,
                Spread.of(signs, resamples, seed),
            )
        )
    trends = _trends(layers, dimensions, min(resamples, 200), seed)
    return LayerStatistics(
        tuple(layers), view, share, len(store), classes, source, trends, labels, store.classes
    )


def _classes(store: ContributionStore) -> tuple[Int[np.ndarray, " sample"], str]:
    known = np.asarray(store.label) >= 0
    source = "label" if known.all() else "label or prediction" if known.any() else "prediction"
    return np.where(known, store.label, store.prediction).astype(np.int64), source


def _summaries(
    store: ContributionStore, site: str, view: View, redraw: ClassResampler
) -> tuple[dict[str, PopulationSummary], Float[np.ndarray, " sample"]]:
    """What one pass over a site leaves, and the sign correlation of every sample.

    Parts of samples are read, so that a site need not fit into memory.
    """
    found = {name: PopulationSummary(redraw.groups) for name in SOURCES}
    signs = []
    step = max(1, _READ // store.units(site))
    for start in range(0, len(store), step):
        rows = slice(start, start + step)
        positive, negative, activation = (
            store.view(site, part, rows) for part in ("positive", "negative", "activation")
        )
        group = redraw.group[rows]
        for name, kind, values in (
            ("contribution", view, _in_view(view, positive, negative)),
            ("activation", "activation", activation),
        ):
            found[name].add(values, group, f'{kind} of site "{site}"')
        signs.append(sign_correlation(positive, negative))
    return found, np.concatenate(signs)


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
    of_classes: Float[np.ndarray, " component"],
    drawn: Float[np.ndarray, "draw measure"],
    share: float,
    resamples: int,
    seed: int,
) -> Population:
    sparsity, lifetime = summary.hoyer, summary.lifetime
    of_samples = summary.variances()
    return Population(
        sparsity,
        Spread.of(sparsity, resamples, seed),
        lifetime,
        Spread.of(lifetime, resamples, seed),
        spectrum_components(of_classes, share),
        spectrum_participation(of_classes),
        spectrum_components(of_samples, share),
        spectrum_participation(of_samples),
        {
            "class_components": mirrored_interval(
                spectrum_components(of_classes, share), drawn[:, 0]
            ),
            "class_participation": mirrored_interval(
                spectrum_participation(of_classes), drawn[:, 1]
            ),
        },
    )


def _trends(
    layers: list[Layer],
    dimensions: dict[str, list[Float[np.ndarray, "draw measure"]]],
    draws: int,
    seed: int,
) -> dict[str, Trend]:
    """Trends by column of the table; of all samples' dimensionality there are none (too dear)."""
    trends = {}
    for source in SOURCES:
        populations = [getattr(layer, source) for layer in layers]
        trends[f"{source}_sparsity"] = Trend.of(
            np.array([p.sparsity.median for p in populations]),
            redrawn_medians([p.hoyer for p in populations], draws, seed),
        )
        for measure, name in enumerate(DRAWN):
            trends[f"{source}_{name}"] = Trend.of(
                np.array([float(getattr(p, name)) for p in populations]),
                np.stack([site[:, measure] for site in dimensions[source]], axis=1),
            )
    trends["sign_correlation"] = Trend.of(
        np.array([layer.sign_correlation.median for layer in layers]),
        redrawn_medians([layer.signs for layer in layers], draws, seed),
    )
    return trends
