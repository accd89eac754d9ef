"""`codeclens explain` on a user's own model and images."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import codeclens as cl
from codeclens.cli.config import ExplainSettings
from codeclens.cli.explain_command import modes_of
from codeclens.errors import CodeclensError

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def decomposed(desk: Path, told: Told) -> Path:
    where = "--images", "images", "--to", "run/store.zarr", "--steps", 3, "--sites", "1,4"
    assert told("extract", "--model", "tiny:build", *where)[0] == 0
    to = "--method", "nmf", "--k", 3, "--to", "run/modes"
    assert told("decompose", "run/store.zarr", *to)[0] == 0
    return desk


def explain(told: Told, image: object, *more: object) -> tuple[int, str, str]:
    where = "--model", "tiny:build", "--modes", "run/modes", "--steps", 3, "--to", "out"
    return told("explain", image, *where, *more)


def test_an_image_is_explained_in_every_form(decomposed: Path, told: Told) -> None:
    image = sorted((decomposed / "images").rglob("*.png"))[0]
    code, out, err = explain(told, image, "--most", 2)
    assert (code, err) == (0, "")
    to = decomposed / "out"
    for name in ("explanation.png", "explanation.svg", "explanation.html"):
        assert (to / name).stat().st_size > 1000
    with (to / "explanation.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    totals = {
        site: sum(float(row["contribution"]) for row in rows if row["site"] == site)
        for site in ("1", "4")
    }
    assert totals["1"] == pytest.approx(totals["4"], rel=1e-4)
    words = (to / "sentences.txt").read_text(encoding="utf-8")
    assert words.splitlines()[0] in out
    settings = yaml.safe_load((to / "config.yaml").read_text(encoding="utf-8"))["explain"]
    assert settings["most"] == 2
    assert told("explain", "--config", to / "config.yaml")[0] == 0


def test_targets_are_chosen_by_number_and_against_another(decomposed: Path, told: Told) -> None:
    image = sorted((decomposed / "images").rglob("*.png"))[0]
    quick = "--no-maps", "--no-effects", "--sites", "4"
    quick = *quick, "--overwrite"
    assert '"grey" is' in explain(told, image, "--target", "1", *quick)[1]
    assert '"bright" is' in explain(told, image, "--target", "Bright", *quick)[1]
    against = "--target", "1", "--instead-of", "dark"
    assert '"grey − dark" is' in explain(told, image, *against, *quick)[1]
    alone = explain(told, image, *quick)[1].split('"')[1]
    other = next(name for name in ("dark", "grey") if name != alone)
    assert f'"{alone} − {other}" is' in explain(told, image, "--instead-of", other, *quick)[1]


def test_an_explanation_is_not_lost_to_another(decomposed: Path, told: Told) -> None:
    first, second = sorted((decomposed / "images").rglob("*.png"))[:2]
    quick = "--no-effects", "--no-maps", "--sites", "4"
    assert explain(told, first, *quick)[0] == 0
    before = (decomposed / "out" / "explanation.csv").read_bytes()
    code, _, err = explain(told, second, *quick)
    assert code != 0
    assert "contains an explanation made with image" in err
    assert (decomposed / "out" / "explanation.csv").read_bytes() == before
    assert explain(told, first, *quick)[0] == 0  # the same again
    assert explain(told, second, *quick, "--overwrite")[0] == 0
    assert (decomposed / "out" / "explanation.csv").read_bytes() != before


def test_missing_input_is_reported_in_one_sentence(decomposed: Path, told: Told) -> None:
    image = sorted((decomposed / "images").rglob("*.png"))[0]
    (decomposed / "text.png").write_text("no image")
    for arguments, words in (
        ((decomposed / "none.png",), "There is no image"),
        ((decomposed / "text.png",), "cannot be read as an image"),
        ((image, "--sites", "9"), 'not of "9"'),
        ((image, "--target", "espresso"), "espresso"),
        ((image, "--most", "0"), "most"),
    ):
        code, _, err = explain(told, *arguments)
        assert code == 2
        assert words in err
        assert err.count("\n") == 1
    code, _, err = told("explain", image, "--model", "tiny:build", "--to", "out")
    assert (code, "pass --modes FOLDER" in err) == (2, True)


def test_modes_that_ship_are_taken_where_none_are_named() -> None:
    settings = ExplainSettings(image=Path("photo.jpg"), to=Path("out"))
    modes, sites = modes_of(settings)
    assert settings.model == "efficientnet-lite0"
    assert list(modes) == list(cl.ready_modes())
    assert sites is not None
    assert set(sites) < set(modes)
    all_of_them = settings.model_copy(update={"sites": ["blocks.0.0"]})
    assert modes_of(all_of_them)[1] == ["blocks.0.0"]
    with pytest.raises(CodeclensError, match="No modes of digits-resnet ship with codeclens"):
        modes_of(settings.model_copy(update={"model": "digits-resnet"}))
