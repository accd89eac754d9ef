"""Names of modes by their strongest samples: against counting by hand, and by chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from codeclens.analysis import names_of_strongest
from codeclens.errors import CodeclensError

RNG = np.random.default_rng(0)
LABELS = RNG.integers(10, size=400)
CLASSES = {f"class {c}": c == LABELS for c in range(10)}
KINDS = {"low": LABELS < 3, "even": LABELS % 2 == 0, "lower": LABELS < 5}


def loadings(*wanted: list[int]) -> np.ndarray:
    """One mode for each list of classes, whose samples have by far the largest loadings."""
    Z = RNG.random((400, len(wanted))).astype(np.float32)
    for mode, classes in enumerate(wanted):
        Z[np.isin(LABELS, classes), mode] += 2
    return Z


def test_classes_pairs_and_kinds() -> None:
    Z = loadings([3], [0, 1, 2], list(range(10)))
    first = np.flatnonzero(LABELS == 6)[:10], np.flatnonzero(LABELS == 9)[:10]
    pair = np.zeros((400, 1), np.float32)
    pair[np.concatenate(first)] = 1
    found = names_of_strongest(np.concatenate([Z, pair], axis=1), CLASSES, KINDS)
    assert [one.name for one in found] == ["class 3", "low", "", "class 6 or class 9"]
    expected = 20 * CLASSES["class 3"].sum() / 400
    assert found[0].evidence == (
        f"Of its 20 strongest samples 20 show class 3 ({expected:.1f} expected by chance)."
    )
    assert found[2].evidence.startswith("Its 20 strongest samples have nothing in common")
    assert "10 show class 6 and 10 show class 9" in found[3].evidence


@pytest.mark.parametrize("right", [0.5, 0.8, 1.0])
def test_the_name_holds_from_a_loading_on(right: float) -> None:
    Z = loadings([3]) + 2.5 * RNG.random((400, 1)).astype(np.float32)
    (one,) = names_of_strongest(Z, CLASSES, right=right)
    assert one.name == "class 3"
    order = np.argsort(-Z[:, 0])
    sizes = np.bincount(LABELS)
    shares = []
    for n in range(400):
        each = [1 / sizes[label] for label in LABELS[order[: n + 1]]]
        shown = [1 / sizes[3] for label in LABELS[order[: n + 1]] if label == 3]
        shares.append(sum(shown) / sum(each))
    last = max((n for n, share in enumerate(shares) if share >= right), default=None)
    assert one.least == (float("inf") if last is None else Z[order[last], 0])
    assert names_of_strongest(RNG.random((400, 1)), CLASSES)[0].least == float("inf")


@pytest.mark.parametrize("share", [0.5, 0.6, 0.9])
def test_a_class_names_as_counting_by_hand_says(share: float) -> None:
    Z = loadings(*[[c] for c in range(10)]) + 2.5 * RNG.random((400, 10)).astype(np.float32)
    found = names_of_strongest(Z, CLASSES, share=share)
    for mode, one in enumerate(found):
        top = LABELS[np.argsort(-Z[:, mode], kind="stable")[:20]]
        counts = np.bincount(top, minlength=10)
        best = int(counts.argmax())
        size = int((best == LABELS).sum())
        p = stats.hypergeom.sf(counts[best] - 1, 400, size, 20) * 10 * 10
        if counts[best] / 20 >= share and p <= 0.05:
            assert one.name == f"class {best}"
        else:
            assert one.name not in CLASSES


def test_by_chance_there_are_no_names() -> None:
    Z = RNG.random((400, 300)).astype(np.float32)
    assert not any(one.name for one in names_of_strongest(Z, CLASSES, KINDS))


def test_a_common_class_is_no_name_and_a_rare_mode_has_none() -> None:
    common = {"most": np.arange(400) < 380, "rest": np.arange(400) >= 380}
    Z = np.zeros((400, 2), np.float32)
    Z[:20, 0], Z[:5, 1] = 1, 1
    found = names_of_strongest(Z, common)
    assert [one.name for one in found] == ["", ""]
    assert found[1].evidence == "It is active in 5 samples only."


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(CodeclensError, match='mask of "cat" is of 3 samples, the loadings of 400'):
        names_of_strongest(loadings([1]), {"cat": np.ones(3, bool)})
    with pytest.raises(CodeclensError, match="No class"):
        names_of_strongest(loadings([1]), {})
    with pytest.raises(CodeclensError, match="share"):
        names_of_strongest(loadings([1]), CLASSES, share=0.2)


def test_frequent_classes_count_no_more_than_rare_ones() -> None:
    """Ninety cats and ten dogs; the mode is stronger in one of the dogs than in ten of the cats."""
    cats = np.arange(100) < 90
    Z = np.zeros((100, 1), np.float32)
    Z[:20, 0] = np.linspace(3, 2, 20)
    Z[95, 0] = 2.5
    (one,) = names_of_strongest(Z, {"cat": cats, "dog": ~cats}, right=0.5, alpha=1.0)
    assert one.name == "cat"
    # From the dog on, its class counts 1/10 and ten cats 10/90: the cats are 0.526 of the weight.
    assert one.least == Z[19, 0]
    (strict,) = names_of_strongest(Z, {"cat": cats, "dog": ~cats}, right=0.8, alpha=1.0)
    assert strict.least == Z[9, 0]
