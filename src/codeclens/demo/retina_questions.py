"""The retina demo: the same analyses of a fitted network and of the retina it was fitted to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int64

from codeclens.attribution import Attributor, Conductance, Contributions, Sum
from codeclens.decomposition import NMF, Modes
from codeclens.draws import pearson
from codeclens.errors import CodeclensError
from codeclens.retina.changes import field_changes, variance_explained
from codeclens.retina.circuit import Circuit
from codeclens.retina.contributions import movie_contributions
from codeclens.retina.movies import Movie, Screen
from codeclens.retina.natural_movies import natural_movie
from codeclens.retina.pathways import Pathways, pathways
from codeclens.retina.population import (
    CellClusters,
    cluster_cells,
    combinations,
    mode_cell_matrix,
    population_modes,
    sign_balance,
)
from codeclens.retina.receptive_fields import (
    field_cosine,
    grouped_fields,
    prevailing,
    receptive_fields,
)
from codeclens.retina.recordings import Recording, spike_triggered_average
from codeclens.retina.removals import removal_effects
from codeclens.retina.response import ResponseModel
from codeclens.retina.splits import Split, held_out_blocks
from codeclens.retina.stimuli import white_noise

if TYPE_CHECKING:
    import xarray


BATCH = 128
# Groups of moments that are shown, and frames that a group has at least.
GROUPS, LEAST = 4, 10


@dataclass(frozen=True)
class Effort:
    """How much a showcase looks at: `seconds` of film, and how finely."""

    seconds: float = 40.0
    steps: int = 5
    modes: int = 10
    blocks: int = 6
    every: int = 3
    removals: int = 60
    draws: int = 500


FULL = Effort()
QUICK = Effort(seconds=8.0, steps=2, modes=6, blocks=2, every=6, removals=8, draws=100)


def films_of(
    model: ResponseModel, circuit: Circuit, names: Sequence[str] | None, seconds: float, seed: int
) -> tuple[Movie, Movie]:
    """A film with all that the circuit remembers, and the part of it that the network needs."""
    spare = circuit.history - model.history
    if spare < 0:
        raise CodeclensError(
            f"The network remembers {model.history} frames and the circuit {circuit.history}; a "
            "showcase needs a network that remembers no longer."
        )
    # The seed stands apart from those of films that networks are fitted to.
    longer = natural_movie(seconds, circuit.screen, names=names, seed=100_000 + seed)
    return longer, longer.between(spare / longer.rate, longer.duration)


def population_contributions(
    model: ResponseModel, film: Movie, method: Conductance
) -> Contributions:
    """Contributions to the sum of all rates, with their places."""
    windows = film.windows(model.history)
    attributor = Attributor(
        model, sites=model.sites, method=method, target=Sum(), baseline=0.0, reduce=None
    ).prepared(windows[:: max(1, len(windows) // 16)])
    return Contributions.joined([attributor(part) for part in windows.split(BATCH)])


def circuit_fields(
    circuit: Circuit,
    longer: Movie,
    looked: Sequence[str],
    rows: Int64[np.ndarray, " looked"],
    history: int,
    like: xarray.DataArray,
) -> xarray.DataArray:
    """The circuit's own fields at the same frames, on the network's clock and lags."""
    own = receptive_fields(circuit, longer, cells=looked, frames=rows)
    return own.isel(lag=slice(-history, None)).assign_coords(time=like.time, lag=like.lag)


def groups_of(
    fields: xarray.DataArray,
    loadings: Float[np.ndarray, "time mode"],
    modes: Modes,
    effort: Effort,
    seed: int,
    together: int = 1,
) -> xarray.Dataset:
    """Mean fields while a mode, or a combination of modes, is the strongest."""
    weighed = loadings * np.abs(modes.dictionary).sum(axis=1)
    shortest = max(1, min(50 // effort.every, len(fields) // 2))
    found = grouped_fields(
        fields, weighed, together=together, draws=effort.draws // 2,
        least=max(2, min(LEAST, len(fields) // 10) // together),
        shortest=shortest, seed=seed,
    )  # fmt: skip
    return found.isel(group=slice(0, GROUPS))


def group_means(
    fields: xarray.DataArray, member: np.ndarray[Any, Any], names: np.ndarray[Any, Any]
) -> xarray.DataArray:
    """The mean field of the frames of each group."""
    import xarray

    parts = [fields.isel(time=np.flatnonzero(member == name)).mean("time") for name in names]
    return xarray.concat(parts, "group").assign_coords(group=names)


def largest_change(
    fields: xarray.DataArray, rows: Int64[np.ndarray, " looked"]
) -> tuple[tuple[int, int], str]:
    """The cell and its two frames between which its field changed most, for its own size."""
    best, chosen = -1.0, (0, 0, 0)
    for number in range(fields.sizes["cell"]):
        flat = fields[:, number].to_numpy().reshape(len(fields), -1).astype(np.float64)
        square = (flat**2).sum(axis=1)
        apart = square[:, None] + square[None] - 2 * flat @ flat.T
        relative = apart / square.mean()
        first, second = np.unravel_index(int(relative.argmax()), relative.shape)
        if relative[first, second] > best:
            early, late = sorted((int(first), int(second)))
            best, chosen = float(relative[first, second]), (number, early, late)
    number, early, late = chosen
    return (int(rows[early]), int(rows[late])), str(fields.cell.to_numpy()[number])


def carriers(
    model: ResponseModel,
    circuit: Circuit,
    film: Movie,
    longer: Movie,
    pair: tuple[int, int],
    cell: str,
    modes: Mapping[str, Modes],
    whole: Contributions,
) -> dict[str, xarray.Dataset]:
    """Shares in that change: of the network's modes and channels, and of interneurons."""
    layer = model.sites[-1]
    return {
        "modes": field_changes(model, film, [pair], modes[layer], whole[layer], cells=cell),
        "channels": field_changes(model, film, [pair], layer, cells=cell),
        "interneurons": field_changes(circuit, longer, [pair], "interneurons", cells=cell),
    }


def explained_by(
    fields: xarray.DataArray,
    rates: Float[np.ndarray, "time cell"],
    modes: Mapping[str, Modes],
    active: Mapping[str, Modes],
    cells: Sequence[str],
    split: Split,
    rows: Int64[np.ndarray, " looked"],
    looked: Sequence[str],
    effort: Effort,
    seed: int,
) -> xarray.Dataset:
    """Held-out variance of the fields by loadings, and by as many modes of activations."""
    place = {int(row): number for number, row in enumerate(rows)}
    of = [int(row) for row in split.held_out]
    kept = np.array([row in place for row in of])
    smaller = Split(
        np.array([place[int(row)] for row in split.train if int(row) in place]),
        np.array([place[row] for row in of if row in place]),
        split.block[kept],
    )
    predictors = {f"modes, {site}": one.loadings[rows] for site, one in modes.items()}
    predictors |= {f"activation modes, {site}": one.loadings[rows] for site, one in active.items()}
    columns = [list(cells).index(cell) for cell in looked]
    return variance_explained(
        fields, rates[rows][:, columns], predictors, smaller, draws=effort.draws, seed=seed
    )


def recovery(modes: Mapping[str, Modes], paths: Pathways, split: Split) -> xarray.Dataset:
    """One mode for each interneuron type: assigned on training frames, scored on held-out ones.

    A mode's signal is its loading with its sign, positive for excitation and negative for
    inhibition; r is signed. No mode is assigned twice: the assignment maximises the sum of r on
    training frames (the Hungarian method). `best_r` and `best_mode` are those of the best mode for
    each type where modes may be used again.
    """
    import xarray
    from scipy.optimize import linear_sum_assignment

    given = paths.contributions.sum(dim=1).double().numpy()
    names, signals = [], []
    for site, one in modes.items():
        sign = np.sign(np.nan_to_num(sign_balance(one), nan=1.0))
        names += [(site, str(mode), value) for mode, value in enumerate(sign)]
        signals.append(np.asarray(one.loadings, np.float64) * sign)
    signal = np.concatenate(signals, axis=1)

    def scores(rows: Int64[np.ndarray, " row"]) -> Float[np.ndarray, "candidate interneuron"]:
        return np.array(
            [[pearson(one[rows], truth[rows]) for truth in given.T] for one in signal.T]
        )

    trained = np.nan_to_num(scores(split.train))
    held = scores(split.held_out)
    rows, columns = linear_sum_assignment(-trained)
    assigned = dict(zip(columns.tolist(), rows.tolist(), strict=True))
    best = trained.argmax(axis=0)
    where = [assigned.get(number) for number in range(given.shape[1])]

    def of(part: int, chosen: Sequence[int | None]) -> np.ndarray[Any, Any]:
        return np.array(["" if row is None else str(names[row][part]) for row in chosen], object)

    kinds = {1.0: "excitatory", -1.0: "inhibitory"}
    signs = ["" if row is None else kinds.get(float(names[row][2]), "") for row in where]
    r = [np.nan if row is None else held[row, number] for number, row in enumerate(where)]
    return xarray.Dataset(
        {
            "r": ("interneuron", np.array(r)),
            "mode": ("interneuron", of(1, where)),
            "layer": ("interneuron", of(0, where)),
            "sign": ("interneuron", np.array(signs, object)),
            "best_r": ("interneuron", held[best, np.arange(given.shape[1])]),
            "best_mode": ("interneuron", of(1, best.tolist())),
            "best_layer": ("interneuron", of(0, best.tolist())),
            "mean": ("interneuron", given.mean(axis=0), {"units": "Hz"}),
        },
        coords={"interneuron": np.array(paths.names, object)},
    )


def mode_kernels(
    model: ResponseModel,
    modes: Modes,
    screen: Screen,
    method: Conductance,
    effort: Effort,
    seed: int,
) -> xarray.DataArray:
    """The mean white noise before each mode, weighted by its loadings: `(mode, lag, y, x)`.

    Natural films have correlations of their own, so kernels are those of white noise.
    """
    noise = white_noise(effort.seconds, screen, contrast=0.5, check=2, seed=seed)
    found = population_contributions(model, noise, method)[modes.site]
    loadings = modes.project(found.positive, found.negative)
    used = np.flatnonzero(loadings.sum(axis=0) > 0)
    weights = torch.zeros(len(noise), len(used))
    weights[model.history - 1 :] = torch.from_numpy(np.maximum(loadings[:, used], 0)).float()
    recording = Recording(noise, weights, [str(mode) for mode in used])
    average = spike_triggered_average(recording, model.history, draws=1, shortest=1)
    kernels: xarray.DataArray = average["average"].rename(cell="mode")
    return kernels


def true_blocks(
    circuit: Circuit,
    longer: Movie,
    paths: Pathways,
    truth: Float[np.ndarray, "time cell"],
    times: Float[np.ndarray, " time"],
) -> xarray.Dataset:
    """The effect of holding each interneuron at rest, with its prediction from contributions."""
    import xarray

    measured = np.stack(
        [circuit.blocked(name, at="rest").respond(longer).numpy() - truth for name in paths.names],
        axis=2,
    )
    axes = ("time", "cell", "interneuron")
    return xarray.Dataset(
        {
            "rate_predicted": (axes, -paths.contributions.numpy()),
            "rate_measured": (axes, measured),
        },
        coords={
            "time": ("time", times, {"units": "s"}),
            "cell": list(circuit.cells),
            "interneuron": list(paths.names),
        },
        attrs={"units": "Hz"},
    )


LOOKED = ("off.transient", "oms", "ds.right")


@dataclass(frozen=True, eq=False)
class Showcase:
    """The results for a network and, for the same film, for the circuit, which is the truth.

    All rows are the frames of `times` (s). `film` is the input of the network, `longer` the same
    with the earlier frames that the circuit needs. `rows` are the frames with receptive fields, of
    the cells `looked`; `pair` are the two of them between which the field of `changed` changed most
    in the circuit.
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
    modes: Mapping[str, Modes]
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
    pairs: xarray.Dataset
    true_pairs: xarray.DataArray
    kernels: xarray.DataArray
    pair: tuple[int, int]
    changed: str
    changes: dict[str, xarray.Dataset]
    explained: xarray.Dataset
    removals: xarray.Dataset
    blocks: xarray.Dataset

    @property
    def layer(self) -> str:
        """The layer whose modes are shown: the last one before the ganglion cells."""
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
    """Analyse a network and the circuit that it was fitted to on one new film.

    The film is a natural movie of the photographs `names`, drawn by `seed`: pass photographs that
    the network was not fitted to. Contributions to every cell are in Hz; modes are those of the
    summed rate, learned on part of the film; receptive fields are those of the cells `looked`.
    `progress` is called with the name of each step. Raises CodeclensError for a network with other
    cells, another clock or another scale than the circuit's.
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
    kernels = mode_kernels(model, modes[layer], circuit.screen, method, effort, seed)
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
    pairs = groups_of(fields, modes[layer].loadings[rows], modes[layer], effort, seed, together=2)
    both = prevailing(modes[layer], together=2)[rows]
    true_pairs = group_means(true_fields, both, pairs.group.to_numpy())
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
        true_groups=true_groups, pairs=pairs, true_pairs=true_pairs,
        kernels=kernels, pair=pair, changed=changed,
        changes=changes, explained=explained,
        removals=removals, blocks=true_blocks(circuit, longer, paths, truth, times),
    )  # fmt: skip
