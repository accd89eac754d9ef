"""Images as data addresses."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from matplotlib.figure import Figure as MatplotlibFigure
from PIL import Image as Picture

from codeclens.errors import CodeclensError
from codeclens.pages.images import Image


def opened(image: Image) -> Picture.Image:
    head, _, body = image.address.partition(",")
    assert head == f"data:{image.media};base64"
    return Picture.open(io.BytesIO(base64.b64decode(body)))


def drawing() -> MatplotlibFigure:
    figure = MatplotlibFigure(figsize=(4, 2))
    axes = figure.subplots()
    axes.plot([0, 1], label="<b> & `c`")
    axes.legend()
    axes.set_xlabel("depth")
    return figure


def test_an_array_keeps_its_pixels() -> None:
    pixels = np.array([[0.0, 0.5, 1.0], [-3.0, np.nan, 7.0]])
    image = Image.of_array(pixels, scale=5)
    assert (image.width, image.height, image.crisp) == (15, 10, True)
    assert np.asarray(opened(image)).tolist() == [[0, 128, 255], [0, 0, 255]]


@pytest.mark.parametrize("shape", [(3, 4, 1), (3, 4, 3), (3, 4, 4)])
def test_colours_and_grey_are_taken(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 255, shape, dtype=np.uint8)
    assert np.array_equal(np.asarray(opened(Image.of_array(pixels))).reshape(shape), pixels)


@pytest.mark.parametrize("shape", [(3,), (3, 4, 2), (0, 4), (1, 2, 3, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(CodeclensError, match=rf"shape \({shape[0]},.*pass \(rows, columns\)"):
        Image.of_array(np.zeros(shape))


def test_a_figure_is_text_in_svg_and_the_same_bytes_each_time() -> None:
    image = Image.of_figure(drawing())
    svg = image.data.decode()
    assert image.media == "image/svg+xml"
    assert ">depth</text>" in svg
    assert "&lt;b&gt; &amp; `c`" in svg
    assert image.plate
    assert 300 < image.width < 450, "about 4 inches at 96 pixels"
    assert Image.of_figure(drawing()).data == image.data


def test_a_figure_names_no_place_to_fetch_from() -> None:
    svg = Image.of_figure(drawing()).data.decode()
    assert "href=" not in svg.replace('href="#', "")
    assert "@import" not in svg


def test_an_svg_without_a_size_is_refused() -> None:
    with pytest.raises(CodeclensError, match="no viewBox"):
        Image.of_svg(b"<svg></svg>")


def test_a_photograph_is_a_jpeg() -> None:
    image = Image.of_photograph(Picture.new("RGB", (40, 20), "red"), width=20)
    assert (image.media, image.width, image.height) == ("image/jpeg", 20, 10)
    assert opened(image).size == (40, 20)


def test_an_image_is_plain_data() -> None:
    found = Image.of_array(np.zeros((2, 3))).data_of()
    assert (found["width"], found["height"], found["crisp"]) == (3, 2, False)
    assert str(found["at"]).startswith("data:image/png;base64,")


@pytest.mark.parametrize(("side", "media"), [(64, "image/png"), (65, "image/jpeg")])
def test_small_pictures_keep_their_pixels(side: int, media: str) -> None:
    pixels = np.zeros((side, 20, 3), np.uint8)
    image = Image.of_pixels(pixels)
    assert (image.media, image.width, image.height) == (media, 20, side)
