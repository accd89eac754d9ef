"""`codeclens store verify`: damage is found, reported and repaired."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from codeclens.extraction import ContributionStore

Told = Callable[..., tuple[int, str, str]]
EXTRACT = (
    "extract", "--model", "tiny:build", "--images", "images", "--to", "run/store.zarr",
    "--steps", 2, "--sites", "4",
)  # fmt: skip
VERIFY = ("store", "verify", "run/store.zarr")
FILE = "sites/4/positive/c/0/0"


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[5] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:7])


@pytest.mark.parametrize(
    ("file", "damage", "where"),
    [
        (FILE, flip, "shard 0"),
        (FILE, cut, "shard 0"),
        ("target/c/0", Path.unlink, "shard 0"),
        ("shard_record/c/0", cut, "shard 0"),
        ("sites/4/unit/c/0", Path.unlink, "the metadata"),
        ("sites/4/negative/zarr.json", cut, "the metadata"),
    ],
)
def test_damage_is_found_reported_and_repaired(
    desk: Path, told: Told, file: str, damage: Callable[[Path], object], where: str
) -> None:
    told(*EXTRACT)
    store = desk / "run" / "store.zarr"
    before = ContributionStore(store).view("4").copy()
    assert told(*VERIFY)[0] == 0
    damage(store / file)
    code, out, err = told(*VERIFY)
    assert code == 2
    assert f"damaged ({where}): {file}" in out
    assert err.startswith(
        'codeclens: 1 damaged file in "run/store.zarr"; run "codeclens store verify'
    )
    if damage is flip:
        assert told(*VERIFY, "--discard")[0] == 0
    assert told(*EXTRACT)[0] == 0
    assert told(*VERIFY)[0] == 0
    np.testing.assert_array_equal(ContributionStore(store).view("4"), before)


def test_a_missing_store_is_reported(desk: Path, told: Told) -> None:
    code, _, err = told(*VERIFY)
    assert code == 2
    assert "no store of contributions" in err
