"""The circuit does with classical stimuli what retinas do, and the experiments can say no."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from codeclens.errors import CodeclensError
from codeclens.retina import (
    Circuit,
    ResponseModel,
    Screen,
    contrast_adaptation,
    direction_selectivity,
    latency,
    motion_reversal,
    object_motion,
    omitted_stimulus,
)


@pytest.fixture(scope="module")
def circuit() -> Circuit:
    return Circuit()


class Linear(ResponseModel):
    """A cell that follows the middle pixel a frame later: none of the phenomena."""

    def __init__(self, ahead: int = 0) -> None:
        super().__init__(history=10, rate=50.0, pixel=50.0, unit="um", cells=["plain"])
        self.ahead = ahead

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        return 30 + 20 * windows[:, -2 - self.ahead, 11:12, 11]


@pytest.fixture(scope="module")
def plain() -> Linear:
    return Linear()


def which(circuit: Circuit, start: str) -> np.ndarray:
    return np.array([kind.startswith(start) for kind in circuit.types])


def test_direction_selectivity_only_in_ds_cells(circuit: Circuit) -> None:
    found = direction_selectivity(circuit, circuit.screen)
    ds = which(circuit, "ds.")
    assert bool((found.index[ds] > 0.3).all()), found.index
    assert bool((found.index[~ds] < 0.1).all()), found.index
    wanted = np.array([0.0, 180.0, 90.0, 270.0])
    apart = (found.preferred[ds] - wanted + 180) % 360 - 180
    assert float(abs(apart).max()) < 5


def test_without_starbursts_there_is_no_direction_selectivity(circuit: Circuit) -> None:
    names = [f"amacrine.{n}" for n in circuit.units["amacrine"] if n.startswith("starburst")]
    found = direction_selectivity(circuit.blocked(*names), circuit.screen)
    assert float(found.index.max()) < 0.05


def test_object_motion_only_in_oms_cells(circuit: Circuit) -> None:
    found = object_motion(circuit, circuit.screen)
    oms, sustained = which(circuit, "oms"), np.array(["sustained" in k for k in circuit.types])
    assert float(found.index[oms].min()) > 0.5, found.index
    assert float(abs(found.index[sustained]).max()) < 0.2, found.index
    assert float(found.index[~oms].max()) < 0.2, found.index
    # What moves behind the object alone leaves the cell below both.
    mean = found.mean_rate[:, oms]
    assert bool((mean.sel(motion="background") < mean.sel(motion="global")).all())


@pytest.mark.slow
def test_another_clock_and_other_places_keep_the_types_apart() -> None:
    for circuit, place in (
        (Circuit(rate=100.0), (0.0, 0.0)),
        (Circuit(positions={"left": (-150.0, 50.0)}), (-150.0, 50.0)),
    ):
        index = object_motion(circuit, circuit.screen, place=place, seed=3).index
        assert index[which(circuit, "oms")].item() > 0.5, index
        assert float(index[~which(circuit, "oms")].max()) < 0.2, index
        selective = direction_selectivity(circuit, circuit.screen).index > 0.3
        assert np.array_equal(selective, which(circuit, "ds."))


def test_without_wide_field_cells_there_is_no_object_motion(circuit: Circuit) -> None:
    found = object_motion(circuit.blocked("amacrine.wide"), circuit.screen)
    assert float(found.index.max()) < 0.2


def test_the_gain_falls_with_contrast(circuit: Circuit) -> None:
    found = contrast_adaptation(circuit, circuit.screen)
    assert bool((found.gain[1] < 0.85 * found.gain[0]).all()), found.gain
    # Through the depression of bipolar synapses.
    fresh = Circuit()
    fresh.bipolar.depression.zero_()
    without = contrast_adaptation(fresh, fresh.screen).gain[:, :4]
    with_it = found.gain[:, :4]
    assert bool((without[1] / without[0] > with_it[1] / with_it[0]).all())


def test_latency_falls_with_contrast(circuit: Circuit) -> None:
    found = latency(circuit, circuit.screen)
    assert bool(np.isfinite(found.onset).all())
    assert bool((found.onset.diff("contrast") < -0.002).all()), found.onset
    assert 0.005 < float(found.onset.min()) < float(found.onset.max()) < 0.1


@pytest.mark.parametrize(("contrast", "cell"), [(-1.0, "on.sustained"), (1.0, "off.sustained")])
@pytest.mark.parametrize("period", [0.08, 0.12])
def test_an_omitted_flash_is_answered(
    circuit: Circuit, contrast: float, cell: str, period: float
) -> None:
    found = omitted_stimulus(circuit, circuit.screen, period=period, contrast=contrast)
    index = circuit.cells.index(cell)
    assert float(found.omitted[index]) > 1.15 * float(found.single[index]), found
    assert float(found.omitted[index]) > 3 * float(found.during[index]), found
    assert float(found.peak_time[index]) > 0.03


@pytest.mark.parametrize("contrast", [-1.0, 1.0])
def test_a_bar_that_turns_is_answered(circuit: Circuit, contrast: float) -> None:
    found = motion_reversal(circuit, circuit.screen, contrast=contrast)
    cells = np.array(["transient" in kind for kind in circuit.types])
    assert bool((found.reversed[cells] > 1.5 * found.smooth[cells]).all()), found
    assert bool(((found.peak_time[cells] > 0.08) & (found.peak_time[cells] < 0.2)).all()), found


def test_a_plain_cell_does_none_of_it(plain: Linear) -> None:
    screen = Screen()
    assert direction_selectivity(plain, screen).index.item() < 0.05
    assert abs(object_motion(plain, screen).index.item()) < 0.1
    gain = contrast_adaptation(plain, screen).gain
    np.testing.assert_allclose(gain, 20.0, rtol=1e-3)
    onset = latency(plain, screen).onset
    np.testing.assert_allclose(onset, 0.03, rtol=1e-4)
    omitted = omitted_stimulus(plain, screen)
    np.testing.assert_allclose(omitted.omitted, omitted.single, rtol=1e-6)
    turned = motion_reversal(plain, screen)
    assert turned.reversed.item() < 1.01 * turned.smooth.item()


def test_two_directions_are_too_few(circuit: Circuit) -> None:
    with pytest.raises(CodeclensError, match=r"directions \(=2\)"):
        direction_selectivity(circuit, circuit.screen, directions=2)


@pytest.mark.parametrize("ahead", [-1, 3])
def test_times_are_those_of_the_frame_that_a_response_belongs_to(plain: Linear, ahead: int) -> None:
    """The same cell has the same latency whether its model predicts ahead or looks ahead."""
    screen, moved = Screen(), Linear(ahead)
    for experiment in (latency, omitted_stimulus, motion_reversal):
        wanted, found = experiment(plain, screen), experiment(moved, screen)
        for name in ("onset", "omitted", "peak_time", "reversed", "smooth", "during"):
            if name in wanted:
                np.testing.assert_allclose(found[name], wanted[name], rtol=1e-5, err_msg=name)


def test_an_experiment_returns_its_film_and_its_rates(plain: Linear) -> None:
    found = latency(plain, Screen(), contrasts=(0.5,))
    middle = found.film.sel(flash=0.5)[:, 11, 11]
    assert float(middle.idxmax("frame")) == 0.0, "the flash begins at the event"
    rate = found.rate.sel(flash=0.5, cell="plain")
    assert float(rate.idxmax("time")) == pytest.approx(0.02)
    np.testing.assert_allclose(rate.max(), 30 + 20 * 0.5)
