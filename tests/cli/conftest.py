"""A tiny model of the user's own, a folder of images, and a way to run a command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from codeclens.cli import app

Told = Callable[..., tuple[int, str, str]]

MODEL = """
import torch
from torch import nn

class Net(nn.Sequential):
    labels = ["dark", "grey", "bright"]

    @staticmethod
    def transform(image):
        values = torch.tensor(list(image.convert("L").resize((4, 4)).tobytes()))
        return values.float().reshape(1, 4, 4) / 255

def build():
    torch.manual_seed(0)
    first = nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten()
    return Net(*first, nn.Linear(24, 8), nn.ReLU(), nn.Linear(8, 3))

class Pair(nn.Module):
    labels, transform = Net.labels, staticmethod(Net.transform)

    def __init__(self, key=None):
        super().__init__()
        self.net, self.key = build(), key

    def forward(self, x):
        return {"logits": self.net(x), "other": x}

def build_dict():
    return Pair()

class Both(nn.Module):
    def forward(self, x):
        return x, -x


class Recurrent(Pair):
    def __init__(self):
        super().__init__()
        self.memory = Both()

    def forward(self, x):
        return self.memory(self.net(x))[0]
"""


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """Run a command line; returns its exit code and what it wrote to stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = app.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in: `tiny.py` with models, `images/` of three classes, ten good, two not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "tiny", raising=False)
    (tmp_path / "tiny.py").write_text(MODEL, encoding="utf-8")
    rng = np.random.default_rng(0)
    for place, name in enumerate(("dark", "grey", "bright")):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(80 * place, 80 * place + 80, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    (tmp_path / "images" / "grey" / "1.png").write_bytes(b"no image at all")
    whole = (tmp_path / "images" / "dark" / "2.png").read_bytes()
    (tmp_path / "images" / "dark" / "2.png").write_bytes(whole[: len(whole) // 2])
    return tmp_path
