"""The retina's demonstration: a fitted network and the simulated retina that it was fitted to."""

from __future__ import annotations

from pathlib import Path

import torch

from codeclens.demo.retina_page import save_showcase, showcase_page
from codeclens.demo.retina_questions import FULL, LOOKED, QUICK, showcase
from codeclens.progress import progress
from codeclens.retina import Circuit
from codeclens.retina.model_files import UNSEEN, ready_cnn, ready_cnn_facts

# As many as `showcase` announces.
STAGES = 6


def run_retina_demo(to: Path, quick: bool = False, seed: int = 0) -> tuple[Path, list[str]]:
    """Ask the network and the circuit the same questions; return the report and its findings."""
    facts = ready_cnn_facts()
    with progress("retina", STAGES, "stages") as advance:
        done = 0

        def announce(_: str) -> None:
            nonlocal done
            advance(done, STAGES)
            done += 1

        shown = showcase(
            ready_cnn(),
            Circuit(),
            names=UNSEEN,
            looked=LOOKED[::2] if quick else LOOKED,
            effort=QUICK if quick else FULL,
            seed=seed,
            progress=announce,
        )
        advance(STAGES, STAGES)
    save_showcase(shown, to)
    about: list[tuple[str, str | int]] = [
        ("photographs of the film", ", ".join(UNSEEN)),
        ("the network was made by", str(facts["made by"])),
        ("and fitted to", str(facts["fitted to"])),
        ("seed", seed),
        ("torch", str(torch.__version__)),
    ]
    page = showcase_page(shown, to, about)
    return page.save(to / "report.html"), [
        section.finding for section in page.sections if section.finding
    ]
