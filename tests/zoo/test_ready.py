"""The input transform equals torchvision's and timm's own, on photographs of all proportions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from codeclens._compat import import_torchvision
from codeclens.errors import CodeclensError
from codeclens.zoo import demo_photographs
from codeclens.zoo.ready import ImageTransform, short_labels

PHOTOGRAPHS = dict(demo_photographs())
PORTRAIT = PHOTOGRAPHS["rocket"].rotate(90, expand=True)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("resize", [224, 232, 256, 301, (240, 256), 201])
@pytest.mark.parametrize(
    "image",
    [PHOTOGRAPHS["chelsea"], PORTRAIT, PHOTOGRAPHS["astronaut"]],
    ids=["wide", "high", "sq"],
)
def test_equals_torchvision(
    image: Image.Image, resize: int | tuple[int, int], interpolation: str
) -> None:
    import_torchvision()
    from torchvision import transforms

    theirs = transforms.Compose(
        [
            transforms.Resize(resize, interpolation=transforms.InterpolationMode(interpolation)),
            transforms.CenterCrop((224, 200)),
            transforms.PILToTensor(),
            transforms.ConvertImageDtype(torch.float32),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    ours = ImageTransform(resize=resize, crop=(224, 200), interpolation=interpolation)
    torch.testing.assert_close(ours(image), theirs(image), rtol=1e-5, atol=1e-6)


def test_a_grey_transform_gives_one_channel() -> None:
    grey = ImageTransform(resize=28, crop=(28, 28), mean=(0.0,), std=(1.0,))
    x = grey(Image.new("RGB", (56, 56), "white"))
    assert x.shape == (1, 28, 28)
    assert x.min() == x.max() == 1.0


def test_a_picture_of_the_right_size_is_not_resampled() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    grey = ImageTransform(resize=28, crop=(28, 28), mean=(0.0,), std=(1.0,))
    assert np.array_equal(grey(Image.fromarray(pixels))[0].numpy() * 255, pixels)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_usual_mode_becomes_colour(mode: str) -> None:
    assert ImageTransform()(Image.new(mode, (300, 300))).shape == (3, 224, 224)


def test_sixteen_bits_keep_their_range() -> None:
    ramp = np.linspace(0, 65535, 256 * 256).astype(np.uint16).reshape(256, 256)
    plain = ImageTransform(mean=(0.0,) * 3, std=(1.0,) * 3)
    x = plain(Image.fromarray(ramp))
    assert 0.4 < x.mean() < 0.6
    assert len(torch.unique(x)) > 100


@pytest.mark.parametrize(("mode", "value"), [("F", 0.25), ("F", 63.75), ("I", 16384), ("I", 64)])
def test_deep_greys_keep_their_range(mode: str, value: float) -> None:
    plain = ImageTransform(mean=(0.0,) * 3, std=(1.0,) * 3)
    x = plain(Image.new(mode, (300, 300), value))
    assert torch.allclose(x, torch.full_like(x, 64 / 255), atol=1e-6)


def test_an_array_is_refused() -> None:
    with pytest.raises(CodeclensError, match=r"PIL image, not ndarray.*fromarray"):
        ImageTransform()(np.zeros((300, 300, 3)))  # type: ignore[arg-type]


def test_an_unknown_filter_is_refused() -> None:
    with pytest.raises(CodeclensError, match=r'"cubic".*bicubic'):
        ImageTransform(interpolation="cubic")


@pytest.mark.parametrize(
    ("mean", "std"), [((0.5,) * 2, (0.5,) * 2), ((0.5,) * 3, (0.5,)), ((0.5,), (0.0,))]
)
def test_an_impossible_scale_is_refused(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    with pytest.raises(CodeclensError, match="must both have one entry"):
        ImageTransform(mean=mean, std=std)


def test_equal_names_get_their_synonyms_then_their_index() -> None:
    given = ["crane, bird", "crane, machine", "boa", "boa", "cup, mug"]
    assert short_labels(given) == ["crane, bird", "crane, machine", "boa (2)", "boa (3)", "cup"]
