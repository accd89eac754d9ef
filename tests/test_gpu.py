"""On a GPU everything gives what it gives on the processor; skipped where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import codeclens as cl
from codeclens import zoo
from codeclens.attribution import AblationEffect, ActivationPath, Baseline
from codeclens.extraction.computing import default_device, usable_device
from networks import noise, residual_cnn, small_vit

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

NETWORKS: dict[str, tuple[Callable[[], nn.Module], str, int]] = {
    "residual": (residual_cnn, "layer*.*", 12),
    "vit": (small_vit, "blocks.*", 8),
}
METHODS: dict[str, Any] = {
    "secant": cl.Conductance(4),
    "trapezoid": cl.Conductance(4, "trapezoid", "uniform"),
    "tolerance": cl.Conductance(4, tolerance=0.05),
    "activation path": ActivationPath(4),
    "activation gradient": cl.ActivationGradient(),
    "ablation": AblationEffect(),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("network", NETWORKS)
def test_contributions_are_those_of_the_processor(network: str, method: str) -> None:
    build, sites, pixels = NETWORKS[network]
    model, x = build().double(), noise(3, 3, pixels, pixels)
    options: dict[str, Any] = {"sites": sites, "method": METHODS[method]}
    here = cl.contributions(model, x, **options)
    there = cl.contributions(model.cuda(), x.cuda(), **options)
    for key, site in here.items():
        assert there[key].net.is_cuda
        torch.testing.assert_close(there[key].net.cpu(), site.net, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("baseline", [0.3, cl.Blur(), cl.Samples(noise(8, 3, 12, 12, seed=2))])
def test_baselines_follow_the_input(baseline: float | Baseline) -> None:
    model, x = residual_cnn().double(), noise(2, 3, 12, 12)
    options: dict[str, Any] = {"sites": "layer*.*", "method": cl.Conductance(3)}
    here = cl.contributions(model, x, baseline=baseline, **options)
    there = cl.contributions(model.cuda(), x.cuda(), baseline=baseline, **options)
    for key, site in here.items():
        torch.testing.assert_close(there[key].net.cpu(), site.net, rtol=1e-9, atol=1e-11)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Tensor, Any]:
    """The digits network and some inputs on the GPU, with a store that was made there."""
    model = zoo.load("digits-resnet").model.cuda()
    x = torch.rand(300, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    store = cl.extract(
        model,
        (x, torch.arange(300) % 10),
        sites="blocks.*",
        method=cl.Conductance(4),
        batch_size=64,
        to=tmp_path_factory.mktemp("gpu") / "s.zarr",
    )
    return model, x, store


def test_a_store_is_that_of_the_processor(
    digits: tuple[nn.Module, Tensor, Any], tmp_path: Path
) -> None:
    _, x, store = digits
    model = zoo.load("digits-resnet").model
    data = x, torch.arange(300) % 10
    method = cl.Conductance(4)
    here = cl.extract(model, data, sites="blocks.*", method=method, to=tmp_path / "s.zarr")
    assert here.sites == store.sites
    for site in here.sites:
        expected, found = here.view(site, "sum"), store.view(site, "sum")
        # Rounding may flip a gate somewhere; all in all the numbers are the same.
        assert np.linalg.norm(found - expected) < 1e-3 * np.linalg.norm(expected)


@pytest.mark.parametrize(
    "method",
    [cl.TopK(n_modes=24, epochs=8), cl.ThresholdSAE(n_modes=24, threshold=0.5, epochs=8)],
    ids=["topk", "threshold"],
)
@pytest.mark.parametrize("in_memory", [True, False])
def test_modes_are_found_there(
    digits: tuple[nn.Module, Tensor, Any], method: Any, in_memory: bool, tmp_path: Path
) -> None:
    _, _, store = digits
    options: dict[str, Any] = {"sites": "blocks.3", "in_memory": in_memory}
    there = cl.decompose(store, method, device="cuda", logs=tmp_path, **options)["blocks.3"]
    here = cl.decompose(store, method, **options)["blocks.3"]
    assert there.loadings.shape[0] == 300
    assert there.r2 == pytest.approx(here.r2, rel=1e-2, abs=1e-2)
    again = cl.decompose(store, method, device="cuda", logs=tmp_path, **options)["blocks.3"]
    np.testing.assert_allclose(again.loadings, there.loadings, rtol=1e-3, atol=1e-4)
    signs = (store.view("blocks.3", view) for view in ("positive", "negative"))
    projected = there.project(*signs)
    np.testing.assert_allclose(projected, there.loadings, rtol=1e-3, atol=1e-4)


def test_interventions_replay_and_maps_work_there(digits: tuple[nn.Module, Tensor, Any]) -> None:
    model, x, store = digits
    modes = cl.decompose(store, cl.TopK(n_modes=24, epochs=8), sites="blocks.3")["blocks.3"]
    inputs = x[:6].cuda()
    usual = zoo.load("digits-resnet").model
    with torch.no_grad(), cl.ablate(model, modes[0], fraction=0.2):
        there = model(inputs)
    with torch.no_grad(), cl.ablate(usual, modes[0], fraction=0.2):
        here = usual(inputs.cpu())
    torch.testing.assert_close(there.cpu(), here, rtol=1e-3, atol=1e-3)
    maps = cl.pixel_map(model, inputs, mode=modes[0])
    expected = cl.pixel_map(usual, inputs.cpu(), mode=modes[0])
    for part in ("positive", "negative"):
        found, wanted = (getattr(m, part).cpu().numpy() for m in (maps, expected))
        assert np.linalg.norm(found - wanted) < 1e-2 * max(np.linalg.norm(wanted), 1e-6)


def test_the_command_line_takes_a_gpu_by_itself() -> None:
    assert default_device({}).type == "cuda"
    assert default_device({"LOCAL_RANK": "0"}) == torch.device("cuda", 0)
    with pytest.raises(cl.CodeclensError, match=r"usable devices: \"cpu\", \"cuda:0\""):
        usable_device("cuda:99")
