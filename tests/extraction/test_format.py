"""The format's page, taken at its word: a second reader, with numpy and json alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from codeclens import ContributionStore
from codeclens.extraction.layout import SAMPLE_ARRAYS, UNIT_ARRAYS

PAGE = Path(__file__).parents[2] / "docs" / "format.md"


class PlainReader:
    def __init__(self, path: Path) -> None:
        self.path = path
        root = json.loads((path / "zarr.json").read_text())
        self.metadata: dict[str, Any] = root["attributes"]["codeclens"]
        assert self.metadata["format"] == 1
        self.rows = self.metadata["settings"]["shard_size"]
        self.shards = sorted(int(p.name) for p in (path / "shard_record" / "c").iterdir())

    def flat(self, name: str, dtype: str) -> np.ndarray:
        whole = [np.fromfile(self.path / f"{name}/c/{s}", dtype) for s in self.shards]
        assert all(len(part) == self.rows for part in whole)
        return np.concatenate(whole)[: self.metadata["samples"]]

    def units(self, key: str, part: str) -> np.ndarray:
        site = next(s for s in self.metadata["sites"] if s["key"] == key)
        dtype = np.dtype(self.metadata["settings"]["dtype"]).newbyteorder("<")
        found = []
        for shard in self.shards:
            row = [site["units"], *(site["grid"] if part in site["maps"] else [])]
            file = f"sites/{site['group']}/{part}/c/{shard}" + "/0" * len(row)
            rows = min(self.rows, self.metadata["samples"] - shard * self.rows)
            values = np.fromfile(self.path / file, dtype, count=rows * int(np.prod(row)))
            found.append(values.reshape(rows, *row))
        return np.concatenate(found)

    def record(self, shard: int) -> dict[str, Any]:
        content = (self.path / f"shard_record/c/{shard}").read_bytes()
        assert np.frombuffer(content[:8], "<u4").tolist() == [1, len(content) - 8]
        return json.loads(content[8:])


@pytest.mark.parametrize(
    ("dtype", "shard_size"), [("float32", 16), ("float16", 16), ("float32", 1024)]
)
def test_another_program_reads_the_same(
    run: Callable[..., ContributionStore],
    x: Tensor,
    labels: Tensor,
    tmp_path: Path,
    dtype: str,
    shard_size: int,
) -> None:
    data = x.repeat(6, 1, 1, 1) if shard_size > 50 else x
    data[[1, 33]] = float("nan")
    store = run(
        (data, labels.repeat(len(data) // 50)),
        tmp_path / "s.zarr",
        dtype=dtype,
        shard_size=shard_size,
        batch_size=50,
        grid=(3, 2),
    )
    plain = PlainReader(store.path)
    valid = plain.flat("valid", "?")
    assert valid.sum() == len(data) - 2
    for name in ("label", "prediction", "sample", "steps"):
        np.testing.assert_array_equal(plain.flat(name, "<i8")[valid], getattr(store, name))
    for name in ("target", "baseline_target", "estimate"):
        np.testing.assert_array_equal(plain.flat(name, "<f4")[valid], getattr(store, name))
    for site in store.sites:
        for part in UNIT_ARRAYS:
            whole = plain.units(site, part)
            assert np.isnan(whole[~valid]).all()
            np.testing.assert_array_equal(whole[valid].astype(np.float32), store.view(site, part))
        for sign in ("positive", "negative"):
            whole = plain.units(site, f"{sign}_map")
            np.testing.assert_array_equal(whole[valid].astype(np.float32), store.maps(site, sign))


def test_records_vouch_for_every_file(
    run: Callable[..., ContributionStore], x: Tensor, tmp_path: Path
) -> None:
    plain = PlainReader(run(x, tmp_path / "s.zarr").path)
    vouched = set()
    for shard in plain.shards:
        for name, entry in plain.record(shard)["files"].items():
            content = (plain.path / name).read_bytes()
            assert entry == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            vouched.add(name)
    of_samples = {
        p.relative_to(plain.path).as_posix()
        for name in (*SAMPLE_ARRAYS, *(f"sites/*/{a}" for a in (*UNIT_ARRAYS, "completeness")))
        for p in plain.path.glob(f"{name}/c/**/*")
        if p.is_file()
    }
    assert vouched == of_samples


def test_the_page_names_everything_that_is_there(
    run: Callable[..., ContributionStore], x: Tensor, tmp_path: Path
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    store = run(x, tmp_path / "s.zarr", grid=(2, 2))
    run(x, tmp_path / "t.zarr", reduce=None)
    record = PlainReader(store.path).record(0)
    arrays = {p.parent.name for p in tmp_path.rglob("zarr.json") if (p.parent / "c").is_dir()}
    names = arrays | set(store.metadata) | set(store.metadata["settings"])
    names |= set(record) | set(record["made_by"])
    assert "contribution_map" in names
    assert {name for name in names if f"`{name}`" not in page} == set()
