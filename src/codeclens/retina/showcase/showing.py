"""The showcase: a fitted network and the retina that it was fitted to, asked the same questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int64

from codeclens.attribution import Conductance
from codeclens.decomposition import NMF, Modes
from codeclens.errors import CodeclensError
from codeclens.retina.circuit import Circuit
from codeclens.retina.clusters import CellClusters, cluster_cells
from codeclens.retina.combinations import combinations
from codeclens.retina.contributions import movie_contributions
from codeclens.retina.groups import prevailing
from codeclens.retina.movies import Movie
from codeclens.retina.pathways import Pathways, pathways
from codeclens.retina.population import mode_cell_matrix, population_modes
from codeclens.retina.receptive_fields import field_cosine, receptive_fields
from codeclens.retina.removals import removal_effects
from codeclens.retina.response import ResponseModel
from codeclens.retina.showcase.parts import (
    BATCH,
    FULL,
    Effort,
    carriers,
    circuit_fields,
    explained_by,
    films_of,
    group_means,
    groups_of,
    largest_change,
    pearson,
    population_contributions,
    recovery,
    true_blocks,
)
from codeclens.retina.splits import Split, held_out_blocks

if TYPE_CHECKING:
    import xarray

LOOKED = ("off.transient", "oms", "ds.right")


@dataclass(frozen=True, eq=False)
class Showcase:
    """What was found in a network and, of the same film, in the circuit that is the truth.

    Rows of all are the frames of `times` (s); `film` is what the network saw and `longer` the same
    with the frames in front of it that the circuit remembers. `rows` are the frames whose receptive
    fields were taken, of the cells `looked`; `pair` the two of them between which the field of
    `changed` changed most in the circuit.
    """

    model: ResponseModel
    circuit: Circuit
    film: Movie
    longer: Movie
    times: Float[np.ndarray, " time"]
    rates: Float[np.ndarray, "time cell"]
    truth: Float[np.ndarray, "time cell"]
    split: Split
    contributions: xarray.Dataset
    paths: Pathways
    modes: dict[str, Modes]
    matrix: xarray.Dataset
    clusters: CellClusters
    true_matrix: xarray.Dataset
    true_clusters: CellClusters
    recovery: xarray.Dataset
    together: xarray.Dataset
    looked: Sequence[str]
    rows: Int64[np.ndarray, " looked"]
    fields: xarray.DataArray
    true_fields: xarray.DataArray
    cosine: xarray.DataArray
    groups: xarray.Dataset
    true_groups: xarray.DataArray
    pair: tuple[int, int]
    changed: str
    changes: dict[str, xarray.Dataset]
    explained: xarray.Dataset
    removals: xarray.Dataset
    blocks: xarray.Dataset

    @property
    def layer(self) -> str:
        """The layer whose modes are shown: the one nearest to the ganglion cells."""
        return self.model.sites[-1]

    @property
    def r(self) -> Float[np.ndarray, " cell"]:
        """Pearson's r of the network's rates with the circuit's, by cell."""
        return np.array([pearson(a, b) for a, b in zip(self.rates.T, self.truth.T, strict=True)])


def showcase(
    model: ResponseModel,
    circuit: Circuit,
    *,
    names: Sequence[str] | None = None,
    looked: Sequence[str] = LOOKED,
    effort: Effort = FULL,
    seed: int = 0,
    progress: Callable[[str], object] | None = None,
) -> Showcase:
    """Ask a network and the circuit that it was fitted to about one film that neither has seen.

    The film is a natural movie of the photographs `names`, drawn by `seed`: pass those that the
    network did not learn from. Contributions to every cell are in Hz and modes are those of the
    summed rate, learned from part of the film; receptive fields are taken of the cells `looked`.
    `progress` is told what comes next. Raises CodeclensError for a network of other cells, another
    clock or another scale than the circuit's.
    """
    say = progress or (lambda _: None)
    if tuple(model.cells) != tuple(circuit.cells):
        raise CodeclensError(
            f"The network has the cells {', '.join(model.cells)}, the circuit has "
            f"{', '.join(circuit.cells)}; a showcase compares cell by cell."
        )
    say("film and rates")
    longer, film = films_of(model, circuit, names, effort.seconds, seed)
    times = film.window_times(model.history)
    rates, truth = (m.respond(f).numpy() for m, f in ((model, film), (circuit, longer)))
    count = len(times)
    split = held_out_blocks(count, blocks=effort.blocks, gap=model.history - 1)
    say("contributions")
    method = Conductance(effort.steps)
    in_hertz = movie_contributions(model, film, method=method, batch_size=BATCH)
    whole = population_contributions(model, film, method)
    paths = pathways(circuit, longer, steps=effort.steps)
    say("modes")
    modes = population_modes(whole, NMF(n_modes=effort.modes), split, seed=seed)
    active = population_modes(whole, NMF(n_modes=effort.modes), split, view="activation", seed=seed)
    layer = model.sites[-1]
    matrix = mode_cell_matrix(modes[layer], rates, cells=model.cells)
    given = paths.contributions.sum(dim=1).double().numpy()
    true_matrix = mode_cell_matrix(given, truth, cells=circuit.cells)
    true_matrix = true_matrix.assign_coords(mode=np.array(paths.names, object))
    clusters, true_clusters = (
        cluster_cells(one.correlation.to_numpy(), draws=effort.draws // 5, seed=seed)
        for one in (matrix, true_matrix)
    )
    together = combinations(modes[layer], draws=effort.draws, seed=seed)
    say("receptive fields")
    rows = np.arange(0, count, effort.every)
    fields = receptive_fields(model, film, cells=looked, frames=rows)
    true_fields = circuit_fields(circuit, longer, looked, rows, model.history, fields)
    # The circuit remembers longer than the network; what both see is compared.
    cosine = field_cosine(fields, true_fields)
    groups = groups_of(fields, modes[layer].loadings[rows], modes[layer], effort, seed)
    member = prevailing(modes[layer])[rows]
    true_groups = group_means(true_fields, member, groups.group.to_numpy())
    say("changes of receptive fields")
    pair, changed = largest_change(true_fields, rows)
    changes = carriers(model, circuit, film, longer, pair, changed, modes, whole)
    explained = explained_by(
        fields, rates, modes, active, model.cells, split, rows, looked, effort, seed
    )
    say("removals")
    some = rows[np.linspace(0, len(rows) - 1, min(effort.removals, len(rows))).astype(int)]
    removals = removal_effects(
        model, film, modes[layer], whole[layer], cells=looked, frames=some, method=method
    )
    return Showcase(
        model=model, circuit=circuit, film=film, longer=longer, times=times, rates=rates,
        truth=truth, split=split, contributions=in_hertz, paths=paths, modes=modes, matrix=matrix,
        clusters=clusters, true_matrix=true_matrix, true_clusters=true_clusters,
        recovery=recovery(modes, paths, split), together=together, looked=looked, rows=rows,
        fields=fields, true_fields=true_fields, cosine=cosine, groups=groups,
        true_groups=true_groups, pair=pair, changed=changed, changes=changes, explained=explained,
        removals=removals, blocks=true_blocks(circuit, longer, paths, truth, times),
    )  # fmt: skip
