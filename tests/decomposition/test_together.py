"""Several networks trained in the same steps: each learns what it learns alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.decomposition.conftest import plant

from codeclens.decomposition import (
    PCA,
    Autoencoder,
    BatchTopK,
    Epoch,
    Gated,
    JumpReLU,
    Matryoshka,
    ReLUSAE,
    ThresholdSAE,
    TopK,
    decompose,
)
from codeclens.decomposition import fits as fits_module
from codeclens.decomposition.fits import Task, fit_group, grouped
from codeclens.decomposition.fitting import Preparation
from codeclens.decomposition.together import fits_together, most
from codeclens.errors import CodeclensError

KINDS = [
    TopK(n_modes=20, k=3, epochs=3),
    BatchTopK(n_modes=20, k=3, epochs=3, encoder="mlp"),
    JumpReLU(n_modes=20, k=3, epochs=3),
    Gated(n_modes=20, epochs=4, resample=1),
    ReLUSAE(n_modes=20, epochs=4, resample=1, clip=0.05),
    Matryoshka(n_modes=20, k=3, epochs=4, resample=1),
    # Most modes die: the auxiliary loss and renewals have work to do.
    TopK(n_modes=60, k=1, epochs=8, resample=2, aux_weight=0.1, learning_rate=0.02),
]
DATA = [plant(300, 8, 6, 2, seed).X for seed in range(3)]


def ready(method: Autoencoder, seed: int = 0, **data: Any) -> Preparation:
    return Preparation.of(method.clone(), data.get("X", DATA[seed]), seed, 8)


@pytest.mark.parametrize("method", KINDS, ids=repr)
def test_each_learns_what_it_learns_alone(method: Autoencoder) -> None:
    tasks = [Task(f"site{seed}", seed, method, 8) for seed in range(3)]
    assert fits_together([ready(method, seed) for seed in range(3)])
    told: list[tuple[str, Epoch]] = []
    fitted = fit_group(tasks, DATA, lambda site, epoch: told.append((site, epoch)))
    state = torch.get_rng_state()
    for task, X, found in zip(tasks, DATA, fitted, strict=True):
        alone = task.fit(X)
        assert isinstance(alone, Autoencoder)
        assert isinstance(found, Autoencoder)
        assert found.n_dropped == alone.n_dropped
        np.testing.assert_allclose(found.dictionary, alone.dictionary, atol=1e-4)
        np.testing.assert_allclose(found.encode(X), alone.encode(X), atol=1e-3)
        assert found.held_out_rows.tolist() == alone.held_out_rows.tolist()
        assert [epoch for site, epoch in told if site == task.site] == found.history
        for mine, other in zip(found.history, alone.history, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-3)
    assert torch.equal(state, torch.get_rng_state())


def test_dead_modes_of_one_network_cost_the_others_nothing() -> None:
    method = TopK(n_modes=60, k=1, epochs=8, aux_weight=0.1, learning_rate=0.02)
    alive = np.repeat(np.eye(60, 60, dtype="f4"), 5, axis=0)  # a mode for every sample
    other = np.tile(plant(300, 60, 3, 1).X[:, :60], 1)
    tasks = [Task("alive", 0, method, 60), Task("dying", 1, method, 60)]
    together = fit_group(tasks, [alive, other])
    for task, X, found in zip(tasks, [alive, other], together, strict=True):
        alone = task.fit(X)
        assert isinstance(alone, Autoencoder)
        assert isinstance(found, Autoencoder)
        losses = [[epoch.loss for epoch in one.history] for one in (found, alone)]
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    ("method", "why"),
    [
        (ThresholdSAE(n_modes=20, epochs=2), "dropout, and a rate that follows the loss"),
        (TopK(n_modes=20, k=3, epochs=2, patience=1), "may end early"),
        (TopK(n_modes=20, k=3, epochs=2, precision="bfloat16"), "autocast"),
    ],
)
def test_what_cannot_share_its_steps_goes_alone(method: Autoencoder, why: str) -> None:
    assert not fits_together([ready(method), ready(method, 1)]), why
    tasks = [Task("a", 0, method, 8), Task("b", 1, method, 8)]
    for task, X, found in zip(tasks, DATA[:2], fit_group(tasks, DATA[:2]), strict=True):
        assert np.array_equal(found.dictionary, task.fit(X).dictionary)


def test_other_shapes_signs_and_kinds_go_apart() -> None:
    method = KINDS[0]
    assert not fits_together([ready(method), ready(method, X=DATA[0][:200])])
    assert not fits_together([ready(method), ready(method, X=-DATA[0])])
    assert not fits_together([ready(method), ready(KINDS[1])])
    assert not fits_together([ready(method), ready(replace(method, epochs=4))])


def test_groups_hold_what_is_alike_and_small() -> None:
    method, large = TopK(n_modes=20, k=3), TopK(n_modes=20_000, k=3)
    tasks = [Task(site, seed, method, 8) for site in "ab" for seed in (0, 1)]
    widths = {"a": 16, "b": 16, "c": 12}
    assert grouped(tasks, 300, widths.__getitem__) == [tasks]
    assert [len(g) for g in grouped(tasks, 300, widths.__getitem__, workers=3)] == [2, 2]
    other = Task("c", 0, method, 6)
    assert grouped([*tasks, other], 300, widths.__getitem__) == [tasks, [other]]
    apart = [replace(task, method=kind) for task in tasks[:2] for kind in (large, PCA(n_modes=3))]
    assert all(len(group) == 1 for group in grouped(apart, 300, widths.__getitem__))
    assert grouped(tasks, 10**7, widths.__getitem__) == [[task] for task in tasks]
    assert most(300, 16) == 16


def test_a_store_is_decomposed_in_groups(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    whole = fits_module.fit_group

    def seen(group: Any, *rest: Any) -> Any:
        sizes.append(len(group))
        return whole(group, *rest)

    monkeypatch.setattr(fits_module, "fit_group", seen)
    method = TopK(n_modes=6, k=2, epochs=5)
    found = decompose(store, method, seed=[0, 1])
    assert sizes == [6]
    assert list(found) == store.sites
    for site, by_seed in found.items():
        for seed, modes in by_seed.items():
            alone = method.clone().fit(store.view(site, "concat"), seed=seed, n_units=6)
            np.testing.assert_allclose(modes.dictionary, alone.dictionary, atol=1e-4)


def test_errors_name_the_site() -> None:
    tasks = [Task("good", 0, KINDS[0], 8), Task("bad", 1, KINDS[0], 8)]
    with pytest.raises(CodeclensError, match=r'Site "bad": All 300 × 8 values are zero'):
        fit_group(tasks, [DATA[0], 0 * DATA[1]])
    method = replace(KINDS[0], learning_rate=1e30)
    tasks = [replace(task, method=method) for task in tasks]
    with pytest.raises(CodeclensError, match=r'Site "good": The loss became'):
        fit_group(tasks, DATA[:2])
