"""Photographs included in scikit-image."""

from __future__ import annotations

from importlib.resources import files

from PIL import Image

from codeclens.errors import CodeclensError

# Only files in the wheel; skimage.data downloads others on demand.
_FILES = {
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "motorcycle": "motorcycle_left.png",
    "astronaut": "astronaut.png",
    "camera": "camera.png",
}


def demo_photographs() -> list[tuple[str, Image.Image]]:
    """Return (name, PIL image) of the photographs in scikit-image's wheel, without a download.

    Raises `CodeclensError` if scikit-image or one of its photographs is missing.

    >>> for name, image in demo_photographs()[:2]:
    ...     print(name, image.size)
    chelsea (451, 300)
    coffee (600, 400)
    """
    try:
        folder = files("skimage") / "data"
    except ModuleNotFoundError as error:
        raise CodeclensError(
            "The photographs are in the package scikit-image, which is not installed; run "
            'pip install "codeclens[demo]".'
        ) from error
    photographs = []
    for name, file in _FILES.items():
        path = folder / file
        if not path.is_file():
            raise CodeclensError(
                f"scikit-image has no photograph {file} in {folder}; reinstall it with "
                "pip install --force-reinstall scikit-image."
            )
        with path.open("rb") as stream, Image.open(stream) as image:
            photographs.append((name, image.convert("RGB")))
    return photographs
