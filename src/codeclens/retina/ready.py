"""The fitted network that ships: a small one of the simulated retina, for demonstrations."""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from typing import Any

from codeclens.retina.files import load_model
from codeclens.retina.networks import RetinaCNN
from codeclens.retina.photoreceptors import Photoreceptors

RATE = 50.0
# Photographs of which the network has seen no film.
UNSEEN = ("flower", "rocket")


def ready_cnn() -> RetinaCNN:
    """A RetinaCNN that was fitted to the cells of a `Circuit`, in evaluation mode.

    Photoreceptors stand in front of it. `ready_cnn_facts()` says which command made it.

    >>> cnn = ready_cnn()
    >>> cnn.rate, cnn.pixel, cnn.unit, len(cnn.cells)
    (50.0, 50.0, 'um', 9)
    """
    with as_file(_folder()) as folder:
        model = load_model(folder / "cnn", front=Photoreceptors(RATE))
    assert isinstance(model, RetinaCNN)
    return model


def ready_cnn_facts() -> dict[str, Any]:
    """What is known of the network that ships: how it was made, from what, and its held-out r.

    >>> sorted(ready_cnn_facts()["r on photographs not fitted on"])[:2]
    ['ds.down', 'ds.left']
    """
    text = _folder().joinpath("cnn.json").read_text(encoding="utf-8")
    facts: dict[str, Any] = json.loads(text)["about"]
    return facts


def _folder() -> Any:
    return files("codeclens.retina").joinpath("shipped")
