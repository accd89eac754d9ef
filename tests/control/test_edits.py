"""Edits, masks and positions against loops over single values."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import networks
from codeclens.attribution import Site
from codeclens.control import Intervention
from codeclens.control.edits import (
    Add,
    Edit,
    Exchange,
    Frame,
    Put,
    Scale,
    Withdraw,
    of_samples,
)
from codeclens.control.units import at_positions, by_hand, by_weight
from codeclens.errors import CodeclensError

# A site of each kind, the shape of its tensor, and how many units it has.
KINDS: dict[str, tuple[Site, tuple[int, ...], int]] = {
    "channels": (Site("conv"), (4, 3, 2, 5), 3),
    "features of tokens": (Site("block"), (4, 5, 3), 3),
    "heads": (Site("proj", port="input", heads=3), (4, 5, 6), 3),
    "neurons": (Site("fc"), (4, 3), 3),
    "channels last": (Site("map", unit_axis=-1), (4, 2, 5, 3), 3),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def unit_and_place(site: Site, index: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of one entry of an activation: its sample, its unit, and its position(s)."""
    axis = site.unit_axis if site.unit_axis is not None else (2 if len(shape) == 3 else 1)
    axis %= len(shape)
    feature, places = index[axis], index[1:axis] + index[axis + 1 :]
    if site.heads is not None:
        feature //= shape[axis] // site.heads
    return (index[0], feature, *places)


def entry_by_entry(
    site: Site, a: Tensor, change: Callable[[float, int, int, tuple[int, ...]], float]
) -> Tensor:
    """Every entry by its own: `change(value, sample, unit, place)`."""
    out = a.clone()
    for index in np.ndindex(*a.shape):
        sample, unit, *place = unit_and_place(site, index, tuple(a.shape))
        out[index] = change(float(a[index]), sample, unit, tuple(place))
    return out


EDITS: dict[str, tuple[Edit, Callable[[float, int], float]]] = {
    "put": (Put(2.0), lambda v, u: 2.0),
    "put one each": (Put(torch.tensor([1.0, 2.0, 3.0])), lambda v, u: 1.0 + u),
    "scale": (Scale(-1.5), lambda v, u: -1.5 * v),
    "scale each": (Scale(torch.tensor([0.0, 1.0, 2.0])), lambda v, u: v * u),
    "add": (Add(torch.tensor([0.0, 1.0, -2.0]), 0.5), lambda v, u: v + 0.5 * (0, 1, -2)[u]),
    "withdraw": (
        Withdraw(torch.tensor([0.0, 0.25, 1.0]), 3.0),
        lambda v, u: v - (0, 0.25, 1)[u] * (v - 3),
    ),
}


@kinds
@pytest.mark.parametrize("name", EDITS)
def test_edits_of_chosen_units(kind: str, name: str) -> None:
    site, shape, _ = KINDS[kind]
    edit, change = EDITS[name]
    a = networks.noise(*shape)
    before = a.clone()
    found = Intervention(site, edit, (0, 2))(site, a)
    expected = entry_by_entry(site, a, lambda v, s, u, p: change(v, u) if u in (0, 2) else v)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-15)
    assert torch.equal(a, before)


@kinds
def test_values_for_each_sample_in_the_layout_of_the_activation(kind: str) -> None:
    site, shape, units = KINDS[kind]
    a, other = networks.noise(*shape), networks.noise(*shape, seed=2)
    found = Intervention(site, Put(other), (1,))(site, a)
    reached = entry_by_entry(site, torch.zeros(shape), lambda v, s, u, p: float(u == 1)).bool()
    assert torch.equal(found, torch.where(reached, other, a))
    # One for each sample and unit, and for two copies of half as many samples.
    each = networks.noise(2, units, seed=3)
    found = Intervention(site, Put(each), (0, 1, 2))(site, a)
    expected = entry_by_entry(site, a, lambda v, s, u, p: float(each[s % 2, u]))
    assert torch.equal(found, expected)


@kinds
def test_many_masks_belong_to_copies_of_the_batch(kind: str) -> None:
    site, shape, _ = KINDS[kind]
    masks = torch.tensor([[True, False, True], [False, False, True]])
    a = networks.noise(*shape)
    for act in ("ablate", "preserve"):
        found = Intervention(site, act, masks)(site, torch.cat([a, a]))
        parts = [Intervention(site, act, tuple(np.flatnonzero(m)))(site, a) for m in masks]
        assert torch.equal(found, torch.cat(parts))
        split = Intervention(site, act, masks).split()
        assert torch.equal(torch.cat([one(site, a) for one in split]), found)


@kinds
def test_weights_move_units_part_of_the_way(kind: str) -> None:
    site, shape, _ = KINDS[kind]
    a, weights = networks.noise(*shape), torch.tensor([0.0, 0.25, 1.0])
    found = Intervention(site, "ablate", weights, value=2.0)(site, a)
    expected = entry_by_entry(site, a, lambda v, s, u, p: v + float(weights[u]) * (2 - v))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-15)
    kept = Intervention(site, "preserve", weights)(site, a)
    expected = entry_by_entry(site, a, lambda v, s, u, p: float(weights[u]) * v)
    torch.testing.assert_close(kept, expected, rtol=0, atol=1e-15)
    # Exact at both ends.
    reached = entry_by_entry(site, a, lambda v, s, u, p: float(u == 2)).bool()
    untouched = entry_by_entry(site, a, lambda v, s, u, p: float(u == 0)).bool()
    assert (found[reached] == 2).all()
    assert torch.equal(found[untouched], a[untouched])


def test_positions_of_every_kind_of_site() -> None:
    grid = torch.zeros(2, 5, dtype=torch.bool)
    grid[1, 3] = grid[0, 0] = True
    for kind, positions, reached in (
        ("channels", grid, lambda p: bool(grid[p])),
        ("channels last", grid.numpy(), lambda p: bool(grid[p])),
        ("features of tokens", [0, 3], lambda p: p[0] in (0, 3)),
        ("features of tokens", grid[1], lambda p: p[0] == 3),
        ("heads", torch.tensor([4]), lambda p: p[0] == 4),
        ("heads", grid[1], lambda p: p[0] == 3),
        ("features of tokens", [], lambda p: False),
    ):
        site, shape, _ = KINDS[kind]
        a = networks.noise(*shape)
        found = Intervention(site, "ablate", (0, 1), positions=positions)(site, a)
        expected = entry_by_entry(
            site, a, lambda v, s, u, p, r=reached: 0.0 if u < 2 and r(p) else v
        )
        assert torch.equal(found, expected), kind


def test_exchanged_samples() -> None:
    site, a = Site("conv"), networks.noise(4, 3, 2, 5)
    found = Intervention(site, Exchange((2, 0, 1, 3)), (1,))(site, a)
    assert torch.equal(found[:, 1], a[[2, 0, 1, 3], 1])
    assert torch.equal(found[:, [0, 2]], a[:, [0, 2]])
    # Two copies of a batch of two: each exchanges within itself.
    found = Exchange((1, 0))(Frame(site, a))
    assert torch.equal(found, site.units(a)[[1, 0, 3, 2]])


arrays = st.integers(0, 10_000).map(lambda seed: networks.noise(2, 3, 4, seed=seed))
subsets = st.sets(st.integers(0, 3)).map(lambda chosen: tuple(sorted(chosen)))
TOKENS = Site("block")


@settings(max_examples=40, deadline=None)
@given(a=arrays, chosen=subsets)
def test_equivalent_ways_to_select_units(a: Tensor, chosen: tuple[int, ...]) -> None:
    def done(kind: str | Edit, units: tuple[int, ...] = chosen) -> Tensor:
        return Intervention(TOKENS, kind, units)(TOKENS, a)

    others = tuple(sorted({0, 1, 2, 3} - set(chosen)))
    assert torch.equal(done("ablate"), done("preserve", others))
    assert torch.equal(done("ablate", (0, 1, 2, 3)), done("preserve", ()))
    assert torch.equal(done("ablate", ()), a)
    assert torch.equal(done(Scale(0.0)), done("ablate"))
    assert torch.equal(done(Scale(1.0)), a)
    assert torch.equal(done(Add(networks.noise(4), 0.0)), a)
    assert torch.equal(done(Withdraw(0.0, 7.0)), a)
    torch.testing.assert_close(done(Withdraw(1.0, 7.0)), done(Put(7.0)), rtol=0, atol=1e-14)
    assert torch.equal(done(Put(a)), a)
    assert torch.equal(done(Exchange((0, 1))), a)
    once = Intervention(TOKENS, "ablate", chosen)
    assert torch.equal(once(TOKENS, once(TOKENS, a)), once(TOKENS, a))


@settings(max_examples=40, deadline=None)
@given(a=arrays, one=subsets, other=subsets)
def test_edits_of_different_units_commute(
    a: Tensor, one: tuple[int, ...], other: tuple[int, ...]
) -> None:
    def both(*acts: Intervention) -> Tensor:
        out = a
        for act in acts:
            out = act(TOKENS, out)
        return out

    apart = tuple(sorted(set(other) - set(one)))
    first = Intervention(TOKENS, Scale(2.0), one)
    second = Intervention(TOKENS, Add(networks.noise(4), 3.0), apart)
    assert torch.equal(both(first, second), both(second, first))
    ablate, more = (Intervention(TOKENS, "ablate", units) for units in (one, other))
    union = Intervention(TOKENS, "ablate", tuple(sorted({*one, *other})))
    assert torch.equal(both(ablate, more), both(union))
    keep, fewer = (Intervention(TOKENS, "preserve", units) for units in (one, other))
    shared = Intervention(TOKENS, "preserve", tuple(sorted({*one} & {*other})))
    assert torch.equal(both(keep, fewer), both(shared))


def test_the_values_of_some_of_many_samples() -> None:
    each, one = networks.noise(6, 2), networks.noise(1, 2)
    cut = of_samples(Withdraw(each, one), slice(2, 4), 6)
    assert isinstance(cut, Withdraw)
    assert torch.equal(cut.share, each[2:4])
    assert cut.baseline is one
    by_unit = Put(torch.arange(6.0))
    assert of_samples(by_unit, slice(2, 4), 6).value is by_unit.value
    with pytest.raises(CodeclensError, match=r"share has shape \(6, 2\); for 8 samples"):
        of_samples(Withdraw(each, 0.0), slice(0, 2), 8)
    with pytest.raises(CodeclensError, match="cannot exchange values in a sweep"):
        of_samples(Exchange((1, 0)), slice(0, 2), 2)


# Users' mistakes


@pytest.mark.parametrize("bad", [math.nan, math.inf, torch.tensor([0.0, math.nan]), "much", None])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("value", Put),
        ("factor", Scale),
        ("strength", lambda bad: Add(torch.ones(2), bad)),
        ("direction", lambda bad: Add(bad, 1.0)),
        ("share", lambda bad: Withdraw(bad, 0.0)),
        ("baseline", lambda bad: Withdraw(0.5, bad)),
    ],
)
def test_numbers_are_finite(name: str, make: Callable[[object], Edit], bad: object) -> None:
    with pytest.raises(
        CodeclensError, match=rf"{name}(=.* is not a| holds numbers that are not) f"
    ):
        make(bad)


def test_values_masks_and_positions_that_do_not_fit() -> None:
    site, a = Site("conv"), torch.zeros(4, 3, 2, 5)
    grid = torch.ones(5, 2, dtype=torch.bool)
    for act, message in (
        (Intervention(site, Put(torch.zeros(5)), (0,)), r"value has shape \(5,\); pass one number"),
        (Intervention(site, Put(torch.zeros(3, 3)), (0,)), r"value has shape \(3, 3\)"),
        (
            Intervention(site, Add(torch.zeros(2, 3, 5, 2), 1.0), (0,)),
            r"direction .*\(2, 3, 5, 2\)",
        ),
        (Intervention(site, "ablate", torch.ones(4).bool()), r"Masks of shape \(4,\) .* 3 units"),
        (
            Intervention(site, "ablate", torch.ones(3, 3).bool()),
            "3 masks: the batch must hold one",
        ),
        (Intervention(site, "ablate", (3,)), r"Unit 3 is out of range: site \"conv\" gives"),
        (Intervention(site, Exchange((0, 1, 2)), (0,)), "for each of 4 samples"),
        (Intervention(site, Exchange((0, 4)), (0,)), "for each of 4 samples"),
        (
            Intervention(site, "ablate", (0,), positions=grid),
            r"has shape \(5, 2\), but site .*2, 5",
        ),
        (Intervention(site, "ablate", (0,), positions=[1]), r"pass a mask of booleans of that sh"),
    ):
        with pytest.raises(CodeclensError, match=message):
            act(site, a)
    tokens = torch.zeros(4, 5, 3)
    for positions, message in (
        ([0, 5], "Position 5 is out of range"),
        ([-1], "Position -1 is out of range"),
        ([0.5], "type torch.float"),
    ):
        with pytest.raises(CodeclensError, match=message):
            at_positions(positions, Site("block"), tokens)


def test_choices_that_cannot_be() -> None:
    assert torch.equal(by_hand(torch.tensor([True, False]), Site("a")), torch.tensor([True, False]))
    for bad in ([0.5, 1.5], [-0.1], [[[0.5]]], [1, 0], []):
        with pytest.raises(CodeclensError, match=r"pass numbers between 0 and 1"):
            by_weight(bad, Site("a"))
