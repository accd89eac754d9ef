"""The circuit does with classical stimuli what retinas do, and the experiments can say no."""

from __future__ import annotations

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

    def __init__(self) -> None:
        super().__init__(history=10, rate=50.0, pixel=50.0, unit="um", cells=["plain"])

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        return 30 + 20 * windows[:, -2, 11:12, 11]


@pytest.fixture(scope="module")
def plain() -> Linear:
    return Linear()


def which(circuit: Circuit, start: str) -> torch.Tensor:
    return torch.tensor([kind.startswith(start) for kind in circuit.types])


def test_direction_selectivity_only_in_ds_cells(circuit: Circuit) -> None:
    found = direction_selectivity(circuit, circuit.screen)
    ds = which(circuit, "ds.")
    assert bool((found.index[ds] > 0.3).all()), found.index
    assert bool((found.index[~ds] < 0.1).all()), found.index
    wanted = torch.tensor([0.0, 180.0, 90.0, 270.0])
    apart = (found.preferred[ds] - wanted + 180) % 360 - 180
    assert float(apart.abs().max()) < 5


def test_without_starbursts_there_is_no_direction_selectivity(circuit: Circuit) -> None:
    names = [f"amacrine.{n}" for n in circuit.units["amacrine"] if n.startswith("starburst")]
    found = direction_selectivity(circuit.blocked(*names), circuit.screen)
    assert float(found.index.max()) < 0.05


def test_object_motion_only_in_oms_cells(circuit: Circuit) -> None:
    found = object_motion(circuit, circuit.screen)
    oms, sustained = which(circuit, "oms"), torch.tensor(["sustained" in k for k in circuit.types])
    assert float(found.index[oms].min()) > 0.5, found.index
    assert float(found.index[sustained].abs().max()) < 0.2, found.index
    assert float(found.index[~oms].max()) < 0.2, found.index
    # What moves behind the object alone leaves the cell below both.
    assert bool((found.background[oms] < found.together[oms]).all())


@pytest.mark.slow
def test_another_clock_and_other_places_keep_the_types_apart() -> None:
    for circuit, place in (
        (Circuit(rate=100.0), (0.0, 0.0)),
        (Circuit(positions={"left": (-150.0, 50.0)}), (-150.0, 50.0)),
    ):
        index = object_motion(circuit, circuit.screen, place=place, seed=3).index
        assert float(index[which(circuit, "oms")]) > 0.5, index
        assert float(index[~which(circuit, "oms")].max()) < 0.2, index
        selective = direction_selectivity(circuit, circuit.screen).index > 0.3
        assert torch.equal(selective, which(circuit, "ds."))


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
    assert bool(found.onset.isfinite().all())
    assert bool((found.onset.diff(dim=0) < -0.002).all()), found.onset
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
    assert float(found.time[index]) > 0.03


@pytest.mark.parametrize("contrast", [-1.0, 1.0])
def test_a_bar_that_turns_is_answered(circuit: Circuit, contrast: float) -> None:
    found = motion_reversal(circuit, circuit.screen, contrast=contrast)
    cells = torch.tensor(["transient" in kind for kind in circuit.types])
    assert bool((found.reversed[cells] > 1.5 * found.smooth[cells]).all()), found
    assert bool(((found.time[cells] > 0.08) & (found.time[cells] < 0.2)).all()), found


def test_a_plain_cell_does_none_of_it(plain: Linear) -> None:
    screen = Screen()
    assert float(direction_selectivity(plain, screen).index) < 0.05
    assert abs(float(object_motion(plain, screen).index)) < 0.1
    gain = contrast_adaptation(plain, screen).gain
    torch.testing.assert_close(gain, torch.full_like(gain, 20.0), rtol=1e-3, atol=0)
    onset = latency(plain, screen).onset
    torch.testing.assert_close(onset, torch.full_like(onset, 0.03), rtol=1e-4, atol=0)
    omitted = omitted_stimulus(plain, screen)
    torch.testing.assert_close(omitted.omitted, omitted.single)
    turned = motion_reversal(plain, screen)
    assert float(turned.reversed) < 1.01 * float(turned.smooth)


def test_two_directions_are_too_few(circuit: Circuit) -> None:
    with pytest.raises(CodeclensError, match="2 directions"):
        direction_selectivity(circuit, circuit.screen, directions=2)
