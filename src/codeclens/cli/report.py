"""`codeclens report`: one page about a store and its modes."""

from __future__ import annotations

from codeclens.cli.config import ReportSettings, write_section
from codeclens.control.filing import Filing
from codeclens.decomposition import load_modes
from codeclens.extraction import ContributionStore
from codeclens.report import controls_section, report


def run_report(settings: ReportSettings) -> None:
    """Write the page that the settings describe, and print where it lies."""
    assert settings.store is not None
    assert settings.to is not None
    modes = load_modes(settings.modes) if settings.modes else None
    store = ContributionStore(settings.store)
    sections = []
    if settings.control:
        sections.append(controls_section(list(Filing(settings.control).all())))
    path = report(
        store, modes, to=settings.to, title=settings.title, sections=sections, seed=settings.seed
    )
    write_section(path.absolute().parent, settings)
    print(f"The report is {path}")
