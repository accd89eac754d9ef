"""Necessity on linear networks, where prediction is exact, and on such that saturate or back up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from codeclens.attribution import ActivationGradient, Label, Output
from codeclens.control import covering, necessity
from codeclens.control.edits import Intervention
from codeclens.control.effects import effects_of
from codeclens.control.removal import Acting, strongest
from codeclens.decomposition import NMF, KMeans, Mode, Modes
from codeclens.errors import CodeclensError

UNITS = 4


class Head(nn.Module):
    """What a function makes of the units, as the first of two outputs."""

    def __init__(self, function) -> None:
        super().__init__()
        self.site, self.function = nn.Identity(), function

    def forward(self, x: Tensor) -> Tensor:
        value = self.function(self.site(x))
        return torch.stack([value, torch.zeros_like(value)], dim=1)


@pytest.fixture
def x(generator: torch.Generator) -> Tensor:
    """Images in which one unit alone is on."""
    values = torch.zeros(40, UNITS)
    rows = torch.arange(40)
    values[rows, rows % UNITS] = 1.0 + torch.rand(40, generator=generator)
    return values


class Units:
    """One mode for each unit: loadings are its contributions."""

    def __init__(self) -> None:
        self.dictionary = np.eye(UNITS, dtype=np.float32)

    def encode(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(X, np.float32)

    def decode(self, Z: np.ndarray) -> np.ndarray:
        return np.asarray(Z, np.float32)


def modes() -> Modes:
    return Modes("site", "sum", Units(), np.zeros((0, UNITS), np.float32))


SETTINGS = {"target": Output(0), "method": ActivationGradient()}


@pytest.mark.parametrize("acting", [None, covering()])
def test_in_a_linear_network_the_prediction_is_right(x: Tensor, acting: Acting | None) -> None:
    weights = torch.tensor([3.0, 2.0, 1.0, 0.5])
    found = necessity(Head(lambda a: a @ weights), x, modes(), acting=acting, **SETTINGS)
    np.testing.assert_allclose(found.removed.effect, -(x * weights).numpy(), atol=1e-5)
    np.testing.assert_allclose(found.removed.prediction, found.removed.effect, atol=1e-5)
    np.testing.assert_allclose(found.alone.effect, found.alone.prediction, atol=1e-5)
    if acting is None:
        assert np.isnan(found.channels).all()  # no unit is taken out as a whole
    else:
        np.testing.assert_allclose(found.channels, found.removed.effect, atol=1e-5)
    assert {found.reading(place) for place in range(UNITS)} == {"necessary and sufficient"}
    assert found.removed.slope.value == pytest.approx(1)
    assert found.removed.correlation.value == pytest.approx(1)
    text = " ".join(found.sentences())
    assert "no mode whose measured effect clearly differs from prediction" in text
    assert found.unit_counts.tolist() == [UNITS if acting is None else 1] * UNITS


def test_exactly_a_share_of_each_unit_is_taken() -> None:
    """Two modes share all units; where they make less than there is, the rest stays."""
    x = torch.rand(30, UNITS, generator=torch.Generator().manual_seed(0)) + 0.2
    method = NMF(n_modes=2).fit(x.numpy())
    found = necessity(
        Head(lambda a: a.sum(dim=1)),
        x,
        Modes("site", "sum", method, method.encode(x.numpy())),
        **SETTINGS,
    )
    Z, D = method.encode(x.numpy()), method.dictionary
    share = Z[:, :, None] * D / np.maximum(Z @ D, x.numpy())[:, None, :]
    np.testing.assert_allclose(
        found.removed.effect, -(share * x.numpy()[:, None, :]).sum(axis=2), rtol=1e-4
    )
    np.testing.assert_allclose(found.removed.effect, -found.alone.effect, rtol=1e-4)


def test_backup_makes_modes_sufficient_but_not_necessary(generator: torch.Generator) -> None:
    """Two units say the same, and the larger one counts."""
    x = torch.rand(60, 1, generator=generator).repeat(1, UNITS) + 0.5
    # The gradient of a maximum is shared by equal ones: each contributes a quarter.
    found = necessity(Head(lambda a: a.amax(dim=1)), x, modes(), **SETTINGS)
    np.testing.assert_allclose(found.removed.prediction, -x.numpy() / UNITS, atol=1e-5)
    np.testing.assert_allclose(found.removed.effect, 0, atol=1e-6)
    assert found.removed.verdict(0) == "less"
    assert found.alone.verdict(0) == "more"
    assert found.reading(0) == "sufficient but not necessary: other modes compensate for it"
    text = " ".join(found.sentences())
    assert "Of 4 modes, 4: sufficient but not necessary: other modes compensate for it." in text
    assert "Mode 0 does less than half of what its contributions predict" in text


def test_units_that_act_only_together_are_necessary_but_not_sufficient(
    generator: torch.Generator,
) -> None:
    x = torch.rand(60, UNITS, generator=generator) + 0.5
    found = necessity(Head(lambda a: a.prod(dim=1)), x, modes(), **SETTINGS)
    assert found.reading(2) == "necessary but not sufficient: it acts only with others"


def test_the_intervention_can_be_swapped(x: Tensor) -> None:
    """Half of a unit is taken away, by somebody else's intervention."""
    asked = []

    def half(found_modes, which, found, kind) -> Intervention:
        asked.append((which, kind, found.positive.shape))
        return Intervention(found.site, "ablate", which, value=0.0, units=found_modes.n_units)

    weights = torch.ones(UNITS)
    necessity(Head(lambda a: a @ weights), x, modes(), acting=half, chosen=[1, 3], **SETTINGS)
    shape = torch.Size([40, UNITS])
    assert asked == [
        ((1,), "ablate", shape), ((3,), "ablate", shape),
        ((1,), "preserve", shape), ((3,), "preserve", shape), ((), "preserve", shape),
    ]  # fmt: skip


def test_labels_are_targets_too(x: Tensor) -> None:
    model = Head(lambda a: a.sum(dim=1))
    labels = torch.zeros(40, dtype=torch.long)
    settings = {**SETTINGS, "target": Label()}
    found = necessity(model, (x, labels), modes(), **settings)
    np.testing.assert_allclose(found.removed.effect, -x.numpy(), atol=1e-5)
    with pytest.raises(CodeclensError, match="needs labels"):
        necessity(model, x, modes(), **settings)


def test_tables_hold_one_row_for_each_mode(x: Tensor) -> None:
    found = necessity(
        Head(lambda a: a.sum(dim=1)), x, modes(), chosen=[2], acting=covering(), **SETTINGS
    )
    (row,) = found.to_dataframe().to_dict("records")
    assert (row["mode"], row["units"], row["images"]) == (2, 1, 10)
    mean = -x[2::UNITS, 2].mean().item()
    assert row["removed_predicted"] == pytest.approx(mean)
    assert row["removed_measured"] == pytest.approx(mean)
    assert row["channels_predicted"] == pytest.approx(mean)
    assert row["alone_measured"] == pytest.approx(-mean)
    assert row["removed_verdict"] == "as predicted"


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=9), st.floats(0.01, 1))
def test_the_strongest_units_hold_the_share_and_fewer_do_not(
    entries: list[float], share: float
) -> None:
    values = np.array(entries)
    mode = Mode("s", 0, values, np.zeros(len(values)), np.ones(1))
    chosen = strongest(mode, share)
    assert values[list(chosen)].sum() >= share * values.sum() * (1 - 1e-6)
    assert values[list(chosen[:-1])].sum() < share * values.sum()


def test_bad_input_is_reported(x: Tensor) -> None:
    with pytest.raises(CodeclensError, match=r"share \(=0\)"):
        covering(0)
    X = x.numpy()
    method = KMeans(n_modes=2).fit(X)
    activation = Modes("site", "activation", method, method.encode(X))
    with pytest.raises(CodeclensError, match="predicts no change"):
        necessity(Head(lambda a: a.sum(dim=1)), x, activation)
    with pytest.raises(CodeclensError, match="no mode 7"):
        necessity(Head(lambda a: a.sum(dim=1)), x, modes(), chosen=[7], **SETTINGS)
    with pytest.raises(CodeclensError, match=r"No mode .* is active in 40 images"):
        necessity(Head(lambda a: a.sum(dim=1) * 0), x, modes(), **SETTINGS)


@pytest.mark.parametrize(
    ("ratio", "noise", "verdict"),
    [
        (1.0, 0.1, "as predicted"), (0.2, 0.1, "less"), (5.0, 0.1, "more"),
        (-1.0, 0.1, "opposite"), (1.0, 30.0, "undecided"),
    ],
)  # fmt: skip
def test_verdicts_by_where_the_ratio_lies(
    rng: np.random.Generator, ratio: float, noise: float, verdict: str
) -> None:
    prediction = -1 - rng.random((100, 1))
    effect = ratio * prediction + noise * rng.normal(size=(100, 1))
    assert effects_of(prediction, effect, prediction < 0).verdict(0) == verdict


def test_few_images_decide_nothing() -> None:
    ones = np.ones((9, 1))
    for count, verdict in ((4, "undecided"), (5, "as predicted")):
        present = np.arange(9)[:, None] < count
        # Draws that miss all of these have no mean, and are left out.
        assert effects_of(-ones, -ones, present).verdict(0) == verdict


def test_absent_samples_do_not_count(rng: np.random.Generator) -> None:
    prediction, effect = rng.normal(size=(2, 50, 3))
    present = rng.random((50, 3)) < 0.5
    present[:, 2] = False
    effects = effects_of(prediction, effect, present)
    for place in (0, 1):
        there = present[:, place]
        assert effects.predicted(place) == pytest.approx(prediction[there, place].mean())
        assert effects.measured(place).value == pytest.approx(effect[there, place].mean())
    assert np.isnan(effects.predicted(2))
    assert effects.verdict(2) == "undecided"


def test_nothing_to_measure_is_reported(x: Tensor) -> None:
    model = Head(lambda a: a.sum(dim=1))
    with pytest.raises(CodeclensError, match="There are no images"):
        necessity(model, x[:0], modes(), **SETTINGS)
    with pytest.raises(CodeclensError, match="chosen names no mode"):
        necessity(model, x, modes(), chosen=[], **SETTINGS)


def test_necessity_and_effects_are_labelled_and_short(x: Tensor) -> None:
    found = necessity(Head(lambda a: a.sum(dim=1)), x, modes(), **SETTINGS)
    dataset = found.to_xarray()
    assert dataset.sizes == {"sample": 40, "mode": UNITS}
    np.testing.assert_array_equal(dataset.removed_predicted, found.removed.prediction)
    np.testing.assert_array_equal(dataset.alone_measured, found.alone.effect)
    assert dataset["name"].values.tolist() == list(found.names)
    table = found.removed.to_dataframe()
    assert table.change_predicted.tolist() == [found.removed.predicted(k) for k in range(UNITS)]
    for result in (found, found.removed):
        assert 1 < len(repr(result).splitlines()) <= 20
        assert "<table" in result._repr_html_()
