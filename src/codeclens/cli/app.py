"""The commands of `codeclens`. A user's mistake becomes one sentence and exit code 2."""

from __future__ import annotations

import re
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError
from pydantic import BaseModel, ConfigDict, ValidationError

import codeclens
from codeclens.cli.config import (
    SETTINGS,
    AnalyzeSettings,
    ControlSettings,
    DecomposeSettings,
    DemoSettings,
    ExplainSettings,
    ExploreSettings,
    ExtractSettings,
    GallerySettings,
    ReportSettings,
    RetinaSettings,
)
from codeclens.cli.option_values import complaint
from codeclens.cli.terminal import INTERRUPTION, STOPPED, complain
from codeclens.errors import CodeclensError, in_one_line

# Torch and all that needs it are imported inside the commands, so that help appears at once.

DEBUG = "--debug"
TRACEBACK = "Show the traceback of an error."
MISTAKE = 2

# Torch reports these as errors of any kind.
_OUT_OF_MEMORY = re.compile("can't allocate memory|out of memory", re.IGNORECASE)
# A word in a message that nobody would read; the longest paths are shorter.
_LONG_WORD = re.compile(r"\S{600,}")

Flat = Parameter(name="*")
Place = Annotated[Path | None, Parameter(help="A store that codeclens extract wrote.")]


class Shared(BaseModel):
    """Options of every command."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    config: Path | None = None
    """A YAML file with these options; flags on the command line override it."""
    debug: Annotated[bool, Parameter(help=TRACEBACK)] = False


Common = Annotated[Shared | None, Flat]

app = App(
    name="codeclens",
    help=(
        "What hidden neurons contribute to a network's output, decomposed into modes.\n\n"
        "`codeclens COMMAND --help` explains a command."
    ),
    version=codeclens.__version__,
    help_format="markdown",
    default_parameter=Parameter(negative_iterable=()),
)


@app.command
def demo(*, flags: Annotated[DemoSettings | None, Flat] = None, common: Common = None) -> None:
    """Run the whole analysis on digits and photographs, and write a report."""
    settings = DemoSettings.resolve(flags, _file(common))
    from codeclens.cli.demo_command import run_demonstration

    run_demonstration(settings)


@app.command
def extract(
    *, flags: Annotated[ExtractSettings | None, Flat] = None, common: Common = None
) -> None:
    """Compute the contributions of hidden units for images or texts, and store them."""
    settings = ExtractSettings.resolve(flags, _file(common))
    from codeclens.cli.extract_command import run_extract

    run_extract(settings)


@app.command
def decompose(
    store: Place = None,
    /,
    *,
    flags: Annotated[DecomposeSettings | None, Flat] = None,
    common: Common = None,
) -> None:
    """Decompose the contributions in a store into modes, site by site."""
    settings = DecomposeSettings.resolve(flags, _file(common), store=store)
    from codeclens.cli.decompose_command import run_decompose

    run_decompose(settings)


@app.command
def analyze(
    store: Place = None,
    /,
    *,
    flags: Annotated[AnalyzeSettings | None, Flat] = None,
    common: Common = None,
) -> None:
    """Compute layer statistics and semantics: tables, figures and a summary in words."""
    settings = AnalyzeSettings.resolve(flags, _file(common), store=store)
    from codeclens.cli.analyze_command import run_analyze

    run_analyze(settings)


@app.command
def control(
    store: Place = None,
    /,
    *,
    flags: Annotated[ControlSettings | None, Flat] = None,
    common: Common = None,
) -> None:
    """Ablate and preserve the units of modes, and compare with other ways to choose units."""
    settings = ControlSettings.resolve(flags, _file(common), store=store)
    from codeclens.cli.control_command import run_control

    run_control(settings)


@app.command
def explain(
    image: Annotated[Path | None, Parameter(help="An image file.")] = None,
    /,
    *,
    flags: Annotated[ExplainSettings | None, Flat] = None,
    common: Common = None,
) -> None:
    """Explain the output for one image or text as a sum over modes, with a map of each mode."""
    settings = ExplainSettings.resolve(flags, _file(common), image=image)
    from codeclens.cli.explain_command import run_explain

    run_explain(settings)


@app.command
def gallery(
    store: Place = None,
    /,
    *,
    flags: Annotated[GallerySettings | None, Flat] = None,
    common: Common = None,
) -> None:
    """Show every mode: its images, where it acts, its classes and its measured effect."""
    settings = GallerySettings.resolve(flags, _file(common), store=store)
    from codeclens.cli.gallery_command import run_gallery

    run_gallery(settings)


@app.command
def explore(
    run: Annotated[Path | None, Parameter(help="The folder of a run.")] = None,
    /,
    *,
    flags: Annotated[ExploreSettings | None, Flat] = None,
    common: Common = None,
) -> None:
    """Look at a run in the browser, and try its network on pictures; nothing leaves the machine."""
    settings = ExploreSettings.resolve(flags, _file(common), run=run)
    from codeclens.cli.explore_command import run_explore

    run_explore(settings)


@app.command
def report(
    store: Place = None,
    /,
    *,
    flags: Annotated[ReportSettings | None, Flat] = None,
    common: Common = None,
) -> None:
    """Write what codeclens explore shows into one HTML file, with the findings as its overview."""
    settings = ReportSettings.resolve(flags, _file(common), store=store)
    from codeclens.cli.explore_command import run_report

    run_report(settings)


stores = App(name="store", help="Check or repair a store of contributions.")
app.command(stores)


@stores.command
def verify(
    path: Annotated[Path, Parameter(help="A store that codeclens extract wrote.")],
    /,
    *,
    discard: Annotated[
        bool, Parameter(help="Delete damaged shards, so that extract computes them again.")
    ] = False,
    debug: Annotated[bool, Parameter(help=TRACEBACK)] = False,
) -> None:
    """Verify the checksum of every file of a store; exit code 2 if a file is damaged."""
    from codeclens.cli.small_commands import verify_store

    verify_store(path, discard)


retina = App(name="retina", help="Models of retinal ganglion cells; contributions in Hz.")
app.command(retina)


@retina.command(name="demo")
def retina_demo(
    *, flags: Annotated[RetinaSettings | None, Flat] = None, common: Common = None
) -> None:
    """Compare a fitted network with the simulated retina that it was fitted to."""
    settings = RetinaSettings.resolve(flags, _file(common))
    from codeclens.cli.demo_command import run_retina_demonstration

    run_retina_demonstration(settings)


@app.command
def doctor(
    *,
    json: Annotated[bool, Parameter(help="Print JSON, to record with measurements.")] = False,
    debug: Annotated[bool, Parameter(help=TRACEBACK)] = False,
) -> None:
    """Print versions, cores, GPU and extras: what works here, what is missing, how to get it."""
    from codeclens.cli.doctor_command import run_doctor

    run_doctor(json)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    0 is success, 2 a user's mistake (explained in one sentence on stderr), 130 an interruption.
    Any other exception is a fault of the library and is raised.
    """
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            command, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
            command(*bound.args, **bound.kwargs)
        except KeyboardInterrupt:
            complain(INTERRUPTION)
            return STOPPED
        except (CycloptsError, CodeclensError, OSError, MemoryError) as error:
            if DEBUG in arguments:
                traceback.print_exception(error)
            complain(_sentence(error))
            return MISTAKE
        except RuntimeError as error:
            if not _OUT_OF_MEMORY.search(str(error)):
                raise
            if DEBUG in arguments:
                traceback.print_exception(error)
            complain(_memory(error))
            return MISTAKE
    return 0


def _sentence(error: Exception) -> str:
    if isinstance(error, UnusedCliTokensError):
        left = " ".join(error.unused_tokens or [])
        return f'Unexpected argument "{left}": options begin with --, see --help.'
    if isinstance(error.__cause__, ValidationError):
        title = error.__cause__.title
        for name, settings in SETTINGS.items():
            if settings.__name__ in title:
                return complaint(error.__cause__, settings, f"codeclens {name}")
    if isinstance(error, MemoryError):
        return _memory(error)
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{where}. Nothing more was written; complete results are kept."
    return _LONG_WORD.sub(_middle, " ".join(str(error).split()))


def _memory(error: Exception) -> str:
    return (
        f"There is not enough memory ({in_one_line(error)}); use a smaller --batch-size or "
        "fewer images. Complete results are kept."
    )


def _middle(word: re.Match[str]) -> str:
    return f"{word[0][:120]}…{word[0][-80:]}"


def _show_warning(message: Warning | str, *details: object, **more: object) -> None:
    complain(f"warning: {message}")


def _file(common: Shared | None) -> Path | None:
    return None if common is None else common.config
