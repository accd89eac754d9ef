"""Targets of language models: the next token at a position, and the tokens that follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from codeclens.attribution.inputs import Inputs
from codeclens.attribution.targets import (
    Bound,
    Names,
    Predicted,
    Target,
    bind,
    target_name,
    target_unit,
    target_words,
)
from codeclens.errors import CodeclensError, require_number


@dataclass(frozen=True)
class Token(Target):
    """A target of one token's output, for models whose output is `(B, tokens, classes)`.

    `Token()` explains the predicted next token of a language model, `Token(target=Output(17))` the
    logit of a given one and `Token(target=Contrast(17, 4))` its contrast with another. Negative
    positions count from the last token of each sample that is not padding, if the input has an
    attention mask. Raises CodeclensError if the token does not exist.

    >>> output = torch.tensor([[[0.0, 1.0], [5.0, 2.0]]])
    >>> Token(-1).bind(output, None)(output)
    tensor([5.])
    >>> from codeclens.attribution.targets import Output
    >>> Token().words(), Token(2, Output(1)).words(["tub", "cup"])
    ('the logit of the predicted class at the last token', 'the logit of "cup" at token 2')
    """

    form: ClassVar[str] = "token:POSITION,TARGET"

    position: int = -1
    target: Target = field(default_factory=Predicted)

    def given(self, x: Inputs) -> Target:
        if self.position >= 0 or x.attended is None:
            return self
        places = x.at_tokens(-self.position)[:, 0]
        return _AtTokens(self.position, self.target, places=places)

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        if output.ndim != 3 or not -output.shape[1] <= self.position < output.shape[1]:
            raise CodeclensError(
                f"Token({self.position}) needs an output of shape (samples, tokens, classes) "
                f"with that token, not {tuple(output.shape)}."
            )
        inner = bind(self.target, self._at(output), labels)
        return lambda output: inner(self._at(output))

    def _at(self, output: Tensor) -> Tensor:
        return output[:, self.position]

    def words(self, classes: Names = None) -> str:
        return f"{target_words(self.target, classes)} {self._where}"

    def name(self, output: Tensor, classes: Names = None, labels: Tensor | None = None) -> str:
        return f"{target_name(self.target, self._at(output), classes, labels)} {self._where}"

    @property
    def _where(self) -> str:
        return "at the last token" if self.position == -1 else f"at token {self.position}"

    def unit(self, outputs: str = "logits") -> str:
        return target_unit(self.target, outputs)

    @property
    def whole_batch(self) -> bool:
        return not isinstance(self.target, Target) or self.target.whole_batch


@dataclass(frozen=True, eq=False)
class _AtTokens(Token):
    """The target of the token at a place of its own in each sample, `places` `(B,)`."""

    places: Tensor = field(kw_only=True, repr=False)

    def _at(self, output: Tensor) -> Tensor:
        return output[torch.arange(len(output), device=output.device), self.places]


@dataclass(frozen=True)
class Continuation(Target):
    """The log-probability of the last `length` tokens of each sample, summed, in nats.

    For language models, whose output at a token predicts the next one: `(B, tokens, classes)`. The
    tokens are those of the input, without padding if it has an attention mask. Raises
    CodeclensError for samples without a token before the continuation.

    >>> x = Inputs.of(torch.tensor([[0, 1]]))
    >>> output = torch.tensor([[[0.0, 0.0], [5.0, 2.0]]])
    >>> Continuation(1).given(x).bind(output, None)(output)
    tensor([-0.6931])
    """

    form: ClassVar[str] = "continuation:LENGTH"

    length: int = 1

    def __post_init__(self) -> None:
        require_number("length of Continuation", self.length, least=1, whole=True)

    def given(self, x: Inputs) -> Target:
        ids = x.tokens
        if ids is None:
            raise CodeclensError(
                f"{self!r} needs to know which input holds the token ids; pass it as input_ids."
            )
        places = x.at_tokens(self.length + 1)
        return _Followed(self.length, before=places[:, :-1], ids=ids.gather(1, places[:, 1:]))

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        raise CodeclensError(
            f"{self!r} is a target of token ids; pass the ids to the model, not their vectors."
        )

    def words(self, classes: Names = None) -> str:
        last = "token" if self.length == 1 else f"{self.length} tokens"
        return f"the log-probability of the last {last}"

    def unit(self, outputs: str = "logits") -> str:
        return "nats"


@dataclass(frozen=True, eq=False)
class _Followed(Continuation):
    """The log-probability of `ids` after the tokens at `before`, `(B, length)` each."""

    before: Tensor = field(kw_only=True, repr=False)
    ids: Tensor = field(kw_only=True, repr=False)

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        if output.ndim != 3 or output.shape[1] <= int(self.before.max()):
            raise CodeclensError(
                f"{self!r} needs an output (samples, tokens, classes) for every token, not "
                f"{tuple(output.shape)}."
            )
        rows = torch.arange(len(output), device=output.device)[:, None]

        def value(output: Tensor) -> Tensor:
            chances = output[rows, self.before].log_softmax(dim=2)
            return chances.gather(2, self.ids[:, :, None])[:, :, 0].sum(dim=1)

        return value
