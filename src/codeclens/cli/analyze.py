"""`codeclens analyze`: tables, figures and sentences about a store and its modes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import codeclens as cl
from codeclens.analysis import LayerStatistics, Semantics, save_dataset, save_table
from codeclens.cli.config import AnalyzeSettings, write_section
from codeclens.cli.flow import run_flow
from codeclens.cli.outputs import save_sentences
from codeclens.decomposition import Modes, load_modes
from codeclens.report import require_modes_of
from codeclens.visualization import layer_figure, save, semantics_figure


def run_analyze(settings: AnalyzeSettings) -> None:
    """Analyse as the settings say, and print the sentences."""
    assert settings.store is not None
    assert settings.to is not None
    modes = load_modes(settings.modes) if settings.modes else {}
    store = cl.ContributionStore(settings.store)
    require_modes_of(store, modes)
    hierarchy = cl.Hierarchy.from_file(settings.hierarchy) if settings.hierarchy else None
    statistics = cl.layer_statistics(store, seed=settings.seed)
    write_layers(statistics, settings.to)
    print("\n".join(statistics.sentences()))
    meanings = None
    if len(np.unique(store.label[store.label >= 0])) > 1:
        contributing, activating = apart(modes)
        meanings = cl.semantics(
            store, contributing, hierarchy, activation_modes=activating,
            permutations=settings.permutations, seed=settings.seed,
        )  # fmt: skip
        write_semantics(meanings, settings.to)
        print("\n".join(meanings.sentences()))
    else:
        print("The samples are not labelled with two classes or more, so none can be followed.")
    write_modes(modes, settings.to, meanings)
    if settings.flow:
        print("\n".join(run_flow(store, modes, settings, meanings)))
    write_section(settings.to, settings)
    print(f"Tables, figures and sentences are in {settings.to}")


def write_layers(statistics: LayerStatistics, to: Path) -> None:
    """Write layers.csv, .zarr, .png and .svg, classes.csv and sentences.txt."""
    to.mkdir(parents=True, exist_ok=True)
    statistics.to_csv(to / "layers.csv")
    save_table(to / "classes.csv", statistics.class_table())
    save_dataset(to / "layers.zarr", statistics.dataset())
    save_sentences(to / "sentences.txt", statistics.sentences())
    figure = layer_figure(statistics)
    for ending in ("png", "svg"):
        save(figure, to / f"layers.{ending}")


def apart(modes: dict[str, Modes]) -> tuple[dict[str, Modes], dict[str, Modes]]:
    """Modes of contributions and modes of activations."""
    activating = {site: found for site, found in modes.items() if found.view == "activation"}
    return {site: modes[site] for site in modes if site not in activating}, activating


def write_semantics(meanings: Semantics, to: Path) -> None:
    """Write semantics.csv, semantics.png and semantics.svg, and add to sentences.txt."""
    to.mkdir(parents=True, exist_ok=True)
    meanings.to_csv(to / "semantics.csv")
    with (to / "sentences.txt").open("a", encoding="utf-8") as file:
        file.writelines(f"{sentence}\n" for sentence in meanings.sentences())
    save(semantics_figure(meanings), to / "semantics")


def write_modes(modes: dict[str, Modes], to: Path, meanings: Semantics | None = None) -> None:
    """Write modes.csv: one row for each mode of each site, with its name where there are labels."""
    rows = [row for found in modes.values() for row in _rows(found)]
    if meanings is not None:
        told = [*meanings.modes_table("modes"), *meanings.modes_table("activation_modes")]
        of_mode = {(row["site"], row["mode"]): row for row in told}
        rows = [row | of_mode[row["site"], row["mode"]] for row in rows]
    if rows:
        save_table(to / "modes.csv", rows)


def _rows(modes: Modes) -> list[dict[str, Any]]:
    labelled = modes.labels is not None and len(np.unique(modes.labels[modes.labels >= 0])) > 1
    correlation = modes.class_correlation() if labelled else None
    rows = []
    for number in range(len(modes)):
        row: dict[str, Any] = {
            "site": modes.site,
            "mode": number,
            "share": float(modes.share[number]),
            "firing_rate": float(modes.firing_rate[number]),
            "top_units": " ".join(str(unit) for unit in modes[number].top_units(5)),
        }
        if correlation is not None:
            best = int(np.nanargmax(correlation[number]))
            row["class"] = best if modes.classes is None else modes.classes[best]
            row["class_correlation"] = float(correlation[number, best])
        rows.append(row)
    return rows
