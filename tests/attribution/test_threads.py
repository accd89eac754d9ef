"""Threads: calls on one model wait for each other, and its other users notice nothing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

import networks
from codeclens.attribution import Conductance, Site, contributions, frozen, tapped


def test_two_threads_get_the_right_numbers_and_leave_the_model_as_it_was() -> None:
    model = networks.plain_mlp().double().train()
    inputs = [networks.noise(3, 6) + number for number in range(40)]

    def one(number: int) -> torch.Tensor:
        sites = ["1", "3"] if number % 2 else ["0"]
        found = contributions(model, inputs[number], sites=sites, method=Conductance(steps=2))
        return torch.cat([site.net for site in found.values()], dim=1)

    expected = [one(number) for number in range(40)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(one, range(40)))
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(module.training for module in model.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_plain_forward_in_another_thread_is_not_tapped() -> None:
    model, x = networks.plain_mlp().double(), networks.noise(2, 6)
    expected = model(x)
    with (
        frozen(model),
        tapped(model, [Site("1")], lambda _, t: torch.zeros_like(t)),
        ThreadPoolExecutor(1) as pool,
    ):
        assert pool.submit(lambda: bool((model(x) == expected).all())).result()
        assert not (model(x) == expected).all()


def test_models_that_share_a_part_wait_for_each_other() -> None:
    shared = nn.Linear(2, 2)
    first, second = nn.Sequential(shared), nn.Sequential(shared, nn.ReLU())
    order: list[str] = []

    def other() -> None:
        with frozen(second):
            order.append("second")

    with frozen(first):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert shared.weight.requires_grad
