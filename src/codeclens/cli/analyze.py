"""`codeclens analyze`: tables, figures and sentences about a store and its modes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import codeclens as cl
from codeclens.analysis import LayerStatistics, Semantics, class_words, save_dataset, save_table
from codeclens.cli.belongings import clear, refuse_leftovers, written
from codeclens.cli.config import AnalyzeSettings, write_section
from codeclens.cli.flow import plan_flow, run_flow
from codeclens.cli.modes import apart, modes_sentences, write_modes
from codeclens.cli.outputs import save_sentences
from codeclens.decomposition import load_modes, require_modes_of, require_samples_of
from codeclens.visualization import layer_figure, save, semantics_figure


def run_analyze(settings: AnalyzeSettings) -> None:
    """Analyse as the settings say, and print the sentences.

    What may be refused is looked at before anything long is computed.
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
    plan = plan_flow(store, modes) if settings.flow else None
    left = refuse_leftovers(to, written(settings, labelled, modes), settings.overwrite)
    statistics = cl.layer_statistics(store, seed=settings.seed)
    if hierarchy is not None and store.classes is not None:
        statistics = replace(statistics, class_names=hierarchy.titles(store.classes))
    clear(to)
    if left:
        print(f"Removed {', '.join(left)} of an earlier run from {to}.")
    write_layers(statistics, to)
    print("\n".join(statistics.sentences()))
    _tell(modes_sentences(modes), to)
    meanings = None
    if labelled:
        contributing, activating = apart(modes)
        meanings = cl.semantics(
            store, contributing, hierarchy, activation_modes=activating,
            permutations=settings.permutations, seed=settings.seed,
        )  # fmt: skip
        write_semantics(meanings, to)
        _tell(meanings.sentences(), to)
    else:
        print("The samples are not labelled with two classes or more, so none can be followed.")
    write_modes(modes, to, meanings)
    if plan is not None:
        print("\n".join(run_flow(plan, store, settings, meanings)))
    write_section(to, settings)
    print(f"Tables, figures and sentences are in {to}")


def write_layers(statistics: LayerStatistics, to: Path) -> None:
    """Write layers.csv, .zarr, .png and .svg, classes.csv and sentences.txt."""
    to.mkdir(parents=True, exist_ok=True)
    statistics.to_csv(to / "layers.csv")
    save_table(to / "classes.csv", statistics.class_table())
    save_dataset(to / "layers.zarr", statistics.dataset())
    save_sentences(to / "sentences.txt", statistics.sentences())
    save(layer_figure(statistics), to / "layers")


def write_semantics(meanings: Semantics, to: Path) -> None:
    """Write semantics.csv, .zarr, .png and .svg, and followers.csv."""
    to.mkdir(parents=True, exist_ok=True)
    meanings.to_csv(to / "semantics.csv")
    save_table(to / "followers.csv", meanings.followers_table())
    save_dataset(to / "semantics.zarr", meanings.dataset())
    save(semantics_figure(meanings), to / "semantics")


def _tell(sentences: Sequence[str], to: Path) -> None:
    """Print sentences, and add them to sentences.txt."""
    if not sentences:
        return
    print("\n".join(sentences))
    with (to / "sentences.txt").open("a", encoding="utf-8") as file:
        file.writelines(f"{sentence}\n" for sentence in sentences)
