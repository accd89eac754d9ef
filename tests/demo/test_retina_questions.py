"""Parts of the showcase, on made-up numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from codeclens import CodeclensError
from codeclens.decomposition import NMF, Modes
from codeclens.demo.retina_questions import (
    films_of,
    group_means,
    largest_change,
    recovery,
    showcase,
)
from codeclens.retina import (
    Circuit,
    Pathways,
    RetinaCNN,
    held_out_blocks,
    ready_cnn,
    ready_cnn_facts,
)
from codeclens.retina.model_files import UNSEEN


def fields(rng: np.random.Generator) -> xr.DataArray:
    values = rng.normal(size=(9, 2, 3, 4, 4))
    return xr.DataArray(values, {"cell": ["a", "b"]}, ("time", "cell", "lag", "y", "x"))


def test_the_largest_change_is_found(rng: np.random.Generator) -> None:
    some = fields(rng)
    some[7, 1] += 50.0
    some[2, 1] -= 50.0
    assert largest_change(some, np.arange(0, 90, 10)) == ((20, 70), "b")


def test_means_are_those_of_the_members(rng: np.random.Generator) -> None:
    some = fields(rng)
    member = np.array(list("xyxyxyxyx"), object)
    found = group_means(some, member, np.array(["y", "x"], object))
    assert np.allclose(found[0], some[1::2].mean("time"))
    assert np.allclose(found[1], some[::2].mean("time"))


def test_each_interneuron_has_a_mode_of_its_own_and_of_its_sign(rng: np.random.Generator) -> None:
    """One mode follows two types best; the second gets the next mode, and signs must agree."""
    drive = rng.gamma(0.5, size=(300, 3)).astype(np.float32)
    exciting, inhibiting = np.eye(3, dtype=np.float32), np.zeros((3, 3), np.float32)
    inhibiting[2, 2], exciting[2, 2] = 1, 0
    dictionary = np.concatenate([exciting, inhibiting], axis=1)
    X = drive @ dictionary
    modes = NMF(n_modes=3).fit(X, seed=0)
    found = Modes("second", "concat", modes, modes.encode(X))
    truth = np.stack(
        [drive[:, 0], drive[:, 0] + 0.5 * drive[:, 1], -drive[:, 2], drive[:, 2]], axis=1
    )
    contributions = torch.from_numpy(truth)[:, None]
    names = ("one", "both", "inhibitor", "opposite")
    paths = Pathways(
        names, ("cell",), contributions, contributions.sum(2), torch.zeros(1), np.arange(300.0)
    )
    table = recovery({"second": found}, paths, held_out_blocks(300, blocks=3))
    used = [mode for mode in table["mode"].values if mode]
    assert len(set(used)) == len(used) == 3, "no mode is used twice"
    at = dict(zip(names, range(4), strict=True))
    assert table.sign.values[at["inhibitor"]] == "inhibitory"
    assert float(table.r[at["inhibitor"]]) > 0.9, "a mode of inhibition follows it with its sign"
    assert table["mode"].values[at["opposite"]] == "", "no mode is left for it"
    assert table.best_mode.values[at["one"]] == table.best_mode.values[at["both"]]


def test_both_films_end_in_the_same_frames() -> None:
    circuit, cnn = Circuit(), ready_cnn()
    longer, film = films_of(cnn, circuit, UNSEEN, 3.0, 0)
    assert torch.equal(longer.frames[-len(film) :], film.frames)
    assert len(longer.windows(circuit.history)) == len(film.windows(cnn.history))


def test_other_cells_are_refused() -> None:
    circuit = Circuit()
    cnn = RetinaCNN(["on"], rate=50.0, pixel=50.0, unit="um", size=(22, 22), kernels=(9, 5))
    with pytest.raises(CodeclensError, match="cell by cell"):
        showcase(cnn, circuit)


def test_the_network_that_ships_follows_the_circuit_as_its_facts_say() -> None:
    circuit, cnn = Circuit(), ready_cnn()
    longer, film = films_of(cnn, circuit, UNSEEN, 30.0, 1)
    pairs = zip(cnn.respond(film).T, circuit.respond(longer).T, strict=True)
    r = np.array([float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in pairs])
    said = np.array(list(ready_cnn_facts()["r on photographs not fitted on"].values()))
    assert abs(np.median(r) - np.median(said)) < 0.1
