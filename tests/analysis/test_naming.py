"""Names of modes: what they claim, and what they must not."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from codeclens.analysis.semantics import Evidence, mode_name

CLASSES = ["espresso", "cup", "tub", "beagle", "pug"]
SUPERCLASSES = ["dog", "dish"]
MEMBERS = np.array([[0, 1], [0, 1], [0, 1], [1, 0], [1, 0]], dtype=bool)


def name(classes, groups=(0.0, 0.0), critical=0.1, significant=True, group_significant=True):
    evidence = Evidence(
        np.array(classes, float),
        critical,
        significant,
        np.array(groups, float),
        0.1,
        group_significant,
    )
    return mode_name(evidence, CLASSES, SUPERCLASSES, MEMBERS)


def test_classes_come_with_the_best_first_and_the_others_counted() -> None:
    assert name([0.5, 0.6, 0.0, 0.29, -0.9]) == "cup, espresso"
    assert name([0.5, 0.6, 0.0, 0.31, 0.55]) == "cup, pug, espresso and 1 more"


def test_a_superclass_that_is_followed_better_gives_its_name() -> None:
    assert name([0, 0, 0, 0.5, 0.05], groups=(0.6, 0)) == "dog (1 of 2 classes)"
    assert name([0, 0, 0, 0.5, 0.3], groups=(0.6, 0)) == "dog (2 of 2 classes)"
    assert name([0, 0, 0, 0.5, 0.3], groups=(0.45, 0)) == "beagle, pug"
    # The superclass alone is beyond chance.
    assert name([0, 0, 0, 0.3, 0.3], groups=(0.6, 0), significant=False) == "dog"


def test_what_may_be_chance_is_not_claimed() -> None:
    nothing = "no class beyond chance"
    assert name([0.9, 0, 0, 0, 0], significant=False, group_significant=False) == nothing
    assert name([0.9, 0, 0, 0, 0], groups=(0.15, 0), significant=False) == nothing
    assert name([0, 0, 0, 0.5, 0.3], groups=(0.9, 0), group_significant=False) == "beagle, pug"
    assert name([0.5, 0.4, 0, 0, 0], critical=0.45) == "espresso"
    assert name([0.15, 0.1, 0, 0, 0]) == "diffuse: no class above 0.2"
    assert name([np.nan] * 5, groups=(np.nan, np.nan)) == "does not vary"


@given(
    arrays(np.float64, 5, elements=st.floats(-1, 1)),
    arrays(np.float64, 2, elements=st.floats(-1, 1)),
    st.floats(0, 1),
    st.booleans(),
    st.booleans(),
)
def test_only_significant_classes_are_ever_named(
    r, groups, critical, significant, of_groups
) -> None:
    given_name = name(r, groups, critical, significant, of_groups)
    for place, one in enumerate(CLASSES):
        if one in given_name:
            assert significant
            assert r[place] > max(critical, 0.2)
    for place, one in enumerate(SUPERCLASSES):
        if f"{one} (" in given_name:
            assert of_groups
            assert groups[place] > max(0.1, 0.2, r.max())
    if "diffuse" in given_name:
        assert r.max() <= 0.2
