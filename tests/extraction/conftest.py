"""A small network, small data and a comparison of stores, for the tests of extraction."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from codeclens import Conductance, ContributionStore, extract

# Run by `make cluster` as a program of its own: it imports what `make test` does not install.
collect_ignore = ["ray_extraction.py"]

# Few steps of the cheapest rule: these tests look at what is kept, not at how good it is.
METHOD = Conductance(4, "trapezoid", "uniform")


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the disk matters where the power fails, and makes tests slow."""
    monkeypatch.setattr("codeclens.extraction.writer.os.fsync", lambda descriptor: None)


@pytest.fixture
def model(generator: torch.Generator) -> nn.Module:
    """Return a convolutional network with sites "1" (4 units), "3" (6 units) and five classes."""
    layers = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 6, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5),
    )
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)
    return layers


@pytest.fixture
def x(generator: torch.Generator) -> Tensor:
    """Return fifty samples."""
    return torch.randn(50, 3, 8, 8, generator=generator)


@pytest.fixture
def labels() -> Tensor:
    """Return the labels of the fifty samples."""
    return torch.arange(50) % 5


@pytest.fixture
def run(model: nn.Module) -> Callable[..., ContributionStore]:
    """Return `extract` on the small network, in shards of sixteen samples and batches of five."""

    def extracted(data: Any, to: Path, **options: Any) -> ContributionStore:
        usual = {
            "sites": ["1", "3"],
            "method": METHOD,
            "batch_size": 5,
            "shard_size": 16,
        }
        return extract(model, data, to=to, **{**usual, **options})

    return extracted


@pytest.fixture
def pictures(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Return a folder of two classes with six pictures each; one is cut short, one is no image."""
    folder = tmp_path / "pictures"
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for i in range(6):
            noise = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / name / f"{i}.png")
    whole = (folder / "cat" / "2.png").read_bytes()
    (folder / "cat" / "2.png").write_bytes(whole[: len(whole) // 2])
    (folder / "dog" / "4.png").write_text("no picture at all")
    return folder


@pytest.fixture
def content() -> Callable[[Path], dict[str, bytes]]:
    """Return a function from a store to the bytes of its files, without the time of its making."""

    def files(store: Path) -> dict[str, bytes]:
        found = {}
        for path in sorted(store.rglob("*")):
            name = path.relative_to(store).as_posix()
            if path.is_file() and not path.name.startswith("."):
                found[name] = path.read_bytes()
        root = json.loads(found["zarr.json"])
        del root["attributes"]["codeclens"]["created"], root["attributes"]["checksums"]
        found["zarr.json"] = json.dumps(root).encode()
        return found

    return files
