"""A small run on disk: a convolutional network, its store, modes, flow and control curves."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

import codeclens as cl
from codeclens.analysis import save_table
from codeclens.control.filing import Filing
from codeclens.decomposition import save_modes
from codeclens.explorer import LiveNetwork, RunFolder
from codeclens.extraction.data import as_samples
from codeclens.reporting import Question
from codeclens.reporting.run_files import save_sentences
from codeclens.zoo.ready import ImageTransform

CLASSES = ["ring", "dot", "a/b <i>"]


def pictures(count: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x, y = torch.rand(count, 1, 12, 12, generator=generator) / 4, torch.arange(count) % 3
    for row, label in enumerate(y.tolist()):
        x[row, 0, 4 * label : 4 * label + 4, 2:10] += 0.7
    return x, y


@cache
def network() -> nn.Sequential:
    """A small network, trained to tell the pictures apart."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU()]
        model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * 64, 3))
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        x, y = pictures()
        for _ in range(30):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    return model.eval()


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explorer") / "run"
    x, y = pictures()
    model = network()
    store = cl.extract(
        model, (x, y), sites=["1", "3"], to=folder / "contributions.zarr", classes=CLASSES
    )
    modes = cl.decompose(store, cl.NMF(n_modes=5))
    save_modes(modes, folder / "modes")
    flow = cl.flow(model, (x[:12], y[:12]), modes)
    save_table(folder / "analysis" / "flow.csv", flow.to_dataframe())
    save_sentences(folder / "analysis" / "flow.txt", flow.sentences())
    statistics = cl.layer_statistics(store)
    statistics.to_csv(folder / "analysis" / "layers.csv")
    save_sentences(folder / "analysis" / "sentences.txt", statistics.sentences())
    filing = Filing(folder / "control")
    filing.require({"seed": 0})
    for number in range(2):
        curve = cl.control_curve(
            model, (x, y), modes["3"], class_index=number, fractions=(0.2, 0.6), trials=1
        )
        filing.save_curve(curve)
    return folder


@pytest.fixture
def run(run_folder: Path, tmp_path: Path) -> RunFolder:
    found = RunFolder.open(run_folder)
    # Each test has notes of its own.
    return RunFolder(
        found.store, found.modes, modes_folder=found.modes_folder, analysis=found.analysis,
        control=found.control, notes=tmp_path / "notes.json",
    )  # fmt: skip


@pytest.fixture
def live(run: RunFolder) -> LiveNetwork:
    x, y = pictures()
    return LiveNetwork(
        run, network(), as_samples((x, y)), Question(method=cl.Conductance(steps=8)),
        transform=ImageTransform(resize=12, crop=(12, 12), mean=(0.0,), std=(1.0,)),
        outputs=CLASSES, mean=(0.0,), std=(1.0,),
    )  # fmt: skip
