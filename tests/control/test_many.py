"""Many control curves: what one after another says, and tests in pairs over classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from codeclens.control import (
    ByScore,
    ControlCurves,
    Estimate,
    control_curve,
    control_curves,
)
from codeclens.decomposition import NMF, Modes
from codeclens.errors import CodeclensError

CLASSES = 8


@pytest.fixture
def model() -> nn.Module:
    """A network that sees class c by its unit c alone."""
    return nn.Sequential(nn.Identity())


@pytest.fixture
def data(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    labels = torch.arange(80) % CLASSES
    return torch.eye(CLASSES)[labels] * (0.5 + torch.rand(80, 1, generator=generator)), labels


@pytest.fixture
def modes(data: tuple[Tensor, Tensor]) -> Modes:
    x, labels = data
    method = NMF(n_modes=CLASSES).fit(x)
    return Modes("0", "activation", method, method.encode(x), labels=labels.numpy())


def wrong(evidence: object, members: list[int]) -> ByScore:
    """The units of the next class."""
    scores = np.zeros(CLASSES)
    scores[(members[0] + 1) % CLASSES] = 1.0
    return ByScore("wrong class", scores)


FRACTIONS = [0.125, 0.25]


def test_it_matches_one_curve_after_another(
    model: nn.Module, data: tuple[Tensor, Tensor], modes: Modes
) -> None:
    found = control_curves(model, data, modes, fractions=FRACTIONS, classes=[1, 3], trials=3)
    assert [curve.members for curve in found] == [(1,), (3,)]
    for curve in found:
        alone = control_curve(
            model, data, modes, class_index=curve.members, fractions=FRACTIONS, trials=3
        )
        assert alone.rows() == curve.rows()
    assert found.selectivity().tolist() == [-1, -1]
    random = [curve["random"].selectivity.value for curve in found]
    assert found.selectivity("random").tolist() == random
    assert found.mean() == Estimate(*(np.asarray(-1.0),) * 3)


def test_all_classes_with_images_unless_some_are_named(
    model: nn.Module, data: tuple[Tensor, Tensor], modes: Modes
) -> None:
    kept = control_curves(model, data, modes, kind="preserve", fractions=FRACTIONS)
    assert [curve.members for curve in kept] == [(c,) for c in range(CLASSES)]
    assert (kept.selectivity() > 0).all()
    with pytest.raises(CodeclensError, match="No classes were given"):
        control_curves(model, data, modes, classes=[])


def test_sets_of_units_that_classes_share_run_once(
    data: tuple[Tensor, Tensor], modes: Modes
) -> None:
    runs: list[int] = []
    model = nn.Sequential(nn.Identity())
    model.register_forward_hook(lambda *_: runs.append(1))
    control_curves(model, data, modes, classes=[1], fractions=[0.125], trials=3)
    one = len(runs)
    control_curves(model, data, modes, classes=[1, 2, 3], fractions=[0.125], trials=3)
    # For each further class its own unit, and the unchanged network.
    assert len(runs) - one <= one + 2 * 2


def test_modes_that_see_their_class_beat_those_that_see_another(
    model: nn.Module, data: tuple[Tensor, Tensor], modes: Modes
) -> None:
    for kind in ("ablate", "preserve"):
        found = control_curves(model, data, modes, kind=kind, fractions=FRACTIONS, controls=[wrong])
        (one,) = found.comparisons
        assert (one.verdict, one.wins, one.losses) == ("better", CLASSES, 0)
        assert one.p == 2 / 2**CLASSES
        text = " ".join(found.sentences())
        assert 'Modes are more selective than "wrong class"' in text
        assert 'more selective than 1 of 1 control ("wrong class")' in text
        (logits,) = found.logit_comparisons
        assert logits.verdict == "better"


def test_a_better_control_is_reported(
    model: nn.Module, data: tuple[Tensor, Tensor], modes: Modes
) -> None:
    """The modes handed over are of the wrong classes, the control is right."""
    turned = Modes(
        "0", "activation", modes.fitted, modes.loadings, labels=(modes.labels + 1) % CLASSES
    )

    def right(evidence: object, members: list[int]) -> ByScore:
        return ByScore("right class", np.eye(CLASSES)[members[0]])

    found = control_curves(model, data, turned, fractions=FRACTIONS, controls=[right])
    assert found.comparisons[0].verdict == "worse"
    text = " ".join(found.sentences())
    assert 'Modes are less selective than "right class"' in text
    assert 'less selective than 1 of 1 control ("right class")' in text


def test_what_is_alike_or_too_few_is_undecided(
    model: nn.Module, data: tuple[Tensor, Tensor], modes: Modes
) -> None:
    def same(evidence: object, members: list[int]) -> ByScore:
        return ByScore("same", np.eye(CLASSES)[members[0]])

    alike = control_curves(model, data, modes, fractions=FRACTIONS, controls=[same])
    assert alike.comparisons[0].verdict == "undecided"
    assert "not significantly different from 1 of 1 control" in " ".join(alike.sentences())
    few = control_curves(
        model, data, modes, classes=[0, 1, 2], fractions=FRACTIONS, controls=[wrong]
    )
    assert few.comparisons[0].verdict == "undecided"
    assert "3 classes are too few for the test" in " ".join(few.sentences())


def test_superclasses_stand_beside_classes_but_are_not_counted(
    model: nn.Module, data: tuple[Tensor, Tensor], modes: Modes
) -> None:
    both = control_curves(
        model, data, modes, classes=[0, 1], superclasses={"even": [0, 2, 4, 6]},
        fractions=FRACTIONS,
    )  # fmt: skip
    assert len(both) == 3
    assert len(both.counted) == len(both.selectivity()) == 2
    assert both[2].class_name == 'superclass "even"'
    assert both[2].others == 4
    assert any(line.startswith('The superclass "even": selectivity') for line in both.sentences())
    alone = control_curves(
        model, data, modes, superclasses={"even": [0, 2, 4, 6]}, fractions=FRACTIONS
    )
    assert len(alone) == len(alone.counted) == 1


def test_a_superclass_is_measured_over_all_its_classes(
    model: nn.Module, data: tuple[Tensor, Tensor], modes: Modes
) -> None:
    units = ByScore("all", np.isin(np.arange(CLASSES), [2, 5]).astype(float))
    curve = control_curve(
        model, data, modes, class_index=[5, 2], fractions=[0.25], controls=[units]
    )
    assert curve.members == (2, 5)
    # A tie of zeros is read as class 0, which is among the others.
    assert (curve["all"].target.value, curve["all"].others.value) == (0, 1)


def test_tables_have_one_row_for_each(
    model: nn.Module, data: tuple[Tensor, Tensor], modes: Modes
) -> None:
    found = control_curves(model, data, modes, classes=[0, 1], fractions=FRACTIONS)
    assert len(found.to_dataframe("fractions")) == 2 * (1 + 2 * 2)
    rows = found.to_dataframe("classes").to_dict("records")
    assert [(row["class"], row["condition"]) for row in rows] == [
        (f"class {c}", name) for c in (0, 1) for name in ("modes", "random")
    ]
    assert np.isnan(rows[0]["advantage"])
    assert rows[1]["verdict"] in ("better", "worse", "undecided")
    assert list(found.to_dataframe().measure) == ["selectivity", "logit_effect"]


def test_curves_of_other_settings_do_not_stand_side_by_side(
    model: nn.Module, data: tuple[Tensor, Tensor], modes: Modes
) -> None:
    one, other = (
        control_curve(model, data, modes, class_index=1, fractions=FRACTIONS, kind=kind)
        for kind in ("ablate", "preserve")
    )
    with pytest.raises(CodeclensError, match="of 2 different settings"):
        ControlCurves((one, other))
    with pytest.raises(CodeclensError, match="no control curves"):
        ControlCurves(())


def test_results_are_labelled_and_short(
    model: nn.Module, data: tuple[Tensor, Tensor], modes: Modes
) -> None:
    found = control_curves(model, data, modes, fractions=FRACTIONS, trials=2)
    dataset = found.to_xarray()
    assert dataset.sizes == {"class": CLASSES, "condition": 2, "bound": 3, "fraction": 2}
    here = dataset.selectivity.sel({"class": "class 3", "condition": "modes", "bound": "value"})
    assert float(here) == found[3].mode.selectivity.value
    curve = found[3]
    accuracy = curve.to_xarray().target_accuracy.sel(condition="random", bound="low")
    np.testing.assert_array_equal(accuracy, curve["random"].target.low)
    table = curve.to_dataframe()
    assert len(table) == 1 + 2 * 2
    assert set(table.off) == {"0"}
    for result in (found, curve, found.comparisons):
        assert 1 < len(repr(result).splitlines()) <= 20
        assert "<table" in result._repr_html_()
    assert list(found.comparisons.to_xarray().control.values) == ["random"]
    assert "units set to 0" in found.title()
    with pytest.raises(CodeclensError, match='no kind of rows "class"'):
        found.to_dataframe("class")
