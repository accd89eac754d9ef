"""The check of shapes must itself be able to fail, and must let the package's errors through."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

import shapes

SOURCE = """
from __future__ import annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING
import torch
from jaxtyping import Float
from torch import Tensor
if TYPE_CHECKING:
    from nowhere import Strange

@dataclass(frozen=True)
class Pair:
    left: Float[Tensor, "batch unit"]
    right: Float[Tensor, "batch unit"] | None = None
    strange: Strange | None = None

    def total(self) -> Float[Tensor, "batch"]:
        return self.left.sum(1)

def multiply(a: Float[Tensor, "n k"], b: Float[Tensor, "k m"]) -> Float[Tensor, "n m"]:
    if a.ndim != 2:
        raise ValueError("`a` needs two dimensions")
    return torch.ones(a.shape[0], b.shape[-1])

def parts(x: Float[Tensor, "n"]) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    return x, x[:-1]

def strange(x: Strange) -> Strange:
    return x
"""


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "watched_sample.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    shapes.watch("watched_sample")
    yield importlib.import_module("watched_sample")
    del sys.modules["watched_sample"]


def test_right_shapes_pass(watched: ModuleType) -> None:
    assert watched.multiply(torch.ones(2, 3), torch.ones(3, 4)).shape == (2, 4)
    assert watched.Pair(torch.ones(2, 3), torch.ones(2, 3)).total().tolist() == [3.0, 3.0]
    assert watched.strange("what only type checkers know is left alone")


def test_a_name_means_one_size_throughout_a_call(watched: ModuleType) -> None:
    with pytest.raises(shapes.ShapeError, match=r"watched_sample\.multiply: b is not .*\(4, 4\)"):
        watched.multiply(torch.ones(2, 3), torch.ones(4, 4))


def test_results_are_checked_inside_tuples(watched: ModuleType) -> None:
    with pytest.raises(shapes.ShapeError, match="return"):
        watched.parts(torch.ones(3))


def test_types_are_checked(watched: ModuleType) -> None:
    with pytest.raises(shapes.ShapeError, match="multiply: a"):
        watched.multiply(torch.ones(2, 3, dtype=torch.long), torch.ones(3, 4))


def test_fields_are_checked(watched: ModuleType) -> None:
    with pytest.raises(shapes.ShapeError, match="Pair: right"):
        watched.Pair(torch.ones(2, 3), torch.ones(2, 4))


def test_the_packages_own_error_comes_first(watched: ModuleType) -> None:
    with pytest.raises(ValueError, match="needs two dimensions"):
        watched.multiply(torch.ones(3), torch.ones(3, 4))


def test_the_package_is_watched() -> None:
    split_signs = importlib.import_module("codeclens.attribution").split_signs
    assert split_signs.__wrapped__ is not None
