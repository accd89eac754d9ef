"""Faces of modes: they drive their mode more than others, and depend on seed and mode alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from codeclens import CodeclensError
from codeclens.decomposition import NMF, Modes, decompose
from codeclens.extraction import ContributionStore, extract
from codeclens.visualization import mode_faces
from codeclens.visualization.mode_faces import _amplitudes, _pictures

Made = tuple[nn.Module, Modes, ContributionStore]
FEW = {"size": 16, "canvas": 24, "steps": 40}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A network whose units see red, green, blue and grey, and modes of its contributions."""
    convolution = nn.Conv2d(3, 4, 1)
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor(
            [[1.0, -0.5, -0.5], [-0.5, 1, -0.5], [-0.5, -0.5, 1], [0.3, 0.3, 0.3]]
        )[:, :, None, None])  # fmt: skip
        convolution.bias.zero_()
    torch.manual_seed(0)
    layers = [convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4)]
    with torch.no_grad():
        layers[-1].weight.copy_(torch.eye(4))
        layers[-1].bias.zero_()
    model = nn.Sequential(*layers).eval()
    colour = torch.rand(120, 3, 1, 1)
    images = (colour + 0.05 * torch.randn(120, 3, 24, 24)).clamp(0, 1)
    folder = tmp_path_factory.mktemp("faces") / "store.zarr"
    store = extract(model, images, sites="1", to=folder)
    return model, decompose(store, NMF(n_modes=3))["1"], store


def test_a_face_drives_its_mode(made: Made) -> None:
    model, modes, store = made
    faces = mode_faces(model, modes, store, **FEW)
    assert faces.shape == (len(modes), 16, 16, 3)
    assert faces.dtype == np.uint8
    x = torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 255
    activation = model[:2](x).mean(dim=(2, 3)).detach().numpy() - store.view(
        "1", "activation"
    ).mean(0)
    directions = np.stack([mode.direction for mode in modes])
    along = activation @ (directions / np.linalg.norm(directions, axis=1, keepdims=True)).T
    noise = mode_faces(model, modes, store, **FEW | {"steps": 1})
    start = torch.from_numpy(noise).permute(0, 3, 1, 2).float() / 255
    before = model[:2](start).mean(dim=(2, 3)).detach().numpy() - store.view(
        "1", "activation"
    ).mean(0)
    before = before @ (directions / np.linalg.norm(directions, axis=1, keepdims=True)).T
    assert (np.diag(along) > np.diag(before)).all()


def test_seed_and_mode_alone_decide(made: Made) -> None:
    model, modes, store = made
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    whole = mode_faces(model, modes, store, **FEW)
    part = mode_faces(model, modes, store, which=[2, 0], **FEW)
    assert np.abs(whole[[2, 0]].astype(int) - part).max() <= 1
    assert np.array_equal(whole, mode_faces(model, modes, store, **FEW))
    assert not np.array_equal(whole, mode_faces(model, modes, store, seed=1, **FEW))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    assert mode_faces(model, modes, store, which=[], **FEW).shape == (0, 16, 16, 3)


def test_the_best_of_several_starts_is_kept(made: Made) -> None:
    model, modes, store = made
    one, two = (mode_faces(model, modes, store, starts=n, **FEW) for n in (1, 2))
    assert one.shape == two.shape


def test_amplitudes_stay_those_of_photographs() -> None:
    phases = 6 * torch.rand(2, 3, 16, 9, generator=torch.Generator().manual_seed(0))
    pictures = _pictures(phases, _amplitudes(16))
    assert torch.allclose(pictures.flatten(1).mean(1), torch.tensor(0.48), atol=1e-3)
    assert torch.allclose(pictures.flatten(1).std(1), torch.tensor(0.25), atol=1e-3)


def test_what_is_wrong_is_said(made: Made, tmp_path: Path) -> None:
    model, modes, store = made
    bare = replace(modes, quality={})
    with pytest.raises(CodeclensError, match="no directions in activation space"):
        mode_faces(model, bare, store, **FEW)
    with pytest.raises(CodeclensError, match="three channels, not 2"):
        mode_faces(model, modes, store, mean=[0.0, 0.0], **FEW)
    with pytest.raises(CodeclensError, match="does not run on colour pictures of 24 × 24"):
        mode_faces(nn.Sequential(nn.Flatten(), nn.Linear(5, 4)), replace(modes), store, **FEW)
    with pytest.raises(CodeclensError, match="steps"):
        mode_faces(model, modes, store, **FEW | {"steps": 0})
