"""`make bench`: numbers with their repetitions, what is left out, and the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks import bench
from benchmarks.bench import Measured, Size

SMALL = Size(64, 1, True)


def test_a_promise_has_a_direction() -> None:
    assert Measured("a", "b", [1.0, 9.0, 3.0], wanted=2.0).verdict == "kept"
    assert Measured("a", "b", [1.0], wanted=2.0).verdict == "not kept"
    assert Measured("a", "b", [1e-7], "", 1e-5, at_least=False).verdict == "kept"
    assert Measured("a", "b", [1.0]).verdict == ""


def absent(size: Size) -> Iterator[Measured]:
    yield from ()


def test_one_benchmark_that_fails_does_not_lose_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(size: Size) -> Iterator[Measured]:
        yield Measured("a", "before", [1.0])
        raise OSError("no space")

    def working(size: Size) -> Iterator[Measured]:
        yield Measured("b", "after", [2.0])

    monkeypatch.setattr(bench, "CASES", (failing, working))
    found, left = bench.run(SMALL, minutes=1, say=lambda line: None)
    assert [one.what for one in found] == ["before", "after"]
    assert left == ["failing: OSError, no space"]
    monkeypatch.setattr(bench, "CASES", (absent, working))
    found, left = bench.run(SMALL, minutes=1, say=lambda line: None)
    assert left == ["absent: not with --quick, or without its package"]
    monkeypatch.setattr(bench, "CASES", (failing, working))
    found, left = bench.run(SMALL, minutes=-1, say=lambda line: None)
    assert found == []
    assert left == ["failing: -1 minutes were over", "working: -1 minutes were over"]


def test_the_sums_of_the_digits_network_are_measured() -> None:
    exact, single = bench.sums(SMALL)
    assert 0 <= exact.value < 1e-12
    assert exact.value < single.value < 1e-5
    assert (exact.verdict, single.verdict) == ("kept", "kept")


def test_json_and_page_hold_the_machine_and_every_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def one(size: Size) -> Iterator[Measured]:
        yield Measured("a", "this <way> / that", [2.0, 4.0, 3.0], wanted=2.5)

    monkeypatch.setattr(bench, "CASES", (one,))
    bench.main(["--to", str(tmp_path), "--quick"])
    record = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    (row,) = record["measured"]
    assert (row["value"], row["verdict"], row["values"]) == (3.0, "kept", [2.0, 4.0, 3.0])
    assert record["machine"]["cores"]
    assert record["packages"]["torch"]
    page = (tmp_path / "bench.html").read_text(encoding="utf-8")
    assert "this &lt;way&gt; / that" in page
    assert "<svg" in page
    assert record["machine"]["processor"] in page
