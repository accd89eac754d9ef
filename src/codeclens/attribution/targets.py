"""Targets: the scalar of the network's output that is explained, one per sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, runtime_checkable

from torch import Tensor

from codeclens.errors import CodeclensError

Scale = Literal["logits", "probabilities"]
Bound = Callable[[Tensor], Tensor]


@runtime_checkable
class Target(Protocol):
    """A target is fixed once, at x, and is then the same function along the whole path.

    `bind` receives the output at x `(B, …)` and the labels `(B,)` where there are any, and returns
    a function from an output `(B, …)` to the target `(B,)`.
    """


def bind(target: Target | Bound, output: Tensor, labels: Tensor | None) -> Bound:
    """Fix a target at x; any function from the output `(B, …)` to `(B,)` is a target too.

    Raises CodeclensError where the function does not give one number for each sample.
    """
    if isinstance(target, type) or not (isinstance(target, Target) or callable(target)):
        raise CodeclensError(
            f"{target!r} is no target; pass Predicted(), Label(), Output(0) or a function from the "
            "output (samples, …) to one number for each sample."
        )
    bound = target.bind(output, labels) if isinstance(target, Target) else target
    value = bound(output)
    if not isinstance(value, Tensor) or value.shape != output.shape[:1]:
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise CodeclensError(
            f"The target {target!r} gives {shape} for an output of shape {tuple(output.shape)}; "
            "it must give one number for each sample."
        )
    return bound


def _classes(output: Tensor) -> Tensor:
    if output.ndim != 2:
        raise CodeclensError(
            f"The model's output has shape {tuple(output.shape)}; targets by class need "
            "(samples, classes). Pass output=… to select it, or a function as the target."
        )
    return output


def _pick(index: Tensor, of: Scale) -> Bound:
    """The sum of the outputs at `index` `(B,)` or `(B, k)`, fixed."""
    columns = index.reshape(index.shape[0], -1)

    def value(output: Tensor) -> Tensor:
        scaled = output.softmax(dim=1) if of == "probabilities" else output
        return scaled.gather(1, columns).sum(dim=1)

    return value
