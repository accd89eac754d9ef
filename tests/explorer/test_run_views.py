"""The views of a run: their numbers, their addresses, and the Python that repeats them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codeclens.errors import CodeclensError
from codeclens.explorer import RunFolder, view
from codeclens.explorer.mode_notes import ModeNotes
from codeclens.explorer.run_views import VIEWS

ADDRESSES = [
    *(
        "overview",
        "story",
        "layers",
        "modes/3",
        "mode/3/0",
        "kinds/3/0",
        "samples",
        "sample/4",
        "similar/3/0/0.5",
    ),
    *("flow", "control", "compare/1/3"),
]


def repeated(found: dict[str, Any]) -> Any:
    names: dict[str, Any] = {}
    exec(found["python"], names)
    return names["result"]


def test_every_view_has_an_address_here() -> None:
    assert {address.partition("/")[0] for address in ADDRESSES} == set(VIEWS)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_view_is_json_and_has_python_that_runs(run: RunFolder, address: str) -> None:
    found = view(run, address)
    json.dumps(found, allow_nan=False)
    assert repeated(found) is not None


@pytest.mark.parametrize(
    "address",
    [
        *("", "nothing", "modes", "modes/9", "mode/3/99", "mode/3/-1", "mode/3/1.0", "sample/60"),
        *("sample/x", "sample/²", "similar/3/0/nan", "modes/..%2F..", "mode/3/1/2"),
    ],
)
def test_an_address_that_names_nothing_is_one_sentence(run: RunFolder, address: str) -> None:
    with pytest.raises(CodeclensError):
        view(run, address)


def test_the_sum_of_a_sample_is_exact(run: RunFolder) -> None:
    found = view(run, "sample/4")
    for site in found["sites"]:
        parts = [term["contribution"] for term in site["terms"]]
        total = sum(parts) + site["unexplained"] + site["elsewhere"]
        assert total == pytest.approx(found["change"], abs=1e-4)
        stored = run.store.view(site["site"], "sum", [4]).sum()
        assert sum(parts) + site["unexplained"] == pytest.approx(float(stored), abs=1e-4)


def test_python_gives_the_same_numbers(run: RunFolder) -> None:
    modes = view(run, "modes/3")
    table = repeated(modes)
    assert table["share"].to_numpy() == pytest.approx(modes["share"], rel=1e-5)
    assert table["class_correlation"].to_numpy() == pytest.approx(modes["specificity"], rel=1e-5)
    mode = view(run, "mode/3/1")
    share, firing, (name, correlation), weights, loadings = repeated(mode)
    assert [share, firing, correlation] == pytest.approx(
        [mode["share"], mode["firing"], mode["specificity"]], rel=1e-5
    )
    assert name == mode["best_class"]
    assert weights == pytest.approx(mode["units"]["net"], rel=1e-4, abs=1e-7)
    assert max(loadings) == pytest.approx(mode["exemplars"][0]["loading"], rel=1e-5)
    sample = view(run, "sample/4")
    for site in sample["sites"]:
        again = repeated(sample)[site["site"]].set_index("mode")["contribution"]
        assert again[5] == pytest.approx(site["unexplained"], rel=1e-4, abs=1e-6)
        for term in site["terms"]:
            assert again[term["mode"]] == pytest.approx(term["contribution"], rel=1e-4)
    compared = view(run, "compare/1/3")
    joint = repeated(compared)
    for row in compared["rows"]:
        assert joint[row["mode"]].max() == pytest.approx(row["correlation"], abs=1e-4)
        assert joint[row["mode"], row["partner"]] == pytest.approx(row["correlation"], abs=1e-4)
    alike = view(run, "similar/3/0/0.5")
    assert [one["row"] for one in alike["rows"]] == repeated(alike)
    layers = view(run, "layers")
    chart = next(one for one in layers["charts"] if one["title"] == "Sparsity")
    expected = repeated(layers)["contribution_sparsity_median"]
    assert chart["series"][0]["values"] == pytest.approx(list(expected), rel=1e-5)
    flow = view(run, "flow")
    largest = repeated(flow).sort_values("share", ascending=False)["share"].iloc[0]
    assert flow["pairs"][0]["edges"][0]["share"] == pytest.approx(largest, rel=1e-5)
    control = view(run, "control")
    curve = repeated(control)[0].curves[0][0]
    shown = control["sites"][0]["curves"][0]["conditions"][0]["target"]["value"]
    assert shown == pytest.approx(curve.mode.target.value.tolist())
    gaps = dict((site, median) for site, median, _ in repeated(view(run, "overview")))
    assert view(run, "overview")["sites"][0]["gap"] == pytest.approx(gaps["1"], rel=1e-5)


def test_a_run_without_parts_says_which_command_makes_them(run: RunFolder) -> None:
    bare = RunFolder(run.store)
    missing = view(bare, "overview")["missing"]
    assert set(missing) == {"modes", "flow", "control"}
    assert "codeclens decompose" in missing["modes"]
    assert "--flow" in view(bare, "flow")["missing"]
    assert "codeclens control" in view(bare, "control")["missing"]
    assert "codeclens decompose" in view(bare, "sample/0")["missing"]["modes"]
    with pytest.raises(CodeclensError, match="codeclens decompose"):
        view(bare, "modes/3")
    assert view(bare, "layers")["computed"]


def test_a_given_name_is_used_everywhere(run: RunFolder) -> None:
    run.notes.set("3", 1, name=" wheels  and axles ", note="seen in\n\ncars ")
    assert view(run, "modes/3")["names"][1] == "wheels and axles"
    mode = view(run, "mode/3/1")
    assert (mode["name"], mode["given_note"]) == ("wheels and axles", "seen in\n\ncars")
    terms = {t["mode"]: t["name"] for s in view(run, "sample/4")["sites"][1:] for t in s["terms"]}
    assert terms.get(1, "wheels and axles") == "wheels and axles"
    assert view(run, "flow")["names"]["3"]["1"] == "wheels and axles"
    assert ModeNotes(run.notes.path).names("3") == {1: "wheels and axles"}
    run.notes.set("3", 1, name="", note="")
    assert ModeNotes(run.notes.path).names("3") == {}


def test_notes_are_never_lost_to_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "notes.json"
    notes = ModeNotes(file)
    notes.set("a", 0, name="kept")
    with pytest.raises(CodeclensError, match="at most 120"):
        notes.set("a", 0, name="x" * 200)
    assert ModeNotes(file).names("a") == {0: "kept"}
    file.write_text('{"sites": [', encoding="utf-8")
    with pytest.raises(CodeclensError, match="cannot be read"):
        ModeNotes(file)
    assert file.read_text(encoding="utf-8") == '{"sites": ['


def test_a_run_is_found_from_its_folder_or_its_store(run_folder: Path, tmp_path: Path) -> None:
    for place in (run_folder, run_folder / "contributions.zarr", run_folder.parent):
        found = RunFolder.open(place)
        assert found.modes_folder == run_folder / "modes"
        assert found.control == run_folder / "control"
    with pytest.raises(CodeclensError, match="no store"):
        RunFolder.open(tmp_path)
    with pytest.raises(CodeclensError, match="no folder"):
        RunFolder.open(tmp_path / "nothing")


def test_partners_are_those_of_the_whole_table(run: RunFolder) -> None:
    one, other = (np.asarray(run.modes[site].loadings, float) for site in ("1", "3"))
    for row in view(run, "compare/1/3")["rows"]:
        each = [np.corrcoef(one[:, row["mode"]], other[:, k])[0, 1] for k in range(5)]
        assert row["correlation"] == pytest.approx(np.nanmax(each), abs=1e-5)
