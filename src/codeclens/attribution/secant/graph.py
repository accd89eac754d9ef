"""What secant propagation does not get to see, found in the graph: custom functions, scripts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.autograd.function import BackwardCFunction

from codeclens.attribution.secant.mode import RULES

# Linear in what follows a site where their other factor is a parameter; rules see to the rest.
_MAY_BE_LINEAR = {
    *("mul", "div", "rdiv", "rpow", "matmul", "rmatmul", "einsum", "einsum_pair"),
    *("baddbmm", "addmm", "addbmm", "addcmul", "addcdiv", "lerp", "batch_norm", "scatter"),
    *("mv", "dot", "vdot", "inner", "outer", "ger", "kron", "tensordot", "bilinear", "linear"),
    *("conv1d", "conv2d", "conv3d", "grid_sample"),
    *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
}


def unseen(targets: Iterable[Tensor], named: Iterable[Any] = ()) -> set[str]:
    """Names of nonlinear operations before `targets` `(B,)` that passed by the rules.

    torch shows a mode neither what an `autograd.Function` computes nor what a scripted part does.
    `named` are nodes of the graph that were reported already.

    >>> import torch
    >>> unseen([torch.ones(2, requires_grad=True).mul(2).relu()])
    {'relu'}
    """
    nonlinear = {_squeezed(name): name for name in RULES if name not in _MAY_BE_LINEAR}
    found: set[str] = set()
    seen: set[Any] = set()
    known = set(named)
    queue: list[Any] = [target.grad_fn for target in targets]
    while queue:
        node = queue.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        queue.extend(parent for parent, _ in node.next_functions)
        if node in known:
            continue
        name = node.name().rpartition("::")[2].partition("Backward")[0]
        if isinstance(node, BackwardCFunction):
            if not hasattr(node, "pullback"):
                found.add(f"{name} (an autograd.Function)")
        elif name == "DifferentiableGraph":
            found.add("a scripted part")
        elif (plain := _squeezed(name).removeprefix("native")) in nonlinear:
            found.add(nonlinear[plain])
        elif name.startswith("ScaledDotProduct"):
            found.add("scaled_dot_product_attention")
    return found


def _squeezed(name: str) -> str:
    return name.lower().replace("_", "")
