"""`codeclens retina demo`: a fitted network of the retina, beside the retina that is the truth."""

from __future__ import annotations

import time

import torch

from codeclens.cli.config import write_section
from codeclens.cli.progress import progress
from codeclens.cli.retina_settings import RetinaSettings
from codeclens.retina import Circuit
from codeclens.retina.ready import UNSEEN, ready_cnn, ready_cnn_facts
from codeclens.retina.showcase import (
    FULL,
    LOOKED,
    QUICK,
    refuse_others,
    save_showcase,
    showcase,
    showcase_page,
)

# As many as `showcase` announces.
STAGES = 6


def run_retina_demo(settings: RetinaSettings) -> None:
    """Run the showcase, write its report and files; print the findings and where they lie."""
    to = settings.to
    to.mkdir(parents=True, exist_ok=True)
    refuse_others(to)
    write_section(to, settings)
    facts = ready_cnn_facts()
    begun = time.monotonic()
    with progress("retina", STAGES, "stages") as advance:
        done = 0

        def say(_: str) -> None:
            nonlocal done
            advance(done, STAGES)
            done += 1

        shown = showcase(
            ready_cnn(),
            Circuit(),
            names=UNSEEN,
            looked=LOOKED[::2] if settings.quick else LOOKED,
            effort=QUICK if settings.quick else FULL,
            seed=settings.seed,
            progress=say,
        )
        advance(STAGES, STAGES)
    save_showcase(shown, to)
    about: list[tuple[str, str | int]] = [
        ("photographs of the film", ", ".join(UNSEEN)),
        ("the network was made by", str(facts["made by"])),
        ("and fitted to", str(facts["fitted to"])),
        ("seed", settings.seed),
        ("torch", str(torch.__version__)),
    ]
    page = showcase_page(shown, to, about)
    path = page.save(to / "report.html")
    print("\n".join(section.finding for section in page.sections if section.finding))
    print(f"The report is {path.absolute()} ({time.monotonic() - begun:.0f} s)")
