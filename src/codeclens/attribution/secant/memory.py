"""Memory: what each operation of a model was given at the node before.

An operation is known by the call of the module in which it runs, its name, and its number among
those of this name there. So a part that runs at one node only does not shift what follows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

Key = tuple[Any, str, int]
Kept = tuple[Tensor, ...]


@dataclass
class _Call:
    """One call of a module: which of its calls it is, and how often each operation came in it."""

    key: Any
    counts: dict[str, int] = field(default_factory=dict)


class Memory:
    """The inputs of every operation at this node, and those at the node before."""

    def __init__(self) -> None:
        self.before: dict[Key, Kept] = {}
        self._now: dict[Key, Kept] = {}
        self._versions: dict[Key, tuple[int, ...]] = {}
        self._copied: set[Key] = set()
        self._running = [_Call(None)]
        self._calls: dict[int, int] = {}

    def step(self) -> None:
        """Begin the run at the next node."""
        self.before = self._now
        self.redo()

    def redo(self) -> None:
        """Begin the run at the same node again."""
        self._now, self._versions = {}, {}
        self._running, self._calls = [_Call(None)], {}

    def intact(self) -> bool:
        """Whether nothing was changed in place; what was changed is copied from now on."""
        changed = {
            key
            for key, kept in self._now.items()
            if tuple(t._version for t in kept) != self._versions[key]
        }
        self._copied |= changed
        return not changed

    def recall(self, name: str, tensors: Sequence[Tensor]) -> tuple[Kept | None, Kept]:
        """Keep tensors; gives those that the operation had at the node before, and the kept."""
        call = self._running[-1]
        number = call.counts.get(name, 0)
        call.counts[name] = number + 1
        key = (call.key, name, number)
        kept = tuple(t.detach() for t in tensors)
        if key in self._copied:
            kept = tuple(t.clone() for t in kept)
        self._now[key] = kept
        self._versions[key] = tuple(t._version for t in kept)
        return self.before.get(key), kept

    @contextmanager
    def following(self, model: nn.Module) -> Iterator[None]:
        """While active, notes which call of which module of the model runs, in this thread.

        What modules do that the model makes while it runs counts for the one that made them.
        """
        thread = threading.get_ident()

        def begin(module: nn.Module, _: Any) -> None:
            if threading.get_ident() == thread:
                number = self._calls.get(id(module), 0)
                self._calls[id(module)] = number + 1
                self._running.append(_Call((id(module), number)))

        def end(*_: Any) -> None:
            if threading.get_ident() == thread and len(self._running) > 1:
                self._running.pop()

        hooks = [
            hook
            for module in model.modules()
            if not isinstance(module, torch.jit.ScriptModule)
            for hook in (
                module.register_forward_pre_hook(begin, prepend=True),
                module.register_forward_hook(end, always_call=True),
            )
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
