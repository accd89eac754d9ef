"""The commands of `codeclens`, and what becomes of a mistake: one sentence and exit code 2."""

from __future__ import annotations

import sys
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
    ExtractSettings,
    ReportSettings,
    RetinaSettings,
    complaint,
)
from codeclens.errors import CodeclensError

# Torch and everything that builds on it is imported inside the commands: help comes at once.

DEBUG = "--debug"
TRACEBACK = "Show where a mistake was found."
MISTAKE, STOPPED = 2, 130

Flat = Parameter(name="*")
Place = Annotated[Path | None, Parameter(help="A store that codeclens extract wrote.")]


class Shared(BaseModel):
    """What every command takes."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    config: Path | None = None
    """A YAML file with these settings; flags override it."""
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
    """Show the whole way on digits and photographs, from contributions to a report."""
    settings = DemoSettings.resolve(flags, _file(common))
    from codeclens.cli.demo_command import run_demonstration

    run_demonstration(settings)


@app.command
def extract(
    *, flags: Annotated[ExtractSettings | None, Flat] = None, common: Common = None
) -> None:
    """Compute what hidden units contribute, for every image of a folder, into a store."""
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
    """Find the modes of the contributions in a store, for every site."""
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
    """Measure how contributions and modes change with depth: tables, figures, sentences."""
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
    """Ablate and preserve the units of modes, beside every other way to choose units."""
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
    """Explain the output for one image as a sum over modes, with a pixel map for each."""
    settings = ExplainSettings.resolve(flags, _file(common), image=image)
    from codeclens.cli.explain_command import run_explain

    run_explain(settings)


@app.command
def report(
    store: Place = None,
    /,
    *,
    flags: Annotated[ReportSettings | None, Flat] = None,
    common: Common = None,
) -> None:
    """Write one self-contained page about a store and its modes."""
    settings = ReportSettings.resolve(flags, _file(common), store=store)
    from codeclens.cli.small_commands import run_report

    run_report(settings)


stores = App(name="store", help="Look after a store of contributions.")
app.command(stores)


@stores.command
def verify(
    path: Annotated[Path, Parameter(help="A store that codeclens extract wrote.")],
    /,
    *,
    discard: Annotated[bool, Parameter(help="Make damaged shards absent.")] = False,
    debug: Annotated[bool, Parameter(help=TRACEBACK)] = False,
) -> None:
    """Check every file of a store against its checksum; exit code 2 if one is damaged."""
    from codeclens.cli.small_commands import verify_store

    verify_store(path, discard)


retina = App(name="retina", help="Networks of the retina, in hertz.")
app.command(retina)


@retina.command(name="demo")
def retina_demo(
    *, flags: Annotated[RetinaSettings | None, Flat] = None, common: Common = None
) -> None:
    """Show a fitted network beside the simulated retina that it was fitted to."""
    settings = RetinaSettings.resolve(flags, _file(common))
    from codeclens.cli.demo_command import run_retina_demonstration

    run_retina_demonstration(settings)


@app.command
def bench_info(*, debug: Annotated[bool, Parameter(help=TRACEBACK)] = False) -> None:
    """Print versions, threads and processor, to stand beside any measurement."""
    from codeclens.cli.small_commands import print_bench_info

    print_bench_info()


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; a mistake is told in one sentence on stderr.

    0 is success, 2 a mistake of the user's, 130 an interruption. Errors of the library itself are
    raised.
    """
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            command, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
            command(*bound.args, **bound.kwargs)
        except KeyboardInterrupt:
            _say("Stopped; what was written stays.")
            return STOPPED
        except (CycloptsError, CodeclensError, OSError) as error:
            if DEBUG in arguments:
                traceback.print_exception(error)
            _say(_sentence(error))
            return MISTAKE
    return 0


def _sentence(error: Exception) -> str:
    if isinstance(error, UnusedCliTokensError):
        left = " ".join(error.unused_tokens or [])
        return f'Nothing is known to do with "{left}": flags begin with --, see --help.'
    if isinstance(error.__cause__, ValidationError):
        title = error.__cause__.title
        for name, settings in SETTINGS.items():
            if settings.__name__ in title:
                return complaint(error.__cause__, settings, f"codeclens {name}")
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{where}: nothing more was written, what was complete stays."
    return " ".join(str(error).split())


def _say(message: str) -> None:
    # Complaints about a command's settings name the command already.
    prefix = "" if message.startswith("codeclens ") else "codeclens: "
    print(f"{prefix}{message}", file=sys.stderr)


def _show_warning(message: Warning | str, *details: object, **more: object) -> None:
    _say(f"warning: {message}")


def _file(common: Shared | None) -> Path | None:
    return None if common is None else common.config
