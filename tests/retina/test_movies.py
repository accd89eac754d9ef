"""Movies, recordings and what every response model offers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from codeclens import CodeclensError
from codeclens.retina import Movie, Recording, ResponseModel


def movie(frames: int = 20, **changed: object) -> Movie:
    options: dict = {"rate": 50.0, "pixel": 30.0, "unit": "um"} | changed
    film = torch.arange(float(frames * 6)).view(frames, 2, 3)
    return Movie(film, **options)


def test_windows_are_frames_that_follow_one_another_newest_last() -> None:
    windows = movie().windows(4)
    assert windows.shape == (17, 4, 2, 3)
    for start in range(17):
        assert torch.equal(windows[start], movie().frames[start : start + 4])
    assert windows.data_ptr() != windows[1].data_ptr()
    assert windows._base is not None, "an hour of film is held once"


def test_times_are_those_of_the_newest_frames() -> None:
    assert np.allclose(movie().window_times(4), np.arange(3, 20) / 50)
    assert movie().duration == pytest.approx(0.4)
    assert movie().size == (60.0, 90.0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rate": 0.0}, "rate"),
        ({"rate": math.nan}, "rate"),
        ({"pixel": -1.0}, "pixel"),
        ({"unit": "px"}, 'must be "um" or "deg"'),
        ({"frames": torch.zeros(3, 4)}, r"\(time, y, x\)"),
        ({"frames": torch.zeros(0, 4, 4)}, "one frame and one pixel"),
        ({"frames": torch.zeros(3, 4, 4, dtype=torch.uint8)}, "floating"),
        ({"frames": torch.full((3, 4, 4), math.inf)}, "Frame 0"),
        ({"rate": "50"}, r"rate \(='50'\)"),
        ({"pixel": None}, r"pixel \(=None\)"),
        ({"frames": torch.zeros(5, 0, 3)}, "one frame and one pixel"),
        ({"frames": np.zeros((3, 4, 4), np.int64)}, "floating"),
        ({"frames": "film"}, "are str; pass a tensor"),
        ({"frames": [[1.0], [1.0, 2.0]]}, "are list; pass a tensor"),
    ],
)
def test_a_movie_is_checked(change: dict, says: str) -> None:
    given = {"frames": torch.zeros(3, 4, 4), "rate": 50.0, "pixel": 1.0, "unit": "deg"} | change
    with pytest.raises(CodeclensError, match=says):
        Movie(**given)


def test_a_part_of_a_movie() -> None:
    part = movie().between(0.1, 0.3)
    assert torch.equal(part.frames, movie().frames[5:15])
    with pytest.raises(CodeclensError, match="no frame between"):
        movie().between(0.3, 0.1)
    with pytest.raises(CodeclensError, match="no window"):
        movie().windows(21)


def test_a_recording_answers_frame_by_frame() -> None:
    counts = torch.arange(40.0).view(20, 2)
    recording = Recording.from_counts(movie(), counts, ["a", "b"])
    assert torch.equal(recording.rates, counts * 50)
    assert torch.equal(recording.targets(4), recording.rates[3:])
    assert len(recording.targets(4)) == len(movie().windows(4))
    assert torch.equal(recording.between(0.1, 0.3).rates, recording.rates[5:15])


@pytest.mark.parametrize(
    ("rates", "cells", "says"),
    [
        (torch.zeros(19, 2), ["a", "b"], "row for each frame"),
        (torch.zeros(20, 2), ["a", "a"], "1 unique names"),
        (torch.zeros(20, 2), ["a"], "pass one"),
        (-torch.ones(20, 2), ["a", "b"], "not negative"),
        (torch.full((20, 2), math.nan), ["a", "b"], "'a'"),
        (np.zeros((19, 2)), ["a", "b"], "row for each frame"),
        (torch.zeros(20, 2, dtype=torch.int64), ["a", "b"], "from_counts"),
        (torch.zeros(20, 2), "ab", "list of names"),
        (None, ["a", "b"], "NoneType; pass"),
    ],
)
def test_a_recording_is_checked(rates: Tensor, cells: list[str], says: str) -> None:
    with pytest.raises(CodeclensError, match=says):
        Recording(movie(), rates, cells)


def test_arrays_of_numpy_come_in_as_they_are(rng: np.random.Generator) -> None:
    film, rates = rng.normal(size=(20, 2, 3)), rng.random((20, 2))
    seen = Movie(film, rate=50.0, pixel=30.0, unit="um")
    assert seen.frames.dtype == torch.float64
    assert np.array_equal(seen.frames, film)
    # Views backwards, of another order of bytes and not to be written to are taken as well.
    for other in (film[::-1], film.astype(">f8"), film.astype("f4")):
        other.flags.writeable = False
        shown = Movie(other, rate=50.0, pixel=30.0, unit="um").frames
        assert np.array_equal(shown, other)
        assert shown.dtype == (torch.float32 if other.dtype == np.float32 else torch.float64)
    assert np.array_equal(Recording(seen, rates, ["a", "b"]).rates, rates)
    for kind in (np.uint16, np.int64, np.float32):
        counts = rng.integers(0, 9, (20, 2)).astype(kind)
        assert np.array_equal(Recording.from_counts(seen, counts, ["a", "b"]).rates, counts * 50.0)


class Mean(ResponseModel):
    """The mean of a window, in Hz."""

    def __init__(self) -> None:
        super().__init__(history=4, rate=50.0, pixel=30.0, unit="um", cells=["mean"])
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(x).flatten(1).mean(dim=1, keepdim=True)


@pytest.mark.parametrize("at_once", [1, 5, 256])
def test_a_model_responds_to_a_movie(at_once: int) -> None:
    model = Mean().train()
    found = model.respond(movie(), at_once=at_once)
    assert model.training, "left as it was"
    assert not found.requires_grad
    wanted = [movie().frames[start : start + 4].mean() for start in range(17)]
    assert torch.allclose(found[:, 0], torch.stack(wanted))


@pytest.mark.parametrize(
    ("change", "says"),
    [({"rate": 60.0}, "60"), ({"pixel": 31.0}, "scale it"), ({"unit": "deg"}, "scale it")],
)
def test_a_movie_of_another_clock_or_scale_is_refused(change: dict, says: str) -> None:
    with pytest.raises(CodeclensError, match=says):
        Mean().respond(movie(**change))
