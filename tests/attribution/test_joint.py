"""Joint contributions against one backward for each pair of parts, and what they sum to."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import networks
import reference
from codeclens.attribution import ActivationGradient, Attributor, Conductance, Division
from codeclens.errors import CodeclensError

NODES = (0.0, 0.1, 0.45, 1.0)


def shares(parts: int, shape: tuple[int, int], seed: int) -> Tensor:
    """Shares `(B, A, U)` of so many parts, which sum to 1."""
    drawn = networks.noise(shape[0], parts, shape[1], seed=seed).exp()
    return drawn / drawn.sum(dim=1, keepdim=True)


def divided(attributor: Attributor, x: Tensor, sites: list[str]) -> dict[str, Division]:
    found = attributor(x)
    divisions = {}
    for number, site in enumerate(sites):
        units = found[site].site.units(found[site].full)  # type: ignore[arg-type]
        shape = (units.shape[0], units.shape[1])
        positive, negative = (shares(2 + number, shape, 10 * number + sign) for sign in (0, 1))
        divisions[site] = Division(positive, negative, units > 0)
    return divisions


CASES = {
    "cnn": (networks.plain_cnn, ["1", "4"], (2, 3, 12, 12)),
    "residual": (networks.residual_cnn, ["layer1.0", "layer2.0"], (2, 3, 12, 12)),
    "mlp": (
        lambda: networks.seeded(
            lambda: nn.Sequential(
                *(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 4))
            )
        ),
        ["1", "3"],
        (3, 6),
    ),
}


@pytest.mark.parametrize("case", [name for name in CASES if name != "cnn"])
def test_joint_contributions_equal_one_backward_for_each_pair_of_parts(case: str) -> None:
    build, sites, shape = CASES[case]
    model, x = build().double(), networks.noise(*shape)
    attributor = Attributor(model, sites=sites, method=Conductance(nodes=NODES), reduce=None)
    divisions = divided(attributor, x, sites)
    ours = attributor.joint(x, divisions, [(sites[0], sites[1])])[sites[0], sites[1]]
    fields = []
    for site in sites:
        like = attributor(x)[site].full
        assert like is not None
        one = divisions[site]
        fields.append(
            torch.stack([one.field(part).reshape(like.shape) for part in range(one.parts)], dim=1)
        )
    slow = reference.joint_flow(
        model,
        x,
        (sites[0], sites[1]),
        reference.predicted(model, x),
        torch.zeros_like(x),
        NODES,
        (fields[0], fields[1]),
    )
    assert reference.difference(ours, slow) < 1e-9
    assert float(slow.abs().max()) > 1e-3


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("steps", [1, 4])
def test_rows_columns_and_total_are_those_of_contributions(case: str, steps: int) -> None:
    build, sites, shape = CASES[case]
    model, x = build().double(), networks.noise(*shape)
    attributor = Attributor(model, sites=sites, method=Conductance(steps), reduce=None)
    divisions = divided(attributor, x, sites)
    joint = attributor.joint(x, divisions, [(sites[0], sites[1])])[sites[0], sites[1]]
    found = attributor(x)
    for site, axis in ((sites[0], 2), (sites[1], 1)):
        one, here = divisions[site], found[site]
        wanted = torch.einsum("bau,bu->ba", one.positive, here.positive)
        wanted += torch.einsum("bau,bu->ba", one.negative, here.negative)
        assert reference.difference(joint.sum(dim=axis), wanted) < 1e-9
    change = found.target - found.baseline_target
    assert reference.difference(joint.sum(dim=(1, 2)), change) < 1e-9


def test_what_goes_past_a_site_is_in_no_column() -> None:
    """A branch of a residual block is no cut: its column holds what comes through it alone."""
    model, x = networks.residual_cnn().double(), networks.noise(2, 3, 12, 12)
    sites = ["layer1.0", "layer1.1.bn2"]
    attributor = Attributor(model, sites=sites, method=Conductance(2), reduce=None)
    divisions = divided(attributor, x, sites)
    joint = attributor.joint(x, divisions, [(sites[0], sites[1])])[sites[0], sites[1]]
    found = attributor(x)
    branch = found[sites[1]].net.sum(dim=1)
    assert reference.difference(joint.sum(dim=(1, 2)), branch) < 1e-9
    assert float((branch - (found.target - found.baseline_target)).abs().min()) > 1e-3


def test_methods_without_exact_sums_are_refused() -> None:
    model, x = networks.plain_mlp().double(), networks.noise(2, 6)
    for method in (ActivationGradient(), Conductance(2, "trapezoid"), Conductance(tolerance=0.1)):
        attributor = Attributor(model, sites=["1", "3"], method=method, reduce=None)
        with pytest.raises(CodeclensError, match="no joint contributions"):
            attributor.joint(x, {}, [("1", "3")])


def test_sites_in_the_wrong_order_are_refused() -> None:
    model, x = networks.plain_mlp().double(), networks.noise(2, 6)
    attributor = Attributor(model, sites=["1", "3"], method=Conductance(2), reduce=None)
    divisions = divided(attributor, x, ["1", "3"])
    with pytest.raises(CodeclensError, match='Site "1" does not depend on site "3"'):
        attributor.joint(x, divisions, [("3", "1")])
