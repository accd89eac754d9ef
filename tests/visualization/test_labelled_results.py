"""Results of this room are labelled data: short on the screen, as a table and as a data set."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from codeclens.decomposition import NMF, Modes
from codeclens.labelled import Labelled
from codeclens.visualization import (
    PixelCurve,
    PixelMap,
    Randomisation,
    exemplars,
    gallery,
)

X = np.random.default_rng(0).gamma(0.3, size=(60, 5)).astype(np.float32)
METHOD = NMF(n_modes=3).fit(X)
MODES = Modes("a", "positive", METHOD, METHOD.encode(X), np.arange(60) % 2, ("x", "y"))
MAPS = torch.rand(4, 3, 6, 7)
RESULTS: list[tuple[Labelled, int, dict[str, int]]] = [
    (exemplars(MODES, 4), 12, {"mode": 3, "rank": 4}),
    (gallery(MODES, count=2), 0, {"mode": 3, "rank of strongest": 2, "class": 2}),
    (PixelMap(MAPS, -MAPS, "a", (1, 2), torch.ones(4)), 4, {"sample": 4, "row": 6, "column": 7}),
    (PixelCurve(np.array([0, 0.5, 1]), np.eye(3)[:, :2], False), 3, {"fraction": 3, "sample": 2}),
    (Randomisation(("fc", "conv"), np.eye(2), np.eye(2)), 2, {"layer": 2, "sample": 2}),
]


@pytest.mark.parametrize("result", RESULTS, ids=lambda given: type(given[0]).__name__)
def test_a_result_is_a_table_a_data_set_and_short(
    result: tuple[Labelled, int, dict[str, int]],
) -> None:
    found, rows, sizes = result
    table = found.to_dataframe()
    assert len(table) == rows or (not rows and len(table))
    data = found.to_xarray()
    assert sizes.items() <= {str(name): size for name, size in data.sizes.items()}.items()
    assert len(repr(found).splitlines()) <= 20
    assert "<table" in found._repr_html_()


def test_the_table_of_a_gallery_names_the_kinds() -> None:
    table = gallery(MODES, count=2).to_dataframe()
    assert list(table.kind[table["mode"] == 0].unique())[:2] == ["strongest", "diverse"]
