"""Crops hold what maps show, and the figure of a mode shows every kind of sample."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from codeclens import CodeclensError
from codeclens.decomposition import NMF, Modes
from codeclens.visualization import (
    Box,
    PixelMap,
    crop_boxes,
    field_boxes,
    gallery,
    gallery_figure,
    receptive_field,
    unit_places,
)
from networks import noise, residual_cnn


def test_a_crop_stays_in_the_image_and_holds_its_share() -> None:
    maps = torch.zeros(3, 3, 40, 50)
    maps[0, 0, :3, :3] = 1.0
    maps[1, 1, 30:40, 20:48] = -1.0
    found = PixelMap(maps.clamp(min=0), maps.clamp(max=0), "a", (0,), torch.zeros(3))
    corner, wide, nothing = crop_boxes(found, share=0.9)
    assert corner == Box(0, 0, 16, 16)
    assert wide.bottom == 40
    assert wide.left <= 22
    assert wide.right >= 46
    assert nothing.area == 16 * 16
    with pytest.raises(CodeclensError, match="images"):
        crop_boxes(PixelMap(maps[:, 0], maps[:, 0], "a", (0,), torch.zeros(3)))


def test_the_field_of_a_mode_is_that_of_its_strongest_place() -> None:
    model, x = residual_cnn().double(), noise(3, 3, 16, 16)
    rng = np.random.default_rng(0)
    X = rng.gamma(0.5, size=(30, 6))
    nmf = NMF(n_modes=2).fit(X)
    mode = Modes("layer1.0", "positive", nmf, nmf.encode(X))[1]
    field = receptive_field(model, x, "layer1.0")
    units = [int(unit) for unit in mode.top_units(count=3)]
    found = unit_places(model, x, site="layer1.0", units=units, count=0)
    for contributed, box in zip(
        found.contributions, field_boxes(model, x, mode, field), strict=True
    ):
        total = contributed.sum(dim=0).abs()
        row, column = (total == total.max()).nonzero()[0].tolist()
        assert box == field.box(row, column)
    with pytest.raises(CodeclensError, match="of site"):
        field_boxes(model, x, mode, receptive_field(model, x, "layer2.0"))


def test_a_wall_shows_every_kind_with_its_scale() -> None:
    rng = np.random.default_rng(0)
    X = rng.gamma(0.2, size=(40, 5))
    nmf = NMF(n_modes=3).fit(X)
    Z = nmf.encode(X) * (rng.random((40, 3)) < 0.5)
    modes = Modes("conv", "positive", nmf, Z, np.arange(40) % 2, ("cat", "dog"))
    found = gallery(modes, count=3)
    pictures = {int(row): rng.random((20, 20, 3)) for row in found.samples()}
    strongest = [one.sample for one in found[1]["strongest"]]
    maps = {row: rng.normal(size=(5, 5)) for row in strongest}
    boxes = {row: Box(0, 0, 8, 8) for row in strongest}
    figure = gallery_figure(
        found, 1, pictures, maps=maps, boxes=boxes, name="cat", count=3, loadings=Z[:, 1],
        facts=["active in half of the samples"], captions=dict.fromkeys(pictures, "a picture"),
        kinds=("strongest", "maps", "crops", "diverse", "typical", "negatives"),
    )  # fmt: skip
    words = " ".join(text.get_text() for text in figure.texts)
    for expected in ("conv, mode 1: cat", "most active in", "where it acts", "outlined regions",
                     "typical", "inactive in", "full colour", "active in the samples of",
                     "active in half", "a picture", "by loading"):  # fmt: skip
        assert expected in words
    assert f"{found[1]['strongest'][0].loading:.2g}" in words
    # Six kinds of three pictures, the classes and the histogram.
    assert len(figure.axes) == 6 * 3 + 2
    assert {text.get_text() for text in figure.axes[-2].get_yticklabels()} == {"cat", "dog"}
    with pytest.raises(CodeclensError, match='no kind "walls"'):
        gallery_figure(found, 1, pictures, kinds=("walls",))
    with pytest.raises(CodeclensError, match="pictures are missing"):
        gallery_figure(found, 1, {})
