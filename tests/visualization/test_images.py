"""Overlays: what is coloured, how strongly, and what cannot be drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from codeclens import CodeclensError
from codeclens.visualization import as_picture, common_scale, overlay
from codeclens.visualization.overlays import as_pixels, colour_ramp, strength

NONE = np.zeros((1, 20, 20))


def spot(row: int, column: int, amount: float = 1.0) -> np.ndarray:
    """A map of three channels with one square of equal strength."""
    found = np.zeros((3, 20, 20))
    found[:, row : row + 4, column : column + 4] = amount / 3
    return found


def is_orange(pixel: np.ndarray) -> bool:
    red, _, blue = (int(part) for part in pixel)
    return red > blue + 60


def is_blue(pixel: np.ndarray) -> bool:
    red, _, blue = (int(part) for part in pixel)
    return blue > red + 60


@pytest.mark.parametrize("light", [0.0, 0.5, 1.0])
def test_for_is_orange_and_against_is_blue_on_any_ground(light: float) -> None:
    picture = np.full((20, 20), light)
    drawn = overlay(picture, spot(2, 2, -1.0), spot(12, 12)).pixels
    assert is_orange(drawn[3, 3])
    assert is_blue(drawn[13, 13])
    grey = drawn[3, 13]
    assert grey.max() == grey.min()


def test_the_picture_stays_to_be_seen() -> None:
    stripes = np.tile([0.2, 0.8], (20, 10))
    drawn = overlay(stripes, np.ones((20, 20)), NONE[0]).pixels.astype(float)
    # Under full colour too, light stripes are lighter than dark ones.
    assert (drawn[:, 1::2].sum(axis=2) > drawn[:, ::2].sum(axis=2) + 60).all()


def test_the_scale_is_the_strength_of_full_colour() -> None:
    picture = np.full((20, 20), 0.5)
    own = overlay(picture, spot(4, 4, 3.0), NONE, smoothing=0)
    assert own.scale == pytest.approx(3.0)
    full = overlay(picture, spot(4, 4, 3.0), NONE, scale=3.0, smoothing=0)
    half = overlay(picture, spot(4, 4, 3.0), NONE, scale=6.0, smoothing=0)
    assert np.array_equal(own.pixels, full.pixels)
    assert half.scale == 6.0
    assert int(full.pixels[5, 5, 2]) < int(half.pixels[5, 5, 2])
    more = overlay(picture, spot(4, 4, 9.0), NONE, scale=3.0, smoothing=0)
    assert np.array_equal(more.pixels[5, 5], full.pixels[5, 5])


def test_several_maps_share_the_scale_of_the_strongest() -> None:
    pairs = [(spot(2, 2, 1.0), NONE), (NONE, spot(2, 2, -5.0)), (spot(2, 2, 2.0), NONE)]
    assert common_scale(pairs, smoothing=0) == pytest.approx(5.0)


def test_an_empty_map_colours_nothing() -> None:
    drawn = overlay(np.full((20, 20), 0.3), NONE, NONE)
    assert drawn.scale == 0
    assert np.ptp(drawn.pixels) == 0


def test_strength_adds_colours_before_it_takes_magnitudes() -> None:
    opposed = np.stack([np.ones((8, 8)), -np.ones((8, 8))])
    assert not strength(opposed).any()
    np.testing.assert_allclose(strength(np.stack([opposed[1], opposed[1]])), 2.0)


def test_smoothing_takes_out_single_pixels_and_keeps_regions() -> None:
    values = np.zeros((224, 224))
    values[20, 20] = 1.0
    values[100:140, 100:140] = 1.0
    smooth = strength(values)
    assert smooth[20, 20] < 0.01
    assert smooth[120, 120] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("RGB", (20, 20), (255, 0, 0)),
        Image.new("L", (20, 20), 128),
        np.full((20, 20), 0.5),
        np.full((20, 20, 1), 128, np.uint8),
        np.full((20, 20, 3), 128, np.uint8),
        torch.full((20, 20), 0.5),
        torch.full((20, 20, 3), 7, dtype=torch.uint8),
    ],
    ids=lambda picture: type(picture).__name__,
)
def test_pictures_of_many_kinds(picture: object) -> None:
    pixels = as_pixels(picture)
    assert pixels.shape == (20, 20, 3)
    assert 0 <= pixels.min() <= pixels.max() <= 1
    assert overlay(picture, torch.ones(3, 20, 20), torch.zeros(3, 20, 20)).pixels.dtype == np.uint8


def test_an_input_becomes_its_picture_again(rng: np.random.Generator) -> None:
    original = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    scaled = (original / 255 - np.array(mean)) / np.array(std)
    x = torch.from_numpy(scaled).permute(2, 0, 1)
    assert np.array_equal(as_picture(x, mean, std), original)
    grey = as_picture(torch.linspace(0, 1, 12).reshape(1, 3, 4))
    assert grey.shape == (3, 4, 3)
    assert grey[-1, -1].tolist() == [255, 255, 255]


def test_the_key_runs_from_grey_to_colour() -> None:
    assert np.ptp(colour_ramp()[0, 0]) == 0
    assert is_orange(colour_ramp()[0, -1])
    assert is_blue(colour_ramp(against=True)[0, -1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: overlay(np.zeros((10, 20)), NONE, NONE), "picture has 10 × 20 .* map 20 × 20"),
        (lambda: overlay(np.zeros((20, 20)), NONE, NONE, scale=-1.0), r"scale \(=-1.0\)"),
        (lambda: overlay(np.zeros((20, 20)), NONE, NONE, scale=np.nan), r"scale \(=nan\)"),
        (lambda: strength(NONE[None]), r"shape \(1, 1, 20, 20\)"),
        (lambda: strength(NONE * np.nan), "NaN or infinite"),
        (lambda: strength(NONE, smoothing=-1), r"smoothing \(=-1"),
        (lambda: as_pixels(np.zeros((4, 5, 2))), r"shape \(4, 5, 2\)"),
        (lambda: as_pixels(np.full((4, 5), 100.0)), "values from 100 to 100"),
        (lambda: as_pixels(np.full((4, 5), np.nan)), "values from nan to nan"),
        (lambda: as_pixels("photo.jpg"), "photo.jpg"),
        (lambda: as_picture(np.zeros((1, 3, 4, 4))), r"shape \(1, 3, 4, 4\)"),
        (lambda: as_picture(np.zeros((2, 4, 4))), r"shape \(2, 4, 4\)"),
        (lambda: as_picture(np.full((3, 4, 4), 2.2)), "values from 2.2 to 2.2 instead of 0 to 1"),
        (lambda: as_picture(np.zeros((3, 4, 4)), std=(1, 1)), "2 for 3 channels"),
    ],
)
def test_a_mistake_gets_a_sentence(call: object, message: str) -> None:
    with pytest.raises(CodeclensError, match=message):
        call()  # type: ignore[operator]
