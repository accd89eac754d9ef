"""All benchmarks that need no material of their own, in half an hour: JSON, and a page with plots.

    python -m benchmarks.bench --to codeclens-bench            # as `make bench`
    python -m benchmarks.bench --to codeclens-bench --quick    # a few minutes, small sizes: a trial

Peers (Captum) are measured in the same process, in turns with ours, where they are installed. Each
case runs if the time that is left allows it to begin. The single benchmarks have more options.
"""

from __future__ import annotations

import argparse
import html
import io
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks import architectures, captum, completeness, extraction, pixel_maps, semantics, store
from benchmarks.timing import Paired
from codeclens.cli.doctor_command import examine
from codeclens.errors import in_one_line
from codeclens.visualization.canvas import styled


@dataclass(frozen=True)
class Measured:
    """One number with its repetitions; `wanted` is what README promises, with its direction."""

    case: str
    what: str
    values: list[float]
    unit: str = "×"
    wanted: float | None = None
    at_least: bool = True

    @property
    def value(self) -> float:
        """The median of the repetitions."""
        return sorted(self.values)[len(self.values) // 2]

    @property
    def verdict(self) -> str:
        """Whether the promise is kept, or nothing where there is none."""
        if self.wanted is None:
            return ""
        kept = self.value >= self.wanted if self.at_least else self.value <= self.wanted
        return "kept" if kept else "not kept"


@dataclass(frozen=True)
class Size:
    """How much is measured: pixels of images, repetitions, and whether slow networks take part."""

    pixels: int
    rounds: int
    quick: bool


def sums(size: Size) -> Iterator[Measured]:
    """Completeness at every cut of the digits network."""
    count = 2 if size.quick else 20
    case = completeness.case("digits-resnet", count)
    for name, dtype, wanted in (
        ("float64", torch.float64, 1e-12),
        ("float32", torch.float32, 1e-5),
    ):
        typed = case._replace(model=case.model.to(dtype), x=case.x.to(dtype))
        found = completeness.gaps(typed, steps=(1, 5))
        yield Measured(
            "sums", f"largest gap of Σ|C|, digits network, {name}",
            [float(found.share.max())], "", wanted, at_least=False,
        )  # fmt: skip


def peers(size: Size) -> Iterator[Measured]:
    """Captum's conductance, site by site, against ours at all sites."""
    if find_spec("captum") is None:
        return
    model, x = extraction.calibrated_resnet50(size.pixels), extraction.images(1, size.pixels)
    found = captum.compare(model, x, size.rounds)
    where = f"ResNet-50 at {size.pixels} px, 16 blocks"
    wanted = None if size.quick else 8.0
    yield Measured(
        "Captum", f"Captum / ours, the same sum, {where}", found.same_sum.ratios, wanted=wanted
    )
    yield Measured(
        "Captum", f"Captum / ours, default rule, {where}", found.default.ratios, wanted=wanted
    )


def floors(size: Size) -> Iterator[Measured]:
    """Our passes against the fewest that any method of this kind needs."""
    for name, found in extraction.compare(2, size.rounds, size.pixels).items():
        yield Measured("floor", f"{name}, ResNet-50 at {size.pixels} px, batch 2", found.ratios)


def networks(size: Size) -> Iterator[Measured]:
    """Secants against the trapezoid on other networks."""
    names = [] if size.quick or find_spec("timm") is None else ["lite0", "vit"]
    names += ["gpt2"] if find_spec("transformers") is not None and not size.quick else []
    for name in names:
        model, x = architectures.network(name, 1)
        for what, found in architectures.compare(model, x, min(size.rounds, 3)).items():
            yield Measured("networks", f"{what}, {name}, batch 1", found.ratios)


def stores(size: Size) -> Iterator[Measured]:
    """Shuffled batches of a store against arrays that are mapped into memory."""
    samples = 4096 if size.quick else 20_480
    for units in (64,) if size.quick else (64, 512):
        mapped, _ = store.compare(samples, units, 128, size.rounds)
        yield Measured(
            "store", f"mapped arrays / store, {2 * units} values a row", mapped.ratios, wanted=0.8
        )


def correlations(size: Size) -> Iterator[Measured]:
    """All correlations of modes with classes against the plain matrix product."""
    shape = (5000, 600, 100) if size.quick else (50_000, 6000, 1000)
    found = semantics.compare(*shape, min(size.rounds, 3))
    what = f"matrix product / correlations, {shape[0]:,} × {shape[1]:,}, {shape[2]:,} classes"
    yield Measured("semantics", what, found.ratios, wanted=None if size.quick else 0.7)


def maps(size: Size) -> Iterator[Measured]:
    """Pixel maps in three passes against one backward pass for each place."""
    if size.quick:
        return
    found: Paired = pixel_maps.compare(pairs=min(size.rounds, 3))
    scale = pixel_maps.PLACES / pixel_maps.PLACES_RUN
    what = f"{pixel_maps.PLACES:,} passes / three passes, three channels of ResNet-50"
    yield Measured("pixel maps", what, [ratio * scale for ratio in found.ratios], wanted=100)


CASES: tuple[Callable[[Size], Iterator[Measured]], ...] = (
    *(sums, stores, correlations, floors, peers, maps, networks),
)


def run(
    size: Size, minutes: float, say: Callable[[str], object] = print
) -> tuple[list[Measured], list[str]]:
    """Measure case by case while there is time; return the numbers, and what was left out."""
    begun, found, left = time.monotonic(), [], []
    for case in CASES:
        if time.monotonic() - begun > 60 * minutes:
            left.append(f"{case.__name__}: {minutes:g} minutes were over")
            continue
        before = len(found)
        try:
            for one in case(size):
                found.append(one)
                say(f"{one.what}: {one.value:.3g}{one.unit} {one.verdict}")
        except Exception as error:  # one benchmark that fails must not lose the others
            left.append(f"{case.__name__}: {type(error).__name__}, {in_one_line(error)}")
        else:
            if len(found) == before:
                left.append(f"{case.__name__}: not with --quick, or without its package")
    return found, left


def picture(found: Sequence[Measured]) -> str:
    """The ratios as SVG: a dot for each repetition, a bar for what was promised."""
    from matplotlib.figure import Figure

    rows = [one for one in found if one.unit == "×"]
    with styled():
        figure = Figure(figsize=(8, 0.9 + 0.35 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for place, one in enumerate(reversed(rows)):
            axes.plot(one.values, [place] * len(one.values), "o", color="#2a6f97", alpha=0.5)
            axes.plot(one.value, place, "o", color="#013a63")
            if one.wanted is not None:
                axes.plot([one.wanted] * 2, [place - 0.35, place + 0.35], color="#c1121f")
        axes.set_yticks(range(len(rows)), [one.what for one in reversed(rows)], fontsize=8)
        axes.set_xscale("log")
        for which in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            which("{x:g}")
        axes.axvline(1, color="#999999", linewidth=0.8)
        axes.set_xlabel("ratio of CPU times; red: promised")
        data = io.StringIO()
        figure.savefig(data, format="svg")
    return data.getvalue().partition("?>")[2].partition(">")[2]


def page(record: dict[str, object], found: Sequence[Measured]) -> str:
    """A page with the plot, the table and the machine, without anything from outside."""
    rows = "".join(
        f"<tr><td>{html.escape(one.what)}</td><td>{one.value:.3g}{one.unit}</td>"
        f"<td>{min(one.values):.3g} to {max(one.values):.3g}</td>"
        f"<td>{'' if one.wanted is None else f'{one.wanted:g}'}</td><td>{one.verdict}</td></tr>"
        for one in found
    )
    machine = record["machine"]
    assert isinstance(machine, dict)
    facts = "".join(
        f"<tr><td>{html.escape(k)}</td><td>{html.escape(v)}</td></tr>" for k, v in machine.items()
    )
    left = record["left out"]
    assert isinstance(left, list)
    missing = "".join(f"<li>{html.escape(str(one))}</li>" for one in left) or "<li>nothing</li>"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>codeclens benchmarks</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#222;background:#fff}}table{{border-collapse:collapse;font-size:.9rem;margin:1rem 0}}
td,th{{border-bottom:1px solid #ddd;padding:.25rem .75rem .25rem 0;text-align:left}}
svg{{max-width:100%;height:auto}}div{{overflow-x:auto}}</style></head><body>
<h1>codeclens benchmarks</h1>
<p>{html.escape(str(record["date"]))}. Ratios are medians of CPU times in turns on one thread,
with the smallest and the largest; above 1 the first of the two took longer.</p>
<div>{picture(found)}</div>
<div><table><tr><th>what</th><th>median</th><th>spread</th><th>promised</th><th></th></tr>{rows}</table></div>
<h2>Left out</h2><ul>{missing}</ul><h2>Machine</h2><table>{facts}</table></body></html>
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=25.0, help="no case begins after them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    size = Size(64, 1, True) if given.quick else Size(224, given.rounds, False)
    machine = examine().to_json()
    begun = time.monotonic()
    found, left = run(size, given.minutes)
    record: dict[str, object] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine["machine"],
        "packages": machine["packages"],
        "size": asdict(size),
        "seconds": round(time.monotonic() - begun),
        "measured": [{**asdict(one), "value": one.value, "verdict": one.verdict} for one in found],
        "left out": left,
    }
    given.to.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=2, allow_nan=False)
    (given.to / "bench.json").write_text(text + "\n", encoding="utf-8")
    (given.to / "bench.html").write_text(page(record, found), encoding="utf-8")
    print(f"{given.to / 'bench.json'} and {given.to / 'bench.html'}")
    if not found or any(not math.isfinite(one.value) for one in found):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
