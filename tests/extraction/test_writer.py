from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from codeclens import CodeclensError, ContributionStore, Output
from codeclens.extraction.writer import ShardWriter, read_record, writing

Run = Callable[..., ContributionStore]
Content = Callable[[Path], dict[str, bytes]]


class Stopped(BaseException):
    """The process stops here."""


@pytest.fixture
def undisturbed(run: Run, x: Tensor, tmp_path: Path, content: Content) -> dict[str, bytes]:
    """Return the content of a store of fifty samples, one skipped, that was made in one go."""
    x[20] = float("nan")
    run(x, tmp_path / "undisturbed.zarr")
    return content(tmp_path / "undisturbed.zarr")


def stop_at(monkeypatch: pytest.MonkeyPatch, file: str, error: BaseException) -> None:
    """Fail when that file is put, with its content half written."""
    put = ShardWriter._put

    def failing(self: ShardWriter, name: str, content: bytes, parts: str) -> None:
        if name == file:
            (self.path / parts).mkdir(exist_ok=True)
            (self.path / parts / "torn").write_bytes(content[:7])
            raise error
        put(self, name, content, parts)

    monkeypatch.setattr(ShardWriter, "_put", failing)


@pytest.mark.parametrize(
    "file",
    [
        "sites/3/zarr.json",
        "is_cut/c/0",
        "zarr.json",
        "sample/c/0",
        "shard_record/c/0",
        "sites/1/positive/c/1/0",
        "reason/c/2",
        "shard_record/c/2",
        "sites/3/completeness/c/3",
        "shard_record/c/3",
    ],
)
def test_a_stopped_run_resumes_to_the_same_bytes(
    run: Run,
    x: Tensor,
    tmp_path: Path,
    content: Content,
    undisturbed: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    file: str,
) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, file, Stopped())
        with pytest.raises(Stopped):
            run(x, tmp_path / "s.zarr")
    run(x, tmp_path / "s.zarr")
    assert content(tmp_path / "s.zarr") == undisturbed


def test_every_shard_stands_alone(
    run: Run, x: Tensor, tmp_path: Path, content: Content, undisturbed: dict[str, bytes]
) -> None:
    store = tmp_path / "undisturbed.zarr"
    for shards in ((2,), (0, 3), (1, 2, 3)):
        for shard in shards:
            (store / "shard_record" / "c" / str(shard)).unlink()
            for file in (f"sites/1/positive/c/{shard}/0", f"label/c/{shard}"):
                (store / file).write_bytes(b"rubbish")
        run(x, store)
        assert content(store) == undisturbed


@pytest.mark.parametrize("damage", ["short", "missing", "record"])
def test_the_same_run_mends_a_damaged_store(
    run: Run,
    x: Tensor,
    tmp_path: Path,
    content: Content,
    undisturbed: dict[str, bytes],
    damage: str,
) -> None:
    store = tmp_path / "undisturbed.zarr"
    file = store / ("shard_record/c/1" if damage == "record" else "sites/3/negative/c/1/0")
    cut = file.read_bytes()[:20]
    file.unlink()
    if damage != "missing":
        file.write_bytes(cut)
    assert list(ContributionStore(store).verify()) == [1]
    run(x, store)
    assert content(store) == undisturbed
    assert ContributionStore(store).verify() == {}


def test_a_run_stopped_before_its_first_shard_binds_nobody(
    run: Run, x: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int) -> None:
        if done:
            raise Stopped

    with pytest.raises(Stopped):
        run(x, tmp_path / "s.zarr", progress=stop)
    assert not (tmp_path / "s.zarr").exists()
    run(x, tmp_path / "s.zarr", target=Output(1))


def test_a_run_killed_while_it_made_the_store_binds_nobody(
    run: Run, x: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, "site/c/0", Stopped())
        # A killed process tidies nothing up.
        patch.setattr("codeclens.extraction.writer._remove", lambda path, names: None)
        with pytest.raises(Stopped):
            run(x, tmp_path / "s.zarr")
    assert (tmp_path / "s.zarr" / "shard_record").exists()
    assert run(x, tmp_path / "s.zarr", sites=["3"]).sites == ["3"]
    assert not (tmp_path / "s.zarr" / "sites" / "1").exists()


def test_nothing_but_the_store_is_left(run: Run, x: Tensor, tmp_path: Path) -> None:
    store = run(x, tmp_path / "s.zarr").path
    hidden = {p.relative_to(store).as_posix(): p for p in store.rglob(".*")}
    assert set(hidden) == {"shard_record/.lock"}
    assert hidden["shard_record/.lock"].read_bytes() == b""


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (
            errno.ENOSPC,
            "is full .* free some space and run the same again. Finished shards are kept",
        ),
        (errno.EROFS, "is not writable .* choose another path or change its permissions"),
        (errno.EIO, r"Writing to .* failed \(Input/output error\); finished shards are kept"),
    ],
)
def test_a_failing_disk_raises_and_loses_nothing(
    run: Run,
    x: Tensor,
    tmp_path: Path,
    content: Content,
    undisturbed: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    words: str,
) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, "sites/3/negative/c/2/0", OSError(number, os.strerror(number)))
        with pytest.raises(CodeclensError, match=words):
            run(x, tmp_path / "s.zarr")
    assert len(ContributionStore(tmp_path / "s.zarr")) == 31
    run(x, tmp_path / "s.zarr")
    assert content(tmp_path / "s.zarr") == undisturbed


def test_a_limit_of_the_file_system_is_reported(run: Run, x: Tensor, tmp_path: Path) -> None:
    import signal

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
        with pytest.raises(CodeclensError, match=r"is full \(File too large\)"):
            run(x, tmp_path / "s.zarr")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert len(run(x, tmp_path / "s.zarr")) == 50


def test_a_path_that_cannot_be_a_folder_is_reported(run: Run, x: Tensor, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CodeclensError, match=r"Writing to .* failed \(Not a directory\)"):
        run(x, tmp_path / "file" / "s.zarr")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_reported(run: Run, x: Tensor, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir(mode=0o500)
    with pytest.raises(CodeclensError, match="is not writable"):
        run(x, tmp_path / "kept" / "s.zarr")


def test_a_second_process_reports_the_writer(run: Run, x: Tensor, tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    words = rf"Another process is writing to .* \(process {os.getpid()} on .*\); wait until"

    def second(done: int, total: int) -> None:
        with pytest.raises(CodeclensError, match=words):
            run(x, path)

    assert len(run(x, path, progress=second)) == 50


def test_another_process_is_kept_out_too(run: Run, x: Tensor, tmp_path: Path) -> None:
    run(x, tmp_path / "s.zarr")
    code = (
        "import fcntl, sys\n"
        "with open(sys.argv[1], 'a+b') as f:\n"
        "    fcntl.flock(f, fcntl.LOCK_EX)\n"
        "    print('locked', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    lock = tmp_path / "s.zarr" / "shard_record" / ".lock"
    (tmp_path / "s.zarr" / "shard_record" / "c" / "0").unlink()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdout.readline()
        with pytest.raises(CodeclensError, match="Another process is writing"):
            run(x, tmp_path / "s.zarr")
        other.stdin.close()
    assert len(run(x, tmp_path / "s.zarr")) == 50


def test_settings_are_compared_again_once_the_store_is_locked(
    tmp_path: Path, run: Run, x: Tensor
) -> None:
    store = run(x, tmp_path / "s.zarr")

    def refuse(metadata: object) -> None:
        raise CodeclensError("made meanwhile")

    with pytest.raises(CodeclensError, match="made meanwhile"), writing(store.path, dict, refuse):
        pass
    assert len(store.view("1")) == 50


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"files": []}', '{"files": {"a": {"bytes": 1}}}', "x"]
)
def test_an_empty_record_counts_as_absent(tmp_path: Path, text: str) -> None:
    file = tmp_path / "shard_record" / "c" / "0"
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(8) + text.encode())
    assert read_record(tmp_path, 0) is None
