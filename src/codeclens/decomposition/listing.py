"""Listing: modes one by one, in a table of numbers and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from codeclens.decomposition import quality
from codeclens.decomposition.stability import sentence

if TYPE_CHECKING:
    from codeclens.decomposition.modes import Modes

# What `Modes.quality` says of how well each mode is found again, and where.
STABILITY = {"stability_seeds": "other seeds", "stability_halves": "halves of the samples"}

# More R² than this between samples that were seen and others: modes were learned by heart.
_GAP = 0.1


def table(modes: Modes) -> list[dict[str, Any]]:
    """One row for each mode, plain numbers."""
    redundancy = quality.redundancy(modes.dictionary)
    sparsity = quality.mode_sparsity(modes.dictionary)
    unknown = np.full(len(modes), np.nan)
    stability = {name: modes.quality.get(name, unknown) for name in STABILITY}
    labelled = modes.labels is not None and (modes.labels >= 0).any()
    rows = []
    for mode in modes:
        number = mode.index
        row: dict[str, Any] = {
            "site": modes.site,
            "mode": number,
            "r2": modes.r2,
            "share": mode.share,
            "firing_rate": mode.firing_rate,
            "dead": mode.firing_rate == 0,
            "dense": mode.firing_rate > 0.5,
            "sparsity": float(sparsity[number]),
            "redundancy": float(redundancy[number]),
            **{name: float(values[number]) for name, values in stability.items()},
            "top_units": " ".join(str(u) for u in mode.top_units(min(5, modes.n_units))),
        }
        if labelled:
            row["class"], row["class_correlation"] = mode.best_class or ("", float("nan"))
        rows.append(row)
    return rows


def stability_sentence(modes: Modes) -> str:
    """How many modes are found again, in words; empty where nobody looked."""
    again = {told: modes.quality[name] for name, told in STABILITY.items() if name in modes.quality}
    by_chance = float(modes.quality.get("stability_chance", np.nan))
    return sentence(modes.share, again, by_chance) if again else ""


def caution(modes: Modes) -> str:
    """What to know before trusting modes that explain less of new samples; empty where none is due.

    Modes learn single samples by heart where there are few samples for each.
    """
    held_out, trained = modes.r2, float(modes.quality.get("r2_train", np.nan))
    samples = int(modes.quality.get("samples_train", 0))
    if not trained - held_out > _GAP:
        return ""
    return (
        f"R² is {held_out:.2f} on held-out samples and {trained:.2f} on those trained on: "
        f'{samples:,} samples are few for {len(modes)} modes of "{modes.site}"; take more '
        "samples, or fewer modes."
    )


def describe(modes: Modes, count: int) -> str:
    """The strongest modes, a line each."""
    lines = [repr(modes), *filter(None, (stability_sentence(modes), caution(modes)))]
    heads = f"{'mode':>6} {'share':>7} {'samples':>8} {'stable':>7}  best class and top units"
    lines.append(heads)
    for mode in modes[:count]:
        best = "" if mode.best_class is None else f"{mode.best_class[0]} ({mode.best_class[1]:.2f})"
        units = ", ".join(str(unit) for unit in mode.top_units(count=min(5, modes.n_units)))
        stable = "–" if np.isnan(mode.stability) else f"{mode.stability:.2f}"
        lines.append(
            f"{mode.index:>6} {mode.share:>7.1%} {mode.firing_rate:>8.0%} {stable:>7}  "
            f"{best:<24} {units}"
        )
    if len(modes) > count:
        lines.append(f"{'…':>6} and {len(modes) - count} more")
    return "\n".join(lines)
