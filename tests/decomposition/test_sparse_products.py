"""Products by entries are the products, and so are their gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from codeclens.decomposition.autoencoders import sparse_products as sparse
from codeclens.decomposition.autoencoders.networks import largest


def problem(seed: int, batch: int, modes: int, units: int, k: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, units, generator=generator)
    weight = torch.randn(modes, units, generator=generator)
    bias = torch.randn(modes, generator=generator)
    dictionary = torch.randn(modes, units, generator=generator)
    return x, weight, bias, dictionary, torch.tensor(k)


def gradients(
    given: tuple[Tensor, ...],
    *,
    by_entries: bool,
    monkeypatch: pytest.MonkeyPatch,
    by_modes: bool = False,
) -> list[Tensor]:
    """The reconstruction by the k largest codes, and the gradients of its squared error."""
    monkeypatch.setattr(sparse, "pays", lambda codes, columns: by_entries)
    if by_modes:
        everywhere = lambda codes, columns: codes.ne(0).any(dim=0).nonzero().flatten()  # noqa: E731
        monkeypatch.setattr(sparse, "present", everywhere)
    x, weight, bias, dictionary = (t.clone().requires_grad_() for t in given[:4])
    codes = largest(torch.relu(sparse.encode(x, weight, bias)), int(given[4]))
    made = sparse.decode(codes, dictionary)
    (x.detach() - made).square().sum().backward()
    return [made.detach(), *(t.grad for t in (x, weight, bias, dictionary) if t.grad is not None)]


@given(
    st.integers(0, 99), st.integers(1, 9), st.integers(1, 12), st.integers(1, 7), st.integers(1, 5)
)
def test_sparse_is_dense(seed: int, batch: int, modes: int, units: int, k: int) -> None:
    given = problem(seed, batch, modes, units, k)
    with pytest.MonkeyPatch.context() as monkeypatch:
        dense = gradients(given, by_entries=False, monkeypatch=monkeypatch)
        by_entries = gradients(given, by_entries=True, monkeypatch=monkeypatch)
        by_modes = gradients(given, by_entries=False, by_modes=True, monkeypatch=monkeypatch)
    assert len(dense) == len(by_entries) == len(by_modes) == 5
    for a, b, c in zip(dense, by_entries, by_modes, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(a, c, rtol=1e-4, atol=1e-4)


def test_dense_matches_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias, dictionary, k = problem(0, 6, 10, 5, 3)
    ours = gradients((x, weight, bias, dictionary, k), by_entries=True, monkeypatch=monkeypatch)
    leaves = [t.clone().requires_grad_() for t in (x, weight, bias, dictionary)]
    made = largest(torch.relu(F.linear(*leaves[:3])), 3) @ leaves[3]
    (x - made).square().sum().backward()
    for a, b in zip([made, *(leaf.grad for leaf in leaves)], ours, strict=True):
        torch.testing.assert_close(a, b)


def test_nothing_but_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "pays", lambda codes, columns: True)
    dictionary = torch.ones(3, 2, requires_grad=True)
    made = sparse.decode(torch.zeros(4, 3), dictionary)
    made.sum().backward()
    assert torch.equal(made, torch.zeros(4, 2))
    assert torch.equal(dictionary.grad, torch.zeros(3, 2))  # type: ignore[arg-type]


def test_when_it_pays() -> None:
    few, many = torch.zeros(256, 1536), torch.zeros(256, 1536)
    few[:, :16] = 1
    many[:, :256] = 1
    assert sparse.pays(few, 512)
    assert not sparse.pays(few, 64)
    assert not sparse.pays(many, 512)
    assert not sparse.pays(few.double(), 512)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not sparse.pays(few, 512)


def test_both_ways_train_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    from codeclens.decomposition import TopK

    X = torch.rand(300, 20, generator=torch.Generator().manual_seed(0))
    fitted = []
    for by_entries in (False, True):
        monkeypatch.setattr(sparse, "pays", lambda codes, columns, by=by_entries: by)
        fitted.append(TopK(n_modes=30, k=4, epochs=5).fit(X))
    assert fitted[0].r2 == pytest.approx(fitted[1].r2, abs=1e-3)


def test_modes_that_are_absent_from_a_batch_are_left_out() -> None:
    codes = torch.zeros(64, 300)
    codes[3, 7], codes[60, 299] = 1.0, -2.0
    found = sparse.present(codes, 200)
    assert found is not None
    assert found.tolist() == [7, 299]
    assert sparse.present(codes, 20) is None  # rows too short to be worth it
    assert sparse.present(codes[:8], 200) is None  # too few samples
    assert sparse.present(torch.ones(64, 300), 200) is None


def test_absent_modes_get_no_gradient_and_present_ones_all_of_it() -> None:
    torch.manual_seed(0)
    codes = torch.rand(64, 100) * (torch.rand(100) < 0.5)
    dictionary = torch.randn(100, 128)
    results = []
    for way in (sparse.decode, torch.matmul):
        c, d = codes.clone().requires_grad_(), dictionary.clone().requires_grad_()
        way(c, d).square().sum().backward()
        assert c.grad is not None
        assert d.grad is not None
        results.append((c.grad * (codes != 0), d.grad))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)
