"""Names: near ones are offered, equal ones told apart."""

from __future__ import annotations

from codeclens.zoo.ready import nearest, short_labels


def test_the_nearest_come_first() -> None:
    assert nearest("resnet5O", ["vgg16", "resnet50", "resnet18"], 2) == '"resnet50", "resnet18"'


def test_something_is_always_offered() -> None:
    assert nearest("zzz", ["a"]) == '"a"'


def test_equal_names_get_their_synonyms_then_their_index() -> None:
    given = ["crane, bird", "crane, machine", "boa", "boa", "cup, mug"]
    assert short_labels(given) == ["crane, bird", "crane, machine", "boa (2)", "boa (3)", "cup"]
