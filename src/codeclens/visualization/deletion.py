"""Deletion and insertion: what is left of a number when pixels go, or come, in a map's order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.attribution import Baseline
from codeclens.attribution.baselines import as_baseline
from codeclens.errors import CodeclensError

# From inputs `(B, …)` to a number for each.
Measure = Callable[[Tensor], Tensor]
# Of a curve's range; areas of curves whose ends are nearer are not told.
_LEAST_SPAN = 0.05
FRACTIONS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class PixelCurve:
    """What was measured with a fraction of the pixels deleted, or inserted.

    `values` `(F, B)` belong to `fractions` `(F,)`; `area` `(B,)` is the area under the curve of
    each sample, scaled so that the input is 1 and the baseline 0: small is good for deletion, large
    for insertion.
    """

    fractions: Float[np.ndarray, " fraction"]
    values: Float[np.ndarray, "fraction sample"]
    inserted: bool

    @property
    def area(self) -> Float[np.ndarray, " sample"]:
        """The mean height of each curve, with the input at 1 and the baseline at 0.

        NaN where these differ by less than a twentieth of the curve's range: whatever lies between
        would be divided by next to nothing.
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

    Deleted pixels become those of the `baseline`; with `insert` the baseline is what one begins
    with, and pixels of x come in. `measure` gives a number for each input: a class's logit, or what
    a mode contributes. Maps that shall be compared should be equally smooth, for a network sees
    scattered holes as noise. (RISE, Petsiuk et al. 2018.)

    Raises CodeclensError for maps of another shape, NaN in them, and fractions that do not ascend
    from 0 to 1.

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
