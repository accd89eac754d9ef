"""Targets: the scalar of the network's output that is explained, one per sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from codeclens.attribution.inputs import Inputs
from codeclens.errors import CodeclensError, require_number

# Probabilities are a softmax over the outputs, or the sigmoid of a single output. With "sigmoid"
# every output has a probability of its own, as in multi-label networks.
Scale = Literal["logits", "probabilities", "sigmoid"]
Bound = Callable[[Tensor], Tensor]
Names = Sequence[str] | None


class Target(ABC):
    """A target is fixed once, at x, and is then the same function along the whole path.

    Your own target inherits from this class and defines `bind`; `words` and `unit` say in reports
    what it is. A plain function from the output `(B, …)` to `(B,)` is accepted as a target too.
    """

    # How the target is written on the command line; empty where it cannot be.
    form: ClassVar[str] = ""

    @property
    def whole_batch(self) -> bool:
        """Whether the target holds a value for each sample of one batch, which must stay whole."""
        return False

    @abstractmethod
    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        """Fix the target for a batch, from the output at x `(B, …)` and the labels `(B,)`, if any.

        Returns a function from an output `(B, …)` to the target `(B,)`.
        """

    def given(self, x: Inputs) -> Target:
        """The target for these inputs, where it depends on them: on the tokens of each sample."""
        return self

    def words(self, classes: Names = None) -> str:
        """What is explained, in words: "the logit of output 3"; `classes` names the outputs."""
        return "the target"

    def name(self, output: Tensor, classes: Names = None, labels: Tensor | None = None) -> str:
        """A short name of the target for one sample, by its output `(1, …)`: "espresso − cup"."""
        return self.words(classes)

    def unit(self, outputs: str = "logits") -> str:
        """The unit of the target, for a model whose outputs have the unit `outputs`."""
        return outputs


class _Classes(Target):
    """A target that adds outputs and subtracts others, on logits or on probabilities.

    An output `(B,)` is a single output. Its classes are 0 and 1, as its sign says.
    """

    of: Scale

    def __post_init__(self) -> None:
        require_scale(self, self.of)

    @abstractmethod
    def columns(self, output: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The outputs to add and those to subtract, if any: indices `(B, k)` for each sample."""

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        output = _by_class(output)
        added, subtracted = self.columns(output, labels)
        if output.shape[1] == 1 and self._is_class:
            return _of_class(added[:, 0], self.of)
        first = _pick(added, self.of)
        if subtracted is None:
            return first
        second = _pick(subtracted, self.of)
        return lambda output: first(output) - second(output)

    @property
    def _is_class(self) -> bool:
        """Whether the target of a single output is one of its two classes."""
        return False

    def name(self, output: Tensor, classes: Names = None, labels: Tensor | None = None) -> str:
        if output.ndim > 2:
            return self.words(classes)
        output = _by_class(output)
        parts = [
            " + ".join(_called(index, classes) for index in columns[0].tolist())
            for columns in self.columns(output, labels)
            if columns is not None
        ]
        scale = "" if self.of == "logits" else " (probability)"
        return " − ".join(parts) + scale

    def unit(self, outputs: str = "logits") -> str:
        return outputs if self.of == "logits" else "probability"

    @property
    def _quantity(self) -> str:
        return "logit" if self.of == "logits" else "probability"


@dataclass(frozen=True)
class Predicted(_Classes):
    """The class that the network predicts at x, on logits or on probabilities.

    With a single output, the logit is that output as it is (of a regression, the value) and the
    probability that of the class 0 or 1 that its sign predicts.

    >>> output = torch.tensor([[1.0, 3.0], [2.0, 0.0]])
    >>> Predicted().bind(output, None)(output)
    tensor([3., 2.])
    >>> Predicted().words(), Predicted().name(output[:1], ["tub", "espresso"])
    ('the logit of the predicted class', 'espresso')
    """

    form: ClassVar[str] = "predicted"

    of: Scale = "logits"

    def columns(self, output: Tensor, labels: Tensor | None) -> tuple[Tensor, None]:
        if output.shape[1] == 1 and not self._is_class:
            return torch.zeros_like(output, dtype=torch.long), None
        return predicted_classes(output)[:, None], None

    @property
    def _is_class(self) -> bool:
        return self.of != "logits"

    def words(self, classes: Names = None) -> str:
        return f"the {self._quantity} of the predicted class"


@dataclass(frozen=True)
class Label(_Classes):
    """The class given by the label of each sample.

    With a single output z, the logit of label 1 is z and that of label 0 is −z. Raises
    CodeclensError if labels are missing or out of range.

    >>> output = torch.tensor([[1.0, 3.0], [2.0, 0.0]])
    >>> Label().bind(output, torch.tensor([0, 1]))(output)
    tensor([1., 0.])
    """

    form: ClassVar[str] = "label"

    of: Scale = "logits"

    def columns(self, output: Tensor, labels: Tensor | None) -> tuple[Tensor, None]:
        count = max(2, output.shape[1])
        if labels is None:
            raise CodeclensError(
                "The target Label() needs labels; pass labels, or use Predicted()."
            )
        require_labels_for(labels, len(output))
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
        return labels.to(output.device, torch.long)[:, None], None

    @property
    def _is_class(self) -> bool:
        return True

    def words(self, classes: Names = None) -> str:
        return f"the {self._quantity} of the labelled class"


@dataclass(frozen=True)
class Output(_Classes):
    """One given output (a class or a cell), or the sum of several, the same for every sample.

    Raises CodeclensError if an index is missing, is not an integer or is out of range.

    >>> output = torch.tensor([[1.0, 3.0], [2.0, 0.0]])
    >>> Output(1).bind(output, None)(output)
    tensor([3., 0.])
    >>> Output([0, 1]).bind(output, None)(output)
    tensor([4., 2.])
    >>> Output(1).words(), Output(1).words(["tub", "espresso"])
    ('the logit of output 1', 'the logit of "espresso"')
    """

    form: ClassVar[str] = "output:INDEX"

    index: int | Sequence[int]
    of: Scale = "logits"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self._given or not all(
            isinstance(index, Integral) and not isinstance(index, bool) for index in self._given
        ):
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

    def columns(self, output: Tensor, labels: Tensor | None) -> tuple[Tensor, None]:
        return _given_columns(self._given, output), None

    def words(self, classes: Names = None) -> str:
        names = " + ".join(_quoted(int(index), classes) for index in self._given)
        return f"the {self._quantity} of {names}"


@dataclass(frozen=True)
class TopKSum(_Classes):
    """The sum of the k outputs that are largest at x.

    >>> output = torch.tensor([[1.0, 3.0, 2.0]])
    >>> TopKSum(2).bind(output, None)(output)
    tensor([5.])
    """

    form: ClassVar[str] = "topksum:K"

    k: int = 5
    of: Scale = "logits"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("k of TopKSum", self.k, least=1, whole=True)

    def columns(self, output: Tensor, labels: Tensor | None) -> tuple[Tensor, None]:
        require_number(
            "k of TopKSum", self.k, most=output.shape[1], hint="k is at most the number of outputs"
        )
        return output.topk(int(self.k), dim=1).indices, None

    def words(self, classes: Names = None) -> str:
        plural = "logits" if self.of == "logits" else "probabilities"
        return f"the sum of the {self.k} largest {plural}"


@dataclass(frozen=True)
class Contrast(_Classes):
    """One output minus another: the largest at x minus the second (default), or given ones.

    `Contrast(a, b)` asks why a and not b. Raises CodeclensError if an index is out of range.

    >>> output = torch.tensor([[1.0, 3.0, 2.5]])
    >>> Contrast().bind(output, None)(output)
    tensor([0.5000])
    >>> Contrast().name(output, ["tub", "espresso", "cup"])
    'espresso − cup'
    """

    form: ClassVar[str] = "contrast:INDEX,INDEX"

    first: int | None = None
    second: int | None = None
    of: Scale = "logits"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.first is not None and self.first == self.second:
            raise CodeclensError(
                f"Contrast({self.first}, {self.second}) is always 0; pass two different outputs."
            )

    def columns(self, output: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        if (self.first is None) != (self.second is None):
            raise CodeclensError("Contrast takes two classes, or none for the two largest at x.")
        if output.shape[1] < 2:
            raise CodeclensError("Contrast needs a model with two outputs or more.")
        if self.first is not None and self.second is not None:
            return _given_columns([self.first], output), _given_columns([self.second], output)
        top = output.topk(2, dim=1).indices
        return top[:, :1], top[:, 1:]

    def words(self, classes: Names = None) -> str:
        if self.first is None or self.second is None:
            return f"the largest {self._quantity} minus the second largest"
        first, second = _quoted(self.first, classes), _quoted(self.second, classes)
        return f"the {self._quantity} of {first} minus that of {second}"


@dataclass(frozen=True)
class Sum(Target):
    """The sum of all outputs: of a population of cells, their joint rate.

    >>> Sum().bind(torch.ones(1, 3), None)(torch.ones(1, 3))
    tensor([3.])
    """

    form: ClassVar[str] = "sum"

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        return lambda output: output.reshape(len(output), -1).sum(dim=1)

    def words(self, classes: Names = None) -> str:
        return "the sum of all outputs"


@dataclass(frozen=True)
class Entropy(Target):
    """The entropy of the predicted class probabilities, in nats; a single output has two classes.

    >>> Entropy().bind(torch.zeros(1, 2), None)(torch.zeros(1, 2))
    tensor([0.6931])
    >>> Entropy().unit()
    'nats'
    """

    form: ClassVar[str] = "entropy"

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        _by_class(output)

        def value(output: Tensor) -> Tensor:
            output = _by_class(output)
            if output.shape[1] == 1:
                output = torch.cat([torch.zeros_like(output), output], dim=1)
            return -(output.softmax(dim=1) * output.log_softmax(dim=1)).sum(dim=1)

        return value

    def words(self, classes: Names = None) -> str:
        return "the entropy of the predicted probabilities"

    def unit(self, outputs: str = "logits") -> str:
        return "nats"


def target_words(target: object, classes: Names = None) -> str:
    """What is explained, in words; the target may also be a function.

    >>> target_words(Predicted(of="probabilities")), target_words(lambda output: output[:, 0])
    ('the probability of the predicted class', 'a function of the output')
    """
    return target.words(classes) if isinstance(target, Target) else "a function of the output"


def target_name(
    target: object, output: Tensor, classes: Names = None, labels: Tensor | None = None
) -> str:
    """A short name of the target (or function) for one sample, by its output `(1, …)`."""
    return target.name(output, classes, labels) if isinstance(target, Target) else "the target"


def target_unit(target: object, outputs: str | None = None) -> str:
    """The unit of a target, for a model whose outputs have the unit `outputs` (logits if None).

    A function is taken to have the unit of the outputs, where that is given.

    >>> target_unit(Entropy(), "Hz"), target_unit(Output(1), "Hz"), target_unit(Output(1))
    ('nats', 'Hz', 'logits')
    """
    if isinstance(target, Target):
        return target.unit(outputs or "logits")
    return outputs or "units"


def bind(target: Target | Bound, output: Tensor, labels: Tensor | None, x: object = None) -> Bound:
    """Fix a target at x; any function from the output `(B, …)` to `(B,)` is a target too.

    `x` is the input, on which targets of tokens depend.

    Raises CodeclensError if the function does not give one number for each sample.
    """
    if isinstance(target, type) or not (isinstance(target, Target) or callable(target)):
        raise CodeclensError(
            f"{target!r} is not a target; pass Predicted(), Label(), Output(0) or a function from "
            "the output (samples, …) to one number for each sample."
        )
    if isinstance(target, Target) and isinstance(x, Inputs):
        target = target.given(x)
    bound = target.bind(output, labels) if isinstance(target, Target) else target
    value = bound(output)
    if not isinstance(value, Tensor) or value.shape != output.shape[:1]:
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise CodeclensError(
            f"The target {target!r} gives {shape} for an output of shape {tuple(output.shape)}; "
            "it must give one number for each sample."
        )
    return bound


def require_gradient(target: object, bound: Bound, output: Tensor) -> None:
    """Raise CodeclensError for a target through which no gradient reaches the output."""
    with torch.enable_grad():
        value = bound(output.detach().requires_grad_())
    if not value.requires_grad:
        raise CodeclensError(
            f"The target {target!r} has no gradient: it detaches the output, or takes a choice "
            "from it. Return a value computed from the output."
        )


def predicted_classes(output: Tensor) -> Tensor:
    """The class with the largest output `(B,)`; of a single output its sign; −1 without classes.

    >>> predicted_classes(torch.tensor([[1.0, 3.0]])), predicted_classes(torch.tensor([0.5, -0.5]))
    (tensor([1]), tensor([1, 0]))
    """
    if output.ndim > 2:
        return torch.full((len(output),), -1, device=output.device)
    output = _by_class(output)
    if output.shape[1] == 1:
        return (output[:, 0] > 0).long()
    return output.argmax(dim=1)


def require_scale(target: Target, of: object) -> None:
    """Raise CodeclensError for a scale that is none of `Scale`."""
    if of not in ("logits", "probabilities", "sigmoid"):
        raise CodeclensError(
            f'{type(target).__name__}(of={of!r}) is not known; of is "logits", "probabilities" or '
            '"sigmoid".'
        )


def scaled(output: Tensor, of: Scale) -> Tensor:
    """Outputs `(B, C, …)` as logits or probabilities."""
    if of == "logits":
        return output
    single = of == "sigmoid" or output.shape[1] == 1
    return output.sigmoid() if single else output.softmax(dim=1)


def require_labels_for(labels: Tensor | None, samples: int) -> None:
    """Raise CodeclensError for labels that are not one for each sample."""
    if labels is not None and labels.shape != (samples,):
        raise CodeclensError(
            f"Labels have shape {tuple(labels.shape)} for {samples} samples; "
            "pass one integer for each sample."
        )


def _by_class(output: Tensor) -> Tensor:
    """Outputs `(B, C)`; of one number for each sample `(B, 1)`."""
    if output.ndim == 1:
        return output[:, None]
    if output.ndim != 2:
        raise CodeclensError(
            f"The model's output has shape {tuple(output.shape)}; targets by class need "
            "(samples, classes). Pass output=… to select it, a function as the target, Pixels() "
            "for classes by pixel (samples, classes, …), or Token() or BoxScore() for (samples, "
            "tokens or boxes, classes): Token() is the next token of a language model."
        )
    return output


def _given_columns(given: Sequence[Any], output: Tensor) -> Tensor:
    """Indices of outputs, the same for every sample `(B, k)`, counted from 0."""
    samples, count = output.shape
    for index in map(int, given):
        if not -count <= index < count:
            raise CodeclensError(
                f"Output({index}) is out of range: the model has {count} outputs "
                f"(0 to {count - 1})."
            )
    chosen = torch.tensor([int(index) % count for index in given], device=output.device)
    return chosen.expand(samples, -1)


def _called(index: int, classes: Names) -> str:
    named = classes is not None and -len(classes) <= index < len(classes)
    return str(classes[index]) if named and classes is not None else f"output {index}"


def _quoted(index: int, classes: Names) -> str:
    name = _called(index, classes)
    return name if name == f"output {index}" else f'"{name}"'


def _pick(columns: Tensor, of: Scale) -> Bound:
    """The sum of the outputs at `columns` `(B, k)`, fixed."""

    def value(output: Tensor) -> Tensor:
        return scaled(_by_class(output), of).gather(1, columns).sum(dim=1)

    return value


def _of_class(chosen: Tensor, of: Scale) -> Bound:
    """The logit or probability of the class 0 or 1 `(B,)` of a single output."""

    def value(output: Tensor) -> Tensor:
        signs = (2 * chosen - 1).to(output.dtype)
        return scaled((_by_class(output)[:, 0] * signs)[:, None], of)[:, 0]

    return value
