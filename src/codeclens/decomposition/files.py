"""Modes on disk: tensors as safetensors, everything else as JSON, nothing that could run."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import torch
from torch import Tensor

from codeclens.decomposition.pairs import Kind, read_pair, replace_file, write_pair
from codeclens.decomposition.registry import METHODS
from codeclens.errors import CodeclensError

if TYPE_CHECKING:
    from codeclens.decomposition.modes import Modes

MODES = Kind("codeclens modes", 1, "modes")
SEVERAL = Kind("codeclens modes of several sites", 1, "modes")
# Names all sites of a folder in their order; "%" keeps it apart from any quoted site.
SET_FILE = "all%sites.json"
# Modes that come with the package, a folder for each network.
SHIPPED = Path(__file__).parent / "shipped"


def write(modes: Modes, path: str | os.PathLike[str]) -> Path:
    """Write `path.safetensors` and `path.json`; the JSON comes last and holds a checksum."""
    tensors = {f"method.{name}": value for name, value in modes.method.tensors().items()}
    tensors["dictionary"] = torch.from_numpy(modes.dictionary)
    tensors["loadings"] = torch.from_numpy(modes.loadings)
    if modes.labels is not None:
        tensors["labels"] = torch.from_numpy(modes.labels.astype(np.int64))
    if modes.keys is not None:
        text = "\0".join(str(key) for key in modes.keys).encode()
        tensors["keys"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    numbers: dict[str, Any] = {}
    for name, value in modes.quality.items():
        if isinstance(value, np.ndarray):
            tensors[f"quality.{name}"] = torch.from_numpy(value)
        else:
            # JSON knows no NaN.
            numbers[name] = None if isinstance(value, float) and math.isnan(value) else value
    facts = {
        "site": modes.site,
        "view": modes.view,
        "samples": len(modes.loadings),
        "modes": len(modes),
        "units": modes.n_units,
        "method": {
            "name": type(modes.method).__name__,
            "config": modes.method.config(),
            "fitted": modes.method.summary(),
        },
        "quality": numbers,
        "classes": None if modes.classes is None else list(modes.classes),
        "provenance": modes.provenance,
    }
    return write_pair(path, MODES, tensors, facts)


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The fields of the Modes that were written to `path`."""
    if (Path(path) / SET_FILE).is_file():
        raise CodeclensError(
            f'"{path}" is a folder with the modes of several sites; read them all by '
            "load_modes(folder)."
        )
    facts, tensors, fact_file = read_pair(path, MODES)
    try:
        return _fields(facts, tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())  # torch's go over several lines
        raise CodeclensError(f'"{fact_file}" does not describe modes: {reason}.') from error


def save_modes(modes: Mapping[str, Modes], folder: str | os.PathLike[str]) -> Path:
    """Write the modes of several sites, as `decompose` gives them, into one folder.

    >>> import tempfile
    >>> load_modes(save_modes({}, tempfile.mkdtemp()))
    {}
    """
    to = Path(folder)
    to.mkdir(parents=True, exist_ok=True)
    names = {site: quote(site, safe="") for site in modes}
    for site, one in modes.items():
        one.save(to / names[site])
    facts = {"format": SEVERAL.format, "version": SEVERAL.version, "sites": names}
    replace_file(to / SET_FILE, json.dumps(facts, indent=2, ensure_ascii=False).encode())
    return to


def load_modes(folder: str | os.PathLike[str]) -> dict[str, Modes]:
    """Read what `save_modes` wrote, sites in their order; raises CodeclensError as `load` does.

    Where there is no such folder, the name of a network whose modes ship with the package means
    these (see `ready_modes`).

    >>> import tempfile
    >>> list(load_modes(save_modes({}, tempfile.mkdtemp())))
    []
    """
    from codeclens.decomposition.modes import Modes

    place = Path(folder)
    if os.fspath(folder) in shipped() and not place.exists():
        place = SHIPPED / place
    if not (place / SET_FILE).is_file():
        known = ", ".join(f'"{name}"' for name in shipped())
        seeds = sorted(place.glob(f"*/{SET_FILE}"))
        hint = (
            f' itself; those of one seed are in "{seeds[0].parent}"'
            if seeds
            else f"; modes of {known} ship with codeclens"
        )
        raise CodeclensError(f'There are no modes in the folder "{folder}"{hint}.')
    facts = SEVERAL.facts(place / SET_FILE)
    return {site: Modes.load(place / name) for site, name in facts["sites"].items()}


def shipped() -> list[str]:
    """The networks whose modes ship with the package."""
    return sorted(file.parent.name for file in SHIPPED.glob(f"*/{SET_FILE}"))


def _fields(facts: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    described = facts["method"]
    if described["name"] not in METHODS:
        known = ", ".join(METHODS)
        raise CodeclensError(
            f'The modes were made by "{described["name"]}", which is not known here (but {known}).'
        )
    prefix = "method."
    state = {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
    method = METHODS[described["name"]](**described["config"])
    method.restore(described["fitted"], state)
    numbers = {name: math.nan if n is None else n for name, n in facts["quality"].items()}
    arrays = {
        name.removeprefix("quality."): value.numpy()
        for name, value in tensors.items()
        if name.startswith("quality.")
    }
    keys = None
    if "keys" in tensors:
        keys = np.array(bytes(tensors["keys"].tolist()).decode().split("\0"))
    return {
        "site": facts["site"],
        "view": facts["view"],
        "method": method,
        "loadings": tensors["loadings"].numpy(),
        "labels": tensors["labels"].numpy() if "labels" in tensors else None,
        "classes": None if facts["classes"] is None else tuple(facts["classes"]),
        "keys": keys,
        "quality": numbers | arrays,
        "provenance": facts["provenance"],
    }
