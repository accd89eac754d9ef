"""Sparse codes: products with matrices most of whose entries are zero, by the entries that are not.

A TopK code has k entries in thousands. Then the reconstruction is a weighted sum of k rows of the
dictionary, and so is every gradient: only the encoder's forward pass needs all products. Whether
that is faster is decided batch by batch from the number of entries; the results are the same up to
rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

# Fitted to a grid of shapes on one thread: looking for the entries costs about as much as _SEARCH
# products for each place of the codes, and a product by entry as much as _GATHER others. What is
# chosen is held against both ways by `python -m benchmarks.training products`.
_SEARCH = 96
_GATHER = 12


def pays(codes: Tensor, columns: int) -> bool:
    """Whether products of `codes` with `(K, columns)` are faster by their entries.

    >>> codes = torch.zeros(256, 1536)
    >>> codes[:, :16] = 1
    >>> pays(codes, 512), pays(codes, 16), pays(torch.ones(256, 1536), 512)
    (True, False, False)
    """
    if codes.device.type != "cpu" or codes.dtype != torch.float32 or columns <= _SEARCH:
        return False
    if torch.is_autocast_enabled("cpu"):
        return False
    entries = int(codes.count_nonzero())
    return entries * columns * _GATHER + codes.numel() * _SEARCH < codes.numel() * columns


def decode(
    codes: Float[Tensor, "batch mode"], dictionary: Float[Tensor, "mode unit"]
) -> Float[Tensor, "batch unit"]:
    """`codes @ dictionary`, by the entries of the codes that are not zero where that is faster.

    Codes that are zero then get no gradient. They need none where they come from a rectification,
    a choice of the largest or a mask, which would stop it anyway.

    >>> codes = torch.zeros(256, 1536)
    >>> codes[:, 3] = 2
    >>> decode(codes, torch.ones(1536, 512))[0, :3]
    tensor([2., 2., 2.])
    """
    if not pays(codes, dictionary.shape[1]):
        return codes @ dictionary
    found: Tensor = _Decode.apply(codes, dictionary)
    return found


def encode(
    x: Float[Tensor, "batch unit"],
    weight: Float[Tensor, "mode unit"],
    bias: Float[Tensor, " mode"],
) -> Float[Tensor, "batch mode"]:
    """`x @ weight.T + bias`, whose gradients go by the entries that are not zero where it pays.

    >>> encode(torch.ones(2, 4), torch.ones(3, 4), torch.zeros(3)).shape
    torch.Size([2, 3])
    """
    if torch.is_autocast_enabled(x.device.type):
        return F.linear(x, weight, bias)
    found: Tensor = _Encode.apply(x, weight, bias)
    return found


class _Entries:
    """The entries of a matrix that are not zero, in the order of its rows."""

    def __init__(self, matrix: Tensor) -> None:
        flat = matrix.reshape(-1).nonzero().flatten()
        self.shape = matrix.shape
        self.flat = flat
        self.row = flat // matrix.shape[1]
        self.column = flat - self.row * matrix.shape[1]
        self.value = matrix.reshape(-1)[flat]

    def times(self, other: Tensor) -> Tensor:
        """The matrix times another."""
        return _bags(self.row, self.column, self.value, other, self.shape[0])

    def transposed_times(self, other: Tensor) -> Tensor:
        """The transposed matrix times another."""
        order = self.column.argsort(stable=True)
        return _bags(self.column[order], self.row[order], self.value[order], other, self.shape[1])


def _bags(bag: Tensor, row: Tensor, weight: Tensor, table: Tensor, bags: int) -> Tensor:
    """Sums of weighted rows of a table, one for each bag; `bag` ascends."""
    first = torch.searchsorted(bag, torch.arange(bags))
    return F.embedding_bag(row, table, first, mode="sum", per_sample_weights=weight)


class _Decode(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, codes: Tensor, dictionary: Tensor) -> Tensor:
        ctx.entries = _Entries(codes)
        ctx.save_for_backward(dictionary)
        entries: _Entries = ctx.entries
        return entries.times(dictionary)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (gradient,) = gradients
        (dictionary,) = ctx.saved_tensors
        entries: _Entries = ctx.entries
        gradient = gradient.contiguous()
        of_codes = of_dictionary = None
        if ctx.needs_input_grad[0]:
            # Each entry's is the product of two rows, which is what a bag's weight gets.
            with torch.enable_grad():
                weight = entries.value.detach().requires_grad_()
                made = _bags(entries.row, entries.column, weight, dictionary, entries.shape[0])
                (of_entries,) = torch.autograd.grad(made, weight, gradient)
            of_codes = gradient.new_zeros(entries.shape)
            of_codes.view(-1)[entries.flat] = of_entries
        if ctx.needs_input_grad[1]:
            of_dictionary = entries.transposed_times(gradient)
        return of_codes, of_dictionary


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        entries = _Entries(gradient) if pays(gradient, x.shape[1]) else None
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = gradient @ weight if entries is None else entries.times(weight)
        if ctx.needs_input_grad[1]:
            of_weight = gradient.T @ x if entries is None else entries.transposed_times(x)
        of_bias = gradient.sum(dim=0) if ctx.needs_input_grad[2] else None
        return of_x, of_weight, of_bias
