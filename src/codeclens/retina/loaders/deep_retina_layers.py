"""Layers of torch-deep-retina, told from the tensors of its checkpoints by what they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

import torch
from torch import Tensor, nn

from codeclens.errors import CodeclensError

# Inside stacks its norms are made with torch's own eps.
_EPS_IN_STACKS = 1e-5


def modules(state: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Tensors by module, in the order in which the modules stand."""
    modules: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        name, _, what = key.rpartition(".")
        modules.setdefault(name, {})[what] = value
    return modules


@dataclass
class Affine:
    """A norm as it is in evaluation: mean, variance, weight and bias, by place or by channel."""

    mean: Tensor
    variance: Tensor | None
    weight: Tensor
    bias: Tensor


@dataclass
class Reading:
    """Layers as they are met: convolutions or a dense layer, each with the norm behind it."""

    path: str
    absolute: bool | None
    layers: list[nn.Module] = field(default_factory=list)
    norms: list[Affine | None] = field(default_factory=list)
    noise: float = 0.0
    stack: str = ""

    def take(self, name: str, tensors: dict[str, Tensor]) -> None:
        """One module, by the shapes and names of what it holds."""
        tensors = {key: v for key, v in tensors.items() if key != "num_batches_tracked"}
        parent = name.rpartition(".")[0]
        inside = parent.endswith("convs")
        weight = tensors.get("weight")
        if set(tensors) == {"sigma"}:
            self.noise = float(tensors["sigma"].flatten()[0])
        elif "running_mean" in tensors or "scale_param" in tensors:
            try:
                affine = self._affine(name, tensors)
            except KeyError as error:
                self._refuse(name, f"a norm without its {error.args[0]}")
            if inside and parent == self.stack:
                stack = self.layers[-1]
                assert isinstance(stack, nn.Sequential)
                stack.append(_as_norm(affine))
            elif self.layers and self.norms[-1] is None:
                self.norms[-1] = affine
            else:
                self._refuse(name, "a norm without a layer before it")
        elif weight is not None and weight.ndim == 4:
            layer = _convolution(weight, tensors.get("bias"))
            if inside and parent == self.stack:
                stack = self.layers[-1]
                assert isinstance(stack, nn.Sequential)
                stack.append(layer)
            else:
                self.layers.append(nn.Sequential(layer))
                self.norms.append(None)
                self.stack = parent if inside else ""
        elif weight is not None and weight.ndim == 2:
            dense: nn.Linear = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0])
            dense.weight.data = weight
            bias = tensors.get("bias")
            dense.bias.data = weight.new_zeros(len(weight)) if bias is None else bias
            self.layers.append(dense)
            self.norms.append(None)
        elif tensors:
            self._refuse(name, f"tensors {', '.join(sorted(tensors))}")

    def _affine(self, name: str, tensors: dict[str, Tensor]) -> Affine:
        if "scale_param" in tensors:
            scale, shift = (tensors[key].flatten() for key in ("scale_param", "shift_param"))
            return Affine(torch.zeros_like(scale), None, self._sign(name, scale), shift)
        mean, variance = tensors["running_mean"], tensors["running_var"]
        if "scale" in tensors:
            # Its own norms, of which some take the absolute value.
            scale, shift = self._sign(name, tensors["scale"]), tensors["shift"]
        else:
            scale = tensors.get("weight", torch.ones_like(mean))
            shift = tensors.get("bias", torch.zeros_like(mean))
        return Affine(mean, variance, scale, shift)

    def _sign(self, name: str, scale: Tensor) -> Tensor:
        if self.absolute is None and bool((scale < 0).any()):
            raise CodeclensError(
                f'Scales of "{name}" in "{self.path}" are negative, and the file does not tell '
                "whether they count by their absolute value; pass absolute=True or False."
            )
        return scale.abs() if self.absolute else scale

    def _refuse(self, name: str, what: str) -> NoReturn:
        raise CodeclensError(
            f'"{name}" in "{self.path}" holds {what}, which is no layer of the networks read here '
            "(convolutions, stacks of them, norms, noise and a dense layer)."
        )


def _convolution(weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    outputs, inputs, height, width = weight.shape
    layer: nn.Conv2d = nn.utils.skip_init(nn.Conv2d, inputs, outputs, (height, width))
    layer.weight.data = weight
    assert layer.bias is not None
    layer.bias.data = weight.new_zeros(outputs) if bias is None else bias
    return layer


def _as_norm(affine: Affine) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(len(affine.mean), eps=_EPS_IN_STACKS)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    variance = affine.variance
    norm.running_mean.data = affine.mean
    unit = torch.full_like(affine.mean, 1 - _EPS_IN_STACKS)
    norm.running_var.data = unit if variance is None else variance
    norm.weight.data, norm.bias.data = affine.weight, affine.bias
    return norm.eval()
