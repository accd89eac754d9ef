"""Live computations against the functions of the library that do the same slowly."""

from __future__ import annotations

import pytest
import torch

import codeclens as cl
from codeclens.attribution import contributions
from codeclens.control import activation_at
from codeclens.control.removal import remove
from codeclens.errors import CodeclensError
from codeclens.explorer import LiveNetwork
from codeclens.explorer.live_network import Cancelled, Wish, erased


def nothing() -> None:
    pass


def test_an_explanation_is_that_of_explain(live: LiveNetwork) -> None:
    x = live.input_of(7)
    found = live.described(live.explain(x, Wish(), ["3"], nothing))
    slow = cl.explain(
        live.model, x[None], live.run.modes["3"], method=cl.Conductance(steps=8), examples=0
    )
    assert found["change"] == pytest.approx(slow.change, rel=1e-5)
    terms = {term["mode"]: term for term in found["sites"][0]["terms"]}
    for term in slow["3"].terms:
        assert terms[term.mode]["contribution"] == pytest.approx(term.contribution, abs=1e-4)
        assert terms[term.mode]["effect"] == pytest.approx(term.effect, abs=1e-4)
        assert terms[term.mode]["map"].sum() == pytest.approx(term.contribution, abs=1e-4)
    total = sum(term["contribution"] for term in terms.values())
    here = found["sites"][0]
    assert total + here["unexplained"] + here["elsewhere"] == pytest.approx(slow.change, rel=1e-5)


@pytest.mark.parametrize("chosen", [[0], [1, 2], [0, 1, 2, 3, 4]])
def test_modes_switched_off_are_those_that_remove_takes_away(
    live: LiveNetwork, chosen: list[int]
) -> None:
    x = live.input_of(5)
    trial = live.explain(x, Wish(), ["3"], nothing)
    after, before = live.switched(trial, "3", dict.fromkeys(chosen, 0.0))
    found = contributions(
        live.model, x[None], sites="3", method=cl.Conductance(steps=8), reduce=None
    )
    rest = activation_at(live.model, "3", torch.zeros_like(x[None]))
    with torch.no_grad(), remove(live.model, live.run.modes["3"], chosen, found, baseline=rest):
        slow = live.model(x[None])
    assert torch.allclose(after, slow, atol=1e-5)
    assert torch.allclose(before, live.model(x[None]), atol=1e-6)


def test_a_factor_of_one_changes_nothing_and_two_adds_as_much(live: LiveNetwork) -> None:
    trial = live.explain(live.input_of(5), Wish(), ["3"], nothing)
    same, before = live.switched(trial, "3", {0: 1.0})
    assert torch.equal(same, before)
    # What follows the site is linear up to the flattening here, so effects are opposite.
    off, _ = live.switched(trial, "3", {0: 0.0})
    twice, _ = live.switched(trial, "3", {0: 2.0})
    assert torch.allclose(twice - before, before - off, atol=1e-4)


def test_a_contrast_asks_for_the_difference_of_two_logits(live: LiveNetwork) -> None:
    x = live.input_of(1)
    with torch.no_grad():
        logits, rest = live.model(x[None])[0], live.model(0 * x[None])[0]
    found = live.described(live.explain(x, Wish(0, 2), ["3"], nothing))
    assert found["change"] == pytest.approx(
        float(logits[0] - logits[2] - rest[0] + rest[2]), abs=1e-4
    )
    for wish, message in ((Wish(5), "no output 5"), (Wish(1, 1), "itself"), (Wish(0, -1), "-1")):
        with pytest.raises(CodeclensError, match=message):
            live.explain(x, wish, ["3"], nothing)


def test_an_explanation_can_be_cancelled_and_the_network_is_left_as_it_was(
    live: LiveNetwork,
) -> None:
    runs = 0

    def tick() -> None:
        nonlocal runs
        runs += 1
        if runs == 4:
            raise Cancelled

    x = live.input_of(2)
    before = live.model(x[None])
    with pytest.raises(Cancelled):
        live.explain(x, Wish(), ["3"], tick)
    assert torch.equal(live.model(x[None]), before)
    assert not any(module._forward_hooks for module in live.model.modules())
    assert not live.model._forward_pre_hooks
    live.explain(x, Wish(), ["3"], nothing)


def test_an_erased_part_has_the_mean_of_the_rest() -> None:
    x = torch.arange(16.0).reshape(1, 4, 4)
    found = erased(x, [[True, False], [False, False]])
    assert torch.equal(found[0, 2:], x[0, 2:])
    rest = torch.cat([x[0, 2:].flatten(), x[0, :2, 2:].flatten()])
    assert found[0, :2, :2].flatten().tolist() == pytest.approx([float(rest.mean())] * 4)
    for grid in ([], [[]], [[True], [True, False]], [[True]]):
        with pytest.raises(CodeclensError):
            erased(x, grid)


def test_maps_sum_to_contributions(live: LiveNetwork) -> None:
    found = live.maps("3", 1, [1, 4])
    for place, total in enumerate(found["contribution"]):
        assert found["maps"][place].sum() == pytest.approx(total, abs=1e-5)
