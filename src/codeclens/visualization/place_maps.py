"""Place maps: what a mode contributes at each of the site's own places, laid over the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, UInt8

from codeclens.attribution import SiteContributions
from codeclens.decomposition import Modes, division, shares_of
from codeclens.errors import CodeclensError
from codeclens.labelled import Labelled
from codeclens.visualization.overlays import (
    AGAINST,
    FOR,
    Picture,
    as_pixels,
    inked,
    luminance,
)

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.axes import Axes

_HALF = 0.5


@dataclass(frozen=True, eq=False, repr=False)
class PlaceMaps(Labelled):
    """The contribution of modes at every place of a site, in the target's units.

    `values` `(B, M, …)` has the site's own places as its last axes: rows and columns of a feature
    map, or tokens. They sum to the contribution of the mode in that sample. `modes` holds the M
    numbers; K, the number of modes, stands for the remainder that no mode explains.
    """

    site: str
    modes: tuple[int, ...]
    values: Float[np.ndarray, "sample mode *place"]

    @property
    def grid(self) -> tuple[int, ...]:
        """The number of rows and columns, or of tokens."""
        return self.values.shape[2:]

    @property
    def contribution(self) -> Float[np.ndarray, "sample mode"]:
        """The sum over places."""
        return np.asarray(self.values.sum(axis=tuple(range(2, self.values.ndim))))

    def of(self, sample: int, mode: int) -> Float[np.ndarray, "*place"]:
        """One map; raises CodeclensError where there is none of that mode."""
        if mode not in self.modes:
            raise CodeclensError(f'There is no place map of mode {mode} of "{self.site}".')
        return np.asarray(self.values[sample, self.modes.index(mode)])

    def to_xarray(self) -> xarray.Dataset:
        """The maps, by sample, mode and place."""
        import xarray

        places = ["row", "column"] if len(self.grid) == 2 else [
            f"place_{axis}" for axis in range(len(self.grid))
        ]  # fmt: skip
        return xarray.Dataset(
            {"contribution": (("sample", "mode", *places), self.values)},
            coords={"mode": list(self.modes)},
            attrs={"site": self.site},
        )

    def to_dataframe(self) -> pandas.DataFrame:
        """For each sample and mode the contribution, and the place where it is largest."""
        import pandas

        rows = []
        for sample, maps in enumerate(self.values):
            for mode, values in zip(self.modes, maps, strict=True):
                place = np.unravel_index(int(np.abs(values).argmax()), values.shape)
                where = ", ".join(str(int(i)) for i in place)
                rows.append(
                    {"sample": sample, "mode": mode, "contribution": float(values.sum()),
                     "largest_at": where, "there": float(values[place])}
                )  # fmt: skip
        return pandas.DataFrame(rows)

    def title(self) -> str:
        """The site and the places."""
        grid = " × ".join(str(size) for size in self.grid) or "no"
        return f'Place maps of {len(self.modes)} modes of "{self.site}", {grid} places'


def place_maps(
    modes: Modes,
    found: SiteContributions | Mapping[str, SiteContributions],
    which: Sequence[int] | None = None,
) -> PlaceMaps:
    """The contribution of modes at each place of their site: it costs no further pass.

    `found` is what `contributions(model, x, sites=…, reduce=None)` gives. Of what a unit
    contributes at a place a mode has the unit's share (`mode_shares`), for each sign. Summed over
    places this is the mode's contribution. `which` are numbers of modes, K for the remainder; all
    of them, with the remainder, unless given.

    Raises CodeclensError for contributions that are summed over positions, and for a mode that does
    not exist.

    >>> import torch
    >>> from codeclens import contributions
    >>> from codeclens.decomposition import NMF
    >>> _ = torch.manual_seed(0)
    >>> layers = [torch.nn.Conv2d(1, 6, 3), torch.nn.ReLU(), torch.nn.Flatten()]
    >>> model = torch.nn.Sequential(*layers, torch.nn.Linear(96, 3))
    >>> found = contributions(model, torch.rand(20, 1, 6, 6), sites="1", reduce=None)
    >>> positive = found["1"].positive
    >>> modes = Modes("1", "positive", (nmf := NMF(n_modes=3).fit(positive)), nmf.encode(positive))
    >>> maps = place_maps(modes, found)
    >>> maps.values.shape
    (20, 4, 4, 4)
    >>> bool(np.allclose(maps.contribution.sum(axis=1), found["1"].net.sum(dim=1), atol=1e-5))
    True
    """
    here = found[modes.site] if isinstance(found, Mapping) else found
    numbers = mode_numbers(modes, range(len(modes) + 1) if which is None else which)
    shared = division(shares_of(modes, here, most=len(modes)).only(numbers), here)
    assert here.full is not None
    units = here.site.units(here.full).detach().cpu().double().numpy()
    shares = (shared.positive.cpu().double().numpy(), shared.negative.cpu().double().numpy())
    values = np.einsum("bmu,bup->bmp", shares[0], np.maximum(units, 0))
    values += np.einsum("bmu,bup->bmp", shares[1], np.minimum(units, 0))
    grid = here.site.grid(here.full)
    return PlaceMaps(modes.site, tuple(numbers), values.reshape(*values.shape[:2], *grid))


def mode_numbers(modes: Modes, which: Sequence[int]) -> list[int]:
    """The numbers of modes as integers, K for the remainder; raises CodeclensError for others."""
    odd = [one for one in which if not isinstance(one, int | np.integer) or isinstance(one, bool)]
    if odd:
        raise CodeclensError(
            f"{odd[0]!r} is not a mode; pass the numbers of modes, for example [0]."
        )
    strange = [number for number in which if not 0 <= number <= len(modes)]
    if strange:
        raise CodeclensError(
            f'There is no mode {strange[0]} at "{modes.site}": it has {len(modes)} modes (0 to '
            f"{len(modes) - 1}; use {len(modes)} for the remainder)."
        )
    return [int(number) for number in which]


def as_plane(values: Float[np.ndarray, "*place"]) -> Float[np.ndarray, "row column"] | None:
    """A map as rows and columns, as far as its places lie in the picture; None where they do not.

    Tokens are laid out as a square; one more than a square is a class token, which comes first and
    lies nowhere in the picture.

    >>> as_plane(np.ones(17)).shape, as_plane(np.ones((3, 4))).shape, as_plane(np.ones(3))
    ((4, 4), (3, 4), None)
    """
    if values.ndim == 2:
        return values
    for first in (0, 1):
        side = math.isqrt(max(values.size - first, 0))
        if values.ndim == 1 and side > 1 and side**2 == values.size - first:
            return values[first:].reshape(side, side)
    return None


def spread(
    values: Float[np.ndarray, "row column"], shape: Sequence[int]
) -> Float[np.ndarray, "height width"]:
    """A map of places as a smooth density over the pixels of a picture, with the same sum.

    Each place becomes a cubic B-spline about its centre; what would lie outside the picture is
    mirrored at its border.

    >>> density = spread(np.array([[1.0, 0.0], [0.0, -2.0]]), (8, 12))
    >>> density.shape, round(float(density.sum()), 12)
    ((8, 12), -1.0)
    """
    across = [_splines(size, places) for size, places in zip(shape[:2], values.shape, strict=True)]
    return np.asarray(across[0] @ values @ across[1].T)


def _splines(size: int, places: int) -> Float[np.ndarray, "pixel place"]:
    """How each place spreads over the pixels of one axis; columns sum to 1."""
    at = (np.arange(size) + 0.5) * places / size - 0.5
    matrix = np.zeros((size, places))
    for place in range(-2, places + 2):
        distance = np.abs(at - place)
        weight = np.where(
            distance < 1,
            2 / 3 - distance**2 + distance**3 / 2,
            np.clip(2 - distance, 0, None) ** 3 / 6,
        )
        mirrored = place % (2 * places)
        matrix[:, min(mirrored, 2 * places - 1 - mirrored)] += weight
    return np.asarray(matrix / matrix.sum(axis=0))


def half_level(density: Float[np.ndarray, "height width"], share: float = _HALF) -> float:
    """The level above which a density ≥ 0 holds a share of its sum; NaN where it is 0 everywhere.

    >>> half_level(np.array([[4.0, 3.0], [2.0, 1.0]]))
    3.0
    """
    if not 0 < share < 1:
        raise CodeclensError(f"share (={share}) must lie between 0 and 1.")
    values = np.sort(np.maximum(density, 0), axis=None)[::-1]
    held = values.cumsum()
    if not held.size or held[-1] <= 0:
        return float("nan")
    return float(values[int(np.searchsorted(held, share * held[-1] * (1 - 1e-12)))])


def region(
    density: Float[np.ndarray, "height width"], share: float = _HALF
) -> Bool[np.ndarray, "height width"]:
    """The smallest region that holds a share of what a mode adds to the target, or takes from it.

    Of a density whose sum is below 0 the part below 0 counts.

    >>> region(np.array([[4.0, 3.0], [2.0, 1.0]])).tolist()
    [[True, True], [False, False]]
    """
    signed = density if density.sum() >= 0 else -density
    level = half_level(signed, share)
    return np.asarray(signed >= level) if level > 0 else np.zeros(signed.shape, bool)


def place_overlay(
    picture: Picture, density: Float[np.ndarray, "height width"], scale: float
) -> UInt8[np.ndarray, "height width 3"]:
    """A picture, pale and grey, with the density in colour: orange adds, blue takes away.

    Full colour stands for `scale`, the contribution of a pixel. Inside the region that holds half
    of the contribution the picture keeps its own colours.
    """
    pixels = as_pixels(picture)
    if density.shape != pixels.shape[:2]:
        raise CodeclensError(
            f"The picture has {pixels.shape[0]} × {pixels.shape[1]} pixels and the map "
            f"{density.shape[0]} × {density.shape[1]}; spread the map over the picture's shape."
        )
    grey = np.repeat((0.42 + 0.5 * luminance(pixels))[:, :, None], 3, axis=2)
    inside = region(density)[:, :, None]
    shown = np.where(inside, pixels, grey)
    strength = np.clip(np.abs(density) / scale, 0, 1) if scale > 0 else np.zeros(density.shape)
    opacity = (np.where(inside[:, :, 0], 0.3, 0.62) * strength**0.8)[:, :, None]
    colour = np.where((density >= 0)[:, :, None], np.asarray(FOR), np.asarray(AGAINST))
    mixed = (1 - opacity) * shown + opacity * inked(colour, luminance(pixels)[:, :, None])
    return np.asarray(np.round(255 * np.clip(mixed, 0, 1)).astype(np.uint8))


def draw_places(
    axes: Axes,
    picture: Picture,
    values: Float[np.ndarray, "row column"],
    scale: float,
    *,
    width: float = 1.1,
) -> None:
    """Draw a place map into axes: the overlay, and the outline of the region that holds half."""
    density = spread(values, as_pixels(picture).shape)
    axes.imshow(place_overlay(picture, density, scale))
    axes.axis("off")
    signed = density if density.sum() >= 0 else -density
    level = half_level(signed)
    if level > 0 and signed.max() > level > signed.min():
        colour = FOR if density.sum() >= 0 else AGAINST
        axes.contour(signed, levels=[level], colors=["white"], linewidths=2.2 * width)
        axes.contour(signed, levels=[level], colors=[colour], linewidths=width)


def common_place_scale(
    maps: Sequence[Float[np.ndarray, "row column"]], shape: Sequence[int]
) -> float:
    """The contribution of a pixel that full colour stands for, so that several maps compare."""
    return max((float(np.abs(spread(values, shape)).max()) for values in maps), default=0.0)
