"""Stimuli are what they are called, the same again from the same seed, and no darker than dark."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from codeclens.errors import CodeclensError
from codeclens.retina import (
    Movie,
    Screen,
    bar,
    flash,
    flash_train,
    flicker,
    grating,
    moving_object,
    natural_movie,
    photographs,
    white_noise,
)
from codeclens.retina.natural_movies import BRIGHTEST

SCREEN = Screen()
SEEDED: dict[str, Callable[[int], Movie]] = {
    "binary": lambda seed: white_noise(2.0, SCREEN, seed=seed),
    "gaussian": lambda seed: white_noise(2.0, SCREEN, kind="gaussian", contrast=0.3, seed=seed),
    "flicker": lambda seed: flicker(SCREEN, contrasts=[0.1, 0.3], each=1.0, seed=seed),
    "natural": lambda seed: natural_movie(2.0, SCREEN, seed=seed),
    "object": lambda seed: moving_object(SCREEN, motion="differential", duration=2.0, seed=seed),
}


@pytest.mark.parametrize("kind", SEEDED)
def test_a_seed_gives_the_same_movie_and_another_seed_another(kind: str) -> None:
    before = torch.random.get_rng_state()
    first, again, other = SEEDED[kind](1), SEEDED[kind](1), SEEDED[kind](2)
    assert torch.equal(first.frames, again.frames)
    assert not torch.equal(first.frames, other.frames)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.frames.shape == (100, 22, 22)
    assert (first.rate, first.pixel, first.unit) == (50.0, 50.0, "um")
    assert float(first.frames.min()) >= -1


def test_noise_has_its_checks_its_clock_and_its_contrast() -> None:
    movie = white_noise(20.0, SCREEN, kind="gaussian", contrast=0.3, check=2, every=5)
    assert float(movie.frames.std()) == pytest.approx(0.3, rel=0.03)
    assert float(movie.frames.mean()) == pytest.approx(0.0, abs=0.01)
    held = movie.frames.unflatten(0, (-1, 5))
    assert torch.equal(held, held[:, :1].expand_as(held))
    checks = movie.frames.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
    assert torch.equal(checks, checks[:, :, :1, :, :1].expand_as(checks))
    single = white_noise(20.0, SCREEN, seed=4).frames.flatten(1)
    apart = torch.corrcoef(single.T[:40]) - torch.eye(40)
    assert float(apart.abs().max()) < 0.15


def test_photographs_are_contrasts_from_their_mean_light() -> None:
    pictures = photographs()
    assert {"china", "flower", "coffee", "camera"} <= set(pictures)
    for picture in pictures.values():
        assert -1 <= float(picture.min()) < -0.5
        assert 0.5 < float(picture.max()) <= BRIGHTEST
        assert -0.2 < float(picture.mean()) < 1e-3  # cut only above


def test_a_natural_movie_drifts_and_jumps() -> None:
    movie = natural_movie(8.0, SCREEN, fixation=0.5, jitter=10.0, objects=0.0, seed=2)
    change = movie.frames.diff(dim=0).abs().mean(dim=(1, 2))
    jumps = torch.zeros(len(change), dtype=torch.bool)
    jumps[24::25] = True
    assert float(change[jumps].mean()) > 3 * float(change[~jumps].mean()) > 0
    still = natural_movie(1.0, SCREEN, jitter=0.0, objects=0.0)
    torch.testing.assert_close(still.frames, still.frames[:1].expand(50, -1, -1))


def test_an_object_moves_by_itself() -> None:
    settings = {"jitter": 0.0, "names": ["coffee"], "fixation": 1.0, "radius": 250.0, "seed": 5}
    with_it = natural_movie(1.0, SCREEN, objects=1.0, **settings).frames  # type: ignore[arg-type]
    without = natural_movie(1.0, SCREEN, objects=0.0, **settings).frames  # type: ignore[arg-type]
    across, up = SCREEN.places()
    inside = torch.hypot(across, up) <= 250
    assert torch.equal(with_it[:, ~inside], without[:, ~inside])
    assert not torch.equal(with_it[:, inside], without[:, inside])


def test_films_of_other_photographs_differ() -> None:
    one = natural_movie(1.0, SCREEN, names=["coffee"])
    other = natural_movie(1.0, SCREEN, names=["china"])
    assert not torch.equal(one.frames, other.frames)


@pytest.mark.parametrize(
    ("direction", "axis", "step"), [(0, 2, 1), (180, 2, -1), (90, 1, -1), (270, 1, 1)]
)
def test_gratings_and_bars_move_where_they_are_sent(direction: float, axis: int, step: int) -> None:
    # A pixel a frame: the next frame is the last one, shifted. Row 0 is on top.
    drifting = grating(SCREEN, direction=direction, speed=SCREEN.pixel * SCREEN.rate).frames[60:70]
    moved = drifting[:-1].roll(step, dims=axis)
    inner = drifting[1:, 2:-2, 2:-2]
    torch.testing.assert_close(inner, moved[:, 2:-2, 2:-2], rtol=0, atol=1e-5)
    frames = bar(SCREEN, direction=direction, speed=SCREEN.pixel * SCREEN.rate).frames
    places = torch.arange(22.0)
    whole = frames.sum(dim=3 - axis)
    centre = (whole @ places / whole.sum(dim=1))[whole.sum(dim=1) > 85]
    torch.testing.assert_close(
        centre.diff(), torch.full_like(centre[1:], float(step)), rtol=0, atol=1e-4
    )


def test_a_grating_has_its_wavelength_and_contrast() -> None:
    movie = grating(SCREEN, direction=0.0, wavelength=275.0, contrast=0.4)
    row = movie.frames[100, 0]
    assert float(movie.frames.max()) == pytest.approx(0.4, rel=0.02)
    spectrum = torch.fft.rfft(row).abs()
    assert int(spectrum.argmax()) == round(1100 / 275)


def test_a_bar_turns_at_the_given_position() -> None:
    movie = bar(SCREEN, direction=0.0, reversal=100.0, contrast=-1.0, speed=500.0)
    across, _ = SCREEN.places()
    lit = movie.frames.sum(dim=(1, 2))
    centre = (movie.frames * across).sum(dim=(1, 2))[lit < -80] / lit[lit < -80]
    assert float(centre.max()) == pytest.approx(100.0, abs=10.0)
    centre = centre[centre > -400]
    turn = int(centre.argmax())
    assert bool((centre[: turn + 1].diff() > 4).all())
    assert bool((centre[turn + 1 :].diff() < -4).all())
    assert float(movie.frames[-30:].abs().max()) == 0


def test_a_flash_lights_its_disc_while_it_lasts() -> None:
    movie = flash(
        SCREEN, contrast=-0.5, duration=0.1, radius=150.0, place=(200.0, 100.0), before=1.0
    )
    lit = (movie.frames != 0).any(dim=2).any(dim=1).nonzero().flatten()
    assert lit.tolist() == list(range(50, 55))
    across, up = SCREEN.places()
    shape = movie.frames[52] != 0
    assert float(across[shape].mean()) == pytest.approx(200, abs=10)
    assert float(up[shape].mean()) == pytest.approx(100, abs=10)
    assert float(shape.sum()) == pytest.approx(math.pi * 9, rel=0.15)


def test_a_train_ends_where_the_next_flash_was_due() -> None:
    movie = flash_train(SCREEN, flashes=4, period=0.1, duration=0.04, before=1.0, after=0.5)
    starts = ((movie.frames[1:, 0, 0] < 0) & (movie.frames[:-1, 0, 0] == 0)).nonzero().flatten() + 1
    assert starts.tolist() == [50, 55, 60, 65]
    assert len(movie) == 70 + 25


def test_objects_move_with_their_background_or_without() -> None:
    middle, corner = (slice(None), 11, 11), (slice(None), 2, 2)

    def jumps(motion: str, where: tuple[slice, int, int]) -> set[int]:
        movie = moving_object(SCREEN, motion=motion, duration=20.0, seed=1)  # type: ignore[arg-type]
        return set((movie.frames[where].diff().abs() > 1e-6).nonzero().flatten().tolist())

    assert jumps("background", middle) == set()
    assert len(jumps("global", middle) ^ jumps("global", corner)) <= 2  # a jump may go unseen
    differential = jumps("differential", middle)
    assert len(differential) > 30
    assert len(differential & jumps("differential", corner)) < 0.3 * len(differential)
    # Equally often, and by the same law.
    assert len(differential) == pytest.approx(len(jumps("global", middle)), rel=0.2)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Screen(size=0), r"size \(=0\)"),
        (lambda: Screen(rate=-1.0), "rate"),
        (lambda: grating(Screen(20, 50.0, 1.0, "deg"), direction=0.0), "default of wavelength"),
        (
            lambda: grating(Screen(20, 50.0, 1.0, "deg"), direction=0.0, wavelength=400.0),
            "nearly uniform light",
        ),
        (lambda: SCREEN.frames(0.001), "0.001 s"),
        (lambda: white_noise(1.0, SCREEN, kind="pink"), "pink"),  # type: ignore[arg-type]
        (lambda: white_noise(1.0, SCREEN, contrast=1.5), "1.5"),
        (lambda: white_noise(1.0, SCREEN, check=0), r"check \(=0\)"),
        (lambda: natural_movie(1.0, SCREEN, names=["mona lisa"]), "mona lisa"),
        (lambda: natural_movie(1.0, SCREEN, names=[]), "empty"),
        (lambda: natural_movie(1.0, Screen(size=500)), "too few for"),
        (lambda: natural_movie(1.0, SCREEN, fixation=0.0), r"fixation \(=0.0\)"),
        (lambda: natural_movie(1.0, SCREEN, jitter=float("inf")), r"jitter \(=inf\)"),
        (lambda: natural_movie(float("nan"), SCREEN), r"duration \(=nan\)"),
        (lambda: flash(SCREEN, contrast=-2.0), "-2.0"),
        (lambda: flash(SCREEN, contrast=1.0, radius=1.0), "covers no pixel"),
        (lambda: flicker(SCREEN, contrasts=[]), r"\[\]"),
        (lambda: grating(SCREEN, direction=0.0, wavelength=60.0), "60.0"),
        (lambda: grating(SCREEN, direction=0.0, contrast=2.0), "2.0"),
        (lambda: bar(SCREEN, direction=0.0, speed=0.0), r"speed \(=0.0\)"),
        (lambda: bar(SCREEN, direction=0.0, reversal=-5000.0), "where the bar enters"),
        (lambda: flash_train(SCREEN, flashes=0), r"flashes \(=0\)"),
        (lambda: moving_object(SCREEN, motion="none"), "none"),  # type: ignore[arg-type]
        (lambda: moving_object(SCREEN, motion="global", radius=0.0), r"radius \(=0.0\)"),
    ],
)
def test_bad_input_is_reported(make: Callable[[], object], says: str) -> None:
    with pytest.raises(CodeclensError, match=says):
        make()
