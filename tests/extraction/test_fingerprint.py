from __future__ import annotations

import functools
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from codeclens.attribution import Conductance, Predicted
from codeclens.extraction.fingerprint import (
    array_digest,
    describe,
    differences,
    model_fingerprint,
    plain,
)


def small() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.1))


def changed(change: object) -> set[str]:
    model = small()
    before = model_fingerprint(model)
    change(model)  # type: ignore[operator]
    after = model_fingerprint(model)
    return {part for part in after if after[part] != before[part]}


def test_equal_models_have_equal_fingerprints() -> None:
    assert model_fingerprint(small()) == model_fingerprint(small())


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("state", lambda m: m[0].weight.data[0, 0, 0, 0].add_(1e-6)),
        ("state", lambda m: m[1].running_mean.add_(1)),
        ("state", lambda m: m[1].num_batches_tracked.add_(1)),
        ("structure", lambda m: m.__setitem__(2, nn.GELU())),
        ("structure", lambda m: m.__setitem__(3, nn.Dropout(0.2))),
    ],
)
def test_every_change_of_a_model_shows(part: str, change: object) -> None:
    assert changed(change) == {part}


def test_mode_and_gradients_are_not_part_of_a_model() -> None:
    assert changed(lambda m: m.eval().requires_grad_(False)) == set()


def test_half_precision_and_scalars_have_digests() -> None:
    model = small().to(torch.bfloat16)
    model.register_buffer("scale", torch.tensor(2.0))
    assert model_fingerprint(model)["state"] != model_fingerprint(small())["state"]


def test_a_digest_does_not_depend_on_memory_layout(rng: np.random.Generator) -> None:
    array = rng.normal(size=(5, 6))
    assert array_digest(array) == array_digest(np.asfortranarray(array))
    assert array_digest(array) == array_digest(torch.from_numpy(array.T.copy()).T)
    assert array_digest(array) != array_digest(array.T)


def test_options_are_described_by_their_fields() -> None:
    assert describe(Conductance(steps=3))["steps"] == 3
    assert describe(Conductance(nodes=(0.0, 0.5, 1.0)))["nodes"] == [0.0, 0.5, 1.0]
    assert describe(Predicted(of="probabilities")) == {"class": "Predicted", "of": "probabilities"}
    assert describe([None, True, 1, 2.5, "a", float("nan")]) == [None, True, 1, 2.5, "a", "nan"]
    assert describe({"b", "a"}) == ["a", "b"]


def test_tensors_are_described_by_their_values() -> None:
    assert describe(torch.zeros(2)) != describe(torch.ones(2))
    assert describe(torch.zeros(2)) != describe(torch.zeros(2, 1))


def test_functions_differ_by_code_and_captured_values() -> None:
    def taking(i: int) -> object:
        return lambda output: output[:, i]

    assert describe(taking(1)) == describe(taking(1))
    assert describe(taking(1)) != describe(taking(2))
    assert describe(lambda output: output + 1) != describe(lambda output: output + 2)
    assert describe(functools.partial(max, 1)) != describe(functools.partial(max, 2))


def test_objects_differ_by_their_contents() -> None:
    class Crop:
        def __init__(self, size: int) -> None:
            self.size = size

    @dataclass
    class Both:
        crop: Crop

    assert describe(Both(Crop(1))) == describe(Both(Crop(1)))
    assert describe(Both(Crop(1))) != describe(Both(Crop(2)))
    assert "0x" not in str(describe(Crop(1)))


def test_a_description_is_the_same_in_another_process() -> None:
    # Sets are ordered by hashes that change from one process to the next.
    code = "found = describe([lambda x: x in {'a', 'b', 'c', 'd'}, {'one', 'two', 'three'}])"
    here: dict[str, object] = {"describe": describe, "__name__": "__main__"}
    exec(code, here)
    lines = ("from codeclens.extraction.fingerprint import describe", code, "print(found)")
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(here["found"])


def test_descriptions_survive_json() -> None:
    described = plain({"shape": (1, 2), 3: None})
    assert described == {"shape": [1, 2], "3": None}
    assert plain(described) == described


def test_differences_name_what_was_added_and_removed() -> None:
    stored = {"method": {"steps": 10, "rule": "left"}, "sites": {"a": 1}}
    asked = {"method": {"steps": 10, "rule": "trapezoid"}, "sites": {"b": 1}}
    assert list(differences(stored, asked)) == [
        ("method.rule", "left", "trapezoid"),
        ("sites.a", 1, None),
        ("sites.b", None, 1),
    ]
    assert list(differences(stored, stored)) == []
