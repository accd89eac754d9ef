"""Explanations: sums are exact, effects are real runs, and bad input is reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
from codeclens import CodeclensError, Conductance, Contrast, Output, explain
from codeclens.attribution import Samples, contributions
from codeclens.attribution.targets import target_name
from codeclens.control import activation_at, keep
from codeclens.decomposition import NMF, PCA, Modes, mode_shares
from codeclens.explanation import Explanation
from codeclens.explanation.explanation_figure import net_map
from codeclens.explanation.sums import Term

METHOD = Conductance(6, nodes="geometric")
CLASSES = ["ant", "bee", "cat", "dog", "eel"]


@lru_cache(maxsize=8)
def setting(kind: str, view: str = "concat") -> tuple[nn.Module, Tensor, dict[str, Modes]]:
    """A network, inputs and the modes of two sites; "concat" by NMF, "sum" by PCA."""
    model, sites = {
        "residual": (networks.residual_cnn(), ["layer1.1", "layer2.0"]),
        "vit": (networks.small_vit(), ["blocks.0", "blocks.1.mlp.act"]),
    }[kind]
    model = model.double()
    x = networks.noise(14, 3, 8, 8)
    found = contributions(model, x, sites=sites, method=METHOD)
    modes = {}
    for site in sites:
        here = found[site]
        given = {"concat": torch.cat([here.positive, -here.negative], 1), "sum": here.net}[view]
        method = (NMF(n_modes=4) if view == "concat" else PCA(n_modes=3)).fit(given.numpy())
        labels = np.arange(len(x)) % 2
        keys = np.array([f"{i}.png" for i in range(len(x))])
        loadings = method.encode(given.numpy())
        modes[site] = Modes(site, view, method, loadings, labels, ("odd", "even"), keys)  # type: ignore[arg-type]
    return model, x, modes


def explained(kind: str = "residual", view: str = "concat", **options: object) -> Explanation:
    model, x, modes = setting(kind, view)
    return explain(model, x[:1], modes, method=METHOD, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["residual", "vit"])
@pytest.mark.parametrize("view", ["concat", "sum"])
def test_modes_and_remainder_sum_to_the_change_of_the_target(kind: str, view: str) -> None:
    model, x, modes = setting(kind, view)
    found = explained(kind, view)
    with torch.no_grad():
        change = model(x[:1]).max() - model(torch.zeros_like(x[:1]))[0, model(x[:1]).argmax()]
    assert found.change == pytest.approx(float(change), rel=1e-12)
    for site, one in found.items():
        total = sum(term.contribution for term in one.terms)
        assert total + one.remainder == pytest.approx(found.change, rel=1e-12)
        assert one.unexplained + one.elsewhere == pytest.approx(one.remainder, abs=1e-12)
        if one.is_cut:
            assert abs(one.elsewhere) < 1e-9 * abs(found.change)
        here = contributions(model, x[:1], sites=site, method=METHOD)[site]
        parts = [v.numpy() for v in (here.positive, here.negative, here.activation)]
        shares = mode_shares(modes[site], *parts, most=99)
        for term in one.terms:
            expected = shares.contribution[0][shares.mode[0] == term.mode]
            assert term.contribution == pytest.approx(float(expected[0]), rel=1e-9, abs=1e-12)
        sizes = [abs(term.effect) for term in one.terms if term.effect is not None]
        assert len(sizes) == len(one.terms)
        assert sizes == sorted(sizes, reverse=True)
    assert {one.is_cut for one in found.values()} == (
        {True} if kind == "residual" else {True, False}
    )


def test_maps_sum_to_what_modes_contribute() -> None:
    found = explained(most=2, maps="pixels")
    for one in found.values():
        assert len(one.mapped) == 2
        for term in one.mapped:
            assert term.pixels is not None
            assert term.pixels.shape == (3, 8, 8)
            total = float(term.pixels.sum())
            assert total == pytest.approx(term.contribution, rel=1e-9, abs=1e-12)
            assert term.places is not None
            assert term.places.shape == (8 // (1 + (one.site == "layer2.0")),) * 2
            assert term.places.sum() == pytest.approx(term.contribution, rel=1e-9, abs=1e-12)
        assert one.terms[2].pixels is None
        assert one.terms[2].places is None


def test_an_effect_is_a_run_without_the_share_of_the_mode() -> None:
    model, x, modes = setting("residual")
    found = explained()
    site = "layer2.0"
    term = found[site].terms[0]
    here = contributions(model, x[:1], sites=site, method=METHOD, reduce=None)[site]
    parts = [v.numpy() for v in (here.positive, here.negative, here.activation)]
    shares = mode_shares(modes[site], *parts, most=99)
    row = int(np.flatnonzero(shares.mode[0] == term.mode)[0])
    plus, minus = (
        torch.from_numpy(v[:1, row, :, None, None]) for v in (shares.positive, shares.negative)
    )
    assert here.full is not None
    share = torch.where(here.full > 0, plus, minus)
    met: list[Tensor] = []
    module = model.get_submodule(site)
    handle = module.register_forward_hook(lambda _m, _i, out: met.append(out.detach().clone()))
    with torch.no_grad():
        before = model(x[:1])[0]
        model(torch.zeros_like(x[:1]))
        handle.remove()
        handle = module.register_forward_hook(lambda _m, _i, out: out - share * (out - met[1]))
        after = model(x[:1])[0]
        handle.remove()
    best = int(before.argmax())
    assert term.effect == pytest.approx(float(before[best] - after[best]), rel=1e-9)
    assert abs(term.effect or 0.0) > 1e-4


def test_the_contrast_of_two_classes_is_the_difference_of_both() -> None:
    both = explained(target=Contrast(1, 3), classes=CLASSES, maps=False, most=9)
    first, second = (explained(target=Output(i), maps=False, most=9) for i in (1, 3))
    assert both.words == "bee − dog"
    assert both.change == pytest.approx(first.change - second.change, rel=1e-9)
    for one in both.values():
        assert one.explained + one.remainder == pytest.approx(both.change, rel=1e-12)
        assert all(term.pixels is None for term in one.terms)


def test_names_and_exemplars_travel_with_the_terms() -> None:
    _, _, modes = setting("residual")
    names = {site: [f"called {k}" for k in range(4)] for site in modes}
    found = explained(maps=False, effects=False, names=names, examples=2)
    for site, one in found.items():
        for term in one.terms:
            assert term.title == f"mode {term.mode} (called {term.mode})"
            best = np.argsort(-modes[site].loadings[:, term.mode], kind="stable")[:2]
            assert [e.sample for e in term.exemplars] == best.tolist()
            assert term.exemplars[0].key == f"{best[0]}.png"
    with pytest.raises(CodeclensError, match="4 modes and 2 names"):
        explained(names={"layer1.1": ["a", "b"]}, maps=False, effects=False)


def test_averaged_baselines_and_modes_of_one_site() -> None:
    model, x, modes = setting("residual")
    baseline = Samples(x[5:8], draws=2)
    one = modes["layer1.1"]
    found = explain(model, x[:1], one, method=METHOD, baseline=baseline, most=2, maps="pixels")
    assert list(found) == ["layer1.1"]
    here = found["layer1.1"]
    assert here.explained + here.remainder == pytest.approx(found.change, rel=1e-12)
    for term in here.mapped:
        assert term.pixels is not None
        total = float(term.pixels.sum())
        # Nodes are shared, and so is the division: the mean of both runs is exact as well.
        assert total == pytest.approx(term.contribution, rel=1e-9)


def test_the_model_is_left_as_it_was() -> None:
    model, _, _ = setting("residual")
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        explained()
        assert model.training
        assert all(p.requires_grad for p in model.parameters())
        assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())
        assert not any(module._forward_hooks for module in model.modules())
    finally:
        model.eval()


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "several": (lambda: explain(*setting("residual")[:2], setting("residual")[2]), "one input"),
    "site": (lambda: explained(sites=["layer9"]), 'no site "layer9"; the nearest names are'),
    "maps": (lambda: explained(maps="channels"), 'no kind of maps "channels"'),
    "none": (lambda: explained(sites=[]), "No site was given"),
    "most": (lambda: explained(most=-1), "most"),
    "half": (lambda: explained(most=2.5), r"most \(=2\.5\)"),
    "examples": (lambda: explained(examples=-1), r"examples \(=-1\)"),
    "called": (lambda: explained(names=["a", "b"]), "names is a list"),
    "text": (lambda: explained(maps=False).save("why.txt"), "page ends in .html"),
    "names": (lambda: explained(classes=["a", "b"]), "2 names of classes for 5 outputs"),
    "network": (
        lambda: explain(
            setting("residual")[0], setting("residual")[1][:1],
            {"layer2.0": replace(setting("residual")[2]["layer1.1"], site="layer2.0")},
            method=METHOD,
        ),
        "of another network",
    ),
    "method": (
        lambda: explain(
            setting("residual")[0], setting("residual")[1][:1], setting("residual")[2],
            method=Conductance(4, "trapezoid"), maps="pixels",
        ),
        "secant",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_reported(case: str) -> None:
    wrong, words = WRONG[case]
    with pytest.raises(CodeclensError, match=words):
        wrong()


def test_targets_are_called_by_their_classes() -> None:
    output = torch.tensor([[0.0, 3.0, 2.0, -1.0, 0.5]])
    assert target_name(Output([0, 4]), output, CLASSES) == "ant + eel"
    assert target_name(Output(-1), output) == "output 4"
    assert target_name(Contrast(), output, CLASSES) == "bee − cat"
    assert target_name(lambda y: y[:, 0], output, CLASSES) == "the target"
    assert target_name(Output(1, of="probabilities"), output, CLASSES) == "bee (probability)"


def test_it_draws_and_writes_itself(tmp_path: Path) -> None:
    found = explained(classes=CLASSES, most=2, maps="pixels")
    figure = found.figure()
    words = " ".join(text.get_text() for text in figure.texts)
    for one in found.values():
        for term in one.terms[:2]:
            for amount in (term.effect, term.contribution):
                assert f"{round(amount or 0.0, 2) + 0.0:+.2f}".replace("-", "−") in words
            assert f"mode {term.mode}" in words
        assert one.site in words
    assert "full colour" in words
    assert "blue opposes it" in words
    assert "measured effect" in words
    assert found.words in words
    written = [*found.save(tmp_path / "a"), *found.save(tmp_path / "page.html")]
    assert [path.name for path in written] == ["a.png", "a.svg", "page.html"]
    page = written[2].read_text(encoding="utf-8")
    held = json.loads(page.partition('id="codeclens-data">')[2].partition("</script>")[0])
    sections = held["document"]["sections"]
    assert len(sections) == len(found)
    for section, one in zip(sections, found.values(), strict=True):
        chart, table, pixels = section["blocks"][1:]
        shown = chart["content"]["terms"]
        parts = [term["contribution"] for term in shown["terms"]]
        total = sum(parts) + shown["unexplained"] + shown["elsewhere"]
        assert total == pytest.approx(one.change, rel=1e-4)
        assert [term["effect"] is not None for term in shown["terms"][:2]] == [True, True]
        assert np.shape(shown["terms"][0]["map"]) == one.terms[0].places.shape
        assert len(table["rows"]) == len(one.terms) + 3
        assert pixels["image"]["at"].startswith("data:image/svg")
    assert chart["content"]["picture"].startswith("data:image/")
    assert "data:image/svg" in found._repr_html_()
    table = found.to_dataframe()
    for site, one in found.items():
        total = table.contribution[table.site == site].sum()
        assert total == pytest.approx(one.change, rel=1e-12)
    text = found.to_csv(tmp_path / "a.csv").read_text()
    assert text.count("\n") == len(table) + 1
    assert len(repr(found).splitlines()) <= 20
    data = found.to_xarray()
    assert float(data.contribution.sum()) == pytest.approx(len(found) * found.change, rel=1e-12)
    assert data["layer1.1"].places.dims == ("mode", "row", "column")
    assert data["layer1.1"].places.shape == (2, 8, 8)


def test_the_largest_measured_effect_leads() -> None:
    found = explained()
    for site, one in found.items():
        first = one.terms[0]
        assert first.effect is not None
        which = "supporting" if first.effect > 0 else "opposing"
        told = f"{site}: the largest {which} measured effect is that of {first.title}: "
        number = f"{round(first.effect, 2) + 0.0:+.2f}".replace("-", "−")
        assert any(line.startswith(told + number) for line in found.sentences())


READINGS = [
    (2.0, 1.5, None, "as contributed"),
    (2.0, 0.5, 1.5, "backup"),
    (2.0, 0.5, 0.2, "saturation"),
    (-2.0, -0.5, -1.5, "backup"),
    (1.0, 2.5, None, "dependence"),
    (1.0, -0.5, None, "opposite"),
    (0.01, -0.02, None, "small"),
    (2.0, None, None, "small"),
]


@pytest.mark.parametrize(("contribution", "effect", "alone", "reading"), READINGS)
def test_why_effect_and_contribution_differ(
    contribution: float, effect: float | None, alone: float | None, reading: str
) -> None:
    term = Term("a", 0, "", contribution, 1.0, effect, alone)
    assert term.reading(4.0) == reading


def test_what_a_mode_makes_alone_is_a_run_with_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model, every, modes = setting("residual")
    x = every[:1]
    monkeypatch.setattr(Term, "reading", lambda *_: "saturation")
    one = explained(maps=False, examples=0, most=1)["layer1.1"]
    term = one.terms[0]
    assert [term.alone is None for term in one.terms] == [False, True, True, True]
    here = contributions(model, x, sites=one.site, method=METHOD, reduce=None)
    start = activation_at(model, here[one.site].site, 0 * x)
    best = int(model(x).argmax())
    with keep(model, modes[one.site], (), here, baseline=start), torch.no_grad():
        off = float(model(x)[0, best])
    with keep(model, modes[one.site], term.mode, here, baseline=start), torch.no_grad():
        on = float(model(x)[0, best])
    assert term.alone == pytest.approx(on - off, rel=1e-9)


def test_the_colours_of_a_pixel_map_sum_to_the_contribution() -> None:
    for one in explained(maps="pixels").values():
        for term in one.mapped:
            for_it, against = net_map(term)
            assert float(for_it.min()) >= 0
            assert float(against.max()) <= 0
            total = float((for_it + against).sum())
            assert total == pytest.approx(term.contribution, rel=1e-9, abs=1e-12)


def test_it_draws_without_maps_effects_or_picture() -> None:
    found = explained(maps=False, effects=False)
    found.picture = None
    words = " ".join(text.get_text() for text in found.figure("layer1.1").texts)
    assert "layer1.1" in words
    assert "layer2.0" not in words
    assert "full colour" not in words
    with pytest.raises(CodeclensError, match="nowhere"):
        found.figure("nowhere")
    with pytest.raises(CodeclensError, match="nothing to draw"):
        found.figure(most=0)
    with pytest.raises(KeyError, match="nowhere"):
        found["nowhere"]


def test_a_network_without_images_is_explained_without_maps() -> None:
    model = networks.plain_mlp().double()
    x = networks.noise(12, *next(model.parameters()).shape[1:])
    found = contributions(model, x, sites="1")["1"]
    nmf = NMF(n_modes=3).fit(found.positive.numpy())
    modes = Modes("1", "positive", nmf, nmf.encode(found.positive.numpy()))
    told = explain(model, x[:1], modes)
    assert told.picture is None
    assert told["1"].mapped == ()
    assert told["1"].explained + told["1"].remainder == pytest.approx(told.change, rel=1e-12)


def test_shares_are_capped_and_the_remainder_is_reported() -> None:
    model, x, modes = setting("residual")
    found = explained()
    told = " ".join(found.sentences())
    for site, one in found.items():
        here = contributions(model, x[:1], sites=site, method=METHOD)[site]
        loadings = modes[site].project(here.positive.numpy(), here.negative.numpy())[0]
        for term in one.terms:
            made = float(loadings[term.mode]) * np.abs(modes[site].dictionary[term.mode]).sum()
            assert abs(term.contribution) <= made * (1 + 1e-5)
        assert abs(one.unexplained) > 1e-4, "these modes are not perfect"
        number = f"{round(one.unexplained, 2) + 0.0:+.2f}".replace("-", "−")
        assert f"the unexplained remainder is {number}" in told


@pytest.mark.parametrize("wrong", [None, []])
def test_modes_of_no_kind(wrong: object) -> None:
    model, x, _ = setting("residual")
    with pytest.raises(CodeclensError, match="pass the modes of one site, or a dict of them"):
        explain(model, x[:1], wrong, method=METHOD)  # type: ignore[arg-type]
