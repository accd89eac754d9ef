"""Baselines: the reference inputs to which contributions are relative."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codeclens.errors import CodeclensError, require_number


@runtime_checkable
class Baseline(Protocol):
    """Gives the baseline of a batch; with several `draws`, contributions are averaged over them.

    A sample's baseline depends only on that sample and the draw, never on the rest of the batch.
    """

    @property
    def draws(self) -> int: ...

    def at(self, x: Tensor, draw: int) -> Tensor:
        """The baseline of a batch `x` `(B, …)`, of the same shape or one that broadcasts."""
        ...


@dataclass(frozen=True)
class Constant:
    """One number everywhere: 0 is a grey image if inputs are normalised."""

    value: float = 0.0
    draws: ClassVar[int] = 1

    def at(self, x: Tensor, draw: int) -> Tensor:
        return x.new_tensor(self.value)


@dataclass(frozen=True, eq=False)
class Given:
    """A given input, for all samples `(…)` or for each of them `(B, …)`, such as the mean image."""

    values: Tensor
    draws: ClassVar[int] = 1

    @classmethod
    def mean(cls, inputs: Tensor | Iterable[Tensor]) -> Given:
        """The mean of many inputs: of a tensor `(N, …)`, or of batches of them, one at a time.

        Raises CodeclensError without inputs.

        >>> Given.mean(torch.tensor([[0.0, 4.0], [2.0, 0.0]])).values
        tensor([1., 2.])
        """
        total: Tensor | None = None
        count, kind = 0, torch.float32
        for batch in [inputs] if isinstance(inputs, Tensor) else inputs:
            part = batch.double().sum(dim=0)
            total = part if total is None else total + part
            count, kind = count + len(batch), batch.dtype
        if total is None or not count:
            raise CodeclensError("Given.mean needs one input or more.")
        return cls((total / count).to(kind))

    def at(self, x: Tensor, draw: int) -> Tensor:
        return self.values

    def __repr__(self) -> str:
        return f"Given(shape={tuple(self.values.shape)})"


@dataclass(frozen=True)
class Blur:
    """Each image blurred by a Gaussian of `sigma` pixels: contributions explain its details.

    >>> image = torch.zeros(1, 1, 9, 9)
    >>> image[..., 4, 4] = 1.0
    >>> blurred = Blur(sigma=1.0).at(image, 0)
    >>> blurred.shape, round(float(blurred.sum()), 3)
    (torch.Size([1, 1, 9, 9]), 1.0)
    """

    sigma: float = 10.0
    draws: ClassVar[int] = 1

    def at(self, x: Tensor, draw: int) -> Tensor:
        if x.ndim != 4 or not self.sigma > 0:
            raise CodeclensError(
                f"Blur(sigma={self.sigma}) needs images (B, C, H, W) and a sigma above 0; the "
                f"input has shape {tuple(x.shape)}."
            )
        for axis in (2, 3):
            x = _blurred(x, self.sigma, axis)
        return x


def _blurred(x: Tensor, sigma: float, axis: int) -> Tensor:
    # The edge continues beyond the border, so that a flat image stays flat.
    reach = max(1, int(3 * sigma + 0.5))
    offsets = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    kernel = (-(offsets**2) / (2 * sigma**2)).exp()
    shape = [1, 1, -1, 1] if axis == 2 else [1, 1, 1, -1]
    weight = (kernel / kernel.sum()).reshape(shape).expand(x.shape[1], 1, -1, -1)
    pad = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
    return F.conv2d(F.pad(x, pad, mode="replicate"), weight, groups=x.shape[1])


@dataclass(frozen=True, eq=False)
class Samples:
    """A distribution of inputs: contributions averaged over `draws` of them (expected gradients).

    `inputs` is `(M, …)`; they are drawn without replacement by `seed`, once for all samples. Raises
    CodeclensError if there are fewer inputs than draws.

    >>> Samples(torch.randn(20, 3, 8, 8), draws=4).at(torch.zeros(2, 3, 8, 8), draw=0).shape
    torch.Size([3, 8, 8])
    """

    inputs: Tensor
    draws: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        hint = "each draw is another input"
        require_number("draws", self.draws, least=1, most=len(self.inputs), whole=True, hint=hint)

    def at(self, x: Tensor, draw: int) -> Tensor:
        order = torch.randperm(len(self.inputs), generator=torch.Generator().manual_seed(self.seed))
        return self.inputs[order[draw]]

    def __repr__(self) -> str:
        shape = tuple(self.inputs.shape)
        return f"Samples(shape={shape}, draws={self.draws}, seed={self.seed})"


class EmbeddingBaseline(ABC):
    """A baseline of token ids: one vector in the space of their embedding."""

    draws: ClassVar[int] = 1

    @abstractmethod
    def vector(self, embedding: nn.Module) -> Tensor:
        """The vector `(D,)` at every position."""

    def at(self, x: Tensor, draw: int) -> Tensor:
        raise CodeclensError(
            f"{self!r} is a baseline of token ids, and the input is {x.dtype}; pass a number or a "
            "tensor."
        )


@dataclass(frozen=True)
class TokenEmbedding(EmbeddingBaseline):
    """The embedding of one given token at every position, such as that of padding.

    Raises CodeclensError for an id that the embedding does not have.

    >>> TokenEmbedding(2).vector(nn.Embedding.from_pretrained(torch.eye(4)))
    tensor([0., 0., 1., 0.])
    """

    token: int

    def vector(self, embedding: nn.Module) -> Tensor:
        weight: Tensor = embedding.weight  # type: ignore[assignment]
        require_number("token", self.token, least=0, most=len(weight) - 1, whole=True)
        with torch.no_grad():
            found: Tensor = embedding.forward(torch.tensor([self.token], device=weight.device))[0]
        return found


@dataclass(frozen=True)
class MeanEmbedding(EmbeddingBaseline):
    """The mean of the embeddings of all tokens, at every position; `"mean"` for short.

    >>> MeanEmbedding().vector(nn.Embedding.from_pretrained(torch.eye(4)))
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    def vector(self, embedding: nn.Module) -> Tensor:
        weight: Tensor = embedding.weight  # type: ignore[assignment]
        with torch.no_grad():
            rows: Tensor = embedding.forward(torch.arange(len(weight), device=weight.device))
        return rows.mean(dim=0)


@dataclass(frozen=True)
class ByInput:
    """A baseline for each of several inputs, by number or name; None holds an input fixed.

    >>> ByInput.of({"image": 0.5, "mask": None}).places()
    {'image': Constant(value=0.5), 'mask': None}
    """

    given: tuple[tuple[int | str, Baseline | None], ...]
    # Numbers in a tuple are a baseline by feature, if there is one input only.
    numbers: tuple[float, ...] | None = None

    @classmethod
    def of(cls, baselines: Mapping[Any, Any] | tuple[Any, ...]) -> ByInput:
        """From a dict by name, or a tuple by place; raises CodeclensError for other baselines."""
        pairs = baselines.items() if isinstance(baselines, Mapping) else enumerate(baselines)
        plain = isinstance(baselines, tuple) and all(
            isinstance(one, int | float) and not isinstance(one, bool) for one in baselines
        )
        return cls(
            tuple((place, None if one is None else as_baseline(one)) for place, one in pairs),
            tuple(map(float, baselines)) if plain else None,
        )

    def places(self) -> dict[int | str, Baseline | None]:
        """The baselines by place."""
        return dict(self.given)

    def of_place(self, place: int | str) -> Baseline | None:
        """The baseline of one input."""
        return self.places().get(place)

    @property
    def draws(self) -> int:
        """The number of draws, which all baselines with more than one share."""
        counts = {one.draws for _, one in self.given if one is not None and one.draws > 1}
        if len(counts) > 1:
            raise CodeclensError(
                f"The baselines have {' and '.join(map(str, sorted(counts)))} draws; give all the "
                "same number, or 1."
            )
        return max(counts, default=1)

    def at(self, x: Tensor, draw: int) -> Tensor:
        if self.numbers is not None:
            return torch.tensor(self.numbers, dtype=torch.float64)
        first = self.given[0][1] if len(self.given) == 1 else None
        if first is None:
            names = ", ".join(repr(place) for place, _ in self.given)
            raise CodeclensError(
                f"There are baselines for the inputs {names}, but there is one input; pass its "
                "baseline alone."
            )
        return first.at(x, draw)


def as_baseline(baseline: Any) -> Baseline:
    """A number or a tensor as a baseline; any Baseline as it is; a tuple or dict by input.

    Raises CodeclensError for anything else.

    >>> as_baseline(1), as_baseline("mean")
    (Constant(value=1.0), MeanEmbedding())
    """
    if isinstance(baseline, Baseline) and not isinstance(baseline, type):
        return baseline
    if isinstance(baseline, tuple | Mapping) and len(baseline):
        return ByInput.of(baseline)
    if isinstance(baseline, str) and baseline == "mean":
        return MeanEmbedding()
    try:
        if baseline is None or isinstance(baseline, str | type):
            raise TypeError(baseline)
        # As a tensor, a number would have the default precision of torch, not the input's.
        if isinstance(baseline, int | float):
            return Constant(float(baseline))
        values = torch.as_tensor(baseline)
    except (TypeError, ValueError, RuntimeError):
        raise CodeclensError(
            f"{baseline!r} is not a baseline; pass a number, a tensor, or an object such as "
            "Blur() or Given.mean(images); for several inputs a tuple or dict of them."
        ) from None
    return Constant(float(values)) if values.ndim == 0 else Given(values)
