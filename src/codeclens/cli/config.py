"""Options of the commands: each flag is a field, which a YAML file can set as well."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from codeclens.cli.option_values import (
    complaint,
    joined,
    require_writable,
    split_commas,
    unknown_key,
)
from codeclens.errors import CodeclensError, shortened
from codeclens.yaml_files import at_home, read_yaml


class Settings(BaseModel):
    """Base of all options: unknown keys are errors, and `command` names the command."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)
    command: ClassVar[str] = ""
    # Required options, with the text of the error if one is missing.
    needed: ClassVar[dict[str, str]] = {}
    # Options of which exactly one is required.
    either: ClassVar[dict[str, str]] = {}

    @classmethod
    def resolve(cls, flags: Self | None, file: Path | None = None, **places: Path | None) -> Self:
        """The options of a file, overridden by flags and by the given `places`.

        Only flags that were given count (`flags.model_fields_set`). Raises CodeclensError for an
        unreadable file, an unknown key, a bad value or a missing option.
        """
        given = {name: getattr(flags, name) for name in flags.model_fields_set} if flags else {}
        given |= {name: place for name, place in places.items() if place is not None}
        values = at_home({**(read_section(file, cls.command) if file else {}), **given})
        for name, value in values.items():
            require_writable(name, value, str(file or f"codeclens {cls.command}"))
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            source = str(file or f"codeclens {cls.command}")
            raise CodeclensError(complaint(error, cls, source)) from None
        absent = [name for name in cls.needed if getattr(settings, name) is None]
        chosen = [name for name in cls.either if getattr(settings, name) is not None]
        # The place of the result is asked for last.
        if cls.either and len(chosen) != 1 and absent in ([], ["to"]):
            words = ", or ".join(cls.either.values())
            told = "needs" if not chosen else "takes only one of"
            raise CodeclensError(f"codeclens {cls.command} {told} {words}.")
        if absent:
            raise CodeclensError(f"codeclens {cls.command} needs {cls.needed[absent[0]]}.")
        return settings


_NUMBERS = r"^\s*[0-9.eE+-]+\s*(,\s*[0-9.eE+-]+\s*){0,2}$"


class Preprocessed(Settings):
    """Base of the options of commands that load a model: how images are prepared for it."""

    size: str | None = Field(default=None, pattern=r"^\s*\d{1,5}\s*(,\s*\d{1,5}\s*)?$")
    """Size of the model's square input in pixels, or RESIZE,CROP. [default: the model's own]"""
    mean: str | None = Field(default=None, pattern=_NUMBERS)
    """Mean of each channel, separated by commas, for pixels in 0 … 1. [default: the model's own]"""
    std: str | None = Field(default=None, pattern=_NUMBERS)
    """Standard deviation of each channel, separated by commas. [default: the model's own]"""
    interpolation: str | None = None
    """Filter for resizing: nearest, bilinear, bicubic, lanczos … [default: the model's own]"""

    @field_validator("size", "mean", "std", mode="before")
    @classmethod
    def _join(cls, value: Any) -> Any:
        return joined(value)

    @property
    def preprocessing(self) -> dict[str, Any]:
        """The options of `zoo.load` that these settings give; raises CodeclensError."""
        given = {"mean": _floats("mean", self.mean), "std": _floats("std", self.std)}
        if self.size is None:
            size: int | tuple[int, ...] | None = None
        else:
            sides = tuple(int(part) for part in self.size.split(","))
            size = sides[0] if len(sides) == 1 else sides
        return given | {"size": size, "interpolation": self.interpolation}


def _floats(name: str, text: str | None) -> tuple[float, ...] | None:
    try:
        return None if text is None else tuple(float(part) for part in text.split(","))
    except ValueError:
        raise CodeclensError(
            f"{name} (={shortened(text)}) should be one number or three, separated by commas, for "
            "example 0.5,0.5,0.5."
        ) from None


class Reloading(Settings):
    """Base of the options of commands that load the model of a store again."""

    run_code: bool = False
    """Import the Python module that config.yaml next to the store names, if the model is
    module:function. Allow this for your own stores, or after reading the module."""


class ModelSettings(Preprocessed):
    """Base of the options of commands that load a model of images or texts by its name."""

    weights: str | None = None
    """A weights file (.safetensors, or a state dict in a .pt), or "random" (untrained)."""
    tokenizer: str | None = None
    """The model takes texts: a folder of a saved tokenizer, or module:function, from a text to
    token ids. [default: the model's own: beside a saved one, or its attribute `tokenizer`]"""
    baseline: float | str = 0.0
    """The baseline: one value for all pixels, after the model's transform; for texts 0 (the zero
    vector), mean (the mean embedding) or token:ID (the embedding of one token)."""

    @field_validator("baseline", mode="after")
    @classmethod
    def _known(cls, value: float | str) -> float | str:
        if isinstance(value, float) or re.fullmatch(r"mean|token:\d{1,9}", value):
            return value
        raise ValueError("should be a number, mean or token:ID")


class ControlSettings(Reloading):
    """Options of `codeclens control`."""

    command = "control"
    needed: ClassVar[dict[str, str]] = {
        "store": "a store of contributions: codeclens control STORE",
        "modes": "modes: pass --modes FOLDER, which codeclens decompose wrote",
        "to": "a place for its result: pass --to FOLDER",
    }

    store: Annotated[Path | None, Parameter(show=False)] = None
    """A store written by codeclens extract."""
    modes: Path | None = None
    """A folder written by codeclens decompose."""
    images: Path | None = None
    """Labelled images to measure on, preferably held out. [default: those of the store]"""
    limit: int = Field(default=500, ge=1)
    """Maximum number of images to measure on, drawn at random from every class."""
    sites: list[str] | None = None
    """Sites of the modes, separated by commas. [default: all]"""
    classes: list[str] | None = None
    """Classes by name or number, separated by commas. [default: all, or none with --superclass]"""
    superclass: list[str] | None = None
    """NAME=CLASS,CLASS,…: a group of classes that is treated as one class; may be repeated."""
    kind: Literal["ablate", "preserve", "both"] = "both"
    """Ablate the chosen units, preserve only them, or both."""
    off: str | None = Field(default=None, pattern=r"^(baseline|mean|-?\d+(\.\d+)?)$")
    """Value of ablated units: baseline, mean or a number. [default: baseline, or 0 without one]"""
    controls: str = "all"
    """Control rankings to compare with, separated by commas (random, gradient …); all, or none."""
    fractions: str | None = Field(default=None, pattern=r"^[\d.]+(,[\d.]+)*$")
    """Shares of a site's units to change, separated by commas. [default: nine from 0.01 to 0.99]"""
    trials: int = Field(default=3, ge=1)
    """Number of random sets of units per fraction."""
    necessity: int = Field(default=64, ge=0)
    """Number of images used to measure removal and keep-alone effects; 0 to skip."""
    necessity_modes: int | None = Field(default=None, ge=1)
    """Number of modes for --necessity, the strongest of each site. [default: all active]"""
    batch_size: int = Field(default=256, ge=1)
    """Images per batch; changes memory use, not results."""
    to: Path | None = None
    """Folder for tables (CSV), figures (PNG, SVG) and sentences; an interrupted run resumes."""
    overwrite: bool = False
    """Replace results in that folder that were made with other options."""
    seed: int = 0
    """Random seed of the random sets of units and the bootstrap intervals."""

    @field_validator("sites", "classes", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_commas(value)


class ExplainSettings(ModelSettings):
    """Options of `codeclens explain`."""

    command: ClassVar[str] = "explain"
    needed: ClassVar[dict[str, str]] = {
        "to": "a place for its result: pass --to FOLDER",
    }
    either: ClassVar[dict[str, str]] = {
        "image": "an image: codeclens explain photo.jpg",
        "sentence": '--sentence "a text"',
    }

    image: Annotated[Path | None, Parameter(show=False)] = None
    """An image file."""
    sentence: str | None = None
    """A text to explain instead of an image."""
    model: str = "efficientnet-lite0"
    """digits-resnet, efficientnet-lite0, torchvision:, timm: or hf:NAME, or module:function, whose
    model may have the attributes `transform` (image to tensor) and `labels` (class names)."""
    modes: Path | None = None
    """A folder written by codeclens decompose. [default: the packaged modes of the model]"""
    sites: list[str] | None = None
    """Sites of the modes, separated by commas. [default: all; blocks.6.0 of the packaged modes]"""
    target: str = "predicted"
    """What is explained: predicted, or a class by its name or number; for language models token,
    token:-1,output:ID, token:-1,contrast:ID,ID or continuation:LENGTH."""
    instead_of: str | None = None
    """Contrast: explain the target's logit minus the logit of this class (name or number)."""
    steps: int = Field(default=20, ge=1, le=1_000_000)
    """Steps of the path from the baseline to the image."""
    most: int = Field(default=6, ge=1)
    """Number of modes of each site that are drawn individually, by size of their effect."""
    maps: bool = True
    """Draw the positions of the site at which each of these modes contributes."""
    pixels: bool = False
    """Also draw a pixel map of each of these modes along the path; takes longer."""
    effects: bool = True
    """Measure the effect of removing each mode."""
    output: str | None = None
    """Key or index of the class scores, for a model that returns a dict or tuple."""
    classes: Path | None = None
    """A text file with one class name per line, in the order of the outputs."""
    overwrite: bool = False
    """Replace an explanation with other settings in the same folder."""
    to: Path | None = None
    """The folder for figures (PNG and SVG), a page (HTML), a table (CSV) and sentences."""

    @field_validator("sites", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_commas(value)


class RetinaSettings(Settings):
    """Options of `codeclens retina demo`."""

    command: ClassVar[str] = "retina demo"

    to: Path = Path("codeclens-retina")
    """The folder for the report, arrays, figures and tables."""
    quick: bool = False
    """A faster run: 8 s of film instead of 40 s; fewer steps, modes, cells and resamples."""
    seed: int = Field(default=0, ge=0)
    """Random seed of the film, the modes and the confidence intervals."""


View = Literal["concat", "sum", "positive", "negative", "activation"]
Method = Literal["conductance", "activation-path", "late-activation-path", "activation-gradient"]


class ExtractSettings(ModelSettings):
    """Options of `codeclens extract`."""

    command = "extract"
    needed: ClassVar[dict[str, str]] = {
        "model": "a model: pass --model NAME, for example --model timm:resnet18",
        "to": "a place for its result: pass --to STORE, for example --to run/contributions.zarr",
    }
    either: ClassVar[dict[str, str]] = {
        "images": "images: pass --images FOLDER",
        "text": "--text FILE",
    }

    model: str | None = None
    """digits-resnet, efficientnet-lite0, torchvision:, timm: or hf:NAME, or module:function, whose
    model may have the attributes `transform` (image to tensor) and `labels` (class names)."""
    images: Path | None = None
    """A folder of images (its subfolders are classes), .tar or "*.tar", .npy, .npz or .zarr."""
    text: Path | None = None
    """A text file instead of images, a sample in each line."""
    field: str | None = None
    """The lines of --text are JSON objects; the text is in this field."""
    label: str | None = None
    """The field of JSON lines with the label: a number, or the name of a class."""
    tokens: int | None = Field(default=None, ge=1)
    """Maximum number of tokens of a text; longer ones are cut. [default: all]"""
    sites: list[str] | None = None
    """Module names, globs or presets, separated by commas. [default: the model's, often @blocks]"""
    method: Method = "conductance"
    """The attribution method (docs/faithfulness.md: which predicts which intervention)."""
    steps: int = Field(default=20, ge=1, le=1_000_000)
    """Integration steps from the baseline to the image (conductance and activation paths)."""
    target: str = Field("predicted", min_length=1)
    """The output to explain: predicted, label, a class by its name or number (output:3),
    contrast:CLASS,CLASS, topksum:K …; for language models token (the predicted next one),
    token:-1,output:ID, token:-1,contrast:ID,ID or continuation:LENGTH."""
    target_scale: Literal["logits", "probabilities", "sigmoid"] = "logits"
    """Explain the logit or the probability of the target."""
    batch_size: int = Field(default=16, ge=1)
    """Images per batch; changes memory use, not results."""
    shard_size: int | None = Field(default=None, ge=1)
    """Images per shard, the unit of resuming. [default: a sixteenth of all, 32 to 1,024]"""
    limit: int | None = Field(default=None, ge=1)
    """Maximum number of images, drawn at random from every class. [default: all]"""
    seed: int = Field(default=0, ge=0)
    """Random seed of the images that --limit draws."""
    to: str | None = None
    """The store to write: a folder or an address (s3://…). An interrupted run is resumed."""
    engine: Literal["local", "ray"] = "local"
    """Compute here, or on a Ray cluster (at RAY_ADDRESS, else a new local one)."""
    workers: int | None = Field(default=None, ge=1)
    """Ray workers. [default: as many as fit]"""
    worker_cpus: float = Field(default=1, ge=0)
    """CPUs per Ray worker."""
    worker_gpus: float = Field(default=0, ge=0)
    """GPUs per Ray worker."""
    decoders: int = Field(default=0, ge=0)
    """Batches to decode in advance per worker, on separate CPUs. [0: the worker decodes]"""
    output: str | None = None
    """Key or index of the class scores, for a model that returns a dict or tuple."""
    classes: Path | None = None
    """A text file with one class name per line, in the order of the outputs."""
    device: str | None = None
    """The device: cpu, cuda, cuda:1 … [default: a GPU if available]"""
    channels_last: bool | None = None
    """Use the channels-last memory layout. [default: where it is faster]"""
    fold_batchnorm: bool = False
    """Fold batch norms into convolutions (in a copy): faster; results change by up to 0.3 %."""
    autocast: Literal["bfloat16", "float16"] | None = None
    """Compute in half precision; contributions are summed in float32."""
    grid: tuple[int, int] | None = None
    """Keep positions, pooled to this many rows and columns of each feature map."""
    dtype: Literal["float32", "float16"] = "float32"
    """The number type of the store."""
    plan: bool = False
    """Only print what would be done: samples, units, bytes, time and memory."""
    strict: bool = False
    """Stop at the first unreadable image. [default: record and skip it]"""

    @field_validator("sites", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_commas(value)


class DecomposeSettings(Settings):
    """Options of `codeclens decompose`."""

    command = "decompose"
    needed: ClassVar[dict[str, str]] = {
        "store": "a store of contributions: codeclens decompose STORE",
        "to": "a place for its result: pass --to FOLDER",
    }

    store: Annotated[Path | None, Parameter(show=False)] = None
    """A store written by codeclens extract."""
    method: str = "topk"
    """topk, batch-topk, matryoshka, jump-relu, gated, relu-sae, threshold-sae (the published one),
    pca, ica, nmf, semi-nmf or kmeans."""
    compare: bool = False
    """Compare all methods at --k and --expansion, over seeds 0,1,2 or --seeds."""
    methods: list[str] | None = None
    """With --compare: only these methods, separated by commas; threshold-sae is the slowest."""
    n_modes: int | None = Field(default=None, ge=1)
    """Modes per site, instead of --expansion."""
    expansion: float | None = Field(default=None, gt=0)
    """Modes per unit of a site. [default: 3]"""
    k: int = Field(default=16, ge=1)
    """Active modes per sample; for classical methods, the number of modes."""
    view: View = "concat"
    """View of the contributions to decompose; concat separates positive and negative ones."""
    sites: list[str] | None = None
    """Sites of the store, separated by commas. [default: all]"""
    epochs: int | None = Field(default=None, ge=1)
    """Training epochs. [default: depends on the method]"""
    seed: int = 0
    """Random seed of the initial dictionary and the order of samples."""
    seeds: str | None = Field(default=None, pattern=r"^\d+(,\d+)*$")
    """Several seeds, separated by commas, instead of --seed; writes a folder seed-N for each."""
    halves: bool = False
    """Also fit two halves of the samples, to report how reproducible each mode is."""
    workers: int = Field(default=1, ge=1)
    """Fits that run in parallel, each in its own process."""
    device: str | None = None
    """The device for training: cpu, cuda, cuda:1 … [default: a GPU if available]"""
    logs: Path | None = None
    """A folder for training logs and checkpoints; training resumes from there."""
    to: Path | None = None
    """The output folder, two files per site."""
    overwrite: bool = False
    """Replace modes in that folder that were made with other options."""

    @field_validator("sites", "methods", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_commas(value)


class AnalyzeSettings(Reloading):
    """Options of `codeclens analyze`."""

    command = "analyze"
    needed: ClassVar[dict[str, str]] = {
        "store": "a store of contributions: codeclens analyze STORE",
        "to": "a place for its result: pass --to FOLDER",
    }

    store: Annotated[Path | None, Parameter(show=False)] = None
    """A store written by codeclens extract."""
    modes: Path | None = None
    """Modes to analyze: a folder of codeclens decompose, or the packaged efficientnet-lite0."""
    hierarchy: Path | None = None
    """Superclasses: "imagenet", a YAML tree, WordNet's data.noun or a list of "child parent"."""
    permutations: int = Field(default=1000, ge=1)
    """Label permutations for the null distribution of class correlations."""
    flow: bool = False
    """Compute which modes of each site drive those of the next; needs the model and the images."""
    flow_images: int = Field(default=64, ge=1)
    """Images for the flow, spread over the store."""
    flow_interventions: int = Field(default=20, ge=0)
    """Number of these images used to check the flow by removing modes; 0 to skip."""
    to: Path | None = None
    """The output folder: tables (CSV, Zarr), figures (PNG, SVG) and a summary in words."""
    overwrite: bool = False
    """Remove files of an earlier run that this run does not write."""
    seed: int = 0
    """Random seed of the bootstrap intervals."""


class GallerySettings(Reloading):
    """Options of `codeclens gallery`."""

    command = "gallery"
    needed: ClassVar[dict[str, str]] = {
        "store": "a store of contributions: codeclens gallery STORE",
        "modes": "modes: pass --modes FOLDER, which codeclens decompose wrote",
        "to": "a place for its result: pass --to FOLDER",
    }

    store: Annotated[Path | None, Parameter(show=False)] = None
    """A store written by codeclens extract, next to its config.yaml."""
    modes: Path | None = None
    """A folder written by codeclens decompose."""
    sites: list[str] | None = None
    """Sites of the modes, separated by commas. [default: all]"""
    most: int | None = Field(default=None, ge=1)
    """Number of modes per site, the strongest first. [default: all]"""
    count: int = Field(default=6, ge=1)
    """Images per mode and kind (strongest, diverse, typical, near misses)."""
    effects: bool = True
    """Measure the effect of removing each mode in the images in which it is most active."""
    hierarchy: str | None = None
    """Superclasses that may name modes: imagenet, or a file (see docs/semantics.md)."""
    to: Path | None = None
    """The folder for gallery.html, a picture of each mode and a table for each site."""
    seed: int = 0
    """Random seed of the images that are drawn."""

    @field_validator("sites", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_commas(value)


class ExploreSettings(Reloading):
    """Options of `codeclens explore`."""

    command = "explore"
    needed: ClassVar[dict[str, str]] = {"run": "a run: codeclens explore FOLDER"}

    run: Annotated[Path | None, Parameter(show=False)] = None
    """The folder of a run: a store with modes and results beside it."""
    modes: Path | None = None
    """A folder written by codeclens decompose. [default: the one in the run's folder]"""
    analysis: Path | None = None
    """A folder written by codeclens analyze. [default: the one in the run's folder]"""
    control: Path | None = None
    """A folder written by codeclens control. [default: the one in the run's folder]"""
    gallery: Path | None = None
    """A folder written by codeclens gallery. [default: the one in the run's folder]"""
    live: bool = True
    """Load the network and the images, to show pictures and to compute."""
    port: int = Field(default=0, ge=0, le=65535)
    """The port on 127.0.0.1; 0 is a free one."""
    browser: bool = True
    """Open the browser."""


class ReportSettings(Reloading):
    """Options of `codeclens report`."""

    command = "report"
    needed: ClassVar[dict[str, str]] = {
        "store": "a store of contributions: codeclens report STORE",
        "to": "a place for its result: pass --to FILE.html",
    }

    store: Annotated[Path | None, Parameter(show=False)] = None
    """A store written by codeclens extract, or the folder of a run that holds one."""
    modes: Path | None = None
    """A folder written by codeclens decompose. [default: the one beside the store]"""
    analysis: Path | None = None
    """A folder written by codeclens analyze. [default: the one beside the store]"""
    control: Path | None = None
    """A folder written by codeclens control. [default: the one beside the store]"""
    gallery: Path | None = None
    """A folder written by codeclens gallery. [default: the one beside the store]"""
    galleries: int = Field(default=6, ge=0)
    """Number of modes to show one by one, at a middle site and at the last site."""
    most: int = Field(default=64, ge=0)
    """Number of modes per site that have a page of their own; all modes are listed."""
    live: bool = True
    """Load the network and the images, to show the samples and where modes act."""
    to: Path | None = None
    """The HTML file to write."""
    title: str | None = None
    """The title of the report. [default: from the model's name]"""
    seed: int = 0
    """Random seed of the bootstrap intervals."""


class DemoSettings(Settings):
    """Options of `codeclens demo`."""

    command = "demo"

    to: Path = Path("codeclens-demo")
    """The folder for the report, arrays, figures and tables."""
    quick: bool = False
    """Only the digits; takes less than a minute."""
    seed: int = 0
    """Random seed of modes, controls and intervals."""


SETTINGS: dict[str, type[Settings]] = {
    settings.command: settings
    for settings in (
        ExtractSettings, DecomposeSettings, AnalyzeSettings, ControlSettings, ExplainSettings,
        GallerySettings, ExploreSettings, ReportSettings, DemoSettings, RetinaSettings,
    )
}  # fmt: skip


def read_section(file: Path, command: str) -> dict[str, Any]:
    """The options of a YAML file for one command.

    The file holds either the command's own keys or, like the `config.yaml` that each run writes,
    one section per command. Raises CodeclensError if the file cannot be read or
    has no section for the command.
    """
    content = read_yaml(file)
    sections = [name for name in content if name in SETTINGS]
    if not sections:
        return content
    for name in sections:
        if content[name] is None:
            content[name] = {}
        if not isinstance(content[name], dict):
            raise CodeclensError(
                f'The section "{name}" of {file} holds a {type(content[name]).__name__}; it must '
                'hold keys and values, for example "steps: 10".'
            )
    if command not in content:
        raise CodeclensError(
            f"{file} configures {', '.join(sections)} but not {command}; "
            f'add a section "{command}:" or name another file.'
        )
    unknown = [str(name) for name in content if name not in SETTINGS]
    if unknown:
        raise CodeclensError(unknown_key(str(file), unknown, list(SETTINGS), "section"))
    return dict(content[command])
