"""The study of mutations: its subjects exist, and samples are drawn and read as it says."""

from __future__ import annotations

import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path

import pytest
from benchmarks import mutations
from benchmarks.mutations import SUBJECTS


@pytest.mark.parametrize("name", sorted(SUBJECTS))
def test_files_and_tests_of_a_subject_exist(name: str, tmp_path: Path) -> None:
    subject = SUBJECTS[name]
    for file in subject.files:
        assert (mutations.ROOT / "src" / "codeclens" / file).is_file()
    for test in subject.tests:
        assert (mutations.ROOT / test).is_file()
    text = mutations.configuration(subject, tmp_path, 60)
    settings = tomllib.loads(text)["cosmic-ray"]
    assert len(settings["module-path"]) == len(subject.files)
    assert all(test in settings["test-command"] for test in subject.tests)


@pytest.fixture
def session(tmp_path: Path) -> Path:
    path = tmp_path / "session.sqlite"
    with closing(sqlite3.connect(path)) as data, data:
        data.execute("CREATE TABLE work_items (job_id TEXT)")
        data.execute(
            "CREATE TABLE mutation_specs "
            "(job_id TEXT, module_path TEXT, operator_name TEXT, occurrence INTEGER)"
        )
        data.execute("CREATE TABLE work_results (job_id TEXT, test_outcome TEXT, diff TEXT)")
        for number in range(10):
            operator = "core/ReplaceBinaryOperator_BitOr_Add" if number < 4 else "core/Number"
            data.execute("INSERT INTO work_items VALUES (?)", (f"job {number}",))
            row = (f"job {number}", "a.py", operator, number)
            data.execute("INSERT INTO mutation_specs VALUES (?, ?, ?, ?)", row)
            end = "TestOutcome.SURVIVED" if number == 7 else "TestOutcome.KILLED"
            row = (f"job {number}", end, f"diff {number}")
            data.execute("INSERT INTO work_results VALUES (?, ?, ?)", row)
    return path


def left(session: Path) -> list[str]:
    with closing(sqlite3.connect(session)) as data:
        return sorted(row[0] for row in data.execute("SELECT job_id FROM work_items"))


def test_what_is_never_evaluated_is_left_out(session: Path) -> None:
    assert mutations.chosen(session, None, 0) == 6
    assert left(session) == [f"job {number}" for number in range(4, 10)]


def test_a_sample_is_drawn_with_its_seed(session: Path) -> None:
    assert mutations.chosen(session, 3, 1) == 3
    first = left(session)
    assert len(first) == 3
    assert set(first) <= {f"job {number}" for number in range(4, 10)}


def test_survivors_are_listed_with_their_differences(session: Path) -> None:
    assert mutations.survivors(session) == ({"killed": 9, "survived": 1}, ["diff 7"])
