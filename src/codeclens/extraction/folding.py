"""Folding: batch norms folded into the convolutions before them, in a private copy of a model."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from codeclens.attribution import Selector, Site
from codeclens.attribution.capture import frozen, run, same_randomness
from codeclens.errors import CodeclensError

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# timm's: a convolution that pads by itself, and a batch norm with an activation of its own behind.
_TIMM_CONVOLUTION, _TIMM_NORM = "Conv2dSame", "BatchNormAct2d"
# Of the largest output, for a few samples.
MOST_CHANGED = 3e-3


def folded(
    model: nn.Module, x: Tensor, sites: Sequence[Site] = (), output: Selector = None
) -> nn.Module:
    """A copy of the model that computes the same with fewer operations, up to rounding.

    Where a batch norm takes what a convolution gives, as one forward of a few samples `x` shows,
    the convolution does both. Layers that `sites` look at stay. Raises CodeclensError where there
    is nothing to fold, and where the copy's output for `x` differs by more than 0.3 %.

    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    >>> folded(model, torch.randn(2, 3, 8, 8))[1]
    Identity()
    """
    with frozen(model), same_randomness(model), torch.no_grad(), _pairs(model, sites) as pairs:
        before = run(model, x, output)
    if not pairs:
        raise CodeclensError(
            "The model has no batch norm behind a convolution of its own; run without "
            "fold_batchnorm."
        )
    copy = deepcopy(model)
    with frozen(copy):
        for convolution, norm in pairs:
            layers: Any = copy.get_submodule(convolution), copy.get_submodule(norm)
            _set(copy, convolution, fuse_conv_bn_eval(*layers))
            _set(copy, norm, _behind(layers[1]))
        with same_randomness(model), torch.no_grad():
            after = run(copy, x, output)
    changed = float((after - before).abs().max() / before.abs().max().clamp(min=1e-12))
    if not changed <= MOST_CHANGED:
        raise CodeclensError(
            f"Folding batch norms changes the model's output by {changed:.1%}: a convolution's "
            "output is used elsewhere, too; run without fold_batchnorm."
        )
    return copy


@contextmanager
def _pairs(model: nn.Module, sites: Sequence[Site]) -> Iterator[list[tuple[str, str]]]:
    """Names of convolutions and of the batch norms that take their output, as forwards show them.

    The list is filled when the model has run and the `with` is left.
    """
    looked_at = {(site.name, site.port) for site in sites}
    calls: Counter[str] = Counter()
    given: dict[int, tuple[str, Tensor]] = {}
    met: list[tuple[str, str]] = []
    found: list[tuple[str, str]] = []

    def gives(name: str, output: Tensor) -> None:
        calls[name] += 1
        # The tensor is kept, so that its number is not given to another one.
        given[id(output)] = name, output

    def takes(name: str, values: tuple[Any, ...]) -> None:
        calls[name] += 1
        if values and id(values[0]) in given:
            met.append((given[id(values[0])][0], name))

    with ExitStack() as stack:
        for name, module in model.named_modules():
            if _is_convolution(module) and not module._forward_pre_hooks:
                hook = module.register_forward_hook(lambda _m, _i, o, n=name: gives(n, o))
                stack.callback(hook.remove)
            elif _is_norm(module) and module.running_mean is not None:
                before = module.register_forward_pre_hook(lambda _m, i, n=name: takes(n, i))
                stack.callback(before.remove)
        yield found
    found += [
        (convolution, norm)
        for convolution, norm in met
        if calls[convolution] == calls[norm] == 1
        and (convolution, "output") not in looked_at
        and (norm, "input") not in looked_at
    ]


def _is_convolution(module: nn.Module) -> bool:
    return type(module) in _CONVOLUTIONS or type(module).__name__ == _TIMM_CONVOLUTION


def _is_norm(module: nn.Module) -> bool:
    return type(module) in _NORMS or type(module).__name__ == _TIMM_NORM


def _behind(norm: nn.Module) -> nn.Module:
    """What is left of a norm that is folded: its own activation, if it has one."""
    own = OrderedDict(norm.named_children())
    return nn.Sequential(own) if own else nn.Identity()


def _set(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
