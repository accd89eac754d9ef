"""`codeclens explore` and `codeclens report`: a run in the browser, and the same as one file."""

from __future__ import annotations

import webbrowser
from pathlib import Path

from codeclens import zoo
from codeclens.cli.config import ExploreSettings, ReportSettings
from codeclens.cli.config_files import write_section
from codeclens.cli.extract_command import data_sentence, load_again
from codeclens.cli.gallery_command import colours_of, question_of
from codeclens.cli.terminal import say
from codeclens.demo.digits_demo import digits_again
from codeclens.errors import CodeclensError
from codeclens.explorer import LiveNetwork, RunFolder, snapshot
from codeclens.explorer.run_folder import Telling
from codeclens.extraction import TextLines
from codeclens.reporting import Question


def run_explore(settings: ExploreSettings) -> None:
    """Serve the run that the options name until it is interrupted, and open the browser."""
    try:
        from codeclens.explorer.explorer_server import ExplorerServer, serve
    except ModuleNotFoundError as error:
        raise CodeclensError(
            f'The explorer needs {error.name}: pip install "codeclens[explorer]".'
        ) from None
    assert settings.run is not None
    run = _opened(settings.run, settings)
    live, reason = network_of(run, settings.run_code) if settings.live else (None, "Not loaded.")
    server = ExplorerServer(run, live, reason)

    def ready(address: str, _: object) -> None:
        print(f"The explorer of {settings.run} is at {address}")
        if reason:
            print(f"Pictures and live computations are not available: {reason}")
        print("Stop it with Ctrl-C.", flush=True)
        if settings.browser:
            webbrowser.open(address)

    serve(server, port=settings.port, ready=ready)


def run_report(settings: ReportSettings) -> None:
    """Write the report that the options describe, and print its path."""
    assert settings.store is not None
    assert settings.to is not None
    run = _opened(settings.store, settings)
    run.told, run.seed = settings.galleries, settings.seed
    live, reason = network_of(run, settings.run_code) if settings.live else (None, "")
    run.telling = Telling(title=settings.title, no_pictures=reason)
    path = snapshot(run, settings.to, live, most=settings.most)
    write_section(path.absolute().parent, settings)
    say(data_sentence(run.store))
    say(f"The report is {path} ({path.stat().st_size / 1e6:.1f} MB)")


def _opened(place: Path, settings: ExploreSettings | ReportSettings) -> RunFolder:
    """The run at a place, with the folders of the options that lie elsewhere."""
    places: dict[str, Path | None] = {
        name: getattr(settings, name) for name in ("modes", "analysis", "control", "gallery")
    }
    return RunFolder.open(place, **places)


def network_of(run: RunFolder, run_code: bool) -> tuple[LiveNetwork | None, str]:
    """The network and the images of a run, or why there are none, in one sentence."""
    digits = digits_again(run.store)
    if digits is not None:
        images, question = digits
        ready = zoo.load("digits-resnet")
        colours = {name: getattr(ready.transform, name, None) for name in ("mean", "std")}
        live = LiveNetwork(
            run, ready.model, images, Question(**question), transform=ready.transform,
            outputs=ready.labels, **colours,
        )  # fmt: skip
        return live, ""
    try:
        again = load_again(run.store, "The explorer", "LiveNetwork", run_code)
    except CodeclensError as error:
        return None, str(error)
    if isinstance(again.data, TextLines):
        return None, "only networks of images are computed live."
    live = LiveNetwork(
        run, again.ready.model, again.data, question_of(again), transform=again.ready.transform,
        outputs=again.ready.labels or again.data.classes, **colours_of(again),
    )  # fmt: skip
    return live, ""
