"""The terminal: what commands say, in any encoding, and also when nobody listens any more."""

from __future__ import annotations

import codecs
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType

from codeclens.text import visible

STOPPED = 130
INTERRUPTION = "Interrupted; results already written are kept. Run the same command to continue."

# How characters that the package itself writes look where the encoding lacks them.
_PLAIN = {
    "–": "-", "—": "-", "−": "-", "…": "...", "×": "x", "²": "2", "→": "->", "←": "<-", "·": ".",
    "±": "+-", "≤": "<=", "≥": ">=", "≈": "~", "“": '"', "”": '"', "‘": "'", "’": "'", "•": "*",
    "°": " degrees", "µ": "u", "α": "alpha", "\u00a0": " ",
}  # fmt: skip


def say(*parts: object, end: str = "\n") -> None:
    """Write to stdout; where a reader such as `head` has gone, the command still finishes.

    Control and direction characters of names from data are written as escapes.
    """
    _write("stdout", " ".join(visible(part, keep="\n\t") for part in parts) + end)


def complain(message: str) -> None:
    """Write an error or a warning to stderr, after the name of the program."""
    # Messages about a command's options name the command already.
    prefix = "" if message.startswith("codeclens ") else "codeclens: "
    _write("stderr", f"{prefix}{visible(message, keep=chr(10))}\n")


def prepare() -> None:
    """Make stdout and stderr usable: open if they were closed, and able to write any character."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # else the next file that is opened would get this number
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
    codecs.register_error("codeclens", _plain)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            _silence(name)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="codeclens")


def stop_while_loading() -> None:
    """Let Ctrl-C end the command at once while its packages are loaded.

    Packages that are being loaded lose the exception that Python raises, or end by a traceback of
    their own. Nothing has been computed then, so the process just ends. Later, the exception is
    raised as usual. A handler that somebody else has set stays.
    """
    known = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if known and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _interrupted)


def _interrupted(number: int, frame: FrameType | None) -> None:
    if not _is_loading(frame):
        signal.default_int_handler(number, frame)
    complain(INTERRUPTION)
    os._exit(STOPPED)


def _is_loading(frame: FrameType | None) -> bool:
    """Whether the command line itself is loading a package, at the outermost import."""
    outermost = None
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            outermost = frame
        frame = frame.f_back
    if outermost is None or outermost.f_back is None:
        return False
    return Path(outermost.f_back.f_code.co_filename).parent == Path(__file__).parent


def finish() -> None:
    """Write what is left in the streams, so that the interpreter cannot fail to at its end."""
    for name in ("stdout", "stderr"):
        _write(name, "")


def _write(name: str, text: str) -> None:
    stream = getattr(sys, name)
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _silence(name)
    except OSError:
        _silence(name)
        raise


def _silence(name: str) -> None:
    own = getattr(sys, name) is getattr(sys, f"__{name}__")
    setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    if own:  # what it still holds is written when the interpreter ends, and must go somewhere
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, {"stdout": 1, "stderr": 2}[name])
            os.close(nowhere)


def _plain(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    wrong = error.object[error.start : error.end]
    written = (_PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode() for one in wrong)
    return "".join(written), error.end
