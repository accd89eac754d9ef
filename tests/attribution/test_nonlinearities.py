"""Every way to write a nonlinearity: module, function, method, each in place where torch has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import networks
from codeclens.attribution import Attributor, Conductance, Contributions
from codeclens.attribution.secant.nonlinearities import _slope

Way = Callable[[Tensor], Tensor]

# The module, and what its function takes besides the tensor.
NAMED: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "relu": (nn.ReLU, {}),
    "relu6": (nn.ReLU6, {}),
    "leaky_relu": (nn.LeakyReLU, {"negative_slope": 0.1}),
    "elu": (nn.ELU, {"alpha": 0.7}),
    "selu": (nn.SELU, {}),
    "celu": (nn.CELU, {"alpha": 0.7}),
    "gelu": (nn.GELU, {}),
    "gelu by tanh": (nn.GELU, {"approximate": "tanh"}),
    "silu": (nn.SiLU, {}),
    "hardswish": (nn.Hardswish, {}),
    "hardsigmoid": (nn.Hardsigmoid, {}),
    "sigmoid": (nn.Sigmoid, {}),
    "tanh": (nn.Tanh, {}),
    "softplus": (nn.Softplus, {"beta": 2.0}),
    "mish": (nn.Mish, {}),
}


def in_place(change: Callable[..., object], settings: dict[str, Any]) -> Way:
    """A copy of the tensor after a change whose return value is thrown away."""

    def way(z: Tensor) -> Tensor:
        z = z * 1.0
        change(z, **settings)
        return z

    return way


def ways(name: str) -> Iterator[tuple[str, Way]]:
    """All ways that torch has for one nonlinearity."""
    module, settings = NAMED[name]
    plain = name.split()[0]
    yield "module", module(**settings)
    for room in (torch, F, Tensor):
        function = getattr(room, plain, None)
        if function is not None and (room is F or not settings):
            yield f"{room.__name__}.{plain}", lambda z, f=function: f(z, **settings)
        changing = getattr(room, f"{plain}_", None)
        if changing is not None and (room is F or not settings):
            yield f"{room.__name__}.{plain}_", in_place(changing, settings)
    try:
        changing_module = module(**settings, inplace=True)
    except TypeError:
        return
    yield "module in place", in_place(changing_module, {})
    function = getattr(F, plain)
    yield "function in place", in_place(function, {**settings, "inplace": True})


ALL = [(name, how) for name in NAMED for how, _ in ways(name)]


def attributed(way: Way) -> Contributions:
    model = networks.seeded(lambda: Between(way)).double()
    x = networks.noise(5, 6) * 3
    return Attributor(model, sites="before", method=Conductance(3, nodes="uniform"))(x)


class Between(nn.Module):
    """A nonlinearity between two linear layers."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self.before, self.after = nn.Linear(6, 12), nn.Linear(12, 3)
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.after(self.way(self.before(x)))
        return logits


@pytest.mark.parametrize(("name", "how"), ALL)
def test_it_is_covered_exact_and_the_same_however_it_is_written(name: str, how: str) -> None:
    found, module = attributed(dict(ways(name))[how]), attributed(dict(ways(name))["module"])
    assert not found.uncovered
    change = (found.target - found.baseline_target).abs()
    assert (found["before"].completeness.abs() / change).max() < 1e-12
    torch.testing.assert_close(found["before"].net, module["before"].net, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(found.target, module.target)


def test_torch_has_the_ways_that_the_table_means_to_hold() -> None:
    assert {"module", "torch.relu", "torch.relu_", "Tensor.relu", "Tensor.relu_"} <= {
        how for name, how in ALL if name == "relu"
    }
    assert ("silu", "module in place") in ALL
    assert ("elu", "torch.nn.functional.elu_") in ALL
    assert len(ALL) > 50


@pytest.mark.parametrize("apart", [3e-6, 1e-9, 1e-13, 1e-16, 0.0])
@pytest.mark.parametrize(
    ("function", "kink", "slopes"),
    [
        (F.relu6, 6.0, (0.0, 1.0)),
        (F.hardswish, -3.0, (-0.5, 0.0)),
        (F.hardsigmoid, 3.0, (0.0, 1 / 6)),
        (F.leaky_relu, 0.0, (0.01, 1.0)),
        (F.gelu, 0.7, None),
    ],
)
def test_small_changes_are_exact_across_a_kink_and_never_steep(
    function: Way, kink: float, slopes: tuple[float, float] | None, apart: float
) -> None:
    z0 = torch.linspace(kink - 1e-6, kink + 1e-6, 200, dtype=torch.float64)
    z = z0 + apart * networks.noise(200)
    slope = _slope(function, (z0, function(z0)), (z, function(z)))
    change = function(z) - function(z0)
    torch.testing.assert_close(slope * (z - z0), change, rtol=0, atol=2e-15)
    if slopes is None:
        point = torch.tensor(kink, dtype=torch.float64, requires_grad=True)
        middle = float(torch.autograd.grad(function(point), point)[0])
        slopes = (middle - 1e-5, middle + 1e-5)
    assert slope.min() >= slopes[0] - 1e-5
    assert slope.max() <= slopes[1] + 1e-5


def test_slopes_and_bounds_by_channel() -> None:
    bounds = torch.linspace(-0.4, 0.2, 12).double()
    found = attributed(networks.seeded(lambda: nn.PReLU(12)))
    assert (found["before"].completeness.abs()).max() < 1e-12
    clamped = attributed(lambda z: torch.clamp(z * 1e-7, min=bounds * 1e-7))
    assert not clamped.uncovered
    assert (clamped["before"].completeness.abs()).max() < 1e-15


def test_a_jump_is_counted_as_it_is() -> None:
    z0, z = torch.tensor([0.1 - 1e-9]).double(), torch.tensor([0.1 + 1e-9]).double()
    call: Way = lambda t: F.threshold(t, 0.1, -5.0)  # noqa: E731
    slope = _slope(call, (z0, call(z0)), (z, call(z)))
    torch.testing.assert_close(slope * (z - z0), call(z) - call(z0))
