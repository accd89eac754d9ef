"""The configuration of `codeclens explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from cyclopts import Parameter
from pydantic import Field, field_validator

from codeclens.cli.settings import Settings, split_commas


class ExplainSettings(Settings):
    """What `codeclens explain` does."""

    command: ClassVar[str] = "explain"
    needed: ClassVar[dict[str, str]] = {
        "image": "an image: codeclens explain photo.jpg",
        "to": "a place for its result: pass --to FOLDER",
    }

    image: Annotated[Path | None, Parameter(show=False)] = None
    """An image file."""
    model: str = "efficientnet-lite0"
    """digits-resnet, efficientnet-lite0, torchvision:, timm: or hf:NAME, or module:function."""
    weights: str | None = None
    """A weights file (.safetensors, or a state dict in a .pt), or "random" for an untrained one."""
    modes: Path | None = None
    """A folder that codeclens decompose wrote. [default: those that ship for the model]"""
    sites: list[str] | None = None
    """Sites of the modes, by commas. [default: all; blocks.4.2, blocks.5.3 of modes that ship]"""
    target: str = "predicted"
    """What is explained: predicted, or a class by its name or number."""
    instead_of: str | None = None
    """Another class, by name or number: why the target and not this one."""
    steps: int = Field(default=20, ge=1)
    """Steps of the path from the baseline to the image."""
    baseline: float = 0.0
    """The value of the input from which contributions are counted, after the model's transform."""
    most: int = Field(default=6, ge=1)
    """Modes of each site that are mapped, taken out and drawn one by one."""
    maps: bool = True
    """Map each of these modes onto the pixels; most of the time goes there."""
    effects: bool = True
    """Measure what taking each of these modes out does."""
    output: str | None = None
    """The entry of the model's output that holds the classes, where it returns a dict or tuple."""
    classes: Path | None = None
    """A text file with one class name a line, in the order of the outputs."""
    overwrite: bool = False
    """Replace an explanation with other settings in the same folder."""
    to: Path | None = None
    """The folder for figures (PNG and SVG), a page (HTML), a table (CSV) and sentences."""

    @field_validator("sites", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_commas(value)
