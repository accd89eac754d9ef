"""`python -m codeclens`: the command line, for launchers that start modules, such as torchrun."""

from __future__ import annotations

from codeclens.cli import main

if __name__ == "__main__":
    main()
