"""The benchmarks of extraction compare what they say: both sides get the same rows and numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks import end_to_end, store

from codeclens import ContributionStore, extract


def test_the_memory_map_and_the_store_give_the_same_rows(tmp_path: Path) -> None:
    made = store.made(tmp_path, 600, 8, shard_rows=512)
    arrays = store.mapped(tmp_path, made)
    x = made.view("site")
    assert x.shape == (600, 16)
    ways = [
        store.batches_of(arrays, 64, 1),
        store.joined_batches(x, 64, 1),
        made.batches("site", batch=64, seed=1),
    ]
    for batches in ways:
        rows = np.concatenate(list(batches))
        assert not np.array_equal(rows, x)
        np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(x, axis=0))


def test_one_pass_of_each_is_timed() -> None:
    for found in store.compare(512, 8, 64, pairs=1):
        assert found.ratio > 0


@pytest.mark.slow
def test_both_ways_compute_the_same_contributions(
    bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = end_to_end.Sides(images=4, batch=2)
    made: list[ContributionStore] = []
    kept = tmp_path / "s.zarr"

    def extracted(*given: object, **options: object) -> None:
        made.append(extract(*given, **(options | {"to": kept})))  # type: ignore[arg-type]

    monkeypatch.setattr(end_to_end, "extract", extracted)
    sides.end_to_end()
    assert len(made[0]) == len(sides.x) == 4
    sides.alone(channels_last=True)()
