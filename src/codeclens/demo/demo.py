"""`codeclens demo`: the whole way on real input, from contributions to a page."""

from __future__ import annotations

from pathlib import Path

import yaml

from codeclens.analysis import layer_statistics
from codeclens.cli.analyze_command import write_layers
from codeclens.cli.config import DemoSettings, write_section
from codeclens.demo.digits_demo import choices, run_digits
from codeclens.demo.photographs_demo import photographs_section
from codeclens.reporting import report


def save_choices(to: Path, settings: DemoSettings) -> None:
    """Write what the demo chose by itself for the digits, beside its configuration."""
    text = yaml.safe_dump(choices(settings.quick), sort_keys=False, allow_unicode=True)
    (to / "choices.yaml").write_text(text, encoding="utf-8")


def run_demo(settings: DemoSettings) -> None:
    """Run the digits, and the photographs unless `quick`; print where the report lies."""
    to = settings.to
    to.mkdir(parents=True, exist_ok=True)
    write_section(to, settings)
    # A shorter and a longer run of the digits are different stores.
    folder = to / ("digits-quick" if settings.quick else "digits")
    digits = run_digits(folder, settings.quick, settings.seed)
    statistics = layer_statistics(digits.store, seed=settings.seed)
    write_layers(statistics, folder)
    sections = list(digits.sections)
    if not settings.quick:
        sections.append(photographs_section(to / "photographs"))
    path = report(
        digits.store,
        digits.modes,
        to=to / "report.html",
        title="What a network's hidden units do",
        sections=sections,
        statistics=statistics,
    )
    save_choices(to, settings)
    print("\n".join(statistics.sentences()))
    print(f"The report is {path.absolute()}")
