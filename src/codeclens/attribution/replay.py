"""Replay: run only the part of a model after a site, with other activations at the site."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from codeclens.attribution.capture import Probe, Selector, frozen, run, same_randomness, tapped
from codeclens.attribution.inputs import Batch, Inputs, plain, repeated
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
    """The part of a model after a site: `replay(activation)` returns the output of the model.

    `activation` `(M·B, …)` replaces the site's tensor, for M concatenated copies of the batch `x`
    `(B, …)`. The output is `(M·B, …)`, as `output` selects it; gradients flow from it to the
    activation. The part before the site is not computed again: each outermost submodule whose call
    had finished before the site returns its recorded result for `x`. The attributes `activation`
    and `output` are the site's tensor and the model's output at `x`.

    Replaying `activation` must give `output` exactly. This is tried once; if it does not
    (`shortened` is False), one warning says why, and the whole model runs every time. Within a
    `with` the model stays prepared from call to call and can be used for nothing else. It is always
    left as it was. (With `x` None nothing is run yet: `record` records several replays in one run.)

    Raises CodeclensError for a site that is not reached, runs several times (name one call,
    `"relu#1"`) or has no sample axis, and for an activation that does not fit the site.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> replay = Replay(model, "1", torch.ones(4, 2))
    >>> bool((replay(replay.activation) == replay.output).all())
    True
    >>> replay(torch.zeros(8, 3)).shape
    torch.Size([8, 2])
    """

    def __init__(
        self, model: nn.Module, site: Site | str, x: Batch | None, output: Selector = None
    ) -> None:
        self.model = model
        self.site = _only(model, site)
        self.activation: Tensor
        self.output: Tensor
        # Several inputs are kept whole; of a single one it is known whether anything reads it.
        self._start: Leaf | Inputs
        self.selector = output
        self._entered: ExitStack | None = None
        # The site and the selected output, with calls as a replay counts them.
        self._place, self._shown = self.site, output
        self._entries: list[tuple[nn.Module, list[Any]]] | None = None
        self._overwritten = True
        self._reads: Reads | None = None
        # From a run on another number of samples: the run, that number, and the tensors read.
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
        """Whether only the part after the site runs, not the whole model."""
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
                return run(self.model, self._input(), self._shown)
        finally:
            self._given = None

    def _input(self) -> Batch:
        if isinstance(self._start, Inputs):
            return self._start.repeated(self._copies)
        return self._hand(self._start)

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
        """Runs in place of the forward of a module: returns what was recorded, call by call."""
        forward = module.forward

        def given(*args: Any, **kwargs: Any) -> Any:
            call = self._calls.get(module, 0)
            self._calls[module] = call + 1
            if call >= len(recorded) or recorded[call] is RUN:
                return forward(*args, **kwargs)
            return mapped(recorded[call], Leaf, self._hand)

        return given

    # --- The steps of a recording, which `record` runs for several replays at once ---

    def watch(self, wanted: set[Name] | None = None) -> Watch:
        """Watches this site during a run; `wanted` names the tensors to keep, None all."""
        return Watch(self.site, self.selector, RecordedRun(wanted))

    def learn(self, watch: Watch, output: Tensor, x: Batch) -> str | None:
        """Find what a replay of a few samples reads and overwrites; a reason if it fails."""
        self._pilot, self.few = watch.recording, len(x)
        self.activation, self.output = watch.activation(len(x)), output
        self._place, self._shown = watch.place, watch.shown
        if watch.early:
            return "the selected output is computed before the site"
        self._entries = watch.recording.entries()
        self._start = _started(x)
        self._overwritten, self._reads = False, Reads()
        given = self.activation.clone()
        version = given._version
        try:
            with self._reads:
                self(given)
        except CodeclensError:
            raise
        except Exception as error:  # anything a model may do with another number of samples
            return _reason(error)
        finally:
            self.wanted, self._reads = self._reads.read, None
        self._overwritten = given._version != version
        return None

    def take(self, watch: Watch, output: Tensor, x: Batch, reason: str | None) -> str | None:
        """Replay the watched run from now on; a reason if that is not possible."""
        self.activation, self.output = watch.activation(len(x)), output
        self._place, self._shown = watch.place, watch.shown
        reason = reason or watch.recording.compare(self._pilot, len(x), self.few)
        if reason is None:
            self._entries = watch.recording.entries()
            self._start = _started(x, keep=_INPUT in (watch.recording.wanted or ()))
        return reason

    def attempt(self) -> str | None:
        """A reason if replaying the activation does not give the output."""
        try:
            again = self(self.activation)
        except Exception as error:  # anything a model may do when parts of it do not run
            return _reason(error)
        return None if _same(again, self.output) else "the part after the site gives another output"

    def give_up(self, x: Batch, reason: str) -> None:
        """Run the whole model on `x` from now on, with a warning that states the reason."""
        self._entries, self._place, self._shown = None, self.site, self.selector
        self._start, self._overwritten = _started(x), True
        warnings.warn(
            f'Replay at "{self.site.key}" runs the whole model every time, which gives the '
            f"same but takes longer: {reason}.",
            stacklevel=4,
        )


def record(replays: Sequence[Replay], x: Batch) -> None:
    """Record several replays of one model and one output in the same run of `x` `(B, …)`.

    First the model runs on another number of samples; after each run every site is replayed once.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> both = [Replay(model, site, None) for site in ("0", "1")]
    >>> record(both, torch.ones(4, 2))
    >>> [replay.activation.shape[1] for replay in both]
    [3, 3]
    """
    model, selector = replays[0].model, replays[0].selector
    reasons: list[str | None] = [None] * len(replays)
    with torch.inference_mode(False), torch.no_grad():
        x = plain(Inputs.of(x)).clone()
        few = x[:1] if len(x) > 1 else repeated(x, 2)
        watches = [replay.watch() for replay in replays]
        try:
            output = watched(model, watches, selector, few)
        except CodeclensError:
            raise
        except Exception as error:  # anything a model may do with another number of samples
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


def follow(replays: Sequence[Replay], x: Batch) -> None:
    """Record existing replays anew for the next batch `x` `(B, …)`, all in one run.

    What the first batch showed is not checked again: which tensors are read, and that replaying
    gives the output. Replays that run the whole model are left as they are.

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
        # Sample axes are those that grow with the number of samples: that needs two numbers.
        record(shortened, x)
        return
    with torch.inference_mode(False), torch.no_grad():
        x = plain(Inputs.of(x)).clone()
        watches = [replay.watch(replay.wanted) for replay in shortened]
        output = watched(shortened[0].model, watches, shortened[0].selector, x)
        for replay, watch in zip(shortened, watches, strict=True):
            reason = replay.take(watch, output, x, None)
            if reason is not None:
                replay.give_up(x, reason)


@contextmanager
def released(probe: Probe) -> Iterator[nn.Module]:
    """The model of a probe without its taps, which are restored afterwards.

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


def _started(x: Batch, keep: bool = True) -> Leaf | Inputs:
    return x if isinstance(x, Inputs) else Leaf.of(_INPUT, x, keep)


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
