"""What the target of an explanation is called."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from codeclens.attribution import Contrast, Label, Output, Predicted, Target, TopKSum
from codeclens.attribution.targets import Bound


def target_words(
    target: Target | Bound,
    output: Tensor,
    classes: Sequence[str] | None = None,
    labels: Tensor | None = None,
) -> str:
    """What the target of one sample is called, by its output `(1, …)` and the classes' names.

    >>> output = Tensor([[0.0, 3.0, 2.0]])
    >>> target_words(Predicted(), output, ["tub", "espresso", "cup"])
    'espresso'
    >>> target_words(Contrast(), output, ["tub", "espresso", "cup"])
    'espresso − cup'
    """
    if output.ndim != 2:
        return "the target"

    def called(index: int) -> str:
        index %= output.shape[1]
        named = classes is not None and index < len(classes)
        return str(classes[index]) if named and classes is not None else f"output {index}"

    scale = " (probability)" if getattr(target, "of", "logits") == "probabilities" else ""
    order = output[0].argsort(descending=True, stable=True).tolist()
    if isinstance(target, Predicted):
        words = called(order[0])
    elif isinstance(target, Label) and labels is not None:
        words = called(int(labels[0]))
    elif isinstance(target, Output):
        chosen = [target.index] if isinstance(target.index, int) else list(target.index)
        words = " + ".join(called(int(index)) for index in chosen)
    elif isinstance(target, Contrast):
        first, second = order[0], order[1]
        if target.first is not None and target.second is not None:
            first, second = target.first, target.second
        words = f"{called(first)} − {called(second)}"
    elif isinstance(target, TopKSum):
        words = " + ".join(called(index) for index in order[: target.k])
    else:
        return "the target"
    return words + scale
