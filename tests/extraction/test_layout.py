from __future__ import annotations

import json
from pathlib import Path

import pytest

from codeclens import CodeclensError
from codeclens.extraction.layout import Layout, SiteEntry, group_names, read_metadata, shard_rows

SITES = (SiteEntry("a:input", "a_input", 3, True), SiteEntry("b", "b", 5, False))


@pytest.mark.parametrize(
    ("samples", "shard_size", "rows", "chunk", "shards"),
    [
        (1, 1024, 1, 1, 1),
        (256, 1024, 256, 256, 1),
        (257, 1024, 512, 256, 1),
        (1024, 1024, 1024, 256, 1),
        (1025, 1024, 1024, 256, 2),
        (5000, 300, 300, 300, 17),
        (50, 16, 16, 16, 4),
    ],
)
def test_shards_cover_all_samples_once(
    samples: int, shard_size: int, rows: int, chunk: int, shards: int
) -> None:
    layout = Layout(samples, "float32", shard_rows(samples, shard_size), SITES)
    assert (layout.shard_rows, layout.chunk_rows, layout.shards) == (rows, chunk, shards)
    covered = [row for shard in range(shards) for row in layout.rows(shard)]
    assert covered == list(range(samples))


def test_groups_are_safe_and_no_two_are_alike() -> None:
    keys = ["layer1.0", "Layer1.0", "a/b", "a:b", "a#1", "", "..", "__x", "ü", "m" * 300, "m" * 301]
    names = group_names(keys)
    assert len({name.casefold() for name in names}) == len(keys)
    assert all(name[0] not in "._" and len(name) < 110 and "/" not in name for name in names)
    assert names[0] == "layer1.0"


def test_a_layout_survives_its_metadata() -> None:
    layout = Layout(50, "float16", 16, SITES, ("cat", "dog"))
    metadata = {
        "samples": 50,
        "settings": {"dtype": "float16", "shard_size": 16, "classes": ["cat", "dog"]},
        "sites": [vars(site) for site in SITES],
    }
    assert Layout.from_metadata(json.loads(json.dumps(metadata))) == layout


def test_every_array_that_is_built_has_its_metadata() -> None:
    files = Layout(50, "float32", 16, SITES, ("cat",)).build({"format": 1})
    root = json.loads(files["zarr.json"].to_bytes())
    consolidated = root["consolidated_metadata"]["metadata"]
    for name in Layout(50, "float32", 16, SITES, ("cat",)).arrays:
        assert json.loads(files[f"{name}/zarr.json"].to_bytes())["node_type"] == "array"
        assert name in consolidated


def test_nothing_is_nothing(tmp_path: Path) -> None:
    assert read_metadata(tmp_path / "missing") is None
    assert read_metadata(tmp_path) is None
    (tmp_path / "shard_record").mkdir()
    assert read_metadata(tmp_path) is None


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_something_else_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a" / "thesis.tex", "")
    write(tmp_path / "a" / "shard_record" / "c" / "0", "")
    for path in (tmp_path / "a", tmp_path / "a" / "thesis.tex"):
        with pytest.raises(CodeclensError, match="exists and is not a store of contributions"):
            read_metadata(path)
    for text in ("{}", "no json", '{"attributes": {"codeclens": 3}}'):
        write(tmp_path / "b" / "zarr.json", text)
        with pytest.raises(CodeclensError, match="is a Zarr folder but not a store"):
            read_metadata(tmp_path / "b")


def test_a_store_that_lost_its_metadata_is_not_taken_for_nothing(tmp_path: Path) -> None:
    write(tmp_path / "shard_record" / "c" / "0", "")
    with pytest.raises(CodeclensError, match="exists and is not a store"):
        read_metadata(tmp_path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "zarr.json", '{"attributes": {"codeclens": {"format": 7}}}')
    with pytest.raises(
        CodeclensError, match="format 7, but this version of codeclens reads format 1"
    ):
        read_metadata(tmp_path)
