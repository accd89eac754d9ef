"""The explorer in a real browser: every view, by mouse and by keyboard, without errors."""

from __future__ import annotations

import contextlib
import io
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from codeclens.explorer import LiveNetwork, RunFolder, snapshot
from codeclens.explorer.explorer_server import ExplorerServer, serve

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
VIEWS = {
    "overview": "What the hidden units",
    "layers": "From layer to layer",
    "modes/3": "Modes",
    "mode/3/0": "Where it is most active",
    "samples": "Samples",
    "sample/4": "The sum at 3",
    "flow": "Flow between modes",
    "control": "What modes do",
    "compare/1/3": "Compare",
    "try?row=4": "Switch modes",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def address(run: RunFolder, live: LiveNetwork) -> Iterator[str]:
    server = ExplorerServer(run, live)
    begun: list[Any] = []
    ready = threading.Event()

    def started(at: str, worker: Any) -> None:
        begun.extend((at, worker))
        ready.set()

    thread = threading.Thread(target=serve, args=(server,), kwargs={"ready": started}, daemon=True)
    thread.start()
    assert ready.wait(30)
    yield begun[0]
    begun[1].should_exit = True
    thread.join(20)


@contextlib.contextmanager
def page(browser: Any, address: str, **options: Any) -> Iterator[Any]:
    """A page that fails the test on any error of its console, and any request elsewhere."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, **options)
    found = context.new_page()
    found.set_default_timeout(60_000)
    wrong: list[str] = []
    base = address.partition("/?")[0]
    found.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    found.on("pageerror", lambda error: wrong.append(str(error)))
    found.on(
        "request",
        lambda asked: (
            None
            if asked.url.startswith((base, "data:", "blob:", "about:"))
            else wrong.append(asked.url)
        ),
    )
    yield found
    context.close()
    assert not wrong


def test_every_view_opens_by_its_address(browser: Any, address: str) -> None:
    with page(browser, address) as tab:
        for view, words in VIEWS.items():
            tab.goto("about:blank")
            tab.goto(f"{address}#/{view}")
            tab.get_by_text(words).first.wait_for()


def test_a_narrow_screen_does_not_scroll_sideways(browser: Any, address: str) -> None:
    with page(browser, address, color_scheme="dark") as tab:
        tab.set_viewport_size({"width": 400, "height": 800})
        for view, words in VIEWS.items():
            tab.goto("about:blank")
            tab.goto(f"{address}#/{view}")
            tab.get_by_text(words).first.wait_for()
            assert tab.evaluate("document.documentElement.scrollWidth") <= 400, view


def test_a_dropped_picture_is_explained_and_switched(browser: Any, address: str) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((30, 30), 180, np.uint8)).save(stream, "PNG")
    with page(browser, address) as tab:
        tab.goto(f"{address}#/try")
        file = {"name": "a.png", "mimeType": "image/png", "buffer": stream.getvalue()}
        tab.locator("input[type=file]").set_input_files(file)
        tab.get_by_text("Switch modes").wait_for()
        before = tab.locator(".probabilities").inner_text()
        slider = tab.locator("input[type=range]").first
        slider.focus()
        slider.press("Home")
        tab.get_by_text("With the modes switched").wait_for()
        assert tab.locator(".switch .factor").first.inner_text() == "off"
        assert tab.locator(".probabilities").inner_text() != before


def test_the_keyboard_alone_finds_and_opens_a_mode(browser: Any, address: str) -> None:
    with page(browser, address) as tab:
        tab.goto(f"{address}#/modes/3?sort=number")
        tab.locator(".card a").first.wait_for()
        tab.locator(".card a").first.focus()
        tab.keyboard.press("ArrowRight")
        tab.wait_for_timeout(200)
        tab.keyboard.press("Enter")
        tab.get_by_text("mode 1 of 5").wait_for()
        assert tab.evaluate("location.hash") == "#/mode/3/1"
        assert tab.evaluate("document.activeElement.tagName") == "MAIN"


def test_names_are_kept_and_files_are_saved(browser: Any, address: str, run: RunFolder) -> None:
    with page(browser, address) as tab:
        tab.goto(f"{address}#/mode/3/2")
        tab.get_by_label("Name").fill("horizontal bars")
        tab.get_by_role("button", name="Save", exact=True).click()
        tab.get_by_role("heading", name="horizontal bars").wait_for()
        assert run.notes.names("3") == {2: "horizontal bars"}
        for name, begins in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
            with tab.expect_download() as saved:
                tab.get_by_role("button", name=f"Save Strongest units as {name}").click()
            assert Path(saved.value.path()).read_bytes().startswith(begins)
        with tab.expect_download() as saved:
            tab.get_by_role("button", name="Save as CSV: Classes of mode 2").click()
        assert Path(saved.value.path()).read_bytes().startswith(b"class,correlation")


def test_a_snapshot_opens_from_disk(
    browser: Any, run: RunFolder, live: LiveNetwork, tmp_path: Path
) -> None:
    file = snapshot(run, tmp_path / "run.html", live).as_uri()
    with page(browser, file) as tab:
        for view, words in list(VIEWS.items())[:-1]:
            tab.goto("about:blank")
            tab.goto(f"{file}#/{view}")
            tab.get_by_text(words).first.wait_for()
        tab.goto(f"{file}#/mode/3/0")
        tab.locator(".gallery img").first.wait_for()
