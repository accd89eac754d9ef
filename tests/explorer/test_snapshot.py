"""The snapshot on disk, and the widget's answers."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

import codeclens as cl
from codeclens.errors import CodeclensError
from codeclens.explorer import LiveNetwork, RunFolder, snapshot, view
from codeclens.explorer.notebook_widget import answered
from codeclens.pages import Section, Text
from codeclens.pages.notebook import widget
from codeclens.reporting import Question
from explorer.conftest import network, pictures


def test_a_snapshot_holds_the_views_and_needs_no_network(
    run: RunFolder, live: LiveNetwork, tmp_path: Path
) -> None:
    run.notes.set("3", 0, note="</script><script>alert(1)</script>")
    page = snapshot(run, tmp_path / "run.html", live).read_text(encoding="utf-8")
    # Its own two scripts and no other.
    assert len(re.findall(r"</script", page)) == 2
    text = page.partition('id="codeclens-data">')[2].partition("</script>")[0]
    found = json.loads(text)
    assert found["views"]["modes/3"] == view(run, "modes/3")
    assert {f"mode/3/{k}" for k in range(5)} <= set(found["views"])
    assert "alert(1)" in found["views"]["mode/3/0"]["given_note"]
    assert all(at.startswith("data:image/") for at in found["pictures"].values())
    assert len(found["maps"]["3/0"]["maps"]) == 4
    assert "default-src 'none'" in page
    story = found["views"]["story"]
    assert {f"kinds/3/{k}" for k in range(5)} <= set(found["views"]), "all are shown one by one"
    titles = [section["title"] for section in story["sections"]]
    assert titles == [
        "Do the contributions add up?", "From layer to layer", "Modes",
        "The strongest modes, one by one", "What modes do", "Where the numbers come from",
    ]  # fmt: skip
    assert len(story["sentences"]) == 4
    assert not re.search(r'(src|href)="https?:', page)
    with pytest.raises(CodeclensError, match=r"\.html"):
        snapshot(run, tmp_path / "run.txt")


def test_a_widget_answers_and_refuses_in_sentences(run: RunFolder) -> None:
    found = answered(run, {"id": 3, "kind": "view", "address": "mode/3/1"})
    assert found == {"id": 3, "found": view(run, "mode/3/1")}
    named = {"id": 4, "kind": "note", "site": "3", "mode": 1, "name": "bars"}
    assert answered(run, named)["found"]["name"] == "bars"
    for message in (
        {"id": 5, "kind": "view", "address": "../x"}, {"id": 5, "kind": "run"},
        {"id": 5, "kind": "note", "site": "3", "mode": 99}, {"id": 5, "kind": "note", "mode": "x"},
    ):  # fmt: skip
        assert answered(run, message)["error"]
    assert answered(run, "text")["id"] is None
    with pytest.raises(CodeclensError, match="needs a store"):
        cl.explore(str(run.store.path))


def test_a_report_holds_sections_and_facts_of_its_own(run: RunFolder, tmp_path: Path) -> None:
    x, y = pictures()
    path = cl.report(
        run.store, run.modes, to=tmp_path / "r.html", title="Bars", subtitle="of three kinds",
        sections=[Section("Mine", [Text("Hello.")], finding="It is mine.")],
        facts=[("made by", "hand")], control=run.control, model=network(), images=(x, y),
        question=Question(method=cl.Conductance(steps=8)), told=2, most=1,
    )  # fmt: skip
    page = path.read_text(encoding="utf-8")
    found = json.loads(page.partition('id="codeclens-data">')[2].partition("</script>")[0])
    about, story = (found["views"][name] for name in ("overview", "story"))
    assert (about["title"], about["subtitle"]) == ("Bars", "of three kinds")
    assert "It is mine." in story["sentences"]
    assert [one["title"] for one in story["sections"]][-2:] == [
        "Mine",
        "Where the numbers come from",
    ]
    assert ["made by", "hand"] in story["sections"][-1]["blocks"][0]["pairs"]
    # Two modes of one site are told one by one, each with a page, maps and pictures.
    assert len(found["maps"]) == 2
    assert sum(key.startswith("mode/") for key in found["views"]) == 1 + 2
    shown = {row for one in found["maps"].values() for row in one["rows"]}
    assert {str(row) for row in shown} <= set(found["pictures"])
    with pytest.raises(CodeclensError, match="pass both"):
        cl.report(run.store, run.modes, to=tmp_path / "x.html", model=network())
    assert not (tmp_path / "x.html").exists()


def test_an_explanation_is_a_widget_in_a_notebook(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, _ = pictures()
    found = cl.explain(network(), x[:1], run.modes, sites="3", effects=False)
    # As in a notebook: another test may have loaded IPython without its kernel.
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    data, _ = found._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "data:image/svg" in data["text/html"]
    shown = widget(document=found.page().data())
    assert shown.document["sections"][0]["blocks"][1]["name"] == "sum"
    # A terminal shows text.
    monkeypatch.setitem(sys.modules, "IPython", None)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    assert set(found._repr_mimebundle_()) == {"text/plain"}
