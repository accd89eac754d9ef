"""Galleries of modes: the samples are those of the store, maps sum, effects are real runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import codeclens as cl
import networks
from codeclens import CodeclensError, Conductance
from codeclens.attribution import contributions
from codeclens.control import activation_at, remove
from codeclens.reporting import ModeGallery, Question, gallery_page, mode_gallery

METHOD = Conductance(3, nodes="geometric")
SITE = "layer2.0"


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory):
    model = networks.residual_cnn()
    x = networks.noise(24, 3, 12, 12, dtype=torch.float32)
    folder = tmp_path_factory.mktemp("gallery")
    store = cl.extract(
        model, (x, torch.arange(24) % 3), sites=[SITE], method=METHOD, to=folder / "c.zarr",
        classes=["ant", "bee", "cat"],
    )  # fmt: skip
    return store, cl.decompose(store, cl.NMF(n_modes=3)), model, x, folder


@pytest.fixture(scope="module")
def found(setting) -> ModeGallery:
    store, modes, model, x, _ = setting
    return mode_gallery(store, modes[SITE], model, x, Question(METHOD), count=3)


def test_maps_and_contributions_are_those_of_the_strongest_samples(
    setting, found: ModeGallery
) -> None:
    for rank, mode in enumerate(found.shown_modes):
        strongest = [one.sample for one in found.samples[mode]["strongest"]]
        assert list(found.maps[mode]) == strongest
        for place, row in enumerate(strongest):
            assert found.maps[mode][row].shape == (6, 6)
            total = found.maps[mode][row].sum()
            assert total == pytest.approx(found.contribution[rank, place], rel=1e-6, abs=1e-7)


def test_an_effect_is_a_run_without_the_mode(setting, found: ModeGallery) -> None:
    _, modes, model, x, _ = setting
    mode = found.shown_modes[0]
    rows = [one.sample for one in found.samples[mode]["strongest"]]
    batch = x[rows]
    here = contributions(model, batch, sites=SITE, method=METHOD, reduce=None)
    start = activation_at(model, here[SITE].site, 0 * batch[:1])
    with torch.no_grad():
        before = model(batch)
        with remove(model, modes[SITE], mode, here, baseline=start):
            after = model(batch)
    best = before.argmax(dim=1, keepdim=True)
    expected = (before - after).gather(1, best)[:, 0].numpy()
    np.testing.assert_allclose(found.effect[0], expected, rtol=1e-3, atol=1e-5)


def test_a_gallery_is_labelled_data(found: ModeGallery) -> None:
    table = found.to_dataframe()
    assert list(table["mode"]) == list(found.shown_modes)
    assert table.measured_effect.notna().all()
    data = found.to_xarray()
    assert data.effect_by_sample.shape == (len(table), 3)
    assert len(repr(found).splitlines()) <= 20
    assert "<table" in found._repr_html_()


def test_no_name_goes_beyond_its_evidence(found: ModeGallery) -> None:
    # Labels have nothing to do with these images.
    for mode in found.shown_modes:
        assert found.name(mode) == "no clear name"
        assert found.facts(mode)[0].startswith(
            "No clear name: its loadings correlate with no class"
        )


def test_a_page_shows_every_mode_and_writes_its_picture(setting) -> None:
    store, modes, model, x, folder = setting
    steps: list[tuple[int, int]] = []
    page = gallery_page(
        store, modes, model, x, Question(METHOD), to=folder / "g", count=2,
        progress=lambda done, total: steps.append((done, total)),
    )  # fmt: skip
    text = page.read_text(encoding="utf-8")
    for mode in range(len(modes[SITE])):
        assert f"Mode {mode}: no clear name" in text
        with Image.open(folder / "g" / SITE / f"mode-{mode:03}.jpg") as picture:
            assert picture.width == 780
    assert "measured effect" in text
    assert (folder / "g" / SITE / "modes.csv").read_text().startswith("site,mode,name")
    assert steps[-1][0] == steps[-1][1]
    # Again, with fewer modes: the pictures are those of the page, and other files stay.
    place = folder / "g" / SITE
    (place / "mode-mine.jpg").write_bytes(b"mine")
    gallery_page(
        store, modes, model, x, Question(METHOD), to=folder / "g", count=2, most=1, effects=False
    )
    pictures = sorted(one.name for one in place.glob("*.jpg"))
    assert len(pictures) == 2 < len(modes[SITE])
    assert pictures[1] == "mode-mine.jpg"


def test_the_strongest_modes_alone_without_effects(setting) -> None:
    store, modes, model, x, _ = setting
    few = mode_gallery(
        store, modes[SITE], model, x, Question(METHOD), count=2, most=2, effects=False
    )
    assert len(few.shown_modes) == 2
    assert np.isnan(few.effect).all()
    assert few.finding() == f"0 of 2 modes at `{SITE}` have a name."
    assert few.figure(few.shown_modes[0]).axes
    left = next(mode for mode in range(3) if mode not in few.shown_modes)
    with pytest.raises(CodeclensError, match="not in this gallery"):
        few.figure(left)


def test_images_of_another_extraction_are_refused(setting, tmp_path: Path) -> None:
    store, modes, model, x, _ = setting
    with pytest.raises(CodeclensError, match="pass the images of the extraction"):
        mode_gallery(store, modes[SITE], model, x[:3], Question(METHOD))
    with pytest.raises(CodeclensError, match="There are modes of"):
        gallery_page(store, modes, model, x, to=tmp_path, sites=["layer9"])
    with pytest.raises(CodeclensError, match="count"):
        mode_gallery(store, modes[SITE], model, x, count=0)
