"""One small run of the whole way: contributions, statistics, modes and control curves."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from codeclens import Conductance, TopK, control_curve, decompose, extract, layer_statistics
from codeclens.analysis import LayerStatistics
from codeclens.control import ControlCurve
from codeclens.decomposition import Modes
from networks import residual_cnn


@dataclass(frozen=True)
class Run:
    """Sixty noise images `(60, 3, 12, 12)`, classified by an untrained network, at three sites."""

    model: nn.Module
    x: Tensor
    labels: Tensor
    statistics: LayerStatistics
    modes: dict[str, Modes]
    curves: list[ControlCurve]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return the results of that run, which is made once."""
    torch.set_num_threads(1)
    model = residual_cnn().eval()
    x = torch.rand(60, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        output = model(x)
    # The untrained network prefers one class: its own second thoughts make classes of equal size.
    labels = (output - output.mean(dim=0)).argmax(dim=1)
    with torch.no_grad():
        model.fc.bias -= output.mean(dim=0)
    store = extract(
        model,
        (x, labels),
        sites="layer*.*",
        method=Conductance(steps=2),
        to=tmp_path_factory.mktemp("run") / "contributions.zarr",
    )
    modes = decompose(store, TopK(n_modes=6, k=2, epochs=5), seed=0)
    curves = [
        control_curve(
            model, (x, labels), modes["layer1.0"], class_index=int(labels[0]), kind=kind,
            fractions=(0.1, 0.2, 0.5, 0.9), trials=2, resamples=50,
        )
        for kind in ("ablate", "preserve")
    ]  # fmt: skip
    return Run(model, x, labels, layer_statistics(store, resamples=50), modes, curves)
