"""Images of a page: figures and arrays as data addresses, for light and dark."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image as Picture

from codeclens.errors import CodeclensError

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

# Pictures up to this side are shown pixel by pixel.
_SMALL = 64


@dataclass(frozen=True)
class Image:
    """An encoded image, its size in CSS pixels, and how it is shown.

    `crisp` keeps the pixels of small images sharp. `plate` gives it a light background in dark
    mode, for figures with black ink.
    """

    data: bytes
    media: str
    width: int
    height: int
    crisp: bool = False
    plate: bool = False

    @classmethod
    def of_figure(cls, figure: MatplotlibFigure) -> Image:
        """A matplotlib figure as SVG, its text as text; the figure stays open."""
        import matplotlib

        stream = io.BytesIO()
        # Without a date and with fixed identifiers the same figure gives the same bytes.
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "codeclens"}):
            figure.savefig(
                stream, format="svg", bbox_inches="tight", pad_inches=0.05,
                transparent=True, metadata={"Date": None, "Creator": None},
            )  # fmt: skip
        return cls.of_svg(stream.getvalue())

    @classmethod
    def of_svg(cls, data: bytes) -> Image:
        """An SVG file; raises CodeclensError if it has no viewBox."""
        found = re.search(rb'<svg[^>]*?viewBox="0 0 ([\d.]+) ([\d.]+)"', data, re.DOTALL)
        if found is None:
            raise CodeclensError("This SVG image has no viewBox, so its size is unknown.")
        # Points to CSS pixels.
        width, height = (round(float(size) * 96 / 72) for size in found.groups())
        return cls(data, "image/svg+xml", width, height, plate=True)

    @classmethod
    def of_array(
        cls, pixels: Shaped[np.ndarray, "rows columns *channels"], scale: int = 1
    ) -> Image:
        """Pixels `(H, W)` or `(H, W, 3 | 4)`: uint8, or floats in [0, 1] (clipped), as PNG.

        `scale` is the number of CSS pixels for one pixel; above 1 the pixels stay sharp. Raises
        CodeclensError for other shapes.

        >>> Image.of_array(np.zeros((28, 28)), scale=4).width
        112
        """
        array = np.asarray(pixels)
        if array.ndim == 3 and array.shape[2] == 1:
            array = array[:, :, 0]
        if (
            not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4)))
            or not array.size
        ):
            raise CodeclensError(
                f"An image has shape {array.shape}; pass (rows, columns) or (rows, columns, 3)."
            )
        if array.dtype != np.uint8:
            array = np.round(255 * np.clip(np.nan_to_num(array), 0, 1)).astype(np.uint8)
        stream = io.BytesIO()
        Picture.fromarray(array).save(stream, format="PNG", optimize=True)
        rows, columns = array.shape[:2]
        return cls(stream.getvalue(), "image/png", columns * scale, rows * scale, scale > 1)

    @classmethod
    def of_photograph(cls, picture: Picture.Image, width: int | None = None) -> Image:
        """A photograph as JPEG, a tenth of the size of a PNG."""
        stream = io.BytesIO()
        picture.convert("RGB").save(stream, format="JPEG", quality=88)
        columns = width or picture.width
        return cls(
            stream.getvalue(),
            "image/jpeg",
            columns,
            round(picture.height * columns / picture.width),
        )

    @classmethod
    def of_pixels(cls, pixels: UInt8[np.ndarray, "rows columns 3"]) -> Image:
        """A picture that a network saw: small ones keep their pixels, others are JPEG.

        >>> Image.of_pixels(np.zeros((28, 28, 3), np.uint8)).media
        'image/png'
        """
        if max(pixels.shape[:2]) <= _SMALL:
            return cls.of_array(pixels)
        return cls.of_photograph(Picture.fromarray(pixels))

    @property
    def address(self) -> str:
        """The image as a data address."""
        return f"data:{self.media};base64,{base64.b64encode(self.data).decode('ascii')}"

    def data_of(self) -> dict[str, str | int | bool]:
        """The image as plain data."""
        return {
            "at": self.address,
            "width": self.width,
            "height": self.height,
            "crisp": self.crisp,
            "plate": self.plate,
        }
