"""The retina benchmark measures what it says, on small films and in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.retina.blocks import predicted
from benchmarks.retina.candidates import makers
from benchmarks.retina.evidence import Evidence, kept
from benchmarks.retina.films import CHOSEN, FITTED, REPORTED, recording, reported_film
from benchmarks.retina.networks import Configuration, network, seen_by, with_cones
from benchmarks.retina.recovery import main
from benchmarks.retina.scores import best, correlations, interval, lasting
from benchmarks.retina.turned import turned

from codeclens.decomposition import NMF
from codeclens.retina import Circuit, Photoreceptors, natural_movie, pathways


@pytest.fixture(scope="module")
def circuit() -> Circuit:
    return Circuit()


def test_no_photograph_serves_two_purposes() -> None:
    together = [*FITTED, *CHOSEN, *REPORTED]
    assert len(set(together)) == len(together) == 8


def test_a_recording_of_a_shorter_history_keeps_the_rates_of_the_same_moments(
    circuit: Circuit,
) -> None:
    film = reported_film(circuit, 2.0)
    found = recording(circuit, film, 30)
    assert len(found.movie) == 100 - 20
    windows = film.windows(circuit.history)
    torch.testing.assert_close(found.rates[29:], circuit(windows), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(found.movie.windows(30)[-1], windows[-1, 20:])


def test_cones_in_the_model_match_cones_before_the_fit(circuit: Circuit) -> None:
    cones = Photoreceptors(circuit.rate)
    model = network(circuit, Configuration(history=23, channels=(3, 3)), seed=0).eval()
    whole = with_cones(model, cones)
    given = recording(circuit, reported_film(circuit, 2.0), whole.history)
    torch.testing.assert_close(
        whole.respond(given.movie), model.respond(seen_by(cones, given).movie)
    )


def test_a_rotated_circuit_gives_the_same_results(circuit: Circuit) -> None:
    other = turned(circuit)
    film = natural_movie(1.3, circuit.screen, seed=1)
    torch.testing.assert_close(other.respond(film), circuit.respond(film), rtol=1e-3, atol=1e-2)
    matrix = other.interneurons.matrix
    assert isinstance(matrix, torch.Tensor)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(11), atol=1e-5, rtol=0)
    assert float(matrix.abs().max()) < 0.95


def test_the_drive_predicts_blocks_of_amacrine_cells_exactly(circuit: Circuit) -> None:
    film = natural_movie(6.0, circuit.screen, seed=2)
    inhibitory = [one for one in lasting(pathways(circuit, film)) if not one.excitatory]
    by_rate, silent, by_drive = zip(*predicted(circuit, film, inhibitory), strict=True)
    assert min(by_drive) > 0.9999
    assert min(by_rate) < 0.9
    assert np.nanmin(silent) < min(by_rate)


def test_lasting_pathways_are_those_that_move_the_rate(circuit: Circuit) -> None:
    found = pathways(circuit, natural_movie(4.0, circuit.screen, seed=3))
    names = {one.name for one in lasting(found)}
    assert "amacrine.wide → oms" in names
    assert "amacrine.wide → ds.right" not in names
    assert {one.excitatory for one in lasting(found)} == {True, False}


def test_the_best_candidate_is_chosen_on_training_frames_alone() -> None:
    random = np.random.default_rng(0)
    train, held = random.normal(size=(2, 100))
    noise = random.normal(size=(2, 100))
    # The first is the truth in training and noise later, the second the other way round.
    pair = np.stack([-train, noise[0]], 1), np.stack([noise[1], held], 1)
    found = best(pair, train, held)
    assert found.candidate == 0
    assert found.train == pytest.approx(1.0)
    assert found.held == pytest.approx(abs(np.corrcoef(noise[1], held)[0, 1]))


def test_correlations_agree_with_numpy_and_are_zero_for_what_is_constant() -> None:
    random = np.random.default_rng(1)
    Z, y = random.normal(size=(50, 3)), random.normal(size=50)
    Z[:, 2] = 1 / 3
    expected = [np.corrcoef(Z[:, k], y)[0, 1] for k in range(2)]
    np.testing.assert_allclose(correlations(Z, y), [*expected, 0.0], atol=1e-12)


def test_intervals_hold_the_mean_and_grow_with_differences_between_cells() -> None:
    cells = [0, 0, 1, 1, 2, 2]
    mean, low, high = interval([0.1, 0.1, 0.5, 0.5, 0.9, 0.9], cells)
    assert mean == pytest.approx(0.5)
    assert low < 0.4 < 0.6 < high
    assert interval([0.5] * 6, cells) == pytest.approx((0.5, 0.5, 0.5))


def test_modes_of_contributions_find_motifs_that_activations_hide() -> None:
    random = np.random.default_rng(2)
    Z = random.gamma(0.3, size=(400, 2))
    positive = (Z[:, :1] @ np.array([[1.0, 2.0, 0.0]]))[:, None]
    negative = -(Z[:, 1:] @ np.array([[0.0, 1.0, 1.0]]))[:, None]
    both = Evidence(
        Z[:, :1], {"s": positive}, {"s": negative}, {"s": random.gamma(1.0, size=(400, 3))}, 0.0
    )
    make = makers(NMF(n_modes=2))
    assert best(make["contribution modes"](both, both, 0), Z[:, 1], Z[:, 1]).held > 0.99
    assert best(make["activation modes"](both, both, 0), Z[:, 1], Z[:, 1]).held < 0.3
    assert make["rate alone"](both, both, 0)[0].shape == (400, 1)


def test_what_was_made_is_kept(tmp_path: Path) -> None:
    calls = []

    def made() -> dict[str, np.ndarray]:  # type: ignore[type-arg]
        calls.append(1)
        return {"a": np.arange(3)}

    for _ in range(2):
        np.testing.assert_array_equal(kept(tmp_path / "x" / "a.npz", made)["a"], [0, 1, 2])
    assert len(calls) == 1


def test_the_quick_version_prints_every_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--quick"])
    first = capsys.readouterr().out
    for part in ("circuit itself", "recovery of pathways", "receptive fields", "blocks"):
        assert part in first
    assert first.count("contribution modes") >= 4
    assert "| mean |" in first
