"""Damage in any file of a store is found, and never becomes a traceback or other numbers."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from codeclens import ContributionStore
from codeclens.errors import CodeclensError


@pytest.fixture
def small(run: Callable[..., ContributionStore], x: Tensor, labels: Tensor, tmp_path: Path) -> Path:
    run((x[:20], labels[:20]), tmp_path / "s.zarr", shard_size=16, classes=list("abcdef"))
    return tmp_path / "s.zarr"


def read(path: Path) -> list[np.ndarray]:
    """What a user reads of a store."""
    store = ContributionStore(path)
    found = [store.sample, store.label, store.prediction, store.target, store.key]
    found += [store.view(site) for site in store.sites]
    found += [store.completeness(site) for site in store.sites]
    assert repr(store)
    found.append(store.to_xarray()["label"].values)
    return found


@pytest.mark.parametrize("count", [60, pytest.param(400, marks=pytest.mark.slow)])
def test_every_flipped_byte_is_found(small: Path, count: int) -> None:
    """Single flipped bytes in every file, seeded: zero misses, zero tracebacks, no other labels."""
    before = read(small)
    rng = random.Random(0)
    files = sorted(path for path in small.rglob("*") if path.is_file() and path.name != ".lock")
    metadata = [path for path in files if path.name == "zarr.json"]
    chosen = [rng.choice(metadata if n % 4 else files) for n in range(count)]
    chosen += [small / "zarr.json"] * (count // 3)
    missed = []
    for path in chosen:
        whole = path.read_bytes()
        place, bit = rng.randrange(len(whole)), 1 << rng.randrange(8)
        damaged = bytearray(whole)
        damaged[place] ^= bit
        path.write_bytes(bytes(damaged))
        try:
            if not ContributionStore(small).verify():
                missed.append((path.name, place, bit))
        except CodeclensError:
            pass
        try:
            after = read(small)
        except CodeclensError:
            pass
        else:
            if path.name == "zarr.json":
                for once, again in zip(before, after, strict=True):
                    np.testing.assert_array_equal(once, again)
        path.write_bytes(whole)
    assert missed == []


WRONG: list[Any] = [None, True, -1, 0, 10**12, 1e300, "x" * 300, "../../x", [], {}, [[]], {"a": []}]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all entries of a nested value."""
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return [path]
    return [path] * bool(path) + [one for k, v in items for one in places(v, (*path, k))]


@pytest.mark.parametrize("count", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_every_field_is_validated(small: Path, count: int) -> None:
    """Wrong values without a checksum: an error in a sentence, or the store as it was."""
    whole = (small / "zarr.json").read_text()
    before = read(small)
    root = json.loads(whole)
    rng = random.Random(1)
    about = places(root["attributes"]["codeclens"])
    for path in about:
        for value in rng.sample(WRONG, count):
            changed = json.loads(whole)
            del changed["attributes"]["checksums"]
            parent = changed["attributes"]["codeclens"]
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = value
            (small / "zarr.json").write_text(json.dumps(changed))
            try:
                after = read(small)
            except CodeclensError:
                continue
            for once, again in zip(before, after, strict=True):
                np.testing.assert_array_equal(once, again, err_msg=str(path))


def test_a_group_does_not_lead_out_of_the_store(small: Path) -> None:
    shutil.copytree(small / "sites" / "1", small.parent / "outside")
    root = json.loads((small / "zarr.json").read_text())
    del root["attributes"]["checksums"]
    root["attributes"]["codeclens"]["sites"][0]["group"] = "../../outside"
    (small / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(CodeclensError, match=r"damaged \(sites.group\)"):
        ContributionStore(small)


def test_a_store_that_claims_too_much_is_refused(small: Path) -> None:
    root = json.loads((small / "zarr.json").read_text())
    del root["attributes"]["checksums"]
    root["attributes"]["codeclens"]["samples"] = 10**12
    (small / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(CodeclensError, match="claims 1,000,000,000,000 samples"):
        _ = ContributionStore(small).label
