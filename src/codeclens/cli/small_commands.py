"""The short commands: `codeclens report` and `codeclens store verify`."""

from __future__ import annotations

from pathlib import Path

import codeclens as cl
from codeclens.cli.config import ReportSettings, write_section
from codeclens.cli.extract_command import data_sentence
from codeclens.cli.gallery_command import galleries_section
from codeclens.cli.terminal import say
from codeclens.control.filing import Filing
from codeclens.decomposition import load_modes
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore
from codeclens.extraction.store import discard
from codeclens.reporting import controls_section, report


def run_report(settings: ReportSettings) -> None:
    """Write the report that the options describe, and print its path."""
    assert settings.store is not None
    assert settings.to is not None
    modes = load_modes(settings.modes) if settings.modes else None
    store = ContributionStore(settings.store)
    sections = []
    if settings.control:
        sections.append(controls_section(list(Filing(settings.control).all())))
    if modes and settings.galleries:
        found = galleries_section(
            store, modes, settings.galleries, settings.seed, settings.run_code
        )
        sections.append(found)
    path = report(
        store, modes, to=settings.to, title=settings.title, sections=sections, seed=settings.seed
    )
    write_section(path.absolute().parent, settings)
    say(data_sentence(store))
    say(f"The report is {path}")


def verify_store(path: Path, delete_damaged: bool) -> None:
    """Verify every file of a store and list the damaged ones.

    Raises CodeclensError after the list if files are damaged, unless their shards are deleted.
    """
    store = cl.ContributionStore(path)
    say(store)
    found = store.verify()
    for shard, files in found.items():
        where = "the metadata" if shard == "metadata" else f"shard {shard}"
        for file in files:
            say(f"damaged ({where}): {file}")
    if not found:
        say("All files are intact.")
        return
    shards = [shard for shard in found if shard != "metadata"]
    count = sum(map(len, found.values()))
    damaged = f"{count} damaged {'file' if count == 1 else 'files'}"
    if not delete_damaged:
        raise CodeclensError(
            f'{damaged} in "{path}"; run "codeclens store verify {path} --discard", then the same '
            "extraction again."
        )
    discard(path, shards)
    say(f"{damaged}; run the same extraction again to compute the damaged shards.")
