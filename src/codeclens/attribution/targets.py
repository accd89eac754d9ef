"""Targets: the scalar of the network's output that is explained, one per sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import fields as fields_of
from numbers import Integral
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from codeclens.errors import CodeclensError, require_number, unknown

Scale = Literal["logits", "probabilities"]
Bound = Callable[[Tensor], Tensor]
Names = Sequence[str] | None


class Target(ABC):
    """A target is fixed once, at x, and is then the same function along the whole path.

    Your own target inherits from this class and defines `bind`; `words` and `unit` say in reports
    what it is. A plain function from the output `(B, …)` to `(B,)` is accepted as a target too.
    """

    # How the target is written on the command line; empty where it cannot be.
    form: ClassVar[str] = ""

    @abstractmethod
    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        """Fix the target for a batch, from the output at x `(B, …)` and the labels `(B,)`, if any.

        Returns a function from an output `(B, …)` to the target `(B,)`.
        """

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
    """A target that adds outputs and subtracts others, on logits or on probabilities."""

    of: Scale

    def __post_init__(self) -> None:
        if self.of not in ("logits", "probabilities"):
            raise CodeclensError(
                f'{type(self).__name__}(of={self.of!r}) is not known; of is "logits" or '
                '"probabilities".'
            )

    @abstractmethod
    def columns(self, output: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The outputs to add and those to subtract, if any: indices `(B, k)` for each sample."""

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        added, subtracted = self.columns(_by_class(output), labels)
        first = _pick(added, self.of)
        if subtracted is None:
            return first
        second = _pick(subtracted, self.of)
        return lambda output: first(output) - second(output)

    def name(self, output: Tensor, classes: Names = None, labels: Tensor | None = None) -> str:
        if output.ndim != 2:
            return self.words(classes)
        parts = [
            " + ".join(_called(index, classes) for index in columns[0].tolist())
            for columns in self.columns(output, labels)
            if columns is not None
        ]
        scale = " (probability)" if self.of == "probabilities" else ""
        return " − ".join(parts) + scale

    def unit(self, outputs: str = "logits") -> str:
        return "probability" if self.of == "probabilities" else outputs

    @property
    def _quantity(self) -> str:
        return "probability" if self.of == "probabilities" else "logit"


@dataclass(frozen=True)
class Predicted(_Classes):
    """The class that the network predicts at x, on logits or on probabilities.

    >>> output = torch.tensor([[1.0, 3.0], [2.0, 0.0]])
    >>> Predicted().bind(output, None)(output)
    tensor([3., 2.])
    >>> Predicted().words(), Predicted().name(output[:1], ["tub", "espresso"])
    ('the logit of the predicted class', 'espresso')
    """

    form: ClassVar[str] = "predicted"

    of: Scale = "logits"

    def columns(self, output: Tensor, labels: Tensor | None) -> tuple[Tensor, None]:
        return output.argmax(dim=1, keepdim=True), None

    def words(self, classes: Names = None) -> str:
        return f"the {self._quantity} of the predicted class"


@dataclass(frozen=True)
class Label(_Classes):
    """The class given by the label of each sample.

    Raises CodeclensError if labels are missing or out of range.

    >>> output = torch.tensor([[1.0, 3.0], [2.0, 0.0]])
    >>> Label().bind(output, torch.tensor([0, 1]))(output)
    tensor([1., 0.])
    """

    form: ClassVar[str] = "label"

    of: Scale = "logits"

    def columns(self, output: Tensor, labels: Tensor | None) -> tuple[Tensor, None]:
        count = output.shape[1]
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
        plural = "probabilities" if self.of == "probabilities" else "logits"
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
        return lambda output: output.flatten(1).sum(dim=1)

    def words(self, classes: Names = None) -> str:
        return "the sum of all outputs"


@dataclass(frozen=True)
class Entropy(Target):
    """The entropy of the predicted class probabilities, in nats.

    >>> Entropy().bind(torch.zeros(1, 2), None)(torch.zeros(1, 2))
    tensor([0.6931])
    >>> Entropy().unit()
    'nats'
    """

    form: ClassVar[str] = "entropy"

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        _by_class(output)
        return lambda output: -(output.softmax(dim=1) * output.log_softmax(dim=1)).sum(dim=1)

    def words(self, classes: Names = None) -> str:
        return "the entropy of the predicted probabilities"

    def unit(self, outputs: str = "logits") -> str:
        return "nats"


@dataclass(frozen=True)
class Token(Target):
    """A target of one token's output, for models whose output is `(B, tokens, classes)`.

    `Token(-1)` explains the predicted next word of a language model. Raises CodeclensError if the
    token does not exist.

    >>> output = torch.tensor([[[0.0, 1.0], [5.0, 2.0]]])
    >>> Token(-1).bind(output, None)(output)
    tensor([5.])
    >>> Token(-1).words()
    'the logit of the predicted class at token -1'
    """

    form: ClassVar[str] = "token:POSITION"

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

    def words(self, classes: Names = None) -> str:
        return f"{target_words(self.target, classes)} at token {self.position}"

    def name(self, output: Tensor, classes: Names = None, labels: Tensor | None = None) -> str:
        inner = target_name(self.target, output[:, self.position], classes, labels)
        return f"{inner} at token {self.position}"

    def unit(self, outputs: str = "logits") -> str:
        return target_unit(self.target, outputs)


@dataclass(frozen=True, eq=False)
class Surprisal(Target):
    """`½ (y − μ)ᵀ Σ⁻¹ (y − μ)` of the responses y of a population, in nats.

    `mean` is `(cells,)` and `precision` `(cells, cells)` = Σ⁻¹. Estimate them with `fit` from other
    responses than those that are explained. (arXiv 2603.06557.)

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

        The covariance is shrunk towards a multiple of the identity by `shrinkage` in [0, 1], or by
        the share of Ledoit and Wolf (2004): with few samples, or with cells that fire together,
        the plain estimate has no useful inverse. Raises CodeclensError for fewer than two samples
        and for responses that do not vary.
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

    def words(self, classes: Names = None) -> str:
        return "the surprisal of the population's responses"

    def unit(self, outputs: str = "logits") -> str:
        return "nats"

    def __repr__(self) -> str:
        return f"Surprisal({len(self.mean)} cells, shrinkage={self.shrinkage:.3g})"


# All targets by the names of their classes, as the settings of a store and the command line name
# them.
TARGETS: dict[str, type[Target]] = {
    target.__name__: target
    for target in (Predicted, Label, Output, TopKSum, Contrast, Sum, Entropy, Token, Surprisal)
}
TARGET_FORMS = [target.form for target in TARGETS.values() if target.form]


def parse_target(text: str, of: Scale = "logits") -> Target:
    """The target that a text names on the command line, in one of `TARGET_FORMS`.

    Raises CodeclensError for an unknown name and for numbers that do not fit the target.

    >>> parse_target("output:3"), parse_target("contrast:3,5"), parse_target("entropy")
    (Output(index=3, of='logits'), Contrast(first=3, second=5, of='logits'), Entropy())
    """
    name, _, rest = text.partition(":")
    named: dict[str, Any] = {
        target.form.partition(":")[0]: target for target in TARGETS.values() if target.form
    }
    if name not in named:
        raise unknown("target", name, named)
    made = named[name]
    scale = {"of": of} if any(one.name == "of" for one in fields_of(made)) else {}
    try:
        numbers: list[Any] = [int(number) for number in rest.split(",")] if rest else []
        given = [numbers] if made is Output and len(numbers) > 1 else numbers
        target: Target = made(*given, **scale)
    except CodeclensError:
        raise
    except (TypeError, ValueError):
        raise CodeclensError(f'The target "{text}" is not of the form {made.form}.') from None
    return target


def described_target(description: Any) -> Target | None:
    """The target that the settings of a store describe; None for a function.

    >>> described_target({"class": "Output", "index": 3, "of": "logits"})
    Output(index=3, of='logits')
    """
    if not isinstance(description, Mapping) or description.get("class") not in TARGETS:
        return None
    options: dict[str, Any] = {
        name: (described_target(value) or value) if isinstance(value, Mapping) else value
        for name, value in description.items()
        if name != "class"
    }
    return TARGETS[description["class"]](**options)


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


def bind(target: Target | Bound, output: Tensor, labels: Tensor | None) -> Bound:
    """Fix a target at x; any function from the output `(B, …)` to `(B,)` is a target too.

    Raises CodeclensError if the function does not give one number for each sample.
    """
    if isinstance(target, type) or not (isinstance(target, Target) or callable(target)):
        raise CodeclensError(
            f"{target!r} is not a target; pass Predicted(), Label(), Output(0) or a function from "
            "the output (samples, …) to one number for each sample."
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


def require_labels_for(labels: Tensor | None, samples: int) -> None:
    """Raise CodeclensError for labels that are not one for each sample."""
    if labels is not None and labels.shape != (samples,):
        raise CodeclensError(
            f"Labels have shape {tuple(labels.shape)} for {samples} samples; "
            "pass one integer for each sample."
        )


def _by_class(output: Tensor) -> Tensor:
    if output.ndim != 2:
        raise CodeclensError(
            f"The model's output has shape {tuple(output.shape)}; targets by class need "
            "(samples, classes). Pass output=… to select it, or a function as the target."
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
        scaled = output.softmax(dim=1) if of == "probabilities" else output
        return scaled.gather(1, columns).sum(dim=1)

    return value


def _ledoit_wolf(centred: Tensor, covariance: Tensor, identity: Tensor) -> float:
    """The shrinkage with the least expected squared error (Ledoit and Wolf 2004)."""
    samples = len(centred)
    distance = (covariance - identity).square().sum()
    # Σ_n ‖x_n x_nᵀ − S‖² = Σ_n ‖x_n‖⁴ − N ‖S‖²
    spread = centred.square().sum(dim=1).square().sum() - samples * covariance.square().sum()
    return float((spread / samples**2 / distance).clamp(0, 1)) if distance > 0 else 0.0
