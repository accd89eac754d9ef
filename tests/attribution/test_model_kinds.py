"""Kinds of models: checkpointed, scripted, lazy, sparse, nested, quantised, without values."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

import networks
from codeclens.attribution import AblationEffect, Conductance, contributions
from codeclens.errors import CodeclensError

STEPS = Conductance(steps=2, nodes="uniform")


def net() -> nn.Sequential:
    layers = (nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.GELU(), nn.Linear(6, 3))
    return nn.Sequential(*layers).double()


class Checkpointed(nn.Module):
    def __init__(self, way: Callable[[nn.Sequential, Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.way = net(), way

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self.net, x)


def in_parts(net: nn.Sequential, x: Tensor, **settings: Any) -> Tensor:
    h = checkpoint(net[:2], x, **settings)
    h = checkpoint(lambda z: net[3](net[2](z)), h, **settings)
    out: Tensor = net[4](h)
    return out


def nested(net: nn.Sequential, x: Tensor) -> Tensor:
    inner = partial(checkpoint, net[1:4], use_reentrant=False)
    out: Tensor = checkpoint(lambda z: net[4](inner(net[0](z))), x, use_reentrant=True)
    return out


@pytest.mark.parametrize(
    "way",
    [
        partial(in_parts, use_reentrant=True),
        partial(in_parts, use_reentrant=False),
        partial(in_parts, use_reentrant=True, preserve_rng_state=False),
        partial(in_parts, use_reentrant=False, early_stop=False),
        lambda net, x: checkpoint_sequential(net, 2, x, use_reentrant=True),
        nested,
    ],
)
@pytest.mark.parametrize("method", [STEPS, Conductance(3, "trapezoid", "uniform")])
def test_checkpoints_change_nothing(way: Any, method: Conductance) -> None:
    model = networks.seeded(lambda: Checkpointed(way)).train()
    plain = Checkpointed(lambda net, x: net(x))
    plain.net = model.net
    x = networks.noise(3, 4)
    sites = ["net.1", "net.2", "net.3"]
    found = contributions(model, x, sites=sites, method=method)
    expected = contributions(plain, x, sites=sites, method=method)
    for site in sites:
        assert found[site].is_cut
        torch.testing.assert_close(found[site].net, expected[site].net, rtol=0, atol=0)
        if method is STEPS:
            assert found[site].completeness.abs().max() < 1e-12
    # The model checkpoints as before afterwards.
    assert all(parameter.requires_grad for parameter in model.parameters())
    model(x.requires_grad_()).sum().backward()
    mine = model.net[0].weight.grad.clone()
    model.zero_grad()
    plain(x).sum().backward()
    torch.testing.assert_close(mine, plain.net[0].weight.grad)


def test_an_error_in_a_checkpointed_function_is_the_model_s_own() -> None:
    model = Checkpointed(lambda net, x: checkpoint(net, x[:, :3], use_reentrant=False))
    with pytest.raises(CodeclensError, match=r"does not run .*shapes cannot be multiplied"):
        contributions(model, networks.noise(3, 4), sites="net.1")


@pytest.mark.filterwarnings("ignore:.*jit:DeprecationWarning")
def test_scripted_and_traced_models_are_refused() -> None:
    model, x = net(), networks.noise(3, 4)
    for made in (torch.jit.script(model), torch.jit.trace(model, x)):
        with pytest.raises(CodeclensError, match=r"is scripted or traced .*pass the model that"):
            contributions(made, x, sites="1")
    part = nn.Sequential(nn.Linear(4, 4).double(), torch.jit.script(model))
    for site in ("1.1", "1:input"):
        with pytest.raises(CodeclensError, match=r'lies in a scripted or traced part \("1"\)'):
            contributions(part, x, sites=site)
    linear = nn.Sequential(net(), torch.jit.script(nn.Linear(3, 2).double()))
    assert (
        contributions(linear, x, sites="0.1", method=STEPS)["0.1"].completeness.abs().max() < 1e-12
    )


def test_models_without_values_are_refused() -> None:
    x = networks.noise(3, 4)
    lazy = nn.Sequential(nn.LazyLinear(6), nn.ReLU(), nn.LazyLinear(3)).double()
    with pytest.raises(CodeclensError, match=r'"0\.weight" has no shape yet .*run the model once'):
        contributions(lazy, x, sites="1")
    lazy(x)
    assert contributions(lazy, x, sites="1", method=STEPS)["1"].is_cut
    with pytest.raises(CodeclensError, match='is on the device "meta" and has no values; load'):
        contributions(net().to("meta"), x, sites="1")


def test_inputs_of_other_layouts_are_refused() -> None:
    x = networks.noise(3, 4)
    ragged = torch.nested.nested_tensor([x, x[:2]], layout=torch.jagged)
    for given, message in (
        (x.to_sparse(), r"is sparse; pass x\.to_dense\(\)"),
        (ragged, "is nested; pass samples of one length"),
        (x.to("meta"), 'is on the device "meta"'),
    ):
        with pytest.raises(CodeclensError, match=message):
            contributions(net(), given, sites="1")


def test_sparse_weights_are_exact() -> None:
    class Sparse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 6).double(), nn.Linear(6, 3).double()
            self.register_buffer("weight", torch.eye(6).double().to_sparse())

        def forward(self, x: Tensor) -> Tensor:
            h = self.first(x).relu()
            out: Tensor = self.last(torch.sparse.mm(self.weight, h.T).T)
            return out

    found = contributions(Sparse(), networks.noise(3, 4), sites="first", method=STEPS)["first"]
    assert found.is_cut
    assert found.completeness.abs().max() < 1e-12


@pytest.mark.filterwarnings("ignore")
def test_quantised_layers_have_no_gradient() -> None:
    model = net().float()
    quantised = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
    x = networks.noise(3, 4).float()
    with pytest.raises(CodeclensError, match="operations without a derivative, such as quantised"):
        contributions(quantised, x, sites="1")
    assert contributions(quantised, x, sites="1", method=AblationEffect())["1"].net.any()
