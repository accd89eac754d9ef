"""Evaluation: how well predicted rates agree with recorded ones."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def correlation(
    predicted: Float[Tensor, "time cell"], measured: Float[Tensor, "time cell"]
) -> Float[Tensor, " cell"]:
    """Pearson's r of each column; NaN where one of the two is constant.

    >>> correlation(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[1.0], [3.0], [5.0]]))
    tensor([1.], dtype=torch.float64)
    """
    ours, theirs = (x.double() - x.double().mean(dim=0) for x in (predicted, measured))
    size = (ours.square().sum(dim=0) * theirs.square().sum(dim=0)).sqrt()
    r = (ours * theirs).sum(dim=0) / size
    return torch.where(size > 0, r, torch.full_like(r, torch.nan))
