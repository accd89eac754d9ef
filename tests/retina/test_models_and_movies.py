"""Which movies a response model takes, and what it refuses to be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from codeclens.errors import CodeclensError
from codeclens.retina import LN, Movie, Recording, RetinaCNN, fit, receptive_fields

ABOUT: dict[str, Any] = {"rate": 50.0, "pixel": 25.0, "unit": "um", "history": 4, "size": (6, 6)}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rate": 0.0}, r"rate \(=0.0\)"),
        ({"rate": float("nan")}, r"rate \(=nan\)"),
        ({"rate": "50"}, r"rate \(='50'\)"),
        ({"pixel": -1.0}, r"pixel \(=-1.0\)"),
        ({"unit": "mm"}, r"unit \(='mm'\)"),
        ({"history": 0}, r"history \(=0\)"),
        ({"history": 2.5}, r"history \(=2.5\)"),
    ],
)
def test_a_clock_and_a_scale_that_mean_nothing(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(CodeclensError, match=words):
        LN(["on"], **(ABOUT | changed))


@pytest.mark.parametrize("cells", ["on", [], ["a", "a"]])
def test_cells_need_names_of_their_own(cells: Any) -> None:
    with pytest.raises(CodeclensError, match="one unique name for each"):
        LN(cells, **ABOUT)


def test_a_movie_of_another_size_is_refused_everywhere() -> None:
    model = RetinaCNN(["on"], **ABOUT, kernels=(3, 3))
    movie = Movie(torch.zeros(20, 8, 6), 50.0, 25.0, "um")
    recording = Recording(movie, torch.ones(20, 1), ["on"])
    for use in (
        lambda: model.respond(movie),
        lambda: receptive_fields(model, movie),
        lambda: fit(model, recording, epochs=1),
    ):
        with pytest.raises(CodeclensError, match="8 × 6 pixels and the model takes 6 × 6"):
            use()
    with pytest.raises(CodeclensError, match=r"at_once \(=0\)"):
        model.respond(Movie(torch.zeros(20, 6, 6), 50.0, 25.0, "um"), at_once=0)


def test_a_movie_in_another_precision_is_taken() -> None:
    model = RetinaCNN(["on"], **ABOUT, kernels=(3, 3)).eval()
    frames = torch.randn(60, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    double, single = (Movie(one, 50.0, 25.0, "um") for one in (frames, frames.float()))
    assert torch.equal(model.respond(double), model.respond(single))
    ours, theirs = (receptive_fields(model, one) for one in (double, single))
    np.testing.assert_array_equal(ours, theirs)
    recording = Recording(double, torch.ones(60, 1, dtype=torch.float64), ["on"])
    assert np.isfinite(
        fit(model, recording, epochs=1, batch_size=16, held_out=0.3, blocks=1).curve.loss
    ).all()
