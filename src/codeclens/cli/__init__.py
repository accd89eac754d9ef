"""The command line: thin commands over the library's own functions."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from codeclens.cli.app import run

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `codeclens` and exit with 0, 2 for a user's mistake, or 130 after an interruption."""
    # Torch reads this when it is loaded, which has not happened yet. By default its threads wait
    # actively: on two cores shared by twelve processes, the digits then took ten times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))
