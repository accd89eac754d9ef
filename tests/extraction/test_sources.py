"""Samples on disk: folders of images, tar archives and array files."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from PIL import Image

from codeclens import CodeclensError, ContributionStore, ImageFolder
from codeclens.extraction import ArrayFile, TarImages, as_samples, open_rgb, open_samples


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


def test_a_limit_draws_from_every_class_of_the_folder(tmp_path: Path) -> None:
    for i in range(10):
        save(tmp_path / f"{'cat' if i < 5 else 'dog'}/{i}.png")
    few = ImageFolder(tmp_path, limit=4)
    assert few.labels == [0, 0, 1, 1]
    assert few.keys == ImageFolder(tmp_path, limit=4).keys
    assert any(ImageFolder(tmp_path, limit=4, seed=s).keys != few.keys for s in range(1, 9))
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


def test_reasons_do_not_contain_the_folder(pictures: Path) -> None:
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
def test_the_description_differs_between_folders(pictures: Path, change: str) -> None:
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


def test_the_repr_describes_the_source(pictures: Path) -> None:
    assert repr(ImageFolder(pictures)) == f"ImageFolder({str(pictures)!r}: 12 images, 2 classes)"


def test_bad_input_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CodeclensError, match="There is no folder"):
        ImageFolder(tmp_path / "missing")
    with pytest.raises(CodeclensError, match=r"contains no images \(\.jpg, \.png and"):
        ImageFolder(tmp_path)
    save(tmp_path / "tabby" / "1.png")
    with pytest.raises(CodeclensError, match=r'"tabby" is not one of the 3 classes .*"tabby cat"'):
        ImageFolder(tmp_path, classes=["dog", "tabby cat", "bird"])
    with pytest.raises(CodeclensError, match=r"limit \(=0\) must be"):
        ImageFolder(tmp_path, limit=0)


Run = Callable[..., ContributionStore]


def tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def png(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(stream, "png")
    return stream.getvalue()


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """Return two archives of three samples each, one of which is not an image, with labels."""
    paths = []
    for number in (2, 10):
        files: dict[str, bytes] = {}
        for i in range(3):
            files[f"{number:04}{i}.png"] = (
                b"none" if (number, i) == (2, 1) else png(20 * i + number)
            )
            files[f"{number:04}{i}.cls"] = b" %d\n" % i
            files[f"{number:04}{i}.json"] = b"{}"
        paths.append(tar(tmp_path / f"train-{number}.tar", files))
    return paths


def test_archives_are_read_by_place(shards: list[Path]) -> None:
    images = TarImages(reversed(shards), classes=["a", "b", "c"])
    assert images.keys[:2] == ["train-2/00020.png", "train-2/00021.png"]
    assert images.keys[3] == "train-10/00100.png"
    assert images.labels == [0, 1, 2, 0, 1, 2]
    assert [round(images.load(i).image[0, 0, 0].item() * 255) for i in (5, 0, 3)] == [50, 2, 10]
    assert images.load(1).reason == "not an image that Pillow can read"
    assert TarImages(shards[0]).keys[0] == "00020.png"
    assert TarImages(shards, limit=3).labels == [0, 1, 2]


def test_a_tar_of_a_folder_is_that_folder(run: Run, pictures: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "p.tar", "w") as archive:
        archive.add(pictures, arcname=".")
    images = TarImages(tmp_path / "p.tar")
    folder = ImageFolder(pictures)
    assert sorted(images.keys) == folder.keys
    assert images.classes == folder.classes
    store = run(images, tmp_path / "s.zarr")
    assert dict(store.skipped) == dict(run(folder, tmp_path / "t.zarr").skipped)
    assert len(store) == 10


@pytest.mark.parametrize(
    ("names", "classes", "labels"),
    [
        (["photos/cat/1.png", "photos/dog/1.png"], ["cat", "dog"], [0, 1]),
        (["a/b/cat/1.png", "a/b/dog/x/1.png", "a/b/cat/2.png"], ["cat", "dog"], [0, 1, 0]),
        (["cat/1.png", "cat/2.png"], ["cat"], [0, 0]),
        (["photos/cat/1.png"], ["cat"], [0]),
        (["../../cat/1.png", "../../dog/1.png"], ["cat", "dog"], [0, 1]),
        (["photos/1.png", "photos/dog/1.png"], ["photos"], [0, 0]),
        (["1.png", "dog/1.png"], None, [-1, -1]),
    ],
)
def test_folders_around_all_of_a_tar_are_no_classes(
    tmp_path: Path, names: list[str], classes: list[str] | None, labels: list[int]
) -> None:
    images = TarImages(tar(tmp_path / "p.tar", {name: png(1) for name in names}))
    assert images.classes == classes
    assert images.labels == labels
    assert images.keys == names


def test_unreadable_archives_are_reported(tmp_path: Path) -> None:
    files = {"a.png": png(1), "b.png": png(2)}
    whole = tar(tmp_path / "w.tar", files).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:1100])
    mistakes = {
        tar(tmp_path / "z.tar", files, "w:gz"): "cannot be read as a tar archive .* uncompressed",
        tmp_path / "cut.tar": "cannot be read as a tar archive .*unexpected end",
        tmp_path / "none.tar": "There is no archive",
        tar(tmp_path / "e.tar", {"a.txt": b""}): "There are no images in the archives",
        tar(
            tmp_path / "l.tar", files | {"a.cls": b"cat"}
        ): r"\"a.cls\" in .* is b'cat'; a label must",
    }
    for path, words in mistakes.items():
        with pytest.raises(CodeclensError, match=words):
            TarImages(path)


def saved(path: Path, x: np.ndarray, y: np.ndarray | None = None, packed: bool = False) -> Path:
    if path.suffix == ".npy":
        np.save(path, x)
    elif path.suffix == ".npz":
        arrays = {"images": x} | ({} if y is None else {"labels": y})
        (np.savez_compressed if packed else np.savez)(path, **arrays)
    else:
        group = zarr.create_group(path)
        group.create_array("images", data=x)
        if y is not None:
            group.create_array("labels", data=y)
    return path


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".zarr", "packed.npz"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f4"])
def test_arrays_on_disk_are_those_in_memory(
    tmp_path: Path, rng: np.random.Generator, suffix: str, dtype: Any
) -> None:
    x, y = rng.normal(size=(7, 3, 4, 4)).astype(dtype), np.arange(7) % 3
    labelled = None if suffix == ".npy" else y
    path = saved(tmp_path / f"x{suffix}", x, labelled, packed=suffix == "packed.npz")
    found, direct = open_samples(path), as_samples(x if labelled is None else (x, y))
    assert len(found) == 7
    for i in range(7):
        assert torch.equal(found.load(i).image, direct.load(i).image)
        assert found.load(i).label == direct.load(i).label
    few = ArrayFile(path, limit=3)
    assert few.key(2) == str(few.rows[2])
    assert torch.equal(few.load(2).image, direct.load(few.rows[2]).image)
    assert labelled is None or sorted(few.label(i) for i in range(3)) == [0, 1, 2]
    if suffix in (".npy", ".npz"):
        assert isinstance(found.x, np.memmap), "it is not loaded"


def test_arrays_give_the_store_of_the_tensor(run: Run, x: torch.Tensor, tmp_path: Path) -> None:
    direct = run(x, tmp_path / "s.zarr")
    stored = run(ArrayFile(saved(tmp_path / "x.npz", x.numpy())), tmp_path / "t.zarr")
    np.testing.assert_array_equal(stored.view("3"), direct.view("3"))


@pytest.mark.parametrize("shape", [(5, 8, 6), (5, 8, 6, 3), (5, 3, 8, 6), (5, 8, 6, 1)])
def test_bytes_are_pictures(tmp_path: Path, rng: np.random.Generator, shape: tuple) -> None:
    x = rng.integers(0, 255, shape, dtype=np.uint8)
    sizes: list[tuple[int, int]] = []

    def transform(picture: Image.Image) -> torch.Tensor:
        sizes.append(picture.size)
        return torch.from_numpy(np.array(picture, np.float32))[..., 0]

    sample = ArrayFile(saved(tmp_path / "x.npy", x), transform).load(3)
    first = x[3, 0] if shape[1] == 3 else x[3].reshape(8, 6, -1)[..., 0]
    np.testing.assert_array_equal(sample.image, first)
    assert sizes == [(6, 8)]


def test_unreadable_arrays_are_reported(tmp_path: Path) -> None:
    (tmp_path / "bad.npy").write_bytes(b"no array")
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    np.savez(tmp_path / "other.npz", pixels=np.zeros((3, 2), np.float32))
    np.save(tmp_path / "flat.npy", np.zeros(3, np.float32))
    np.save(tmp_path / "whole.npy", np.zeros((3, 4), np.int64))
    np.savez(tmp_path / "few.npz", x=np.zeros((3, 2), np.float32), y=np.zeros(2, int))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    mistakes = {
        "bad.npy": "cannot be read as arrays",
        "bad.npz": "cannot be read as arrays",
        "objects.npy": "cannot be read as arrays",
        "other.npz": r'contains "pixels" \(3, 2\); pass images="NAME"',
        "flat.npy": r'contains "x" \(3,\); pass images',
        "whole.npy": "type int64",
        "few.npz": r"Labels of shape \(2,\)",
        "none.npy": "There is no file",
    }
    for name, words in mistakes.items():
        with pytest.raises(CodeclensError, match=words):
            ArrayFile(tmp_path / name)
    with pytest.raises(CodeclensError, match='has no array "y"; the nearest name is "pixels"'):
        ArrayFile(tmp_path / "other.npz", images="pixels", labels="y")
    assert len(ArrayFile(tmp_path / "other.npz", images="pixels")) == 3


def test_a_path_is_taken_for_what_it_is(shards: list[Path], pictures: Path) -> None:
    assert isinstance(open_samples(pictures), ImageFolder)
    assert len(open_samples(shards[0])) == 3
    assert len(open_samples(shards[0].parent / "train-*.tar")) == 6
    for path, words in {
        "x-*.tar": "No file matches",
        "x.csv": "There is no folder",
        "pictures/cat/0.png": "cannot be read as images; pass a folder",
    }.items():
        with pytest.raises(CodeclensError, match=words):
            open_samples(shards[0].parent / path)
