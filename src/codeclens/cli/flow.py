"""`codeclens analyze --flow`: which modes drive which, by the model and images of a store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import codeclens as cl
from codeclens.analysis import Agreement, Flow, Pathways, Semantics, flow_agreement, save_table
from codeclens.analysis.flow import batches
from codeclens.cli.again import Again, load_again
from codeclens.cli.config import AnalyzeSettings
from codeclens.cli.outputs import save_sentences
from codeclens.cli.progress import progress
from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError
from codeclens.extraction.data import spread
from codeclens.visualization import flow_figure, save


def run_flow(
    store: cl.ContributionStore,
    modes: Mapping[str, Modes],
    settings: AnalyzeSettings,
    meanings: Semantics | None = None,
) -> list[str]:
    """Write flow.csv, flow-completeness.csv, flow.png, flow.svg and flow.txt; the sentences.

    With interventions flow-agreement.csv, too. Modes are called as in `meanings`. Raises
    CodeclensError where there are no modes of two sites, and where model and images of the store
    cannot be found again.
    """
    assert settings.to is not None
    sites = [site for site in store.sites if site in modes]
    if len(sites) < 2:
        raise CodeclensError(
            f"--flow goes from modes to modes, and there are those of {len(sites)} sites; pass "
            "--modes FOLDER with two sites or more."
        )
    again = load_again(store, "--flow", "codeclens.flow")
    chosen = np.asarray(spread(len(store), settings.flow_images))
    with progress("flow", len(chosen), "images") as advance:
        found = cl.flow(
            again.ready.model,
            again.images,
            modes,
            sites=sites,
            batch_size=again.batch_size,
            rows=store.sample[chosen].tolist(),
            progress=advance,
            names=names_of(modes, meanings),
            **again.options,
        )
    sentences = [*found.sentences(), compared(found, store, chosen)]
    agreement = None
    if settings.flow_interventions:
        few = spread(len(chosen), settings.flow_interventions)
        rows = store.sample[chosen[list(few)]].tolist()
        agreement = confirmed(again, modes, sites, rows)
        sentences.append(agreement.sentence())
    write_flow(found, agreement, settings.to)
    save_sentences(settings.to / "flow.txt", sentences)
    return sentences


def names_of(modes: Mapping[str, Modes], meanings: Semantics | None) -> dict[str, list[str]] | None:
    """What modes are called in all tables: their number, and what they follow beyond chance."""
    if meanings is None:
        return None
    found: dict[str, list[str]] = {}
    for site in modes:
        of_site = meanings[site]
        one = of_site.get("activation_modes" if modes[site].view == "activation" else "modes")
        if one is not None:
            significant = one.q <= meanings.alpha
            if one.superclass_q is not None:
                significant |= one.superclass_q <= meanings.alpha
            found[site] = [
                f"{number} ({name})" if significant[number] else str(number)
                for number, name in enumerate(one.names)
            ]
    return found


def write_flow(found: Flow, agreement: Agreement | None, to: Path) -> None:
    """Write a flow and, where it was measured, its agreement with interventions."""
    to.mkdir(parents=True, exist_ok=True)
    found.to_csv(to / "flow.csv")
    save_table(to / "flow-completeness.csv", found.completeness_table())
    note = ""
    if agreement is not None:
        save_table(to / "flow-agreement.csv", agreement.table())
        ranks = agreement.ranks(held=True)
        note = (
            f"Rank correlation with interventions, {agreement.source} → {agreement.sink}: "
            + ", ".join(f"{name} {rank}" for name, rank in ranks.items())
        )
    figure = flow_figure(found, note=note)
    for ending in ("png", "svg"):
        save(figure, to / f"flow.{ending}")


def confirmed(
    again: Again, modes: Mapping[str, Modes], sites: list[str], rows: list[int]
) -> Agreement:
    """Take single modes out of the site in the middle of the network, and watch the next."""
    middle = (len(sites) - 1) // 2
    pathways = Pathways(again.ready.model, modes, sites=sites[middle : middle + 2], **again.options)
    # One image after another: its copies fill a batch.
    images = [(x, y) for _, x, y in batches(again.ready.model, again.images, 1, rows)]
    with progress("interventions", len(images), "images") as advance:
        return flow_agreement(pathways, images, source=sites[middle], progress=advance)


def compared(found: Flow, store: cl.ContributionStore, chosen: np.ndarray[Any, Any]) -> str:
    """By how much the contributions of modes differ from those that are stored, in words."""
    numbers = {int(sample): row for row, sample in enumerate(store.sample)}
    rows = [numbers[int(sample)] for sample in found.samples]
    worst = 0.0
    for site in found.sites:
        stored = store.view(site, "sum", rows).sum(axis=1, dtype=np.float64)
        gap = np.abs(found.contributions[site].sum(axis=1) - stored).max()
        worst = max(worst, float(gap) / float(np.median(np.abs(found.target)) or 1.0))
    return (
        f"The contributions of all modes and the remainder differ from those in the store by at "
        f"most {worst:.1e} of the median target ({len(rows):,} images)."
    )
