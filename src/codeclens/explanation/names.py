"""Names in explanations: what modes are about, and what the target is called."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from codeclens.analysis import mode_name, permutation_nulls
from codeclens.analysis.findings import Closest
from codeclens.analysis.naming import Evidence, short_names
from codeclens.attribution import Contrast, Label, Output, Predicted, Target, TopKSum
from codeclens.attribution.targets import Bound
from codeclens.decomposition import Modes


def names_beyond_chance(
    modes: Modes, *, permutations: int = 200, alpha: float = 0.05, seed: int = 0
) -> list[str]:
    """What each mode is about: the classes that its loadings follow beyond chance, "" without any.

    The largest correlation is held against permuted labels, under false-discovery control over all
    modes (see `semantics`, which takes a hierarchy of classes, too). Without labels of two classes
    or more all names are empty.

    >>> from codeclens.decomposition import NMF
    >>> X = np.repeat(np.eye(2, 4), 20, axis=0) + 0.01
    >>> nmf = NMF(n_modes=2).fit(X)
    >>> labels = np.repeat([0, 1], 20)
    >>> modes = Modes("a", "positive", nmf, nmf.encode(X), labels=labels, classes=("cat", "dog"))
    >>> sorted(names_beyond_chance(modes))
    ['cat', 'dog']
    """
    labels = modes.labels
    if labels is None or len(np.unique(labels[labels >= 0])) < 2:
        return [""] * len(modes)
    correlation = modes.class_correlation()
    classes = modes.classes or tuple(f"class {c}" for c in range(correlation.shape[1]))
    nulls = permutation_nulls(
        np.asarray(modes.loadings), labels, correlation.shape[1], n=permutations, seed=seed
    )
    closest = Closest.of(correlation, nulls.classes, alpha)
    known = closest.significant(alpha)
    none = (np.zeros(0), 1.0, False)
    return [
        mode_name(Evidence(correlation[k], float(closest.critical[k]), True, *none), classes_of)
        if known[k]
        else ""
        for k, classes_of in enumerate([short_names(classes)] * len(modes))
    ]


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
