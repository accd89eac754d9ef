"""LN, subunits and LNK models, and the kinetics inside."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.integrate import solve_ivp
from torch import Tensor, nn

import codeclens as cl
import retina_reference
from codeclens import CodeclensError
from codeclens.retina import LN, LNK, LNLN, Kinetics
from codeclens.retina.photoreceptors import START

ABOUT: dict = {"rate": 50.0, "pixel": 1.0, "unit": "deg"}


@pytest.fixture
def film(generator: torch.Generator) -> Tensor:
    return torch.randn(30, 6, 7, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("rank", [None, 1, 2])
def test_ln_is_a_filter_and_a_softplus(film: Tensor, rank: int | None) -> None:
    model = LN(["a", "b"], history=8, size=(6, 7), rank=rank, **ABOUT).double()
    weight, bias = model.potential.weight, model.potential.bias
    if rank is not None:
        flat = weight.detach().flatten(2)
        assert all(torch.linalg.matrix_rank(one) == rank for one in flat)
    windows = film.unfold(0, 8, 1).movedim(-1, 1)
    for window, rates in zip(windows, model(windows), strict=True):
        for cell in range(2):
            drive = (window * weight[cell]).sum() + bias[cell]
            assert torch.allclose(rates[cell], F.softplus(drive))


def test_subunits_are_counted_one_by_one(film: Tensor) -> None:
    model = LNLN(["a", "b"], history=8, size=(6, 7), channels=2, kernel=3, **ABOUT).double()
    windows = film.unfold(0, 8, 1).movedim(-1, 1)
    found = model(windows)
    for frame in (7, 15, 29):
        drive = retina_reference.lnln(dict(model.state_dict()), film, frame, 8)
        assert torch.allclose(found[frame - 7], F.softplus(drive))


def test_subunits_may_be_kept_excitatory(film: Tensor) -> None:
    model = LNLN(["a"], history=8, size=(6, 7), kernel=3, positive=True, **ABOUT).double()
    x = film[None, :8]
    found = cl.contributions(model, x, sites="subunits", target=cl.Output(0))
    subunits = model.subunits(model.filters(x)) - model.subunits(model.filters(0 * x))
    risen = (subunits.clamp(min=0) > 0).flatten(2).any(dim=2)
    assert torch.equal(found["subunits"].positive > 0, risen)


@pytest.mark.parametrize("u", [0.0, 0.3, 4.0])
def test_kinetics_start_in_their_stationary_state(u: float) -> None:
    rates = retina_reference.kinetic_rates(u, START)
    values, vectors = np.linalg.eig(rates)
    still = np.real(vectors[:, np.abs(values).argmin()])
    still /= still.sum()
    block = Kinetics(1, 1e-5).double()
    found = float(block(torch.full((1, 1, 1, 1), u, dtype=torch.float64)).detach())
    assert found == pytest.approx(still[1], rel=1e-3, abs=1e-12)


def test_kinetics_are_the_differential_equation_at_short_frames() -> None:
    step, frames = 1e-4, 3000
    u = torch.cat([torch.full((1000,), 0.2), torch.full((2000,), 3.0)]).double()
    block = Kinetics(1, step).double()
    still = np.linalg.svd(retina_reference.kinetic_rates(0.2, START))[2][-1]
    still /= still.sum()
    end = frames * step
    solved = solve_ivp(
        lambda t, p: retina_reference.kinetic_rates(0.2 if t < 0.1 else 3.0, START) @ p,
        (0, end),
        still,
        rtol=1e-8,
        max_step=0.01,
    )
    found = float(block(u.view(1, 1, -1, 1)).detach())
    assert found == pytest.approx(solved.y[1, -1], rel=2e-3)
    assert solved.y.sum(axis=0)[-1] == pytest.approx(1.0)


def test_kinetics_keep_occupancies_positive_at_any_rate() -> None:
    block = Kinetics(2, 0.02).double()
    with torch.no_grad():
        block.rates.add_(4.0)  # as fast as 1,600 a second, in frames of 20 ms
    u = torch.rand(3, 2, 200, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for frames in range(1, 200, 20):
        active = block(20 * u[:, :, :frames])
        assert bool(((active >= 0) & (active <= 1)).all())


def test_lnk_adapts_to_contrast() -> None:
    model = LNK(["a"], history=400, taps=4, size=(1, 1), **ABOUT).double()
    with torch.no_grad():
        model.filters.full.zero_()
        model.filters.full[0, -1] = 1.0
        model.filters.bias.fill_(-1.0)
    noise = torch.randn(400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def gain(contrast: float) -> float:
        film = (contrast * noise).view(1, 400, 1, 1)
        up, down = film.clone(), film.clone()
        up[:, -1] = 1.0
        down[:, -1] = 0.0
        with torch.no_grad():
            rise = model.potential(model.active(model.nonlinear(model.filters(up))))
            rest = model.potential(model.active(model.nonlinear(model.filters(down))))
        return float(rise - rest)

    assert gain(4.0) < 0.9 * gain(0.25), "after high contrast the same step moves it less"


def test_lnk_contributions_sum_at_both_sites(film: Tensor) -> None:
    model = LNK(["a", "b"], history=20, taps=6, size=(6, 7), channels=2, **ABOUT).double()
    x = film.unfold(0, 20, 1).movedim(-1, 1)[:4]
    found = cl.contributions(model, x, sites=model.sites, target=cl.Output(1))
    for site in model.sites:
        assert found[site].net.shape == (4, 2)
        assert found[site].completeness.abs().max() < 1e-10


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


@pytest.mark.parametrize(("kind", "options"), [(LN, {}), (LNLN, {"kernel": 3}), (LNK, {"taps": 4})])
def test_a_front_stands_before_each(film: Tensor, kind: type, options: dict) -> None:
    about = {"history": 8, "size": (6, 7), **ABOUT, **options}
    with_front = kind(["a"], front=Twice(), **about).double()
    bare = kind(["a"], **about).double()
    x = film[None, :8]
    assert torch.allclose(with_front(x), bare(2 * x))


def test_inputs_that_do_not_fit_are_reported() -> None:
    with pytest.raises(CodeclensError, match="Subunits of 7 pixels"):
        LNLN(["a"], size=(6, 7), kernel=7, **ABOUT)
    with pytest.raises(CodeclensError, match=r"taps \(=20\) must be"):
        LNK(["a"], size=(6, 7), history=20, taps=20, **ABOUT)
