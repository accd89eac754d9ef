"""Whole files: an earlier one survives errors, full disks and kills, and nothing else is left."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import xarray

from codeclens import CodeclensError
from codeclens.control.filing import Filing
from codeclens.decomposition.pairs import Kind, read_pair, write_pair
from codeclens.files import _HOST, replaced, replaced_folder, staged, tidy, write_whole
from codeclens.labelled import save_dataset, save_table
from codeclens.pages import Page
from codeclens.visualization import save
from codeclens.visualization.canvas import blank, styled

GONE = 2**22 + 1  # no process has a number above the largest of Linux


def content(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def table(to: Path, size: int) -> None:
    save_table(to / "a.csv", [{"site": "a", "value": n} for n in range(size)])


def page(to: Path, size: int) -> None:
    Page("a" * size).save(to / "a.html")


def arrays(to: Path, size: int) -> None:
    save_dataset(to / "a.zarr", xarray.Dataset({"x": ("n", np.random.default_rng(0).random(size))}))


def figure(to: Path, size: int) -> None:
    with styled():
        drawn = blank(1, 1)
        drawn.text(0, 0, "a" * min(size, 10))
    save(drawn, to / "a")


def pair(to: Path, size: int) -> None:
    from torch import zeros

    write_pair(to / "a", KIND, {"x": zeros(size)}, {"size": size})


def export(to: Path, size: int) -> None:
    filing = Filing(to)
    filing.require({"seed": "a" * size})


KIND = Kind("a test", 1, "numbers")
WRITERS = [table, page, arrays, figure, pair, export]


@contextmanager
def full_disk(most: int) -> Iterator[None]:
    """Files may not grow beyond so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_a_full_disk_leaves_the_earlier_result_whole(write, tmp_path: Path) -> None:
    write(tmp_path, 5)
    before = content(tmp_path)
    with full_disk(200), pytest.raises((OSError, CodeclensError)):
        write(tmp_path, 5000)
    assert content(tmp_path) == before
    if write is not export:
        write(tmp_path, 50)
        assert content(tmp_path).keys() == before.keys()


def test_an_error_on_the_way_leaves_the_earlier_set(tmp_path: Path) -> None:
    with staged(tmp_path / "out") as part:
        write_whole(part / "a.txt", "1")
        arrays(part, 3)
    before = content(tmp_path)
    with suppress(ZeroDivisionError), staged(tmp_path / "out") as part:
        write_whole(part / "a.txt", "2")
        raise ZeroDivisionError
    assert content(tmp_path) == before
    with staged(tmp_path / "out") as part:
        write_whole(part / "a.txt", "3")
        arrays(part, 4)
    assert (tmp_path / "out" / "a.txt").read_text() == "3"
    assert {one.name for one in (tmp_path / "out").iterdir()} == {"a.txt", "a.zarr"}


def test_what_killed_processes_left_is_removed(tmp_path: Path) -> None:
    for name in (f".a.txt.{_HOST}-{GONE}-0.part", f".b.nwb.{_HOST}-{GONE}-1.part.nwb"):
        (tmp_path / name).write_text("half")
    (tmp_path / f".c.zarr.{_HOST}-{GONE}-2.part").mkdir()
    (tmp_path / f".d.zarr.{_HOST}-{GONE}-3.old").mkdir()  # killed between two moves
    (tmp_path / f".e.zarr.{_HOST}-{GONE}-4.old").mkdir()
    (tmp_path / "e.zarr").mkdir()
    kept = [f".f.{_HOST}-{os.getppid()}-0.part", ".g.00000000-1-0.part", ".hidden", ".part"]
    for name in kept:
        (tmp_path / name).write_text("of somebody else")
    write_whole(tmp_path / "a.txt", "whole")
    names = {one.name for one in tmp_path.iterdir()}
    assert names == {"a.txt", "d.zarr", "e.zarr", *kept}
    old = time.time() - 2 * 86_400
    os.utime(tmp_path / kept[1], (old, old))
    tidy(tmp_path)
    assert kept[1] not in {one.name for one in tmp_path.iterdir()}


def test_a_pair_whose_writing_was_killed_between_its_files_is_read(tmp_path: Path) -> None:
    pair(tmp_path, 3)
    first = content(tmp_path)
    pair(tmp_path, 4)
    (tmp_path / f".a.json.{_HOST}-{GONE}-0.part").write_bytes((tmp_path / "a.json").read_bytes())
    (tmp_path / "a.json").write_bytes(first["a.json"])
    facts, tensors, _ = read_pair(tmp_path / "a", KIND)
    assert (facts["size"], tensors["x"].shape) == (4, (4,))


def test_links_devices_and_folders_are_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("kept")
    (tmp_path / "a.txt").symlink_to(tmp_path / "secret")
    write_whole(tmp_path / "a.txt", "new")
    assert (tmp_path / "secret").read_text() == "kept"
    assert (tmp_path / "a.txt").read_text() == "new"
    for other in (Path(os.devnull), tmp_path):
        with pytest.raises(CodeclensError, match="is not a file; choose another path"):
            write_whole(other, "x")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("dear")
    for name in ("mine", "secret"):
        with pytest.raises(CodeclensError, match=r"holds no zarr.json, so it is not replaced"):
            save_dataset(tmp_path / name, xarray.Dataset())
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "dear"


def test_names_as_long_as_a_file_system_allows(tmp_path: Path) -> None:
    write_whole(tmp_path / ("é" * 127), "whole")
    assert [one.read_text() for one in tmp_path.iterdir()] == ["whole"]


def test_an_error_of_the_disk_is_raised_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space") as found, replaced(tmp_path / "a"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert found.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []
    with suppress(KeyboardInterrupt), replaced_folder(tmp_path / "b", "mark") as part:
        part.mkdir()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import test_files
to = Path(sys.argv[1])
print("begun", flush=True)
size = 10
while True:
    for write in test_files.WRITERS[:5]:
        write(to, size)
    size = 10 if size > 4000 else size * 3
"""


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_writers_leave_whole_files(kills: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent)],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if (tmp_path / "a.csv").exists():
            lines = (tmp_path / "a.csv").read_bytes().splitlines()
            assert lines[-1] == f"a,{len(lines) - 2}".encode()
        if (tmp_path / "a.html").exists():
            assert (tmp_path / "a.html").read_text().rstrip().endswith("</html>")
        if (tmp_path / "a.zarr").exists():
            xarray.open_zarr(tmp_path / "a.zarr", consolidated=False).load()
        if (tmp_path / "a.json").exists():
            facts, tensors, _ = read_pair(tmp_path / "a", KIND)
            assert tensors["x"].shape == (facts["size"],)
        if (tmp_path / "a.svg").exists():
            assert (tmp_path / "a.svg").read_text().rstrip().endswith("</svg>")
    tidy(tmp_path)
    assert not [one.name for one in tmp_path.iterdir() if one.name.startswith(".")]
