"""On a GPU: contributions relative to the floor, a store from JPEG files, and training.

All times are wall-clock times, after synchronisation with the GPU. Contributions are those of a
ResNet-50 at 224 px, 16 blocks, 10 steps. The store is that of EfficientNet-Lite0, all blocks, 10
steps, compared with contributions of the same images on the GPU; images come from a folder, or are
noise. `busy` is the share of time in which the GPU was active, as reported by its driver.

    python -m benchmarks.gpu
    python -m benchmarks.gpu --images folder/of/photographs --batches 32 128
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch

from benchmarks import training
from benchmarks.extraction import STEPS, calibrated_resnet50, extraction, floor, images
from benchmarks.scale import noise
from codeclens import Conductance, ImageFolder, TopK, extract, zoo
from codeclens.attribution import Attributor
from codeclens.errors import CodeclensError

Work = Callable[[], object]
ROUNDS = 5


def seconds(work: Work) -> float:
    """Seconds by the wall until the GPU has done its part."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def in_turns(works: dict[str, Work], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Seconds of each way, round by round, every other round backwards; all run once before."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds):
        order = list(works.items())
        for name, work in order if number % 2 == 0 else reversed(order):
            times[name].append(seconds(work))
    return times


def compared(first: list[float], second: list[float]) -> str:
    """The ratio of two ways: the median of the pairs, and their range."""
    ratios = [a / b for a, b in zip(first, second, strict=True)]
    return f"{median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f})"


@contextmanager
def watched() -> Iterator[list[float]]:
    """How busy the GPU was inside, in percent, some times a second; empty where nobody tells."""
    told: list[float] = []
    done = threading.Event()

    def look() -> None:
        with suppress(Exception):  # without its driver's library nothing is told
            while not done.wait(0.1):
                told.append(float(torch.cuda.utilization()))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield told
    finally:
        done.set()
        watcher.join()


def of_contributions(batches: Sequence[int]) -> None:
    """Images a second against the floor, and memory."""
    model = calibrated_resnet50().cuda()
    for batch in batches:
        x = images(batch).cuda()
        works: dict[str, Work] = {"floor": lambda x=x: floor(model, x)}
        works["trapezoid"] = extraction(model, x, "trapezoid", STEPS)
        works["secant"] = extraction(model, x, "secant", STEPS)
        times = in_turns(works)
        peaks = {}
        for name, work in works.items():
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            work()
            peaks[name] = (torch.cuda.max_memory_allocated() - before) / 1e6
        print(f"ResNet-50, 16 blocks, {STEPS} steps, batch {batch}")
        for name in works:
            rate = batch / median(times[name])
            print(f"  {name:<10}{rate:7.1f} images/s, {peaks[name]:,.0f} MB added")
        print(f"  trapezoid / floor  {compared(times['trapezoid'], times['floor'])}")
        print(f"  secant / trapezoid {compared(times['secant'], times['trapezoid'])}", flush=True)


def of_a_store(folder: Path, limit: int, batch: int) -> None:
    """From JPEG files to a store, against contributions of images that lie on the GPU."""
    try:
        ready = zoo.load("efficientnet-lite0")
    except CodeclensError:  # its weights come in a package
        ready = zoo.load("timm:tf_efficientnet_lite0", weights="random")
    model = ready.model.cuda()
    data = ImageFolder(folder, ready.transform, limit=limit)
    start = time.perf_counter()
    loaded = [data.load(index).image for index in range(len(data))]
    decoding = (time.perf_counter() - start) / len(data)
    x = torch.stack([image for image in loaded if image is not None]).cuda()
    x = x.contiguous(memory_format=torch.channels_last)
    attributor = Attributor(model, sites="@blocks", method=Conductance(STEPS)).prepared(x[:4])
    method: Any = attributor.method

    def alone() -> None:
        for part in x.split(batch):
            attributor(part)

    def whole(**options: Any) -> None:
        with tempfile.TemporaryDirectory() as name:
            extract(
                model,
                data,
                sites="@blocks",
                method=method,
                batch_size=batch,
                to=Path(name, "s.zarr"),
                **options,
            )

    works: dict[str, Work] = {
        "end to end": whole,
        "alone": alone,
        "not channels last": lambda: whole(channels_last=False),
        "folded": lambda: whole(fold_batchnorm=True),
        "bfloat16": lambda: whole(autocast="bfloat16"),
    }
    times = in_turns(works, rounds=2)
    count = len(x)
    print(f"EfficientNet-Lite0, all blocks, {STEPS} steps, {count} JPEG files, batch {batch}")
    print(f"  decoding alone, one thread: {1000 * decoding:.1f} ms an image")
    for name, taken in times.items():
        print(f"  {name:<18}{count / median(taken):7.1f} images/s")
    print(f"  end to end / alone {compared(times['end to end'], times['alone'])}")
    for name in ("alone", "end to end"):
        with watched() as told:
            works[name]()
        share = f"{fmean(told):.0f} % ({len(told)} looks)" if told else "not told"
        print(f"  {name}: GPU busy {share}", flush=True)


def of_training(samples: int) -> None:
    """Samples a second of the published recipe by a plain loop and by ours, and of TopK."""
    X = training.contributions(samples).cuda()
    peer = training.Peer(X)
    peer.network.cuda()

    def topk() -> None:
        TopK(n_modes=training.MODES, k=16, epochs=3).fit(X)

    works: dict[str, Work] = {
        "plain loop": lambda: peer.run(1),
        "published recipe": lambda: training.ours(X, 1),
        "TopK, 3 epochs": topk,
    }
    times = in_turns(works, rounds=3)
    print(f"training on {samples} samples, {training.UNITS} units, {training.MODES} modes")
    for name, taken in times.items():
        epochs = 3 if "3 epochs" in name else 1
        print(f"  {name:<18}{epochs * samples / median(taken):10,.0f} samples/s")
    print(f"  plain loop / ours  {compared(times['plain loop'], times['published recipe'])}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="a folder of photographs [default: noise]")
    parser.add_argument("--limit", type=int, default=512)
    parser.add_argument("--batch", type=int, default=64, help="of the store")
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 64], help="of contributions")
    parser.add_argument("--samples", type=int, default=50_000, help="of training")
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        raise SystemExit("There is no GPU here.")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, float32", flush=True)
    of_contributions(given.batches)
    with tempfile.TemporaryDirectory() as name:
        folder = given.images or noise(Path(name), given.limit)
        of_a_store(folder, given.limit, given.batch)
    of_training(given.samples)


if __name__ == "__main__":
    main()
