from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from codeclens import CodeclensError, Conductance, ContributionStore, Site, extract
from codeclens.extraction.computing import MOST_CHANGED, Computing, folded

METHOD = Conductance(4, "trapezoid", "uniform")
Run = Callable[..., ContributionStore]


class Block(nn.Module):
    """Two convolutions with their batch norms, and a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))).relu()


@pytest.fixture
def residual(generator: torch.Generator) -> nn.Module:
    """Return a residual network with batch norms that have seen something."""
    model = nn.Sequential(
        *(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU()),
        *(Block(6), Block(6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)),
    )
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) - 0.3)
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_var.abs_().add_(0.5)
    return model


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def test_folded_models_compute_the_same(residual: nn.Module, x: Tensor) -> None:
    residual.double().eval()
    copy = folded(residual, x[:2].double())
    torch.testing.assert_close(copy(x.double()), residual(x.double()), rtol=1e-9, atol=1e-9)
    assert not [m for m in copy.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len([m for m in residual.modules() if isinstance(m, nn.BatchNorm2d)]) == 5
    assert not [h for m in residual.modules() for h in (m._forward_hooks or m._forward_pre_hooks)]


def test_layers_that_are_looked_at_stay(residual: nn.Module, x: Tensor) -> None:
    sites = [Site("3.conv1"), Site("4.bn2", "input"), Site("0", "input"), Site("1")]
    copy = folded(residual, x[:2], sites)
    norms = {n for n, m in copy.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert norms == {"3.bn1", "4.bn2"}


def test_a_convolution_that_feeds_two_is_not_folded(x: Tensor) -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.out = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()
            self.norm.running_mean.fill_(3)

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.conv(x)
            return self.out(self.norm(hidden) + hidden)

    with pytest.raises(CodeclensError, match=r"changes the model's output by \d.*used elsewhere"):
        folded(Shared(), x[:2])


def test_a_model_without_batch_norms_has_nothing_to_fold(model: nn.Module, x: Tensor) -> None:
    with pytest.raises(CodeclensError, match="no convolution followed by its own batch norm"):
        folded(model, x[:2])


def test_batch_norms_are_folded_in_a_private_copy(
    residual: nn.Module, x: Tensor, tmp_path: Path
) -> None:
    state = {name: value.clone() for name, value in residual.state_dict().items()}
    options: dict[str, Any] = {"sites": ["3", "4"], "method": METHOD, "batch_size": 10}
    whole = extract(residual, x, to=tmp_path / "w.zarr", **options)
    fast = extract(residual, x, to=tmp_path / "f.zarr", fold_batchnorm=True, **options)
    for site in ("3", "4"):
        assert relative(fast.view(site), whole.view(site)) < MOST_CHANGED
    assert fast.metadata["settings"]["model"] == whole.metadata["settings"]["model"]
    assert all(torch.equal(value, state[name]) for name, value in residual.state_dict().items())
    with pytest.raises(CodeclensError, match=r"computing = \{.*'fold_batchnorm': True.*it is None"):
        extract(residual, x, to=tmp_path / "f.zarr", **options)
    before = fast.view("3")
    (fast.path / "shard_record" / "c" / "0").unlink()
    again = extract(residual, x, to=fast.path, fold_batchnorm=True, **options)
    np.testing.assert_array_equal(again.view("3"), before)


def test_the_layout_in_memory_changes_nothing_beyond_rounding(
    residual: nn.Module, x: Tensor, tmp_path: Path
) -> None:
    seen: list[bool] = []
    residual[0].register_forward_pre_hook(
        lambda _, given: seen.append(given[0].is_contiguous(memory_format=torch.channels_last))
    )
    found = []
    for laid_out in (True, False):
        seen.clear()
        to = tmp_path / f"{laid_out}.zarr"
        options: dict[str, Any] = {"sites": "3", "method": METHOD, "channels_last": laid_out}
        found.append(extract(residual, x, to=to, **options).view("3"))
        assert (True in seen) is laid_out
    assert relative(*found) < 1e-4


@pytest.mark.filterwarnings("ignore:There is rounding by a cast to bfloat16")
@pytest.mark.parametrize("rule", ["trapezoid", "secant"])
def test_half_precision_sums_in_single(
    residual: nn.Module, x: Tensor, tmp_path: Path, rule: Any
) -> None:
    options: dict[str, Any] = {"sites": "3", "method": Conductance(4, rule, "uniform")}
    whole = extract(residual, x, to=tmp_path / "w.zarr", **options)
    half = extract(residual, x, to=tmp_path / "h.zarr", autocast="bfloat16", **options)
    assert 0 < relative(half.view("3"), whole.view("3")) < 0.2
    assert half.metadata["settings"]["computing"]["autocast"] == "bfloat16"
    # Nothing was rounded to the eight bits of a bfloat16.
    values = half.view("3", "positive")
    assert (torch.from_numpy(values).bfloat16().float().numpy() != values).mean() > 0.9


def test_an_unknown_precision_is_reported() -> None:
    with pytest.raises(CodeclensError, match='no autocast precision "int8"'):
        Computing(autocast="int8")  # type: ignore[arg-type]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_the_same_numbers(
    run: Run, model: nn.Module, x: Tensor, tmp_path: Path
) -> None:
    here = run(x, tmp_path / "cpu.zarr").view("3")
    model.cuda()
    there = run(x, tmp_path / "gpu.zarr").view("3")
    np.testing.assert_allclose(there, here, rtol=1e-3, atol=1e-5)
