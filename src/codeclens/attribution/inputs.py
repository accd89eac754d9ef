"""Inputs: what a model is run on, several tensors by place or name, and those that a path moves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from codeclens.attribution.baselines import Baseline, ByInput, EmbeddingBaseline
from codeclens.errors import CodeclensError, unknown

# A positional argument by its number, or a keyword argument by its name.
Place = int | str
Rows = slice | Tensor | Sequence[int]
# Masks in which a truth value marks padding; in an attention mask it marks a token.
_PADDING = ("key_padding_mask", "src_key_padding_mask", "padding_mask")


@dataclass(frozen=True)
class SharedValue:
    """A keyword argument that all samples share, though its first axis is as long as the batch.

    >>> found = Inputs.of(torch.zeros(2, 3), {"bias": SharedValue(torch.ones(2, 2))})
    >>> found[:1].values["bias"].shape
    torch.Size([2, 2])
    """

    value: Any


@dataclass(frozen=True, eq=False, repr=False)
class Inputs:
    """The inputs of a model for a batch: positional ones by number, keyword arguments by name.

    `values` are what the model is called with. Those in `by_sample` are tensors with a row for each
    sample; all others are passed as they are. Those in `added` came as `model_kwargs`. A path moves
    the inputs in `moving`. Token ids move by their `vectors`, which stand for the output of the
    embedding in `embeddings` (a name of a module); the ids themselves stay.

    `Inputs.of` makes them; indexing and `len` are by sample, as those of a tensor.
    """

    values: Mapping[Place, Any]
    by_sample: frozenset[Place]
    added: frozenset[Place] = frozenset()
    moving: frozenset[Place] = frozenset()
    vectors: Mapping[Place, Tensor] = field(default_factory=dict)
    embeddings: Mapping[Place, str] = field(default_factory=dict)

    @staticmethod
    def of(x: Any, model_kwargs: Mapping[str, Any] | None = None) -> Batch:
        """Inputs from a tensor, a tuple of them, or a dict by argument, and keyword arguments.

        A tensor of floating-point numbers alone stays a tensor. Keyword arguments that are tensors
        with as many rows as the batch belong to its samples (`SharedValue` says otherwise). Raises
        CodeclensError for inputs without a tensor and for inputs of different lengths.

        >>> x = Inputs.of((torch.zeros(4, 3), torch.ones(4, 2)), {"scale": 2.0})
        >>> len(x), len(x[:2]), list(x.values)
        (4, 2, [0, 1, 'scale'])
        """
        extra = dict(model_kwargs or {})
        if isinstance(x, Tensor) and not extra and (x.is_floating_point() or x.is_complex()):
            return x
        if isinstance(x, Inputs):
            return x if not extra else x._with(extra)
        return Inputs(*_own(x))._with(extra)

    def _with(self, extra: Mapping[str, Any]) -> Inputs:
        twice = sorted(set(extra) & set(map(str, self.values)))
        if twice:
            raise CodeclensError(
                f'"{twice[0]}" is an input and one of model_kwargs; pass it only once.'
            )
        values: dict[Place, Any] = {
            k: v.value if isinstance(v, SharedValue) else v for k, v in extra.items()
        }
        rows = {
            key
            for key, value in extra.items()
            if isinstance(value, Tensor) and value.ndim and len(value) == len(self)
        }
        return replace(
            self,
            values={**self.values, **values},
            by_sample=self.by_sample | rows,
            added=self.added | set(extra),
        )

    def __len__(self) -> int:
        return len(self._first)

    def __getitem__(self, rows: Rows) -> Inputs:
        return self._changed(lambda tensor: tensor[rows], self.by_sample)

    def __repr__(self) -> str:
        shapes = ", ".join(
            f"{place}: {tuple(value.shape)}" if isinstance(value, Tensor) else f"{place}: {value!r}"
            for place, value in self.values.items()
        )
        return f"Inputs({shapes})"

    @property
    def device(self) -> torch.device:
        """The device of the first tensor."""
        return self._first.device

    @property
    def moved(self) -> dict[Place, Tensor]:
        """What a path moves: floating-point inputs, or the vectors of token ids."""
        return {
            place: self.vectors[place] if place in self.vectors else self.values[place]
            for place in self.values
            if place in self.moving
        }

    @property
    def tokens(self) -> Tensor | None:
        """The token ids `(B, T)`: those that move by vectors, `input_ids`, or the only ones.

        None if there are none, or if it is not clear which they are.
        """
        named = [*self.embeddings, "input_ids"]
        found = [place for place in named if place in self.values] or self.whole_numbers()
        ids = self.values[found[0]] if len(found) == 1 or named[0] in found else None
        return ids if isinstance(ids, Tensor) and ids.ndim == 2 else None

    def whole_numbers(self) -> list[Place]:
        """The places of inputs of whole numbers that did not come as `model_kwargs`."""
        return [
            place
            for place, value in self.values.items()
            if place in self.by_sample - self.added and not _is_floating(value)
            and value.dtype != torch.bool
        ]  # fmt: skip

    @property
    def attended(self) -> Tensor | None:
        """Which tokens are no padding `(B, T)`, by the attention mask; None without one."""
        for place in ("attention_mask", *_PADDING):
            mask = self.values.get(place)
            if place in self.by_sample and isinstance(mask, Tensor) and mask.ndim == 2:
                return mask != 0 if place == "attention_mask" else mask == 0
        return None

    def at_tokens(self, positions: int) -> Tensor:
        """The place of the last tokens in each sample `(B, positions)`, without padding.

        Raises CodeclensError for samples with fewer tokens.

        >>> mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
        >>> x = Inputs.of(torch.zeros(2, 3, dtype=torch.long), {"attention_mask": mask})
        >>> x.at_tokens(2)
        tensor([[0, 1],
                [1, 2]])
        """
        ids, attended = self.tokens, self.attended
        if ids is None and attended is None:
            raise CodeclensError(
                "Which input holds the tokens is not clear; pass the token ids as input_ids, or an "
                "attention_mask."
            )
        if attended is None:
            assert ids is not None
            attended = torch.ones_like(ids, dtype=torch.bool)
        counts = attended.sum(dim=1)
        if (counts < positions).any():
            bad = int((counts < positions).nonzero()[0])
            raise CodeclensError(
                f"Sample {bad} has {int(counts[bad])} tokens without padding, but {positions} are "
                "needed."
            )
        # Real tokens by their place; padding sorts before all of them.
        places = torch.arange(attended.shape[1], device=attended.device)
        return torch.where(attended, places, -1).sort(dim=1).values[:, -positions:]

    @staticmethod
    def joined(parts: Sequence[Inputs]) -> Inputs:
        """Several batches as one; what all samples share is that of the first."""
        first, *_ = parts
        values = {
            place: torch.cat([part.values[place] for part in parts])
            if place in first.by_sample
            else value
            for place, value in first.values.items()
        }
        vectors = {p: torch.cat([part.vectors[p] for part in parts]) for p in first.vectors}
        return replace(first, values=values, vectors=vectors)

    def clone(self) -> Inputs:
        """The same inputs as copies, which a model may change."""
        return self._changed(Tensor.clone)

    def detach(self) -> Inputs:
        """The same inputs without their graph; those of inference mode as copies."""
        return self._changed(plain)

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> Inputs:
        """The same inputs on a device; floating-point ones in a `dtype`, if one is given."""
        return self._changed(
            lambda tensor: tensor.to(device, dtype if tensor.is_floating_point() else None)
        )

    def split(self, size: int) -> list[Inputs]:
        """The samples in batches."""
        return [self[start : start + size] for start in range(0, len(self), size)]

    def repeated(self, copies: int) -> Inputs:
        """So many copies of the batch, one after another."""

        def repeat(tensor: Tensor) -> Tensor:
            return tensor.repeat(copies, *[1] * (tensor.ndim - 1))

        return self._changed(repeat, self.by_sample)

    def with_moved(self, moved: Mapping[Place, Tensor]) -> Inputs:
        """The same inputs with other tensors in place of those that move."""
        vectors = {place: moved.get(place, kept) for place, kept in self.vectors.items()}
        values = {
            place: moved[place] if place in moved and place not in vectors else value
            for place, value in self.values.items()
        }
        return replace(self, values=values, vectors=vectors)

    def words(self) -> str:
        """What moves and what is held fixed, in words: "input_ids moves by its embedding wte".

        >>> x = Inputs.of((torch.zeros(4, 3), torch.ones(4, 2)))
        >>> replace(x, moving=frozenset([0])).words()
        'input 0 moves along the path; input 1 is held fixed'
        """
        named = {
            place: place if isinstance(place, str) else f"input {place}" for place in self.values
        }
        parts = [
            f'{named[place]} moves in the space of the embedding "{self.embeddings[place]}"'
            if place in self.embeddings
            else f"{named[place]} moves along the path"
            for place in self.values
            if place in self.moving
        ]
        fixed = [
            named[place]
            for place, value in self.values.items()
            if isinstance(value, Tensor) and place not in self.moving
        ]
        if fixed:
            verb = "is" if len(fixed) == 1 else "are"
            parts.append(f"{', '.join(fixed)} {verb} held fixed")
        return "; ".join(parts)

    def run(self, model: nn.Module) -> Any:
        """Call the model; what its embedding gives for the token ids are the `vectors`."""
        places = [place for place in self.values if isinstance(place, int)]
        keywords = {k: v for k, v in self.values.items() if isinstance(k, str)}
        with self._embedded(model):
            return model(*[self.values[place] for place in sorted(places)], **keywords)

    @contextmanager
    def _embedded(self, model: nn.Module) -> Iterator[None]:
        thread = threading.get_ident()
        with ExitStack() as hooks:
            for place, name in self.embeddings.items():
                ids, vectors = self.values[place], self.vectors[place]

                def hand(
                    _: Any, args: Any, given: Tensor, ids: Any = ids, vectors: Tensor = vectors
                ) -> Tensor | None:
                    meant = threading.get_ident() == thread and args and receives(args[0], ids)
                    return vectors.reshape(given.shape) if meant else None

                # Before all other hooks: a site at the embedding holds the vectors, too.
                handle = model.get_submodule(name).register_forward_hook(hand, prepend=True)
                hooks.callback(handle.remove)
            yield

    def started(self, model: nn.Module, baseline: Baseline, draw: int = 0) -> Inputs:
        """The inputs at the start of the path; padding does not move.

        Raises CodeclensError for a baseline that does not fit.
        """
        attended = self.attended
        found = {}
        for place, tensor in self.moved.items():
            own = baseline.of_place(place) if isinstance(baseline, ByInput) else baseline
            assert own is not None
            if isinstance(own, EmbeddingBaseline):
                if place not in self.embeddings:
                    raise CodeclensError(
                        f"{own!r} is a baseline of token ids, and the input {place} is "
                        f"{tensor.dtype}; pass a number or a tensor."
                    )
                given = own.vector(model.get_submodule(self.embeddings[place]))
            else:
                given = own.at(tensor, draw)
            start = fitted(given, tensor)
            known = attended is not None and attended.shape == tensor.shape[:2]
            if attended is not None and known and place in self.embeddings:
                start = torch.where(attended[:, :, None], start, tensor)
            found[place] = start
        return self.with_moved(found)

    @property
    def _first(self) -> Tensor:
        first: Tensor = next(v for place, v in self.values.items() if place in self.by_sample)
        return first

    def _changed(
        self, change: Callable[[Tensor], Tensor], places: frozenset[Place] | None = None
    ) -> Inputs:
        values = {
            place: change(value)
            if isinstance(value, Tensor) and (places is None or place in places)
            else value
            for place, value in self.values.items()
        }
        vectors = {place: change(value) for place, value in self.vectors.items()}
        return replace(self, values=values, vectors=vectors)


Batch = Tensor | Inputs


def _own(x: Any) -> tuple[dict[Place, Any], frozenset[Place]]:
    """The inputs themselves by place, and which have a row for each sample."""
    given: dict[Place, Any]
    if isinstance(x, Mapping):
        strange = [key for key in x if not isinstance(key, str)]
        if strange:
            raise CodeclensError(
                f"The input {strange[0]!r} has no name; the keys of a dict of inputs are the names "
                "of the model's arguments."
            )
        given = dict(x)
    else:
        given = dict(enumerate(x)) if isinstance(x, tuple) else {0: x}
    rows = frozenset(key for key, value in given.items() if isinstance(value, Tensor))
    if not rows or (not isinstance(x, Mapping | tuple) and not isinstance(x, Tensor)):
        raise CodeclensError(
            f"The input is a {type(x).__name__}; pass a tensor (torch.as_tensor takes arrays), or "
            "a tuple or dict of tensors."
        )
    lengths = {key: len(given[key]) if given[key].ndim else 0 for key in given if key in rows}
    first = next(iter(lengths))
    for key, length in lengths.items():
        if length != lengths[first]:
            raise CodeclensError(
                f"The input {key!r} has {length} rows and the input {first!r} {lengths[first]}; "
                "pass one row for each sample, and what all samples share in model_kwargs."
            )
    return given, rows


def moving_places(x: Inputs, baseline: Baseline) -> list[Place]:
    """Which inputs a path moves: those with a baseline, or all floating-point ones, or the tokens.

    Keyword arguments move only if the baseline names them. Raises CodeclensError if nothing moves,
    and if several inputs might be the token ids.

    >>> x = Inputs.of((torch.zeros(4, 3), torch.ones(4, 2)))
    >>> moving_places(x, ByInput.of((0.0, None))), moving_places(x, ByInput.of({1: 0.0}))
    ([0], [1])
    """
    if isinstance(baseline, ByInput):
        named = baseline.places()
        for place in named:
            if place not in x.values or not isinstance(x.values[place], Tensor):
                raise unknown("input", place, map(str, x.values), "Among the inputs there is")
        chosen = [place for place, one in named.items() if one is not None]
    else:
        own = x.by_sample - x.added
        chosen = [p for p, value in x.values.items() if p in own and _is_floating(value)]
        if not chosen:
            whole = x.whole_numbers()
            chosen = ["input_ids"] if "input_ids" in whole else whole
            if len(chosen) > 1:
                names = " and ".join(map(repr, chosen))
                raise CodeclensError(
                    f"The inputs {names} hold whole numbers; name the token ids by their baseline, "
                    f"for example baseline={{{chosen[0]!r}: 0.0}}."
                )
    if not chosen and len(x.values) == 1:
        raise CodeclensError(
            f"The input is {next(iter(x.values.values())).dtype}; contributions need a "
            "floating-point input to follow, or token ids of whole numbers."
        )
    if not chosen:
        raise CodeclensError(
            "No input moves along the path: all are held fixed. Give one of them a baseline, for "
            f"example baseline={{{next(iter(x.values))!r}: 0.0}}."
        )
    shared = [place for place in chosen if place not in x.by_sample]
    if shared:
        raise CodeclensError(
            f"The input {shared[0]!r} has no row for each sample, so it cannot move along the "
            "path; leave out its baseline."
        )
    return chosen


def called(model: nn.Module, x: Batch) -> Any:
    """What the model returns for its input or inputs.

    >>> called(nn.Bilinear(3, 2, 5), Inputs.of((torch.zeros(4, 3), torch.ones(4, 2)))).shape
    torch.Size([4, 5])
    """
    return x.run(model) if isinstance(x, Inputs) else model(x)


def between(start: Batch, end: Batch, alpha: float) -> Any:
    """The point `alpha` of the way between two inputs; what does not move is that of `end`."""
    if isinstance(end, Inputs):
        assert isinstance(start, Inputs)
        here = start.moved
        return end.with_moved({p: torch.lerp(here[p], t, alpha) for p, t in end.moved.items()})
    assert isinstance(start, Tensor)
    return torch.lerp(start, end, alpha)


def repeated(x: Batch, copies: int) -> Any:
    """So many copies of a batch, one after another."""
    return x.repeated(copies) if isinstance(x, Inputs) else torch.cat([x] * copies)


def plain(values: Any) -> Any:
    """A batch without its graph; autograd can use it even if it was made in inference mode."""
    if isinstance(values, Inputs):
        return values.detach()
    return values.clone() if values.is_inference() else values.detach()


def leaves_of(x: Batch) -> tuple[Any, list[Tensor]]:
    """The same batch with leaves of a graph in place of what moves, and these leaves."""
    if isinstance(x, Inputs):
        leaves = {place: tensor.detach().requires_grad_() for place, tensor in x.moved.items()}
        return x.with_moved(leaves), list(leaves.values())
    leaf = x.detach().requires_grad_()
    return leaf, [leaf]


def tensors_of(x: Batch) -> list[Tensor]:
    """What moves, as a list of tensors."""
    return list(x.moved.values()) if isinstance(x, Inputs) else [x]


def shape_words(x: Batch) -> str:
    """The shapes of a batch, for a message: "of shape (2, 3), torch.float32 on cpu"."""
    if isinstance(x, Tensor):
        return f"of shape {tuple(x.shape)}, {x.dtype} on {x.device}"
    found = [
        f"{place}: {tuple(value.shape)}, {value.dtype}"
        for place, value in x.values.items()
        if isinstance(value, Tensor)
    ]
    return f"({'; '.join(found)}) on {x.device}"


def receives(given: Any, ids: Tensor) -> bool:
    """Whether a module was given these ids, whatever their shape."""
    if not isinstance(given, Tensor) or given.numel() != ids.numel():
        return False
    if given.untyped_storage().data_ptr() == ids.untyped_storage().data_ptr():
        return True
    return given.device == ids.device and bool((given.reshape(-1) == ids.reshape(-1)).all())


def fitted(given: Tensor, x: Tensor) -> Tensor:
    """A baseline in the shape of the input; raises CodeclensError if it does not fit."""
    start = plain(given)
    try:
        resolved: Tensor = start.to(x).expand_as(x)
    except RuntimeError:
        raise CodeclensError(
            f"The baseline has shape {tuple(start.shape)}, which does not fit inputs of shape "
            f"{tuple(x.shape)}; pass one sample {tuple(x.shape[1:])} or one for each."
        ) from None
    if not torch.isfinite(resolved).all():
        raise CodeclensError("The baseline holds NaN or infinite values.")
    return resolved


def require_usable(x: Batch) -> None:
    """Raise CodeclensError for inputs that cannot be followed: not a batch, NaN, sparse, meta."""
    if isinstance(x, Inputs):
        for tensor in tensors_of(x):
            require_usable(tensor)
        return
    if x.is_meta or x.is_nested or x.layout is not torch.strided:
        kind, advice = (
            ('on the device "meta", without values', "pass real inputs")
            if x.is_meta
            else ("nested", "pass samples of one length, padded, or one length at a time")
            if x.is_nested
            else ("sparse", "pass x.to_dense()")
        )
        raise CodeclensError(f"The input is {kind}; {advice}.")
    if not x.is_floating_point():
        raise CodeclensError(
            f"The input is {x.dtype}; contributions need a floating-point input to follow, or "
            "token ids of whole numbers."
        )
    if x.ndim < 2 or not len(x):
        raise CodeclensError(
            f"The input has shape {tuple(x.shape)}; pass a batch, for example x[None]."
        )
    usable = torch.isfinite(x).flatten(1).all(dim=1)
    if not usable.all():
        bad = (~usable).nonzero().flatten().tolist()
        raise CodeclensError(
            f"The input holds NaN or infinite values in {len(bad)} of {len(x)} samples "
            f"(first: sample {bad[0]}); clean or drop them."
        )


def _is_floating(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
