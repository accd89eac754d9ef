"""The benchmarks, at tiny sizes: that they measure what they say, not how fast anything is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import architectures, captum, control, extraction, faithfulness, flow, pixel_maps
from benchmarks.faithfulness import CONTROL_NAMES, DEFAULT, METHODS, Estimate, Faithfulness
from benchmarks.timing import Paired, in_turns
from scipy.stats import spearmanr

import networks
import reference
from codeclens.attribution import ActivationPath, Attributor, Conductance, Label, find_sites
from codeclens.visualization import pixel_map
from codeclens.visualization.canvas import save, styled


def test_ways_are_timed_in_turns_forwards_and_backwards() -> None:
    done: list[str] = []
    ways = [lambda name=name: done.append(name) for name in "abc"]
    times = in_turns(ways, rounds=3)
    assert "".join(done) == "abccbaabc"
    assert [len(taken) for taken in times] == [3, 3, 3]
    assert all(taken >= 0 for way in times for taken in way)


def test_a_ratio_is_the_median_over_pairs() -> None:
    result = Paired([2.0, 9.0, 4.0], [1.0, 3.0, 1.0])
    assert result.ratios == [2, 3, 4]
    assert result.ratio == 3


def test_a_language_model_is_compared_with_captum_and_the_floor() -> None:
    model, shape = architectures.gpt2(layers=2, tokens=4)
    found = architectures.compare(model.eval(), torch.randn(2, *shape), 1, steps=2, captum=True)
    assert list(found) == ["secant / trapezoid", "trapezoid / floor", "Captum / secant"]
    assert all(pair.ratio > 0 for pair in found.values())


def test_captum_and_ours_are_compared_at_the_same_nodes() -> None:
    model, x = networks.residual_cnn().double(), networks.noise(2, 3, 12, 12)
    found = captum.compare(model, x, rounds=1, steps=3, blocks="layer*.*")
    assert list(found.difference) == ["layer1.0", "layer1.1", "layer2.0"]
    assert max(found.difference.values()) < 1e-10
    assert found.same_sum.first == found.default.first
    assert len(found.default.second) == 1


def test_the_floor_runs_every_node_and_leaves_the_model_as_it_was() -> None:
    model, x = networks.residual_cnn(), networks.noise(2, 3, 12, 12, dtype=torch.float32)
    runs: list[int] = []
    handle = model.register_forward_hook(lambda _m, args, _o: runs.append(len(args[0])))
    extraction.floor(model, x, steps=3)
    handle.remove()
    assert runs == [2] * 4
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not model.get_submodule("layer1.0")._forward_hooks


def test_a_sweep_by_replay_is_held_against_full_runs() -> None:
    model, x = networks.residual_cnn(), networks.noise(4, 3, 12, 12, dtype=torch.float32)
    sites = find_sites(model, ["layer1.0", "layer1.1", "fc"])
    first, second, third = control.after(model, sites, x)
    # Of what follows the first block, the second is two convolutions of 6 × 6 × 9 at 144 places.
    all_of = 144 * 9 * (3 * 6 + 4 * 36) + 36 * (9 * (48 + 64) + 48) + 40
    assert first - second == pytest.approx(144 * 9 * 72 / all_of)
    assert third == 0
    found = control.compare("tiny", model, sites[:2], x, batch_size=2, pairs=1)
    assert found.difference == 0.0
    assert found.limit == pytest.approx(19 / (1 + 9 * (first + second)))
    assert 0 < found.expected < found.limit
    assert len(found.times.ratios) == 1


@pytest.mark.slow
def test_places_one_by_one_sum_to_the_maps() -> None:
    model, x = extraction.calibrated_resnet50(32).double(), extraction.images(1, 32).double()
    slow = pixel_maps.PlaceByPlace(model, x)
    positive, negative = slow(4 * 4 * len(pixel_maps.CHANNELS))
    found = pixel_map(model, x, site=pixel_maps.SITE, units=pixel_maps.CHANNELS)
    assert reference.difference(found.positive, positive) < 1e-9
    assert reference.difference(found.negative, negative) < 1e-9


def test_rank_correlation_is_scipys_row_by_row(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(4, 9)), rng.normal(size=(4, 9)).round()
    expected = [spearmanr(*rows).statistic for rows in zip(a, b, strict=True)]
    np.testing.assert_allclose(faithfulness.spearman(a, b), expected, atol=1e-12)
    assert faithfulness.spearman(np.ones((1, 9)), b[:1]) == 0


def test_a_gradient_times_the_change_is_that_of_autograd() -> None:
    model, x = networks.plain_mlp().double(), networks.noise(3, 6)
    start, labels = networks.noise(6, seed=2), torch.tensor([2, 0, 3])
    attributor = Attributor(
        model, sites="1", method=faithfulness.GradientChange(), baseline=start, target=Label()
    )
    hidden = model[:2](x).detach().requires_grad_()
    target = model[2:](hidden).gather(1, labels[:, None]).sum()
    (gradient,) = torch.autograd.grad(target, hidden)
    expected = gradient * (hidden - model[:2](start)).detach()
    assert reference.difference(attributor(x, labels)["1"].net, expected) < 1e-12


def test_where_only_linear_layers_follow_contributions_are_the_effects() -> None:
    # A channel's effect there is its change times its weight, whatever the path.
    model, x = networks.plain_cnn().double(), networks.noise(5, 3, 12, 12)
    methods = {DEFAULT: Conductance(3), "activation path": ActivationPath(1)}
    judged = faithfulness.judge(model, x, ["4", "1"], x[:1], methods)
    assert set(judged.found) == {"baseline", "zero", "halves"}
    for name in methods:
        np.testing.assert_allclose(judged.found["baseline"][name][:, 0], 1)
        np.testing.assert_allclose(judged.found["halves"][name][:, 0], 1)
    assert list(judged.found["zero"]) == [*methods, *CONTROL_NAMES]
    assert all(rho.shape == (5, 2) for rho in judged.found["zero"].values())
    assert np.abs(judged.found["baseline"]["random"]).max() < 1


def test_every_method_can_be_judged(tmp_path: Path) -> None:
    model = networks.residual_cnn()
    x = networks.noise(4, 3, 12, 12, dtype=torch.float32)
    sites = faithfulness.sites_of(model, "layer*.*")
    assert sites == ["layer1.0", "layer1.1"]
    judged = faithfulness.judge(model, x, sites, x[:2])
    assert list(judged.found["baseline"]) == [*METHODS, *CONTROL_NAMES]
    lines = faithfulness.table(judged, "baseline").splitlines()
    assert len(lines) == 2 + len(METHODS) + len(CONTROL_NAMES)
    assert len({line.count("|") for line in lines}) == 1
    with styled():
        (written,) = save(faithfulness.figure(judged, "tiny"), tmp_path / "tiny.svg")
    assert "rank correlation" in written.read_text()


def test_the_sentence_names_the_better_method() -> None:
    default = np.array([[0.5], [0.6], [0.4], [0.5]])
    others = {"better": default + 0.2, "worse": default - 0.3, "like it": default[::-1]}
    found = {DEFAULT: default, **others}
    judged = Faithfulness(["site"], {"zero": found})
    assert faithfulness.sentence(judged, "zero") == (
        "Each channel to zero: the default is ahead of worse; is behind better; "
        "does not differ significantly from like it. Highest: better, +0.70."
    )
    assert faithfulness.lead(judged, "zero", "better").value == pytest.approx(-0.2)


def test_an_interval_holds_its_median_and_narrows_with_images(rng: np.random.Generator) -> None:
    few, many = (Estimate.of(rng.normal(size=count)) for count in (10, 1000))
    for one in (few, many):
        assert one.low <= one.value <= one.high
    assert many.high - many.low < few.high - few.low


@pytest.mark.slow
def test_flow_and_its_rivals_stand_side_by_side(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    few = "--train", "250", "--images", "4", "--interventions", "2", "--pairs", "1"
    flow.main([*few, "--figures", str(tmp_path)])
    said = capsys.readouterr().out
    assert said.count("| blocks.0 → blocks.1 |") == 3
    assert said.count("| blocks.4 → blocks.5 |") == 3
    assert (tmp_path / "flow.svg").exists()
