"""Stacks: small linear convolutions in place of a large one, and their fold into one again."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.errors import CodeclensError


class StackedConv2d(nn.Sequential):
    """Convolutions of 3 × 3, one behind another with nothing between: linear, as a whole.

    `(kernel − 1) / 2` of them reach as far as one of `kernel × kernel`, learn smoother filters and
    have fewer parameters. Between them are `channels` maps. Raises CodeclensError for a kernel that
    is even or below 3. (Maheswaranathan et al. 2023, Neuron 111, "LinearStackedConv2d".)

    >>> stack = StackedConv2d(4, 8, 7)
    >>> len(stack), fold(stack).weight.shape
    (3, torch.Size([8, 4, 7, 7]))
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        kernel: int,
        *,
        bias: bool = True,
        between: int | None = None,
    ) -> None:
        if kernel < 3 or kernel % 2 == 0:
            raise CodeclensError(
                f"A stack of 3 × 3 convolutions reaches 3, 5, 7 … pixels, not {kernel}."
            )
        count = (kernel - 1) // 2
        widths = [inputs, *[between or channels] * (count - 1), channels]
        super().__init__(
            *(nn.Conv2d(before, after, 3, bias=bias) for before, after in pairwise(widths))
        )


@torch.no_grad()
def fold(stack: nn.Module) -> nn.Conv2d:
    """One convolution that says exactly what a sequence of linear layers says.

    Takes `nn.Conv2d` (stride 1, no padding), `nn.BatchNorm2d` as it is in evaluation, dropout and
    identities, in `nn.Sequential`. Raises CodeclensError for anything else.

    >>> stack = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3).eval(), nn.Conv2d(3, 4, 5))
    >>> x = torch.randn(1, 2, 9, 9)
    >>> bool((fold(stack)(x) - stack(x)).abs().max() < 1e-5)
    True
    """
    weight: Tensor | None = None
    bias: Tensor | None = None
    for layer in stack if isinstance(stack, nn.Sequential) else [stack]:
        if isinstance(layer, nn.Conv2d):
            _require_plain(layer)
            given = (
                layer.bias if layer.bias is not None else layer.weight.new_zeros(len(layer.weight))
            )
            if weight is None or bias is None:
                weight, bias = layer.weight, given
            else:
                bias = given + layer.weight.sum(dim=(2, 3)) @ bias
                weight = _behind(weight, layer.weight)
        elif isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None:
            if weight is None or bias is None or layer.running_var is None:
                raise CodeclensError("A batch norm before all convolutions cannot be folded.")
            scale = (layer.running_var + layer.eps).rsqrt()
            scale = scale if layer.weight is None else scale * layer.weight
            shift = 0 if layer.bias is None else layer.bias
            weight = weight * scale[:, None, None, None]
            bias = (bias - layer.running_mean) * scale + shift
        elif not isinstance(layer, nn.Identity | nn.Dropout | nn.Dropout2d):
            raise CodeclensError(
                f"A {type(layer).__name__} cannot be folded into a convolution; take it out first."
            )
    if weight is None or bias is None:
        raise CodeclensError("There is no convolution to fold.")
    outputs, inputs, height, width = weight.shape
    # Nothing is drawn: the random state of the caller stays as it was.
    folded: nn.Conv2d = nn.utils.skip_init(
        nn.Conv2d, inputs, outputs, (height, width), dtype=weight.dtype, device=weight.device
    )
    folded.weight.copy_(weight)
    assert folded.bias is not None
    folded.bias.copy_(bias)
    return folded


def _behind(
    first: Float[Tensor, "middle inputs y x"], second: Float[Tensor, "outputs middle v u"]
) -> Float[Tensor, "outputs inputs yv xu"]:
    """The kernel of `second` applied to what `first` gives."""
    height, width = second.shape[2:]
    # Both correlate, so that the second kernel slides over the first one turned round.
    joined = F.conv2d(first.transpose(0, 1), second.flip(2, 3), padding=(height - 1, width - 1))
    return joined.transpose(0, 1)


def _require_plain(layer: nn.Conv2d) -> None:
    plain = layer.stride == (1, 1) and layer.dilation == (1, 1) and layer.groups == 1
    if not plain or layer.padding not in ((0, 0), 0, "valid"):
        raise CodeclensError(
            f"{layer} has a stride, padding, dilation or groups, and cannot be folded exactly."
        )
