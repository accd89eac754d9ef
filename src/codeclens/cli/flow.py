"""`codeclens analyze --flow`: which modes drive which, by the model and images of a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import codeclens as cl
from codeclens.analysis import (
    Agreement,
    Flow,
    Pathways,
    Semantics,
    flow_agreement,
    save_dataset,
    save_table,
)
from codeclens.analysis.flow import batches
from codeclens.cli.again import Again, load_again
from codeclens.cli.config import AnalyzeSettings
from codeclens.cli.outputs import save_sentences
from codeclens.cli.progress import progress
from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError
from codeclens.extraction.data import spread
from codeclens.visualization import flow_figure, save


@dataclass(frozen=True)
class Plan:
    """What a flow needs, found and checked before anything long is computed."""

    again: Again
    modes: dict[str, Modes]


def plan_flow(store: cl.ContributionStore, modes: Mapping[str, Modes]) -> Plan:
    """Find the model and images again, and modes that flow into one another.

    Raises CodeclensError where there are no modes of two sites, where model and images of the
    store cannot be found again, and where the modes or the method have no flow.
    """
    sites = [site for site in store.sites if site in modes]
    if len(sites) < 2:
        raise CodeclensError(
            f"--flow goes from modes to modes, and there are those of {len(sites)} sites; pass "
            "--modes FOLDER with two sites or more."
        )
    again = load_again(store, "--flow", "codeclens.flow")
    chosen = {site: modes[site] for site in sites}
    Pathways(again.ready.model, chosen, **again.options)
    return Plan(again, chosen)


def run_flow(
    plan: Plan,
    store: cl.ContributionStore,
    settings: AnalyzeSettings,
    meanings: Semantics | None = None,
) -> list[str]:
    """Write flow.csv, .zarr, .png, .svg and .txt and flow-completeness.csv; the sentences.

    With interventions flow-agreement.csv and .zarr, too. Modes are called as in `meanings`.
    """
    assert settings.to is not None
    again, modes = plan.again, plan.modes
    chosen = np.asarray(spread(len(store), settings.flow_images))
    with progress("flow", len(chosen), "images") as advance:
        found = cl.flow(
            again.ready.model,
            again.images,
            modes,
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
        agreement = confirmed(again, modes, rows)
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
            significant = one.beyond_chance(meanings.criteria.alpha)
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
    save_dataset(to / "flow.zarr", found.dataset())
    note = ""
    if agreement is not None:
        save_table(to / "flow-agreement.csv", agreement.table())
        save_dataset(to / "flow-agreement.zarr", agreement.dataset())
        ranks = agreement.ranks(held=True)
        note = (
            f"Rank correlation with interventions, {agreement.source} → {agreement.sink}: "
            + ", ".join(f"{name} {rank}" for name, rank in ranks.items())
            + (f" ({agreement.caution})" if agreement.caution else "")
        )
    save(flow_figure(found, note=note), to / "flow")


def confirmed(again: Again, modes: Mapping[str, Modes], rows: list[int]) -> Agreement:
    """Take single modes out of the site in the middle of the network, and watch the next."""
    sites = list(modes)
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
