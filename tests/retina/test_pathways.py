"""Pathways are complete, and what the engine computes from windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import codeclens as cl
from codeclens.errors import CodeclensError
from codeclens.retina import Circuit, Movie, pathways, white_noise
from codeclens.retina.circuit import TYPES


@pytest.fixture(scope="module")
def circuit() -> Circuit:
    return Circuit(size=12, dtype=torch.float64)


@pytest.fixture(scope="module")
def movie(circuit: Circuit) -> Movie:
    made = white_noise(1.2, circuit.screen, every=2)
    return replace(made, frames=made.frames.double())


@pytest.mark.parametrize("target", ["rate", "drive"])
def test_they_sum_to_the_response_less_that_to_grey(
    circuit: Circuit, movie: Movie, target: str
) -> None:
    found = pathways(circuit, movie, target=target, steps=4, at_once=5)
    whole = found.rates - found.rest
    assert float(whole.abs().max()) > 0.1
    torch.testing.assert_close(found.contributions.sum(dim=2), whole, rtol=1e-6, atol=1e-6)
    if target == "rate":
        torch.testing.assert_close(found.rates, circuit.respond(movie))


def test_they_are_the_engine_s(circuit: Circuit, movie: Movie) -> None:
    found = pathways(circuit, movie, steps=6)
    drives = pathways(circuit, movie, target="drive")
    windows = movie.windows(circuit.history)
    for cell in (0, 4, 5):
        method = cl.Conductance(6, nodes="uniform")
        by_rate = cl.contributions(
            circuit, windows, sites="interneurons", target=cl.Output(cell), method=method
        )
        torch.testing.assert_close(
            found.contributions[:, cell], by_rate["interneurons"].net, rtol=1e-6, atol=1e-6
        )
        by_drive = cl.contributions(
            circuit, windows, sites="interneurons", target=cl.Output(cell),
            output=cl.Site(circuit.drive), method=cl.Conductance(1, nodes="uniform"),
        )  # fmt: skip
        torch.testing.assert_close(drives.contributions[:, cell], by_drive["interneurons"].net)


def test_only_what_a_cell_hears_contributes(circuit: Circuit, movie: Movie) -> None:
    found = pathways(circuit, movie, steps=3)
    for cell, kind in enumerate(circuit.types):
        heard = {*TYPES[kind].excitation, *TYPES[kind].inhibition}
        strength = found.contributions[:, cell].abs().amax(dim=0)
        assert {n for n, s in zip(found.names, strength, strict=True) if s > 0} <= heard
        assert all(strength[found.names.index(name)] > 0 for name in TYPES[kind].excitation)


def test_a_blocked_pathway_contributes_nothing(circuit: Circuit, movie: Movie) -> None:
    found = pathways(circuit.blocked("amacrine.wide"), movie, steps=3)
    assert float(found["oms", "amacrine.wide"].abs().max()) == 0


def test_a_step_more_or_less_hardly_matters() -> None:
    circuit = Circuit()
    movie = white_noise(2.0, circuit.screen, every=2)
    few, many = (pathways(circuit, movie, steps=n).contributions for n in (10, 80))
    assert float((few - many).norm() / many.norm()) < 0.01


def test_they_are_labelled(circuit: Circuit, movie: Movie) -> None:
    found = pathways(circuit, movie, steps=2)
    labelled = found.to_xarray()
    one = labelled.contribution.sel(cell="oms", interneuron="amacrine.wide")
    np.testing.assert_array_equal(one, found["oms", "amacrine.wide"])
    np.testing.assert_allclose(labelled.time, movie.window_times(circuit.history))
    table = found.to_dataframe()
    wide = table[(table.cell == "oms") & (table.interneuron == "amacrine.wide")]
    assert float(wide["mean"].item()) == pytest.approx(float(one.mean()))
    assert len(repr(found).splitlines()) <= 20
    assert "amacrine.wide" in found._repr_html_()


def test_bad_input_is_reported(circuit: Circuit, movie: Movie) -> None:
    with pytest.raises(CodeclensError, match="current"):
        pathways(circuit, movie, target="current")  # type: ignore[arg-type]
    with pytest.raises(CodeclensError, match=r"steps \(=0\)"):
        pathways(circuit, movie, steps=0)
    with pytest.raises(CodeclensError, match="narrow"):
        pathways(circuit, movie, steps=1)["oms", "narrow"]
