"""`codeclens analyze`: tables, figures and sentences about a store and its modes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import codeclens as cl
from codeclens.analysis import LayerStatistics
from codeclens.cli.config import AnalyzeSettings, write_section
from codeclens.cli.flow import run_flow
from codeclens.cli.outputs import save_sentences, save_table
from codeclens.decomposition import Modes, load_modes
from codeclens.report import require_modes_of
from codeclens.visualization import layer_figure, save


def run_analyze(settings: AnalyzeSettings) -> None:
    """Analyse as the settings say, and print the sentences."""
    assert settings.store is not None
    assert settings.to is not None
    modes = load_modes(settings.modes) if settings.modes else {}
    store = cl.ContributionStore(settings.store)
    require_modes_of(store, modes)
    statistics = cl.layer_statistics(store, seed=settings.seed)
    write_layers(statistics, settings.to)
    write_modes(modes, settings.to)
    sentences = statistics.sentences()
    if settings.flow:
        sentences += run_flow(store, modes, settings)
    write_section(settings.to, settings)
    print("\n".join(sentences))
    print(f"Tables, figures and sentences are in {settings.to}")


def write_layers(statistics: LayerStatistics, to: Path) -> None:
    """Write the statistics of layers: layers.csv, layers.png, layers.svg, sentences.txt."""
    to.mkdir(parents=True, exist_ok=True)
    statistics.to_csv(to / "layers.csv")
    save_sentences(to / "sentences.txt", statistics.sentences())
    figure = layer_figure(statistics)
    for ending in ("png", "svg"):
        save(figure, to / f"layers.{ending}")


def write_modes(modes: dict[str, Modes], to: Path) -> None:
    """Write modes.csv: one row for each mode of each site."""
    rows = [row for found in modes.values() for row in _rows(found)]
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
