"""Pictures of every mode and format, and files that are none."""

from __future__ import annotations

import io
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from codeclens import ImageFolder
from codeclens.pictures import as_rgb, extensions, formats, open_rgb

GREY = np.array([[0, 64, 128, 255]])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "HSV"])
def test_modes_of_eight_bits(mode: str) -> None:
    white = Image.new("RGB", (4, 2), "white")
    image = white.convert("P").convert("PA") if mode == "PA" else white.convert(mode)
    assert as_rgb(image).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(("mode", "whole"), [("La", "LA"), ("RGBa", "RGBA")])
def test_premultiplied_colours_are_divided(mode: str, whole: str) -> None:
    colour = (100, 128) if whole == "LA" else (100, 100, 100, 128)
    found = as_rgb(Image.new(whole, (2, 2), colour).convert(mode)).getpixel((0, 0))
    assert np.allclose(found, 100, atol=1)


def test_lab_is_grey_where_it_has_no_colour() -> None:
    # L = 50.2 is the luminance of sRGB grey 119.
    assert as_rgb(Image.new("LAB", (2, 2), (128, 128, 128))).getpixel((0, 0)) == (119,) * 3


@pytest.mark.parametrize(
    "values",
    [
        (GREY * 257).astype(np.uint16),
        (GREY * 257).astype(">u2"),
        (GREY * 257).astype(np.int32),
        GREY.astype(np.int32),
        (GREY / 255).astype(np.float32),
        GREY.astype(np.float32),
        (GREY * 2000).astype(np.int32),
        (GREY * 3.7 - 100).astype(np.float32),
    ],
    ids=["16", "16 big-endian", "32 as 16", "32 as 8", "0 to 1", "0 to 255", "32", "negative"],
)
def test_deep_greys_are_scaled(values: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(values.astype(values.dtype.newbyteorder("="))).save(tmp_path / "a.tif")
    for image in (Image.fromarray(values), Image.open(tmp_path / "a.tif")):
        found = np.asarray(as_rgb(image))
        assert found[0, :, 0].tolist() == GREY[0].tolist()
        assert (found == found[..., :1]).all()


def test_values_that_are_not_finite_are_a_reason(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, np.nan]], np.float32)).save(tmp_path / "a.tiff")
    Image.new("RGB", (2, 2)).save(tmp_path / "b.png")
    first, second = map(ImageFolder(tmp_path).load, range(2))
    assert first.image is None
    assert first.reason == "ValueError: the picture holds NaN or infinite values"
    assert second.image is not None


WRITABLE = sorted(set(formats()) & {"AVIF", "BMP", "DDS", "GIF", "ICNS", "ICO", "JPEG",
    "JPEG2000", "MSP", "PCX", "PNG", "PPM", "QOI", "SGI", "TGA", "TIFF", "WEBP", "XBM",
})  # fmt: skip
BY_ENDING = {name: ending for ending, name in Image.registered_extensions().items()}


@pytest.mark.parametrize("name", WRITABLE)
def test_every_format_is_found_by_its_ending(name: str, tmp_path: Path) -> None:
    mode = "1" if name in ("MSP", "XBM") else "RGB"
    ending = BY_ENDING.get(name, ".png")  # a file with another ending is read by its content
    Image.new(mode, (64, 64), "white").save(tmp_path / f"a{ending}", name)
    samples = ImageFolder(tmp_path)
    assert len(samples) == 1
    sample = samples.load(0)
    assert sample.image is not None, sample.reason
    assert sample.image.mean() > 0.99


def test_frames_beyond_the_first_are_not_read(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    for ending in ("gif", "webp", "png", "tiff"):
        first.save(tmp_path / f"a.{ending}", save_all=True, append_images=[second])
        assert open_rgb(tmp_path / f"a.{ending}").getpixel((0, 0))[0] > 200


def test_a_format_that_runs_another_program_is_not_opened(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    assert ".eps" not in extensions()
    assert ImageFolder(tmp_path).load(0).reason == "not an image that Pillow can read"


@pytest.mark.skipif(os.name != "posix", reason="needs pipes and names of any bytes")
def test_files_of_any_name_and_kind(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    Image.new("RGB", (2, 2), "white").save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    for name in (b"caf\xe9", b"two\nlines", b"esc\x1b[31m", "猫\u202e".encode(), b"=1+1"):
        os.mkdir(os.path.join(folder, b"c-" + name))
        with open(os.path.join(folder, b"c-" + name, name + b".png"), "wb") as file:
            file.write(content)
    (tmp_path / "a.png").unlink()
    os.mkfifo(tmp_path / "c-=1+1" / "pipe.png")
    with socket.socket(socket.AF_UNIX) as one:
        here = os.getcwd()
        os.chdir(tmp_path / "c-=1+1")  # the path of a socket is short
        one.bind("socket.png")
        os.chdir(here)
        os.symlink("/dev/zero", tmp_path / "c-=1+1" / "zero.png")
        os.symlink("nowhere", tmp_path / "c-=1+1" / "lost.png")
        samples = ImageFolder(tmp_path)
        found = {one.key: one for one in map(samples.load, range(len(samples)))}
    assert samples.classes == [
        "c-=1+1", r"c-caf\xe9", r"c-esc\x1b[31m", r"c-two\nlines", r"c-猫\u202e",
    ]  # fmt: skip
    good = {key for key, one in found.items() if one.image is not None}
    assert good == {
        "c-=1+1/=1+1.png", r"c-caf\xe9/caf\xe9.png", r"c-esc\x1b[31m/esc\x1b[31m.png",
        r"c-two\nlines/two\nlines.png", r"c-猫\u202e/猫\u202e.png",
    }  # fmt: skip
    assert found["c-=1+1/pipe.png"].reason == "OSError: it is a pipe, not a file"
    assert found["c-=1+1/socket.png"].reason == "OSError: it is a socket, not a file"
    assert found["c-=1+1/zero.png"].reason == "OSError: it is a device, not a file"
    assert found["c-=1+1/lost.png"].reason == "FileNotFoundError: No such file or directory"


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes")
def test_a_pipe_in_place_of_a_picture_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    code = f"from codeclens.pictures import open_rgb; open_rgb({str(tmp_path / 'a.png')!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "it is a pipe, not a file" in done.stderr


@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "tiff", "webp", "bmp"])
def test_truncated_and_damaged_files_have_a_reason(kind: str, tmp_path: Path) -> None:
    """Whole images at every cut and with flipped bytes: an image or a reason, no other error."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / f"a.{kind}")
    whole = (tmp_path / f"a.{kind}").read_bytes()
    samples = ImageFolder(tmp_path)
    cuts = rng.integers(0, len(whole), 20)
    for cut in cuts:
        (tmp_path / f"a.{kind}").write_bytes(whole[:cut])
        sample = samples.load(0)
        assert (sample.image is None) == bool(sample.reason)
    for place in rng.integers(0, len(whole), 40):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        (tmp_path / f"a.{kind}").write_bytes(damaged)
        sample = samples.load(0)
        assert (sample.image is None) == bool(sample.reason)


def tiff(values: np.ndarray, number: int, zero: int = 1, bits: int = 0, width: int = 0) -> bytes:
    """A small TIFF: `number` 1 is unsigned, 2 signed; with `zero` 0 the least value is white."""
    data = values.tobytes()
    entries = {
        256: width or values.shape[1], 257: values.shape[0], 258: bits or 8 * values.itemsize,
        259: 1, 262: zero, 273: 8, 277: 1, 278: values.shape[0], 279: len(data), 339: number,
    }  # fmt: skip
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    start = b"II*\0" + struct.pack("<I", 8 + len(data))
    return start + data + struct.pack("<H", len(entries)) + fields + bytes(4)


@pytest.mark.parametrize(
    "content",
    [
        tiff((GREY - 128).astype("i1"), 2),
        tiff((GREY * 16843009).astype("<u4"), 1),
        tiff((65535 - GREY * 257).astype("<u2"), 1, zero=0),
        tiff((255 - GREY).astype("u1"), 1, zero=0),
        tiff((GREY * 257 - 32768).astype("<i2"), 2),
        tiff(np.array([[0x00, 0x04, 0x04, 0x80, 0x8F, 0xFF]], "u1"), 1, bits=12, width=4),
    ],
    ids=["signed 8", "unsigned 32", "white 16", "white 8", "signed 16", "12"],
)
def test_greys_of_a_tiff_are_read_as_its_tags_say(content: bytes) -> None:
    found = np.asarray(as_rgb(Image.open(io.BytesIO(content))))
    assert found[0, :, 0].tolist() == GREY[0].tolist()
