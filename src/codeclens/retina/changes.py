"""Changes of receptive fields: attributed to parts of a site, and predicted from loadings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from codeclens.attribution import Selector
from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError, require_number, unknown, wrong_shape
from codeclens.retina.movies import Movie
from codeclens.retina.passes import (
    BYPASS,
    Cells,
    ForwardPass,
    Found,
    Parts,
    Where,
    cells_of,
    clips_of,
    named,
    part_kinds,
    parts_of,
    passes,
)
from codeclens.retina.splits import Split, block_draws, with_bounds

if TYPE_CHECKING:
    import xarray


Pairs = Sequence[tuple[int, int]] | np.ndarray[Any, Any]
Against = Literal["mean", "previous"]
# A change below this many units of precision of the fields is rounding.
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
    the site and `J = ∂a/∂s` each is exactly the sum of `gain`, `Δg · J̄`, the change of the effect
    of the unit downstream, and `gating`, `ḡ · ΔJ`, the change of its input upstream (bars are means
    of the two moments; method.md §7). Since `⟨Jᵀ g_k, d⟩ = ⟨g_k, J d⟩`, all parts together cost two
    derivatives along the change, not one backward pass each.

    Returns `share`, `gain` and `gating` `(pair, cell, channel | mode)` without unit, and `size`
    `(pair, cell)`, the norm of the change in Hz per unit of the stimulus. Shares are NaN where a
    field does not change, as in linear models. Gain and gating of the part "bypass", the paths that
    avoid the site, are NaN. `where`, `found`, the other arguments and the errors are those of
    `field_parts`; raises CodeclensError also for pairs that are not rows.

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
            "part": (kind, part_kinds(part_names, kind)),
        },
        attrs={"units": "s" if clips.timed else "window"},
    )


def _of_cell(
    before: ForwardPass, after: ForwardPass, divided: Parts, divided_after: Parts, cell: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Inner products of each part's gain and gating with the change, and the squared change."""
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
    """Attribute the changes of receptive fields over a whole movie to the parts of a site.

    Changes are summed before the division: `Σ⟨ΔIRF_k, ΔIRF⟩ / Σ‖ΔIRF‖²`. `against="previous"`
    compares successive frames, spread evenly over the movie; `"mean"` compares pairs of any two
    frames, drawn by `seed`: over all pairs this is the share of the variance about the mean field.
    At most `count` pairs are used. Bounds are 95 % bootstrap intervals from `draws` samples of
    blocks of `block` s, since neighbouring frames are similar.

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
        pairs // max(round(block * windows.sampling.rate), 1),
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
    """Sum changes over pairs, with bootstrap intervals: the result of `movie_changes`.

    `blocks` `(pairs, 2)` are the numbers of the blocks of film that contain the moments. Blocks are
    drawn with replacement; the weight of a pair is the product of the counts of its two blocks, or
    with `both=False` the count of its first.
    """
    import xarray

    size = np.square(changes["size"].to_numpy())
    kind = str(changes.share.dims[-1])
    number, place = np.unique(blocks, return_inverse=True)
    place = place.reshape(blocks.shape)
    drawn = block_draws(len(number), draws, seed)
    weight = drawn[:, place[:, 0]] * (drawn[:, place[:, 1]] if both else 1)
    found: dict[str, Any] = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        for name in ("share", "gain", "gating"):
            product = np.nan_to_num(changes[name].to_numpy()) * size[..., None]
            missing = changes[name].isnull().all("pair").to_numpy()
            value = _ratio(np.ones((1, len(size))), product, size)[0]
            value = np.where(missing, np.nan, value)
            found |= with_bounds(name, ("cell", kind), value, _ratio(weight, product, size))
    found["size"] = (("cell",), np.sqrt(size.mean(axis=0)))
    return xarray.Dataset(found, {name: changes[name] for name in ("cell", kind, "part")})


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
        raise unknown("reference", against, get_args(Against))
    require_number("count", count, least=1, whole=True, hint="pairs")
    if rows < 2:
        raise CodeclensError("A single window has no pairs; pass a longer movie.")
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


Products = Float[np.ndarray, "time time2"]
BASELINES = ("static field", "gain by the rate", "rate", "gain, known")
# Penalties a training frame, for predictors of variance 1.
PENALTIES = tuple(float(10.0**power) for power in range(-5, 3))
_FOLDS = 4
# The number of pixels converted to float64 at once.
_AT_ONCE = 8192


def variance_explained(
    fields: xarray.DataArray,
    rates: Float[np.ndarray, "time cell"],
    predictors: Mapping[str, np.ndarray[Any, Any]],
    split: Split,
    *,
    against: str = "rate",
    penalties: tuple[float, ...] = PENALTIES,
    draws: int = 1000,
    seed: int = 0,
) -> xarray.Dataset:
    """Predict receptive fields from loadings and from baselines, scored on held-out film.

    `fields` is `(time, cell, lag, y, x)`, `rates` `(time, cell)` in Hz; `predictors` are, by name,
    loadings `(time, columns)` of modes whose dictionary was learned from `split.train` alone. Each
    predicts the whole field by ridge regression, with a penalty chosen within the training frames.
    The baselines are the static field (the mean over training frames); the static field times a
    gain that is linear in the rate; a field that is linear in the rate; and the static field times
    the best gain for each held-out frame ("gain, known"), an upper bound for any scalar gain.

    Returns by `predictor` and `cell` `r2`, the explained share of the squared change about the
    static field (0 for the static field itself), with 95 % bounds from `draws` samples of the
    held-out blocks; `power`, the explained share of the squared field; `ahead`, `r2` minus that of
    `against`, with bounds from the same samples; the number of `columns`, and the `penalty`. A
    field that never changes has r2 NaN. Raises CodeclensError where lengths differ or a name is
    that of a baseline.

    >>> import torch
    >>> from codeclens.retina import Movie, held_out_blocks, receptive_fields
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(5, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(48, 2)
    ... )
    >>> movie = Movie(torch.randn(104, 6, 6), rate=50.0, pixel=50.0, unit="um")
    >>> fields = receptive_fields(model, movie, history=5)
    >>> gates = (model[0](movie.windows(5)).flatten(1) > 0).numpy()
    >>> rates = model(movie.windows(5)).detach().numpy()
    >>> split = held_out_blocks(100, gap=4, blocks=4)
    >>> table = variance_explained(fields, rates, {"gates": gates}, split)
    >>> bool((table.r2.sel(predictor="gates") > 0.5).all())  # only the gates change
    True
    """
    import xarray

    columns = {name: np.asarray(values, np.float64) for name, values in predictors.items()}
    _require(fields, rates, columns, split, against)
    names = [*BASELINES, *columns]
    cells = fields.cell.to_numpy()
    shape = (len(names), len(cells))
    errors = np.zeros((*shape, len(split.held_out)))
    squares = np.zeros((len(cells), len(split.held_out)))
    penalty = np.full(shape, np.nan)
    for number in range(len(cells)):
        # Everything below depends only on the inner products of fields.
        products = field_products(fields[:, number].to_numpy())
        squares[number] = np.diag(products)[split.held_out]
        rate = np.asarray(rates, np.float64)[:, number]
        errors[:4, number] = _baselines(products, rate, split)
        for row, values in enumerate(columns.values(), start=len(BASELINES)):
            penalty[row, number] = _best_penalty(products, values, split.train, penalties)
            errors[row, number] = ridge_errors(
                products, values, split.train, split.held_out, penalty[row, number]
            )
    return xarray.Dataset(
        _scores(errors, squares, split, names.index(against), draws, seed)
        | {
            "penalty": (("predictor", "cell"), penalty),
            "columns": ("predictor", [0, 1, 1, 1, *(v.shape[1] for v in columns.values())]),
        },
        coords={"predictor": np.array(names, object), "cell": cells},
        attrs={"against": against},
    )


def field_products(fields: np.ndarray[Any, Any]) -> Products:
    """Inner products `(N, N)` of fields `(N, …)` in float64, a block of pixels at a time."""
    flat = fields.reshape(len(fields), -1)
    products = np.zeros((len(flat), len(flat)))
    for start in range(0, flat.shape[1], _AT_ONCE):
        part = flat[:, start : start + _AT_ONCE].astype(np.float64)
        products += part @ part.T
    return products


def ridge_errors(
    products: Products,
    columns: Float[np.ndarray, "time column"],
    train: Int64[np.ndarray, " trained"],
    held_out: Int64[np.ndarray, " held"],
    penalty: float,
) -> Float[np.ndarray, " held"]:
    """The squared errors of a ridge regression of fields on columns.

    `products` `(N, N)` are the inner products of the fields. Columns are scaled to variance 1 on
    the training rows, and the intercept is not penalised; `penalty` is scikit-learn's `alpha`
    divided by the number of training rows.
    """
    mean, scale = columns[train].mean(axis=0), columns[train].std(axis=0)
    # The standard deviation of a constant column is rounding.
    varies = scale > 1e-12 * np.abs(columns[train]).max(axis=0, initial=0)
    scaled = np.where(varies, (columns - mean) / np.where(varies, scale, 1), 0)
    count = len(train)
    left, size, right = np.linalg.svd(scaled[train], full_matrices=False)
    # Singular values that are rounding count as zero, which matters without a penalty.
    size = np.where(size > 1e-10 * max(size.max(initial=0), 1e-300), size, 0)
    shrunk = np.where(size > 0, size / np.where(size > 0, size**2 + penalty * count, 1), 0)
    # Each prediction is a mixture of training fields in this basis.
    basis = np.concatenate([np.full((count, 1), count**-0.5), left], axis=1)
    mixture = scaled[held_out] @ right.T * shrunk
    mixture = np.concatenate([np.full((len(held_out), 1), count**-0.5), mixture], axis=1)
    return _errors(products, basis, mixture, train, held_out)


def _errors(
    products: Products,
    basis: Float[np.ndarray, "trained base"],
    mixture: Float[np.ndarray, "held base"],
    train: Int64[np.ndarray, " trained"],
    held_out: Int64[np.ndarray, " held"],
) -> Float[np.ndarray, " held"]:
    """`‖Y_t − q_t Bᵀ Y_train‖²` for each held-out field, from inner products of fields."""
    with_held = basis.T @ products[np.ix_(train, held_out)]
    within = basis.T @ products[np.ix_(train, train)] @ basis
    error = np.diag(products)[held_out] - 2 * np.einsum("tb,bt->t", mixture, with_held)
    return np.asarray(np.maximum(error + np.einsum("tb,bc,tc->t", mixture, within, mixture), 0))


def _baselines(
    products: Products, rate: Float[np.ndarray, " time"], split: Split
) -> Float[np.ndarray, "baseline held"]:
    """The squared errors of `BASELINES`, in order."""
    train, held_out = split.train, split.held_out
    flat = np.full((len(train), 1), 1 / len(train))
    static = _errors(products, flat, np.ones((len(held_out), 1)), train, held_out)
    with_static = products[:, train].mean(axis=1)
    size = with_static[train].mean()
    gain = with_static / size if size > 0 else np.ones(len(products))
    spread = rate[train] - rate[train].mean()
    slope = spread @ gain[train] / max(spread @ spread, 1e-300)
    by_rate = gain[train].mean() + slope * (rate[held_out] - rate[train].mean())
    return np.stack(
        [
            static,
            _errors(products, flat, by_rate[:, None], train, held_out),
            ridge_errors(products, rate[:, None], train, held_out, 0.0),
            _errors(products, flat, gain[held_out][:, None], train, held_out),
        ]
    )


def _best_penalty(
    products: Products,
    columns: Float[np.ndarray, "time column"],
    train: Int64[np.ndarray, " trained"],
    penalties: tuple[float, ...],
) -> float:
    """The penalty with the least error in cross-validation over stretches of training frames."""
    folds = np.array_split(np.arange(len(train)), _FOLDS)
    total = [
        sum(
            ridge_errors(products, columns, np.delete(train, fold), train[fold], penalty).sum()
            for fold in folds
        )
        for penalty in penalties
    ]
    return penalties[int(np.argmin(total))]


def _scores(
    errors: Float[np.ndarray, "predictor cell held"],
    squares: Float[np.ndarray, "cell held"],
    split: Split,
    reference: int,
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Scores over all held-out frames, with bounds over samples of blocks."""
    number = np.unique(split.block)
    member = split.block[None] == number[:, None]
    weight = np.concatenate([np.ones((1, len(number))), block_draws(len(number), draws, seed)])
    weight = weight @ member
    above = np.einsum("dt,pct->dpc", weight, errors)
    # The changes of a constant field are rounding.
    still = errors[0].sum(axis=1) <= 1e-12 * squares.sum(axis=1)
    below = np.where(still, np.nan, above[:, :1])
    r2 = 1 - above / np.where(below > 0, below, np.nan)
    ahead = r2 - r2[:, reference : reference + 1]
    power = 1 - above[0] / np.where(squares.sum(axis=1) > 0, squares.sum(axis=1), np.nan)
    found: dict[str, Any] = {"power": (("predictor", "cell"), power)}
    for name, values in (("r2", r2), ("ahead", ahead)):
        found |= with_bounds(name, ("predictor", "cell"), values[0], values[1:])
    return found


def _require(
    fields: xarray.DataArray,
    rates: np.ndarray[Any, Any],
    columns: Mapping[str, np.ndarray[Any, Any]],
    split: Split,
    against: str,
) -> None:
    axes = tuple(dim for dim in fields.dims if dim != "colour")
    if axes != ("time", "cell", "lag", "y", "x"):
        raise CodeclensError(f"Fields are (time, cell, lag, y, x); these have {fields.dims}.")
    if rates.shape != fields.shape[:2]:
        raise wrong_shape("rates", rates.shape, str(fields.shape[:2]), "times and cells of fields")
    for name, values in columns.items():
        if name in BASELINES:
            raise CodeclensError(f'"{name}" is the name of a baseline; choose another.')
        if values.ndim != 2 or len(values) != len(fields):
            raise wrong_shape(name, values.shape, f"({len(fields)}, columns)", "a row a field")
        if not np.isfinite(values).all():
            raise CodeclensError(f'"{name}" holds NaN or infinity.')
    if against not in (*BASELINES, *columns):
        raise unknown("predictor", against, (*BASELINES, *columns))
    if max(split.train.max(), split.held_out.max()) >= len(fields):
        raise CodeclensError(f"The split has frames beyond the {len(fields)} fields.")
