"""Checks of maps: deletion and insertion of pixels, randomised weights, composites of images."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.attribution import Baseline
from codeclens.attribution.baselines import as_baseline
from codeclens.draws import pearson
from codeclens.errors import CodeclensError
from codeclens.labelled import Labelled, labels
from codeclens.visualization.fields import Box

if TYPE_CHECKING:
    import pandas
    import xarray

# From inputs `(B, …)` to a number for each.
Measure = Callable[[Tensor], Tensor]
# Areas are NaN where the ends of a curve differ by less than this share of its range.
_LEAST_SPAN = 0.05
FRACTIONS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


@dataclass(frozen=True, repr=False)
class PixelCurve(Labelled):
    """A quantity measured while more and more pixels are deleted, or inserted.

    `values` `(F, B)` belong to `fractions` `(F,)`. `area` `(B,)` is the area under the curve of
    each sample, scaled so that the input is 1 and the baseline 0. A small area is good for
    deletion, a large one for insertion.
    """

    fractions: Float[np.ndarray, " fraction"]
    values: Float[np.ndarray, "fraction sample"]
    inserted: bool

    @property
    def area(self) -> Float[np.ndarray, " sample"]:
        """The mean height of each curve, with the input at 1 and the baseline at 0.

        NaN where these two differ by less than a twentieth of the curve's range.
        """
        whole, nothing = self.values[0], self.values[-1]
        if self.inserted:
            whole, nothing = nothing, whole
        span = whole - nothing
        least = _LEAST_SPAN * np.ptp(self.values, axis=0)
        span = np.where((span == 0) | (np.abs(span) < least), np.nan, span)
        heights = (self.values - nothing) / span
        middles = (heights[1:] + heights[:-1]) / 2
        return np.asarray((middles * np.diff(self.fractions)[:, None]).sum(axis=0))

    def to_xarray(self) -> xarray.Dataset:
        """The values by fraction and sample, and the area of each sample."""
        import xarray

        return xarray.Dataset(
            {"value": (("fraction", "sample"), self.values), "area": ("sample", self.area)},
            coords={"fraction": self.fractions},
            attrs={"kind": self.title()},
        )

    def to_dataframe(self) -> pandas.DataFrame:
        """For each fraction the median and the quartiles over samples."""
        import pandas

        low, median, high = np.quantile(self.values, [0.25, 0.5, 0.75], axis=1)
        return pandas.DataFrame(
            {"fraction": self.fractions, "median": median, "low": low, "high": high}
        )

    def title(self) -> str:
        """Deletion or insertion, and how many samples."""
        kind = "Insertion" if self.inserted else "Deletion"
        return f"{kind} of pixels, {self.values.shape[1]} samples"


def deletion_curve(
    measure: Measure,
    x: Tensor,
    maps: Tensor,
    *,
    fractions: Sequence[float] = FRACTIONS,
    baseline: float | Tensor | Baseline = 0.0,
    insert: bool = False,
) -> PixelCurve:
    """Delete the pixels of `x` `(B, C, H, W)` in the order of `maps` `(B, H, W)`, largest first.

    Deleted pixels take the values of the `baseline`. With `insert` the curve starts at the baseline
    and pixels of x are inserted. `measure` gives a number for each input, such as the logit of a
    class or the contribution of a mode. Compare only maps that are equally smooth, since scattered
    holes act as noise. (RISE, Petsiuk et al. 2018.)

    Raises CodeclensError for maps of another shape, for NaN in them, and for fractions that do not
    ascend from 0 to 1.

    >>> x = torch.tensor([[[[4.0, 3.0], [2.0, 1.0]]]])
    >>> curve = deletion_curve(lambda x: x.sum((1, 2, 3)), x, x[:, 0], fractions=(0, 0.5, 1))
    >>> curve.values[:, 0].tolist(), curve.area.tolist()
    ([10.0, 3.0, 0.0], [0.4])
    """
    wanted = (len(x), *x.shape[2:])
    if x.ndim != 4 or tuple(maps.shape) != wanted or not torch.isfinite(maps).all():
        raise CodeclensError(
            f"Maps of shape {tuple(maps.shape)} do not order the pixels of {tuple(x.shape)}; pass "
            f"finite ones of shape {wanted}, colours added."
        )
    shares = np.asarray(fractions, np.float64)
    if len(shares) < 2 or shares[0] != 0 or shares[-1] != 1 or not (np.diff(shares) > 0).all():
        raise CodeclensError(f"Fractions ascend from 0 to 1; these are {list(fractions)}.")
    rest = as_baseline(baseline).at(x, 0).to(x).expand_as(x)
    before, after = (rest, x) if insert else (x, rest)
    order = maps.flatten(1).argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=x.device).expand_as(order)
    )
    rank = rank.reshape(len(x), 1, *x.shape[2:])
    values = []
    for share in shares:
        changed = torch.where(rank < round(share * order.shape[1]), after, before)
        values.append(measure(changed).detach().cpu().double().numpy())
    return PixelCurve(shares, np.stack(values), insert)


def side_by_side(left: Tensor, right: Tensor) -> tuple[Tensor, tuple[Box, Box]]:
    """A composite of the middle halves of two images `(B, C, H, W)`, and the box of each.

    >>> both, (first, second) = side_by_side(torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8))
    >>> both[0, 0, 0].tolist(), second
    ([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0], Box(top=0, left=4, bottom=8, right=8))
    """
    if left.shape != right.shape or left.ndim != 4:
        raise CodeclensError(
            f"Images of shapes {tuple(left.shape)} and {tuple(right.shape)} cannot be put side by "
            "side; pass (batch, channels, rows, columns), both alike."
        )
    height, width = left.shape[2:]
    half = width // 2
    start = (width - half) // 2
    parts = left[..., start : start + half], right[..., start : start + width - half]
    return torch.cat(parts, dim=3), (Box(0, 0, height, half), Box(0, half, height, width))


def share_inside(maps: Tensor, box: Box) -> Float[Tensor, " batch"]:
    """The share of a map's magnitude that lies in a box, for each sample of `(B, …, H, W)`.

    Colours are summed before magnitudes are taken. NaN where a map is 0 everywhere.

    >>> share_inside(torch.ones(1, 3, 4, 4), Box(0, 0, 4, 1)).tolist()
    [0.25]
    """
    strengths = (maps.sum(dim=1) if maps.ndim == 4 else maps).abs()
    if strengths.ndim != 3:
        raise CodeclensError(
            f"Maps have shape {tuple(maps.shape)}; pass (batch, rows, columns), or with colours."
        )
    if not isinstance(box, Box):
        raise CodeclensError(
            f"{box!r} is not a box; pass Box(top, left, bottom, right), or one from side_by_side."
        )
    rows, columns = box.slices
    inside: Tensor = strengths[:, rows, columns].sum(dim=(1, 2)) / strengths.sum(dim=(1, 2))
    return inside


# From a network and inputs `(B, …)` to maps `(B, …)`.
MapOf = Callable[[nn.Module, Tensor], Tensor]


@dataclass(frozen=True, repr=False)
class Randomisation(Labelled):
    """Similarity of maps to those of the trained network as more layers are randomised.

    `layers` are in the order of randomisation, from the output to the input. `rank` `(L, B)` is
    Spearman's correlation of the maps' magnitudes over pixels, `linear` Pearson's of the signed
    maps. A map that stays similar does not depend on what the network learned.
    """

    layers: tuple[str, ...]
    rank: Float[np.ndarray, "layer sample"]
    linear: Float[np.ndarray, "layer sample"]

    def to_xarray(self) -> xarray.Dataset:
        """Both correlations by layer and sample."""
        import xarray

        return xarray.Dataset(
            {name: (("layer", "sample"), getattr(self, name)) for name in ("rank", "linear")},
            coords={"layer": labels(self.layers)},
        )

    def to_dataframe(self) -> pandas.DataFrame:
        """For each layer the medians over samples."""
        import pandas

        rank, linear = (np.nanmedian(part, axis=1) for part in (self.rank, self.linear))
        return pandas.DataFrame({"layer": list(self.layers), "rank": rank, "linear": linear})

    def title(self) -> str:
        """What the correlations are."""
        return "Correlation with the maps of the trained network, layers randomised in this order"


def randomised(
    model: nn.Module, layers: Sequence[str] | None = None, *, seed: int = 0
) -> Iterator[tuple[str, nn.Module]]:
    """Randomise the weights of one layer after another, from the output to the input, in a copy.

    The entries of each weight and bias are permuted, which keeps their distribution; normalisation
    layers are not changed. `layers` are names of modules, with all modules inside them (by default
    every convolution and linear layer, the last first). Each step yields the name and the copy, in
    which all earlier layers of the list are randomised too. (Adebayo et al. 2018.)

    Raises CodeclensError for a module that does not exist or has no weights.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> [name for name, _ in randomised(model)]
    ['2', '0']
    """
    mixed = copy.deepcopy(model)
    modules = dict(mixed.named_modules())
    chosen = [n for n, m in modules.items() if _has_weights(m)][::-1] if layers is None else layers
    for name in chosen:
        if name not in modules or not any(_has_weights(m) for m in modules[name].modules()):
            raise CodeclensError(
                f'"{name}" is not a layer with weights; name modules that contain convolutions or '
                "linear layers."
            )
    generator = torch.Generator().manual_seed(seed)
    for name in chosen:
        for module in modules[name].modules():
            if _has_weights(module):
                for parameter in module.parameters(recurse=False):
                    order = torch.randperm(parameter.numel(), generator=generator)
                    with torch.no_grad():
                        flat = parameter.reshape(-1)[order.to(parameter.device)]
                        parameter.copy_(flat.reshape(parameter.shape))
        yield name, mixed


def randomisation_test(
    maps: MapOf,
    model: nn.Module,
    x: Tensor,
    layers: Sequence[str] | None = None,
    *,
    seed: int = 0,
) -> Randomisation:
    """Compare the maps of a trained network with those of the same one, randomised layer by layer.

    `maps` is a function of a network and `x` `(B, …)` that gives maps `(B, …)`. Fix the target in
    it (`target=Output(3)`), since a randomised network predicts another class. Layers and errors
    are those of `randomised`.

    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    >>> def edges(model, x):
    ...     return x.diff(dim=3)
    >>> randomisation_test(edges, model, torch.rand(2, 1, 6, 6)).rank.tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    before = _flat(maps(model, x))
    names, rank, linear = [], [], []
    for name, mixed in randomised(model, layers, seed=seed):
        after = _flat(maps(mixed, x))
        names.append(name)
        pairs = list(zip(before, after, strict=True))
        rank.append([pearson(_ranks(np.abs(a)), _ranks(np.abs(b))) for a, b in pairs])
        linear.append([pearson(a, b) for a, b in pairs])
    shape = (len(names), len(x))
    return Randomisation(
        tuple(names), np.reshape(rank, shape).astype(float), np.reshape(linear, shape).astype(float)
    )


def _has_weights(module: nn.Module) -> bool:
    own = [parameter for parameter in module.parameters(recurse=False) if parameter.ndim > 1]
    return bool(own)


def _flat(maps: Tensor) -> np.ndarray:
    return np.asarray(maps.detach().cpu().double().flatten(1).numpy())


def _ranks(values: np.ndarray) -> np.ndarray:
    from scipy import stats

    return np.asarray(stats.rankdata(values))
