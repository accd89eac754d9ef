"""Targets: the scalar of the network's output that is explained, one per sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
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

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        """Fix the target for these samples."""
        ...


@dataclass(frozen=True)
class Predicted:
    """The class that the network predicts at x, on logits or on probabilities.

    >>> output = torch.tensor([[1.0, 3.0], [2.0, 0.0]])
    >>> Predicted().bind(output, None)(output)
    tensor([3., 2.])
    """

    of: Scale = "logits"

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        return _pick(_classes(output).argmax(dim=1), self.of)


@dataclass(frozen=True)
class Label:
    """The class that the label of each sample names.

    Raises CodeclensError where there are no labels or one is out of range.

    >>> output = torch.tensor([[1.0, 3.0], [2.0, 0.0]])
    >>> Label().bind(output, torch.tensor([0, 1]))(output)
    tensor([1., 0.])
    """

    of: Scale = "logits"

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        count = _classes(output).shape[1]
        if labels is None:
            raise CodeclensError(
                "The target Label() needs labels; pass labels, or use Predicted()."
            )
        if labels.shape != output.shape[:1]:
            raise CodeclensError(
                f"Labels have shape {tuple(labels.shape)} for {output.shape[0]} samples; "
                "pass one integer for each sample."
            )
        if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
            raise CodeclensError(
                f"Labels are {labels.dtype}; pass one integer class index for each sample."
            )
        bad = ((labels < 0) | (labels >= count)).nonzero()
        if len(bad):
            first = int(bad[0])
            raise CodeclensError(
                f"Label {int(labels[first])} of sample {first} is out of range: "
                f"the model has {count} classes (0 to {count - 1})."
            )
        return _pick(labels.to(output.device, torch.long), self.of)


@dataclass(frozen=True)
class Output:
    """One given output unit, the same for every sample: a class or a cell.

    Raises CodeclensError where the index is out of range.

    >>> output = torch.tensor([[1.0, 3.0], [2.0, 0.0]])
    >>> Output(1).bind(output, None)(output)
    tensor([3., 0.])
    """

    index: int
    of: Scale = "logits"

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        samples, count = _classes(output).shape
        if not -count <= self.index < count:
            raise CodeclensError(
                f"Output({self.index}) is out of range: the model has {count} outputs "
                f"(0 to {count - 1})."
            )
        index = torch.full((samples,), self.index % count, device=output.device)
        return _pick(index, self.of)


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
    def value(output: Tensor) -> Tensor:
        scaled = output.softmax(dim=1) if of == "probabilities" else output
        return scaled.gather(1, index[:, None]).squeeze(1)

    return value
