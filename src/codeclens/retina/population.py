"""Populations: modes learned from part of a film, and which cells fire with which of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray
from jaxtyping import Float

from codeclens.analysis import false_discovery
from codeclens.attribution import SiteContributions
from codeclens.decomposition import Estimator, Modes, View, decompose, quality
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore
from codeclens.retina.splits import Split

Contributed = Mapping[str, SiteContributions] | ContributionStore | xarray.Dataset
Loadings = Modes | np.ndarray[Any, Any]


def population_modes(
    found: Contributed,
    method: Estimator,
    split: Split,
    *,
    sites: str | Sequence[str] | None = None,
    view: View = "concat",
    seed: int = 0,
) -> dict[str, Modes]:
    """Find the modes of every layer on the training frames, and score them on those held out.

    `found` are the contributions of all frames to a target of the population (a sum of rates, the
    surprisal, one cell): what `contributions` gives, a store, or what `movie_contributions` gives
    of one target, `found.sel(cell="on")`. Excitation and inhibition of a channel are apart in all,
    since signs are split before positions are summed; the view "concat" keeps them so. Other
    arguments are those of `decompose`.

    Returns Modes by site with the loadings of all frames, whose keys are their numbers. Their `r2`
    is that of the held-out frames, `quality["r2_train"]` that of the others. Raises CodeclensError
    as `decompose`, and for a split of another length.

    >>> import torch
    >>> from codeclens import NMF, Sum, contributions
    >>> from codeclens.retina import held_out_blocks
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> found = contributions(model, torch.randn(100, 6), sites="1", target=Sum())
    >>> modes = population_modes(found, NMF(n_modes=3), held_out_blocks(100))
    >>> modes["1"].loadings.shape, modes["1"].r2 > 0.1
    ((100, 3), True)
    """
    rows = _Frames(found)
    if len(rows.label) <= max(split.train.max(), split.held_out.max()):
        raise CodeclensError(f"The split names frames beyond the {len(rows.label)} there are.")
    fitted = decompose(rows.some(split.train), method, sites=sites, view=view, seed=seed)
    whole: dict[str, Modes] = {}
    for site, modes in fitted.items():
        X = rows.view(site, view)
        loadings = modes.encode(X)
        again = modes.decode(loadings)
        measured = {
            "r2": quality.r2(X[split.held_out], again[split.held_out]),
            "r2_train": quality.r2(X[split.train], again[split.train]),
            "l0": quality.l0(loadings[split.held_out]),
            "samples_train": len(split.train),
            "samples_held_out": len(split.held_out),
        }
        whole[site] = replace(
            modes, loadings=loadings, labels=None, keys=rows.key, quality=modes.quality | measured
        )
    return whole


class _Frames:
    """Contributions in memory or in a store, or some rows of them, as `decompose` takes them."""

    classes: list[str] | None = None
    sites: list[str]
    metadata: dict[str, Any]

    def __init__(self, found: Contributed, rows: np.ndarray[Any, Any] | None = None) -> None:
        self._found = found
        self._rows = rows
        if isinstance(found, xarray.Dataset):
            self.sites, self.metadata = _layers(found), {}
            count = found.sizes["time"]
        elif isinstance(found, ContributionStore):
            self.sites, self.metadata = found.sites, found.metadata
            count = len(found)
        else:
            self.sites, self.metadata = list(found), {}
            count = len(found[self.sites[0]].positive)
        number = np.arange(count) if rows is None else rows
        self.label = np.full(len(number), -1)
        self.key = np.array([str(one) for one in number])

    def some(self, rows: np.ndarray[Any, Any]) -> _Frames:
        return _Frames(self._found, rows)

    def units(self, site: str) -> int:
        if isinstance(self._found, xarray.Dataset):
            return int(_layer(self._found, site, "activation").shape[1])
        if isinstance(self._found, ContributionStore):
            return self._found.units(site)
        return int(self._found[site].positive.shape[1])

    def view(self, site: str, view: View) -> np.ndarray[Any, Any]:
        if isinstance(self._found, ContributionStore):
            X = np.asarray(self._found.view(site, view))
        else:
            if isinstance(self._found, xarray.Dataset):
                positive, negative, activation = (
                    _layer(self._found, site, name)
                    for name in ("positive", "negative", "activation")
                )
            else:
                here = self._found[site]
                positive, negative, activation = (
                    part.detach().cpu().float().numpy()
                    for part in (here.positive, here.negative, here.activation)
                )
            X = {
                "concat": np.concatenate([positive, 0 - negative], axis=1),
                "sum": positive + negative,
                "positive": positive,
                "negative": negative,
                "activation": activation,
            }[view]
        return X if self._rows is None else X[self._rows]


def _layers(found: xarray.Dataset) -> list[str]:
    """The layers of a Dataset of one target; raises CodeclensError for another Dataset."""
    if {"positive", "negative", "activation"} - set(found) or "layer" not in found.dims:
        raise CodeclensError("The Dataset holds no contributions; pass one of movie_contributions.")
    axes = [axis for axis in found.positive.dims if axis not in ("time", "layer", "channel")]
    if axes:
        raise CodeclensError(
            f"The Dataset has the axis {axes[0]!r}; choose one target, found.sel(cell=…), and take "
            "lags together."
        )
    return [str(name) for name in found.layer.values]


def _layer(found: xarray.Dataset, site: str, name: str) -> np.ndarray[Any, Any]:
    """One layer's `(time, channel)`, without the channels that it has not."""
    values = found[name].sel(layer=site).transpose("time", "channel").to_numpy()
    return np.asarray(values[:, ~np.isnan(values).all(axis=0)], np.float32)


def mode_cell_matrix(
    modes: Loadings,
    rates: Float[np.ndarray, "time cell"],
    *,
    cells: Sequence[str] | None = None,
    shortest: int = 50,
) -> xarray.Dataset:
    """Correlate the loadings of every mode with the rate of every cell over time.

    `modes` are Modes or loadings `(time, modes)`, `rates` is `(time, cell)` in Hz. Neighbouring
    frames are alike, so chance is all shifts of the rates around the film by `shortest` frames or
    more: `null_low` and `null_high` hold 95 % of them, `p` is how often they do as well in
    magnitude, `q` the same as a false discovery rate over the matrix.

    Returns `correlation` and these by `mode` and `cell`; NaN where loadings or rates do not vary.
    Raises CodeclensError where lengths differ, `cells` are not one name for each column of rates,
    or the film is too short to be shifted.

    >>> random = np.random.default_rng(0)
    >>> loadings = random.gamma(0.5, size=(300, 3))
    >>> rates = loadings[:, :2] + 0.1 * random.random((300, 2))
    >>> matrix = mode_cell_matrix(loadings, rates, cells=["on", "off"])
    >>> matrix.correlation.argmax("mode").values, bool((matrix.q < 0.05).values.diagonal().all())
    (array([0, 1]), True)
    """
    Z = loadings_of(modes)
    R = np.asarray(rates, np.float64)
    if R.ndim != 2 or len(R) != len(Z):
        raise CodeclensError(
            f"There are loadings of {len(Z)} frames, and rates of shape {R.shape}; pass "
            f"({len(Z)}, cells)."
        )
    names = [str(number) for number in range(R.shape[1])] if cells is None else list(cells)
    if isinstance(cells, str) or len(names) != R.shape[1] or len(set(names)) != len(names):
        raise CodeclensError(
            f"cells={cells!r} do not name the {R.shape[1]} columns of the rates; pass as many "
            "different names."
        )
    if not 1 <= shortest <= len(Z) // 2:
        raise CodeclensError(
            f"A film of {len(Z)} frames cannot be shifted by {shortest}; pass shortest=… from 1 to "
            f"{len(Z) // 2}."
        )
    Z, R = _standard(Z), _standard(R)
    spectrum = np.fft.rfft(Z, axis=0)
    shape = (Z.shape[1], R.shape[1])
    value, low, high, p = (np.full(shape, np.nan) for _ in range(4))
    for cell in range(R.shape[1]):
        # Of every shift at once: a circular correlation is a product of spectra.
        product = spectrum.conj() * np.fft.rfft(R[:, cell])[:, None]
        shifted = np.fft.irfft(product, n=len(Z), axis=0)
        value[:, cell] = shifted[0]
        null = shifted[shortest : len(Z) - shortest + 1]
        low[:, cell], high[:, cell] = np.quantile(null, [0.025, 0.975], axis=0)
        better = (np.abs(null) >= np.abs(shifted[0])).sum(axis=0)
        p[:, cell] = np.where(np.isnan(value[:, cell]), np.nan, (1 + better) / (1 + len(null)))
    table: dict[str, np.ndarray[Any, Any]] = {
        "correlation": value,
        "null_low": low,
        "null_high": high,
        "p": p,
    }
    table["q"] = np.asarray(false_discovery(p.ravel())).reshape(shape)
    return xarray.Dataset(
        {name: (("mode", "cell"), values) for name, values in table.items()},
        coords={
            "mode": np.array([str(number) for number in range(shape[0])], object),
            "cell": np.array(names, object),
        },
    )


def loadings_of(modes: Loadings) -> Float[np.ndarray, "time mode"]:
    """Loadings `(time, modes)` in float64; raises CodeclensError for what is none."""
    Z = np.asarray(modes.loadings if isinstance(modes, Modes) else modes, np.float64)
    if Z.ndim != 2 or not Z.size or not np.isfinite(Z).all():
        raise CodeclensError(
            f"The loadings have shape {Z.shape}; pass finite ones (time, modes), or Modes."
        )
    return Z


def _standard(values: Float[np.ndarray, "time column"]) -> Float[np.ndarray, "time column"]:
    """Columns of mean 0 and norm 1; NaN where one does not vary."""
    centred = values - values.mean(axis=0)
    norm = np.linalg.norm(centred, axis=0)
    largest = np.abs(values).max(axis=0) * len(values) ** 0.5
    return np.asarray(centred / np.where(norm > 1e-12 * largest, norm, np.nan))
