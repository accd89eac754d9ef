"""Several inputs, keyword arguments and token ids: the path moves some of them, and says which."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import networks
import reference
from codeclens._compat import prepare_torchvision
from codeclens.attribution import (
    AblationEffect,
    ActivationGradient,
    ActivationPath,
    Attributor,
    Captum,
    Conductance,
    Continuation,
    Contrast,
    Given,
    Inputs,
    MeanEmbedding,
    Method,
    Output,
    Replay,
    Samples,
    SharedValue,
    Sum,
    Token,
    TokenEmbedding,
    contributions,
)
from codeclens.attribution.inputs import called
from codeclens.errors import CodeclensError, CompletenessWarning

METHODS: dict[str, Method] = {
    "secant": Conductance(3),
    "trapezoid": Conductance(4, "trapezoid", "uniform"),
    "midpoint": Conductance(3, "midpoint", "uniform"),
    "gradient": ActivationGradient(),
    "path": ActivationPath(3),
    "ablation": AblationEffect(),
}
SHAPES = {0: (5,), 1: (3, 2), 2: (4,)}


def several(samples: int = 4) -> tuple[nn.Module, dict[int, Tensor], Tensor]:
    values = {n: networks.noise(samples, *shape, seed=n) for n, shape in SHAPES.items()}
    mask = (networks.noise(samples, 4, seed=7) > -0.8).double()
    return networks.several_inputs(), values, mask


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=5)
@given(moving=st.sets(st.sampled_from([0, 1, 2]), min_size=1), shift=st.floats(-1, 1))
def test_any_inputs_move_and_the_others_are_fixed(
    name: str, moving: set[int], shift: float
) -> None:
    model, values, mask = several()
    order = sorted(moving)
    fixed: dict[int | str, object] = {n: values[n] for n in values if n not in moving}
    alone = reference.OneInput(
        model, {n: SHAPES[n] for n in order}, fixed | {"mask": mask, "scale": 2.0}
    )
    x = torch.cat([values[n].flatten(1) for n in order], dim=1)
    options: dict[str, Any] = {"sites": "joined", "method": METHODS[name], "target": Output(1)}
    baseline = tuple(shift + n if n in moving else None for n in values)
    found = contributions(
        model,
        tuple(values.values()),
        baseline=baseline,
        model_kwargs={"mask": mask, "scale": 2.0},
        **options,
    )
    start = torch.cat([torch.full_like(values[n].flatten(1), shift + n) for n in order], dim=1)
    expected = contributions(alone, x, baseline=start, **(options | {"sites": "model.joined"}))
    torch.testing.assert_close(found["joined"].net, expected["model.joined"].net)
    torch.testing.assert_close(found.target, expected.target)
    torch.testing.assert_close(found.baseline_target, expected.baseline_target, equal_nan=True)
    words = found.inputs
    for n in values:
        assert f"input {n}" in words
    assert "mask" in words.split(";")[-1]
    if METHODS[name].complete:
        assert expected["model.joined"].is_cut == found["joined"].is_cut


@pytest.mark.filterwarnings("ignore:Too few steps")
def test_the_reference_walks_the_same_path() -> None:
    model, values, mask = several()
    alone = reference.OneInput(model, dict(SHAPES), {"mask": mask})
    x = torch.cat([values[n].flatten(1) for n in values], dim=1)
    nodes = (0.0, 0.3, 1.0)
    expected = reference.conductance(
        alone, x, ["model.joined"], reference.labelled([1] * 4), torch.zeros_like(x), nodes, "left"
    )
    found = contributions(
        model, tuple(values.values()), sites="joined", target=Output(1), reduce=None,
        method=Conductance(rule="left", nodes=nodes), model_kwargs={"mask": mask},
    )  # fmt: skip
    # Few steps miss the change of the target, as the reference does.
    full = found["joined"].full
    assert full is not None
    assert reference.difference(full, expected["model.joined"]) < 1e-12


def test_names_and_places_are_the_same_inputs() -> None:
    model, values, mask = several()
    options: dict[str, Any] = {"sites": "first", "method": Conductance(2), "target": Output(0)}
    kwargs = {"mask": mask}
    place = contributions(model, tuple(values.values()), model_kwargs=kwargs, **options)
    named = dict(zip("abc", values.values(), strict=True))
    by_name = contributions(model, named, model_kwargs=kwargs, **options)
    torch.testing.assert_close(place["first"].net, by_name["first"].net)
    # A keyword argument moves if its baseline is given.
    baseline = dict.fromkeys("abc", 0.0) | {"mask": 0.5}
    moved = contributions(model, named, model_kwargs=kwargs, baseline=baseline, **options)
    assert "mask moves" in moved.inputs
    assert not torch.allclose(moved["first"].net, by_name["first"].net)


def test_portions_and_draws_and_labels() -> None:
    model, values, mask = several(6)
    x = Inputs.of(tuple(values.values()), {"mask": mask})
    draws = Samples(networks.noise(5, 5, seed=3), draws=2)
    options: dict[str, Any] = {
        "sites": ["first", "joined"], "method": Conductance(2), "baseline": (draws, 0.0, None),
    }  # fmt: skip
    whole = Attributor(model, **options).prepared(x)
    found = whole(x)
    parts = whole.replaced().__call__(x[2:5])
    torch.testing.assert_close(found["first"].net[2:5], parts["first"].net)
    few = Attributor(model, at_once=2, **options)
    torch.testing.assert_close(few(x)["first"].net, found["first"].net, atol=1e-3, rtol=1e-2)
    assert found["joined"].completeness.abs().max() < 1e-12


def test_a_tolerance_refines_samples_with_their_own_inputs() -> None:
    model, values, mask = several()
    method = Conductance(2, "trapezoid", "uniform", tolerance=0.01, max_steps=128)
    options: dict[str, Any] = {"sites": "joined", "method": method, "target": Output(1)}
    x = Inputs.of(tuple(values.values()), {"mask": mask})
    attributor = Attributor(model, baseline=(0.0, None, 0.0), **options)
    found = attributor(x)
    assert found.steps is not None
    assert len(set(found.steps.tolist())) > 1
    for row in range(4):
        torch.testing.assert_close(found["joined"].net[row], attributor(x[[row]])["joined"].net[0])


def test_captum_takes_several_inputs() -> None:
    captum = pytest.importorskip("captum.attr")
    model, values, mask = several()
    options: dict[str, Any] = {
        "sites": "joined", "target": Output(2), "baseline": (0.5, None, 0.0),
        "model_kwargs": {"mask": mask},
    }  # fmt: skip
    x = tuple(values.values())
    theirs = contributions(model, x, method=Captum(captum.LayerConductance, n_steps=400), **options)
    ours = contributions(model, x, method=Conductance(400, "trapezoid", "uniform"), **options)
    torch.testing.assert_close(theirs["joined"].net, ours["joined"].net, atol=1e-3, rtol=1e-2)


def tokens() -> tuple[Tensor, Tensor]:
    ids = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 0, 0], [5, 3, 0, 0, 0]])
    return ids, torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0]])


BASELINES: list[Any] = [0.0, "mean", TokenEmbedding(2), MeanEmbedding()]


@pytest.mark.parametrize("positions", [False, True], ids=["rotary", "learned positions"])
@pytest.mark.parametrize("baseline", BASELINES, ids=str)
@pytest.mark.parametrize(
    "target",
    [Token(), Token(target=Output(4)), Token(target=Contrast(4, 2)), Token(0), Continuation(1)],
    ids=lambda target: target.words(),
)
def test_token_ids_work_as_they_are(positions: bool, baseline: Any, target: Any) -> None:
    model = networks.language_model(positions=positions)
    ids, mask = tokens()
    c = contributions(
        model, ids, sites=["embed", "layers.*"], target=target, baseline=baseline, reduce=None,
        method=Conductance(2), model_kwargs={"attention_mask": mask},
    )  # fmt: skip
    assert not c.uncovered
    for site in c.values():
        assert site.is_cut
        assert site.completeness.abs().max() < 1e-13
        assert site.full is not None
        assert site.full.shape == (3, 5, 8)
        # Padding neither moves nor is seen.
        assert site.full[mask == 0].abs().max() == 0
    weight = model.embed.weight.detach()
    start = {0.0: 0 * weight[0], "mean": weight.mean(0), MeanEmbedding(): weight.mean(0)}.get(
        baseline, weight[2]
    )
    vectors = torch.where(mask[:, :, None] == 1, start.expand(3, 5, 8), weight[ids])
    alone = reference.OneInput(
        model, {0: (5, 8)}, {0: ids, "attention_mask": mask}, embedding="embed"
    )
    with torch.no_grad():
        logits = [alone(v.flatten(1)) for v in (weight[ids], vectors)]
    last = mask.sum(1) - 1
    rows = torch.arange(3)

    def value(at: Tensor) -> Tensor:
        if isinstance(target, Continuation):
            return torch.tensor(reference.continuation(at, ids, mask.sum(1).tolist(), 1)).double()
        row = at[rows, 0 if target.position == 0 else last]
        predicted = logits[0][rows, 0 if target.position == 0 else last].argmax(1)
        if isinstance(target.target, Output):
            return row[:, 4]
        return (
            row[:, 4] - row[:, 2] if isinstance(target.target, Contrast) else row[rows, predicted]
        )

    torch.testing.assert_close(c.target, value(logits[0]))
    torch.testing.assert_close(c.baseline_target, value(logits[1]))
    assert c.inputs == (
        'input 0 moves in the space of the embedding "embed"; attention_mask is held fixed'
    )


@pytest.mark.filterwarnings("ignore:Too few steps")
@pytest.mark.parametrize("name", METHODS)
def test_every_method_follows_vectors_of_tokens(name: str) -> None:
    model = networks.language_model()
    ids, mask = tokens()
    options: dict[str, Any] = {"method": METHODS[name], "reduce": None, "target": Sum()}
    found = contributions(
        model, {"input_ids": ids, "attention_mask": mask}, sites="layers.0", **options
    )
    alone = reference.OneInput(
        model, {"input_ids": (5, 8)}, {"input_ids": ids, "attention_mask": mask}, embedding="embed"
    )
    vectors = model.embed.weight.detach()[ids]
    start = torch.where(mask[:, :, None] == 1, 0.0, vectors)
    expected = contributions(
        alone, vectors.flatten(1), sites="model.layers.0", baseline=start.flatten(1), **options
    )
    ours, theirs = found["layers.0"].full, expected["model.layers.0"].full
    assert ours is not None
    assert theirs is not None
    assert reference.difference(ours, theirs) < 1e-10


def test_means_of_activations_leave_out_padding() -> None:
    model = networks.language_model()
    ids, mask = tokens()
    options: dict[str, Any] = {"sites": "layers.1", "target": Token()}
    options["method"] = Conductance(2, nodes="uniform")
    c = contributions(model, ids, model_kwargs={"attention_mask": mask}, **options)
    alone = contributions(model, ids[2:, :2], **options)
    torch.testing.assert_close(c["layers.1"].activation[2:], alone["layers.1"].activation)
    torch.testing.assert_close(c["layers.1"].net[2:], alone["layers.1"].net)
    torch.testing.assert_close(c.target[2:], alone.target)


def test_padding_may_come_first() -> None:
    model = networks.language_model()
    ids = torch.tensor([[0, 0, 7, 8], [1, 2, 3, 4]])
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    c = contributions(
        model, {"input_ids": ids, "attention_mask": mask}, sites="layers.1", method=Conductance(2),
        target=Continuation(1),
    )  # fmt: skip
    chance = model(ids, mask)[0, 2].log_softmax(0)[8]
    torch.testing.assert_close(c.target[0], chance.detach())


def test_tokens_keep_the_model_and_other_threads_as_they_were() -> None:
    model = networks.language_model()
    ids, _ = tokens()
    before = called(model, Inputs.of(ids))
    results: list[Tensor] = []
    running = threading.Event()

    def plain_runs() -> None:
        running.set()
        results.extend(model(ids) for _ in range(20))

    other = threading.Thread(target=plain_runs)
    other.start()
    running.wait()
    contributions(model, ids, sites="layers.0", target=Token(), method=Conductance(8))
    other.join()
    assert all(torch.equal(found, before) for found in results)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_replay_starts_from_token_ids() -> None:
    model = networks.language_model()
    ids, mask = tokens()
    replay = Replay(model, "layers.0", Inputs.of(ids, {"attention_mask": mask}))
    assert replay.shortened
    doubled = replay(torch.cat([replay.activation, 0 * replay.activation]))
    torch.testing.assert_close(doubled[:3], model(ids, mask))


class Holding(nn.Module):
    """A model with one module, which gets all inputs."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.inner(*args, **kwargs)


class Twice(nn.Module):
    """Two embeddings of the same ids."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Embedding(9, 4), nn.Embedding(9, 4)

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = (self.a(ids) * self.b(ids)).sum(1)
        return found


@pytest.mark.parametrize(
    ("model", "x", "options", "sentence"),
    [
        (
            Twice(),
            torch.ones(2, 3).long(),
            {},
            r'several embeddings receive it \("inner.a", "inner.b"\)',
        ),
        (nn.Linear(3, 2), torch.ones(2, 3).long(), {}, "token ids that an nn.Embedding"),
        (nn.Linear(3, 2), torch.ones(2, 3).bool(), {}, "The input is torch.bool"),
        (nn.Identity(), (torch.ones(2, 3), torch.ones(3, 3)), {}, "has 3 rows and the input 0 2"),
        (nn.Identity(), "text", {}, "The input is a str; pass a tensor"),
        (nn.Identity(), {}, {}, "The input is a dict; pass a tensor"),
        (nn.Identity(), {1: torch.ones(2, 3)}, {}, "The input 1 has no name"),
        (nn.Bilinear(3, 3, 2), (torch.ones(2, 3),) * 2, {"baseline": (None, None)}, "No input"),
        (
            *(nn.Bilinear(3, 3, 2), (torch.ones(2, 3),) * 2, {"baseline": {"image": 0}}),
            'Among the inputs there is no input "image"',
        ),
        (
            *(nn.Bilinear(3, 3, 2), (torch.ones(2, 3),) * 2),
            {"baseline": (TokenEmbedding(1), None)},
            r"TokenEmbedding\(token=1\) is a baseline of token ids, and the input 0 is",
        ),
        (nn.Linear(3, 2), torch.ones(2, 3), {"baseline": "mean"}, "baseline of token ids"),
        (nn.Linear(3, 2), torch.ones(2, 3), {"baseline": {"a": 0.0, "b": 0}}, "there is one input"),
        (
            *(nn.Linear(3, 2), {"input": torch.ones(2, 3)}, {"model_kwargs": {"input": 1}}),
            '"input" is an input and one of model_kwargs',
        ),
        (
            networks.language_model().float(),
            torch.ones(2, 3).long(),
            {"baseline": TokenEmbedding(11)},
            r"token .* must be a whole number at least 0 and at most 10",
        ),
        (
            networks.language_model().float(),
            torch.ones(2, 3).long(),
            {"target": Continuation(3)},
            "Sample 0 has 3 tokens without padding, but 4 are needed",
        ),
    ],
)
def test_mistakes_are_one_sentence(
    model: nn.Module, x: Any, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(CodeclensError, match=sentence):
        contributions(Holding(model), x, sites="inner", **{"target": Sum(), **options})


def test_what_samples_share_is_passed_as_it_is() -> None:
    x = Inputs.of(
        torch.zeros(4, 3), {"a": torch.ones(4, 4), "b": SharedValue(torch.ones(4, 4)), "c": 1}
    )
    assert isinstance(x, Inputs)
    assert x[:2].values["a"].shape == (2, 4)
    assert x[:2].values["b"].shape == (4, 4)
    assert x.repeated(3).values["a"].shape == (12, 4)
    assert x.repeated(3).values["b"].shape == (4, 4)
    assert len(x.split(3)[-1]) == 1


def test_one_tensor_stays_one_tensor() -> None:
    x = torch.zeros(4, 3)
    assert Inputs.of(x) is x
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    numbers = contributions(
        model, x + 1, sites="1", baseline=(0.0, 1.0, 2.0), method=Conductance(2)
    )
    tensor = contributions(
        model,
        x + 1,
        sites="1",
        baseline=Given(torch.tensor([0.0, 1.0, 2.0])),
        method=Conductance(2),
    )
    torch.testing.assert_close(numbers["1"].net, tensor["1"].net)
    assert numbers.inputs == ""


@pytest.mark.parametrize("name", ["GPT2LMHeadModel", "BertForMaskedLM", "LlamaForCausalLM"])
def test_transformers_need_no_wrapper(name: str) -> None:
    transformers = pytest.importorskip("transformers")
    prepare_torchvision()
    sizes: dict[str, Any] = {"vocab_size": 40, "hidden_size": 16, "num_attention_heads": 2,
                             "num_hidden_layers": 2}  # fmt: skip
    if name == "GPT2LMHeadModel":
        config = transformers.GPT2Config(
            vocab_size=40, n_embd=16, n_head=2, n_layer=2, n_positions=16,
            bos_token_id=0, eos_token_id=0,
        )  # fmt: skip
    elif name == "BertForMaskedLM":
        config = transformers.BertConfig(intermediate_size=32, **sizes)
    else:
        config = transformers.LlamaConfig(intermediate_size=32, num_key_value_heads=1, **sizes)
    model = networks.seeded(lambda: getattr(transformers, name)(config)).double()
    ids, mask = tokens()
    # Llama computes its norms in float32, whatever the model's precision.
    llama = name.startswith("Llama")
    with pytest.warns(CompletenessWarning, match="cast to float32") if llama else nullcontext():
        c = contributions(
            model, ids, sites="@blocks", target=Token(), baseline="mean", method=Conductance(2),
            model_kwargs={"attention_mask": mask},
        )  # fmt: skip
    assert len(c) == 2
    for site in c.values():
        size = (site.positive - site.negative).sum(1)
        assert (site.completeness.abs() / size).max() < (1e-6 if llama else 1e-13)
    with torch.no_grad():
        logits = model(ids, attention_mask=mask).logits
    last = logits[torch.arange(3), mask.sum(1) - 1]
    torch.testing.assert_close(c.target, last.max(1).values)
