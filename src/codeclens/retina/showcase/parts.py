"""Parts of the showcase: each asks one question of the network or of the circuit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int64

from codeclens.attribution import Attributor, Conductance, Contributions, Sum
from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError
from codeclens.retina.changes import field_changes
from codeclens.retina.circuit import Circuit
from codeclens.retina.explained import variance_explained
from codeclens.retina.groups import grouped_fields
from codeclens.retina.movies import Movie
from codeclens.retina.natural import natural_movie
from codeclens.retina.pathways import Pathways
from codeclens.retina.receptive_fields import receptive_fields
from codeclens.retina.response import ResponseModel
from codeclens.retina.splits import Split

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
    attributor = Attributor(
        model, sites=model.sites, method=method, target=Sum(), baseline=0.0, reduce=None
    )
    windows = film.windows(model.history)
    attributor.prepare(windows[:: max(1, len(windows) // 16)])
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
) -> xarray.Dataset:
    weighed = loadings * np.abs(modes.dictionary).sum(axis=1)
    shortest = max(1, min(50 // effort.every, len(fields) // 2))
    found = grouped_fields(
        fields, weighed, least=min(LEAST, len(fields) // 10), draws=effort.draws // 2,
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
    modes: dict[str, Modes],
    whole: Contributions,
) -> dict[str, xarray.Dataset]:
    """Who carried that change: modes and channels of the network, interneurons of the circuit."""
    layer = model.sites[-1]
    return {
        "modes": field_changes(model, film, [pair], modes[layer], whole[layer], cells=cell),
        "channels": field_changes(model, film, [pair], layer, cells=cell),
        "interneurons": field_changes(circuit, longer, [pair], "interneurons", cells=cell),
    }


def explained_by(
    fields: xarray.DataArray,
    rates: Float[np.ndarray, "time cell"],
    modes: dict[str, Modes],
    active: dict[str, Modes],
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


def recovery(modes: dict[str, Modes], paths: Pathways, split: Split) -> xarray.Dataset:
    """The mode that follows each interneuron type best: chosen in training, scored held out."""
    import xarray

    given = paths.contributions.sum(dim=1).double().numpy()
    best, which, layers = [], [], []
    for column in given.T:
        scored = []
        for site, one in modes.items():
            Z = np.asarray(one.loadings, np.float64)
            r = np.array(
                [pearson(Z[split.train, m], column[split.train]) for m in range(Z.shape[1])]
            )
            mode = int(np.nan_to_num(np.abs(r)).argmax())
            held = pearson(Z[split.held_out, mode], column[split.held_out])
            scored.append((np.nan_to_num(abs(r[mode])), mode, site, abs(held)))
        _, mode, site, held = max(scored, key=lambda entry: entry[0])
        best.append(held)
        which.append(str(mode))
        layers.append(site)
    return xarray.Dataset(
        {
            "r": ("interneuron", np.array(best)),
            "mode": ("interneuron", np.array(which, object)),
            "layer": ("interneuron", np.array(layers, object)),
            "mean": ("interneuron", given.mean(axis=0), {"units": "Hz"}),
        },
        coords={"interneuron": np.array(paths.names, object)},
    )


def true_blocks(
    circuit: Circuit,
    longer: Movie,
    paths: Pathways,
    truth: Float[np.ndarray, "time cell"],
    times: Float[np.ndarray, " time"],
) -> xarray.Dataset:
    """The true blocks: each interneuron held at rest, foretold by what it contributes."""
    import xarray

    measured = np.stack(
        [circuit.blocked(name, at="rest").respond(longer).numpy() - truth for name in paths.names],
        axis=2,
    )
    axes = ("time", "cell", "interneuron")
    return xarray.Dataset(
        {
            "rate_foretold": (axes, -paths.contributions.numpy()),
            "rate_measured": (axes, measured),
        },
        coords={
            "time": ("time", times, {"units": "s"}),
            "cell": list(circuit.cells),
            "interneuron": list(paths.names),
        },
        attrs={"units": "Hz"},
    )


def pearson(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])
