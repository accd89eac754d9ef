"""Reduction of contributions from positions to units, signs apart."""

from __future__ import annotations

from torch import Tensor


def split_signs(contributions: Tensor) -> tuple[Tensor, Tensor]:
    """Sum the positive and the negative contributions of every unit over its positions.

    Signs are split before the sum, because within one channel excitation at one place and
    suppression at another would cancel: `C⁺_u = Σ_p max(C_{u,p}, 0)` and `C⁻_u = Σ_p min(C_{u,p},
    0)`. Takes `(B, U, P)`, gives two `(B, U)`: the first ≥ 0, the second ≤ 0. (arXiv 2603.06557.)

    >>> import torch
    >>> split_signs(torch.tensor([[[1.0, -2.0, 3.0]]]))
    (tensor([[4.]]), tensor([[-2.]]))
    """
    return contributions.clamp(min=0).sum(dim=2), contributions.clamp(max=0).sum(dim=2)
