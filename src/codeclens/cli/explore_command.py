"""`codeclens explore`: the results of a run in the browser, with its network where it loads."""

from __future__ import annotations

import webbrowser
from pathlib import Path

from codeclens import zoo
from codeclens.cli.config import ExploreSettings
from codeclens.cli.extract_command import load_again
from codeclens.cli.gallery_command import colours_of, question_of
from codeclens.demo.digits_demo import digits_again
from codeclens.errors import CodeclensError
from codeclens.explorer import LiveNetwork, RunFolder, snapshot
from codeclens.reporting import Question


def run_explore(settings: ExploreSettings) -> None:
    """Serve the run that the options name until it is interrupted, and open the browser."""
    if settings.to is not None:
        run = open_run(settings)
        live, reason = network_of(run, settings.run_code) if settings.live else (None, "")
        print(f"The snapshot is {snapshot(run, settings.to, live)}")
        if reason:
            print(f"It has no pictures: {reason}")
        return
    try:
        from codeclens.explorer.explorer_server import ExplorerServer, serve
    except ModuleNotFoundError as error:
        raise CodeclensError(
            f'The explorer needs {error.name}: pip install "codeclens[explorer]".'
        ) from None
    assert settings.run is not None
    run = open_run(settings)
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


def open_run(settings: ExploreSettings) -> RunFolder:
    """The run of the options, with the folders that lie elsewhere."""
    places: dict[str, Path | None] = {
        name: getattr(settings, name) for name in ("modes", "analysis", "control", "gallery")
    }
    assert settings.run is not None
    return RunFolder.open(settings.run, **places)


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
    live = LiveNetwork(
        run, again.ready.model, again.images, question_of(again), transform=again.ready.transform,
        outputs=again.ready.labels or again.images.classes, **colours_of(again),
    )  # fmt: skip
    return live, ""
