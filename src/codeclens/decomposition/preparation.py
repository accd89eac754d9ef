"""Preparation: data divided, samples held out and a network that is ready to train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from codeclens.decomposition.estimator import Array, as_data, global_scale
from codeclens.decomposition.networks import SparseAutoencoder
from codeclens.decomposition.tables import StoredTable, Table, TensorTable
from codeclens.decomposition.training import Recipe, seeded, split

if TYPE_CHECKING:
    from codeclens.decomposition.fitting import Autoencoder

# So many rows of a stored table stand for all of them where a network is made ready.
_FIRST_LOOK = 16_384


@dataclass(frozen=True, eq=False)
class Preparation:
    """All that a training starts from; `run` says in plain values which training it is."""

    network: SparseAutoencoder
    table: Table
    rows: Tensor
    held_out: Tensor
    recipe: Recipe
    generator: torch.Generator
    scale: float
    n_units: int
    run: Mapping[str, Any]

    @classmethod
    def of(
        cls, method: Autoencoder, X: Array | StoredTable, seed: int, n_units: int | None
    ) -> Preparation:
        """Prepare to fit `X` `(N, D)`; raises CodeclensError as `Autoencoder.fit` does."""
        found = X if isinstance(X, StoredTable) else as_data(X)
        n_samples, n_features = found.shape
        n_units = n_features if n_units is None else n_units
        n_modes = method.modes_for(n_units)
        method.require_enough(n_samples, n_modes)
        table, scale = _divided(found)
        every = torch.arange(n_samples)
        non_negative = all(method.is_non_negative(part) for part in table.parts(every))
        with seeded(seed) as generator:
            network = method.network(
                n_features=n_features, n_modes=n_modes, n_units=n_units, non_negative=non_negative
            ).to(table.device)
        rows, held_out = split(n_samples, method.held_out, generator)
        network.start_from(_first_look(table, rows, n_modes, generator), generator)
        return cls(
            network=network,
            table=table,
            rows=rows,
            held_out=held_out,
            recipe=replace(method.recipe(len(rows), n_features), precision=method.precision),
            generator=generator,
            scale=scale,
            n_units=n_units,
            run={
                "method": type(method).__name__,
                **method.config(),
                "seed": seed,
                "samples": n_samples,
                "columns": n_features,
                "modes": n_modes,
                "deviation": scale,
            },
        )


def _divided(data: Tensor | StoredTable) -> tuple[Table, float]:
    """The data divided by the deviation of all their entries, and that deviation."""
    if isinstance(data, StoredTable):
        scale = data.deviation()
        return data.scaled(scale), scale
    scale = global_scale(data)
    return TensorTable((data / scale).float()), scale


def _first_look(table: Table, rows: Tensor, n_modes: int, generator: torch.Generator) -> Tensor:
    """The rows that a network is made ready for: all, or as many as stand for a stored table."""
    enough = max(_FIRST_LOOK, n_modes)
    if isinstance(table, StoredTable) and len(rows) > enough:
        rows = rows[torch.randperm(len(rows), generator=generator)[:enough].sort().values]
    return table.take(rows)
