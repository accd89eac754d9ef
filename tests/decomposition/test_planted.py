"""Planted truth: it is the truth, and methods find it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

import codeclens as cl
from codeclens.decomposition import PCA, TopK
from codeclens.decomposition.planted import area_under_curve, plant
from codeclens.errors import CodeclensError


@pytest.mark.parametrize("mixing", [0.0, 0.7])
def test_data_are_what_contributions_gives(mixing: float) -> None:
    planted = plant(40, pathways=5, units=8, units_each=3, idle=2, noise=0.2, mixing=mixing)
    found = cl.contributions(
        planted.network, planted.inputs, sites=["hidden"], target=cl.Output(0)
    )["hidden"]
    positive, negative = found.positive.numpy(), found.negative.numpy()
    np.testing.assert_allclose(positive, planted.data("positive"), atol=1e-4)
    np.testing.assert_allclose(negative, planted.data("negative"), atol=1e-4)
    np.testing.assert_allclose(
        np.concatenate([positive, -negative], axis=1), planted.data("concat"), atol=1e-4
    )
    np.testing.assert_allclose(found.activation.numpy(), planted.data("activation"), atol=1e-4)


@pytest.mark.parametrize("view", ["concat", "sum", "positive", "negative", "activation"])
def test_motifs_make_the_data_exactly(view: Any) -> None:
    planted = plant(50, pathways=6, units=9, units_each=3, idle=0)
    made = planted.present @ planted.motifs(view)
    np.testing.assert_allclose(made, planted.data(view), rtol=1e-4, atol=1e-5)
    assert planted.motifs("concat").min() >= 0


def test_a_rotation_mixes_units_but_not_their_total() -> None:
    plain, mixed = (plant(50, mixing=mixing, idle=0) for mixing in (0.0, 1.0))
    np.testing.assert_allclose(plain.data("sum").sum(1), mixed.data("sum").sum(1), atol=1e-4)
    made = mixed.present @ mixed.motifs("sum")
    np.testing.assert_allclose(made, mixed.data("sum"), rtol=1e-3, atol=1e-4)
    few, many = ((np.abs(p.net) > 1e-6).sum(axis=1).mean() for p in (plain, mixed))
    assert few == 6
    assert many > 20


def test_the_truth_recovers_itself_and_chance_does_not() -> None:
    planted = plant(300)
    perfect = planted.recovery(planted.motifs("concat"), planted.present)
    np.testing.assert_allclose(perfect.cosine, 1)
    np.testing.assert_allclose(perfect.auc, 1)
    rng = np.random.default_rng(0)
    chance = planted.recovery(rng.random((16, 80)), rng.random((300, 16)))
    assert chance.cosine.mean() < 0.6
    assert 0.4 < chance.auc.mean() < 0.6
    missing = planted.recovery(planted.motifs("concat")[:2], planted.present[:, :2])
    assert missing.cosine[2:].tolist() == [0] * 14
    assert missing.auc[2:].tolist() == [0.5] * 14


def test_a_mode_and_its_loadings_may_be_turned_round() -> None:
    planted = plant(200)
    found = planted.recovery(-planted.motifs("sum"), -planted.present, "sum")
    np.testing.assert_allclose(found.cosine, 1)
    np.testing.assert_allclose(found.auc, 1)


def test_topk_recovers_contributions_better_than_activations() -> None:
    planted = plant(1000, noise=0.1)
    cosine = {}
    for view in ("concat", "activation"):
        X = planted.data(view)
        found = TopK(n_modes=24, k=4, epochs=80).fit(X)
        cosine[view] = planted.recovery(found.dictionary, found.encode(X), view).cosine.mean()
    X = planted.data("concat")
    simple = PCA(n_modes=16).fit(X)
    assert cosine["concat"] > 0.85
    assert cosine["concat"] > cosine["activation"] + 0.03
    assert planted.recovery(simple.dictionary, simple.encode(X)).cosine.mean() < 0.8


@given(st.integers(0, 2**31), st.integers(2, 30))
def test_area_under_curve_is_scikit_learns(seed: int, samples: int) -> None:
    rng = np.random.default_rng(seed)
    strength = rng.integers(0, 4, samples).astype(float)
    present = rng.random(samples) < 0.5
    if present.all() or not present.any():
        assert area_under_curve(strength, present) == 0.5
    else:
        assert area_under_curve(strength, present) == pytest.approx(
            roc_auc_score(present, strength)
        )


def test_sizes_that_cannot_be() -> None:
    with pytest.raises(CodeclensError, match="units_each=9 of 8 units"):
        plant(10, units=8, units_each=9)
    with pytest.raises(CodeclensError, match="present=5 in 10 samples"):
        plant(10, pathways=4, present=5)
