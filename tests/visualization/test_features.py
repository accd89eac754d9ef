"""Feature visualisation: the objective grows and is what it says, and what users get wrong."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from codeclens import ActivationGradient, CodeclensError, Output, contributions, zoo
from codeclens.decomposition import Mode
from codeclens.visualization import Jitter, feature_figure, feature_visualization
from codeclens.visualization.features import FourierPicture
from networks import plain_cnn, residual_cnn, small_vit


def mode(site: str, units: int, seed: int = 0) -> Mode:
    rng = np.random.default_rng(seed)
    positive, negative = rng.gamma(0.5, size=units), -rng.gamma(0.3, size=units)
    return Mode(site, 3, positive, negative, np.ones(4))


CASES = [
    (plain_cnn, "1", 6, (3, 12, 12)),
    (partial(residual_cnn, inplace=True), "layer1.1", 6, (3, 12, 12)),
    (small_vit, "blocks.0", 12, (3, 8, 8)),
]


@pytest.mark.parametrize("objective", ["loading", "contribution", "activation"])
@pytest.mark.parametrize(("build", "site", "units", "shape"), CASES)
def test_what_is_maximised_grows(build, site, units, shape, objective) -> None:
    found = feature_visualization(
        build().float(), mode(site, units), shape=shape, objective=objective, steps=60, mean=0.5
    )
    assert found.after > found.before
    assert found.history[-20:].mean() > found.history[:5].mean()
    assert 0 <= float(found.picture.min()) < float(found.picture.max()) <= 1
    assert torch.equal(found.x[0], found.picture - 0.5)
    assert found.objective == objective
    assert found.feature == "mode 3"


@pytest.mark.parametrize(("build", "site", "units", "shape"), CASES)
def test_objectives_are_contributions_of_the_picture(build, site, units, shape) -> None:
    """Against `contributions` by gradient times activation, and the mode's entries, by hand."""
    model, one = build().double(), mode(site, units)
    x = torch.zeros(1, *shape, dtype=torch.float64)
    strength = np.maximum(one.positive, -one.negative)
    for objective in ("loading", "contribution", "activation"):
        found = feature_visualization(
            model, one, shape=shape, objective=objective, steps=3, target=Output(1)
        )
        here = contributions(
            model, found.x, sites=site, method=ActivationGradient(), target=Output(1)
        )[site]
        if objective == "activation":
            value = float(here.activation[0] @ torch.from_numpy(one.weights))
            value /= float(np.linalg.norm(one.weights))
        else:
            positive, negative = by_hand(model, site, found.x, x)
            if objective == "loading":
                length = math.hypot(np.linalg.norm(one.positive), np.linalg.norm(one.negative))
                value = float(one.positive @ positive + one.negative @ negative) / length
            else:
                value = float(strength @ (positive + negative)) / strength.max()
        assert found.after == pytest.approx(value, rel=1e-9)


def by_hand(model: nn.Module, site: str, x: Tensor, start: Tensor) -> tuple:
    """(a − a0) ∂T/∂a of every place, signs apart, by a plain loop over units and places."""
    kept = []
    handle = model.get_submodule(site).register_forward_hook(lambda *a: kept.append(a[2]))
    try:
        value = model(x)[0, 1]
        model(start)
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(value, kept[0])
    change = ((kept[0] - kept[1]) * gradient).detach()[0]
    change = change.T if change.ndim == 2 else change.flatten(1)
    positive = np.array([sum(max(float(c), 0) for c in unit) for unit in change])
    negative = np.array([sum(min(float(c), 0) for c in unit) for unit in change])
    return positive, negative


def test_the_seed_decides() -> None:
    model = plain_cnn().float()
    state = torch.random.get_rng_state()
    first, again, other = (
        feature_visualization(model, site="1", unit=2, shape=(3, 12, 12), steps=5, seed=seed)
        for seed in (1, 1, 2)
    )
    assert torch.equal(first.picture, again.picture)
    assert np.array_equal(first.history, again.history)
    assert not torch.equal(first.picture, other.picture)
    assert torch.equal(state, torch.random.get_rng_state())


def test_the_model_is_left_as_it_was() -> None:
    model = plain_cnn().float().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    feature_visualization(model, mode("1", 6), shape=(3, 12, 12), steps=3)
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_filter_is_found() -> None:
    """For one linear filter the best picture is known, and most of its response is reached."""
    model = nn.Sequential(nn.Conv2d(1, 1, 16, bias=False))
    rows = torch.linspace(0, 4 * math.pi, 16).sin()
    with torch.no_grad():
        model[0].weight.copy_(rows[None, None, :, None].expand(1, 1, 16, 16))
    still = Jitter(shift=0, angle=0, scale=0)
    found = feature_visualization(
        model, site="0", unit=0, shape=(1, 16, 16), steps=300, jitter=still
    )
    # A picture is at most 1 where the filter is positive and at least 0 elsewhere.
    best = float(model[0].weight.detach().clamp(min=0).sum())
    assert 0.75 * best < found.after < best


def test_the_digits_network_sees_its_digit() -> None:
    """A picture for a class's output is taken for that class, moved as well."""
    ready = zoo.load("digits-resnet")
    (last,) = [name for name, m in ready.model.named_modules() if isinstance(m, nn.Linear)][-1:]
    for digit in (0, 3):
        found = feature_visualization(
            ready.model, site=last, unit=digit, shape=(1, 28, 28), steps=60,
            mean=ready.transform.mean, std=ready.transform.std,
        )  # fmt: skip
        assert int(ready.model(found.x).argmax()) == digit


def test_pictures_begin_grey_and_independent_of_precision() -> None:
    drawn = [
        FourierPicture.drawn((3, 32, 24), torch.Generator().manual_seed(4), dtype=dtype)().detach()
        for dtype in (torch.float32, torch.float64)
    ]
    assert torch.allclose(drawn[0].double(), drawn[1], atol=1e-6)
    assert float(drawn[1].mean()) == pytest.approx(0.5, abs=0.05)
    assert 0.001 < float(drawn[1].std()) < 0.1


def test_a_jitter_turns_and_shifts_without_shearing() -> None:
    """A disc off the centre keeps its area and its distance from the centre when it is turned."""
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(64.0), indexing="ij")
    disc = ((rows - 20).square() + (columns - 42).square() < 25).float()[None, None]
    moved = Jitter(shift=0, angle=40, scale=0)(disc, torch.Generator().manual_seed(1))[0, 0]
    assert not torch.allclose(moved, disc[0, 0])
    assert float(moved.sum()) == pytest.approx(float(disc.sum()), rel=0.03)
    centre = [float((moved * axis).sum() / moved.sum()) for axis in (rows, columns)]
    assert math.hypot(centre[0] - 19.5, centre[1] - 31.5) == pytest.approx(10.5, abs=0.2)
    spread = [
        float((moved * (axis - c).square()).sum() / moved.sum())
        for axis, c in zip((rows, columns), centre, strict=True)
    ]
    assert spread[0] == pytest.approx(spread[1], rel=0.1)


def test_figures_show_every_picture() -> None:
    found = feature_visualization(plain_cnn().float(), site="1", unit=2, shape=(3, 12, 12), steps=2)
    figure = feature_figure([found, found], title="two", captions=["a", "b"])
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == ["a", "b"]
    for given in ([], [found]):
        with pytest.raises(CodeclensError, match="captions"):
            feature_figure(given, captions=["a", "b"] if given else [])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"unit": None}, "exactly one of mode and unit; got neither"),
        ({"mode": mode("1", 6)}, "exactly one of mode and unit; got both"),
        ({"site": None}, "No site was given"),
        ({"site": "*"}, "means .* sites"),
        ({"site": "conv9"}, "conv9"),
        ({"unit": 6}, r"no unit 6 at \"1\": it has 6"),
        ({"unit": None, "mode": mode("3", 8)}, 'found at site "3", not at "1"'),
        ({"unit": None, "mode": mode("1", 7)}, "7 units, but site .* gives 6"),
        ({"objective": "size"}, 'no objective "size"'),
        ({"shape": (12, 12)}, r"\(12, 12\)\) must be \(channels, rows, columns\)"),
        ({"shape": (1, 12, 12)}, r"does not run on a picture of shape \(1, 12, 12\)"),
        ({"steps": 0}, r"steps \(=0\)"),
        ({"learning_rate": math.inf}, r"learning_rate \(=inf\)"),
        ({"mean": (0.1, 0.2)}, "mean has 2 entries for 3 channels"),
        ({"std": 0.0}, "must not be 0"),
        ({"target": lambda _: torch.ones(1), "objective": "loading"}, "does not depend on"),
    ],
)
def test_bad_input_is_reported(changed: dict, message: str) -> None:
    given = {"mode": None, "site": "1", "unit": 0, "shape": (3, 12, 12), "steps": 2} | changed
    with pytest.raises(CodeclensError, match=message):
        feature_visualization(plain_cnn().float(), given.pop("mode"), **given)


def test_a_site_that_is_met_twice_needs_its_call() -> None:
    shared = nn.Conv2d(1, 1, 3, padding=1)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    with pytest.raises(CodeclensError, match=r'reached 2 times .* such as "0#0"'):
        feature_visualization(model, site="0", unit=0, shape=(1, 6, 6), steps=1)
    found = feature_visualization(model, site="0#1", unit=0, shape=(1, 6, 6), steps=1)
    assert found.site == "0#1"


def test_a_site_apart_from_the_input_is_refused() -> None:
    class Apart(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.alone = nn.Linear(2, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.alone(torch.ones(len(x), 2)) + x.mean()

    for objective in ("activation", "loading"):
        with pytest.raises(CodeclensError, match="does not depend on the input"):
            feature_visualization(
                Apart(), site="alone", unit=0, shape=(1, 4, 4), steps=1, objective=objective
            )
