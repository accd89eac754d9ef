"""Pictures in the explorer: uploads read within limits, and thumbnails as PNG or JPEG."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from codeclens.errors import CodeclensError
from codeclens.pictures import as_rgb

MOST_BYTES = 20_000_000
MOST_PIXELS = 50_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
# Pictures up to this side are sent as they are: scaling would blur single pixels.
_SMALL = 64
_QUALITY = 82


def read_upload(data: bytes) -> Image.Image:
    """A picture from bytes that somebody sent, upright, as RGB with 8 bits.

    Raises CodeclensError for more bytes or pixels than the limits, and for what is not a picture.

    >>> stream = io.BytesIO(); Image.new("RGB", (3, 2)).save(stream, "PNG")
    >>> read_upload(stream.getvalue()).size
    (3, 2)
    """
    if len(data) > MOST_BYTES:
        raise CodeclensError(
            f"The file has {len(data):,} bytes; a picture may have at most {MOST_BYTES:,}."
        )
    try:
        with warnings.catch_warnings():
            # Pillow only warns of some large pictures; the limit below refuses them.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as file:
                wide, high = file.size
                if wide * high > MOST_PIXELS:
                    raise CodeclensError(
                        f"The picture has {wide:,} × {high:,} pixels; at most {MOST_PIXELS:,} "
                        "pixels are read. Scale it down first."
                    )
                return as_rgb(file)
    except CodeclensError:
        raise
    except Image.DecompressionBombError as error:
        raise CodeclensError(
            f"The picture has too many pixels; at most {MOST_PIXELS:,} pixels are read."
        ) from error
    except Exception as error:  # decoders raise anything for damaged files
        raise CodeclensError(
            "The file cannot be read as a picture: send a JPEG, PNG, WebP, GIF, BMP or TIFF file."
        ) from error


def encoded(picture: UInt8[np.ndarray, "height width 3"], side: int) -> tuple[bytes, str]:
    """A picture with at most `side` pixels a side as the bytes of a file, and their type.

    >>> data, kind = encoded(np.zeros((28, 28, 3), np.uint8), 96)
    >>> kind
    'image/png'
    """
    image: Any = Image.fromarray(picture)
    small = max(image.size) <= _SMALL
    if not small and max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    if bool((picture == picture[..., :1]).all()):
        image = image.convert("L")
    stream = io.BytesIO()
    if small:
        image.save(stream, "PNG", optimize=True)
        return stream.getvalue(), "image/png"
    image.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return stream.getvalue(), "image/jpeg"
