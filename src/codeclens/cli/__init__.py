"""The command line: thin commands over the library's own functions."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from codeclens.cli.app import run

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `codeclens` and leave with its exit code: 0, 2 for a user's mistake, 130 when stopped."""
    # Read when torch is loaded, which no import has done so far. By default threads wait for each
    # other busily: on two cores that twelve processes wanted, digits took ten times longer so.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))
