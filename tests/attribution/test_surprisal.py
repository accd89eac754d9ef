"""Surprisal against its formula, and its shrinkage against scikit-learn's."""

from __future__ import annotations

import pytest
import torch
from sklearn.covariance import LedoitWolf
from torch import Tensor

import networks
from codeclens.attribution import Attributor, Conductance, Surprisal
from codeclens.errors import CodeclensError


def responses(samples: int, cells: int, seed: int = 0) -> Tensor:
    """Rates of cells that fire together, each with its own mean and size."""
    mixing = networks.noise(cells, cells, seed=seed + 1) / cells**0.5
    return networks.noise(samples, cells, seed=seed + 2) @ mixing + torch.arange(cells)


@pytest.mark.parametrize("samples", [6, 40, 400])
def test_the_shrinkage_is_that_of_ledoit_and_wolf(samples: int) -> None:
    rates = responses(samples, 5)
    theirs = LedoitWolf().fit(rates.numpy())
    ours = Surprisal.fit(rates)
    assert ours.shrinkage == pytest.approx(theirs.shrinkage_, rel=1e-10)
    torch.testing.assert_close(ours.precision, torch.from_numpy(theirs.precision_))
    torch.testing.assert_close(ours.mean, torch.from_numpy(theirs.location_))


def test_it_is_the_formula() -> None:
    fitted, seen = responses(50, 4), responses(3, 4, seed=9)
    surprisal = Surprisal.fit(fitted, shrinkage=0.3)
    centred = fitted - fitted.mean(dim=0)
    covariance = centred.T @ centred / 50
    shrunk = 0.7 * covariance + 0.3 * covariance.diagonal().mean() * torch.eye(4).double()
    expected = []
    for y in seen:
        away = y - fitted.mean(dim=0)
        expected.append(0.5 * away @ torch.linalg.solve(shrunk, away))
    torch.testing.assert_close(surprisal.bind(seen, None)(seen), torch.stack(expected))


def test_fewer_samples_than_cells_are_shrunk_until_there_is_an_inverse() -> None:
    rates = responses(5, 12)
    value = Surprisal.fit(rates).bind(rates, None)(rates)
    assert value.isfinite().all()
    assert (value >= 0).all()
    with pytest.raises(CodeclensError, match="has no inverse at shrinkage 0; pass a larger"):
        Surprisal.fit(rates, shrinkage=0.0)


def test_contributions_to_surprisal_sum_exactly() -> None:
    model = networks.plain_cnn().double()
    x = networks.noise(4, 3, 12, 12)
    # Fitted on what the user names, not on what is explained.
    target = Surprisal.fit(model(networks.noise(60, 3, 12, 12, seed=7)).detach())
    found = Attributor(model, sites="@blocks", target=target, method=Conductance(2))(x)
    torch.testing.assert_close(found.target, target.bind(model(x), None)(model(x)).detach())
    for site in found.values():
        change = (found.target - found.baseline_target).abs()
        assert (site.completeness.abs() / change).max() < 1e-12


@pytest.mark.parametrize(
    ("rates", "sentence"),
    [
        (torch.ones(1, 3), r"two samples or more, not \(1, 3\)"),
        (torch.ones(3), r"needs responses \(samples, cells\)"),
        (torch.ones(9, 3), "needs responses that vary; these are constant"),
    ],
)
def test_uninformative_responses_are_rejected(rates: Tensor, sentence: str) -> None:
    with pytest.raises(CodeclensError, match=sentence):
        Surprisal.fit(rates)


def test_another_number_of_cells() -> None:
    surprisal = Surprisal.fit(responses(20, 3))
    with pytest.raises(CodeclensError, match=r"fitted on 3 cells; .* has shape \(2, 4\)"):
        surprisal.bind(torch.zeros(2, 4), None)
    assert repr(surprisal).startswith("Surprisal(3 cells, shrinkage=")
