"""Groups of moments: receptive fields while one mode, or one combination of modes, prevails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError
from codeclens.retina.explained import field_products
from codeclens.retina.population import Loadings, loadings_of

if TYPE_CHECKING:
    import xarray

NONE = "none"


def prevailing(modes: Loadings, together: int = 1) -> np.ndarray[Any, Any]:
    """The strongest mode in each frame, or the strongest few `together`, as text `(time,)`.

    Of Modes the strength is what the mode contributes, its loading times the sum of its entries; of
    plain loadings it is the loading. "none" where fewer are above zero.

    >>> prevailing(np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]]), together=2)
    array(['1+2', 'none'], dtype=object)
    """
    Z = loadings_of(modes)
    if not 1 <= together <= Z.shape[1]:
        raise CodeclensError(f"Of {Z.shape[1]} modes, together={together} cannot prevail.")
    if isinstance(modes, Modes):
        Z = Z * np.abs(modes.dictionary).sum(axis=1)
    strongest = np.argsort(-Z, axis=1, kind="stable")[:, :together]
    enough = np.take_along_axis(Z, strongest, axis=1).min(axis=1) > 0
    names = ["+".join(map(str, sorted(row))) for row in strongest.tolist()]
    return np.array(
        [name if one else NONE for name, one in zip(names, enough, strict=True)], object
    )


def grouped_fields(
    fields: xarray.DataArray,
    modes: Loadings,
    *,
    together: int = 1,
    least: int = 5,
    draws: int = 200,
    shortest: int = 50,
    seed: int = 0,
) -> xarray.Dataset:
    """The mean receptive field of every cell while each mode prevails, and how much that tells.

    `fields` is `(time, cell, lag, y, x)`, `modes` are Modes or loadings of the same frames; groups
    are those of `prevailing`, without "none" and those of fewer than `least` frames.

    Returns `field` `(group, cell, lag, y, x)`, `frames` `(group)`, and by cell `between`, the share
    of the variance of the field over the grouped frames that is between groups, with the mean and
    the 97.5 % quantile of `draws` shifts of the groups around the film by `shortest` frames or more
    (`null`, `null_high`): groups differ by chance too. Raises CodeclensError where lengths differ,
    no group is large enough or the film is too short to be shifted.

    >>> import torch
    >>> from codeclens.retina import Movie, receptive_fields
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(5, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(48, 2)
    ... )
    >>> movie = Movie(torch.randn(124, 6, 6), rate=50.0, pixel=50.0, unit="um")
    >>> fields = receptive_fields(model, movie, history=5)
    >>> channels = model[:2](movie.windows(5)).sum((2, 3)).detach().numpy()
    >>> found = grouped_fields(fields, channels)
    >>> found.field.dims, bool((found.between > found.null).all())
    (('group', 'cell', 'lag', 'y', 'x'), True)
    """
    import xarray

    groups = prevailing(modes, together)
    if fields.dims != ("time", "cell", "lag", "y", "x") or len(fields) != len(groups):
        raise CodeclensError(
            f"Fields of {fields.dims} and {len(fields)} frames do not go with loadings of "
            f"{len(groups)}; pass (time, cell, lag, y, x) of the same frames."
        )
    if not 1 <= shortest <= len(groups) // 2:
        raise CodeclensError(
            f"A film of {len(groups)} frames cannot be shifted by {shortest}; pass shortest=… from "
            f"1 to {len(groups) // 2}."
        )
    names, number, size = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
    kept = np.flatnonzero((size >= least) & (names != NONE))
    if not len(kept):
        raise CodeclensError(f"No mode prevails in {least} frames or more; pass fewer as least=…")
    kept = kept[np.argsort(-size[kept], kind="stable")]
    member = number[None] == kept[:, None]
    values = fields.to_numpy()
    mean = np.stack([values[rows].mean(axis=0, dtype=np.float64) for rows in member])
    random = np.random.default_rng(seed)
    shifts = random.integers(shortest, len(groups) - shortest + 1, size=draws)
    # Products of fields are all that the variance between groups needs.
    products = [field_products(one) for one in values.swapaxes(0, 1)]
    between = _between(products, member)
    null = np.stack([_between(products, np.roll(member, shift, axis=1)) for shift in shifts])
    return xarray.Dataset(
        {
            "field": (("group", *fields.dims[1:]), mean, fields.attrs),
            "frames": ("group", member.sum(axis=1)),
            "between": ("cell", between),
            "null": ("cell", null.mean(axis=0)),
            "null_high": ("cell", np.quantile(null, 0.975, axis=0)),
        },
        coords={"group": names[kept].astype(object)}
        | {name: fields[name] for name in fields.dims[1:] if name in fields.coords},
    )


def _between(
    products: list[Float[np.ndarray, "time time2"]], member: np.ndarray[Any, Any]
) -> Float[np.ndarray, " cell"]:
    """The share of the variance over the members' frames that is between groups, by cell."""
    used = member.any(axis=0)
    total = used.sum()
    share = []
    for product in products:
        mean = product[np.ix_(used, used)].sum() / total
        within = sum(product[np.ix_(rows, rows)].sum() / rows.sum() for rows in member)
        variance = np.diag(product)[used].sum() - mean
        known = variance > 1e-12 * np.diag(product)[used].sum()
        share.append((within - mean) / variance if known else np.nan)
    return np.array(share)
