"""Films in colour and screens that are not square go all the way; lengths know their unit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from codeclens.errors import CodeclensError
from codeclens.retina import (
    Circuit,
    Movie,
    MovieWindows,
    Recording,
    RetinaCNN,
    Screen,
    bar,
    cut_repeats,
    explain_phenomenon,
    fields_figure,
    fit,
    flash,
    flash_train,
    flashed_bar,
    flicker,
    grating,
    latency,
    load_model,
    motion_reversal,
    movie_contributions,
    moving_object,
    natural_movie,
    receptive_fields,
    reversing_grating,
    save_model,
    shifted_surround,
    spike_triggered_average,
    white_noise,
)

TWO = Screen((12, 20), colours=("green", "uv"))
GREY = Screen((12, 20))
STIMULI: dict[str, Callable[..., Movie]] = {
    "flash": lambda screen, **k: flash(screen, contrast=0.5, radius=150.0, **k),
    "flicker": lambda screen, **k: flicker(screen, contrasts=[0.3], each=1.0, **k),
    "grating": lambda screen, **k: grating(screen, direction=30.0, **k),
    "reversing": lambda screen, **k: reversing_grating(screen, direction=30.0, **k),
    "bar": lambda screen, **k: bar(screen, direction=90.0, **k),
    "flashed bar": lambda screen, **k: flashed_bar(screen, direction=90.0, **k),
    "train": lambda screen, **k: flash_train(screen, flashes=2, **k),
    "object": lambda screen, **k: moving_object(screen, motion="global", duration=1.0, **k),
    "surround": lambda screen, **k: shifted_surround(screen, flash=0.5, **k),
    "noise": lambda screen, **k: white_noise(1.0, screen, **k),
}


@pytest.mark.parametrize("name", STIMULI)
def test_a_stimulus_in_colour_is_the_grey_one_times_its_weights(name: str) -> None:
    make = STIMULI[name]
    grey = make(GREY).frames
    assert grey.shape[1:] == (12, 20)
    both = make(TWO, colour=(1.0, -0.5))
    assert both.frames.shape == (len(grey), 2, 12, 20)
    torch.testing.assert_close(both.of_colour("green").frames, grey)
    torch.testing.assert_close(both.of_colour("uv").frames, -0.5 * grey)
    alone = make(TWO, colour="uv")
    assert not alone.of_colour("green").frames.any()
    with pytest.raises(CodeclensError, match='has no colour "red"'):
        make(TWO, colour="red")
    with pytest.raises(CodeclensError, match="a weight for each of the screen's 2 colours"):
        make(TWO, colour=(1.0,))
    with pytest.raises(CodeclensError, match="screen has no colours"):
        make(GREY, colour="green")


def test_colours_of_noise_are_independent() -> None:
    movie = white_noise(20.0, TWO, seed=1)
    green, uv = (movie.of_colour(name).frames.flatten() for name in TWO.colours)
    assert abs(float(torch.corrcoef(torch.stack([green, uv]))[0, 1])) < 0.02


def test_photographs_in_colour() -> None:
    screen = Screen((12, 20), colours=("red", "green", "blue"))
    movie = natural_movie(1.0, screen, names=["coffee"], seed=2)
    assert movie.frames.shape == (50, 3, 12, 20)
    grey = natural_movie(1.0, GREY, names=["coffee"], seed=2).frames
    green = movie.of_colour("green").frames
    assert float(torch.corrcoef(torch.stack([green.flatten(), grey.flatten()]))[0, 1]) > 0.9
    assert not torch.allclose(movie.of_colour("red").frames, movie.of_colour("blue").frames)
    with pytest.raises(CodeclensError, match="primaries="):
        natural_movie(1.0, TWO)
    blue = {"uv": (0.0, 0.0, 1.0)}
    uv = natural_movie(1.0, TWO, names=["coffee"], seed=2, primaries=blue).of_colour("uv")
    torch.testing.assert_close(uv.frames, movie.of_colour("blue").frames)


def test_a_square_screen_is_as_it_was() -> None:
    wide = moving_object(Screen((22, 22)), motion="differential", duration=2.0)
    torch.testing.assert_close(
        wide.frames, moving_object(Screen(22), motion="differential", duration=2.0).frames
    )
    assert Screen(np.int64(3)).shape == (3, 3)  # type: ignore[arg-type]
    across, up = Screen((2, 4), pixel=10.0).places()
    assert across[0].tolist() == [-15.0, -5.0, 5.0, 15.0]
    assert up[:, 0].tolist() == [5.0, -5.0]


def test_lengths_are_in_the_unit_that_is_used() -> None:
    degrees = Screen(20, 50.0, 1.0, "deg")
    for make in (
        lambda: grating(degrees, direction=0.0),
        lambda: bar(degrees, direction=0.0),
        lambda: moving_object(degrees, motion="global"),
        lambda: natural_movie(1.0, degrees),
        lambda: shifted_surround(degrees),
    ):
        with pytest.raises(CodeclensError, match="this screen is in degrees"):
            make()
    known = Screen(20, 50.0, 1.0, "deg", um_per_degree=50.0)
    micro = Screen(20, 50.0, 50.0, "um")
    for make in (STIMULI["grating"], STIMULI["bar"], STIMULI["object"], STIMULI["surround"]):
        torch.testing.assert_close(make(known).frames, make(micro).frames)
    # Experiments pass the same on.
    model = RetinaCNN(
        ["a"], rate=50.0, pixel=1.0, unit="deg", size=(20, 20), history=5, kernels=(3, 3)
    ).eval()
    for experiment in (latency, motion_reversal):
        with pytest.raises(CodeclensError, match="this screen is in degrees"):
            experiment(model, degrees)
    found = motion_reversal(model, known)
    assert found.place.values[0] == -8.0


def test_a_model_of_two_colours_goes_all_the_way(tmp_path: Path) -> None:
    about = {"rate": 50.0, "pixel": 50.0, "unit": "um", "size": (12, 20), "history": 6}
    model = RetinaCNN(["a", "b"], colours=2, kernels=(3, 3), channels=(2, 3), **about)  # type: ignore[arg-type]
    movie = white_noise(8.0, TWO)
    windows = model.windows(movie)
    assert windows.shape == (395, 2, 6, 12, 20)
    assert torch.equal(windows[7, 1, 2], movie.frames[9, 1])
    rates = 20 * (1 + movie.frames[:, 1, 4:6, 8:10].mean((1, 2))[:, None].expand(-1, 2))
    recording = Recording(movie, rates, ["a", "b"])
    fit(model, recording, epochs=2, batch_size=64, seed=0)
    model.eval()
    found = movie_contributions(model, movie, between=(1.0, 1.2))
    assert float(abs(found.completeness).max()) < 1e-3
    fields = receptive_fields(model, movie, frames=range(4))
    assert fields.dims == ("time", "cell", "colour", "lag", "y", "x")
    fields_figure(fields.sel(colour="uv"))
    with pytest.raises(CodeclensError, match=r"choose one, fields\.sel"):
        fields_figure(fields)
    average = spike_triggered_average(recording, 6).average
    assert average.dims == ("cell", "colour", "lag", "y", "x")
    peak = abs(average).isel(cell=0).argmax(...)
    assert average.colour[int(peak["colour"])] == "uv"
    explained = explain_phenomenon("omitted_stimulus", model, TWO, modes=2, colour="green")
    assert explained.data.film.dims == ("shown", "frame", "colour", "y", "x")
    again = load_model(save_model(model, tmp_path / "two"))
    assert torch.equal(again.respond(movie), model.respond(movie))
    assert MovieWindows(movie, 6).describe()["colours"] == ["green", "uv"]
    folded = RetinaCNN(["a"], colours=2, stacked=True, kernels=(3, 3), **about).eval()  # type: ignore[arg-type]
    torch.testing.assert_close(folded.fold().respond(movie), folded.respond(movie))


def test_repeats_without_gaps_are_cut() -> None:
    film = torch.randn(20, 2, 3)
    movie = Movie(torch.cat([film, film, film, film[:5]]), 50.0, 50.0, "um")
    rates = torch.rand(65, 1)
    found = cut_repeats(Recording(movie, rates, ["a"]))
    assert found.repeats is not None
    assert torch.equal(found.repeats, torch.stack([rates[:20], rates[20:40], rates[40:60]]))
    assert torch.equal(found.movie.frames, film)
    with pytest.raises(CodeclensError, match="do not recur"):
        cut_repeats(Recording(Movie(torch.randn(20, 2, 3), 50.0, 50.0, "um"), rates[:20], ["a"]))
    with pytest.raises(CodeclensError, match="has other frames"):
        cut_repeats(Recording(movie, rates, ["a"]), period=0.3)


def test_bad_films_in_colour_are_reported() -> None:
    for make, says in (
        (lambda: Movie(torch.zeros(5, 2, 3, 3), 50.0, 1.0, "um", colours=("a",)), "2 unique names"),
        (lambda: Movie(torch.zeros(5, 3, 3), 50.0, 1.0, "um", colours=("a",)), "0 unique names"),
        (lambda: Screen(colours=("a", "a")), "unique names"),
        (lambda: Screen((3, 4, 5)), "one number or"),  # type: ignore[arg-type]
        (lambda: Screen(um_per_degree=-1.0), "um_per_degree"),
        (lambda: Circuit().respond(white_noise(2.0, Screen(22, colours=("a", "b")))),
         "has the colours a, b and the model takes no colours"),
    ):  # fmt: skip
        with pytest.raises(CodeclensError, match=says):
            make()
