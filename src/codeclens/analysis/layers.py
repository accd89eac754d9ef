"""Layer statistics: how contributions and activations change with depth, side by side."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from codeclens.analysis.results import (
    DIMENSIONS,
    SOURCES,
    Layer,
    LayerStatistics,
    Population,
    Spread,
)
from codeclens.analysis.statistics import (
    class_means,
    covariance_spectrum,
    hoyer,
    numeric,
    sign_correlation,
    spectrum_components,
    spectrum_participation,
)
from codeclens.analysis.trend import ClassResampler, Trend, redrawn_medians
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore, View

VIEWS: tuple[View, ...] = ("sum", "concat", "positive", "negative")


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

    Depth is the order of the sites in the store. Intervals are 95 % bootstrap intervals over
    samples, `resamples` draws of them; the intervals of trends draw the same samples at all sites.

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
        populations = {}
        kinds: tuple[View, View] = (view, "activation")
        for name, kind in zip(SOURCES, kinds, strict=True):
            X = numeric(store.view(site, kind), f'{kind} of site "{site}"', dimensions=2)
            populations[name] = _population(X, labels, share, resamples, seed)
            if redraw.varies:
                dimensions[name].append(redraw.dimensions(X, share))
        signs = sign_correlation(store.view(site, "positive"), store.view(site, "negative"))
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
    return LayerStatistics(tuple(layers), view, share, len(store), classes, source, trends)


def _classes(store: ContributionStore) -> tuple[Int[np.ndarray, " sample"], str]:
    known = np.asarray(store.label) >= 0
    source = "label" if known.all() else "label or prediction" if known.any() else "prediction"
    return np.where(known, store.label, store.prediction).astype(np.int64), source


def _population(
    X: Float[np.ndarray, "sample unit"],
    labels: Int[np.ndarray, " sample"],
    share: float,
    resamples: int,
    seed: int,
) -> Population:
    sparsity = hoyer(X)
    of_samples = covariance_spectrum(X)
    # A network whose outputs are no classes has class means of nothing: no variance.
    of_classes = np.zeros(1)
    if (labels >= 0).any():
        of_classes = covariance_spectrum(class_means(X, labels)[0])
    return Population(
        sparsity,
        Spread.of(sparsity, resamples, seed),
        spectrum_components(of_classes, share),
        spectrum_participation(of_classes),
        spectrum_components(of_samples, share),
        spectrum_participation(of_samples),
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
        for measure, name in enumerate(DIMENSIONS[:2]):
            redrawn = [site[:, measure] for site in dimensions[source]]
            trends[f"{source}_{name}"] = Trend.of(
                np.array([float(getattr(p, name)) for p in populations]),
                np.stack(redrawn, axis=1) if redrawn else np.empty((0, len(layers))),
            )
    trends["sign_correlation"] = Trend.of(
        np.array([layer.sign_correlation.median for layer in layers]),
        redrawn_medians([layer.signs for layer in layers], draws, seed),
    )
    return trends
