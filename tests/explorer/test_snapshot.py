"""The snapshot on disk, and the widget's answers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import codeclens as cl
from codeclens.errors import CodeclensError
from codeclens.explorer import LiveNetwork, RunFolder, snapshot, view
from codeclens.explorer.notebook_widget import answered


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
    assert "http-equiv" not in page
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
