"""Orders, indices and masks that jump along the path: sums are exact at any number of steps."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import networks
import reference
from between import Between, Operation, attributed, gap
from codeclens.attribution import Attributor, Conductance, contributions
from codeclens.attribution.secant import SecantMode
from codeclens.errors import CompletenessWarning

PLACES = torch.arange(12).double()
TABLE = torch.linspace(-1, 1, 48).double().view(12, 4).cos()


def written(change: Callable[[Tensor], None]) -> Operation:
    def operation(z: Tensor) -> Tensor:
        z = z.clone()
        change(z)
        return z

    return operation


def positive_to_number(z: Tensor) -> None:
    z[z > 0] = 0.5


def positive_to_others(z: Tensor) -> None:
    z[z > 0] = z.flip(1)[z > 0] * 2


def positive_times(z: Tensor) -> None:
    z[z > 0] *= 3


def positive_rows(z: Tensor) -> None:
    z[z.mean(1) > 0] = 0.1


def codes(z: Tensor) -> Tensor:
    """The nearest codes, with a gradient straight through, as in a VQ-VAE."""
    tokens = z.view(-1, 3, 4)
    distances = torch.cdist(tokens, TABLE.expand(len(tokens), -1, -1))
    nearest = F.embedding(distances.argmin(-1), TABLE)
    return (tokens + (nearest - tokens).detach()).flatten(1)


def experts(z: Tensor, loop: str = "where") -> Tensor:
    """A mixture of four experts, two for a token, in the forms in which models are written."""
    router = torch.linspace(-2, 2, 48).double().view(12, 4).sin()
    weights = torch.linspace(-1, 1, 4 * 144).double().view(4, 12, 12).mul(7).sin() / 3
    value, index = (z @ router).softmax(-1).topk(2, dim=-1)
    if loop == "gathered":
        chosen = torch.einsum("bi,bkio->bko", z, weights[index])
        return (F.silu(chosen) * value[..., None]).sum(1)
    out = torch.zeros_like(z)
    with torch.no_grad():
        mask = F.one_hot(index, 4).permute(2, 1, 0)
        hit = torch.greater(mask.sum(dim=(-1, -2)), 0).nonzero()
    for number in hit:
        expert = number[0]
        if loop == "where":
            slot, token = torch.where(mask[expert])
        else:
            token, slot = (index == expert).nonzero(as_tuple=True)
        mixed = F.silu(z[token] @ weights[expert]) * value[token, slot, None]
        if loop == "put":
            out[token] += mixed
        else:
            out.index_add_(0, token, mixed)
    return out


def grouped(z: Tensor) -> Tensor:
    """Routing that is limited to groups, as in DeepSeek-V3."""
    scores = z.sigmoid()
    group = scores.view(-1, 3, 4).topk(2, dim=-1)[0].sum(-1).topk(2, dim=-1, sorted=False)[1]
    mask = torch.zeros(len(z), 3).double().scatter_(1, group, 1)
    mask = mask[..., None].expand(-1, 3, 4).reshape(-1, 12)
    index = scores.masked_fill(~mask.bool(), float("-inf")).topk(3, dim=-1, sorted=False)[1]
    weights = scores.gather(1, index)
    weights /= weights.sum(-1, keepdim=True)
    return (TABLE[index] * weights[..., None]).sum(1)


ORDERS: dict[str, Operation] = {
    "sort": lambda z: z.sort(-1)[0] * PLACES,
    "sort downwards": lambda z: torch.sort(z, dim=1, descending=True).values * PLACES,
    "msort": lambda z: z.t().msort().t() * PLACES,
    "topk": lambda z: z.topk(3, -1)[0] * PLACES[:3],
    "smallest": lambda z: z.topk(k=3, dim=-1, largest=False).values * PLACES[:3],
    "median": lambda z: z.median(-1)[0][:, None] * PLACES,
    "kthvalue": lambda z: z.kthvalue(4, -1, keepdim=True)[0] * PLACES,
    "quantile": lambda z: z.quantile(0.3, dim=-1, keepdim=True) * PLACES,
    "quantiles": lambda z: torch.quantile(z, torch.tensor([0.2, 0.9]).double(), dim=1).T,
    "cummax": lambda z: z.cummax(1)[0],
    "cummin": lambda z: z.cummin(1)[0],
    "aminmax": lambda z: torch.stack(z.aminmax(dim=1), 1),
    "in an order": lambda z: z.gather(1, z.argsort(1)) * PLACES,
}
JUMPS: dict[str, Operation] = {
    "one-hot": lambda z: F.one_hot(z.argmax(1), 12) * z,
    "one-hot codes": lambda z: F.one_hot(z.argmax(1), 12).double() @ TABLE + z.sum(1, True),
    "embedding": lambda z: F.embedding(z.argmax(1), TABLE) + z.sum(1, keepdim=True),
    "rows of a table": lambda z: TABLE[z.argmin(1)] + z.sum(1, keepdim=True),
    "gather of others": lambda z: z.flip(1).gather(1, z.topk(3, 1)[1]),
    "take along": lambda z: z.take_along_dim(z.argmax(1, keepdim=True), 1).expand(-1, 3),
    "an index by row": lambda z: z.view(-1, 3, 4)[torch.arange(len(z)), z[:, :3].argmax(1)],
    "scatter": lambda z: torch.zeros_like(z).scatter(1, z.topk(3, 1)[1], z.topk(3, 1)[0]),
    "scatter into -inf": lambda z: (
        torch.full_like(z, -torch.inf).scatter_(1, z.topk(3, 1)[1], z.topk(3, 1)[0]).sigmoid()
    ),
    "largest only": lambda z: z * (z >= z.topk(3, -1)[0][:, -1:]),
    "equal to the largest": lambda z: z * (z == z.amax(1, keepdim=True)),
    "an index compared": lambda z: z * (z.argmax(1, keepdim=True) == torch.arange(12)),
    "a count": lambda z: z * (z > 0).sum(1, keepdim=True),
    "a masked mean": lambda z: z.relu().sum(1, True) / (z > 0).sum(1, True).clamp(min=1) + z,
    "counted": lambda z: z * torch.count_nonzero(z > 0, dim=1)[:, None],
    "any": lambda z: z * (z > 1).any(1, keepdim=True),
    "all": lambda z: z * (z > -1).all(dim=1, keepdim=True),
    "rounded to 0": lambda z: z * (z.round() != 0),
    "a detached mask": lambda z: z * (z.detach() > z.detach().mean(1, keepdim=True)),
    "a detached factor": lambda z: z * z.detach().abs(),
    "straight through": lambda z: z + (z.round() - z).detach(),
    "hard softmax": lambda z: z.softmax(1) + (F.one_hot(z.argmax(1), 12) - z.softmax(1)).detach(),
    "codes": codes,
    "a number assigned": written(positive_to_number),
    "others assigned": written(positive_to_others),
    "multiplied in place": written(positive_times),
    "rows assigned": written(positive_rows),
    "experts": experts,
    "experts by comparison": lambda z: experts(z, "nonzero"),
    "experts put": lambda z: experts(z, "put"),
    "experts gathered": lambda z: experts(z, "gathered"),
    "experts in groups": grouped,
}
BOTH = {**ORDERS, **JUMPS}


@pytest.mark.parametrize("name", BOTH)
def test_sums_are_exact_at_any_number_of_steps(name: str) -> None:
    for steps in (1, 3):
        found = attributed(BOTH[name], Conductance(steps, nodes="uniform"))
        assert not found.uncovered
        # What is masked by -inf jumps by a large number.
        assert gap(found) < (1e-9 if name == "experts in groups" else 1e-12)


@given(name=st.sampled_from(sorted(BOTH)), seed=st.integers(0, 999), steps=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_sums_are_exact_for_any_input(name: str, seed: int, steps: int) -> None:
    model = networks.seeded(lambda: Between(BOTH[name])).double()
    x = networks.noise(3, 6, seed=seed) * (1 + seed % 3)
    found = Attributor(model, sites="before", method=Conductance(steps, nodes="uniform"))(x)
    change = model(x) - model(torch.zeros_like(x))
    expected = change.gather(1, found.prediction[:, None])[:, 0].detach()
    size = (found["before"].positive - found["before"].negative).sum(1)
    missed = (found["before"].net.sum(1) - expected).abs()
    assert (missed / size.clamp(min=1e-9)).max() < 1e-9


@pytest.mark.parametrize(
    "name", sorted(set(ORDERS) - {"in an order", "cummax", "cummin", "aminmax"})
)
def test_orders_are_the_integral_of_the_gradient(name: str) -> None:
    fine = attributed(ORDERS[name], Conductance(1, "secant"))["before"].net
    peer = attributed(ORDERS[name], Conductance(4000, "trapezoid", "uniform"))["before"].net
    assert (fine - peer).norm() / peer.norm() < 2e-3


@given(seed=st.integers(0, 999), width=st.integers(1, 9), ties=st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_rank_passes_to_entries_as_long_as_they_have_it(
    seed: int, width: int, ties: bool
) -> None:
    z0, z1 = (networks.noise(2, width, seed=seed + n) for n in (0, 1))
    z0 = z0.round() if ties else z0
    g = networks.noise(2, width, seed=seed + 2)
    mode, found = SecantMode(), []
    for z in (z0, z1):
        mode.step()
        start = z.clone().requires_grad_()
        with mode:
            value = start.sort(dim=1).values
        found = torch.autograd.grad(value, start, g)
    exact = (g * (z1.sort(1).values - z0.sort(1).values)).sum(1)
    torch.testing.assert_close((found[0] * (z1 - z0)).sum(1), exact, rtol=1e-10, atol=1e-10)
    if not ties:
        slow = reference.shares_of_ranks(z0, z1)
        expected = torch.einsum("bji,bj->bi", slow, g)
        torch.testing.assert_close(found[0], expected, rtol=1e-2, atol=1e-2)


def test_the_largest_of_many_are_found_among_few() -> None:
    z0, z1 = networks.noise(2, 3000), networks.noise(2, 3000, seed=1)
    mode, found = SecantMode(), []
    for z in (z0, z1):
        mode.step()
        start = z.clone().requires_grad_()
        with mode:
            value = start.topk(3, dim=1).values
        found = torch.autograd.grad(value.sum(), start)
    exact = (z1.topk(3, 1).values - z0.topk(3, 1).values).sum(1)
    torch.testing.assert_close((found[0] * (z1 - z0)).sum(1), exact, rtol=1e-10, atol=1e-10)


def test_entries_that_are_taken_out_by_a_mask_are_named() -> None:
    def summed(z: Tensor) -> Tensor:
        return torch.stack([row[row > 0].sum() for row in z])[:, None]

    found = attributed(summed)
    assert found.uncovered == {"indexing with a mask that changes along the path"}
    assert gap(found) > 1e-6


def test_the_model_gives_what_it_gives_without_a_mode() -> None:
    model = networks.seeded(lambda: Between(experts)).double()
    x = networks.noise(5, 6)
    found = Attributor(model, sites="before", method=Conductance(2, nodes="uniform"))(x)
    torch.testing.assert_close(found.target, model(x).amax(1), rtol=1e-12, atol=1e-12)


class Routed(nn.Module):
    """Each token goes to one of two experts, which are modules and so may be sites."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Linear(6, 6), nn.Linear(6, 3)
        self.experts = nn.ModuleList(nn.Linear(6, 6) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        z = self.before(x)
        index = z[:, :2].argmax(1)
        out = torch.zeros_like(z)
        for number, expert in enumerate(self.experts):
            (token,) = torch.where(index == number)
            out[token] = expert(z[token]).tanh()
        logits: Tensor = self.after(out)
        return logits


def test_a_site_inside_an_expert_has_only_the_tokens_that_go_there() -> None:
    model, x = networks.seeded(Routed).double(), 3 * networks.noise(9, 6, seed=2)
    found = Attributor(model, sites="before", method=Conductance(3))(x)
    assert not found.uncovered
    assert gap(found) < 1e-12
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CompletenessWarning)
        inside = contributions(model, x, sites=["before", "experts.0"], method=Conductance(3))
    away = model.before(x)[:, :2].argmax(1) == 1
    assert not inside["experts.0"].activation[away].any()
    assert inside["experts.0"].activation[~away].any()
