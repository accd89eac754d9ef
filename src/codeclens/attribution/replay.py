"""Replay: run only what follows a site, again and again, with other tensors in its place."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from codeclens.attribution.capture import Probe, Selector, frozen, run, same_randomness, tapped
from codeclens.attribution.recording import (
    RUN,
    Leaf,
    Name,
    Reads,
    RecordedRun,
    Watch,
    mapped,
    patched,
    watched,
)
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
    happens. (With `x` None nothing is run yet: `record` takes several replays through one run.)

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
        self, model: nn.Module, site: Site | str, x: Tensor | None, output: Selector = None
    ) -> None:
        self.model = model
        self.site = _only(model, site)
        self.activation: Tensor
        self.output: Tensor
        self._start: Leaf
        self.selector = output
        self._entered: ExitStack | None = None
        # The site and the selected output by the calls that a replay counts.
        self._place, self._shown = self.site, output
        self._entries: list[tuple[nn.Module, list[Any]]] | None = None
        self._overwritten = True
        self._reads: Reads | None = None
        # What a run on another number of samples told: itself, how many, and which are read.
        self._pilot = RecordedRun()
        self.few = 0
        self.wanted: set[Name] = set()
        self._copies = 1
        self._given: Tensor | None = None
        self._calls: dict[nn.Module, int] = {}
        if x is not None:
            record([self], x)

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

    # --- The recording, step by step; `record` takes several replays through all of them ---

    def watch(self, wanted: set[Name] | None = None) -> Watch:
        """What notes a run at this site; `wanted` names the tensors that are kept, None all."""
        return Watch(self.site, self.selector, RecordedRun(wanted))

    def learn(self, watch: Watch, output: Tensor, x: Tensor) -> str | None:
        """What is read and overwritten in a replay of a few samples; a reason against replays."""
        self._pilot, self.few = watch.recording, len(x)
        self.activation, self.output = watch.activation(len(x)), output
        self._place, self._shown = watch.place, watch.shown
        if watch.early:
            return "the selected output is computed before the site"
        self._entries = watch.recording.entries()
        self._start = Leaf.of(_INPUT, x, keep=True)
        self._overwritten, self._reads = False, Reads()
        given = self.activation.clone()
        version = given._version
        try:
            with self._reads:
                self(given)
        except CodeclensError:
            raise
        except Exception as error:  # whatever a model does with another number of samples
            return _reason(error)
        finally:
            self.wanted, self._reads = self._reads.read, None
        self._overwritten = given._version != version
        return None

    def take(self, watch: Watch, output: Tensor, x: Tensor, reason: str | None) -> str | None:
        """Replay the run that was watched from now on; a reason where that is not possible."""
        self.activation, self.output = watch.activation(len(x)), output
        self._place, self._shown = watch.place, watch.shown
        reason = reason or watch.recording.compare(self._pilot, len(x), self.few)
        if reason is None:
            self._entries = watch.recording.entries()
            keep = _INPUT in (watch.recording.wanted or ())
            self._start = Leaf.of(_INPUT, x, keep=keep)
        return reason

    def attempt(self) -> str | None:
        """A reason where replaying the activation does not give the output."""
        try:
            again = self(self.activation)
        except Exception as error:  # whatever a model does when parts of it are left out
            return _reason(error)
        return None if _same(again, self.output) else "what follows the site gives something else"

    def give_up(self, x: Tensor, reason: str) -> None:
        """Run the whole model on `x` from now on, with a warning that says why."""
        self._entries, self._place, self._shown = None, self.site, self.selector
        self._start, self._overwritten = Leaf.of(_INPUT, x, keep=True), True
        warnings.warn(
            f'Replay at "{self.site.key}" runs the whole model every time, which gives the '
            f"same but takes longer: {reason}.",
            stacklevel=4,
        )


def record(replays: Sequence[Replay], x: Tensor) -> None:
    """Record several replays of one model and one output in the same run of `x` `(B, …)`.

    A run on another number of samples goes before, and a replay at each site follows each run.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> both = [Replay(model, site, None) for site in ("0", "1")]
    >>> record(both, torch.ones(4, 2))
    >>> [replay.activation.shape[1] for replay in both]
    [3, 3]
    """
    model, selector = replays[0].model, replays[0].selector
    reasons: list[str | None] = [None] * len(replays)
    with torch.inference_mode(False), torch.no_grad():
        x = x.detach().clone()
        few = x[:1] if len(x) > 1 else torch.cat([x, x])
        watches = [replay.watch() for replay in replays]
        try:
            output = watched(model, watches, selector, few)
        except CodeclensError:
            raise
        except Exception as error:  # whatever a model does with another number of samples
            reasons = [_reason(error)] * len(replays)
        else:
            reasons = [
                replay.learn(watch, output, few)
                for replay, watch in zip(replays, watches, strict=True)
            ]
        watches = [replay.watch(replay.wanted) for replay in replays]
        output = watched(model, watches, selector, x)
        for n, (replay, watch) in enumerate(zip(replays, watches, strict=True)):
            reasons[n] = replay.take(watch, output, x, reasons[n])
        for replay, reason in zip(replays, reasons, strict=True):
            reason = reason or replay.attempt()
            if reason is not None:
                replay.give_up(x, reason)


def follow(replays: Sequence[Replay], x: Tensor) -> None:
    """Take recorded replays on to the next batch `x` `(B, …)`: one run, in which all are recorded.

    What the first batch told is not asked again: which tensors are read, and that replaying gives
    the output. Those that run the whole model are left as they are.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> replay = Replay(model, "1", torch.ones(4, 2))
    >>> follow([replay], torch.zeros(3, 2))
    >>> bool((replay(replay.activation) == model(torch.zeros(3, 2))).all())
    True
    """
    shortened = [replay for replay in replays if replay.shortened]
    if not shortened:
        return
    if any(len(x) == replay.few for replay in shortened):
        # Axes of samples are those that grow with them: that takes two sizes.
        record(shortened, x)
        return
    with torch.inference_mode(False), torch.no_grad():
        x = x.detach().clone()
        watches = [replay.watch(replay.wanted) for replay in shortened]
        output = watched(shortened[0].model, watches, shortened[0].selector, x)
        for replay, watch in zip(shortened, watches, strict=True):
            reason = replay.take(watch, output, x, None)
            if reason is not None:
                replay.give_up(x, reason)


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


def _same(ours: Tensor, theirs: Tensor) -> bool:
    if ours.shape != theirs.shape:
        return False
    return bool(((ours == theirs) | ((ours != ours) & (theirs != theirs))).all())


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}".rstrip(". ")
