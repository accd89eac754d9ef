"""Tensors that leave the gradient path: computed from a site, or by a choice.

A mask, an index, a detached factor: where such a tensor rejoins the gradient path and has
changed between two nodes, part of the target's change bypasses all gradients, and so all secants.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from codeclens.attribution.secant.arguments import tensors
from codeclens.errors import CodeclensError

# They take no more of a tensor than its shape.
MAKERS = {
    *("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like"),
    *("new_zeros", "new_ones", "new_empty", "new_full", "new_tensor"),
}
# Through these a number or a decision leaves for Python.
LEAVING = {
    *("item", "tolist", "numpy", "__bool__", "__float__", "__int__", "__index__", "__contains__"),
    *("equal", "allclose", "is_nonzero"),
}
_PRODUCTS = {
    *("mul", "div", "matmul", "einsum", "tensordot", "linear", "dot", "mv", "inner", "outer"),
    *("baddbmm", "addmm", "addbmm", "addcmul", "addcdiv", "bilinear", "kron"),
}


class Apart:
    """Marks tensors that depend on a site, or on a choice, and carry no gradient."""

    def __init__(self) -> None:
        self._marked: WeakIdKeyDictionary = WeakIdKeyDictionary()
        # Tensors from which the model itself takes gradients, and what is computed from them.
        self._own: WeakIdKeyDictionary = WeakIdKeyDictionary()

    def among(self, *values: Any) -> list[Tensor]:
        """The marked tensors among arguments, each once."""
        if not self._marked:
            return []
        found = {id(t): t for t in tensors(*values) if not t.requires_grad and t in self._marked}
        return list(found.values())

    def own(self, name: str, values: list[Any]) -> None:
        """Note where the model begins a graph of its own, and refuse gradients of ours.

        Raises CodeclensError for gradients that the model takes from what follows a site: they
        would be secants.
        """
        if name == "requires_grad_":
            self._own.update({t: True for t in tensors(values) if not t.requires_grad})
        elif not self.owned(values) and any(t.requires_grad for t in tensors(values)):
            raise CodeclensError(
                "The model takes gradients inside its forward (torch.autograd.grad), of what "
                "follows a site; secants would change them. Choose sites behind that, or a method "
                'without secants, for example Conductance(rule="trapezoid").'
            )

    def owned(self, values: list[Any]) -> bool:
        """Whether all tensors with gradients among arguments are the model's own."""
        if not self._own:
            return False
        given = [t for t in tensors(values) if t.requires_grad]
        return bool(given) and all(t in self._own for t in given)

    def note(self, name: str, values: list[Any], result: Any) -> None:
        """Mark what an operation gives without a gradient where its inputs are on the way or apart.

        So are whole numbers and truth values from any numbers: they jump, wherever these come from.
        """
        if self._own and self.owned(values):
            self._own.update({t: True for t in tensors(result) if t.requires_grad})
        if name in MAKERS:
            return
        written = values[0] if name == "__setitem__" else result
        made = [t for t in tensors(written) if not t.requires_grad]
        if not made:
            return
        given = list(tensors(values))
        if not (any(t.requires_grad for t in given) or self.among(given)):
            if not any(_counts(t) for t in given):
                return
            made = [t for t in made if not _counts(t)]
        for tensor in made:
            self._marked[tensor] = True


def _counts(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def described(name: str, operand: Tensor) -> str:
    """How an operation and its operand that changes are named in a warning."""
    if name in LEAVING:
        return f"{name.strip('_')} of a tensor that changes along the path"
    if name in ("getitem", "setitem") or not _counts(operand):
        kind = "a mask" if operand.dtype.itemsize == 1 else "an index"
        kind = "a condition" if name == "where" else kind
        name = {"getitem": "indexing", "setitem": "assignment"}.get(name, name)
        return f"{name} with {kind} that changes along the path"
    kind = "a factor" if name in _PRODUCTS else "an operand"
    return f"{name} with {kind} that changes along the path without a gradient"
