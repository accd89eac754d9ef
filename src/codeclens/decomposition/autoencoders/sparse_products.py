"""Products with sparse codes, computed from the non-zero entries where that is faster.

A TopK code has k non-zero entries in thousands. The reconstruction is then a weighted sum of k rows
of the dictionary, and so is every gradient: only the encoder's forward pass needs all products.
If there are too many entries for that, many modes may still be inactive in the whole batch, and
products skip their columns. The fastest way is chosen for each batch; results are the same up to
rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

# Fitted to a grid of shapes on one thread: finding the non-zero entries costs about as much as
# _SEARCH products for each place of the codes, and a product by entry as much as _GATHER others.
# `python -m benchmarks.training products` compares the choice with both ways.
_SEARCH = 96
_GATHER = 12
# Skipping columns copies the others: that needs enough samples, and enough columns to skip.
_FEWEST_ROWS, _MOST_PRESENT = 32, 0.8


def pays(codes: Tensor, columns: int) -> bool:
    """Whether products of `codes` with `(K, columns)` are faster by their non-zero entries.

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


def present(codes: Tensor, columns: int) -> Tensor | None:
    """The modes that are active in any sample of a batch, where products by these are faster.

    >>> codes = torch.zeros(128, 1536)
    >>> codes[:, 5:7] = 1
    >>> present(codes, 512), present(torch.ones(128, 1536), 512)
    (tensor([5, 6]), None)
    """
    if codes.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return None
    if len(codes) < _FEWEST_ROWS or columns < _SEARCH:
        return None
    found = codes.ne(0).any(dim=0).nonzero().flatten()
    return found if len(found) < _MOST_PRESENT * codes.shape[1] else None


def decode(
    codes: Float[Tensor, "batch mode"], dictionary: Float[Tensor, "mode unit"]
) -> Float[Tensor, "batch unit"]:
    """`codes @ dictionary`, by the non-zero entries of the codes where that is faster.

    Codes that are zero then get no gradient. They need none after a rectification, a top-k
    selection or a mask, which would block it anyway.

    >>> codes = torch.zeros(256, 1536)
    >>> codes[:, 3] = 2
    >>> decode(codes, torch.ones(1536, 512))[0, :3]
    tensor([2., 2., 2.])
    """
    found: Tensor
    if pays(codes, dictionary.shape[1]):
        found = _Decode.apply(codes, dictionary)
        return found
    modes = present(codes, dictionary.shape[1])
    if modes is None:
        return codes @ dictionary
    found = _DecodePresent.apply(codes, dictionary, modes)
    return found


def encode(
    x: Float[Tensor, "batch unit"],
    weight: Float[Tensor, "mode unit"],
    bias: Float[Tensor, " mode"] | None = None,
) -> Float[Tensor, "batch mode"]:
    """`x @ weight.T + bias`, with gradients by their non-zero entries where that is faster.

    >>> encode(torch.ones(2, 4), torch.ones(3, 4), torch.zeros(3)).shape
    torch.Size([2, 3])
    """
    if torch.is_autocast_enabled(x.device.type):
        return F.linear(x, weight, bias)
    found: Tensor = _Encode.apply(x, weight, bias)
    return found


class _Entries:
    """The non-zero entries of a matrix, row by row."""

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
            # The gradient of an entry is a product of two rows, as that of a bag's weight.
            with torch.enable_grad():
                weight = entries.value.detach().requires_grad_()
                made = _bags(entries.row, entries.column, weight, dictionary, entries.shape[0])
                (of_entries,) = torch.autograd.grad(made, weight, gradient)
            of_codes = gradient.new_zeros(entries.shape)
            of_codes.view(-1)[entries.flat] = of_entries
        if ctx.needs_input_grad[1]:
            of_dictionary = entries.transposed_times(gradient)
        return of_codes, of_dictionary


class _DecodePresent(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, codes: Tensor, dictionary: Tensor, modes: Tensor) -> Tensor:
        few, rows = codes[:, modes], dictionary[modes]
        ctx.save_for_backward(few, rows, modes)
        ctx.shape = dictionary.shape
        return few @ rows

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (gradient,) = gradients
        few, rows, modes = ctx.saved_tensors
        of_codes = of_dictionary = None
        if ctx.needs_input_grad[0]:
            of_codes = gradient.new_zeros(len(few), ctx.shape[0])
            of_codes[:, modes] = gradient @ rows.T
        if ctx.needs_input_grad[1]:
            of_dictionary = gradient.new_zeros(ctx.shape)
            of_dictionary[modes] = few.T @ gradient
        return of_codes, of_dictionary, None


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        entries = _Entries(gradient) if pays(gradient, x.shape[1]) else None
        modes = present(gradient, x.shape[1]) if entries is None else None
        of_x = of_weight = None
        if entries is not None:
            of_x = entries.times(weight) if ctx.needs_input_grad[0] else None
            of_weight = entries.transposed_times(x) if ctx.needs_input_grad[1] else None
        elif modes is not None:
            few = gradient[:, modes]
            of_x = few @ weight[modes] if ctx.needs_input_grad[0] else None
            if ctx.needs_input_grad[1]:
                of_weight = torch.zeros_like(weight)
                of_weight[modes] = few.T @ x
        else:
            of_x = gradient @ weight if ctx.needs_input_grad[0] else None
            of_weight = gradient.T @ x if ctx.needs_input_grad[1] else None
        of_bias = gradient.sum(dim=0) if ctx.needs_input_grad[2] else None
        return of_x, of_weight, of_bias
