"""Pixel maps the slow way: one backward pass for each place of each unit.

Nothing here comes from the package. Sites are `(B, U, H, W)` feature maps, or, with
`unit_axis=-1`, token features `(B, T, U)` or plain features `(B, U)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

import reference


def slow_maps(
    model: nn.Module,
    x: Tensor,
    site: str,
    units: Sequence[int],
    *,
    unit_axis: int = 1,
    call: int = 0,
    baseline: float = 0.0,
    class_index: int | None = None,
) -> tuple[Tensor, Tensor]:
    """`Σ J_kp · x` over the places that contribute and over those that count against the target."""
    pairs = [
        _one(model, x[b : b + 1], site, units, unit_axis, call, baseline, class_index)
        for b in range(len(x))
    ]
    return torch.cat([p for p, _ in pairs]), torch.cat([n for _, n in pairs])


def _one(
    model: nn.Module,
    x: Tensor,
    site: str,
    units: Sequence[int],
    unit_axis: int,
    call: int,
    baseline: float,
    class_index: int | None,
) -> tuple[Tensor, Tensor]:
    start = x.detach().clone().requires_grad_()
    met: list[Tensor] = []

    def hook(_module: nn.Module, _args: object, output: Tensor) -> Tensor:
        met.append(output)
        return output.clone()

    handle = model.get_submodule(site).register_forward_hook(hook)
    output = model(start)
    handle.remove()
    activation = met[call]
    chosen = int(output.argmax()) if class_index is None else class_index
    (gradient,) = torch.autograd.grad(output[0, chosen], activation, retain_graph=True)
    count = activation.shape[unit_axis]
    places = torch.movedim(activation, unit_axis, 1).reshape(count, -1)
    slopes = torch.movedim(gradient, unit_axis, 1).reshape(count, -1)
    positive, negative = torch.zeros_like(x), torch.zeros_like(x)
    for k in units:
        for p in range(places.shape[1]):
            (through,) = torch.autograd.grad(places[k, p], start, retain_graph=True)
            pixels = slopes[k, p] * through * (x - baseline)
            contribution = float(pixels.sum())
            if contribution > 0:
                positive += pixels
            elif contribution < 0:
                negative += pixels
    return positive, negative


def slow_path_maps(
    model: nn.Module,
    x: Tensor,
    site: str,
    target: reference.TargetFunction,
    baseline: Tensor,
    nodes: Sequence[float],
    share: Tensor,
) -> tuple[Tensor, Tensor]:
    """What passes from every pixel through a share of every place of a feature map `(B, U, H, W)`.

    The network knows no nonlinearity but ReLU modules. In each segment every ReLU is replaced by
    its secant slope, so that the network is linear, and one backward runs from each place of each
    unit. Signs are kept apart by what the place contributes on the whole path.
    """
    segments = []
    for low, high in pairwise(nodes):
        left, right = (baseline + alpha * (x - baseline) for alpha in (low, high))
        slopes = reference.secant_slopes(model, left, right)
        start = right.detach().clone().requires_grad_()
        value, here, _ = reference.with_slopes(model, start, slopes, (site, site), target)
        (arrived,) = torch.autograd.grad(value.sum(), here, retain_graph=True)
        change = here.detach() - reference.trace(model, left, [site], target).activations[site]
        segments.append((here, start, arrived, change, right - left))
    excites = sum(arrived * change for _, _, arrived, change, _ in segments) > 0
    positive, negative = torch.zeros_like(x), torch.zeros_like(x)
    for here, start, arrived, _, step in segments:
        for place in torch.cartesian_prod(*(torch.arange(size) for size in here.shape)):
            at = tuple(place.tolist())
            (through,) = torch.autograd.grad(here[at], start, retain_graph=True)
            pixels = share[at] * arrived[at] * through * step
            (positive if excites[at] else negative).add_(pixels)
    return positive, negative
