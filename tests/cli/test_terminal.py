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


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("count", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_an_interruption_is_one_sentence(count: int, desk: Path) -> None:
    arguments = "--model", "tiny:build", "--images", "images", "--to", "s.zarr", "--steps", "9999"
    for number in range(count):
        process = subprocess.Popen(
            [sys.executable, "-m", "codeclens", "extract", *arguments],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=desk,
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
