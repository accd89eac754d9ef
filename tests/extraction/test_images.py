from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from codeclens import CodeclensError, ImageFolder
from codeclens.extraction import open_rgb


def save(path: Path, size: tuple[int, int] = (4, 4), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (255, 0, 51)).save(path, **options)
    return path


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    for name in ("10.png", "2.png", "b/1.JPG", ".hidden.png", "notes.txt"):
        save(tmp_path / name) if name != "notes.txt" else (tmp_path / name).write_text("")
    images = ImageFolder(tmp_path)
    assert images.keys == ["2.png", "10.png", "b/1.JPG"]
    assert images.labels == [-1, -1, -1]
    assert images.classes is None


def test_folders_are_classes_in_sorted_order(tmp_path: Path) -> None:
    for name in ("dog/1.png", "cat/deep/2.png", "cat/deep/10.png", ".git/3.png"):
        save(tmp_path / name)
    (tmp_path / "empty").mkdir()
    images = ImageFolder(tmp_path)
    assert images.keys == ["cat/deep/2.png", "cat/deep/10.png", "dog/1.png"]
    assert images.classes == ["cat", "dog"]
    assert [images.load(i).label for i in range(3)] == [0, 0, 1]


def test_given_classes_are_what_labels_index(tmp_path: Path) -> None:
    save(tmp_path / "n02/1.png")
    save(tmp_path / "n01/1.png")
    images = ImageFolder(tmp_path, classes=["n00", "n01", "n02"])
    assert images.labels == [1, 2]
    assert images.classes == ["n00", "n01", "n02"]


def test_a_limit_is_spread_over_the_folder(tmp_path: Path) -> None:
    for i in range(10):
        save(tmp_path / f"{'cat' if i < 5 else 'dog'}/{i}.png")
    assert ImageFolder(tmp_path, limit=4).keys == [
        "cat/0.png",
        "cat/2.png",
        "dog/5.png",
        "dog/7.png",
    ]
    assert ImageFolder(tmp_path, limit=1).classes == ["cat", "dog"]
    assert len(ImageFolder(tmp_path, limit=99)) == 10


def test_without_a_transform_images_are_tensors_in_the_unit_interval(tmp_path: Path) -> None:
    save(tmp_path / "a.png", (6, 4))
    image = ImageFolder(tmp_path).load(0).image
    assert image.shape == (3, 4, 6)
    assert image[:, 0, 0].tolist() == pytest.approx([1, 0, 0.2])


def test_a_transform_takes_an_rgb_image(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    seen = []

    def transform(image: Image.Image) -> torch.Tensor:
        seen.append(image.mode)
        return torch.ones(1, 2, 2)

    assert ImageFolder(tmp_path, transform).load(0).image.shape == (1, 2, 2)
    assert seen == ["RGB"]


def test_images_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    assert open_rgb(save(tmp_path / "a.jpg", (6, 4), exif=exif)).size == (4, 6)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.new("RGB", (4, 4), (255, 255, 255)).convert(mode).save(path)
    image = open_rgb(path)
    assert image.mode == "RGB"
    assert image.getpixel((0, 0)) == (255, 255, 255)


def test_a_transparent_palette_gives_no_warning(tmp_path: Path) -> None:
    palette = Image.new("P", (4, 4))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.save(tmp_path / "a.png", transparency=bytes([0, 255]))
    assert open_rgb(tmp_path / "a.png").getpixel((0, 0)) == (10, 20, 30)


def test_sixteen_bits_keep_their_range(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 257 * 100, 65535]], dtype=np.uint16)).save(tmp_path / "a.png")
    image = open_rgb(tmp_path / "a.png")
    assert [image.getpixel((i, 0))[0] for i in range(3)] == [0, 100, 255]


def test_unreadable_images_are_recorded_with_their_reasons(pictures: Path) -> None:
    (pictures / "dog" / "5.png").unlink()
    images = ImageFolder(pictures)
    (pictures / "dog" / "3.png").unlink()
    bad = {s.key: (s.reason, s.label) for s in map(images.load, range(len(images))) if s.reason}
    assert set(bad) == {"cat/2.png", "dog/3.png", "dog/4.png"}
    assert "truncated" in bad["cat/2.png"][0]
    assert bad["dog/4.png"] == ("not an image that Pillow can read", 1)
    assert bad["dog/3.png"] == ("FileNotFoundError: No such file or directory", 1)


def test_a_failing_transform_is_recorded(tmp_path: Path) -> None:
    save(tmp_path / "a.png")

    def transform(image: Image.Image) -> torch.Tensor:
        raise RuntimeError("smaller than the crop")

    assert ImageFolder(tmp_path, transform).load(0).reason == "RuntimeError: smaller than the crop"


def test_reasons_do_not_tell_where_the_folder_is(pictures: Path) -> None:
    images = ImageFolder(pictures)
    reasons = [images.load(i).reason for i in range(len(images))]
    assert not any(str(pictures) in reason for reason in reasons)


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "1.png")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "cat").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "images", target_is_directory=True)
    assert ImageFolder(tmp_path / "images").keys == ["cat/1.png"]


def test_a_description_stays_when_the_folder_moves(pictures: Path) -> None:
    before = ImageFolder(pictures).describe()
    assert before["samples"] == 12
    moved = pictures.rename(pictures.with_name("moved"))
    assert ImageFolder(moved).describe() == before


@pytest.mark.parametrize("change", ["add", "resize", "relabel", "transform", "pixels"])
def test_a_description_tells_folders_apart(pictures: Path, change: str) -> None:
    before = ImageFolder(pictures).describe()
    options: dict[str, Any] = {}
    if change == "add":
        save(pictures / "dog" / "9.png")
    elif change == "resize":
        save(pictures / "dog" / "1.png", (9, 9))
    elif change == "relabel":
        options["classes"] = ["dog", "cat"]
    elif change == "transform":
        options["transform"] = lambda image: torch.zeros(3, 4, 4)
    else:
        image = open_rgb(pictures / "cat" / "0.png").rotate(180)
        image.save(pictures / "cat" / "0.png")
    assert ImageFolder(pictures, **options).describe() != before


def test_it_says_what_it_is(pictures: Path) -> None:
    assert repr(ImageFolder(pictures)) == f"ImageFolder({str(pictures)!r}: 12 images, 2 classes)"


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(CodeclensError, match="There is no folder"):
        ImageFolder(tmp_path / "missing")
    with pytest.raises(CodeclensError, match=r"contains no images \(\.bmp"):
        ImageFolder(tmp_path)
    save(tmp_path / "tabby" / "1.png")
    with pytest.raises(CodeclensError, match=r'"tabby" is not one of the 3 classes .*"tabby cat"'):
        ImageFolder(tmp_path, classes=["dog", "tabby cat", "bird"])
    with pytest.raises(CodeclensError, match=r"limit \(=0\) must be"):
        ImageFolder(tmp_path, limit=0)
