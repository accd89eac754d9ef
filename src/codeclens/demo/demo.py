"""The demonstration: digits and photographs, from contributions to a report."""

from __future__ import annotations

from pathlib import Path

import yaml

import codeclens as cl
from codeclens.analysis import layer_statistics
from codeclens.demo.digits_demo import choices, run_digits, shown_with
from codeclens.demo.photographs_demo import photographs_section
from codeclens.files import write_whole
from codeclens.reporting.run_files import write_layers


def run_demo(to: Path, quick: bool = False, seed: int = 0) -> tuple[Path, list[str]]:
    """Run the digits and, unless `quick`, the photographs; return the report and its findings.

    The settings of the demonstration are written to `choices.yaml` in the folder `to`.
    """
    to.mkdir(parents=True, exist_ok=True)
    # A short and a long run of the digits are different stores.
    folder = to / ("digits-quick" if quick else "digits")
    digits = run_digits(folder, quick, seed)
    statistics = layer_statistics(digits.store, seed=seed)
    write_layers(statistics, folder)
    sections = list(digits.sections)
    if not quick:
        sections.append(photographs_section(to / "photographs"))
    path = cl.report(
        digits.store,
        digits.modes,
        to=to / "report.html",
        title="What a network's hidden units do",
        sections=sections,
        statistics=statistics,
        control=folder / "control",
        facts=[("control", digits.about_control)],
        **shown_with(digits.store),
    )
    chosen = yaml.safe_dump(choices(quick), sort_keys=False, allow_unicode=True)
    write_whole(to / "choices.yaml", chosen)
    return path, statistics.sentences()
