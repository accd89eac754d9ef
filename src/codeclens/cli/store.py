"""`codeclens store`: look after a store of contributions."""

from __future__ import annotations

from pathlib import Path

import codeclens as cl
from codeclens.errors import CodeclensError
from codeclens.extraction.verification import discard


def verify_store(path: Path, throw_away: bool) -> None:
    """Read every file of a store, and tell which are not what was written.

    Raises CodeclensError, after the list, if there are any, unless their shards are thrown away.
    """
    store = cl.ContributionStore(path)
    print(store)
    found = store.verify()
    for shard, files in found.items():
        where = "the metadata" if shard == "metadata" else f"shard {shard}"
        for file in files:
            print(f"damaged, of {where}: {file}")
    if not found:
        print("Every file is what was written.")
        return
    shards = [shard for shard in found if shard != "metadata"]
    count = sum(map(len, found.values()))
    told = f"{count} damaged {'file' if count == 1 else 'files'}"
    if not throw_away:
        raise CodeclensError(
            f'{told} in "{path}"; run the same extraction again, after "codeclens store verify '
            f'{path} --discard" where files kept their length.'
        )
    discard(path, shards)
    print(f"{told}; run the same extraction again, which now makes what is damaged anew.")
