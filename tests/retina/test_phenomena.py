"""Phenomena are explained exactly: contributions sum, and blocks are those made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from codeclens.errors import CodeclensError
from codeclens.retina import (
    Circuit,
    Movie,
    ResponseModel,
    RetinaCNN,
    Screen,
    explain_phenomenon,
    frequency_doubling,
    match_units,
    minimal_subnetwork,
    motion_anticipation,
    polarity_reversal,
)
from codeclens.retina.phenomena import PHENOMENA

SCREEN = Screen((10, 12))


@pytest.fixture(scope="module")
def cnn() -> RetinaCNN:
    model = RetinaCNN(
        ["a", "b"], rate=50.0, pixel=50.0, unit="um", size=(10, 12), history=8,
        kernels=(3, 3), channels=(3, 4), nonlinearity="relu", seed=3,
    )  # fmt: skip
    model.calibrate(torch.full((4, 2), 20.0))
    with torch.no_grad():
        model.ganglion.weight.mul_(6.0)
    return model.eval().double()


class Plain(ResponseModel):
    """A linear cell of the middle pixel, a frame late: none of the phenomena."""

    def __init__(self) -> None:
        super().__init__(history=10, rate=50.0, pixel=50.0, unit="um", cells=["plain"])

    def forward(self, windows: Tensor) -> Tensor:
        return 30 + 20 * windows[:, -2, 11:12, 11]


@pytest.mark.parametrize("name", sorted(PHENOMENA))
def test_every_phenomenon_is_explained(name: str, cnn: RetinaCNN) -> None:
    short = {
        "contrast_adaptation": {"duration": 4.0},
        "object_motion": {"duration": 1.0},
        "motion_reversal": {"places": (0.0,)},
        "latency": {"contrasts": (0.4, 0.8)},
        "direction_selectivity": {"directions": 3},
    }
    found = explain_phenomenon(name, cnn, SCREEN, modes=2, **short.get(name, {}))
    data = found.to_xarray()
    change = data.rate - data.baseline_rate
    for kind, prefix in (("unit", ""), ("mode", "mode_")):
        gap = data[f"{prefix}contribution"].sum(kind) - change
        assert float(abs(gap).max()) < 1e-6
        assert data[f"{prefix}strength_without"].dims == ("cell", kind)
        assert data[f"{prefix}rate_without"].shape == (*data.rate.shape, data.sizes[kind])
    np.testing.assert_allclose(data.excitation + data.inhibition, data.contribution, atol=1e-9)
    assert float(data.excitation.min()) >= 0 >= float(data.inhibition.max())
    table = found.to_dataframe()
    assert len(table) == 2 * (4 + 3)
    assert len(found.figure("b").axes) >= 6
    assert "cells" in repr(found)


def test_blocks_are_those_made_by_hand(cnn: RetinaCNN) -> None:
    found = explain_phenomenon("omitted_stimulus", cnn, SCREEN, modes=2)
    data, protocol = found.data, found.protocol
    second: list[Tensor] = []
    hook = cnn.second.register_forward_hook(lambda *a: second.append(a[2]))
    with torch.no_grad():
        cnn(torch.zeros(1, 8, 10, 12, dtype=torch.float64))
    hook.remove()
    rest = second[0]
    for unit in range(4):

        def held(module: object, given: object, out: Tensor, unit: int = unit) -> Tensor:
            out = out.clone()
            out[:, unit] = rest[:, unit]
            return out

        hook = cnn.second.register_forward_hook(held)
        rates = [
            cnn.respond(movie)[rows].numpy()
            for movie, rows in zip(protocol.movies, protocol.rows(cnn), strict=True)
        ]
        hook.remove()
        np.testing.assert_allclose(data.rate_without[..., unit], np.stack(rates), atol=1e-9)
        late = np.stack(rates)[:, 6:]
        np.testing.assert_allclose(
            data.strength_without[:, unit], late[0].max(0) - late[1].max(0), atol=1e-9
        )
    # What no mode explains and all modes together are everything: nothing remains but the rest.
    shares = data.mode_contribution.sum("mode")
    np.testing.assert_allclose(shares, data.rate - data.baseline_rate, atol=1e-6)


def test_a_subnetwork_is_the_planted_one(cnn: RetinaCNN) -> None:
    model = RetinaCNN(**cnn.config(), seed=3).eval().double()
    model.load_state_dict(cnn.state_dict())
    with torch.no_grad():
        weight = model.ganglion.weight.view(2, 4, -1)
        weight[:, 2:] = 0.0
        weight[0, 1] = 0.0
    found = explain_phenomenon("latency", model, SCREEN, modes=None, contrasts=(0.4, 0.8))
    one = minimal_subnetwork(model, found, "a", least=0.99)
    assert one.kept == ("0",)
    assert one.r2 == pytest.approx(1.0)
    assert float(one.data.reduced_strength) == pytest.approx(float(one.data.strength), nan_ok=True)
    both = minimal_subnetwork(model, found, "b", least=0.999)
    assert set(both.kept) <= {"0", "1"}
    # The reduced model is a model: it answers films as the numbers say.
    movie, rows = found.protocol.movies[0], found.protocol.rows(model)[0]
    rates = both.model.respond(movie)[rows, 1].numpy()
    np.testing.assert_allclose(rates, both.data.reduced_rate[0], atol=1e-9)
    again = explain_phenomenon("latency", both.model, SCREEN, modes=None, contrasts=(0.4, 0.8))
    np.testing.assert_allclose(again.data.rate[..., 1], both.data.reduced_rate, atol=1e-9)
    assert len(both.figure().axes) == 4
    assert both.to_dataframe().kept.sum() == len(both.kept)


def test_units_are_matched_with_interneurons(cnn: RetinaCNN) -> None:
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(600, 10, 12, generator=generator, dtype=torch.float64)
    movie = Movie(frames, 50.0, 50.0, "um")
    kept: list[Tensor] = []
    hook = cnn.first.register_forward_hook(lambda *a: kept.append(a[2]))
    cnn.respond(movie)
    hook.remove()
    first = torch.cat(kept)
    values = torch.zeros(600, 3, dtype=torch.float64)
    values[7:, 0] = -5 * first[:, 1, 2, 7]
    noise = torch.randn(600, 2, generator=generator, dtype=torch.float64)
    values[7:, 1] = first[:, 1, 3, 3] + 0.1 * noise[7:, 0]
    values[:, 2] = noise[:, 1]
    found = match_units(cnn, movie, values, names=["BC", "AC", "none"], sites=["first", "second"])
    assert found.unit.values[:2].tolist() == ["1", "1"]
    assert (found.row.values[0], found.column.values[0]) == (2, 7)
    assert float(found.r[0]) == pytest.approx(-1.0)
    assert bool((found.p[:2] < 0.05).all())
    # A cell that follows no unit is no better than chance, although its best r on the training
    # film is that of many candidates.
    assert float(found.p[2]) > 0.05
    assert abs(float(found.r_train[2])) > abs(float(found.r[2]))
    apart = match_units(cnn, movie, values[:, :2], names=["BC", "AC"], one_to_one=True, draws=5)
    assert len(set(zip(apart.site.values, apart.unit.values, strict=True))) == 2


def test_bad_input_is_reported(cnn: RetinaCNN) -> None:
    for make, says in (
        (lambda: explain_phenomenon("latenzy", cnn, SCREEN), 'nearest names are "latency"'),
        (lambda: explain_phenomenon("latency", cnn, SCREEN, period=1.0), 'no setting "period"'),
        (lambda: explain_phenomenon("latency", cnn, SCREEN, modes=0), r"modes \(=0\)"),
        (lambda: explain_phenomenon("latency", cnn, SCREEN, cells="c"), 'no cell "c"'),
        (lambda: explain_phenomenon("latency", cnn, Screen(10)), "10 × 10 pixels"),
        (lambda: minimal_subnetwork(cnn, {}), "found is a dict"),  # type: ignore[arg-type]
        (lambda: frequency_doubling(cnn, SCREEN, frequency=3.0), "whole number of frames"),
        (
            lambda: match_units(cnn, Movie(torch.zeros(50, 10, 12), 50.0, 50.0, "um"),
                                torch.zeros(50, 1)),
            "must change over the film",
        ),
    ):  # fmt: skip
        with pytest.raises(CodeclensError, match=says):
            make()


def test_a_linear_cell_shows_none_of_it() -> None:
    plain, screen = Plain(), Screen()
    # The middle of the pixel is 25 µm from that of the screen.
    found = motion_anticipation(plain, screen, contrast=1.0, place=(25.0, -25.0))
    assert found.moving_time.item() == pytest.approx(0.02, abs=0.011)
    assert abs(found.strength.item()) < 0.011
    doubled = frequency_doubling(plain, screen)
    assert doubled.strength.item() < 0.01
    first = doubled["first"].sel(phase=90.0).item()
    assert first == pytest.approx(20 * np.cos(2 * np.pi * 25 / 400), rel=1e-3)
    still = polarity_reversal(plain, screen)
    assert still.strength.item() == 0.0
    assert still.polarity.sel(surround="still").item() == 1.0


def test_the_circuit_shows_them() -> None:
    circuit = Circuit()
    ahead = motion_anticipation(circuit, circuit.screen)
    assert float(ahead.strength.sel(cell="off.transient")) > 0.02
    doubled = frequency_doubling(circuit, circuit.screen).strength
    assert float(doubled.sel(cell="ds.up")) > 1 > float(doubled.sel(cell="off.sustained"))
