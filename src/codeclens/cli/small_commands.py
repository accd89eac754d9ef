"""The short command `codeclens store verify`."""

from __future__ import annotations

from pathlib import Path

import codeclens as cl
from codeclens.cli.terminal import say
from codeclens.errors import CodeclensError
from codeclens.extraction.store import discard


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
