"""Modes by place: contributions of every unit at every place, decomposed with signs apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from codeclens.attribution import SiteContributions
from codeclens.decomposition import Estimator, Modes
from codeclens.decomposition.estimator import Array as Data
from codeclens.decomposition.estimator import Fitted, as_numpy
from codeclens.errors import CodeclensError, require_number, wrong_shape
from codeclens.visualization.canvas import WIDTH, blank, styled

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, repr=False)
class FittedApart(Fitted):
    """Modes of excitation and modes of inhibition, each found by themselves.

    `excitation` and `inhibition` are fits of the two halves of the columns. Loadings are those of
    the excitatory modes and then of the inhibitory ones, and entries of the other sign are zero.
    """

    excitation: Fitted | None = None
    inhibition: Fitted | None = None

    @property
    def dictionary(self) -> Float32[np.ndarray, "mode column"]:
        first, second = (one.dictionary for one in self._halves)
        return np.concatenate(
            [
                np.concatenate([first, np.zeros_like(first)], axis=1),
                np.concatenate([np.zeros_like(second), second], axis=1),
            ]
        )

    @property
    def _halves(self) -> tuple[Fitted, Fitted]:
        assert self.excitation is not None
        assert self.inhibition is not None
        return self.excitation, self.inhibition

    def encode(self, X: Data) -> Float32[np.ndarray, "sample mode"]:
        values = as_numpy(X) if isinstance(X, Tensor) else np.asarray(X)
        columns = self._halves[0].dictionary.shape[1]
        if values.ndim != 2 or values.shape[1] != 2 * columns:
            raise wrong_shape("X", values.shape, f"(samples, {2 * columns})", "both signs")
        parts = np.split(values, 2, axis=1)
        found = [one.encode(part) for one, part in zip(self._halves, parts, strict=True)]
        return np.concatenate(found, axis=1)

    def tensors(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for name, one in zip(("excitation", "inhibition"), self._halves, strict=True):
            found |= {f"{name}.{key}": value for key, value in one.tensors().items()}
        return found


def fit_apart(
    method: Estimator, X: Float[np.ndarray, "sample column"], *, seed: int = 0
) -> FittedApart:
    """Fit excitation and inhibition, the two halves of the columns of `X`, each by itself.

    The modes of `method` are those of each sign. Raises CodeclensError for an odd number of
    columns, and as the method does.

    >>> from codeclens.decomposition import NMF
    >>> X = np.random.default_rng(0).gamma(0.5, size=(40, 6))
    >>> fit_apart(NMF(n_modes=2), X).dictionary.shape
    (4, 6)
    """
    if X.shape[1] % 2:
        raise CodeclensError(f"{X.shape[1]} columns are not two halves of both signs.")
    parts = np.split(X, 2, axis=1)
    first, second = (method.fit(part, seed=seed) for part in parts)
    return FittedApart(
        method, 1.0, X.shape[1] // 2, first.n_dropped + second.n_dropped, float("nan"),
        first.l0 + second.l0, first.held_out_rows, first, second,
    )  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """The units of a site and the shape of its maps, which the columns of modes by place stand for.

    >>> Grid(3, (4, 5)).columns
    60
    """

    units: int
    shape: tuple[int, ...]

    @property
    def columns(self) -> int:
        """The number of pairs of a unit and a place."""
        return self.units * int(np.prod(self.shape, dtype=int))


def place_columns(
    found: Any, site: str, rows: Array | None = None
) -> tuple[Float[np.ndarray, "frame column"], Grid]:
    """Contributions of every unit at every place, excitation and then inhibition, with the grid.

    `found` is the result of `contributions(…, reduce=None)`, or one target of
    `movie_contributions(…, places=True)`. Raises CodeclensError where places were summed.
    """
    import xarray

    if isinstance(found, xarray.Dataset):
        if "contribution" not in found:
            raise CodeclensError(
                "The Dataset has no contributions by place; pass movie_contributions(…, "
                "places=True)."
            )
        here = found.contribution.sel(layer=site).transpose("time", "channel", "row", "column")
        values = here.to_numpy()
        known = ~np.isnan(values).all(axis=0)
        channels = known.any(axis=(1, 2))
        down, across = known.any(axis=(0, 2)), known.any(axis=(0, 1))
        values = values[:, channels][:, :, down][:, :, :, across]
        grid = Grid(values.shape[1], values.shape[2:])
    else:
        one = found[site] if isinstance(found, Mapping) else None
        if not isinstance(one, SiteContributions) or one.full is None:
            raise CodeclensError(
                f'The contributions at "{site}" are summed over places; pass '
                "contributions(…, reduce=None)."
            )
        values = one.site.units(one.full).detach().cpu().numpy()
        grid = Grid(values.shape[1], one.site.grid(one.full))
    flat = values.reshape(len(values), -1).astype(np.float32)
    flat = flat if rows is None else flat[rows]
    return np.concatenate([np.maximum(flat, 0), np.maximum(-flat, 0)], axis=1), grid


def is_by_place(modes: Modes, units: int) -> bool:
    """Whether modes have a column for each place of a site with so many units."""
    return modes.n_units != units and modes.n_units % units == 0 and "grid" in modes.provenance


def mode_maps(modes: Modes) -> xarray.DataArray:
    """The patterns of modes by place as maps `(mode, channel, row, column)`, net of both signs.

    They are the contributions of each unit at each place for a loading of 1. Raises CodeclensError
    for modes that were learned from sums over places.

    >>> import torch
    >>> from codeclens import NMF, Sum, contributions
    >>> from codeclens.retina import held_out_blocks, population_modes
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(),
    ...                           torch.nn.Linear(32, 3))
    >>> found = contributions(net, torch.randn(80, 1, 6, 6), sites="1", target=Sum(), reduce=None)
    >>> modes = population_modes(found, NMF(n_modes=2), held_out_blocks(80), places=True)["1"]
    >>> dict(mode_maps(modes).sizes)
    {'mode': 4, 'channel': 2, 'row': 4, 'column': 4}
    """
    import xarray

    if "grid" not in modes.provenance:
        raise CodeclensError(
            "These modes were learned from sums over places and have no maps; pass places=True to "
            "population_modes."
        )
    units, *shape = modes.provenance["grid"]
    shape = [1] * (2 - len(shape)) + list(shape)
    weights = modes.weights.reshape(len(modes), units, -1, shape[-1])
    return xarray.DataArray(
        weights,
        {"mode": [str(number) for number in range(len(modes))], "channel": np.arange(units)},
        ("mode", "channel", "row", "column"),
    )


def mode_maps_figure(modes: Modes, *, channels: int = 5) -> Figure:
    """Draw modes by place: for each mode the maps of its strongest channels, on one scale a mode.

    Red excites and blue inhibits; titles hold the channel and its share of the mode. Raises
    CodeclensError for modes without maps.

    >>> import torch
    >>> from codeclens import NMF, Sum, contributions
    >>> from codeclens.retina import held_out_blocks, population_modes
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(),
    ...                           torch.nn.Linear(32, 3))
    >>> found = contributions(net, torch.randn(80, 1, 6, 6), sites="1", target=Sum(), reduce=None)
    >>> modes = population_modes(found, NMF(n_modes=2), held_out_blocks(80), places=True)["1"]
    >>> len(mode_maps_figure(modes).axes)
    8
    """
    require_number("channels", channels, least=1, whole=True)
    maps = mode_maps(modes).to_numpy()
    count = min(channels, maps.shape[1])
    with styled():
        figure = blank(min(WIDTH, 0.9 + 1.2 * count), 0.3 + 1.05 * len(maps))
        panels = figure.subplots(len(maps), count, squeeze=False)
        for number, one in enumerate(maps):
            size = np.abs(one).sum(axis=(1, 2))
            limit = np.abs(one).max() or 1.0
            strongest = np.argsort(-size, kind="stable")[:count]
            for axes, channel in zip(panels[number], strongest, strict=True):
                axes.imshow(one[channel], cmap="RdBu_r", vmin=-limit, vmax=limit)
                axes.grid(False)
                axes.set_xticks([])
                axes.set_yticks([])
                share = size[channel] / max(size.sum(), 1e-300)
                axes.set_title(f"{channel}: {share:.0%}", fontweight="normal")
            panels[number, 0].set_ylabel(f"mode {number}")
    return figure


def place_shares(
    modes: Modes, full: Float[Tensor, "frame unit position"]
) -> tuple[Float[Tensor, "frame part unit position"], Float[Tensor, "frame part"]]:
    """The share of every mode, and of the remainder, in each unit at each place, by frame.

    A mode's part of a contribution is its loading times its entry there, and never more than the
    contribution (method.md §4): the share is `l D / max(Σ l D, |x|)`. Also returns the contribution
    of every part.
    """
    flat = full.flatten(1).double().cpu().numpy()
    both = np.concatenate([np.maximum(flat, 0), np.maximum(-flat, 0)], axis=1)
    loadings = modes.encode(both.astype(np.float32)).astype(np.float64)
    dictionary = modes.dictionary.astype(np.float64)
    # Of the two columns of a unit and place, that of the sign which it has.
    halves = np.stack(np.split(dictionary, 2, axis=1))
    shares = np.empty((len(flat), len(modes) + 1, flat.shape[1]))
    for row, (z, x) in enumerate(zip(loadings, flat, strict=True)):
        towards = z[:, None] * np.where(x > 0, halves[0], halves[1])
        whole = np.maximum(towards.sum(axis=0), np.abs(x))
        shares[row, :-1] = towards / np.where(whole > 0, whole, 1)
    left = 1 - shares[:, :-1].sum(axis=1)
    shares[:, -1] = np.where(np.abs(left) < 1e-12, 0, left)
    contribution = np.einsum("tkc,tc->tk", shares, flat)
    at = torch.from_numpy(shares).unflatten(2, tuple(full.shape[1:]))
    return at, torch.from_numpy(contribution)
