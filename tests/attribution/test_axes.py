"""Networks that show a site in other axes compute the same, and act on coordinates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from codeclens.attribution import Conductance, Site, Sum, contributions, in_axes
from codeclens.control import ablate, activation_at
from codeclens.errors import CodeclensError


@pytest.fixture
def network(generator: torch.Generator) -> tuple[nn.Module, Tensor]:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, generator=generator)
    return model, torch.randn(30, 3, 4, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("axes", ["varimax", "principal", "features"])
@pytest.mark.parametrize("tokens", [None, [0], [2, 1]])
@pytest.mark.parametrize("where", ["1", "2:input"])
def test_computes_the_same(network, axes, tokens, where) -> None:
    model, x = network
    before = {name: value.clone() for name, value in model.state_dict().items()}
    turned, site = in_axes(model, where, x, axes=axes, tokens=tokens)
    assert torch.allclose(turned(x), model(x), atol=1e-12)
    assert activation_at(turned, site, x).shape == (30, 3 if tokens is None else len(tokens), 4)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_vector_of_features_has_axes_too(network) -> None:
    model, x = network
    turned, site = in_axes(model, "1", x[:, 0])
    assert torch.allclose(turned(x[:, 0]), model(x[:, 0]), atol=1e-12)
    assert site.key == "1.axes"


def test_ablation_puts_a_coordinate_back_to_its_mean(network) -> None:
    model, x = network
    turned, site = in_axes(model, "1", x, axes="principal", tokens=[1])
    values = activation_at(model, "1", x)[:, 1]
    mean = values.mean(dim=0)
    _, vectors = np.linalg.eigh(np.cov(values.numpy().T))
    widest = torch.from_numpy(vectors[:, -1])
    expected = activation_at(model, "1", x)
    expected[:, 1] = values - ((values - mean) @ widest)[:, None] * widest
    with ablate(turned, site, units=[0]):
        assert torch.allclose(turned(x), model[2](expected), atol=1e-10)


def test_principal_axes_are_those_of_scikit_learn(network) -> None:
    from sklearn.decomposition import PCA

    model, x = network
    turned, site = in_axes(model, "1", x[:, 0], axes="principal")
    ours = activation_at(turned, site, x[:, 0]).numpy()
    peer = PCA().fit_transform(activation_at(model, "1", x[:, 0]).numpy())
    assert np.allclose(np.abs(ours), np.abs(peer), atol=1e-10)


def test_varimax_finds_sources_that_were_mixed(generator: torch.Generator) -> None:
    # Each sample shows one of four sources, all as wide: principal axes cannot be distinguished.
    which = torch.arange(400) % 4
    size = torch.rand(400, generator=generator, dtype=torch.float64) + 0.5
    sources = nn.functional.one_hot(which, 4).double() * size[:, None]
    mix, _ = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64))
    model = nn.Sequential(nn.Identity())
    turned, site = in_axes(model, "0", sources @ mix.T, axes="varimax")
    found = activation_at(turned, site, sources @ mix.T).numpy()
    alike = np.abs(np.corrcoef(found.T, sources.numpy().T)[:4, 4:])
    assert sorted(alike.argmax(axis=0)) == [0, 1, 2, 3]
    assert alike.max(axis=0).min() > 0.95


def test_contributions_turn_with_the_axes(network) -> None:
    model, x = network
    method = Conductance(steps=20)
    turned, site = in_axes(model, "1", x, axes="principal")
    plain = contributions(model, x, sites="1", target=Sum(), method=method)["1"]
    rotated = contributions(turned, x, sites=site, target=Sum(), method=method)[site.key]
    # What passes through all units together does not depend on the axes.
    assert torch.allclose(plain.net.sum(1), rotated.net.sum(1), atol=1e-8)
    assert not torch.allclose(plain.net, rotated.net, atol=1e-3)


@pytest.mark.parametrize(
    ("site", "options", "match"),
    [
        ("*", {}, "3 sites"),
        (Site("1", heads=2), {}, "heads of one"),
        ("1", {"tokens": [3]}, "has 3, from 0 on"),
        ("1", {"tokens": []}, "do not exist"),
        ("1", {"axes": "ica"}, 'no axes "ica"; the nearest names are'),
        ("1", {"axes": 2 * torch.eye(4)}, "orthogonal"),
        ("1", {"axes": torch.eye(3)}, "orthogonal"),
    ],
)
def test_what_cannot_be_turned_is_refused(network, site, options, match) -> None:
    with pytest.raises(CodeclensError, match=match):
        in_axes(network[0], site, network[1], **options)


def test_feature_maps_are_refused() -> None:
    with pytest.raises(CodeclensError, match="tokens, features"):
        in_axes(nn.Sequential(nn.Conv2d(1, 2, 1)), "0", torch.zeros(1, 1, 4, 4))


def test_a_given_matrix_is_taken(network) -> None:
    model, x = network
    matrix, _ = torch.linalg.qr(
        torch.randn(4, 4, generator=torch.Generator().manual_seed(0)).double()
    )
    turned, site = in_axes(model, "1", x, axes=matrix)
    values = activation_at(model, "1", x)
    assert torch.allclose(
        activation_at(turned, site, x), (values - values.mean(0)) @ matrix, atol=1e-12
    )
