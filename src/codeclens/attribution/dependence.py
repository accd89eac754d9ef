"""Dependence: which sites the output of a model depends on, with a gradient or without one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from codeclens.attribution.secant.apart import MAKERS
from codeclens.attribution.secant.arguments import plain, tensors
from codeclens.attribution.secant.mode import RULES

# They take no more of their second tensor than its shape or type.
_LIKE_ANOTHER = {"to", "type_as", "expand_as", "view_as", "reshape_as"}
_APPLY = torch.autograd.Function.apply.__func__.__code__  # type: ignore[attr-defined]
# All sites, for a tensor that does not depend on the input: there is no way around any site.
_ALL = -1


class Mark(NamedTuple):
    """What a tensor depends on. Sites are bits, by the order in which they were met.

    Every way from the input passes the sites in `always`, and every interrupted way those in
    `interrupted`. The tensor depends on `sites`, and on `lost`, the interruptions behind a site.
    """

    always: int = _ALL
    interrupted: int = _ALL
    sites: int = 0
    lost: int = 0

    def joined(self, other: Mark) -> Mark:
        """The mark of what depends on both."""
        return Mark(
            self.always & other.always,
            self.interrupted & other.interrupted,
            self.sites | other.sites,
            self.lost | other.lost,
        )

    def choice(self) -> Mark:
        """The mark of a number or mask: what it chooses brings its own ways from the input."""
        return Mark(sites=self.sites, lost=self.lost)


class Dependence(TorchFunctionMode):
    """While active, follows every tensor from the input and from the sites of a model.

    Where an operation takes tensors with a gradient and gives one without, the way is interrupted:
    what follows still reaches the output, but no gradient comes back.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.lowest: torch.dtype | None = None
        # Nodes of operations without a derivative that have a secant rule.
        self.ruled: set[Any] = set()
        self._names = {id(module): name for name, module in model.named_modules()}
        self._marks: WeakIdKeyDictionary = WeakIdKeyDictionary()
        # For each bit of `Mark.lost` a site and the interruption behind it, in words.
        self._interruptions: list[tuple[int, str]] = []

    def begin(self, start: Tensor) -> None:
        """Mark the input."""
        self._marks[start] = Mark(always=0)

    def passed(self, site: int, tensor: Tensor, copy: Tensor) -> None:
        """Mark the `copy` of a site's `tensor`, with which the model continues."""
        found, bit = self._of([tensor]), 1 << site
        self._marks[copy] = Mark(
            found.always | bit, found.interrupted | bit, found.sites | bit, found.lost
        )

    def reaches(self, site: int, result: Tensor) -> bool:
        """Whether the result depends on a site in any way, also by a choice."""
        return bool(self._of([result]).sites >> site & 1)

    def passes_around(self, site: int, result: Tensor) -> bool:
        """Whether an interrupted way leads from the input around a site to the result."""
        return not self._of([result]).interrupted >> site & 1

    def interruptions(self, site: int, result: Tensor) -> set[str]:
        """The interruptions between a site and the result, in words."""
        lost = self._of([result]).lost
        found = enumerate(self._interruptions)
        return {words for number, (at, words) in found if at == site and lost >> number & 1}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        values = [*args[: 1 if name in _LIKE_ANOTHER else None], *kwargs.values()]
        # Before the operation, which may write into its arguments.
        given = [tensor for tensor in tensors(values) if tensor in self._marks]
        mark, with_gradient = self._of(given), [t for t in given if t.requires_grad]
        result = func(*args, **kwargs)
        if given and name not in MAKERS:
            for tensor in tensors(result, *_written(name, args)):
                self._note(name, mark, with_gradient, tensor)
                node = tensor.grad_fn
                if node is None or any(node is one.grad_fn for one in given):
                    continue
                if "NotImplemented" in node.name() and plain(name) in RULES:
                    self.ruled.add(node)
        return result

    def _note(self, name: str, mark: Mark, with_gradient: list[Tensor], made: Tensor) -> None:
        if not (made.is_floating_point() or made.is_complex()):
            mark = mark.choice()
        else:
            self._note_precision(made.dtype)
            if with_gradient and not made.requires_grad:
                mark = self._interrupted(name, mark, self._of(with_gradient))
        for each in (made, made._base):
            if each is not None:
                self._marks[each] = self._of([each]).joined(mark)

    def _note_precision(self, dtype: torch.dtype) -> None:
        if self.lowest is None or torch.finfo(dtype).eps > torch.finfo(self.lowest).eps:
            self.lowest = dtype

    def _interrupted(self, name: str, mark: Mark, before: Mark) -> Mark:
        """The mark of a tensor that has lost the gradient of what it depended on `before`."""
        inside, where = self._place()
        if inside:
            # What an autograd.Function computes has no gradient, but what it returns has one.
            return mark
        words = f"{_reason(name)} in {where}"
        lost = mark.lost
        for site in range(before.sites.bit_length()):
            if before.sites >> site & 1:
                if (site, words) not in self._interruptions:
                    self._interruptions.append((site, words))
                lost |= 1 << self._interruptions.index((site, words))
        return mark._replace(interrupted=mark.interrupted & before.always, lost=lost)

    def _place(self) -> tuple[bool, str]:
        """Whether an autograd.Function is running, and the innermost module that runs."""
        frame: Any = sys._getframe(1)
        inside = False
        while frame is not None:
            inside = inside or frame.f_code is _APPLY
            owner = frame.f_locals.get("self")
            if isinstance(owner, nn.Module) and self._names.get(id(owner)):
                return inside, f'"{self._names[id(owner)]}"'
            frame = frame.f_back
        return inside, "the model's forward"

    def _of(self, values: Iterable[Tensor]) -> Mark:
        mark = Mark()
        for tensor in values:
            mark = mark.joined(self._marks.get(tensor, Mark()))
        return mark


def _reason(name: str) -> str:
    """What interrupts the gradient, by the name of torch's function."""
    if name in ("grad", "backward"):
        return "torch.autograd.grad"
    if name in ("detach", "detach_"):
        return ".detach()"
    if name == "__get__":
        return ".data"
    return f"{name} without a gradient" if torch.is_grad_enabled() else "torch.no_grad()"


def _written(name: str, args: Sequence[Any]) -> Iterator[Any]:
    """The argument that an operation in place changes."""
    in_place = name in ("__setitem__", "__set__") or (name.endswith("_") and name[:1] != "_")
    if args and (in_place or name.startswith("__i")):
        yield args[0]
