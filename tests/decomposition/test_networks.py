"""The networks against slow, obvious versions of themselves."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from codeclens.decomposition.autoencoders.networks import (
    CorrectedEncoder,
    MLPEncoder,
    UnitRowNetwork,
)
from codeclens.decomposition.autoencoders.relu import GatedNetwork, JumpReLUNetwork, ReLUNetwork
from codeclens.decomposition.autoencoders.threshold import ThresholdNetwork
from codeclens.decomposition.autoencoders.topk import (
    BatchTopKNetwork,
    MatryoshkaNetwork,
    TopKNetwork,
)


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


def family(kind: type[UnitRowNetwork], **own: Any) -> Any:
    shared = {"n_features": 6, "n_modes": 10, "n_units": 6, "non_negative": False}
    return kind(**(shared | own))


def test_batch_topk_keeps_the_largest_of_the_batch(x: Tensor) -> None:
    network = family(BatchTopKNetwork, count=2)
    pre = network.encoder(x).detach()
    codes = network.select(pre)
    level = sorted(pre.flatten().tolist(), reverse=True)[2 * len(x) - 1]
    assert torch.equal(codes, torch.where(pre >= level, pre.clamp(min=0), 0.0))
    assert int((codes > 0).sum()) == 2 * len(x)
    assert len(set((codes > 0).sum(dim=1).tolist())) > 1  # not the same for every sample


def test_batch_topk_learns_a_threshold_for_single_samples(x: Tensor) -> None:
    network = family(BatchTopKNetwork, count=2)
    for _ in range(400):
        codes = network.select(network.encoder(x))
    smallest = codes[codes > 0].min()
    assert network.threshold.item() == pytest.approx(smallest.item(), rel=1e-2)
    network.threshold.fill_(smallest.item() * (1 - 1e-6))  # single rows round differently
    alone = torch.cat([network.codes(row[None]) for row in x])
    torch.testing.assert_close(alone, codes)
    network.eval().select(torch.full((4, 10), 99.0))
    kept = smallest.item() * (1 - 1e-6)  # only training teaches it
    assert network.threshold.item() == pytest.approx(kept, rel=1e-6)


def test_matryoshka_loss_is_the_mean_over_nested_parts(x: Tensor) -> None:
    network = family(MatryoshkaNetwork, count=3, levels=3)
    assert network.ends == [3, 5, 10]
    assert network.level.tolist() == [0] * 3 + [1] * 2 + [2] * 5
    codes = network.select(network.encoder(x))
    slow = [(x - codes[:, :m] @ network.dictionary[:m]).square().mean() for m in (3, 5, 10)]
    loss, error = network.misfit(x, codes)
    torch.testing.assert_close(loss, torch.stack(slow).mean())
    torch.testing.assert_close(error, x - codes @ network.dictionary)
    network.keep(torch.tensor([9, 0, 4]))
    assert network.level.tolist() == [2, 0, 1]


def test_relu_pays_for_the_sum_of_its_codes(x: Tensor) -> None:
    network = family(ReLUNetwork, penalty=0.3)
    loss, codes = network.loss(x)
    assert torch.equal(codes, torch.relu(network.encoder(x)))
    price = 0.3 * codes.sum(dim=1).mean() / math.sqrt(6)
    error = (x - codes @ network.dictionary).square().mean()
    torch.testing.assert_close(loss, error + price)


def test_a_gate_decides_and_its_price_leaves_magnitudes_alone(x: Tensor) -> None:
    network = family(GatedNetwork, penalty=0.3)
    with torch.no_grad():
        network.gate.copy_(torch.linspace(-1, 1, 10))
        network.gain.copy_(torch.linspace(-0.5, 0.5, 10))
    pre = network.encoder(x)
    gate = pre + network.gate
    magnitude = torch.relu(pre * network.gain.exp())
    codes = network.select(pre)
    torch.testing.assert_close(codes, torch.where(gate > 0, magnitude, 0.0))
    loss, _ = network.loss(x)
    frozen = torch.relu(gate) @ network.dictionary.detach()
    expected = (
        (x - codes @ network.dictionary).square().mean()
        + 0.3 * torch.relu(gate).sum(dim=1).mean() / math.sqrt(6)
        + (x - frozen).square().mean()
    )
    torch.testing.assert_close(loss, expected)
    cost = network.cost(x, pre, codes)
    of_gate, of_gain, of_rows = torch.autograd.grad(
        cost, [network.gate, network.gain, network.dictionary], allow_unused=True
    )
    assert of_gate.abs().sum() > 0
    assert of_gain is None
    assert of_rows is None


def test_thresholds_learn_through_the_kernel(x: Tensor) -> None:
    network = family(JumpReLUNetwork, penalty=0.5, k=None, bandwidth=0.5)
    with torch.no_grad():
        network.log_threshold.copy_(torch.linspace(-2, 0, 10))
        network.width.fill_(0.4)
    pre = network.encoder(x).detach().requires_grad_()
    theta = network.log_threshold.exp().detach()
    codes = network.select(pre)
    assert torch.equal(codes, torch.where(pre > theta, pre, 0.0))
    upstream = torch.randn(20, 10, generator=torch.Generator().manual_seed(1))
    of_pre, of_log = torch.autograd.grad((codes * upstream).sum(), [pre, network.log_threshold])
    torch.testing.assert_close(of_pre, torch.where(pre > theta, upstream, 0.0))
    slow_codes, slow_count = [], []
    for mode in range(10):
        t = theta[mode].item()
        near = [i for i in range(20) if abs(pre[i, mode].item() - t) < 0.2]
        # d log θ = θ d log; the kernel is 1 / width inside half a width on either side.
        slow_codes.append(t * sum(-t / 0.4 * float(upstream[i, mode]) for i in near))
        slow_count.append(t * 0.5 * -len(near) / 0.4 / 20)
    torch.testing.assert_close(of_log, torch.tensor(slow_codes), rtol=1e-4, atol=1e-5)
    cost = network.cost(x, pre, codes)
    present = (pre > theta).float().sum(dim=1).mean()
    assert cost.item() == pytest.approx(0.5 * float(present), rel=1e-6)
    (of_log,) = torch.autograd.grad(cost, network.log_threshold)
    torch.testing.assert_close(of_log, torch.tensor(slow_count), rtol=1e-4, atol=1e-6)
    network.k = 2
    wanted = 0.5 * (float(present) / 2 - 1) ** 2
    assert network.cost(x, pre, codes).item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        (BatchTopKNetwork, {"count": 3}),
        (ReLUNetwork, {"penalty": 0.1, "count": 3}),
        (GatedNetwork, {"penalty": 0.1, "count": 3}),
        (JumpReLUNetwork, {"penalty": 1.0, "k": 3, "bandwidth": 0.5, "count": 3}),
    ],
)
@pytest.mark.parametrize("encoder", ["linear", "mlp"])
def test_every_start_is_sparse_and_every_kept_mode_the_same(
    kind: Any, own: dict[str, Any], encoder: str, generator: torch.Generator
) -> None:
    data = torch.rand(300, 6, generator=generator)
    network = family(kind, encoder=encoder, hidden=4, **own)
    network.start_from(data, generator)
    present = float((network.codes(data) > 0).sum(dim=1).float().mean())
    # The priced ones begin with a quarter of ten modes at most.
    assert present == pytest.approx(2 if kind in (ReLUNetwork, GatedNetwork) else 3, abs=0.3)
    if encoder == "mlp":
        with torch.no_grad():
            network.encoder.last.normal_(0, 0.1, generator=generator)
    index = torch.tensor([7, 0, 3])
    codes = network.codes(data)
    network.keep(index)
    torch.testing.assert_close(network.codes(data), codes[:, index])


def test_the_mlp_adds_to_the_linear_encoder_and_starts_at_nothing(x: Tensor) -> None:
    encoder = CorrectedEncoder(6, 10, hidden=4)
    linear = (x - encoder.centre) @ encoder.weight.T + encoder.bias
    torch.testing.assert_close(encoder(x), linear)
    nn.init.normal_(encoder.last)
    hidden = torch.relu(encoder.second(torch.relu(encoder.first(x - encoder.centre))))
    torch.testing.assert_close(encoder(x), linear + hidden @ encoder.last.T)


def test_dead_modes_restart_at_poorly_explained_samples(generator: torch.Generator) -> None:
    data = torch.rand(64, 6, generator=generator) * torch.tensor([1, 1, 1, 0, 0, 0.0])
    odd = torch.tensor([0, 0, 0, 0, 0, 9.0])
    data[::8] += odd  # explained by no mode, once these are
    network = family(TopKNetwork, count=2, resample=1, non_negative=True)
    network.start_from(data, generator)
    with torch.no_grad():
        network.dictionary[:, 5] = 0
        network.after_step()  # rows of length one again
    before = network.dictionary.detach().clone()
    network.silent[[4, 8]] = 64.0
    network.seen.fill_(64)
    network.between_steps()
    changed = ((network.dictionary - before).abs() > 1e-3).any(dim=1).nonzero().flatten().tolist()
    assert changed == [4, 8]
    assert network.dictionary[4, 5] > 0.9
    assert network.silent[4] == 0
    assert network.due == 128
    network.silent[3] = 64.0
    network.last_renewal = 100.0
    network.seen.fill_(128)
    network.between_steps()
    torch.testing.assert_close(network.dictionary[3], before[3])  # too late to settle
