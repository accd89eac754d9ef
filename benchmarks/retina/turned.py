"""The circuit with its interneurons shown in other axes: the same rates, other units."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.retina import Circuit

NATURAL, TURNED = "interneurons.inner", "interneurons.turned"


class Turned(nn.Module):
    """Interneurons turned by an orthogonal matrix and back; between the two lies a site.

    The site `inner` has the interneurons as they are, `turned` has mixtures of them.
    """

    matrix: Tensor

    def __init__(self, inner: nn.Module, matrix: Float[Tensor, "unit unit"]) -> None:
        super().__init__()
        self.inner = inner
        self.turned = nn.Identity()
        self.register_buffer("matrix", matrix)

    def forward(self, bipolar: Tensor, amacrine: Tensor) -> Tensor:
        mixed = torch.einsum("vu,bu...->bv...", self.matrix, self.inner(bipolar, amacrine))
        return torch.einsum("vu,bv...->bu...", self.matrix, self.turned(mixed))


def turned(circuit: Circuit, *, seed: int = 0) -> Circuit:
    """A circuit that says the same, whose sites `NATURAL` and `TURNED` are both cuts."""
    source = torch.Generator().manual_seed(seed)
    units = len(circuit.units["interneurons"])
    matrix, _ = torch.linalg.qr(torch.randn(units, units, generator=source, dtype=torch.float64))
    copy = circuit.blocked()
    copy.interneurons = Turned(copy.interneurons, matrix.to(circuit.synapses.weight))  # type: ignore[assignment]
    return copy
