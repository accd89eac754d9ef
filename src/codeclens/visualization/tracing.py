"""Tracing: one forward pass whose graph from the input to a site is kept, for maps of pixels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from codeclens.attribution import Baseline, Selector, Site, Target, frozen, tapped
from codeclens.attribution.baselines import as_baseline
from codeclens.attribution.capture import run, same_randomness
from codeclens.attribution.inputs import require_usable
from codeclens.attribution.targets import Bound, bind
from codeclens.errors import CodeclensError

AnyBaseline = float | Tensor | Baseline

# Relative to the magnitudes of the pixels: a map may differ from the contribution of its places by
# so much before forward and backward mode are taken to disagree.
_ROUNDING = {torch.float64: 1e-6}
_ROUNDING_ELSE = 1e-2


@dataclass
class Tracing:
    """A forward pass at x: a site's activation, its gradient, the contribution of every place.

    `gradient` is ∂T/∂a and `contribution` is `∂T/∂a ⊙ JVP(a; x, direction)`, both in the layout of
    the activation `(B, …)`; `direction` is x − baseline. This object keeps the graph from `start`
    (a copy of x) to `activation`.
    """

    site: Site
    start: Tensor
    direction: Tensor
    activation: Tensor
    gradient: Tensor
    target: Tensor
    contribution: Tensor
    forward_mode: bool

    @property
    def units(self) -> int:
        """How many units the site has."""
        return self.site.units(self.activation.detach()[:1]).shape[1]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the site's activation `(B, …)`."""
        return tuple(self.activation.shape)

    def maps(
        self, masks: Bool[Tensor, "map unit"]
    ) -> tuple[Float[Tensor, "map batch *input"], Float[Tensor, "map batch *input"]]:
        """The maps of the supporting and of the opposing places.

        One pair for each set of units in `masks` `(M, U)`, each `(M, B, …)` with the shape of x.
        """
        positive, negative = [], []
        for mask in masks:
            with torch.inference_mode(False):
                both = [self._map(mask, sign) for sign in (1, -1)]
            if self.forward_mode and not all(agrees for _, agrees in both):
                # Forward mode followed a path that backward mode does not (a part of the model
                # under no_grad, or with its own gradient): the derivative of backward mode counts.
                self.contribution = self.gradient * by_double_backward(self)
                self.forward_mode = False
                return self.maps(masks)
            positive.append(both[0][0])
            negative.append(both[1][0])
        return torch.stack(positive), torch.stack(negative)

    def _map(self, mask: Tensor, sign: int) -> tuple[Tensor, bool]:
        """The map of one sign, and whether it sums to the contribution of its places."""
        flags = mask.to(self.gradient.device)[None, :, None].expand(len(self.gradient), -1, 1)
        chosen = self.site.restore(flags, like=self.activation) & (sign * self.contribution > 0)
        if not chosen.any():
            return torch.zeros_like(self.direction), True
        cotangent = torch.where(chosen, self.gradient, 0)
        (through,) = torch.autograd.grad(self.activation, self.start, cotangent, retain_graph=True)
        pixels = through * self.direction
        wanted = torch.where(chosen, self.contribution, 0).flatten(1).sum(dim=1)
        gap = (pixels.flatten(1).sum(dim=1) - wanted).abs()
        allowed = _ROUNDING.get(pixels.dtype, _ROUNDING_ELSE) * pixels.abs().flatten(1).sum(dim=1)
        return pixels, bool((gap <= allowed).all())


def trace(
    model: nn.Module,
    x: Tensor,
    site: Site,
    *,
    target: Target | Bound,
    baseline: AnyBaseline = 0.0,
    output: Selector = None,
    labels: Tensor | None = None,
) -> Tracing:
    """Run the model once on `x` `(B, …)` and keep what maps through `site` need.

    The derivative of the activation along x is computed in the same pass by forward mode, or by a
    double backward where an operation lacks it. Raises CodeclensError for NaN in the input, and for
    a site that is never reached, is reached several times, or does not depend on the input.

    >>> model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    >>> found = trace(model, torch.ones(2, 4), Site("1"), target=lambda output: output[:, 0])
    >>> found.contribution.shape
    torch.Size([2, 6])
    """
    _require_usable(x)
    # Gradients are needed here, whatever the mode of the caller.
    with torch.inference_mode(False), torch.enable_grad(), frozen(model), _plain_attention():
        direction = _direction(x.detach().clone(), baseline)
        start = x.detach().clone().requires_grad_()
        try:
            forward = _run(model, start, site, output, direction)
        except RuntimeError:
            # An operation lacks forward mode; any other error occurs again.
            forward = _run_without(model, start, site, output)
        value = bind(target, forward.output, labels)(forward.output)
        traced = Tracing(
            site,
            start,
            direction,
            forward.activation,
            gradient=_gradient(value, forward.activation),
            target=value.detach(),
            contribution=torch.zeros(()),
            forward_mode=forward.tangent is not None,
        )
        tangent = by_double_backward(traced) if forward.tangent is None else forward.tangent
        traced.contribution = traced.gradient * tangent
    return traced


def by_double_backward(traced: Tracing) -> Tensor:
    """The derivative of the activation along the direction, without forward mode.

    The vector-Jacobian product is linear in its vector u, `v(u) = Jᵀ u`; the derivative of
    `⟨v(u), direction⟩` with respect to u is the Jacobian-vector product.
    """
    with torch.inference_mode(False), torch.enable_grad():
        vector = torch.zeros_like(traced.activation, requires_grad=True)
        try:
            (pulled,) = torch.autograd.grad(
                traced.activation, traced.start, vector, create_graph=True
            )
            (pushed,) = torch.autograd.grad(pulled, vector, traced.direction)
        except RuntimeError as error:
            raise CodeclensError(
                f'Site "{traced.site.key}" cannot be traced to the input: an operation before it '
                f"has neither a forward-mode nor a second derivative ({error})."
            ) from error
    derivative: Tensor = pushed.detach()
    return derivative


@dataclass
class _Run:
    output: Tensor
    activation: Tensor
    tangent: Tensor | None


def _run(
    model: nn.Module, start: Tensor, site: Site, output: Selector, direction: Tensor | None
) -> _Run:
    met: list[tuple[Tensor, Tensor | None]] = []

    def note(_site: Site, activation: Tensor) -> Tensor:
        # After the site the tangent is not needed.
        primal, tangent = forward_ad.unpack_dual(activation)
        met.append((primal, None if tangent is None else tangent.detach()))
        # The model may change the activation in place afterwards.
        copy: Tensor = primal.clone()
        return copy

    with forward_ad.dual_level(), tapped(model, [site], note), same_randomness(model):
        # A copy, because a model may change its input in place.
        fed = start.clone()
        dual = fed if direction is None else _dual(fed, direction)
        selected = forward_ad.unpack_dual(run(model, dual, output)).primal
    if not met:
        raise CodeclensError(
            f'Site "{site.key}" is not reached when the model runs; choose another module.'
        )
    if len(met) > 1:
        raise CodeclensError(
            f'Site "{site.key}" is reached {len(met)} times in one run; name one call, from '
            f'"{site.key}#0" to "{site.key}#{len(met) - 1}".'
        )
    activation, tangent = met[0]
    if not activation.requires_grad:
        raise CodeclensError(
            f'Site "{site.key}" does not depend on the input, so it has no pixel map; choose '
            "another module."
        )
    if tangent is None and direction is not None:
        tangent = torch.zeros_like(activation)
    return _Run(selected, activation, tangent)


def _run_without(model: nn.Module, start: Tensor, site: Site, output: Selector) -> _Run:
    """The same without forward mode; raises CodeclensError where the model does not run at all."""
    try:
        return _run(model, start, site, output, None)
    except RuntimeError as error:  # torch raises it for wrong shapes, types and devices
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise CodeclensError(
            f"The model does not run on an input of shape {tuple(start.shape)}, {start.dtype} on "
            f"{start.device} (the first axis counts samples; pass x[None] for a single one): "
            f"{reason}"
        ) from error


def _gradient(value: Tensor, activation: Tensor) -> Tensor:
    """∂T/∂a; zero where the target does not depend on the site."""
    if not value.requires_grad:
        return torch.zeros_like(activation)
    (gradient,) = torch.autograd.grad(
        value.sum(), activation, retain_graph=True, materialize_grads=True
    )
    return gradient.detach()


def _dual(primal: Tensor, tangent: Tensor) -> Tensor:
    with warnings.catch_warnings():
        # At first use torch compiles some formulas by functions that it deprecates.
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        dual: Tensor = forward_ad.make_dual(primal, tangent)
    return dual


@contextmanager
def _plain_attention() -> Iterator[None]:
    # Fused attention lacks forward-mode and second derivatives; its plain form has both.
    with sdpa_kernel(SDPBackend.MATH):
        yield


def _direction(x: Tensor, baseline: AnyBaseline) -> Tensor:
    given = as_baseline(baseline)
    if given.draws != 1:
        raise CodeclensError(
            f"{given!r} holds {given.draws} baselines; a pixel map needs one. Pass a number, a "
            "tensor or Blur(), or average several maps."
        )
    start = given.at(x, 0).detach().clone()
    try:
        start = start.to(x).expand_as(x)
    except RuntimeError:
        raise CodeclensError(
            f"The baseline has shape {tuple(start.shape)}, which does not fit inputs of shape "
            f"{tuple(x.shape)}; pass one sample {tuple(x.shape[1:])} or one for each."
        ) from None
    if not torch.isfinite(start).all():
        raise CodeclensError("The baseline holds NaN or infinite values.")
    return x - start


def _require_usable(x: Tensor) -> None:
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim < 2 or not len(x):
        shape = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise CodeclensError(
            f"The input is {shape}; pass a batch (B, …) of floating-point images as a tensor."
        )
    require_usable(x)
