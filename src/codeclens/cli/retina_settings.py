"""The configuration of `codeclens retina demo`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from codeclens.cli.settings import Settings


class RetinaSettings(Settings):
    """What `codeclens retina demo` does."""

    command: ClassVar[str] = "retina demo"

    to: Path = Path("codeclens-retina")
    """The folder for the report, labelled arrays, figures and tables."""
    quick: bool = False
    """Eight seconds of film in place of forty; fewer steps, modes, cells and draws."""
    seed: int = Field(default=0, ge=0)
    """Chooses the film, and seeds modes and intervals."""
