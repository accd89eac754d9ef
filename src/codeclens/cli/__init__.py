"""The command line: thin commands over the library's own functions."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from codeclens.cli.terminal import (
    INTERRUPTION,
    STOPPED,
    complain,
    finish,
    prepare,
    stop_while_loading,
)

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `codeclens` and exit with 0, 2 for a user's mistake, or 130 after an interruption."""
    # Torch reads this when it is loaded, which has not happened yet. By default its threads wait
    # actively: on two cores shared by twelve processes, the digits then took ten times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    prepare()
    stop_while_loading()
    try:
        # Loaded here, so that an interruption while packages are loaded is a sentence too.
        from codeclens.cli.app import run

        code = run(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:
        complain(INTERRUPTION)
        code = STOPPED
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    try:
        finish()
    except OSError as error:
        complain(f"The output cannot be written: {error.strerror}.")
        code = code or 2
    sys.exit(code)
