"""Axes: the same network with a site in a rotated basis, such as principal axes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.attribution.capture import frozen, tapped
from codeclens.attribution.inputs import Batch, Inputs, called
from codeclens.attribution.sites import Site, find_sites
from codeclens.errors import CodeclensError, unknown

Axes = Literal["varimax", "principal", "features"] | Tensor
# Images in one forward.
_BATCH = 128
_TURNS = 200


def in_axes(
    model: nn.Module,
    site: str | Site,
    x: Any,
    *,
    axes: Axes = "varimax",
    tokens: Sequence[int] | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
) -> tuple[nn.Module, Site]:
    """A copy of a model in which a site's tokens are written in other units, and that site.

    A residual stream of tokens has no preferred axes, and every feature contributes to every class,
    so neither contributions nor control are sparse in features. The copy rotates the features of
    each token by an orthogonal matrix and back, so it computes the same output (up to rounding).
    The returned site is between the two rotations; its units are the coordinates, relative to each
    token's mean over `x` `(N, …)`: to ablate a unit is to set it to its mean. Model and site can be
    passed to `extract`, `control_curves`, `ablate` and all other functions.

    `axes` are `"principal"` (of the activations of `x`, in order of variance), `"varimax"` (these
    rotated until each is large in few samples and tokens; Kaiser 1958), `"features"` (unchanged,
    only relative to the mean) or an orthogonal matrix `(U, U)` with an axis in each column. No
    labels are used. `tokens` are those that are rotated, `[0]` for a class token in front; the
    others bypass the site, and their contributions are not included. `x` and `model_kwargs` are
    those of `contributions`.

    Raises CodeclensError unless the site is a tensor `(B, tokens, features)` or `(B, features)`,
    for tokens that do not exist, and for a matrix that is not orthogonal.

    >>> _ = torch.manual_seed(0)
    >>> model, x = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 2)), torch.randn(20, 4)
    >>> turned, site = in_axes(model, "1", x)
    >>> site.key, bool(torch.allclose(turned(x), model(x), atol=1e-6))
    ('1.axes', True)
    """
    found = find_sites(model, site)
    place = found[0]
    if len(found) > 1 or place.heads is not None or place.call is not None:
        raise CodeclensError(
            f'"{site}" stands for {len(found)} sites, or for a call or the heads of one; axes are '
            "rotated at the output or input of one module."
        )
    values = _activations(model, place, Inputs.of(x, model_kwargs))
    count, features = values.shape[1:]
    chosen = list(range(count)) if tokens is None else list(tokens)
    if not chosen or not all(0 <= token < count for token in chosen):
        raise CodeclensError(
            f'tokens={tokens} do not exist at site "{place.key}", which has {count}, from 0 on.'
        )
    values = values[:, chosen]
    mean = values.mean(dim=0)
    matrix = _matrix(axes, values - mean, features)
    turned = copy.deepcopy(model)
    module = turned.get_submodule(place.name)
    shown = _Shown(module, place, matrix.to(values), mean, None if tokens is None else chosen)
    owner, _, name = place.name.rpartition(".")
    setattr(turned.get_submodule(owner), name, shown.train(module.training))
    return turned, Site(f"{place.name}.axes", unit_axis=-1)


class _Shown(nn.Module):
    """A module whose output, or input, passes through other units."""

    matrix: Tensor
    mean: Tensor

    def __init__(
        self, module: nn.Module, site: Site, matrix: Tensor, mean: Tensor, tokens: list[int] | None
    ) -> None:
        super().__init__()
        self.module = module
        self.axes = nn.Identity()
        self._port, self._tokens = site.port, tokens
        self.register_buffer("matrix", matrix)
        self.register_buffer("mean", mean)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self._port == "input":
            return self.module(self._through(args[0]), *args[1:], **kwargs)
        return self._through(self.module(*args, **kwargs))

    def _through(self, given: Tensor) -> Tensor:
        if given.ndim == 2:
            return self._turned(given, self.mean[0])
        if self._tokens is None:
            return self._turned(given, self.mean)
        found = self._turned(given[:, self._tokens], self.mean)
        # Out of place, so that it can be differentiated.
        parts = list(given.split(1, dim=1))
        for token, part in zip(self._tokens, found.split(1, dim=1), strict=True):
            parts[token] = part
        return torch.cat(parts, dim=1)

    def _turned(self, values: Tensor, mean: Tensor) -> Tensor:
        coordinates: Tensor = self.axes((values - mean) @ self.matrix)
        return coordinates @ self.matrix.T + mean


def _activations(model: nn.Module, site: Site, x: Batch) -> Float[Tensor, "batch token feature"]:
    kept: list[Tensor] = []
    device = next((parameter.device for parameter in model.parameters()), x.device)
    with frozen(model), torch.no_grad(), tapped(model, [site], lambda _, a: kept.append(a.clone())):
        for batch in x.split(_BATCH):
            called(model, batch.to(device))
    if not kept or kept[0].ndim not in (2, 3) or site.item is not None:
        shape = tuple(kept[0].shape) if kept else "nothing"
        raise CodeclensError(
            f'Site "{site.key}" returns {shape}; axes need a tensor (batch, tokens, features) '
            "or (batch, features)."
        )
    values = torch.cat(kept)
    return values[:, None] if values.ndim == 2 else values


def _matrix(axes: Axes, centred: Tensor, features: int) -> Tensor:
    if isinstance(axes, Tensor):
        one = torch.eye(features, dtype=torch.float64)
        given = axes.detach().cpu().double()
        if given.shape != one.shape or not torch.allclose(given.T @ given, one, atol=1e-4):
            raise CodeclensError(
                f"axes of shape {tuple(axes.shape)} are not an orthogonal matrix of {features} "
                "columns."
            )
        return axes
    if axes not in get_args(get_args(Axes)[0]):
        raise unknown("axes", axes, get_args(get_args(Axes)[0]))
    if axes == "features":
        return torch.eye(features)
    flat = centred.reshape(-1, features).double()
    vectors: Tensor = torch.linalg.eigh(flat.T @ flat)[1].flip(1)
    return vectors if axes == "principal" else vectors @ _varimax(flat @ vectors)


def _varimax(scores: Tensor) -> Tensor:
    """The rotation that maximises the variance of squared scores (Kaiser 1958), `(U, U)`."""
    turn, before = torch.eye(scores.shape[1], dtype=scores.dtype), 0.0
    for _ in range(_TURNS):
        turned = scores @ turn
        slope = turned.pow(3) - turned * turned.square().mean(dim=0)
        left, spread, right = torch.linalg.svd(scores.T @ slope)
        turn = left @ right
        if float(spread.sum()) <= before * (1 + 1e-6):
            break
        before = float(spread.sum())
    return turn
