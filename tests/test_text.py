"""Text from strangers: visible, safe in spreadsheets, and the same in every file."""

from __future__ import annotations

import csv
import unicodedata
from pathlib import Path

import pandas
from hypothesis import given
from hypothesis import strategies as st

from codeclens.labelled import save_table
from codeclens.pages.words import plain
from codeclens.text import class_labels, table_cell, visible

ANY = st.text(st.characters(codec=None), max_size=20)


@given(ANY)
def test_visible_text_has_no_control_or_direction_characters(text: str) -> None:
    shown = visible(text)
    assert visible(shown) == shown
    shown.encode("utf-8")
    for one in shown:
        assert unicodedata.category(one) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(one) not in {
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
        }  # fmt: skip
    assert visible(plain(text), keep="\n\t") == plain(text)


@given(st.lists(ANY, max_size=6))
def test_labels_of_classes_are_distinct_and_stable(names: list[str]) -> None:
    labels = class_labels(names)
    assert len(set(labels)) == len(names) == len(labels)
    assert all(labels)
    assert class_labels(labels) == labels


@given(st.lists(st.one_of(ANY, st.floats(allow_nan=False), st.integers()), min_size=1, max_size=5))
def test_cells_are_no_formulas_and_numbers_stay(values: list[object]) -> None:
    for value in map(table_cell, values):
        if isinstance(value, str) and value[:1] in tuple("=+-@\t\r"):
            float(value)
    numbers = [value for value in values if not isinstance(value, str)]
    assert [value for value in map(table_cell, values) if not isinstance(value, str)] == numbers


def test_a_table_of_names_is_read_back(tmp_path: Path) -> None:
    names = [
        "a,b",
        'say "hi"',
        "[x]",
        "#1",
        "k=v",
        "=cmd|' /C calc'!A0",
        "-1.5",
        "café 猫",
        "\x1b[0m",
    ]
    file = save_table(tmp_path / "a.csv", [{"class": n, "-x": -1.5} for n in names])
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    shown = [names[n] if n not in (5, 8) else table_cell(names[n]) for n in range(len(names))]
    assert [row["class"] for row in rows] == shown
    assert [float(row["'-x"]) for row in rows] == [-1.5] * len(names)
    assert pandas.read_csv(file)["class"].tolist()[:5] == shown[:5]


def test_what_hides_text_is_shown_and_what_writes_it_stays() -> None:
    assert visible("a\u200bb\u2060c\xadd") == r"a\u200bb\u2060c\xadd"
    assert visible("\U000e0041") == r"\U000e0041"
    joined = "\u0646\u0645\u06cc\u200c\u062e \u0915\u094d\u200d\u0937 \U0001f469\u200d\U0001f52c"
    assert visible(joined) == joined
    assert class_labels(["\ufe0f", "\u200d ", "a"]) == ["class 0", "class 1", "a"]


def test_accents_are_composed_in_names_of_classes() -> None:
    assert class_labels(["cafe\u0301", "dog"]) == ["caf\xe9", "dog"]
    assert class_labels(["cafe\u0301", "caf\xe9"]) == ["caf\xe9 (0)", "caf\xe9 (1)"]
