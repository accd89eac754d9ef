"""A model with everything that is needed to feed it and to read its output."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
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


def nearest(word: str, among: Iterable[str], count: int = 3) -> str:
    """Return the names most like `word`, quoted, for an error message.

    >>> nearest("digit-resnet", ["digits-resnet", "efficientnet-lite0"], count=1)
    '"digits-resnet"'
    """
    names = difflib.get_close_matches(word, list(among), n=count, cutoff=0.0)
    return ", ".join(f'"{name}"' for name in names)


def short_labels(descriptions: Sequence[str]) -> list[str]:
    """Return one short name for each class: the first of its synonyms, or all if that is taken.

    Names that are still equal carry their class index, so that a name always means one class.

    >>> short_labels(["tench, Tinca tinca", "crane", "maillot", "maillot, tank suit", "crane"])
    ['tench', 'crane (1)', 'maillot (2)', 'maillot, tank suit', 'crane (4)']
    """
    short = [description.split(",")[0].strip() for description in descriptions]
    taken = Counter(short)
    labels = [d if taken[s] > 1 else s for d, s in zip(descriptions, short, strict=True)]
    # "maillot" stays ambiguous beside "maillot, tank suit".
    return [f"{label} ({i})" if taken[label] > 1 else label for i, label in enumerate(labels)]
