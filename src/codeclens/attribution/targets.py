"""Targets: the scalar of the network's output that is explained, one per sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from codeclens.errors import CodeclensError

Scale = Literal["logits", "probabilities"]
Bound = Callable[[Tensor], Tensor]


_SCALES = ("logits", "probabilities")


def _require_scale(target: Any) -> None:
    if target.of not in _SCALES:
        raise CodeclensError(
            f'{type(target).__name__}(of={target.of!r}) is not known; of is "logits" or '
            '"probabilities".'
        )


def _is_index(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


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

    def __post_init__(self) -> None:
        _require_scale(self)

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

    def __post_init__(self) -> None:
        _require_scale(self)

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
                f"Label {int(labels[first])} is out of range: "
                f"the model has {count} classes (0 to {count - 1})."
            )
        return _pick(labels.to(output.device, torch.long), self.of)


@dataclass(frozen=True)
class Output:
    """Given output units, the same for every sample: a class or a cell; of several the sum.

    Raises CodeclensError where there is no index, one is no integer or is out of range.

    >>> output = torch.tensor([[1.0, 3.0], [2.0, 0.0]])
    >>> Output(1).bind(output, None)(output)
    tensor([3., 0.])
    >>> Output([0, 1]).bind(output, None)(output)
    tensor([4., 2.])
    """

    index: int | Sequence[int]
    of: Scale = "logits"

    def __post_init__(self) -> None:
        _require_scale(self)
        if not self._given or not all(_is_index(index) for index in self._given):
            raise CodeclensError(
                f"Output({self.index!r}) names no output; pass an integer or several, for example "
                "Output(0) or Output([0, 1])."
            )

    @property
    def _given(self) -> list[Any]:
        index: Any = self.index
        return (
            list(index) if isinstance(index, Iterable) and not isinstance(index, str) else [index]
        )

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        samples, count = _classes(output).shape
        given = [int(index) for index in self._given]
        for index in given:
            if not -count <= index < count:
                raise CodeclensError(
                    f"Output({index}) is out of range: the model has {count} outputs "
                    f"(0 to {count - 1})."
                )
        chosen = torch.tensor([index % count for index in given], device=output.device)
        return _pick(chosen.expand(samples, -1), self.of)


@dataclass(frozen=True)
class TopKSum:
    """The sum of the k outputs that are largest at x.

    >>> output = torch.tensor([[1.0, 3.0, 2.0]])
    >>> TopKSum(2).bind(output, None)(output)
    tensor([5.])
    """

    k: int = 5
    of: Scale = "logits"

    def __post_init__(self) -> None:
        _require_scale(self)
        if not _is_index(self.k) or self.k < 1:
            raise CodeclensError(f"TopKSum(k={self.k!r}) needs a whole number from 1 on.")

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        count = _classes(output).shape[1]
        if not 1 <= self.k <= count:
            raise CodeclensError(f"TopKSum(k={self.k}) needs k from 1 to the {count} outputs.")
        return _pick(output.topk(self.k, dim=1).indices, self.of)


@dataclass(frozen=True)
class Contrast:
    """One output minus another: the largest at x minus the second (default), or given ones.

    `Contrast(a, b)` asks why a and not b. Raises CodeclensError for an index out of range.

    >>> output = torch.tensor([[1.0, 3.0, 2.5]])
    >>> Contrast().bind(output, None)(output)
    tensor([0.5000])
    """

    first: int | None = None
    second: int | None = None
    of: Scale = "logits"

    def __post_init__(self) -> None:
        _require_scale(self)
        if self.first is not None and self.first == self.second:
            raise CodeclensError(
                f"Contrast({self.first}, {self.second}) is always 0; pass two different outputs."
            )

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        if (self.first is None) != (self.second is None):
            raise CodeclensError("Contrast takes two classes, or none for the two largest at x.")
        if _classes(output).shape[1] < 2:
            raise CodeclensError("Contrast needs a model with two outputs or more.")
        if self.first is not None and self.second is not None:
            first = Output(self.first, self.of).bind(output, labels)
            second = Output(self.second, self.of).bind(output, labels)
        else:
            top = output.topk(2, dim=1).indices
            first, second = _pick(top[:, :1], self.of), _pick(top[:, 1:], self.of)
        return lambda output: first(output) - second(output)


@dataclass(frozen=True)
class Sum:
    """The sum of all outputs: of a population of cells, their joint rate.

    >>> Sum().bind(torch.ones(1, 3), None)(torch.ones(1, 3))
    tensor([3.])
    """

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        return lambda output: output.flatten(1).sum(dim=1)


@dataclass(frozen=True)
class Entropy:
    """The entropy of the predicted class probabilities, in nats.

    >>> Entropy().bind(torch.zeros(1, 2), None)(torch.zeros(1, 2))
    tensor([0.6931])
    """

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        _classes(output)
        return lambda output: -(output.softmax(dim=1) * output.log_softmax(dim=1)).sum(dim=1)


@dataclass(frozen=True)
class Token:
    """A target of one token's output, for models whose output is `(B, tokens, classes)`.

    `Token(-1)` explains the predicted next word of a language model. Raises CodeclensError where
    there is no such token.

    >>> output = torch.tensor([[[0.0, 1.0], [5.0, 2.0]]])
    >>> Token(-1).bind(output, None)(output)
    tensor([5.])
    """

    position: int = -1
    target: Target = field(default_factory=Predicted)

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        if output.ndim != 3 or not -output.shape[1] <= self.position < output.shape[1]:
            raise CodeclensError(
                f"Token({self.position}) needs an output (samples, tokens, classes) with that "
                f"token, not {tuple(output.shape)}."
            )
        inner = self.target.bind(output[:, self.position], labels)
        return lambda output: inner(output[:, self.position])


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


@dataclass(frozen=True, eq=False)
class Surprisal:
    """`½ (y − μ)ᵀ Σ⁻¹ (y − μ)` of the responses y of a population, in nats.

    `mean` `(cells,)` and `precision` `(cells, cells)` = Σ⁻¹ belong to responses that the user
    names: take them with `fit` from other data than what is explained. (arXiv 2603.06557.)

    >>> rates = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    >>> surprisal = Surprisal.fit(rates)
    >>> surprisal.bind(rates, None)(surprisal.mean[None])
    tensor([0.])
    """

    mean: Tensor
    precision: Tensor
    shrinkage: float = 0.0

    @classmethod
    def fit(cls, responses: Tensor, shrinkage: float | None = None) -> Surprisal:
        """Estimate mean and covariance from responses `(samples, cells)`.

        The covariance is shrunk towards a multiple of the identity, by the share that Ledoit and
        Wolf (2004) find unless `shrinkage` in [0, 1] is given: with few samples, or with cells
        that fire together, the plain estimate has no useful inverse. Raises CodeclensError for
        fewer than two samples and for responses that do not vary.
        """
        if responses.ndim != 2 or len(responses) < 2:
            raise CodeclensError(
                f"Surprisal.fit needs responses (samples, cells) of two samples or more, not "
                f"{tuple(responses.shape)}."
            )
        values = responses.detach().double()
        centred = values - values.mean(dim=0)
        covariance = centred.T @ centred / len(values)
        size = covariance.diagonal().mean()
        if not size > 0:
            raise CodeclensError("Surprisal.fit needs responses that vary; these are constant.")
        identity = torch.eye(len(covariance), dtype=values.dtype, device=values.device) * size
        share = _ledoit_wolf(centred, covariance, identity) if shrinkage is None else shrinkage
        shrunk = (1 - share) * covariance + share * identity
        if torch.linalg.matrix_rank(shrunk) < len(shrunk):
            raise CodeclensError(
                f"The covariance of {len(values)} samples of {len(shrunk)} cells has no inverse "
                f"at shrinkage {share:.3g}; pass a larger shrinkage or more samples."
            )
        precision = torch.linalg.inv(shrunk)
        return cls(values.mean(dim=0).to(responses), precision.to(responses), float(share))

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        if output.ndim != 2 or output.shape[1] != len(self.mean):
            raise CodeclensError(
                f"This Surprisal was fitted on {len(self.mean)} cells; the model's output has "
                f"shape {tuple(output.shape)}."
            )
        mean, precision = self.mean.to(output), self.precision.to(output)

        def value(output: Tensor) -> Tensor:
            away = output - mean
            return (torch.nn.functional.linear(away, precision) * away).sum(dim=1) / 2

        return value

    def __repr__(self) -> str:
        return f"Surprisal({len(self.mean)} cells, shrinkage={self.shrinkage:.3g})"


def _ledoit_wolf(centred: Tensor, covariance: Tensor, identity: Tensor) -> float:
    """The share of shrinkage with the least expected squared error (Ledoit and Wolf 2004)."""
    samples = len(centred)
    distance = (covariance - identity).square().sum()
    # Σ_n ‖x_n x_nᵀ − S‖² = Σ_n ‖x_n‖⁴ − N ‖S‖²
    spread = centred.square().sum(dim=1).square().sum() - samples * covariance.square().sum()
    return float((spread / samples**2 / distance).clamp(0, 1)) if distance > 0 else 0.0
