"""Changes of receptive fields: which parts of a site carry them, by gain and by gating."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.attribution import Selector
from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError
from codeclens.retina.clips import Cells, cells_of, clips_of
from codeclens.retina.movies import Movie
from codeclens.retina.parts import BYPASS, Found, Parts, Where, named, parts_of
from codeclens.retina.passes import Passage, passes

if TYPE_CHECKING:
    import xarray

Pairs = Sequence[tuple[int, int]] | np.ndarray[Any, Any]
Against = Literal["mean", "previous"]
# A change below this share of the fields, in units of the precision, is rounding.
_ROUNDING = 100


def field_changes(
    model: nn.Module,
    movie: Movie | Tensor,
    pairs: Pairs,
    where: Where,
    found: Found = None,
    *,
    cells: Cells = None,
    history: int | None = None,
    output: Selector = None,
    at_once: int = 16,
) -> xarray.Dataset:
    """Attribute the change of a receptive field between two moments to the parts of a site.

    `pairs` are rows of `model.respond(movie)`, before and after. Part k has the share
    `⟨ΔIRF_k, ΔIRF⟩ / ‖ΔIRF‖²` of the change; shares sum to 1. With `g_k` the part's cotangent at
    the site and `J = ∂a/∂s` each is exactly the sum of `gain`, `Δg · J̄`, a changed use of the unit
    downstream, and `gating`, `ḡ · ΔJ`, a changed drive of it upstream (bars are means of the two
    moments; METHOD.md §7). Since `⟨Jᵀ g_k, d⟩ = ⟨g_k, J d⟩`, all parts together cost two
    derivatives along the change, not a backward each.

    Returns `share`, `gain` and `gating` `(pair, cell, channel | mode)` without unit, and `size`
    `(pair, cell)`, the norm of the change in Hz per unit of the stimulus. Shares are NaN where a
    field does not change, as in linear models; of the part "bypass", which does not pass through
    a site that is no cut, gain and gating are NaN. `where`, `found` and the other arguments are
    those of `field_parts`. Raises CodeclensError as that, and for pairs that are none.

    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Conv2d(5, 3, 3), nn.Softplus(), nn.Flatten(), nn.Linear(48, 2))
    >>> model = nn.Sequential(model, nn.Softplus()).double()
    >>> frames = torch.randn(20, 6, 6, dtype=torch.float64)
    >>> movie = Movie(frames, rate=50.0, pixel=50.0, unit="um")
    >>> changes = field_changes(model, movie, [(0, 7), (3, 4)], "0.1", history=5)
    >>> bool(abs(changes.share.sum("channel") - 1).max() < 1e-9)
    True
    >>> bool(abs(changes.gain + changes.gating - changes.share).max() < 1e-9)
    True
    """
    import xarray

    clips = clips_of(model, movie, None, history)
    both = _pairs(pairs, len(clips))
    site = where.site if isinstance(where, Modes) else where
    parts: Parts | None = None
    kept: list[tuple[np.ndarray[Any, Any], ...]] = []
    with passes(model, clips.windows, site, output) as forward:
        for portion in np.array_split(both, -(-len(both) // max(at_once, 1))):
            before, after = (
                forward(clips.windows[torch.from_numpy(rows)]) for rows in portion.T.copy()
            )
            assert before.activation is not None
            assert forward.site is not None
            if parts is None:
                units = forward.site.units(before.activation.detach()[:1]).shape[1]
                parts = parts_of(model, where, found, forward.site, units, len(clips))
            numbers, names = cells_of(model, cells, before.rates.shape[1])
            divided, divided_after = (parts.rows(rows) for rows in portion.T)
            of_cells = [_of_cell(before, after, divided, divided_after, cell) for cell in numbers]
            kept.append(
                tuple(torch.stack(one, dim=1).cpu().numpy() for one in zip(*of_cells, strict=True))
            )
        assert parts is not None
        part_names, kind = named(parts, forward.is_cut), parts.kind
    gain, gating, square, noise = (np.concatenate(one) for one in zip(*kept, strict=True))
    share = gain + gating
    if BYPASS in part_names:
        rest = square - share.sum(axis=2)
        share = np.concatenate([share, rest[..., None]], axis=2)
        gain, gating = (
            np.concatenate([one, np.full_like(rest, np.nan)[..., None]], axis=2)
            for one in (gain, gating)
        )
    changed = square > np.square(noise)
    by = np.where(changed, square, np.nan)[..., None]
    axes = ("pair", "cell", kind)
    return xarray.Dataset(
        {
            "share": (axes, share / by),
            "gain": (axes, gain / by),
            "gating": (axes, gating / by),
            "size": (axes[:2], np.sqrt(np.where(changed, square, 0))),
        },
        coords={
            "before": ("pair", clips.times[both[:, 0]]),
            "after": ("pair", clips.times[both[:, 1]]),
            "cell": np.array(names, object),
            kind: np.array(part_names, object),
        },
        attrs={"units": "s" if clips.timed else "window"},
    )


def _of_cell(
    before: Passage, after: Passage, divided: Parts, divided_after: Parts, cell: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Products with the change: of the gain and of the gating of each part, and its square."""
    fields = [before.field(cell), after.field(cell)]
    change = fields[1] - fields[0]
    size = torch.stack([one.double().flatten(1).norm(dim=1) for one in fields]).amax(dim=0)
    noise = size * torch.finfo(change.dtype).eps * _ROUNDING
    pushed = [one.push(change) for one in (before, after)]
    mean, difference = (pushed[0] + pushed[1]) / 2, pushed[1] - pushed[0]
    use, use_after = before.gain(cell), after.gain(cell)
    gain = divided_after.sums(use_after * mean) - divided.sums(use * mean)
    gating = (divided_after.sums(use_after * difference) + divided.sums(use * difference)) / 2
    return gain, gating, change.double().flatten(1).square().sum(dim=1), noise


def movie_changes(
    model: nn.Module,
    movie: Movie | Tensor,
    where: Where,
    found: Found = None,
    *,
    against: Against = "mean",
    count: int = 500,
    block: float = 1.0,
    draws: int = 1000,
    seed: int = 0,
    cells: Cells = None,
    history: int | None = None,
    output: Selector = None,
    at_once: int = 16,
) -> xarray.Dataset:
    """Attribute how receptive fields change over a whole movie to the parts of a site.

    Changes are summed before they are divided: `Σ⟨ΔIRF_k, ΔIRF⟩ / Σ‖ΔIRF‖²`. `against="previous"`
    takes successive frames; `"mean"` takes pairs of any two frames, since over all pairs this is
    the share of the variance about the mean field. At most `count` pairs are drawn by `seed` (of
    `"previous"`: spread over the movie). Bounds are 95 % bootstrap intervals from `draws` draws of
    blocks of `block` s, since frames near each other are alike.

    Returns `share`, `gain` and `gating` `(cell, channel | mode)`, their bounds `*_low` and
    `*_high`, and `size` `(cell)`, the root of the mean squared change. Other arguments and errors
    are those of `field_changes`.

    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Conv2d(5, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))
    >>> movie = Movie(torch.randn(60, 6, 6), rate=50.0, pixel=50.0, unit="um")
    >>> found = movie_changes(model, movie, "1", history=5, count=50, block=0.1)
    >>> bool((abs(found.gain) < 1e-5).all())  # only the gates of the ReLU change
    True
    """
    windows = clips_of(model, movie, None, history)
    pairs = _drawn(len(windows), against, count, seed)
    changes = field_changes(
        model,
        movie,
        pairs,
        where,
        found,
        cells=cells,
        history=history,
        output=output,
        at_once=at_once,
    )
    return change_totals(
        changes,
        pairs // max(round(block * windows.rate), 1),
        both=against == "mean",
        draws=draws,
        seed=seed,
    )


def change_totals(
    changes: xarray.Dataset,
    blocks: np.ndarray[Any, Any],
    *,
    both: bool = True,
    draws: int = 1000,
    seed: int = 0,
) -> xarray.Dataset:
    """Sum changes over pairs, with bootstrap intervals; what `movie_changes` returns.

    `blocks` `(pairs, 2)` are the numbers of the blocks of film that the moments lie in; blocks are
    drawn with replacement, and a pair counts as often as its two blocks were drawn, or with
    `both=False` its first.
    """
    import xarray

    size = np.square(changes["size"].to_numpy())
    kind = str(changes.share.dims[-1])
    number, place = np.unique(blocks, return_inverse=True)
    place = place.reshape(blocks.shape)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(len(number), np.full(len(number), 1 / len(number)), size=draws)
    weight = drawn[:, place[:, 0]] * (drawn[:, place[:, 1]] if both else 1)
    found: dict[str, Any] = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        for name in ("share", "gain", "gating"):
            product = np.nan_to_num(changes[name].to_numpy()) * size[..., None]
            missing = changes[name].isnull().all("pair").to_numpy()
            value = _ratio(np.ones((1, len(size))), product, size)[0]
            drawn_values = _ratio(weight.astype(float), product, size)
            # A draw without any change of a cell says nothing about it.
            drawn_values[:, np.isnan(drawn_values).all(axis=0)] = 0
            low, high = np.nanquantile(drawn_values, [0.025, 0.975], axis=0)
            for suffix, values in (("", value), ("_low", low), ("_high", high)):
                found[name + suffix] = (("cell", kind), np.where(missing, np.nan, values))
    found["size"] = (("cell",), np.sqrt(size.mean(axis=0)))
    return xarray.Dataset(found, {name: changes[name] for name in ("cell", kind)})


def _ratio(
    weight: Float[np.ndarray, "draw pair"],
    product: Float[np.ndarray, "pair cell part"],
    size: Float[np.ndarray, "pair cell"],
) -> Float[np.ndarray, "draw cell part"]:
    above, below = np.tensordot(weight, product, axes=1), weight @ size
    return np.asarray(above / np.where(below > 0, below, np.nan)[..., None])


def _pairs(pairs: Pairs, count: int) -> np.ndarray[Any, Any]:
    both = np.asarray(pairs)
    if both.ndim != 2 or both.shape[1] != 2 or not len(both) or both.dtype.kind not in "iu":
        raise CodeclensError(
            f"pairs are {both.dtype} {both.shape}; pass rows before and after, [(0, 7), (3, 4)]."
        )
    if both.min() < 0 or both.max() >= count:
        raise CodeclensError(
            f"pairs go from row {both.min()} to {both.max()}; there are windows 0 to {count - 1}."
        )
    return both.astype(np.int64)


def _drawn(rows: int, against: str, count: int, seed: int) -> np.ndarray[Any, Any]:
    if against not in get_args(Against):
        raise CodeclensError(f'against={against!r} is not known; it is "mean" or "previous".')
    if rows < 2 or count < 1:
        raise CodeclensError(f"Of {rows} windows, {count} pairs cannot be drawn.")
    if against == "previous":
        first = np.unique(np.linspace(0, rows - 2, min(count, rows - 1)).round().astype(np.int64))
        return np.stack([first, first + 1], axis=1)
    every = rows * (rows - 1) // 2
    random = np.random.default_rng(seed)
    chosen = np.arange(every) if every <= count else np.sort(random.choice(every, count, False))
    # The number of a pair in the triangle below the diagonal, row by row.
    later = ((1 + np.sqrt(8.0 * chosen + 1)) / 2).astype(np.int64)
    later -= later * (later - 1) // 2 > chosen
    return np.stack([chosen - later * (later - 1) // 2, later], axis=1)
