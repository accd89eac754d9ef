"""The section on modes: how well they explain contributions, and their class selectivity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from codeclens.decomposition import Modes
from codeclens.errors import counted
from codeclens.extraction import ContributionStore
from codeclens.pages.document import Block, Part, Section, Table, Text
from codeclens.pages.words import Cell, percent
from codeclens.reporting.store_sections import SOURCES, ClassSelectivity, class_selectivity

# The title of the chart of class selectivity, with which it is found among those of the layers.
SELECTIVITY = "Class selectivity"
_SHOWN_CLASSES = 12


def modes_section(store: ContributionStore, modes: Mapping[str, Modes], seed: int = 0) -> Section:
    """How well the modes of every site explain contributions, and their class selectivity."""
    blocks: list[Block] = [Text(overview(modes)), _by_site(modes)]
    found = class_selectivity(store, dict(modes), seed)
    if not found:
        blocks.append(Text("No sample has a label, so the classes of modes are unknown."))
        return Section("Modes", blocks, finding=overview(modes))
    if not any(np.isfinite(one.mean("modes")) for one in found):
        few = "The samples are of too few classes to say which classes the modes follow."
        return Section("Modes", [*blocks, Text(few)], finding=overview(modes))
    finding = selectivity_sentence(found)
    caption = (
        "Class selectivity from input to output: correlation of the class's indicator with the "
        "best mode, or the best single unit, mean over "
        f"{counted(_known(found), 'class', 'classes')}. The best was selected on one half "
        "of the samples and evaluated on the other."
    )
    chart = Part("layers", {"charts": [SELECTIVITY], "caption": caption})
    blocks += [Text(finding), chart, _by_class(modes[found[-1].site])]
    return Section("Modes", blocks, finding=finding)


def overview(modes: Mapping[str, Modes]) -> str:
    """How many modes were found, by which method, and how much they explain."""
    every = list(modes.values())
    what = "activations" if every[0].view == "activation" else "contributions"
    count = sum(len(one) for one in every)
    best = max(every, key=lambda one: one.r2 if np.isfinite(one.r2) else -np.inf)
    worst = min(every, key=lambda one: one.r2 if np.isfinite(one.r2) else np.inf)
    held_out = every[0].quality.get("samples_held_out", 0)
    where = "held-out samples" if held_out else "the samples of the fit"
    text = (
        f"`{every[0].method!r}` found {counted(count, 'mode')} at {counted(len(every), 'site')}; "
    )
    if np.isnan(best.r2):
        text += f"how much of the {what} they explain was not measured"
    else:
        text += f"on {where} they explain R² = {worst.r2:.3f} of the {what} at `{worst.site}`"
        if len(every) > 1:
            text += f" (the lowest) and {best.r2:.3f} at `{best.site}` (the highest)"
    active = [one.l0 for one in every]
    return f"{text}, with {_between(active)} active modes in a sample."


def selectivity_sentence(found: Sequence[ClassSelectivity]) -> str:
    """Where class selectivity peaks, and whether modes are more selective than single units."""
    best = max(found, key=lambda one: _or_least(one.mean("modes")))
    means = {source: best.mean(source) for source in SOURCES}
    wins = sum(
        one.mean("modes") > max(one.mean("contributions"), one.mean("activations")) for one in found
    )
    everywhere = wins == len(found) > 1
    where = f"all {wins}" if everywhere else f"{wins} of {len(found)}"
    return (
        f"Class selectivity peaks at `{best.site}`: the best mode for a class correlates with it "
        f"at {means['modes']:.2f}, the best single unit at {means['contributions']:.2f} by its "
        f"contribution and at {means['activations']:.2f} by its activation (means over classes). "
        f"Modes are more selective than single units at {where} sites."
    )


def _by_site(modes: Mapping[str, Modes]) -> Table:
    header = [
        "site",
        "units",
        "modes",
        "dropped",
        "R²",
        "R² (training)",
        "active",
        "share of top 10",
    ]
    rows: list[list[Cell]] = [
        [
            site,
            one.n_units,
            len(one),
            int(one.quality.get("modes_dropped", 0)),
            f"{one.r2:.3f}",
            f"{float(one.quality.get('r2_train', np.nan)):.3f}",
            f"{one.l0:.1f}",
            percent(float(np.sort(one.share)[::-1][:10].sum())),
        ]
        for site, one in modes.items()
    ]
    caption = (
        "Modes by site. Dropped: modes that were never active. R²: of contributions about their "
        "mean, on held-out samples and on those of the fit. Active: modes with a loading above "
        "zero in a sample. Share of ten: the share of the ten strongest modes in all that modes "
        "explain."
    )
    return Table(header, rows, caption, wide=True)


def _by_class(modes: Modes) -> Table:
    correlation = modes.class_correlation()
    best = np.where(np.isnan(correlation), -np.inf, correlation).max(axis=0)
    known = np.flatnonzero(np.isfinite(best))
    chosen = np.sort(known[np.argsort(-best[known], kind="stable")][:_SHOWN_CLASSES])
    rows: list[list[Cell]] = []
    for number in chosen:
        mode = modes.for_class(int(number))
        name = f"class {number}" if modes.classes is None else modes.classes[number]
        top = ", ".join(f"{u} ({_signed(mode.weights[u])})" for u in mode.top_units(_few(modes)))
        rows.append(
            [
                name, mode.index, f"{best[number]:.2f}", percent(mode.share, 1),
                percent(mode.firing_rate), top,
            ]
        )  # fmt: skip
    which = (
        "Every class" if len(chosen) == len(known) else f"The {len(chosen)} best-matched classes"
    )
    strongest = known[best[known].argmax()]
    name = f"class {strongest}" if modes.classes is None else modes.classes[strongest]
    caption = (
        f"{which} at `{modes.site}` with the mode that correlates best with it, over all samples; "
        f"the highest is {best[strongest]:.2f}, for {name}. Share: of all that "
        "modes explain. Active: share of samples. Units: the strongest, with their contribution "
        "for one unit of loading."
    )
    header = ["class", "mode", "correlation", "share", "active", "strongest units"]
    return Table(header, rows, caption, wide=True)


def _few(modes: Modes) -> int:
    return min(3, modes.n_units)


def _known(found: Sequence[ClassSelectivity]) -> int:
    return int(np.isfinite(found[-1].modes).sum())


def _or_least(value: float) -> float:
    return -np.inf if np.isnan(value) else value


def _between(values: Sequence[float]) -> str:
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return low if low == high else f"{low} to {high}"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
