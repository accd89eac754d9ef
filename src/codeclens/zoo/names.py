"""Names of models and classes: the nearest to a misspelt one, and labels that are told apart."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence


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
