"""Terminals without UTF-8, readers that leave, closed streams, and interruptions."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path

import pytest

from codeclens.cli import app, terminal

Told = Callable[..., tuple[int, str, str]]
COMMANDS = ["demo", "extract", "decompose", "analyze", "control", "explain", "gallery", "report"]


@contextmanager
def ascii_only() -> Iterator[io.BytesIO]:
    """A stdout that can write ASCII alone, as with PYTHONIOENCODING=ascii."""
    written = io.BytesIO()
    with io.TextIOWrapper(written, "ascii", write_through=True) as stream, redirect_stdout(stream):
        terminal.prepare()
        yield written


def test_every_character_can_be_written() -> None:
    with ascii_only() as written:
        terminal.say("R² – 3 × 4 …", "猫\x1b[31m\u202e", end="")
        assert written.getvalue() == rb"R2 - 3 x 4 ... \u732b\x1b[31m\u202e"


@pytest.mark.parametrize("command", [[], ["--version"], *([one, "--help"] for one in COMMANDS)])
def test_help_without_utf8(command: list[str]) -> None:
    with ascii_only() as written:
        assert app.run(command) == 0
        assert written.getvalue()


def test_a_reader_that_leaves_does_not_stop_a_command() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    with redirect_stdout(stream):
        terminal.say("first")
        terminal.say("second")
        assert sys.stdout is not stream
        sys.stdout.close()
    with suppress(BrokenPipeError):
        stream.close()


def test_closed_streams_are_none() -> None:
    with redirect_stdout(None):
        terminal.say("nobody listens")
        terminal.prepare()
        terminal.say("nobody listens")
        sys.stdout.close()


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("--help | head -n 1 > /dev/null", (0, 1)),
        ("--version >&-", (0,)),
        ("--version 2>&-", (0,)),
        ("--version <&- >&- 2>&-", (0,)),
        ("extract --model nowhere 2>&-", (2,)),
        ("--version > /dev/full", (0, 1, 2)),
        ("extract --to a --images b --model '\x1b[31mred' 2>&1", (2,)),
    ],
)
def test_no_traceback_on_any_stream(line: str, codes: tuple[int, ...], tmp_path: Path) -> None:
    """In a new process, without HOME and in the locale C."""
    plain = {name: value for name, value in os.environ.items() if name != "HOME"}
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m codeclens {line}"],
        env=plain | {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert b"Traceback" not in said
    assert b"Exception ignored" not in said
    assert b"\x1b" not in said
    assert done.returncode in codes, said


def interruptible() -> None:
    """Undo that a shell lets what it runs in the background ignore interruptions."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("count", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_an_interruption_is_one_sentence(count: int, desk: Path) -> None:
    arguments = "--model", "tiny:build", "--images", "images", "--to", "s.zarr", "--steps", "9999"
    for number in range(count):
        process = subprocess.Popen(
            [sys.executable, "-m", "codeclens", "extract", *arguments],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=desk,
                preexec_fn=interruptible,
        )  # fmt: skip
        assert process.stderr is not None
        if count == 1:  # in the middle of the work; others fall into the loading of packages
            while b"contributions" not in (line := process.stderr.readline()):
                assert line, "it ended before it began"
        else:
            begun = Path(f"/proc/{process.pid}/maps")
            for _ in range(600):
                time.sleep(0.1)
                if not begun.exists() or b"numpy" in begun.read_bytes():
                    break
            time.sleep(2 + number)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=300)[1]
        # A shell shows both as 130. Python itself ends by the signal where the interruption fell
        # into code that an extension runs while it is loaded.
        assert process.returncode in (130, -signal.SIGINT), said
        assert b"Traceback" not in said
        assert b"Run the same command to continue" in said


LOADING = """
import os, sys, time
from codeclens.cli import main

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name != "torch":
            return None
        try:  # as extensions do that lose the exception
            print("loading", flush=True)
            for _ in range(600):
                time.sleep(0.1)
        except KeyboardInterrupt:
            print("lost", flush=True)
        return None

sys.meta_path.insert(0, Slow())
main(["extract", "--model", "digits-resnet", "--images", "nowhere", "--to", "s.zarr"])
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_an_interruption_while_packages_load_is_not_lost(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", LOADING],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
        preexec_fn=interruptible,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"loading\n"
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=300)
    assert out == b""
    assert process.returncode == 130
    assert said.decode() == f"codeclens: {terminal.INTERRUPTION}\n"


# Runs a command on a machine where neither the package nor the home folder can be written.
READ_ONLY = """
import errno, os, sys
from pathlib import Path

fixed = [os.path.realpath(one) for one in sys.argv[1].split(os.pathsep)]
WRITES = {"os.mkdir": 0, "os.rename": 1, "os.remove": 0, "os.rmdir": 0, "os.link": 1,
          "os.symlink": 1, "os.truncate": 0, "os.chmod": 0}

def guard(event, arguments):
    place = None
    if event == "open":
        path, mode, flags = arguments
        writing = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) if mode is None or not (
            isinstance(mode, str)) else bool(set(mode) & set("wax+"))
        place = path if writing and not isinstance(path, int) else None
    elif event in WRITES:
        place = arguments[WRITES[event]]
    if place is None or isinstance(place, int):
        return
    where = os.path.realpath(os.fsdecode(place))
    if any(where == one or where.startswith(one + os.sep) for one in fixed):
        raise OSError(errno.EROFS, "Read-only file system", where)

sys.addaudithook(guard)
from codeclens.cli import main
main(sys.argv[2:])
"""


@pytest.mark.skipif(os.name != "posix", reason="needs a home folder in the environment")
@pytest.mark.parametrize(
    ("home", "commands"), [("none", 2), pytest.param("read-only", 5, marks=pytest.mark.slow)]
)
def test_a_read_only_installation_without_a_home(home: str, commands: int, desk: Path) -> None:
    """Every command, in the locale C, with nothing writable but the folder of the run."""
    import codeclens

    package = Path(codeclens.__file__).parent
    elsewhere = desk / "home"
    elsewhere.mkdir()
    kept = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME")}
    # Python itself would write what it compiled; it does without where it cannot.
    environment = kept | {"LC_ALL": "C", "PYTHONUTF8": "0"}
    environment.pop("PYTHONIOENCODING", None)
    if home == "read-only":
        environment["HOME"] = str(elsewhere)
    fixed = os.pathsep.join((str(package), str(elsewhere)))
    own = "--model", "tiny:build", "--images", "images", "--steps", "2", "--to", "run/s.zarr"
    again = "--modes", "run/modes", "--run-code", "--to"
    lines: list[tuple[str, ...]] = [
        ("extract", *own),
        ("decompose", "run/s.zarr", "--n-modes", "3", "--k", "2", "--epochs", "2",
         "--to", "run/modes"),
        ("analyze", "run/s.zarr", "--modes", "run/modes", "--permutations", "9", "--to", "run/a"),
        ("gallery", "run/s.zarr", *again, "run/g", "--most", "1"),
        ("report", "run/s.zarr", *again, "run/r.html"),
    ]  # fmt: skip
    for line in lines[:commands]:
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, fixed, *line],
            env=environment, cwd=desk, capture_output=True, check=False,
        )  # fmt: skip
        said = (done.stdout + done.stderr).decode("ascii")
        assert "Traceback" not in said, said
        assert "Read-only" not in said, said
        assert done.returncode == 0, (line, said)
    assert not list(elsewhere.iterdir())
