"""Targets: fixed once, at x, and one number for each sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
from codeclens.attribution import (
    ActivationGradient,
    Attributor,
    BoxScore,
    Conductance,
    Continuation,
    Contrast,
    Entropy,
    Label,
    Output,
    Pixels,
    Positive,
    Predicted,
    Sum,
    Surprisal,
    Target,
    Token,
    TopKSum,
    contributions,
)
from codeclens.attribution.target_forms import described_target, parse_target
from codeclens.attribution.targets import (
    Bound,
    bind,
    target_name,
    target_unit,
    target_words,
)
from codeclens.errors import CodeclensError
from codeclens.extraction.fingerprint import describe

OUTPUT = torch.tensor([[1.0, 4.0, 2.0], [7.0, 3.0, 5.0]])
LATER = torch.tensor([[9.0, 0.5, 1.0], [0.1, 8.0, 2.0]])


@pytest.mark.parametrize(
    ("target", "labels", "expected"),
    [
        (Predicted(), None, [0.5, 0.1]),
        (Label(), torch.tensor([2, 1]), [1.0, 8.0]),
        (Output(2), None, [1.0, 2.0]),
        (Output(-1), None, [1.0, 2.0]),
        (lambda output: output.sum(1), None, [10.5, 10.1]),
    ],
)
def test_a_target_is_the_same_function_of_later_outputs(
    target: Any, labels: Tensor | None, expected: list[float]
) -> None:
    value = bind(target, OUTPUT, labels)(LATER)
    torch.testing.assert_close(value, torch.tensor(expected))


@pytest.mark.parametrize(
    ("target", "labels", "index"),
    [
        (Predicted(of="probabilities"), None, [1, 0]),
        (Label(of="probabilities"), torch.tensor([2, 1], dtype=torch.uint8), [2, 1]),
        (Output(0, of="probabilities"), None, [0, 0]),
    ],
)
def test_on_probabilities(target: Any, labels: Tensor | None, index: list[int]) -> None:
    value = bind(target, OUTPUT, labels)(LATER)
    expected = LATER.softmax(1)[torch.arange(2), index]
    torch.testing.assert_close(value, expected)


def test_gradients_flow_through_the_target() -> None:
    output = LATER.clone().requires_grad_()
    bind(Predicted(), OUTPUT, None)(output).sum().backward()
    assert output.grad is not None
    assert output.grad.nonzero().tolist() == [[0, 1], [1, 0]]


MISTAKES: list[tuple[Any, Any, Any, str]] = [
    (
        Label(),
        OUTPUT,
        None,
        r"The target Label\(\) needs labels; pass labels, or use Predicted\(\)",
    ),
    (
        *(Label(), OUTPUT, torch.tensor([0, 3])),
        r"Label 3 is out of range: the model has 3 classes \(0 to 2\)",
    ),
    (Label(), OUTPUT, torch.tensor([-1, 0]), r"Label -1 is out of range"),
    (
        Label(),
        OUTPUT,
        torch.tensor([0]),
        r"Labels have shape \(1,\) for 2 samples; pass one integer",
    ),
    (
        Label(),
        OUTPUT,
        torch.tensor([0.0, 1.0]),
        r"Labels are torch\.float32; pass one integer class",
    ),
    (
        Label(),
        OUTPUT,
        torch.tensor([True, False]),
        r"Labels are torch\.bool; pass one integer class",
    ),
    (Output(3), OUTPUT, None, r"Output\(3\) is out of range: the model has 3 outputs \(0 to 2\)"),
    (Output(-4), OUTPUT, None, r"Output\(-4\) is out of range"),
    (Predicted(), networks.noise(2, 3, 4), None, r"output has shape \(2, 3, 4\); targets by class"),
    (
        Predicted(),
        networks.noise(2, 3, 4, 5),
        None,
        r"output has shape \(2, 3, 4, 5\); targets by class need",
    ),
    (
        lambda output: output,
        OUTPUT,
        None,
        r"gives \(2, 3\) for an output of shape \(2, 3\); it must",
    ),
    (
        lambda output: 3.0,
        OUTPUT,
        None,
        r"gives float for an output of shape \(2, 3\); it must give",
    ),
    (Predicted, OUTPUT, None, r"Predicted.* is not a target; pass Predicted\(\), Label\(\)"),
    ("predicted", OUTPUT, None, r"'predicted' is not a target; pass Predicted\(\), Label\(\)"),
]


@pytest.mark.parametrize(("target", "output", "labels", "sentence"), MISTAKES)
def test_bad_input_raises_one_sentence(
    target: Any, output: Tensor, labels: Tensor | None, sentence: str
) -> None:
    with pytest.raises(CodeclensError, match=sentence):
        bind(target, output, labels)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Output(1.0), r"Output\(1.0\) names no output"),  # type: ignore[arg-type]
        (lambda: Output([]), r"Output\(\[\]\) names no output"),
        (lambda: Output("espresso"), "names no output"),  # type: ignore[arg-type]
        (lambda: Output([0, True]), "names no output"),
        (lambda: Output(1, of="probability"), 'of is "logits", "probabilities" or'),  # type: ignore
        (lambda: Predicted("log"), r"Predicted\(of='log'\) is not known"),  # type: ignore[arg-type]
        (lambda: Contrast(1, 1), r"Contrast\(1, 1\) is always 0"),
        (lambda: TopKSum(0), r"k of TopKSum \(=0\) must be a whole number at least 1"),
    ],
)
def test_targets_that_mean_nothing_are_refused(make: Any, message: str) -> None:
    with pytest.raises(CodeclensError, match=message):
        make()


class Squared(Target):
    """A target of a user's own, which says nothing about itself."""

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        return lambda output: output.square().sum(dim=1)


CLASSES = ["ant", "bee", "cat"]
WORDS: list[tuple[Any, str, str, str]] = [
    (Predicted(), "the logit of the predicted class", "bee", "logits"),
    (
        *(Predicted("probabilities"), "the probability of the predicted class"),
        *("bee (probability)", "probability"),
    ),
    (Label(), "the logit of the labelled class", "cat", "logits"),
    (Output(-1), 'the logit of "cat"', "cat", "logits"),
    (Output([0, 2]), 'the logit of "ant" + "cat"', "ant + cat", "logits"),
    (Output(2, "probabilities"), 'the probability of "cat"', "cat (probability)", "probability"),
    (TopKSum(2), "the sum of the 2 largest logits", "bee + cat", "logits"),
    (Contrast(), "the largest logit minus the second largest", "bee − cat", "logits"),
    (Contrast(0, 1), 'the logit of "ant" minus that of "bee"', "ant − bee", "logits"),
    (Sum(), "the sum of all outputs", "the sum of all outputs", "logits"),
    (Entropy(), *["the entropy of the predicted probabilities"] * 2, "nats"),
    (Squared(), "the target", "the target", "logits"),
    (lambda output: output[:, 0], "a function of the output", "the target", "units"),
]


@pytest.mark.parametrize(("target", "words", "name", "unit"), WORDS)
def test_a_target_knows_its_words_and_its_unit(
    target: Any, words: str, name: str, unit: str
) -> None:
    assert target_words(target, CLASSES) == words
    assert target_name(target, OUTPUT[:1], CLASSES, torch.tensor([2])) == name
    assert target_unit(target) == unit
    assert target_unit(target, "Hz") == (unit if unit in ("nats", "probability") else "Hz")


def test_a_token_has_the_words_and_the_unit_of_its_target() -> None:
    token = Token(1, Entropy())
    assert token.words() == "the entropy of the predicted probabilities at token 1"
    assert Token(0, Output(2)).name(OUTPUT[None], CLASSES) == "cat at token 0"
    assert token.unit("Hz") == "nats"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("predicted", Predicted("probabilities")),
        ("label", Label("probabilities")),
        ("output:-1", Output(-1, "probabilities")),
        ("output:1,2", Output([1, 2], "probabilities")),
        ("topksum:3", TopKSum(3, "probabilities")),
        ("contrast:1,2", Contrast(1, 2, "probabilities")),
        ("sum", Sum()),
        ("entropy", Entropy()),
        ("token:-1", Token(-1, Predicted("probabilities"))),
        ("token:2,contrast:3,5", Token(2, Contrast(3, 5, "probabilities"))),
        ("continuation:3", Continuation(3)),
        ("positive", Positive("probabilities")),
        ("box:2", BoxScore(2, of="probabilities")),
    ],
)
def test_a_target_is_read_from_text_and_from_its_description(text: str, target: Target) -> None:
    found = parse_target(text, "probabilities")
    assert found == target
    assert described_target(describe(found)) == target


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("top", 'There is no target "top"; the nearest names are '),
        ("surprisal", 'There is no target "surprisal"'),
        ("output", 'The target "output" is not of the form output:INDEX'),
        ("output:one", 'The target "output:one" is not of the form output:INDEX'),
        ("sum:1", 'The target "sum:1" is not of the form sum'),
    ],
)
def test_a_text_that_names_no_target_is_refused(text: str, message: str) -> None:
    with pytest.raises(CodeclensError, match=message):
        parse_target(text)


def test_a_description_gives_words_without_the_values() -> None:
    surprisal = Surprisal(torch.zeros(3), torch.eye(3))
    assert target_words(described_target(describe(surprisal))) == surprisal.words()
    assert described_target(describe(lambda output: output[:, 0])) is None


def test_an_index_may_be_one_of_numpy() -> None:
    found = Output(np.int64(2)).bind(OUTPUT, None)(LATER)  # type: ignore[arg-type]
    torch.testing.assert_close(found, LATER[:, 2])


@pytest.mark.parametrize("labels", [[2, 1], np.array([2, 1]), torch.tensor([2, 1])])
def test_labels_may_be_a_list_or_an_array(labels: Any) -> None:
    model, x = networks.plain_cnn(), networks.noise(2, 3, 12, 12).float()
    attributor = Attributor(model, sites="0", target=Label(), method=ActivationGradient())
    found = attributor(x, labels)
    torch.testing.assert_close(found.target, model.eval()(x)[[0, 1], [2, 1]].detach())


def test_labels_that_are_no_numbers_are_refused() -> None:
    attributor = Attributor(networks.plain_cnn(), sites="0", target=Label())
    with pytest.raises(CodeclensError, match="pass one integer for each sample"):
        attributor(networks.noise(2, 3, 12, 12).float(), ["cat", "dog"])  # type: ignore[list-item]


def test_a_function_is_no_model() -> None:
    with pytest.raises(CodeclensError, match="The model is a function; pass a"):
        Attributor(lambda x: x, sites="0")  # type: ignore[arg-type]


# --- One output, many labels, pixels and boxes ---


def summed(model: nn.Module, x: Tensor, site: str, target: Target, labels: Any = None) -> Tensor:
    """The exact sum of contributions, at one step."""
    method = Conductance(steps=1, nodes="uniform")
    found = contributions(model, x, sites=site, method=method, target=target, labels=labels)
    assert found[site].is_cut
    torch.testing.assert_close(
        found[site].net.sum(1), found.target - found.baseline_target, rtol=1e-10, atol=1e-12
    )
    return found.target


@pytest.mark.parametrize("squeeze", [False, True])
def test_a_single_output_has_two_classes(squeeze: bool) -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 1)).double()
    if squeeze:
        model.append(nn.Flatten(0))
    x = networks.noise(6, 4)
    z = model(x).detach().flatten()
    assert 0 < (z > 0).sum() < 6
    labels, signs = torch.tensor([0, 1, 0, 1, 0, 1]), torch.tensor([-1.0, 1.0] * 3)
    for target, given, expected in (
        (Predicted(), None, z),
        (Output(0), None, z),
        (Sum(), None, z),
        (TopKSum(1), None, z),
        (Label(), labels, z * signs),
        (Label("probabilities"), labels, (z * signs).sigmoid()),
        (Predicted("probabilities"), None, z.abs().sigmoid()),
        (Output(0, "probabilities"), None, z.sigmoid()),
        (Entropy(), None, torch.distributions.Bernoulli(logits=z).entropy()),
    ):
        found = summed(model, x, "1", target, given)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert contributions(model, x, sites="1").prediction.tolist() == (z > 0).long().tolist()
    with pytest.raises(CodeclensError, match=r"Label 2 is out of range: the model has 2 classes"):
        contributions(model, x, sites="1", target=Label(), labels=labels + 1)
    with pytest.raises(CodeclensError, match="two outputs or more"):
        contributions(model, x, sites="1", target=Contrast())
    assert (
        Predicted("probabilities")
        .name(model(x[:1]), ["cat", "dog"])
        .startswith("dog" if z[0] > 0 else "cat")
    )


def test_labels_that_exclude_no_other() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 5)).double()
    x = networks.noise(4, 4)
    z = model(x).detach()
    found = summed(model, x, "1", Output(3, "sigmoid"))
    torch.testing.assert_close(found, z[:, 3].sigmoid())
    found = summed(model, x, "1", Positive())
    torch.testing.assert_close(found, z.relu().sum(1))
    found = summed(model, x, "1", Positive("sigmoid"))
    torch.testing.assert_close(found, (z.sigmoid() * (z > 0)).sum(1))


@pytest.mark.parametrize("channels", [1, 3])
def test_classes_of_pixels(channels: int) -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.GELU(), nn.Conv2d(4, channels, 1)).double()
    x = networks.noise(3, 2, 6, 5)
    z = model(x).detach()
    scores = torch.cat([-z, z], dim=1) if channels == 1 else z
    predicted = scores.argmax(1)
    own = scores.amax(1).flatten(1).mean(1)
    torch.testing.assert_close(summed(model, x, "1", Pixels()), own)
    here = predicted == 1
    mean = (scores[:, 1] * here).flatten(1).sum(1) / here.flatten(1).sum(1).clamp(min=1)
    torch.testing.assert_close(summed(model, x, "1", Pixels(1)), mean)
    mask = torch.zeros(4, 3, dtype=torch.bool)
    mask[1:3] = True
    masked = scores[:, 0, 1:3].flatten(1).mean(1)
    torch.testing.assert_close(summed(model, x, "1", Pixels(0, mask)), masked)
    each = torch.stack([mask, ~mask, mask])
    found = contributions(model, x, sites="1", target=Pixels(0, each)).target
    torch.testing.assert_close(found[::2], masked[::2])
    torch.testing.assert_close(found[1], scores[1, 0][~mask].mean())
    assert contributions(model, x, sites="1", target=Pixels()).prediction.tolist() == [-1] * 3
    with pytest.raises(CodeclensError, match=r"Pixels has shape \(2, 2\); pass one of \(4, 3\)"):
        contributions(model, x, sites="1", target=Pixels(0, mask[:2, :2]))
    with pytest.raises(CodeclensError, match="asks for class 7"):
        contributions(model, x, sites="1", target=Pixels(7))


def test_scores_of_boxes() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 15), nn.Unflatten(1, (5, 3)))
    model.double()
    x = networks.noise(4, 4)
    z = model(x).detach()
    torch.testing.assert_close(summed(model, x, "1", BoxScore()), z.flatten(1).amax(1))
    real = z[:, :, :2].flatten(1).amax(1)
    torch.testing.assert_close(summed(model, x, "1", BoxScore(background=-1)), real)
    torch.testing.assert_close(summed(model, x, "1", BoxScore(1)), z[:, :, 1].amax(1))
    torch.testing.assert_close(summed(model, x, "1", BoxScore(query=2)), z[:, 2].amax(1))
    both = BoxScore(1, 2, of="probabilities")
    torch.testing.assert_close(summed(model, x, "1", both), z.softmax(2)[:, 2, 1])
    with pytest.raises(CodeclensError, match="query of BoxScore"):
        contributions(model, x, sites="1", target=BoxScore(query=5))
