"""A small language model from training to the removal of a mode, on token ids as they are."""

from __future__ import annotations

import numpy as np
import torch

import codeclens as cl
import networks
from codeclens.attribution import Continuation, Inputs
from codeclens.control import necessity, outputs_under

# Which word comes last depends on the animal and on what it does.
WANTS = {"cat": ("milk", "fish"), "dog": ("water", "bones"), "bird": ("dew", "seeds")}
LINES = [
    f"the {animal} {verb} to {act} {food}"
    for animal, foods in WANTS.items()
    for verb in ("likes", "wants")
    for act, food in zip(("drink", "eat"), foods, strict=True)
]


def trained() -> tuple[torch.nn.Module, torch.Tensor, list[str]]:
    words = sorted({word for line in LINES for word in line.split()})
    ids = torch.tensor([[words.index(word) for word in line.split()] for line in LINES])
    model = networks.seeded(lambda: networks.SmallLanguageModel(words=len(words), features=16))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        logits = model(ids)[:, :-1].flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits, ids[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model, ids, words


def test_modes_of_a_language_model_are_found_and_removed() -> None:
    model, ids, words = trained()
    prompt = ids[:, :-1]
    last = [words[int(token)] for token in model(prompt)[:, -1].argmax(dim=1)]
    assert last == [line.split()[-1] for line in LINES]
    found = cl.contributions(model, prompt, sites="layers.0", target=cl.Token(), baseline="mean")
    site = found["layers.0"]
    assert (site.completeness.abs() / (site.positive - site.negative).sum(1)).max() < 1e-5
    concat = torch.cat([site.positive, -site.negative], dim=1)
    nmf = cl.NMF(n_modes=2).fit(concat)
    codes = nmf.encode(concat)
    modes = cl.Modes("layers.0", "concat", nmf, codes)
    before = model(prompt)[:, -1].softmax(dim=1)
    with cl.ablate(model, modes[0], fraction=0.25):
        after = model(prompt)[:, -1].softmax(dim=1)
    target = before.argmax(dim=1)
    rows = torch.arange(len(ids))
    assert (before - after)[rows, target].abs().max() > 0.05
    assert torch.equal(model(prompt)[:, -1].softmax(dim=1), before)
    measured = necessity(
        model, Inputs.of(prompt), modes, target=cl.Token(), baseline="mean", resamples=50
    )
    assert np.isfinite(measured.removed.effect).all()


def test_explanations_sum_to_the_log_probability_of_the_last_word() -> None:
    model, ids, _ = trained()
    target = Continuation(1)
    site = cl.contributions(model, ids, sites="layers.1", target=target)["layers.1"]
    nmf = cl.NMF(n_modes=2).fit(site.positive)
    modes = cl.Modes("layers.1", "positive", nmf, nmf.encode(site.positive))
    explained = cl.explain(model, ids[:1], modes, target=target, effects=True)
    one = explained["layers.1"]
    total = sum(term.contribution for term in one.terms) + one.remainder
    assert abs(total - (explained.target - explained.baseline_target)) < 1e-4
    chances = model(ids)[0, -2].log_softmax(dim=0)
    assert abs(explained.target - float(chances[ids[0, -1]].detach())) < 1e-5
    # Sweeps replay what follows a site from the same token ids.
    assert np.array_equal(outputs_under(model, ids, [])[0], model(ids).detach().numpy())
