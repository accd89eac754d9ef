"""Semantics in words: plain sentences that are computed from the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from codeclens.analysis.findings import FOLLOWERS
from codeclens.analysis.layer_words import trend_phrase

if TYPE_CHECKING:
    from jaxtyping import Bool

    from codeclens.analysis.findings import Closest, Meaning, Semantics


def semantics_sentences(semantics: Semantics) -> list[str]:
    """How closely classes, and superclasses, are followed, by what, and how that changes."""
    criteria = semantics.criteria
    sources = [source for source in FOLLOWERS if semantics.of(source)]
    sites = len(semantics)
    lines = [
        f"Semantics of {semantics.samples:,} samples of {len(semantics.classes):,} classes at "
        f"{sites} {'site' if sites == 1 else 'sites'}; significance by "
        f"{criteria.permutations:,} permutations of the labels at a false discovery rate of "
        f"{criteria.alpha:g}; intervals are 95 % bootstrap intervals over modes or channels."
    ]
    quantities = [
        ("top_correlation", "Largest correlation with a class, median", "{:.2f}"),
        ("share_above", f"Share that follows a class above {criteria.threshold:g}", "{:.2f}"),
        ("entropy", "Normalised entropy over classes (1 all alike, 0 one alone), median", "{:.2f}"),
    ]
    if semantics.superclasses:
        quantities += [
            ("superclass_correlation", "Largest correlation with a superclass, median", "{:.2f}"),
            (
                "share_broader",
                "Share that follows a superclass beyond chance and more closely than any class",
                "{:.2f}",
            ),
        ]
    for key, words, number in quantities:
        parts = []
        for source in sources:
            at = [one.site for one in semantics.of(source)]
            phrase = trend_phrase(semantics.trends[f"{source}_{key}"], at, number)
            parts.append(f"that of {FOLLOWERS[source]} {phrase}")
        lines.append(f"{words}: " + "; ".join(parts) + ".")
    lines.append(_counts(semantics, sources))
    for one, other in (("modes", "activation_modes"), ("contributions", "activations")):
        if one in sources and other in sources:
            lines.append(_comparison(semantics, one, other))
    if "modes" in sources:
        lines += _best_modes(semantics)
    if semantics.ambiguous:
        lines.append(
            f"{_several(len(semantics.ambiguous), 'class name')} fit several places of the "
            f'hierarchy equally well ("{semantics.ambiguous[0]}", for one); the first was taken.'
        )
    return lines


def _counts(semantics: Semantics, sources: Sequence[str]) -> str:
    alpha, threshold = semantics.criteria.alpha, semantics.criteria.threshold
    parts = []
    for source in sources:
        last = semantics.of(source)[-1]
        parts.append(
            f"of {len(last):,} {FOLLOWERS[source]}, {last.significant(alpha):,} follow a "
            f"class beyond chance and {last.count_above:,} above {threshold:g}, which "
            f"covers {last.covered:,} of {last.classes:,} classes"
        )
    places = [semantics.of(source)[-1].site for source in sources]
    same = len(set(places)) == 1
    if not same:
        parts = [f"{part} ({site})" for part, site in zip(parts, places, strict=True)]
    return f"At the last site{f' ({places[0]})' if same else ''}: " + "; ".join(parts) + "."


def _comparison(semantics: Semantics, one: str, other: str) -> str:
    both = [found for found in semantics.values() if one in found and other in found]
    higher = sum(found[one].spread.low > found[other].spread.high for found in both)
    lower = sum(found[one].spread.high < found[other].spread.low for found in both)
    return (
        f"With intervals that do not overlap, {FOLLOWERS[one]} follow classes more closely than "
        f"{FOLLOWERS[other]} at {higher} of {len(both)} sites and less closely at {lower}."
    )


def _best_modes(semantics: Semantics) -> list[str]:
    """The modes that follow a class, and a superclass, most closely, if any do beyond chance."""
    alpha = semantics.criteria.alpha
    modes = semantics.of("modes")
    best = _best([(one, one.closest, one.closest.significant(alpha)) for one in modes])
    lines = ["No mode follows a class beyond chance."]
    if best is not None:
        lines = [f"The mode that follows a class most closely is {_told(best, semantics.classes)}."]
    broader = _best([(one, one.closest_superclass, one.broader(alpha)) for one in modes])
    if broader is not None:
        lines.append(
            "Of modes that follow a superclass more closely than any class, the closest is "
            f"{_told(broader, semantics.superclasses)}."
        )
    elif semantics.superclasses:
        lines.append("No mode follows a superclass more closely than any class, beyond chance.")
    return lines


def _best(
    modes: Sequence[tuple[Meaning, Closest | None, Bool[np.ndarray, " mode"]]],
) -> tuple[Meaning, Closest, int] | None:
    """Of the modes that count, the one with the largest correlation."""
    found: tuple[Meaning, Closest, int] | None = None
    for one, closest, counts in modes:
        if closest is None or not counts.any():
            continue
        number = int(np.where(counts, closest.correlation, -np.inf).argmax())
        if found is None or closest.correlation[number] > found[1].correlation[found[2]]:
            found = one, closest, number
    return found


def _told(found: tuple[Meaning, Closest, int], names: Sequence[str]) -> str:
    one, closest, number = found
    return (
        f'mode {number} of {one.site} ("{one.names[number]}"), with a correlation of '
        f"{closest.correlation[number]:.2f} with {names[int(closest.place[number])]}"
    )


def _several(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
