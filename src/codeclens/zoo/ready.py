"""A model with everything that is needed to feed it and to read its output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

Transform = Callable[[Image.Image], Tensor]
Weights = str | Path | None
RANDOM = "random"


@dataclass(frozen=True)
class Ready:
    """A model that is ready for pictures, in evaluation mode.

    >>> from codeclens.zoo import load
    >>> ready = load("digits-resnet")
    >>> x = ready.transform(Image.new("L", (28, 28)))
    >>> ready.model(x[None]).shape, ready.labels[-1], ready.sites
    (torch.Size([1, 10]), '9', 'blocks.*')
    """

    name: str
    """What `load` was asked for."""
    model: nn.Module = field(repr=False)
    """The network."""
    transform: Transform = field(repr=False)
    """Turns a PIL image into the network's input, `(C, H, W)`."""
    labels: Sequence[str] | None = field(repr=False)
    """The class of each output, or None where nobody says."""
    sites: str
    """Where to look when the user names no sites."""
    output: str | None = None
    """The entry of the model's output that holds the logits; None where it returns a tensor."""


@contextmanager
def fixed_seed() -> Iterator[None]:
    """Draw initial weights from seed 0, and leave the caller's random state as it was.

    >>> with fixed_seed():
    ...     first = torch.rand(1)
    >>> with fixed_seed():
    ...     bool(torch.rand(1) == first)
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
