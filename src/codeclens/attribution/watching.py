"""Watching: where a site lies in a recorded run, and what it gives there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from torch import Tensor, nn

from codeclens.attribution.capture import Selector, frozen, run, same_randomness, tapped
from codeclens.attribution.recording import Recording, patched
from codeclens.attribution.sites import Site
from codeclens.errors import CodeclensError


class UnreplayableError(CodeclensError):
    """What follows a site cannot be run alone; `site` is which."""

    def __init__(self, site: Site, message: str) -> None:
        super().__init__(f'Site "{site.key}" {message}')
        self.site = site


class Watch:
    """One site during one run: its tensor, and in which calls it and the output were met."""

    def __init__(self, site: Site, selector: Selector, recording: Recording) -> None:
        self.site = site
        self.recording = recording
        self._selector = selector
        self._met: list[Tensor] = []
        # The calls around each of the site's, and around each of the output where that is a site.
        self._stacks: list[tuple[int, ...]] = []
        self._shown: list[tuple[int, ...]] = []

    @contextmanager
    def over(self, model: nn.Module) -> Iterator[None]:
        """Watch a run of the model."""
        stack = self.recording.stack

        def meet(_: Site, tensor: Tensor) -> None:
            if len(self._stacks) == (self.site.call or 0):
                self._met.append(tensor.detach().clone())
                self.recording.meet()
            self._stacks.append(tuple(stack))

        def show(*_: object) -> None:
            self._shown.append(tuple(stack))

        with ExitStack() as contexts:
            contexts.enter_context(patched(self.recording.forwards(model)))
            contexts.enter_context(tapped(model, [replace(self.site, call=None)], meet))
            if isinstance(self._selector, Site):
                contexts.enter_context(tapped(model, [replace(self._selector, call=None)], show))
            yield

    def activation(self, samples: int) -> Tensor:
        """The site's tensor; raises CodeclensError where there is not one for all samples."""
        if not self._met:
            raise CodeclensError(
                f'Site "{self.site.key}" is not reached when the model runs; choose another module.'
            )
        if self.site.call is None and len(self._stacks) > 1:
            raise UnreplayableError(
                self.site,
                f"runs {len(self._stacks)} times; name one of its calls, "
                f'for example "{self.site.key}#0".',
            )
        found = self._met[0]
        if found.ndim < 1 or len(found) != samples:
            raise UnreplayableError(
                self.site,
                f"gives a tensor of shape {tuple(found.shape)} for {samples} samples; "
                "its first axis does not count them. Choose another module.",
            )
        return found

    @property
    def place(self) -> Site:
        """The site's call as a replay counts them, in which some modules do not run."""
        return self._renumbered(replace(self.site, call=self.site.call or 0), self._stacks)

    @property
    def shown(self) -> Selector:
        """What selects the output in a replay."""
        if not isinstance(self._selector, Site):
            return self._selector
        return self._renumbered(self._selector, self._shown)

    @property
    def early(self) -> bool:
        """Whether the output is a site that lies where a replay does not run."""
        if not isinstance(self._selector, Site):
            return False
        call = self._selector.call
        return not self._remains(self._shown[-1 if call is None else call])

    def _renumbered(self, site: Site, stacks: Sequence[tuple[int, ...]]) -> Site:
        if site.call is None:
            return site
        return replace(site, call=sum(self._remains(stack) for stack in stacks[: site.call]))

    def _remains(self, stack: tuple[int, ...]) -> bool:
        """Whether what lies within these calls runs in a replay too."""
        running = self.recording.running
        return running is not None and running.issuperset(stack)


def watched(model: nn.Module, watches: Sequence[Watch], selector: Selector, x: Tensor) -> Tensor:
    """Run the model on `x` while its sites are watched, all in one run; gives the output."""
    with ExitStack() as contexts:
        contexts.enter_context(frozen(model))
        contexts.enter_context(same_randomness(model))
        for watch in watches:
            contexts.enter_context(watch.over(model))
        return run(model, x.clone(), selector)
