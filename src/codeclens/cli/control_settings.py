"""The configuration of `codeclens control`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from cyclopts import Parameter
from pydantic import Field, field_validator

from codeclens.cli.settings import Settings, split_commas


class ControlSettings(Settings):
    """What `codeclens control` does."""

    command = "control"
    needed: ClassVar[dict[str, str]] = {
        "store": "a store of contributions: codeclens control STORE",
        "modes": "modes: pass --modes FOLDER, which codeclens decompose wrote",
        "to": "a place for its result: pass --to FOLDER",
    }

    store: Annotated[Path | None, Parameter(show=False)] = None
    """A store that codeclens extract wrote."""
    modes: Path | None = None
    """A folder that codeclens decompose wrote."""
    images: Path | None = None
    """Labelled images to measure on, best ones held out. [default: those of the store]"""
    limit: int = Field(default=500, ge=1)
    """The most images to measure on, spread over all."""
    sites: list[str] | None = None
    """Sites of the modes, separated by commas. [default: all]"""
    classes: list[str] | None = None
    """Classes by name or number, separated by commas. [default: all, or none with --superclass]"""
    superclass: list[str] | None = None
    """NAME=CLASS,CLASS,…: a group of classes whose mode is taken; may be given several times."""
    kind: Literal["ablate", "preserve", "both"] = "both"
    """Whether the chosen units are set to zero, or all the others."""
    controls: str = "all"
    """Other ways to choose units, separated by commas; all, or none."""
    fractions: str | None = Field(default=None, pattern=r"^[\d.]+(,[\d.]+)*$")
    """Shares of a site's units to act on, separated by commas. [default: nine from 0.01 to 0.99]"""
    trials: int = Field(default=3, ge=1)
    """Random sets of units of each size."""
    necessity: int = Field(default=64, ge=0)
    """Images in which each mode is removed, and kept alone, beside its prediction; 0 for none."""
    necessity_modes: int | None = Field(default=None, ge=1)
    """The strongest modes of a site that this is done for. [default: all that are present]"""
    batch_size: int = Field(default=256, ge=1)
    """Images in one pass; it changes memory, not results."""
    to: Path | None = None
    """The folder for tables (CSV), figures (PNG and SVG) and sentences; a stopped run goes on."""
    overwrite: bool = False
    """Replace results in that folder that other settings made."""
    seed: int = 0
    """Seeds random sets of units and bootstrap intervals."""

    @field_validator("sites", "classes", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_commas(value)
