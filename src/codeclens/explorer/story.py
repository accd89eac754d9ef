"""The story of a run: what was found, section by section, for the overview and the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from codeclens.pages import Part, Points, Section, Table, Text
from codeclens.pages.words import Cell, shown
from codeclens.reporting import (
    EXPLANATION,
    completeness_section,
    controls_section,
    modes_section,
    provenance_section,
)

if TYPE_CHECKING:
    from codeclens.explorer.run_folder import RunFolder
    from codeclens.pages.document import Block

# The charts of the layers that the story shows, by their titles.
CHARTS = ("Sparsity", "Dimensionality", "Signs")
_COLUMNS = {
    "units": "units",
    "contribution_sparsity_median": "sparsity of contributions",
    "activation_sparsity_median": "of activations",
    "contribution_class_components": "components, contributions",
    "activation_class_components": "activations",
    "sign_correlation_median": "sign correlation",
}


def story(run: RunFolder) -> dict[str, Any]:
    """What the run found: the findings in one sentence each, and the sections with the evidence.

    Computed from all results, so it may take seconds.
    """
    said = _Said.of(run.layers[1])
    parts = [completeness_section(run.store), _layers(run, said)]
    if run.modes:
        parts.append(modes_section(run.store, run.modes, run.seed))
        if run.told:
            parts.append(_one_by_one(run))
    if said.semantics:
        finding = said.semantics[-1]
        parts.append(Section("Classes of modes and units", [Points(said.semantics)], finding))
    if run.controlled:
        parts.append(controls_section(run.controlled))
    parts += run.telling.sections
    findings = [section.finding for section in parts if section.finding]
    parts.append(provenance_section(run.store, run.telling.facts))
    return {
        "sentences": [shown(finding) for finding in findings],
        "sections": [section.data() for section in parts],
        "footer": run.telling.footer,
    }


def told_modes(run: RunFolder) -> dict[str, list[int]]:
    """The modes that the story shows one by one: the strongest of a middle and of the last site."""
    sites = list(run.modes)
    if not sites or not run.told:
        return {}
    chosen = dict.fromkeys((sites[len(sites) // 2], sites[-1]))
    return {site: strongest(run.modes[site].share, run.told) for site in chosen}


@dataclass(frozen=True)
class _Said:
    """The sentences of `codeclens analyze`: what they are about, on layers, on semantics."""

    about: str
    layers: Sequence[str]
    semantics: Sequence[str]

    @classmethod
    def of(cls, lines: Sequence[str]) -> _Said:
        """Divide the lines of sentences.txt; those on layers end with a comparison of sparsity."""
        if not lines:
            return cls("", (), ())
        ends = [place for place, line in enumerate(lines) if "spars" in line.partition(" at ")[0]]
        begins = [place for place, line in enumerate(lines) if line.startswith("Semantics of")]
        last = ends[-1] + 1 if ends else len(lines)
        return cls(lines[0], lines[1:last], lines[begins[0] :] if begins else ())


def _layers(run: RunFolder, said: _Said) -> Section:
    table, findings = run.layers[0], said.layers
    blocks: list[Block | Section] = [Points(findings)] if findings else []
    caption = "Shaded areas are 95 % bootstrap intervals."
    blocks.append(Part("layers", {"charts": CHARTS, "caption": caption}))
    known = {name: words for name, words in _COLUMNS.items() if name in table}
    rows: list[list[Cell]] = [
        [str(row["site"]), *(_cell(row[name]) for name in known)]
        for row in table.to_dict("records")
    ]
    blocks.append(
        Table(["site", *known.values()], rows, f"Medians by site. {said.about}", wide=True)
    )
    return Section("From layer to layer", blocks, finding=findings[-1] if findings else "")


def _cell(value: Any) -> Cell:
    number = float(value)
    return int(number) if number.is_integer() and abs(number) > 1 else number


def _one_by_one(run: RunFolder) -> Section:
    blocks: list[Block | Section] = [Text(EXPLANATION, "small")]
    if run.telling.no_pictures:
        blocks.append(Text(f"No images are shown: {run.telling.no_pictures}"))
    for site, modes in told_modes(run).items():
        part = Part("modes", {"site": site, "modes": modes})
        blocks.append(Section(f"The modes of {site}", [part]))
    return Section("The strongest modes, one by one", blocks)


def strongest(shares: np.ndarray[Any, Any], most: int) -> list[int]:
    """The modes with the largest shares, in order."""
    found: list[int] = np.argsort(-shares, kind="stable")[:most].tolist()
    return found
