"""How fast the explorer opens with 4,096 modes and 2,000 samples, in a real browser.

python -m benchmarks.explorer_speed

Prints the time from opening the address of the modes until the first cards are drawn, and the time
that a filter and a jump to the middle of the grid take. Needs chromium and playwright.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import torch
from torch import nn

import codeclens as cl
from codeclens.decomposition import Modes
from codeclens.explorer import LiveNetwork, RunFolder
from codeclens.explorer.explorer_server import ExplorerServer, serve
from codeclens.extraction.data import as_samples
from codeclens.reporting import Question

MODES, SAMPLES, CLASSES = 4096, 2000, 10


def synthetic(folder: Path) -> tuple[RunFolder, LiveNetwork]:
    """A run of random pictures whose modes have random loadings."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 16, 5, 4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(CLASSES))
    x, y = torch.rand(SAMPLES, 3, 32, 32), torch.arange(SAMPLES) % CLASSES
    model(x[:1])
    names = [f"class {number}" for number in range(CLASSES)]
    store = cl.extract(model, (x, y), sites="1", to=folder / "store.zarr", classes=names)
    fitted = cl.TopK(n_modes=MODES, k=16, epochs=1).fit(store.view("1", "concat"))
    loadings = torch.rand(SAMPLES, MODES) * (torch.rand(SAMPLES, MODES) < 0.01)
    modes = Modes("1", "concat", fitted, loadings.numpy(), y.numpy(), tuple(names))
    run = RunFolder(store, {"1": modes})
    return run, LiveNetwork(run, model, as_samples((x, y)), Question())


def main() -> None:
    """Measure, and print the median of five."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        run, live = synthetic(Path(folder))
        server, begun, ready = ExplorerServer(run, live), list[Any](), threading.Event()

        def started(address: str, worker: Any) -> None:
            begun.extend((address, worker))
            ready.set()

        thread = threading.Thread(target=serve, args=(server,), kwargs={"ready": started})
        thread.start()
        ready.wait()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            times: dict[str, list[float]] = {"first view": [], "filter": [], "jump": []}
            for _ in range(6):
                page = browser.new_context().new_page()
                page.goto(f"{begun[0]}#/modes/1")
                page.locator(".card").first.wait_for()
                times["first view"].append(page.evaluate("performance.now()"))
                for name, script in (("filter", FILTER), ("jump", JUMP)):
                    times[name].append(page.evaluate(script))
                page.context.close()
            browser.close()
        begun[1].should_exit = True
        thread.join()
    print(f"first of all, nothing computed yet: {times['first view'][0]:.0f} ms")
    for name, values in times.items():
        print(f"{name}: {sorted(values[1:])[2]:.0f} ms (median of 5)")


FILTER = """async () => {
  const input = document.querySelector('input[type=search]');
  const begun = performance.now();
  input.value = '17';
  input.dispatchEvent(new Event('input', { bubbles: true }));
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const spent = performance.now() - begun;
  input.value = '';
  input.dispatchEvent(new Event('input', { bubbles: true }));
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return spent;
}"""
JUMP = """async () => {
  const box = document.querySelector('.grid-box');
  const begun = performance.now();
  box.scrollTo(0, box.scrollHeight / 2);
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now() - begun;
}"""

if __name__ == "__main__":
    main()
