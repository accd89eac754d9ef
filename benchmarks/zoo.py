"""Zoo: whether the sums are exact in a small network of every family, in double precision.

For every family of torchvision, timm and transformers (see `benchmarks.families`) the contributions
at the preset `@blocks` and at the first layer that is a cut are compared with the change of the
target, which two plain forwards give. Each network runs in a process of its own, for a limited
time. Results are written as they are found; run the command again and it goes on where it was.

    python -m benchmarks.zoo --to zoo.jsonl                        # all families
    python -m benchmarks.zoo --to zoo.jsonl timm torchvision/vgg       # some
    python -m benchmarks.zoo --to zoo.jsonl --page docs/networks.md    # write the table
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.families import LIBRARIES, CannotRunError, Small, families, small
from codeclens.attribution import Attributor, Conductance, Site, find_sites
from codeclens.errors import CodeclensError

STEPS = 2
EXACT = 1e-9  # of Σ|C|
SINGLE = 1e-5  # the same, where the network gives numbers in single precision
SECONDS = 120  # of a processor, for one network
CAST = "a cast to"
# The verdicts, from the best to the worst, and what they mean.
VERDICTS = {
    "exact": f"the error is at most {EXACT:g} of Σ|C| at every cut",
    "exact up to casts": "the model itself computes parts in single precision",
    "named": "the error is larger, and a warning names its cause",
    "no cut": "no site can be checked",
    "refused": "there are no contributions, and an error says why",
    "silent": "the error is larger, and nothing is said",
    "fault": "a raw error, or no result within the time",
    "cannot run": "the network itself cannot be made or run here",
}
MARKS = ("<!-- table -->", "<!-- end of table -->")


def checked(case: Small, steps: int = STEPS) -> dict[str, Any]:
    """What is found in one network: sites, cuts, the largest error, and what is reported.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    >>> found = checked(Small("mine", model, torch.ones(2, 4).double(), lambda y: y))
    >>> found["verdict"], found["cuts"]
    ('exact', 1)
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            blocks, preset = find_sites(case.model, "@blocks"), ""
        except CodeclensError as error:
            blocks, preset = [], str(error)
        try:
            return _compared(case, blocks, steps) | {"preset": preset}
        except CodeclensError as error:
            return {"verdict": "refused", "reason": str(error), "sites": len(blocks)}


def _compared(case: Small, blocks: list[Site], steps: int) -> dict[str, Any]:
    first = first_cut(case)
    sites: list[Site | str] = [*blocks, *([first] if first else [])]
    attributor = Attributor(
        case.model,
        sites=sites,
        method=Conductance(steps, "secant", nodes="uniform"),
        output=case.output,
    )
    found = attributor(case.x)
    gap = torch.zeros(())
    chosen = [key for key in found if key != first]
    cuts = [key for key in chosen if found[key].is_cut]
    change = _change(case)
    for site in found.values():
        if site.is_cut:
            size = (site.positive - site.negative).sum(1)
            miss = ((site.positive + site.negative).sum(1) - change).abs()
            if not (size > 0).all():
                raise CodeclensError(f'nothing flows at "{site.site.key}"')
            gap = torch.maximum(gap, (miss / size).max())
    names = sorted(found.uncovered)
    if not names and found.target.dtype != case.x.dtype and gap <= SINGLE:
        names = [f"{CAST} {str(found.target.dtype).removeprefix('torch.')} of the output"]
    return {
        "verdict": _verdict(float(gap), names, bool(cuts or first)),
        "reason": "; ".join(names),
        "sites": len(chosen),
        "cuts": len(cuts),
        "gap": float(gap),
    }


def _verdict(gap: float, names: Sequence[str], checked: bool) -> str:
    if not checked:
        return "no cut"
    if gap <= EXACT:
        return "exact"
    if not names:
        return "silent"
    return "exact up to casts" if all(name.startswith(CAST) for name in names) else "named"


def _change(case: Small) -> Tensor:
    """T(x) − T(x0) of the class that is predicted at x, by two plain forwards."""
    with torch.no_grad():
        at_x, at_0 = (case.output(case.model(x)) for x in (case.x, torch.zeros_like(case.x)))
    classes = at_x.argmax(1, keepdim=True)
    return (at_x - at_0).gather(1, classes)[:, 0]


def first_cut(case: Small) -> str | None:
    """The first layer that is a cut, among the first twelve that run."""
    names = {module: name for name, module in case.model.named_modules() if name}
    met: dict[str, None] = {}

    def note(module: nn.Module, _inputs: object, given: object) -> None:
        usable = isinstance(given, Tensor) and given.is_floating_point() and given.ndim > 1
        if isinstance(given, Tensor) and usable and len(given) == len(case.x):
            met.setdefault(names[module])

    leaves = [module for module in names if next(module.children(), None) is None]
    hooks = [module.register_forward_hook(note) for module in leaves]
    with torch.no_grad():
        case.model(case.x)
    for hook in hooks:
        hook.remove()
    for name in list(met)[:12]:
        try:
            found = Attributor(case.model, sites=name, output=case.output).survey(case.x)
        except CodeclensError:
            continue
        if len(found.sites) == 1 and found.cuts:
            return name
    return None


# --- Every network in a process of its own ---


def _in_process(library: str, family: str, seconds: int, send: Any) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    torch.set_num_threads(1)
    name = ""
    try:
        case = small(library, family)
        name = case.name
        result = checked(case)
    except CannotRunError as error:
        result = {"verdict": "cannot run", "reason": str(error)}
    except BaseException as error:  # the fault is the result
        words = (str(error).strip().splitlines() or [""])[0]
        result = {"verdict": "fault", "reason": f"{type(error).__name__}: {words}"}
    send.send({"network": name, **result})


def run(library: str, family: str, seconds: int = SECONDS) -> dict[str, Any]:
    """One family, in a process of its own that has so many seconds of a processor."""
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_in_process, args=(library, family, seconds, send))
    began = time.monotonic()
    process.start()
    send.close()
    try:
        result: dict[str, Any] = receive.recv()
    except EOFError:
        result = {"verdict": "fault", "reason": f"no result in {seconds} s, or memory is full"}
    process.kill()
    process.join()
    spent = round(time.monotonic() - began, 1)
    return {"library": library, "family": family, **result, "seconds": spent}


def read(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The results so far, the last of each family."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    results = [json.loads(line) for line in lines]
    return {(result["library"], result["family"]): result for result in results}


def wanted(given: Sequence[str]) -> Iterable[tuple[str, str]]:
    """The families that the command line names: `timm`, or `timm/vgg/vgg`."""
    for name in given:
        library, _, family = name.partition("/")
        known = families(library)
        yield from ((library, each) for each in known if not family or each == family)


# --- The table ---


def table(results: Iterable[dict[str, Any]]) -> str:
    """How many networks have each verdict, and a row for each of them."""
    rows = sorted(results, key=lambda row: (LIBRARIES.index(row["library"]), row["family"]))
    counts = {library: Counter[str]() for library in LIBRARIES}
    for row in rows:
        counts[row["library"]][row["verdict"]] += 1
    head = ["verdict", *LIBRARIES, "meaning"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for verdict, meaning in VERDICTS.items():
        cells = [verdict, *(str(counts[library][verdict]) for library in LIBRARIES)]
        cells.append(meaning.replace("|", "\\|"))
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| family | network | sites | cuts | error of Σ\\|C\\| | verdict | cause |"]
    lines.append(f"|{'---|' * 7}")
    for row in rows:
        gap = f"{row['gap']:.1e}" if "gap" in row else ""
        cause = row.get("reason", "") or row.get("preset", "")
        cells = [f"{row['library']} {row['family']}", row.get("network", "")]
        cells += [str(row.get("sites", "")), str(row.get("cuts", "")), gap, row["verdict"]]
        lines.append(f"| {' | '.join(cells)} | {cause[:160].replace('|', '/')} |")
    return "\n".join(lines)


def write(page: Path, results: Iterable[dict[str, Any]]) -> None:
    """Write the table into the page, between its two marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    page.write_text(f"{before}{MARKS[0]}\n{table(results)}\n{MARKS[1]}{after}", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the families that have no result yet, and write the table if a page is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", default=list(LIBRARIES))
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--again", nargs="*", default=[], help="verdicts to run once more")
    given = parser.parse_args(arguments)
    done = read(given.to)
    for library, family in wanted(given.families):
        before = done.get((library, family))
        if before is not None and before["verdict"] not in given.again:
            continue
        result = run(library, family, given.seconds)
        done[library, family] = result
        with given.to.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(result) + "\n")
        print(f"{library}/{family}: {result['verdict']} {result.get('reason', '')[:150]}")
        sys.stdout.flush()
    if given.page is not None:
        write(given.page, done.values())
    print(table(done.values()).split("\n\n")[0])


if __name__ == "__main__":
    main()
