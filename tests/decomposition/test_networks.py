"""The networks against slow, obvious versions of themselves."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from codeclens.decomposition.autoencoders.threshold import ThresholdNetwork
from codeclens.decomposition.autoencoders.topk import TopKNetwork
from codeclens.decomposition.encoders import MLPEncoder


def topk(k: int = 3, *, non_negative: bool = False, modes: int = 10) -> TopKNetwork:
    return TopKNetwork(
        n_features=6,
        n_modes=modes,
        n_units=6,
        non_negative=non_negative,
        count=k,
        aux_weight=1 / 32,
    )


def threshold(*, non_negative: bool = False, level: float = 0.5) -> ThresholdNetwork:
    return ThresholdNetwork(
        n_features=6,
        n_modes=10,
        non_negative=non_negative,
        threshold=level,
        hidden=5,
        dropout=0.0,
        penalty=5e-5,
    )


@pytest.fixture
def x(generator: torch.Generator) -> Tensor:
    return torch.randn(20, 6, generator=generator)


def test_topk_keeps_the_largest_positive_codes(x: Tensor) -> None:
    network = topk()
    pre = (x - network.encoder.centre) @ network.encoder.weight.T + network.encoder.bias
    codes = network.codes(x)
    for row, found in zip(pre.tolist(), codes.tolist(), strict=True):
        best = sorted(range(10), key=lambda i: -row[i])[:3]
        slow = [max(row[i], 0) if i in best else 0 for i in range(10)]
        assert found == pytest.approx(slow, abs=1e-6)


def test_topk_loss_is_the_mean_squared_error_while_all_live(x: Tensor) -> None:
    network = topk()
    loss, codes = network.loss(x)
    assert torch.equal(codes, network.codes(x))
    assert loss.item() == pytest.approx((x - codes @ network.dictionary).square().mean().item())


def test_dead_modes_learn_what_the_others_leave(x: Tensor) -> None:
    network = topk(k=1)
    network.dead_after = 20.0
    with torch.no_grad():  # mode 0 always wins, mode 1 is positive but never the largest
        network.encoder.weight.zero_()
        network.encoder.bias.copy_(torch.tensor([2.0, 1.0] + [-1.0] * 8))
    network.loss(x)
    assert network.silent.tolist() == [0] + [20] * 9
    alive, codes = network.loss(x)
    assert network.silent.tolist() == [0] + [40] * 9
    network.dead_after = math.inf
    network.silent.zero_()
    plain, _ = network.loss(x)
    error = x - codes @ network.dictionary
    auxiliary = (error - network.dictionary[1]).square().mean()
    assert alive.item() == pytest.approx((plain + auxiliary / 32).item(), rel=1e-5)
    alive.backward()
    assert network.dictionary.grad is not None
    assert network.dictionary.grad[1].abs().sum() > 0
    assert network.dictionary.grad[2].abs().sum() == 0


@pytest.mark.parametrize("non_negative", [False, True])
def test_rows_keep_length_one_and_their_sign(x: Tensor, *, non_negative: bool) -> None:
    network = topk(non_negative=non_negative)
    network.start_from(x, torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        network.loss(x)[0].backward()
        network.before_step()
        assert network.dictionary.grad is not None
        along = (network.dictionary.grad * network.dictionary).sum(dim=1)
        assert along.abs().max() < 1e-6
        optimizer.step()
        network.after_step()
    torch.testing.assert_close(network.dictionary.norm(dim=1), torch.ones(10))
    assert bool((network.dictionary >= 0).all()) is non_negative


def test_a_row_without_any_entry_left_starts_afresh() -> None:
    network = topk(non_negative=True)
    with torch.no_grad():
        network.dictionary[4] = -1
    network.after_step()
    assert network.dictionary[4].tolist() == pytest.approx([1 / math.sqrt(6)] * 6)


def test_the_start_is_as_large_as_the_data(generator: torch.Generator) -> None:
    data = torch.rand(200, 6, generator=generator)
    network = topk(non_negative=True)
    network.start_from(data, generator)
    nearest = (nn.functional.normalize(data) @ network.dictionary.T).max(dim=0).values
    assert nearest.min() > 0.999  # every mode is a sample
    reconstruction, _ = network.reconstruct(data)
    factor = (data * reconstruction).sum() / reconstruction.square().sum()
    assert factor.item() == pytest.approx(1, abs=1e-4)


def test_equal_and_empty_samples_make_different_modes(generator: torch.Generator) -> None:
    data = torch.zeros(40, 6)
    data[20:] = 1
    network = topk(non_negative=True)
    network.start_from(data, generator)
    assert torch.isfinite(network.dictionary).all()
    assert len(torch.unique(network.dictionary, dim=0)) == 10
    torch.testing.assert_close(network.dictionary.norm(dim=1), torch.ones(10))


def test_the_reference_encoder_is_layer_by_layer_as_published(x: Tensor) -> None:
    encoder = MLPEncoder(6, 10, hidden=5, dropout=0.05).eval()
    published = nn.Sequential(
        *(nn.Linear(6, 5), nn.Dropout(0.05), nn.ReLU(), nn.LayerNorm(5)),
        *(nn.Linear(5, 5), nn.Dropout(0.05), nn.ReLU(), nn.LayerNorm(5)),
        nn.Linear(5, 10, bias=False),
    ).eval()
    published.load_state_dict(
        dict(zip(published.state_dict(), encoder.state_dict().values(), strict=True))
    )
    torch.testing.assert_close(encoder(x), published(x), rtol=0, atol=0)


def test_dropout_drops_its_share_by_its_own_generator(x: Tensor) -> None:
    encoder = MLPEncoder(6, 10, hidden=5, dropout=0.25)
    before = torch.get_rng_state()
    draws = []
    for _ in range(2):
        encoder.generator = torch.Generator().manual_seed(3)
        draws.append(encoder._drop(torch.ones(200, 50)))
    assert torch.equal(draws[0], draws[1])
    assert sorted(set(draws[0].flatten().tolist())) == pytest.approx([0, 4 / 3])
    assert float((draws[0] == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(encoder.eval()._drop(x), x)


def test_threshold_codes_and_loss(x: Tensor) -> None:
    network = threshold()
    probabilities = torch.sigmoid(network.encoder(x))
    codes = network.codes(x)
    assert torch.equal(codes, torch.where(probabilities >= 0.5, probabilities, 0.0))
    assert 0 < int((codes > 0).sum()) < codes.numel()
    loss, _ = network.loss(x)
    error = (x - codes @ network.dictionary).square().mean()
    expected = error + 5e-5 * network.dictionary.abs().mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_mask_passes_gradient_only_where_it_is_open(x: Tensor) -> None:
    network = threshold()
    logits = network.encoder(x).detach().requires_grad_()
    network.encoder.forward = lambda _: logits  # type: ignore[method-assign]
    network.codes(x).sum().backward()
    s = torch.sigmoid(logits.detach())
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, s * (1 - s) * (s >= 0.5))


def test_a_non_negative_threshold_dictionary(x: Tensor) -> None:
    network = threshold(non_negative=True)
    assert (network.dictionary >= 0).all()
    with torch.no_grad():
        network.dictionary[0, 0] = -1
    network.after_step()
    assert network.dictionary[0, 0] == 0
    signed = threshold()
    before = signed.dictionary.clone()
    signed.after_step()
    assert torch.equal(signed.dictionary, before)
    assert (before < 0).any()


@pytest.mark.parametrize("network", [topk(k=10), threshold()])
def test_keeping_modes_keeps_their_codes(network: TopKNetwork, x: Tensor) -> None:
    codes, dictionary = network.codes(x), network.dictionary.detach().clone()
    index = torch.tensor([7, 0, 3])
    network.keep(index)
    torch.testing.assert_close(network.codes(x), codes[:, index])
    assert torch.equal(network.dictionary, dictionary[index])
