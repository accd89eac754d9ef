"""Configurations of the commands: every flag is a field, and a YAML file may give them as well."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import yaml
from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from codeclens.errors import CodeclensError


def complaint(error: ValidationError, settings: type[BaseModel], source: str) -> str:
    """One sentence for what pydantic found wrong, the nearest key or the value in it."""
    problems = error.errors(include_url=False)
    unknown = [str(p["loc"][0]) for p in problems if p["type"] == "extra_forbidden"]
    if unknown:
        return unknown_key(source, unknown, list(settings.model_fields), "key")
    first = problems[0]
    name = ".".join(str(part) for part in first["loc"]) or source
    wanted = first["msg"].removeprefix("Input ").removeprefix("Value error, ")
    if name == "seeds":
        wanted = "should be whole numbers separated by commas, for example 0,1,2"
    if name == "target":
        wanted = "should be predicted, label or output:INDEX, for example output:3"
    others = sorted({str(p["loc"][0]) for p in problems[1:] if p["loc"]} - {name})
    more = f" (wrong, too: {', '.join(others)})" if others else ""
    return f"{source}: {name} (={first['input']!r}) {wanted}{more}."


def unknown_key(source: str, unknown: list[str], known: list[str], what: str) -> str:
    """One sentence for keys that are not known, with the one that is nearest to the first.

    >>> unknown_key("a.yaml", ["step"], ["steps", "sites"], "key")
    'a.yaml has the unknown key "step"; the nearest key is "steps".'
    """
    near = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0.0)[0]
    names = ", ".join(f'"{name}"' for name in unknown)
    return f'{source} has the unknown {what} {names}; the nearest {what} is "{near}".'


class Settings(BaseModel):
    """What all configurations share: no unknown keys, and a name, which is that of the command."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)
    command: ClassVar[str] = ""
    # What neither a flag nor the file may leave out, with the words that ask for it.
    needed: ClassVar[dict[str, str]] = {}

    @classmethod
    def resolve(cls, flags: Self | None, file: Path | None = None, **places: Path | None) -> Self:
        """The configuration of a file, with flags and the given `places` laid over it.

        Only the flags that were given count (`flags.model_fields_set`). Raises CodeclensError for
        an unreadable file, an unknown key, a bad value, and where something needed is missing.
        """

        given = {name: getattr(flags, name) for name in flags.model_fields_set} if flags else {}
        given |= {name: place for name, place in places.items() if place is not None}
        values = {**(read_section(file, cls.command) if file else {}), **given}
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            source = str(file or f"codeclens {cls.command}")
            raise CodeclensError(complaint(error, cls, source)) from None
        for name, words in cls.needed.items():
            if getattr(settings, name) is None:
                raise CodeclensError(f"codeclens {cls.command} needs {words}.")
        return settings


def split_commas(value: Any) -> Any:
    """Names separated by commas, as a list.

    >>> split_commas("layer1.*,layer2"), split_commas(["a,b", "c"]), split_commas(None)
    (['layer1.*', 'layer2'], ['a', 'b', 'c'], None)
    """
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        return value
    return [part.strip() for item in items for part in item.split(",") if part.strip()]


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


class RetinaSettings(Settings):
    """What `codeclens retina demo` does."""

    command: ClassVar[str] = "retina demo"

    to: Path = Path("codeclens-retina")
    """The folder for the report, labelled arrays, figures and tables."""
    quick: bool = False
    """Eight seconds of film in place of forty; fewer steps, modes, cells and draws."""
    seed: int = Field(default=0, ge=0)
    """Chooses the film, and seeds modes and intervals."""


View = Literal["concat", "sum", "positive", "negative", "activation"]
MethodName = Literal[
    "topk", "batch-topk", "matryoshka", "jump-relu", "gated", "relu-sae", "threshold-sae",
    "pca", "ica", "nmf", "semi-nmf", "kmeans",
]  # fmt: skip


class ExtractSettings(Settings):
    """What `codeclens extract` does."""

    command = "extract"
    needed: ClassVar[dict[str, str]] = {
        "model": "a model: pass --model NAME, for example --model timm:resnet18",
        "images": "images: pass --images FOLDER",
        "to": "a place for its result: pass --to STORE, for example --to run/contributions.zarr",
    }

    model: str | None = None
    """digits-resnet, efficientnet-lite0, torchvision:, timm: or hf:NAME, or module:function."""
    weights: str | None = None
    """A weights file (.safetensors, or a state dict in a .pt), or "random" for an untrained one."""
    images: Path | None = None
    """A folder of images (folders inside are classes), .tar or "*.tar", .npy, .npz or .zarr."""
    sites: list[str] | None = None
    """Modules, globs or presets, separated by commas. [default: the model's own, often @blocks]"""
    method: Literal["conductance", "activation-gradient"] = "conductance"
    """How contributions are computed."""
    steps: int = Field(default=20, ge=1)
    """Steps of the path from the baseline to the image (conductance)."""
    target: str = Field("predicted", pattern=r"^(predicted|label|output:-?\d+)$")
    """What is explained: predicted, label or output:INDEX."""
    target_scale: Literal["logits", "probabilities"] = "logits"
    """On which scale the target is taken."""
    baseline: float = 0.0
    """The value of the input from which contributions are counted, after the model's transform."""
    batch_size: int = Field(default=16, ge=1)
    """Images in one pass; it changes memory, not results."""
    shard_size: int | None = Field(default=None, ge=1)
    """Images in a shard: the work that is there or not. [default: a sixteenth, 32 to 1,024]"""
    limit: int | None = Field(default=None, ge=1)
    """The most images to take. [default: all]"""
    to: str | None = None
    """The store to write, a folder or an address (s3://…); an interrupted run is resumed."""
    engine: Literal["local", "ray"] = "local"
    """Where shards are computed: here, or on the Ray cluster at RAY_ADDRESS, else on one here."""
    workers: int | None = Field(default=None, ge=1)
    """Workers on the Ray cluster. [default: as many as there is room for]"""
    worker_cpus: float = Field(default=1, ge=0)
    """CPUs of each Ray worker."""
    worker_gpus: float = Field(default=0, ge=0)
    """GPUs of each Ray worker; with one, it computes there."""
    decoders: int = Field(default=0, ge=0)
    """Batches that Ray decodes ahead for each worker on other CPUs. [0: by the worker's threads]"""
    output: str | None = None
    """The entry of the model's output that holds the classes, where it returns a dict or tuple."""
    classes: Path | None = None
    """A text file with one class name a line, in the order of the outputs."""
    device: str | None = None
    """Where the model computes: cpu, cuda, cuda:1 … [default: a GPU if there is one]"""
    channels_last: bool | None = None
    """Lay images out pixel by pixel. [default: where it helps]"""
    fold_batchnorm: bool = False
    """Fold batch norms into convolutions, in a copy of the model: faster, up to 0.3 % different."""
    autocast: Literal["bfloat16", "float16"] | None = None
    """Compute in half precision; contributions are summed in single."""
    grid: tuple[int, int] | None = None
    """Keep positions, summed in this many rows and columns of each feature map."""
    dtype: Literal["float32", "float16"] = "float32"
    """The type of the numbers in the store."""
    plan: bool = False
    """Only tell what would be done: samples, units, bytes, time and memory."""
    strict: bool = False
    """Stop at the first image that cannot be read, instead of recording and skipping it."""

    @field_validator("sites", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_commas(value)


class DecomposeSettings(Settings):
    """What `codeclens decompose` does."""

    command = "decompose"
    needed: ClassVar[dict[str, str]] = {
        "store": "a store of contributions: codeclens decompose STORE",
        "to": "a place for its result: pass --to FOLDER",
    }

    store: Annotated[Path | None, Parameter(show=False)] = None
    """A store that codeclens extract wrote."""
    method: MethodName = "topk"
    """An autoencoder (threshold-sae is the published one), or a classical decomposition."""
    compare: bool = False
    """Judge all methods at --k and --expansion, over seeds 0,1,2 or --seeds."""
    methods: list[MethodName] | None = None
    """With --compare: only these methods, separated by commas; threshold-sae takes longest."""
    n_modes: int | None = Field(default=None, ge=1)
    """Number of modes of every site, instead of --expansion."""
    expansion: float | None = Field(default=None, gt=0)
    """Modes for each unit of a site. [default: 3]"""
    k: int = Field(default=16, ge=1)
    """Modes that may be present in one sample; the number of modes of a classical method."""
    view: View = "concat"
    """Which numbers are decomposed: concat keeps positive and negative contributions apart."""
    sites: list[str] | None = None
    """Sites of the store, separated by commas. [default: all]"""
    epochs: int | None = Field(default=None, ge=1)
    """Passes over the samples. [default: the method's own]"""
    seed: int = 0
    """Seeds the initial dictionary and the order of samples."""
    seeds: str | None = Field(default=None, pattern=r"^\d+(,\d+)*$")
    """Several seeds, separated by commas, instead of --seed; a folder seed-N for each."""
    halves: bool = False
    """Fit two halves of the samples, too, to tell which modes are found again."""
    workers: int = Field(default=1, ge=1)
    """Sites and seeds that are fitted at a time, each in a process of its own."""
    device: str | None = None
    """Where autoencoders train: cpu, cuda, cuda:1 … [default: a GPU if there is one]"""
    logs: Path | None = None
    """A folder for figures and checkpoints of every training, which are resumed from there."""
    to: Path | None = None
    """The folder to write modes to, two files a site."""
    overwrite: bool = False
    """Replace modes in that folder that other settings made."""

    @field_validator("sites", "methods", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_commas(value)


class AnalyzeSettings(Settings):
    """What `codeclens analyze` does."""

    command = "analyze"
    needed: ClassVar[dict[str, str]] = {
        "store": "a store of contributions: codeclens analyze STORE",
        "to": "a place for its result: pass --to FOLDER",
    }

    store: Annotated[Path | None, Parameter(show=False)] = None
    """A store that codeclens extract wrote."""
    modes: Path | None = None
    """A folder that codeclens decompose wrote, or efficientnet-lite0; adds a table of modes."""
    hierarchy: Path | None = None
    """Superclasses: "imagenet", a tree in YAML, WordNet's data.noun or a list "child parent"."""
    permutations: int = Field(default=1000, ge=1)
    """Permutations of the labels that correlations with classes are held against."""
    flow: bool = False
    """Follow which modes of each site drive which of the next; takes the model and the images."""
    flow_images: int = Field(default=64, ge=1)
    """Images that the flow is followed in, spread over the store."""
    flow_interventions: int = Field(default=20, ge=0)
    """Of these, images in which modes are taken out of the middle site, to check; 0 for none."""
    to: Path | None = None
    """The folder for tables (CSV and Zarr), figures (PNG and SVG) and sentences."""
    overwrite: bool = False
    """Remove what an earlier run left in that folder and this one does not write."""
    seed: int = 0
    """Seeds the bootstrap intervals."""


class ReportSettings(Settings):
    """What `codeclens report` does."""

    command = "report"
    needed: ClassVar[dict[str, str]] = {
        "store": "a store of contributions: codeclens report STORE",
        "to": "a place for its result: pass --to FILE.html",
    }

    store: Annotated[Path | None, Parameter(show=False)] = None
    """A store that codeclens extract wrote."""
    modes: Path | None = None
    """A folder that codeclens decompose wrote."""
    control: Path | None = None
    """A folder that codeclens control wrote; adds a section on what modes do."""
    to: Path | None = None
    """The HTML file to write."""
    title: str | None = None
    """The page's title. [default: composed of the model's name]"""
    seed: int = 0
    """Seeds the bootstrap intervals."""


class DemoSettings(Settings):
    """What `codeclens demo` does."""

    command = "demo"

    to: Path = Path("codeclens-demo")
    """The folder for the report, arrays, figures and tables."""
    quick: bool = False
    """Only the digits, in under a minute."""
    seed: int = 0
    """Seeds modes, controls and intervals."""


SETTINGS: dict[str, type[Settings]] = {
    settings.command: settings
    for settings in (
        ExtractSettings, DecomposeSettings, AnalyzeSettings, ControlSettings, ExplainSettings,
        ReportSettings, DemoSettings, RetinaSettings,
    )
}  # fmt: skip


def read_section(file: Path, command: str) -> dict[str, Any]:
    """The values of a YAML file for one command.

    The file holds either the command's own keys, or one section for each command, as the
    `config.yaml` that a run leaves behind. Raises CodeclensError where the file cannot be read or
    has no section for the command.
    """
    content = _read(file)
    sections = [name for name in content if name in SETTINGS]
    if not sections or not all(isinstance(content[name], dict) for name in sections):
        return content
    if command not in content:
        raise CodeclensError(
            f"{file} configures {', '.join(sections)} but not {command}; "
            f'add a section "{command}:" or name another file.'
        )
    unknown = [str(name) for name in content if name not in SETTINGS]
    if unknown:
        raise CodeclensError(unknown_key(str(file), unknown, list(SETTINGS), "section"))
    return dict(content[command])


def require_own(
    settings: Settings, to: Path, what: str, files: str, made_by: Sequence[str]
) -> None:
    """Raise CodeclensError where results of other settings lie in the folder, to be kept.

    `files` is a pattern of the results' files, `made_by` names the settings that make a difference.
    """
    file = to / "config.yaml"
    if getattr(settings, "overwrite", False) or not file.is_file() or not any(to.rglob(files)):
        return
    try:
        before = read_section(file, settings.command)
    except CodeclensError:
        return  # another command's alone
    now = settings.model_dump(mode="json")
    different = [name for name in made_by if before.get(name, now[name]) != now[name]]
    if different:
        name = different[0]
        verb = "was" if what.startswith("an ") else "were"
        raise CodeclensError(
            f"{to} holds {what} that {verb} made with {name} = {before[name]}, but now it is "
            f"{now[name]}; choose another folder, or pass --overwrite to replace."
        )


def write_section(folder: Path, settings: Settings) -> Path:
    """Write the resolved configuration into `config.yaml` of a folder, and return its path.

    Sections of other commands stay: a chain of commands into one folder leaves one file, which
    repeats each of them with `--config`. Where the command's own section is that of another result,
    such as a second store in the folder, the file is called after this one: `b.config.yaml`.
    """
    file = folder / "config.yaml"
    content = _read(file) if file.is_file() else {}
    here = settings.model_dump(mode="json")
    there = content.get(settings.command)
    # A result that is the folder itself is the only one there, however its path was written.
    inside = here.get("to") is not None and Path(here["to"]).absolute() != folder.absolute()
    if (
        inside
        and isinstance(there, dict)
        and Path(there.get("to") or "").name != Path(here["to"]).name
    ):
        file = folder / f"{Path(here['to']).name.removesuffix('.zarr')}.config.yaml"
        content = _read(file) if file.is_file() else {}
    content = {name: content[name] for name in content if name in SETTINGS}
    content[settings.command] = here
    folder.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}")
    beside.write_text(
        yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    beside.replace(file)
    return file


def configuration(result: Path) -> Path:
    """The file that `write_section` has written for a result, whether or not it is there."""
    folder = result.absolute().parent
    own = folder / f"{result.name.removesuffix('.zarr')}.config.yaml"
    return own if own.is_file() else folder / "config.yaml"


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CodeclensError(f"There is no configuration file {file}: check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CodeclensError(f"The configuration file {file} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise CodeclensError(
            f"The configuration file {file} is no valid YAML: {reason}."
        ) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise CodeclensError(
            f"The configuration file {file} holds a {type(content).__name__}; "
            'it must hold keys and values, for example "steps: 10".'
        )
    return content
