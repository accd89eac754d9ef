"""Models that take different ways for different inputs: an outcome for every sample."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import networks
from codeclens.attribution import (
    AblationEffect,
    ActivationGradient,
    Attributor,
    Conductance,
    Contributions,
    Method,
    Site,
    contributions,
    tapped,
)
from codeclens.errors import CodeclensError, CompletenessWarning

STEPS = Conductance(steps=4, nodes="uniform")


class Branches(nn.Module):
    """Goes by `left` or `right`, as the samples or each sample say, or leaves early."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.stem, self.head, self.kind = nn.Linear(4, 6), nn.Linear(6, 3), kind
        self.left = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
        self.right = nn.Sequential(nn.Linear(6, 6), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        z = self.stem(x)
        if self.kind == "batch":
            return self.head(self.left(z) if z.mean() > 0 else self.right(z))
        if self.kind == "exit":
            return self.head(z if z.abs().max() > 1.5 else self.right(z))
        goes_left = z.mean(dim=1) > 0
        out = torch.zeros_like(z)
        out[goes_left], out[~goes_left] = self.left(z[goes_left]), self.right(z[~goes_left])
        return self.head(out)


def of(kind: str) -> tuple[Branches, Tensor, list[str]]:
    model = networks.seeded(lambda: Branches(kind)).double()
    sites = ["stem", "right"] if kind == "exit" else ["stem", "left", "right"]
    return model, 1.5 * networks.noise(6, 4), sites


def same(mine: Contributions, theirs: Contributions, row: int) -> None:
    for key, site in mine.items():
        torch.testing.assert_close(site.net[row], theirs[key].net[0])
        torch.testing.assert_close(site.activation[row], theirs[key].activation[0])


@pytest.mark.parametrize("kind", ["batch", "sample", "exit"])
@pytest.mark.parametrize(
    "method",
    [STEPS, Conductance(4, "trapezoid"), Conductance(4, tolerance=0.1), ActivationGradient()],
)
@pytest.mark.filterwarnings("ignore::codeclens.errors.CompletenessWarning")
def test_every_sample_has_what_it_has_alone(kind: str, method: Method) -> None:
    model, x, sites = of(kind)
    prepared = Attributor(model, sites=sites, method=method).prepared(x)
    found = prepared(x)
    reached = {"left": False, "right": False}
    for row in range(6):
        same(found, prepared(x[row : row + 1]), row)
        for site in set(sites) - {"stem"}:
            caught: list[Tensor] = []
            with tapped(model, [Site(site)], lambda _, t, caught=caught: caught.append(t)):
                model(x[row : row + 1])
            here = bool(caught) and len(caught[0]) == 1
            reached[site] |= not here
            if not here:
                assert not found[site].activation[row].any()
    assert any(reached.values())


@pytest.mark.parametrize("kind", ["batch", "sample", "exit"])
def test_where_the_whole_path_goes_one_way_sums_are_exact(kind: str) -> None:
    model, x, sites = of(kind)
    # A short path: both ends on the same side of every decision.
    with pytest.warns(CompletenessWarning, match="does not reach the site"):
        found = contributions(model, x, sites=sites, method=STEPS, baseline=x * 0.999)
    gaps = torch.stack([found[key].completeness for key in sites[1:]])
    change = found.target - found.baseline_target
    torch.testing.assert_close(found["stem"].net.sum(1), change, rtol=1e-8, atol=1e-12)
    known = ~gaps.isnan()
    assert known.any() == (kind != "sample")
    assert not gaps[known].abs().gt(1e-12).any()
    # No sample passes both sites.
    assert known.sum(0).max() <= 1


def test_effects_of_units_refuse_sites_that_are_not_always_reached() -> None:
    model, x, sites = of("batch")
    with pytest.raises(CodeclensError, match="is not reached"):
        contributions(model, x, sites=sites, method=AblationEffect())


def test_a_site_that_no_sample_reaches() -> None:
    model, x, _ = of("batch")
    model.aside = nn.Linear(1, 1)
    with pytest.raises(CodeclensError, match='"aside" is not reached when the model runs'):
        contributions(model, x, sites=["stem", "aside"])
