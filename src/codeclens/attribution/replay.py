"""Replay: run only what follows a site, again and again, with other tensors in its place."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from codeclens.attribution.capture import Probe, Selector, frozen, run, same_randomness, tapped
from codeclens.attribution.recording import RUN, Leaf, Reads, Recording, mapped, patched
from codeclens.attribution.sites import Site, find_sites
from codeclens.errors import CodeclensError

# The input itself, among the tensors that are kept.
_INPUT = (-1, 0)


class Replay:
    """A model that has run on `x` `(B, …)`, from a site on: `replay(activation)` gives its output.

    `activation` is `(M·B, …)`: M copies of the batch, one after another, of the site's tensor as it
    shall be. The output is `(M·B, …)`, what `output` selects; gradients flow from it to the
    activation. What comes before the site is not computed again: each outermost submodule whose
    call had finished by then gives what it gave for `x`. The site's tensor and the model's output
    at `x` are `activation` and `output`.

    Replaying `activation` must give `output` exactly. This is tried once; where it does not
    (`shortened` is False), one warning says why, and the whole model runs every time. As a context
    the model stays prepared from call to call, for that use alone. It is left as it was, whatever
    happens.

    Raises CodeclensError for a site that is not reached, runs several times (name one call,
    `"relu#1"`) or does not count samples, and for an activation that does not fit the site.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> replay = Replay(model, "1", torch.ones(4, 2))
    >>> bool((replay(replay.activation) == replay.output).all())
    True
    >>> replay(torch.zeros(8, 3)).shape
    torch.Size([8, 2])
    """

    def __init__(
        self, model: nn.Module, site: Site | str, x: Tensor, output: Selector = None
    ) -> None:
        self.model = model
        self.site = _only(model, site)
        self.activation: Tensor
        self.output: Tensor
        self._start: Leaf
        self._selector = output
        self._entered: ExitStack | None = None
        # The site and the selected output by the calls that a replay counts.
        self._place, self._shown = self.site, output
        self._entries: list[tuple[nn.Module, list[Any]]] | None = None
        self._early = False
        self._overwritten = True
        self._reads: Reads | None = None
        self._copies = 1
        self._given: Tensor | None = None
        self._calls: dict[nn.Module, int] = {}
        with torch.inference_mode(False), torch.no_grad():
            x = x.detach().clone()
            reason = self._record(x)
        if reason is not None:
            self._entries, self._place, self._shown = None, self.site, output
            self._start, self._overwritten = Leaf.of(_INPUT, x, keep=True), True
            warnings.warn(
                f'Replay at "{self.site.key}" runs the whole model every time, which gives the '
                f"same but takes longer: {reason}.",
                stacklevel=2,
            )

    @property
    def shortened(self) -> bool:
        """Whether only what follows the site runs; False where the whole model does."""
        return self._entries is not None

    def __enter__(self) -> Replay:
        with ExitStack() as entered:
            entered.enter_context(self._prepared())
            self._entered = entered.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        entered, self._entered = self._entered, None
        if entered is not None:
            entered.close()

    def __call__(self, activation: Tensor) -> Tensor:
        """The output `(M·B, …)` with `activation` `(M·B, …)` at the site."""
        copies = self._count(activation)
        if self._entered is not None:
            return self._run(activation, copies)
        with self._prepared():
            return self._run(activation, copies)

    def _count(self, activation: Tensor) -> int:
        """How many copies of the batch an activation holds."""
        mine = self.activation
        fits = activation.dtype == mine.dtype and activation.shape[1:] == mine.shape[1:]
        copies, rest = divmod(len(activation), len(mine))
        if not fits or rest or not copies:
            raise CodeclensError(
                f"An activation of shape {tuple(activation.shape)}, {activation.dtype} does not "
                f'replace that of site "{self.site.key}", {tuple(mine.shape)}, {mine.dtype}; pass '
                f"one, or several along the first axis."
            )
        return copies

    def _run(self, activation: Tensor, copies: int) -> Tensor:
        self._given, self._copies, self._calls = activation, copies, {}
        try:
            with same_randomness(self.model):
                return run(self.model, self._hand(self._start), self._shown)
        finally:
            self._given = None

    def _hand(self, leaf: Leaf) -> Tensor:
        tensor = leaf.handed(self._copies)
        if self._reads is not None:
            self._reads.watch(tensor, leaf.name)
        return tensor

    def _edit(self, _: Site, __: Tensor) -> Tensor | None:
        if self._given is None:
            return None
        return self._given.clone() if self._overwritten else self._given

    @contextmanager
    def _prepared(self) -> Iterator[None]:
        stubs = [(module, self._stub(module, given)) for module, given in self._entries or ()]
        with (
            frozen(self.model),
            patched(stubs),
            tapped(self.model, [self._place], self._edit),
        ):
            yield

    def _stub(self, module: nn.Module, recorded: list[Any]) -> Callable[..., Any]:
        """What a module runs instead of its forward: what it gave, call by call."""
        forward = module.forward

        def given(*args: Any, **kwargs: Any) -> Any:
            call = self._calls.get(module, 0)
            self._calls[module] = call + 1
            if call >= len(recorded) or recorded[call] is RUN:
                return forward(*args, **kwargs)
            return mapped(recorded[call], Leaf, self._hand)

        return given

    # --- The recording ---

    def _record(self, x: Tensor) -> str | None:
        """Run the model on `x` and keep what is needed; a reason where replay is not possible."""
        few = x[:1] if len(x) > 1 else torch.cat([x, x])
        pilot, reason = self._pilot(few)
        recording = Recording(set() if self._reads is None else self._reads.read)
        self._reads = None
        self.activation, self.output = self._watch(recording, x)
        reason = reason or recording.compare(pilot, len(x), len(few))
        if reason is not None:
            return reason
        self._entries = recording.entries()
        self._start = Leaf.of(_INPUT, x, keep=_INPUT in (recording.wanted or ()))
        try:
            again = self(self.activation)
        except Exception as error:  # whatever a model does when parts of it are left out
            return _reason(error)
        return None if _same(again, self.output) else "what follows the site gives something else"

    def _pilot(self, x: Tensor) -> tuple[Recording, str | None]:
        """Record and replay another number of samples, to learn what is read and overwritten."""
        recording = Recording()
        try:
            self.activation, self.output = self._watch(recording, x)
            if self._early:
                return recording, "the selected output is computed before the site"
            self._entries = recording.entries()
            self._start = Leaf.of(_INPUT, x, keep=True)
            self._overwritten, self._reads = False, Reads()
            given = self.activation.clone()
            version = given._version
            with self._reads:
                self(given)
            self._overwritten = given._version != version
        except CodeclensError:
            raise
        except Exception as error:  # whatever a model does with another number of samples
            return recording, _reason(error)
        return recording, None

    def _watch(self, recording: Recording, x: Tensor) -> tuple[Tensor, Tensor]:
        """The site's tensor and the output of a run that is recorded."""
        met: list[Tensor] = []

        def meet(_: Site, tensor: Tensor) -> None:
            if len(stacks) == (self.site.call or 0):
                met.append(tensor.detach().clone())
                recording.meet()
            stacks.append(tuple(recording.stack))

        stacks: list[tuple[int, ...]] = []
        shown: list[tuple[int, ...]] = []
        with ExitStack() as contexts:
            contexts.enter_context(frozen(self.model))
            contexts.enter_context(same_randomness(self.model))
            contexts.enter_context(patched(recording.forwards(self.model)))
            contexts.enter_context(tapped(self.model, [replace(self.site, call=None)], meet))
            if isinstance(self._selector, Site):
                contexts.enter_context(
                    tapped(
                        self.model,
                        [replace(self._selector, call=None)],
                        lambda *_: shown.append(tuple(recording.stack)),
                    )
                )
            output = run(self.model, x.clone(), self._selector)
        self._check(met, len(stacks), len(x))
        self._place = _renumbered(replace(self.site, call=self.site.call or 0), stacks, recording)
        if isinstance(self._selector, Site):
            self._shown = _renumbered(self._selector, shown, recording)
            last = shown[-1 if self._selector.call is None else self._selector.call]
            self._early = not _remains(last, recording)
        return met[0], output

    def _check(self, met: list[Tensor], calls: int, samples: int) -> None:
        if not met:
            raise CodeclensError(
                f'Site "{self.site.key}" is not reached when the model runs; choose another module.'
            )
        if self.site.call is None and calls > 1:
            raise CodeclensError(
                f'Site "{self.site.key}" runs {calls} times; name one of its calls, for example '
                f'"{self.site.key}#0".'
            )
        if met[0].ndim < 1 or len(met[0]) != samples:
            raise CodeclensError(
                f'Site "{self.site.key}" gives a tensor of shape {tuple(met[0].shape)} for '
                f"{samples} samples; its first axis does not count them. Choose another module."
            )


@contextmanager
def released(probe: Probe) -> Iterator[nn.Module]:
    """A probe's model without the probe's taps, which are back afterwards.

    >>> probe = Probe(nn.Linear(2, 2), [Site("")])
    >>> with probe, released(probe) as model:
    ...     len(model._forward_hooks)
    0
    """
    probe.__exit__(None, None, None)
    try:
        yield probe.model
    finally:
        probe.__enter__()


def _only(model: nn.Module, site: Site | str) -> Site:
    found = find_sites(model, site)
    if len(found) > 1:
        keys = ", ".join(f'"{one.key}"' for one in found)
        raise CodeclensError(f"Replay starts from one site, and {site!r} names several: {keys}.")
    return found[0]


def _renumbered(site: Site, stacks: list[tuple[int, ...]], recording: Recording) -> Site:
    """The same call of a site as a replay counts them, in which some modules do not run."""
    if site.call is None:
        return site
    return replace(site, call=sum(_remains(stack, recording) for stack in stacks[: site.call]))


def _remains(stack: tuple[int, ...], recording: Recording) -> bool:
    """Whether what lies within these calls runs in a replay too."""
    return recording.running is not None and recording.running.issuperset(stack)


def _same(ours: Tensor, theirs: Tensor) -> bool:
    if ours.shape != theirs.shape:
        return False
    return bool(((ours == theirs) | ((ours != ours) & (theirs != theirs))).all())


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}".rstrip(". ")
