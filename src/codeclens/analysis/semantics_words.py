"""Semantics in words: plain sentences that are computed from the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from codeclens.analysis.findings import FOLLOWERS
from codeclens.analysis.layer_words import trend_phrase

if TYPE_CHECKING:
    from codeclens.analysis.findings import Semantics


def semantics_sentences(semantics: Semantics) -> list[str]:
    sources = [source for source in FOLLOWERS if semantics.of(source)]
    sites = len(semantics)
    lines = [
        f"Semantics of {semantics.samples:,} samples of {len(semantics.classes):,} classes at "
        f"{sites} {'site' if sites == 1 else 'sites'}; significance by "
        f"{semantics.permutations:,} permutations of the labels at a false discovery rate of "
        f"{semantics.alpha:g}; intervals are 95 % bootstrap intervals over modes or channels."
    ]
    quantities = [
        ("top_correlation", "Largest correlation with a class, median", "{:.2f}"),
        ("share_above", f"Share that follows a class above {semantics.threshold:g}", "{:.2f}"),
        ("entropy", "Normalised entropy over classes (1 all alike, 0 one alone), median", "{:.2f}"),
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
        lines += _best_mode(semantics)
    if semantics.ambiguous:
        lines.append(
            f"{_several(len(semantics.ambiguous), 'class name')} fit several places of the "
            f'hierarchy equally well ("{semantics.ambiguous[0]}", for one); the first was taken.'
        )
    return lines


def _counts(semantics: Semantics, sources: Sequence[str]) -> str:
    parts = []
    for source in sources:
        last = semantics.of(source)[-1]
        parts.append(
            f"of {len(last):,} {FOLLOWERS[source]}, {last.significant(semantics.alpha):,} follow a "
            f"class beyond chance and {last.count_above:,} above {semantics.threshold:g}, which "
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


def _best_mode(semantics: Semantics) -> list[str]:
    """The mode that follows a class most closely, if one does beyond chance."""
    best = None
    for one in semantics.of("modes"):
        top = np.where(one.q <= semantics.alpha, one.top, -np.inf)
        if len(top) and np.isfinite(top.max()) and (best is None or top.max() > best[0]):
            best = (float(top.max()), one, int(top.argmax()))
    if best is None:
        return ["No mode follows a class beyond chance."]
    value, one, number = best
    return [
        f"The mode that follows a class most closely is mode {number} of {one.site} "
        f'("{one.names[number]}"), with a correlation of {value:.2f} with '
        f"{semantics.classes[int(one.top_class[number])]}."
    ]


def _several(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
