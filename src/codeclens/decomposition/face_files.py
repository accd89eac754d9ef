"""Faces of modes as bytes of small image files: WebP, about 1.5 kB for 64 × 64 pixels."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from codeclens.errors import CodeclensError


def encoded(picture: UInt8[np.ndarray, "row column 3"], *, quality: int = 80) -> bytes:
    """A picture as the bytes of a WebP file.

    >>> face = encoded(np.full((8, 8, 3), 90, np.uint8))
    >>> decoded(face).shape
    (8, 8, 3)
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=quality, method=6)
    return buffer.getvalue()


def decoded(face: bytes) -> UInt8[np.ndarray, "row column 3"]:
    """The picture in the bytes of an image file; raises CodeclensError if they are none."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(face)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError) as error:
        raise CodeclensError(f"The face of a mode is not an image ({error}).") from error


def joined(faces: Sequence[bytes]) -> dict[str, Tensor]:
    """All faces as the tensors of a file.

    >>> joined([b"ab", b"", b"c"])["faces.lengths"]
    tensor([2, 0, 1])
    """
    whole = np.frombuffer(b"".join(faces), np.uint8).copy()
    lengths = torch.tensor([len(face) for face in faces])
    return {"faces": torch.from_numpy(whole), "faces.lengths": lengths}


def divided(whole: Tensor, lengths: Tensor) -> tuple[bytes, ...]:
    """The faces in one tensor of bytes, as files hold them.

    >>> divided(torch.tensor([1, 2, 3], dtype=torch.uint8), torch.tensor([2, 0, 1]))
    (b'\\x01\\x02', b'', b'\\x03')
    """
    ends = np.cumsum(lengths.numpy())
    return tuple(part.tobytes() for part in np.split(whole.numpy(), ends[:-1]))
