"""`codeclens analyze`: tables, figures and a summary in words of a store and its modes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import codeclens as cl
from codeclens.analysis import (
    Agreement,
    Flow,
    FlowModel,
    LayerStatistics,
    Semantics,
    class_words,
    flow_agreement,
    flow_figure,
    save_dataset,
    save_table,
)
from codeclens.analysis.flow import batches
from codeclens.cli.config import AnalyzeSettings
from codeclens.cli.config_files import write_section
from codeclens.cli.extract_command import Reloaded, load_again
from codeclens.cli.terminal import say
from codeclens.decomposition import Modes, load_modes, require_modes_of, require_samples_of
from codeclens.errors import CodeclensError
from codeclens.extraction.data import stratified
from codeclens.files import staged
from codeclens.progress import progress
from codeclens.reporting import overview
from codeclens.reporting.run_files import (
    save_sentences,
    write_layers,
    write_modes,
    write_semantics,
)
from codeclens.visualization import save

_FIGURES = ("png", "svg")
LAYERS = (
    *("layers.csv", "layers.zarr", "classes.csv", "sentences.txt"),
    *(f"layers.{ending}" for ending in _FIGURES),
)
SEMANTICS = (
    *("semantics.csv", "semantics.zarr", "features.csv"),
    *(f"semantics.{ending}" for ending in _FIGURES),
)
MODES = ("modes.csv", "modes.zarr")
FLOW = (
    *("flow.csv", "flow.zarr", "flow-completeness.csv", "flow.txt"),
    *(f"flow.{ending}" for ending in _FIGURES),
)
AGREEMENT = ("flow-agreement.csv", "flow-agreement.zarr")
ALL = (*LAYERS, *SEMANTICS, *MODES, *FLOW, *AGREEMENT)


def written(settings: AnalyzeSettings, labelled: bool, modes: Mapping[str, Any]) -> set[str]:
    """The names of the files that a run with these options writes."""
    names = {*LAYERS}
    if labelled:
        names |= {*SEMANTICS}
    if modes:
        names |= {*MODES}
    if settings.flow:
        names |= {*FLOW}
        if settings.flow_interventions:
            names |= {*AGREEMENT}
    return names


def refuse_leftovers(folder: Path, writes: Set[str], overwrite: bool) -> list[str]:
    """Files of an earlier run that this run would not replace.

    Raises CodeclensError if there are any and they may not be removed, and if the folder, or one
    of the names to be written, is a store of contributions.
    """
    if _holds_contributions(folder):
        raise CodeclensError(
            f"{folder} is a store of contributions; results cannot be written into it. Pass "
            "another --to."
        )
    for name in ALL:
        if _holds_contributions(folder / name):
            raise CodeclensError(
                f"{folder / name} is a store of contributions, which the results would replace; "
                "pass another --to."
            )
    left = [name for name in ALL if name not in writes and (folder / name).exists()]
    if left and not overwrite:
        raise CodeclensError(
            f"{folder} holds {', '.join(left)} of an earlier run, which this run would not update; "
            "use the same options (--modes, --flow), pass another --to, or --overwrite to remove "
            "them."
        )
    return left


def _holds_contributions(path: Path) -> bool:
    # A store keeps its metadata under this key; results do not have it.
    about = path / "zarr.json"
    return about.is_file() and '"codeclens"' in about.read_text(encoding="utf-8")


def remove(folder: Path, names: Iterable[str]) -> None:
    """Remove these results of an earlier run."""
    for name in names:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


# Below this R² the modes miss more of the contributions than they explain.
_HALF = 0.5


def by_source(modes: Mapping[str, Modes]) -> tuple[dict[str, Modes], dict[str, Modes]]:
    """Modes of contributions, and modes of activations."""
    activating = {site: found for site, found in modes.items() if found.view == "activation"}
    return {site: modes[site] for site in modes if site not in activating}, activating


def modes_sentences(modes: Mapping[str, Modes]) -> list[str]:
    """How much of the contributions the modes explain, and a caution where it is little."""
    lines = []
    for group in by_source(modes):
        if not group:
            continue
        lines.append(overview(group).replace("`", ""))
        low = [f"{site} ({one.r2:.2f})" for site, one in group.items() if one.r2 < _HALF]
        if low:
            lines.append(
                f"Caution: R² is below {_HALF:g} at {', '.join(low)}; the modes there miss most of "
                "the contributions."
            )
    return lines


@dataclass(frozen=True)
class FlowPlan:
    """The model, images and modes of a flow, checked before anything slow runs."""

    again: Reloaded
    modes: dict[str, Modes]


def plan_flow(
    store: cl.ContributionStore, modes: Mapping[str, Modes], run_code: bool = False
) -> FlowPlan:
    """Load the model and images again, and choose the modes of the flow.

    Raises CodeclensError if fewer than two sites have modes, if the model or the images of the
    store cannot be loaded, and if the modes or the method do not allow a flow.
    """
    sites = [site for site in store.sites if site in modes]
    if len(sites) < 2:
        raise CodeclensError(
            f"--flow needs modes of at least two sites, and there are modes of {len(sites)}; pass "
            "--modes FOLDER with modes of more sites."
        )
    again = load_again(store, "--flow", "codeclens.flow", run_code)
    chosen = {site: modes[site] for site in sites}
    FlowModel(again.ready.model, chosen, **again.options)
    return FlowPlan(again, chosen)


def run_flow(
    plan: FlowPlan,
    store: cl.ContributionStore,
    settings: AnalyzeSettings,
    to: Path,
    meanings: Semantics | None = None,
) -> list[str]:
    """Write the flow as tables, arrays, figures and text into `to`; return the sentences.

    With interventions, the agreement with them is written as well. Names come from `meanings`.
    """
    again, modes = plan.again, plan.modes
    chosen = np.asarray(stratified(store.label, settings.flow_images, settings.seed))
    with progress("flow", len(chosen), "images") as advance:
        found = cl.flow(
            again.ready.model,
            again.data,
            modes,
            batch_size=again.batch_size,
            rows=store.sample[chosen].tolist(),
            progress=advance,
            names=names_of(modes, meanings),
            **again.options,
        )
    sentences = [*found.sentences(), difference_from_store(found, store, chosen)]
    agreement = None
    if settings.flow_interventions:
        few = stratified(store.label[chosen], settings.flow_interventions, settings.seed)
        rows = store.sample[chosen[list(few)]].tolist()
        agreement = agreement_with_interventions(again, modes, rows)
        sentences.append(agreement.sentence())
    write_flow(found, agreement, to)
    save_sentences(to / "flow.txt", sentences)
    return sentences


def names_of(modes: Mapping[str, Modes], meanings: Semantics | None) -> dict[str, list[str]] | None:
    """The names of modes in all tables: their number, and their class if above chance."""
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
    """Write a flow and, if measured, its agreement with interventions."""
    found.to_csv(to / "flow.csv")
    save_table(to / "flow-completeness.csv", found.completeness_table())
    save_dataset(to / "flow.zarr", found.to_xarray())
    note = ""
    if agreement is not None:
        save_table(to / "flow-agreement.csv", agreement.to_dataframe())
        save_dataset(to / "flow-agreement.zarr", agreement.to_xarray())
        ranks = agreement.ranks(fixed=True)
        note = (
            f"Rank correlation with interventions, {agreement.source} → {agreement.sink}: "
            + ", ".join(f"{name} {rank}" for name, rank in ranks.items())
            + (f" ({agreement.caution})" if agreement.caution else "")
        )
    save(flow_figure(found, note=note), to / "flow")


def agreement_with_interventions(
    again: Reloaded, modes: Mapping[str, Modes], rows: list[int]
) -> Agreement:
    """Remove single modes at the middle site and measure the effect at the next site."""
    sites = list(modes)
    middle = (len(sites) - 1) // 2
    pair = sites[middle : middle + 2]
    prepared = FlowModel(again.ready.model, modes, sites=pair, **again.options)
    # One image after another: its copies fill a batch.
    images = [(x, y) for _, x, y in batches(again.ready.model, again.data, 1, rows)]
    with progress("interventions", len(images), "images") as advance:
        return flow_agreement(prepared, images, source=sites[middle], progress=advance)


def difference_from_store(
    found: Flow, store: cl.ContributionStore, chosen: np.ndarray[Any, Any]
) -> str:
    """In words: how far the contributions of the flow differ from those in the store."""
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


def run_analyze(settings: AnalyzeSettings) -> None:
    """Analyse as the options say, and print the summary.

    All checks come before anything slow. The results of an earlier run are replaced together, when
    all new ones are complete: the files in a folder are always those of one run.
    """
    assert settings.store is not None
    assert settings.to is not None
    to = settings.to
    modes = load_modes(settings.modes) if settings.modes else {}
    store = cl.ContributionStore(settings.store)
    require_modes_of(store, modes)
    require_samples_of(store, modes)
    labelled = len(np.unique(store.label[store.label >= 0])) > 1
    hierarchy = cl.Hierarchy.from_file(settings.hierarchy) if settings.hierarchy else None
    if hierarchy is not None and labelled:
        hierarchy.nodes(class_words(store))
    plan = plan_flow(store, modes, settings.run_code) if settings.flow else None
    left = refuse_leftovers(to, written(settings, labelled, modes), settings.overwrite)
    statistics = cl.layer_statistics(store, seed=settings.seed)
    if hierarchy is not None and store.classes is not None:
        statistics = replace(statistics, class_names=hierarchy.titles(store.classes))
    with staged(to) as folder:
        write_results(settings, store, modes, statistics, hierarchy, plan, folder)
    remove(to, left)
    if left:
        say(f"Removed {', '.join(left)} of an earlier run from {to}.")
    write_section(to, settings)
    say(f"Tables, figures and sentences are in {to}")


def write_results(
    settings: AnalyzeSettings,
    store: cl.ContributionStore,
    modes: Mapping[str, Modes],
    statistics: LayerStatistics,
    hierarchy: cl.Hierarchy | None,
    plan: FlowPlan | None,
    to: Path,
) -> None:
    """Write the results into `to`, and print their sentences as they come."""
    write_layers(statistics, to)
    sentences = [*statistics.sentences(), *modes_sentences(modes)]
    say("\n".join(sentences))
    meanings = None
    if len(np.unique(store.label[store.label >= 0])) > 1:
        contributing, activating = by_source(modes)
        meanings = cl.semantics(
            store, contributing, hierarchy, activation_modes=activating,
            permutations=settings.permutations, seed=settings.seed,
        )  # fmt: skip
        write_semantics(meanings, to)
        say("\n".join(meanings.sentences()))
        sentences += meanings.sentences()
    else:
        say("The samples have fewer than two labelled classes: no semantics are computed.")
    write_modes(modes, to, meanings)
    if plan is not None:
        say("\n".join(run_flow(plan, store, settings, to, meanings)))
    save_sentences(to / "sentences.txt", sentences)
