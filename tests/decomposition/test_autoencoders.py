"""What each autoencoder promises: planted motifs found, and the reference as published."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from codeclens.decomposition import (
    BatchTopK,
    FittedAutoencoder,
    JumpReLU,
    Matryoshka,
    ThresholdSAE,
    TopK,
)
from codeclens.decomposition.autoencoders.threshold import ThresholdNetwork, mean_magnitude
from codeclens.decomposition.stability import matched
from codeclens.decomposition.training import Cosine, Plateau
from codeclens.errors import CodeclensError

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def found(planted: Any) -> FittedAutoencoder:
    return TopK(n_modes=24, k=3).fit(planted.X, seed=0)


def test_topk_recovers_planted_motifs(planted: Any, found: FittedAutoencoder) -> None:
    match = matched(planted.motifs, found.dictionary)
    assert match.cosine.min() > 0.95
    assert found.r2 > 0.95
    assert found.l0 <= 3


def test_topk_recovers_planted_loadings(planted: Any, found: FittedAutoencoder) -> None:
    partner = matched(planted.motifs, found.dictionary).partner
    Z = found.encode(planted.X)[:, partner]
    pairs = zip(planted.loadings.T, Z.T, strict=True)
    correlation = [np.corrcoef(truth, loading)[0, 1] for truth, loading in pairs]
    # Of eight spare modes some take over a part of a motif's samples.
    assert min(correlation) > 0.85
    assert np.mean(correlation) > 0.97


def test_topk_beats_a_random_dictionary_of_samples(planted: Any, found: FittedAutoencoder) -> None:
    # Without training the cosines are those of samples, sums of three motifs.
    untrained = TopK(n_modes=24, k=3, epochs=1, learning_rate=1e-9).fit(planted.X)
    match = matched(planted.motifs, untrained.dictionary)
    assert match.cosine.mean() < 0.85
    assert untrained.r2 < found.r2 - 0.2


def test_the_data_decide_about_signs(small: Array) -> None:
    centred = small - small.mean(axis=0)
    cases = [
        (small, None, True),
        (small, False, False),
        (centred, None, False),
        (centred, True, True),
    ]
    for X, wish, expected in cases:
        method = TopK(n_modes=10, k=3, epochs=30, non_negative=wish).fit(X)
        assert bool((method.dictionary >= 0).all()) is expected


def test_length_of_training_follows_the_number_of_samples() -> None:
    method = TopK(expansion=3)
    assert method.training_settings(4500, 128).epochs == 39  # 18 steps each
    assert method.training_settings(100, 128).epochs == 300
    assert method.training_settings(50_000, 128).epochs == 10
    assert TopK(expansion=3, epochs=7).training_settings(4500, 128).epochs == 7
    assert method.training_settings(4500, 64).learning_rate == pytest.approx(8e-3)
    assert method.training_settings(4500, 64 * 16).learning_rate == pytest.approx(2e-3)
    assert TopK(expansion=3, learning_rate=0.1).training_settings(9, 9).learning_rate == 0.1
    assert isinstance(method.training_settings(9, 9).schedule, Cosine)


def test_the_reference_by_its_defaults() -> None:
    method = ThresholdSAE()
    assert method.modes_for(64) == 192
    assert 0.8 <= method.threshold <= 0.95
    assert (method.penalty, method.dropout, method.non_negative) == (5e-5, 0.05, False)
    settings = method.training_settings(50_000, 128)
    assert (settings.epochs, settings.batch_size, settings.learning_rate) == (300, 128, 5e-5)
    assert settings.schedule == Plateau(factor=0.5, patience=10)
    network = method.network(n_features=128, n_modes=192, n_units=64, non_negative=False)
    assert isinstance(network, ThresholdNetwork)
    assert isinstance(network.encoder.first, nn.Linear)
    assert network.encoder.first.weight.shape == (64, 128)
    assert network.encoder.second.weight.shape == (64, 64)
    assert network.encoder.last.weight.shape == (192, 64)
    assert network.encoder.last.bias is None
    assert network.dictionary.shape == (192, 128)


def test_the_reference_learns(planted: Any) -> None:
    method = ThresholdSAE(n_modes=48, learning_rate=2e-3, epochs=30).fit(planted.X, seed=0)
    assert method.history[-1].r2 > method.history[0].r2 + 0.5
    assert method.r2 > 0.6
    rates = [epoch.loss for epoch in method.history]
    assert rates[-1] < rates[0] / 2


def test_a_threshold_that_nothing_reaches(small: Array) -> None:
    with pytest.raises(CodeclensError, match=r"reaches the threshold 0\.999 .* after 1 epochs"):
        ThresholdSAE(n_modes=10, threshold=0.999, epochs=1).fit(small)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"threshold": 1.0}, r"ThresholdSAE.threshold \(=1\.0\) must be"),
        ({"dropout": 1.0}, r"ThresholdSAE.dropout \(=1\.0\) must be"),
        ({"hidden": 0}, r"ThresholdSAE.hidden \(=0\) must be"),
        ({"penalty": -1.0}, r"ThresholdSAE.penalty \(=-1\.0\) must be"),
        ({"plateau_factor": 1.5}, r"ThresholdSAE.plateau_factor \(=1\.5\) must be"),
        ({"n_modes": 3, "expansion": 3}, "given 3 and 3"),
    ],
)
def test_configurations_that_cannot_be(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(CodeclensError, match=said):
        ThresholdSAE(**wrong)


def test_patience_and_clip_reach_the_trainer(small: Array) -> None:
    still = TopK(n_modes=10, k=3, epochs=200, patience=3, learning_rate=1e-12).fit(small)
    assert len(still.history) < 50  # nothing gets better
    for method in (TopK(expansion=3, patience=3, clip=0.5), ThresholdSAE(patience=3, clip=0.5)):
        settings = method.training_settings(100, 8)
        assert (settings.patience, settings.clip) == (3, 0.5)


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_runs_where_the_data_are(small: Array) -> None:
    for method in (
        TopK(n_modes=10, k=3, epochs=20),
        ThresholdSAE(n_modes=10, threshold=0.5, epochs=5),
    ):
        fitted = method.fit(torch.from_numpy(small).cuda())
        assert fitted.network.dictionary.is_cuda
        assert fitted.encode(small).shape == (120, len(fitted.dictionary))


def test_a_price_on_their_number_makes_modes_fewer(small: Array) -> None:
    # Fewer modes than the sixteen that training would begin with at a larger site.
    counts = [
        JumpReLU(n_modes=12, k=None, penalty=p, epochs=150).fit(small).l0 for p in (0, 0.03, 0.3)
    ]
    assert counts[0] > counts[1] + 0.5 > counts[2] + 1


def test_wanted_numbers_of_modes_are_met(small: Array) -> None:
    for k in (2, 5, 11):
        for kind in (JumpReLU, BatchTopK):
            found = kind(n_modes=12, k=k, epochs=150, held_out=0).fit(small)
            assert found.l0 <= k + 0.7
        assert JumpReLU(n_modes=12, k=k, epochs=150, held_out=0).fit(small).l0 >= min(k, 5) - 1


@pytest.mark.parametrize("kind", [BatchTopK, Matryoshka, JumpReLU])
@pytest.mark.parametrize("k", [6, 12])
def test_wanted_numbers_of_modes_are_met_on_new_samples(kind: Any, k: int) -> None:
    # Few samples and much noise: the network overfits, and has fewer codes on training samples.
    random = np.random.default_rng(0)
    X = random.gamma(0.3, size=(1600, 30)) @ random.gamma(0.3, size=(30, 60))
    X = (X + random.gamma(1.0, size=X.shape)).astype(np.float32)
    fitted = kind(n_modes=60, k=k, epochs=20, held_out=0.3).fit(X[:1000])
    assert (fitted.encode(X[1000:]) > 0).sum(axis=1).mean() == pytest.approx(k, rel=0.1)


def test_mean_magnitude_has_the_usual_value_and_gradient() -> None:
    values = torch.tensor([[1.5, -2.0, 0.0], [-1e-8, 3.0, -7.0]], requires_grad=True)
    (slow,) = torch.autograd.grad(2 * values.abs().mean(), values)
    found = mean_magnitude(values)
    torch.testing.assert_close(found, values.abs().mean())
    torch.testing.assert_close(torch.autograd.grad(2 * found, values)[0], slow)
