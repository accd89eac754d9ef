"""The three-layer network of the retina."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import codeclens as cl
import retina_reference
from codeclens import CodeclensError
from codeclens.retina import RetinaCNN

ABOUT: dict = {"rate": 50.0, "pixel": 50.0, "unit": "um", "history": 5, "size": (12, 13)}


def network(**changed: object) -> RetinaCNN:
    options: dict = {**ABOUT, "kernels": (5, 3), "channels": (3, 4)} | changed
    return RetinaCNN(["a", "b"], **options).double()


def trained(model: nn.Module, x: Tensor) -> nn.Module:
    """With norms that have seen something."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(3):
            model.train()(x)
    return model.eval()


@pytest.fixture
def x(generator: torch.Generator) -> Tensor:
    return torch.randn(6, 5, 12, 13, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("norm", ["channel", "position"])
def test_the_model_matches_its_layers(x: Tensor, norm: str) -> None:
    model = trained(network(norm=norm), x)
    model.calibrate(torch.tensor([[4.0, 10.0]]))
    wanted = retina_reference.retina_cnn(dict(model.state_dict()), x, 1e-3)
    assert (model(x) - wanted).abs().max() < 1e-10


def test_the_defaults_are_those_of_the_salamander() -> None:
    model = RetinaCNN(["a"], rate=100.0, pixel=50.0, unit="um").eval()
    assert model(torch.zeros(1, 40, 50, 50)).shape == (1, 1)
    assert model.ganglion.in_features == 8 * 26 * 26


@pytest.mark.parametrize("nonlinearity", ["softplus", "relu"])
@pytest.mark.parametrize("options", [{}, {"ganglion": "convolutional"}])
def test_stacks_fold_into_the_same_network(x: Tensor, nonlinearity: str, options: dict) -> None:
    if options:
        options = options | {"kernels": (5, 3, 3), "positions": [(5, 5), (6, 6)]}
    model = trained(network(stacked=True, nonlinearity=nonlinearity, **options), x)
    folded = model.fold()
    assert isinstance(folded.conv1, nn.Conv2d)
    assert not folded.training
    assert (folded(x) - model(x)).abs().max() < 1e-10
    assert folded.config()["stacked"] is False


def test_cells_of_one_type_share_weights_and_look_where_they_stand(x: Tensor) -> None:
    model = network(
        ganglion="convolutional", kernels=(5, 3, 3), positions=[(5, 5), (6, 7)], types=[0, 0]
    )
    trained(model, x)
    with torch.no_grad():
        moved = torch.roll(x, shifts=(-1, -2), dims=(2, 3))
        # Cell b sees one row down and two columns right what a sees; moved, a sees it.
        assert (model(moved)[:, 0] - model(x)[:, 1]).abs().max() < 1e-10
        # A place looks at its centre: 9 × 9 pixels around (5, 5).
        other = x.clone()
        other[:, :, 10:] += 1
        other[:, :, :, 10:] += 1
        other[:, :, :1] += 1
        other[:, :, :, :1] += 1
        assert (model(other)[:, 0] - model(x)[:, 0]).abs().max() < 1e-10
        other = x.clone()
        other[:, :, 9, 9] += 1
        assert (model(other)[:, 0] - model(x)[:, 0]).abs().max() > 1e-10


def test_noise_only_while_training(x: Tensor) -> None:
    model = network(noise=0.5)
    model.train()
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_a_seed_makes_the_weights_and_leaves_the_global_state() -> None:
    before = torch.get_rng_state()
    same = zip(network(seed=3).parameters(), network(seed=3).parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    assert not torch.equal(network(seed=4).conv1.weight, network(seed=3).conv1.weight)
    assert torch.equal(before, torch.get_rng_state())


class Difference(nn.Module):
    """A front: how the film changes."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 1:] - x[:, :-1]


def test_a_front_stands_before_it(x: Tensor) -> None:
    model = network(front=Difference(), front_history=4).eval()
    bare = network(history=4).eval()
    assert (model(x) - bare(Difference()(x))).abs().max() < 1e-12


def test_sites_are_behind_nonlinearities_and_the_drive_before_the_last(x: Tensor) -> None:
    model = trained(network(), x)
    found = cl.contributions(model, x, sites=model.sites, target=cl.Output(0))
    for site in model.sites:
        assert found[site].is_cut
        assert (found[site].activation > 0).all(), "a softplus is positive"
        assert found[site].completeness.abs().max() < 1e-10
    drive = cl.contributions(
        model, x, sites="second", target=cl.Output(0), output=cl.Site(model.drive)
    )
    assert torch.allclose(nn.functional.softplus(drive.target), model(x)[:, 0].detach())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kernels": (15, 11)}, "do not fit into a film of 12 × 13"),
        ({"kernels": (9, 5)}, "the one of 5 is applied to 4 × 5"),
        ({"kernels": (5, 3, 3)}, "must be 2 numbers"),
        ({"nonlinearity": "tanh"}, "the nearest names are"),
        ({"ganglion": "sparse"}, '"dense", "convolutional"'),
        ({"norm": "layer"}, '"channel", "position"|"position", "channel"'),
        ({"ganglion": "convolutional", "kernels": (5, 3, 3)}, "needs positions="),
        (
            {"ganglion": "convolutional", "kernels": (5, 3, 3), "positions": [(0, 0), (5, 5)]},
            r"'a' at \(0, 0\) is too close to the edge",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_reported(change: dict, says: str) -> None:
    with pytest.raises(CodeclensError, match=says):
        network(**change)
