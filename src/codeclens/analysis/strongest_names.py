"""Names of modes by the samples in which they are most active, each with its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int64

from codeclens.decomposition import Loadings
from codeclens.errors import CodeclensError, require_number

# Two classes name a mode together if each holds a quarter of its strongest samples.
_EACH = 0.25


@dataclass(frozen=True)
class StrongestName:
    """What most of a mode's strongest samples show: a `name` ("" for none) and its `evidence`.

    `least` is the smallest loading from which on enough of the samples show it (infinite without a
    name): a sample in which the mode is weaker may well show something else.
    """

    name: str
    evidence: str
    least: float = float("inf")


def names_of_strongest(
    loadings: Loadings | np.ndarray,
    classes: Mapping[str, Bool[np.ndarray, " sample"]],
    kinds: Mapping[str, Bool[np.ndarray, " sample"]] | None = None,
    *,
    count: int = 20,
    share: float = 0.6,
    alpha: float = 0.05,
    right: float = 0.5,
) -> list[StrongestName]:
    """Name each mode by what most of the `count` samples with its largest loadings show.

    `classes` and `kinds`, which hold several classes, are masks of the N samples by name. A mode is
    called by a class that at least `share` of its strongest samples show; else by two classes that
    show as many together, with a quarter or more each; else by the smallest kind that holds
    `share` of them. Each must be more frequent than among samples drawn without the mode
    (hypergeometric test, Bonferroni over all modes, classes and kinds, `alpha`). A mode that is
    active in fewer than half of `count` samples has no name. A name holds from the `least` loading
    on: of all samples with this loading or a larger one at least `right` show it, all classes
    counted alike, however many samples each has. Raises CodeclensError for masks of
    another length, and for numbers that are out of range.

    >>> loadings = np.zeros((60, 2), np.float32)
    >>> loadings[:20, 0], loadings[::3, 1] = 1.0, 1.0
    >>> cats = np.arange(60) < 22
    >>> [one.name for one in names_of_strongest(loadings, {"cat": cats, "dog": ~cats})]
    ['cat', '']
    """
    require_number("count", count, least=2, whole=True, hint="it is a number of samples")
    require_number("share", share, least=0.5, most=1)
    require_number("right", right, least=0, most=1)
    table = Loadings.of(loadings)
    groups = [*classes.items(), *(kinds or {}).items()]
    if not groups:
        raise CodeclensError("No class was given, so no mode can be named.")
    for name, mask in groups:
        if len(mask) != len(table):
            raise CodeclensError(
                f'The mask of "{name}" is of {len(mask)} samples, the loadings of {len(table)}.'
            )
    members = np.stack([np.asarray(mask, bool) for _, mask in groups], axis=1)
    names = [name for name, _ in groups]
    weights = _class_weights(members[:, : len(classes)])
    level = alpha / (len(groups) * table.shape[1])
    found = []
    for mode in range(table.shape[1]):
        rows, values = table.active(mode)
        order = np.argsort(-values, kind="stable")
        one, held = _name(names, members, rows[order[:count]], len(classes), count, share, level)
        if held:
            shown, each = members[rows[order]][:, held].any(axis=1), weights[rows[order]]
            enough = np.flatnonzero(np.cumsum(shown * each) >= right * np.cumsum(each))
            if len(enough):
                one = replace(one, least=float(values[order[enough[-1]]]))
        found.append(one)
    return found


def _class_weights(members: Bool[np.ndarray, "sample class"]) -> Float[np.ndarray, " sample"]:
    """Weights with which every class counts 1 in all, and so do the samples that are in none."""
    size = np.where(members, members.sum(axis=0), len(members)).min(axis=1, initial=len(members))
    none = ~members.any(axis=1)
    size[none] = none.sum()
    return np.asarray(1 / size, np.float64)


def _name(
    names: Sequence[str],
    members: Bool[np.ndarray, "sample group"],
    top: Int64[np.ndarray, " top"],
    classes: int,
    count: int,
    share: float,
    level: float,
) -> tuple[StrongestName, list[int]]:
    """The name, and the numbers of the groups that it is made of."""
    if 2 * len(top) < count:
        return StrongestName("", f"It is active in {len(top)} samples only."), []
    held, size = members[top].sum(axis=0), members.sum(axis=0)
    beyond = _tail(held, len(members), size, len(top)) <= level
    portion = np.where(beyond, held / len(top), 0.0)
    order = [int(group) for group in np.argsort(-portion[:classes], kind="stable")[:2]]
    expected = len(top) * size / len(members)

    def evidence(groups: Sequence[int]) -> str:
        told = " and ".join(f"{held[g]} show {names[g]}" for g in groups)
        chance = " and ".join(f"{expected[g]:.1f}" for g in groups)
        return f"Of its {len(top)} strongest samples {told} ({chance} expected by chance)."

    if portion[order[0]] >= share:
        return StrongestName(names[order[0]], evidence(order[:1])), order[:1]
    if len(order) == 2 and portion[order].min() >= _EACH and portion[order].sum() >= share:
        both = StrongestName(" or ".join(names[g] for g in order), evidence(order))
        return both, order
    enough = [g for g in range(classes, len(names)) if portion[g] >= share]
    if enough:
        best = min(enough, key=lambda g: (size[g], -portion[g]))
        return StrongestName(names[best], evidence([best])), [best]
    most = int(np.argmax(held[:classes]))
    told = (
        f"Its {len(top)} strongest samples have nothing in common that is known; "
        f"most often, {held[most]} times, they show {names[most]}."
    )
    return StrongestName("", told), []


def _tail(
    held: np.ndarray, samples: int, size: np.ndarray, drawn: int
) -> Float[np.ndarray, " group"]:
    """The probability to draw as many or more members of each group without replacement."""
    from scipy.stats import hypergeom

    return np.asarray(hypergeom.sf(held - 1, samples, size, drawn), np.float64)
