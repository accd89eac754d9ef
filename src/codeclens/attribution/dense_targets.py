"""Targets of outputs with many predictions for a sample: labels, pixels and boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from codeclens.attribution.targets import Bound, Names, Scale, Target, require_scale, scaled
from codeclens.errors import CodeclensError, require_number


@dataclass(frozen=True)
class Positive(Target):
    """The sum of the outputs above 0 at x: the labels that a multi-label network predicts.

    0 for a sample without one. A single label is `Output(3, of="sigmoid")`.

    >>> output = torch.tensor([[1.0, -3.0, 2.0]])
    >>> Positive().bind(output, None)(output)
    tensor([3.])
    """

    form: ClassVar[str] = "positive"

    of: Scale = "logits"

    def __post_init__(self) -> None:
        require_scale(self, self.of)

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        if output.ndim != 2:
            raise CodeclensError(
                f"Positive needs outputs (samples, labels), not {tuple(output.shape)}; pass "
                "output=… to select them."
            )
        chosen = (output > 0).to(output.dtype)
        of: Scale = "logits" if self.of == "logits" else "sigmoid"
        return lambda output: (scaled(output, of) * chosen).sum(dim=1)

    def words(self, classes: Names = None) -> str:
        quantity = "logits" if self.of == "logits" else "probabilities"
        return f"the sum of the {quantity} of all predicted labels"

    def unit(self, outputs: str = "logits") -> str:
        return outputs if self.of == "logits" else "probability"


@dataclass(frozen=True, eq=False)
class Pixels(Target):
    """The mean over pixels of a class of a segmentation, whose output is `(B, classes, …)`.

    `index` is the class, and the pixels are those for which it is predicted at x. Without an
    index, each pixel counts with the class that is predicted for it at x. A `mask`, of the shape
    of one output's pixels or with one for each sample of the batch, gives the pixels instead. The
    target is 0 where there is no such pixel. One channel z is a single output: classes 1 and 0
    have the logits z and −z.

    Raises CodeclensError for an output without pixels, an index out of range and a mask of another
    shape.

    >>> output = torch.tensor([[[1.0, 3.0], [2.0, 0.0]]])
    >>> Pixels().bind(output, None)(output)
    tensor([2.5000])
    >>> Pixels(1).bind(output, None)(output), Pixels(1).words(["sky", "road"])
    (tensor([2.]), 'the mean logit of "road" over its predicted pixels')
    """

    form: ClassVar[str] = "pixels:CLASS"

    index: int | None = None
    mask: Tensor | None = None
    of: Scale = "logits"

    def __post_init__(self) -> None:
        require_scale(self, self.of)

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        if output.ndim < 3:
            raise CodeclensError(
                f"Pixels needs an output (samples, classes, …) with pixels, not "
                f"{tuple(output.shape)}; pass output=… to select it."
            )
        single = output.shape[1] == 1
        predicted = (output[:, 0] > 0).long() if single else output.argmax(dim=1)
        chosen = predicted
        if self.index is not None:
            _require_class("Pixels", self.index, max(2, output.shape[1]))
            chosen = torch.full_like(predicted, self.index)
        if self.mask is not None:
            weight = self._masked(self.mask, predicted)
        else:
            weight = predicted == chosen
        weight = weight.to(output.dtype)
        count = weight.flatten(1).sum(dim=1).clamp(min=1)
        signs = (2 * chosen - 1)[:, None].to(output.dtype)

        def value(output: Tensor) -> Tensor:
            if single:
                found = scaled(output * signs, self.of)[:, 0]
            else:
                found = scaled(output, self.of).gather(1, chosen[:, None])[:, 0]
            return (found * weight).flatten(1).sum(dim=1) / count

        return value

    def _masked(self, mask: Tensor, predicted: Tensor) -> Tensor:
        if mask.shape not in (predicted.shape, predicted.shape[1:]):
            raise CodeclensError(
                f"The mask of Pixels has shape {tuple(mask.shape)}; pass one of "
                f"{tuple(predicted.shape[1:])}, or one for each sample {tuple(predicted.shape)}."
            )
        return mask.to(predicted.device).bool().expand_as(predicted)

    @property
    def whole_batch(self) -> bool:
        # A mask with an axis more than that of one sample; which it is, only the output shows.
        return self.mask is not None and self.mask.ndim > 1

    def words(self, classes: Names = None) -> str:
        quantity = "logit" if self.of == "logits" else "probability"
        if self.index is None:
            which, own = "each pixel's predicted class", "all pixels"
        else:
            known = classes is not None and 0 <= self.index < len(classes)
            which = f'"{classes[self.index]}"' if known and classes else f"class {self.index}"
            own = "its predicted pixels"
        return f"the mean {quantity} of {which} over {own if self.mask is None else 'a mask'}"

    def unit(self, outputs: str = "logits") -> str:
        return outputs if self.of == "logits" else "probability"

    def __repr__(self) -> str:
        mask = "" if self.mask is None else f", mask of shape {tuple(self.mask.shape)}"
        return f"Pixels({self.index}{mask}, of={self.of!r})"


@dataclass(frozen=True)
class BoxScore(Target):
    """The score of one box, for detectors whose output is `(B, boxes, classes)`.

    The box is `query`, or else the one with the highest score at x; the class is `index`, or else
    the one with the highest score in it. `background` is a class that stands for no object and is
    never chosen, for example −1 in DETR. With `of="sigmoid"` each score has a probability of its
    own. Select the scores with `output=…`, for example `output="logits"`.

    Raises CodeclensError for another shape, and for a class or a box that does not exist.

    >>> output = torch.tensor([[[1.0, 3.0, 9.0], [2.0, 0.0, 9.0]]])
    >>> BoxScore(background=-1).bind(output, None)(output), BoxScore(0).bind(output, None)(output)
    (tensor([3.]), tensor([2.]))
    """

    form: ClassVar[str] = "box:CLASS"

    index: int | None = None
    query: int | None = None
    background: int | None = None
    of: Scale = "logits"

    def __post_init__(self) -> None:
        require_scale(self, self.of)

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        if output.ndim != 3:
            raise CodeclensError(
                f"BoxScore needs an output (samples, boxes, classes), not {tuple(output.shape)}; "
                "pass output=… to select the scores."
            )
        boxes, classes = output.shape[1:]
        ranked = self._scores(output).detach().clone()
        if self.background is not None:
            _require_class("BoxScore", self.background, classes, least=-classes)
            ranked[:, :, self.background] = -torch.inf
        if self.index is not None:
            _require_class("BoxScore", self.index, classes)
            ranked = ranked[:, :, self.index : self.index + 1]
        if self.query is not None:
            require_number("query of BoxScore", self.query, least=0, most=boxes - 1, whole=True)
            ranked = ranked[:, self.query : self.query + 1]
        best = ranked.flatten(1).argmax(dim=1)
        query = best // ranked.shape[2] + (self.query or 0)
        index = best % ranked.shape[2] + (self.index or 0)
        place = (query * classes + index)[:, None]
        return lambda output: self._scores(output).flatten(1).gather(1, place)[:, 0]

    def _scores(self, output: Tensor) -> Tensor:
        return scaled(output.movedim(2, 1), self.of).movedim(1, 2)

    def words(self, classes: Names = None) -> str:
        quantity = "logit" if self.of == "logits" else "probability"
        known = classes is not None and self.index is not None and 0 <= self.index < len(classes)
        of = f"class {self.index}" if self.index is not None else "the predicted class"
        if known and classes is not None and self.index is not None:
            of = f'"{classes[self.index]}"'
        box = "the box with the highest score" if self.query is None else f"box {self.query}"
        return f"the {quantity} of {of} in {box}"

    def unit(self, outputs: str = "logits") -> str:
        return outputs if self.of == "logits" else "probability"


def _require_class(target: str, index: int, count: int, least: int = 0) -> None:
    if not least <= index < count:
        raise CodeclensError(
            f"{target} asks for class {index}, but the output has classes 0 to {count - 1}."
        )
