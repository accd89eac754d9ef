"""Names of modes, made from the classes and superclasses that they follow beyond chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

# What modes are called that follow nothing, or nothing in particular.
NO_CLASS, CONSTANT, DIFFUSE = "no class beyond chance", "does not vary", "diffuse: "
NAMELESS = (NO_CLASS, CONSTANT)
# Classes that a name lists; the others are counted.
_LISTED = 3


@dataclass(frozen=True)
class Evidence:
    """What a mode's name is made of: correlations with C classes and S superclasses, and chance.

    `correlation` `(C,)` and `superclass_correlation` `(S,)` (NaN where undefined) must exceed
    `critical` and `superclass_critical`, the best of chance, to count; `significant` says whether
    the best class does so under false-discovery control over all modes, `superclass_significant`
    whether the best superclass does.
    """

    correlation: Float[np.ndarray, " class"]
    critical: float
    significant: bool
    superclass_correlation: Float[np.ndarray, " superclass"]
    superclass_critical: float
    superclass_significant: bool


def mode_name(
    evidence: Evidence,
    classes: Sequence[str],
    superclasses: Sequence[str] = (),
    members: Bool[np.ndarray, "class superclass"] | None = None,
    threshold: float = 0.2,
) -> str:
    """What to call a mode: its classes, or a superclass, or that it follows none.

    A superclass names the mode where the mode follows it better than any class, with how many of
    its classes the mode follows on their own, if any. Otherwise the classes with at least half of
    the best correlation do, the best first, three by name. No class or superclass is named whose
    correlation is not above `threshold` and beyond chance.

    >>> none = (np.zeros(0), 1.0, False)
    >>> mode_name(Evidence(np.array([0.1, 0.6, 0.5]), 0.3, True, *none), ["tub", "espresso", "cup"])
    'espresso, cup'
    >>> mode_name(Evidence(np.array([0.1, 0.15, 0.0]), 0.05, True, *none), ["a", "b", "c"])
    'diffuse: no class above 0.2'
    >>> mode_name(Evidence(np.array([0.3, 0.1]), 0.4, False, *none), ["a", "b"])
    'no class beyond chance'
    """
    r = np.where(np.isnan(evidence.correlation), -np.inf, evidence.correlation)
    of_groups = np.where(
        np.isnan(evidence.superclass_correlation), -np.inf, evidence.superclass_correlation
    )
    best = r.max(initial=-np.inf)
    if not np.isfinite(best):
        return CONSTANT
    beyond = (r > max(threshold, evidence.critical)) & evidence.significant
    group = int(of_groups.argmax()) if len(of_groups) else -1
    if (
        group >= 0
        and members is not None
        and evidence.superclass_significant
        and of_groups[group] > max(threshold, evidence.superclass_critical)
        and of_groups[group] > best
    ):
        follows = int(((r > evidence.critical) & members[:, group]).sum()) * evidence.significant
        some = f" ({follows} of {int(members[:, group].sum())} classes)" if follows else ""
        return superclasses[group] + some
    if beyond.any():
        named = np.flatnonzero(beyond & (r >= 0.5 * best))
        named = named[np.argsort(-r[named], kind="stable")]
        listed = ", ".join(classes[c] for c in named[:_LISTED])
        more = len(named) - _LISTED
        return f"{listed} and {more} more" if more > 0 else listed
    if best <= threshold and (evidence.significant or evidence.superclass_significant):
        return f"{DIFFUSE}no class above {threshold:g}"
    return NO_CLASS


def short_names(classes: Sequence[str]) -> list[str]:
    """The first of the comma-separated names of every class, all of them where that is taken.

    >>> short_names(["tench, Tinca tinca", "maillot", "maillot, tank suit"])
    ['tench', 'maillot', 'maillot, tank suit']
    """
    short = [name.split(",")[0].strip() or name for name in classes]
    taken = Counter(short)
    return [name if taken[first] > 1 else first for name, first in zip(classes, short, strict=True)]
