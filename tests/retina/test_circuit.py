"""The circuit is the same by loops, by windows and at once, and its blocks are real."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

import codeclens as cl
from codeclens.errors import CodeclensError
from codeclens.retina import Circuit, Movie, natural_movie, white_noise
from codeclens.retina.circuit import INTERNEURONS, TYPES, VETO
from reference import RetinaTables, simulated_retina


def doubles(movie: Movie) -> Movie:
    return replace(movie, frames=movie.frames.double())


@pytest.fixture(scope="module")
def circuit() -> Circuit:
    return Circuit(size=12, dtype=torch.float64)


@pytest.fixture(scope="module")
def noise(circuit: Circuit) -> Movie:
    return doubles(white_noise(1.3, circuit.screen, contrast=0.7, every=2))


def tables(circuit: Circuit) -> RetinaTables:
    cells = []
    for kind in circuit.types:
        wiring = TYPES[kind]
        weights = {INTERNEURONS.index(name): w for name, w in wiring.excitation.items()}
        weights |= {INTERNEURONS.index(name): -w for name, w in wiring.inhibition.items()}
        cells.append((weights, wiring.sigma, wiring.ring, wiring.rest))
    bipolar, amacrine = circuit.bipolar, circuit.amacrine
    return RetinaTables(
        bipolar.gain.tolist(), bipolar.threshold.tolist(), bipolar.depression.tolist(),
        amacrine.gain.tolist(), amacrine.threshold.tolist(), VETO, cells,
    )  # fmt: skip


def test_it_is_the_retina_that_the_reference_simulates(circuit: Circuit, noise: Movie) -> None:
    slow = simulated_retina(tables(circuit), noise.frames.numpy(), noise.rate, noise.pixel)
    assert slow.std(axis=0).min() > 0.5
    np.testing.assert_allclose(circuit.respond(noise).numpy(), slow, rtol=1e-9, atol=1e-9)


def test_a_window_gives_what_the_whole_movie_gives(circuit: Circuit, noise: Movie) -> None:
    windows = circuit(noise.windows(circuit.history))
    torch.testing.assert_close(circuit.respond(noise), windows, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(circuit.respond(noise, at_once=4), windows, rtol=1e-9, atol=1e-9)


def test_no_frame_of_the_history_is_idle_and_none_before_it_counts(circuit: Circuit) -> None:
    window = torch.zeros(1, circuit.history, 12, 12, dtype=torch.float64).requires_grad_()
    circuit(window).sum().backward()
    assert window.grad is not None
    assert bool((window.grad[0, 1:].abs().amax(dim=(1, 2)) > 0).all())
    assert circuit.history == 50


def test_the_clock_and_the_scale_change_the_filters_not_the_cells() -> None:
    coarse, fine = Circuit(size=11), Circuit(size=22, pixel=25.0)
    faster = Circuit(size=11, rate=100.0)
    assert faster.history > 1.9 * coarse.history - 5
    step = torch.zeros(140, 1, 1)
    step[70:] = 0.5

    def peak(circuit: Circuit, every: int, size: int) -> torch.Tensor:
        light = step.repeat_interleave(every, dim=0).expand(-1, size, size)
        return circuit.respond(circuit.screen.movie(light.contiguous())).amax(dim=0)[:5]

    assert torch.allclose(peak(coarse, 1, 11), peak(fine, 1, 22), rtol=0.25)
    assert torch.allclose(peak(coarse, 1, 11), peak(faster, 2, 11), rtol=0.35)


def test_cells_are_where_they_are_put() -> None:
    circuit = Circuit(positions={"left": (-200.0, 0.0), "top": (0.0, 200.0)})
    assert circuit.cells[0] == "on.transient.left"
    assert len(circuit.cells) == 2 * len(TYPES)
    window = torch.zeros(1, circuit.history, 22, 22).requires_grad_()
    for name, (row, column) in {
        "on.transient.left": (10.5, 6.5),
        "on.transient.top": (6.5, 10.5),
    }.items():
        (slope,) = torch.autograd.grad(circuit(window)[0, circuit.cells.index(name)], window)
        strength = slope[0].abs().sum(dim=0)
        places = torch.arange(22.0)
        middle = [
            float((strength.sum(dim=1 - axis) * places).sum() / strength.sum()) for axis in (0, 1)
        ]
        assert middle == pytest.approx([row, column], abs=1.0)


def test_rates_are_those_of_ganglion_cells() -> None:
    circuit = Circuit()
    rates = circuit.respond(natural_movie(40.0, circuit.screen))
    mean = rates.mean(dim=0)
    assert bool(((mean > 3) & (mean < 20)).all()), mean
    assert float(rates.min()) >= 0
    assert bool((rates.std(dim=0) > 5).all())
    # A cell whose rates pile up at their largest value would be saturated.
    assert bool(((rates > 0.8 * rates.amax(dim=0)).float().mean(dim=0) < 0.05).all())


def test_sites_are_cuts_and_named(circuit: Circuit, noise: Movie) -> None:
    windows = noise.windows(circuit.history)[:4]
    found = cl.contributions(
        circuit,
        windows,
        sites=circuit.sites,
        target=cl.Output(4),
        method=cl.Conductance(3, nodes="uniform"),
    )
    for site in circuit.sites:
        assert found[site].is_cut
        assert float(found[site].completeness.abs().max()) < 1e-9
        assert found[site].positive.shape[1] == len(circuit.units[site])
    assert not found.uncovered


def test_a_blocked_interneuron_is_silent_and_nothing_else_changes(
    circuit: Circuit, noise: Movie
) -> None:
    blocked = circuit.blocked("amacrine.wide")
    before, after = circuit.look(noise.frames[None]), blocked.look(noise.frames[None])
    wide = INTERNEURONS.index("amacrine.wide")
    assert float(after[:, wide].abs().max()) == 0
    others = [number for number in range(len(INTERNEURONS)) if number != wide]
    assert torch.equal(after[:, others], before[:, others])
    change = circuit.respond(noise) - blocked.respond(noise)
    hears = [("amacrine.wide" in TYPES[kind].inhibition) for kind in circuit.types]
    assert (change.abs().amax(dim=0) > 0).tolist() == hears
    assert float(change.max()) <= 0  # inhibition was taken away
    assert float(circuit.look(noise.frames[None])[:, wide].max()) > 0  # the circuit itself is whole


def test_a_blocked_bipolar_type_is_silent_for_amacrine_cells_too(
    circuit: Circuit, noise: Movie
) -> None:
    blocked = circuit.blocked("bipolar.on.transient", "bipolar.off.transient")
    seen = blocked.look(noise.frames[None])
    wide = INTERNEURONS.index("amacrine.wide")
    assert float(seen[:, wide].std()) == pytest.approx(0, abs=1e-12)


def test_one_blocked_at_rest_stays_at_what_it_releases_in_the_mean_light(noise: Movie) -> None:
    circuit = Circuit(size=12, dtype=torch.float64)
    grey = torch.zeros(1, circuit.history, 12, 12, dtype=torch.float64)
    held = circuit.blocked("bipolar.on.sustained", at="rest")
    torch.testing.assert_close(held(grey), circuit(grey))
    assert not torch.allclose(held.respond(noise), circuit.respond(noise))
    silent = circuit.blocked("bipolar.on.sustained")
    assert float((silent(grey) - circuit(grey))[0, 1]) < -0.1


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda c: c.blocked("amacrine.narrow"), "amacrine.narrow"),
        (lambda c: c(torch.zeros(1, 49, 12, 12, dtype=torch.float64)), "49"),
        (lambda c: c.respond(white_noise(2.0, Circuit(size=10).screen)), "10 × 10"),
        (lambda c: c.respond(white_noise(0.5, c.screen)), "25 frames"),
        (lambda c: Circuit(size=12, positions={}), "positions"),
        (lambda c: Circuit(size=12, positions={"far": (0.0, 900.0)}), "900"),
    ],
)
def test_bad_input_is_reported(circuit: Circuit, act: object, says: str) -> None:
    with pytest.raises(CodeclensError, match=says):
        act(circuit)  # type: ignore[operator]


def test_units_are_distinguished() -> None:
    assert all(a != b for a, b in pairwise(sorted(INTERNEURONS)))
    circuit = Circuit(size=6)
    joined = [f"bipolar.{n}" for n in circuit.units["bipolar"]]
    joined += [f"amacrine.{n}" for n in circuit.units["amacrine"]]
    assert tuple(joined) == tuple(circuit.units["interneurons"])
