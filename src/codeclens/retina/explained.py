"""How much of the change of receptive fields loadings explain, on film that is held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int64

from codeclens.errors import CodeclensError
from codeclens.retina.splits import Split

if TYPE_CHECKING:
    import xarray

Products = Float[np.ndarray, "time time2"]
BASELINES = ("static field", "gain by the rate", "rate", "gain, known")
# Penalties in units of the number of frames, for predictors of variance 1.
PENALTIES = tuple(float(10.0**power) for power in range(-5, 3))
_FOLDS = 4
# Pixels that are held in float64 at once.
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
    """Predict receptive fields from loadings, and from less, and score that on held-out film.

    `fields` is `(time, cell, lag, y, x)`, `rates` `(time, cell)` in Hz; `predictors` are, by name,
    loadings `(time, columns)` of modes whose dictionary was learned from `split.train` alone. Each
    predicts the whole field by ridge regression, its penalty chosen within the training frames.
    Beside them stand: the static field (the mean over training frames); this field times a gain
    that the rate gives (a straight line); a field that is a straight line of the rate; and the
    static field times the best gain for each held-out frame, which no predictor could know ("gain,
    known": the most that any scalar gain can do).

    Returns by `predictor` and `cell` `r2`, the share of the squared change about the static field
    that is explained (0 for the static field itself), with 95 % bounds from `draws` draws of the
    held-out blocks; `power`, the share of the squared field; `ahead`, how far `r2` is above that of
    `against`, with bounds from the same draws; the number of `columns` and the `penalty`. A field
    that never changes has r2 NaN. Raises CodeclensError where lengths differ or a name is taken.

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
    >>> bool((table.r2.sel(predictor="gates") > 0.5).all())  # they are all that changes
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
        # All that follows are products of fields: the fields themselves are not needed again.
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
    """Inner products `(N, N)` of fields `(N, …)`, in float64, some pixels at a time."""
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
    """The squared errors of a ridge regression of fields on columns, from the fields' products.

    `products` `(N, N)` are the inner products of what is predicted. Columns are brought to variance
    1 on the training rows, and an intercept is not penalised; `penalty` is in units of the number
    of training rows (scikit-learn's `alpha` divided by it).
    """
    mean, scale = columns[train].mean(axis=0), columns[train].std(axis=0)
    # The deviation of a constant is a rounding, and no more than that is known of it.
    varies = scale > 1e-12 * np.abs(columns[train]).max(axis=0, initial=0)
    scaled = np.where(varies, (columns - mean) / np.where(varies, scale, 1), 0)
    count = len(train)
    left, size, right = np.linalg.svd(scaled[train], full_matrices=False)
    # Directions that are rounding alone would be divided by themselves where nothing is penalised.
    size = np.where(size > 1e-10 * max(size.max(initial=0), 1e-300), size, 0)
    shrunk = np.where(size > 0, size / np.where(size > 0, size**2 + penalty * count, 1), 0)
    # Each prediction is a mixture of the training fields, in this basis.
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
    """`‖Y_t − q_t Bᵀ Y_train‖²` for each held-out field, from products of fields alone."""
    with_held = basis.T @ products[np.ix_(train, held_out)]
    within = basis.T @ products[np.ix_(train, train)] @ basis
    error = np.diag(products)[held_out] - 2 * np.einsum("tb,bt->t", mixture, with_held)
    return np.asarray(np.maximum(error + np.einsum("tb,bc,tc->t", mixture, within, mixture), 0))


def _baselines(
    products: Products, rate: Float[np.ndarray, " time"], split: Split
) -> Float[np.ndarray, "baseline held"]:
    """The squared errors of `BASELINES`, in their order."""
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
    """The penalty that does best on stretches of the training frames that are held out in turn."""
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
    """Scores over all held-out frames, and their bounds over drawn blocks."""
    number = np.unique(split.block)
    member = split.block[None] == number[:, None]
    random = np.random.default_rng(seed)
    drawn = random.multinomial(len(number), np.full(len(number), 1 / len(number)), size=draws)
    weight = np.concatenate([np.ones((1, len(number))), drawn]) @ member
    above = np.einsum("dt,pct->dpc", weight, errors)
    # What is left of a field that never changes is rounding.
    still = errors[0].sum(axis=1) <= 1e-12 * squares.sum(axis=1)
    below = np.where(still, np.nan, above[:, :1])
    r2 = 1 - above / np.where(below > 0, below, np.nan)
    ahead = r2 - r2[:, reference : reference + 1]
    power = 1 - above[0] / np.where(squares.sum(axis=1) > 0, squares.sum(axis=1), np.nan)
    found: dict[str, Any] = {"power": (("predictor", "cell"), power)}
    for name, values in (("r2", r2), ("ahead", ahead)):
        known = np.where(np.isnan(values).all(axis=0), 0, values)
        bounds = np.nanquantile(known[1:], [0.025, 0.975], axis=0)
        low, high = np.where(np.isnan(values[0]), np.nan, bounds)
        for suffix, part in (("", values[0]), ("_low", low), ("_high", high)):
            found[name + suffix] = (("predictor", "cell"), part)
    return found


def _require(
    fields: xarray.DataArray,
    rates: np.ndarray[Any, Any],
    columns: Mapping[str, np.ndarray[Any, Any]],
    split: Split,
    against: str,
) -> None:
    if fields.dims != ("time", "cell", "lag", "y", "x"):
        raise CodeclensError(f"Fields are (time, cell, lag, y, x); these have {fields.dims}.")
    if rates.shape != fields.shape[:2]:
        raise CodeclensError(
            f"The rates have shape {rates.shape} for fields of {fields.shape[:2]} times and cells."
        )
    for name, values in columns.items():
        if name in BASELINES:
            raise CodeclensError(f'"{name}" is the name of a baseline; give another.')
        if values.ndim != 2 or len(values) != len(fields):
            raise CodeclensError(
                f'"{name}" has shape {values.shape}; pass ({len(fields)}, columns), a row for '
                "each field."
            )
        if not np.isfinite(values).all():
            raise CodeclensError(f'"{name}" holds NaN or infinity.')
    if against not in (*BASELINES, *columns):
        raise CodeclensError(f'against="{against}" is none of {", ".join((*BASELINES, *columns))}.')
    if max(split.train.max(), split.held_out.max()) >= len(fields):
        raise CodeclensError(f"The split names frames beyond the {len(fields)} fields.")
