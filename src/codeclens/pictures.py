"""Pictures: files of any mode, depth and format that Pillow reads, as upright RGB with 8 bits."""

from __future__ import annotations

import os
import stat
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageOps

# Formats that Pillow recognises but does not decode itself: EPS would run another program.
_NOT_DECODED = frozenset(("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"))
_SIXTEEN_BITS = 65535
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


@cache
def formats() -> tuple[str, ...]:
    """The formats that this Pillow decodes by itself.

    >>> {"JPEG", "PNG", "TIFF"} <= set(formats()), "EPS" in formats()
    (True, False)
    """
    Image.init()
    return tuple(sorted(set(Image.OPEN) - _NOT_DECODED))


@cache
def extensions() -> frozenset[str]:
    """The endings of files in these formats, in lower case.

    >>> {".jpg", ".jpeg", ".png", ".tif", ".webp"} <= extensions()
    True
    """
    known = set(formats())
    found = Image.registered_extensions().items()
    return frozenset(ending for ending, name in found if name in known)


def open_rgb(path: str | os.PathLike[str] | IO[bytes]) -> Image.Image:
    """Open a picture of any mode, upright and in RGB; of several frames the first.

    Raises what Pillow raises, and OSError for a pipe, a socket or a device, which could block.
    """
    with open_picture(path) as opened:
        opened.load()
        return as_rgb(opened)


def open_picture(path: str | os.PathLike[str] | IO[bytes]) -> Image.Image:
    """Open a picture as it is in the file; raises as `open_rgb`."""
    if isinstance(path, str | os.PathLike):
        require_file(path)
    return Image.open(path, formats=formats())


def require_file(path: str | os.PathLike[str]) -> None:
    """Raise OSError unless the path leads to an ordinary file.

    >>> require_file(os.devnull)
    Traceback (most recent call last):
    OSError: it is a device, not a file
    """
    kind = stat.S_IFMT(Path(path).stat().st_mode)
    if kind != stat.S_IFREG:
        raise OSError(f"it is {_KINDS.get(kind, 'something else')}, not a file")


def as_rgb(picture: Image.Image) -> Image.Image:
    """A picture turned upright and converted to RGB; what is transparent shows its own colour.

    >>> as_rgb(Image.fromarray(np.array([[0, 25700, 65535]], np.uint16))).tobytes()[::3]
    b'\\x00d\\xff'
    """
    return eight_bit(ImageOps.exif_transpose(_as_tagged(picture))).convert("RGB")


# Tags of TIFF: bits of a sample, what 0 means, kind of number; and the values of the last two.
_BITS, _ZERO, _NUMBER = 258, 262, 339
_WHITE, _UNSIGNED, _SIGNED = 0, 1, 2


def _as_tagged(picture: Image.Image) -> Image.Image:
    """Correct greys of a TIFF that Pillow reads as if they had other bits, signs or direction."""
    tags: Any = getattr(picture, "tag_v2", None)
    if tags is None or picture.mode not in ("L", "I", "I;16", "I;16B"):
        return picture
    bits, number = (_first(tags.get(tag), default) for tag, default in ((_BITS, 1), (_NUMBER, 1)))
    inverted = _first(tags.get(_ZERO), 1) == _WHITE and picture.mode != "L"  # Pillow turns 8 bits
    values = np.asarray(picture).astype(np.int64)
    if picture.mode == "L" and bits == 8 and number == _SIGNED:
        values = (values ^ 0x80) * 257
    elif picture.mode == "I" and bits == 32 and number == _UNSIGNED:
        values &= 0xFFFFFFFF
        largest = int(values.max(initial=0))
        if largest < 2**31:
            return picture
        values = np.round(values * (_SIXTEEN_BITS / largest)).astype(np.int64)
    elif picture.mode.startswith("I;16") and 8 < bits < 16:
        values = np.round(values * (_SIXTEEN_BITS / (2**bits - 1))).astype(np.int64)
    elif not (inverted and picture.mode.startswith("I;16")):
        return picture
    if inverted:
        values = _SIXTEEN_BITS - values
    found = Image.fromarray(values.clip(0, _SIXTEEN_BITS).astype(np.uint16))
    found.info = dict(picture.info)
    found.getexif().update(picture.getexif())
    return found


def _first(value: Any, default: int) -> int:
    return int(value[0] if isinstance(value, tuple) else default if value is None else value)


def eight_bit(image: Image.Image) -> Image.Image:
    """A picture with 8 bits per channel, in a mode that Pillow converts to RGB and to grey.

    Deep greys are scaled, where Pillow would clip them to white: 16 bits by their full range; whole
    numbers of 32 bits as 8 or 16 bits if none exceeds these; floats as 0 … 1 or 0 … 255 if all lie
    in there; other values from the least to the largest. Raises ValueError for NaN and infinite
    values.

    >>> eight_bit(Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32))).tobytes()
    b'\\x00\\x80\\xff'
    """
    if image.mode.startswith("I;16"):
        return _scaled(np.asarray(image).astype(np.float64), 0, _SIXTEEN_BITS)
    if image.mode in ("I", "F"):
        values = np.asarray(image).astype(np.float64)
        return _scaled(values, *_range(values, image.mode))
    if image.mode == "LAB":
        return _from_lab(image)
    if image.mode == "La":
        return image.convert("LA")
    if image.mode == "RGBa" or (image.mode in ("P", "PA") and "transparency" in image.info):
        return image.convert("RGBA")
    return image


def _range(values: np.ndarray[Any, Any], mode: str) -> tuple[float, float]:
    """The values that become black and white."""
    if not np.isfinite(values).all():
        raise ValueError("the picture holds NaN or infinite values")
    least, largest = float(values.min(initial=0)), float(values.max(initial=0))
    if least < 0:
        return least, largest
    known = (255, _SIXTEEN_BITS) if mode == "I" else (1, 255)
    return 0.0, float(next((end for end in known if largest <= end), largest))


def _scaled(values: np.ndarray[Any, Any], least: float, largest: float) -> Image.Image:
    width = max(largest - least, np.finfo(float).tiny)
    # Half away from zero: with numpy's rounding to even, 16 bits would lose their even steps.
    scaled = np.floor((values - least) * (255 / width) + 0.5)
    return Image.fromarray(scaled.clip(0, 255).astype(np.uint8))


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    found = ImageCms.profileToProfile(
        image, ImageCms.ImageCmsProfile(lab), ImageCms.ImageCmsProfile(srgb), outputMode="RGB"
    )
    assert found is not None
    return found
