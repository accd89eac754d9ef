"""Embeddings: which module of a model receives the token ids, and inputs that move by it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from codeclens.attribution.baselines import Baseline, ByInput, Given, as_baseline
from codeclens.attribution.capture import frozen, same_randomness
from codeclens.attribution.inputs import (
    Batch,
    Inputs,
    Place,
    called,
    fitted,
    moving_places,
    receives,
)
from codeclens.errors import CodeclensError, in_one_line


def moved_inputs(
    model: nn.Module, x: Any, baseline: Baseline, known: Mapping[Place, str] | None = None
) -> Batch:
    """Inputs of which some move along the path, token ids by the vectors of their embedding.

    `known` are the embeddings that were found before. Raises CodeclensError for token ids that no
    `nn.Embedding` receives, or several.

    >>> model = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 2))
    >>> moved_inputs(model, torch.tensor([[3, 1, 4]]), as_baseline(0.0)).words()
    'input 0 moves in the space of the embedding "0"'
    """
    given = Inputs.of(x)
    if isinstance(given, Tensor) or given.moving:
        return given
    moving = moving_places(given, baseline)
    embeddings: dict[Place, str] = {}
    vectors: dict[Place, Tensor] = {}
    for place in moving:
        values = given.values[place]
        if values.is_floating_point():
            continue
        name = (known or {}).get(place)
        embeddings[place] = name if name is not None else _receiver(model, given, place)
        vectors[place] = _vectors(model.get_submodule(embeddings[place]), values)
    return replace(given, moving=frozenset(moving), vectors=vectors, embeddings=embeddings)


def starts_of(model: nn.Module, x: Any, baseline: Any) -> list[Any]:
    """The baseline inputs of a batch, one for each draw of the baseline.

    >>> starts_of(nn.Identity(), torch.ones(2, 3), 0.5)[0].shape
    torch.Size([2, 3])
    """
    given = as_baseline(baseline)
    here = moved_inputs(model, x, given)
    if isinstance(here, Inputs):
        return [here.started(model, given, draw) for draw in range(given.draws)]
    return [fitted(given.at(here, draw), here) for draw in range(given.draws)]


def as_given(start: Batch) -> Baseline:
    """A start of a path, from `starts_of`, as the baseline of its samples.

    >>> as_given(torch.zeros(4, 3))
    Given(shape=(4, 3))
    """
    if isinstance(start, Inputs):
        return ByInput.of({place: Given(moved) for place, moved in start.moved.items()})
    return Given(start)


def _receiver(model: nn.Module, x: Inputs, place: Place) -> str:
    """The name of the embedding that receives the ids."""
    few = x[:2].clone()
    ids = few.values[place]
    # Ids that are handed on as they are, and equal ones: positions may happen to equal the ids.
    handed: dict[str, None] = {}
    equal: dict[str, None] = {}

    def note(name: str, args: Any) -> None:
        if args and receives(args[0], ids):
            same = args[0].untyped_storage().data_ptr() == ids.untyped_storage().data_ptr()
            (handed if same else equal)[name] = None

    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if isinstance(module, nn.Embedding):
                hook = module.register_forward_pre_hook(lambda _m, args, n=name: note(n, args))
                hooks.callback(hook.remove)
        hooks.enter_context(frozen(model))
        hooks.enter_context(same_randomness(model))
        hooks.enter_context(torch.no_grad())
        try:
            called(model, few)
        except CodeclensError:
            raise
        except (
            Exception
        ) as error:  # anything that a forward raises, for example for images of bytes
            if not handed and not equal:
                raise _not_received(place, ids, f" ({in_one_line(error)})") from error
    found = list(handed or equal)
    if len(found) == 1:
        return found[0]
    if not found:
        raise _not_received(place, ids)
    names = ", ".join(f'"{name}"' for name in found)
    raise CodeclensError(
        f"The input {place!r} is {ids.dtype}, and several embeddings receive it ({names}), so the "
        "space of the path is not clear; wrap the model so that it takes vectors of one of them."
    )


def _not_received(place: Place, ids: Tensor, reason: str = "") -> CodeclensError:
    named = f"input {place!r}" if place else "input"
    return CodeclensError(
        f"The {named} is {ids.dtype}; contributions need a floating-point input to follow, or "
        f"token ids that an nn.Embedding of the model receives{reason}. Convert images with "
        ".float()."
    )


def _vectors(embedding: nn.Module, ids: Tensor) -> Tensor:
    # Not by calling the module: hooks of an intervention act when the model runs.
    with torch.no_grad():
        vectors: Tensor = embedding.forward(ids)
    return vectors.detach()
