"""What all tests share: checked shapes, one thread, local randomness, optional bench data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

import shapes

# No window, no hub, and every annotated shape of the package checked as it runs. All of it must
# stand before the package is first imported; a user's import carries none of it.
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
shapes.watch("codeclens")

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Keep torch on one thread: tests run side by side, and float sums must not vary."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Begin every test with the same global randomness, whichever tests ran before it."""
    torch.manual_seed(0)


@pytest.fixture
def generator() -> torch.Generator:
    """Return a seeded source of torch's random numbers that leaves the global one alone."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a seeded source of NumPy's random numbers that leaves the global one alone."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def bench() -> Path:
    """Return the folder of real images and weights that `CODECLENS_BENCH` names, or skip."""
    folder = os.environ.get("CODECLENS_BENCH")
    if not folder:
        pytest.skip("CODECLENS_BENCH names no folder with the bench data")
    if not Path(folder).is_dir():
        pytest.skip(f"CODECLENS_BENCH names {folder}, which is no folder")
    return Path(folder)
