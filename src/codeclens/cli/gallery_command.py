"""`codeclens gallery`: every mode with its images."""

from __future__ import annotations

from typing import Any

import codeclens as cl
from codeclens.analysis import Hierarchy
from codeclens.cli.config import GallerySettings
from codeclens.cli.config_files import write_section
from codeclens.cli.extract_command import Reloaded, load_again
from codeclens.cli.terminal import say
from codeclens.decomposition import load_modes
from codeclens.progress import progress
from codeclens.reporting import Question, gallery_page


def run_gallery(settings: GallerySettings) -> None:
    """Write the gallery that the options describe, and print the path of its page."""
    assert settings.store is not None
    assert settings.modes is not None
    assert settings.to is not None
    store = cl.ContributionStore(settings.store)
    modes = load_modes(settings.modes)
    again = load_again(store, "A gallery", "gallery_page", settings.run_code)
    hierarchy = Hierarchy.from_file(settings.hierarchy) if settings.hierarchy else None
    with progress("gallery", None, "steps") as advance:
        page = gallery_page(
            store, modes, again.ready.model, again.data, question_of(again), to=settings.to,
            sites=settings.sites, most=settings.most, count=settings.count,
            effects=settings.effects, hierarchy=hierarchy, seed=settings.seed, progress=advance,
            batch_size=again.batch_size, **colours_of(again),
        )  # fmt: skip
    write_section(settings.to, settings)
    say(f"The gallery is {page}")


def question_of(again: Reloaded) -> Question:
    """What was asked in the extraction."""
    return Question(**again.options)


def colours_of(again: Reloaded) -> dict[str, Any]:
    """The mean and the standard deviation of the network's transform, where it has them."""
    transform = again.ready.transform
    return {name: getattr(transform, name, None) for name in ("mean", "std")}
