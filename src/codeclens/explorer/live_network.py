"""The network of a run, live: pictures, place maps, explanations, and modes switched by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from codeclens.attribution import (
    Attributor,
    Conductance,
    Contributions,
    Output,
    Predicted,
    Target,
    contributions,
)
from codeclens.attribution.baselines import as_baseline
from codeclens.attribution.replay import Replay
from codeclens.attribution.targets import Bound, Contrast, bind, target_name, target_unit
from codeclens.control import activation_at, outputs_under
from codeclens.control.removal import mode_share
from codeclens.decomposition import Modes, Shares, shares_of
from codeclens.errors import CodeclensError, require_number
from codeclens.explanation.explaining import amounts_of
from codeclens.explorer.run_folder import RunFolder
from codeclens.extraction import SampleSource
from codeclens.reporting import Question
from codeclens.reporting.mode_gallery import image_at, picture_of
from codeclens.visualization.place_maps import as_plane, place_maps

# Maps of so many modes of a site go along with an explanation, and effects of so many.
MAPPED, MEASURED = 24, 16
_OUTPUTS = 12
Tick = Callable[[], None]


class Cancelled(Exception):  # noqa: N818 - the user's wish, not an error
    """The user no longer wants the result."""


@dataclass(frozen=True, eq=False)
class Wish:
    """What is to be explained: the target, and the part of the picture that is erased.

    `target` is the number of an output, or None for the predicted one; `instead_of` is the output
    it is contrasted with. `erased` is a grid of rows of booleans laid over the picture.
    """

    target: int | None = None
    instead_of: int | None = None
    erased: Sequence[Sequence[bool]] | None = None


@dataclass(eq=False)
class Trial:
    """One picture in the network: contributions, shares of modes, and what replays need."""

    x: Tensor
    picture: np.ndarray[Any, Any]
    words: str
    unit: str
    found: Contributions
    shares: dict[str, Shares]
    resting: dict[str, Tensor]
    replays: dict[str, Replay]
    output: Tensor
    bound: Bound


class LiveNetwork:
    """The model and the images of a run, and what can be computed with them on the spot.

    `transform` makes the input of a PIL picture, `asked` holds the settings of the extraction,
    `mean` and `std` are those of the transform where it has them. Calls come one after another.
    """

    def __init__(
        self,
        run: RunFolder,
        model: nn.Module,
        images: SampleSource,
        asked: Question,
        *,
        transform: Callable[[Image.Image], Tensor] | None = None,
        outputs: Sequence[str] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        self.run, self.model, self.images, self.asked = run, model, images, asked
        self.transform = transform
        self.outputs = None if outputs is None else list(outputs)
        self.mean, self.std = mean, std
        self._lock = RLock()
        self._device = next((p.device for p in model.parameters()), torch.device("cpu"))

    def input_of(self, row: int) -> Tensor:
        """The network's input for a sample of the run, `(C, H, W)`."""
        return image_at(self.images, self.run.store, self.run.require_row(row))

    def picture(self, row: int) -> np.ndarray[Any, Any]:
        """What the network saw of a sample, `(H, W, 3)`."""
        return picture_of(self.input_of(row), self.mean, self.std)

    def prepared(self, image: Image.Image) -> Tensor:
        """The network's input for a picture; raises CodeclensError without a transform."""
        if self.transform is None:
            raise CodeclensError(
                "This run has no transform from pictures to inputs, so only its samples can be "
                "explained."
            )
        return self.transform(image)

    def maps(self, site: str, mode: int, rows: Sequence[int]) -> dict[str, Any]:
        """Where a mode acts in some samples: its contribution at each place of the site."""
        modes = self.run.require_mode(site, mode)
        x = torch.stack([self.input_of(row) for row in rows]).to(self._device)
        with self._lock:
            found = contributions(
                self.model, x, sites=site, method=self.asked.method,
                target=self.asked.target or Predicted(), baseline=self.asked.baseline,
                reduce=None, output=self.asked.output,
            )  # fmt: skip
        places = place_maps(modes, found, [mode])
        return {
            "site": site,
            "mode": mode,
            "rows": list(rows),
            "maps": [as_plane(places.of(place, mode)) for place in range(len(rows))],
            "contribution": places.contribution[:, 0],
        }

    def steps(self) -> int:
        """About how many runs of the network an explanation takes, for the progress shown."""
        return int(getattr(self.asked.method, "steps", 20)) + 2

    def explain(self, x: Tensor, wish: Wish, sites: Sequence[str], tick: Tick) -> Trial:
        """Compute the contributions of one input `(C, H, W)` at some sites.

        `tick` is called before each run of the network and may raise `Cancelled`. Raises
        CodeclensError for classes that the network does not have and sites without modes.
        """
        chosen: dict[str, Modes] = {site: self.run.modes_of(site) for site in sites}
        x = (x if wish.erased is None else erased(x, wish.erased))[None].to(self._device)
        with self._lock, ticking(self.model, tick):
            output = self._output(x)
            target = self._target(wish, output)
            attributor = Attributor(
                self.model,
                sites=list(chosen),
                target=target,
                baseline=self.asked.baseline,
                output=self.asked.output,
                method=self.asked.method or Conductance(),
                reduce=None,
            ).prepared(x)  # fmt: skip
            found = attributor(x)
            given = as_baseline(self.asked.baseline)
            starts = [given.at(x, draw).to(x).expand_as(x) for draw in range(given.draws)]
            resting = {
                site: torch.stack(
                    [activation_at(self.model, found[site].site, start) for start in starts]
                ).mean(dim=0)
                for site in chosen
            }
            replays = {
                site: Replay(self.model, found[site].site, x, self.asked.output) for site in chosen
            }
        return Trial(
            x, picture_of(x[0], self.mean, self.std),
            target_name(target, output, self.outputs), target_unit(target), found,
            {site: shares_of(one, found[site], most=len(one)) for site, one in chosen.items()},
            resting, replays, output, bind(target, output, None),
        )  # fmt: skip

    def described(self, trial: Trial) -> dict[str, Any]:
        """An explanation as plain data: for each site its modes, maps and measured effects."""
        found = trial.found
        target, start = float(found.target[0]), float(found.baseline_target[0])
        return {
            "words": trial.words,
            "unit": trial.unit,
            "target": target,
            "baseline": start,
            "change": target - start,
            "outputs": self.leading(trial.output),
            "sites": [self._site(trial, site, target - start) for site in trial.shares],
        }

    def switched(
        self, trial: Trial, site: str, factors: Mapping[int, float]
    ) -> tuple[Tensor, Tensor]:
        """The output with modes switched to a factor (0 off, 1 as they are, 2 twice), and before.

        Of each unit, `Σ (1 − factor) · share · (a − a0)` is withdrawn, which for a factor of 0 is
        what `remove` takes away. Raises CodeclensError for a site or mode that is not explained.
        """
        if site not in trial.shares:
            raise CodeclensError(f'"{site[:80]}" is not explained; choose another site.')
        for mode, factor in factors.items():
            self.run.require_mode(site, mode)
            require_number("factor", factor, least=-2, most=10)
        with self._lock, torch.no_grad():
            replay = trial.replays[site]
            if not factors:
                return trial.output, trial.output
            edited = self._edited(trial, site, [factors])
            return replay(edited), trial.output

    def leading(self, output: Tensor, *, keep: Sequence[int] = ()) -> list[dict[str, Any]]:
        """The outputs with the largest probabilities, and those of `keep`, with their logits."""
        if output.ndim != 2:
            return []
        logits = output[0].detach().double().cpu()
        probabilities = logits.softmax(dim=0)
        order = [int(n) for n in probabilities.argsort(descending=True, stable=True)[:_OUTPUTS]]
        order += [number for number in keep if number not in order]
        return [
            {
                "output": number,
                "name": self._name(number),
                "probability": float(probabilities[number]),
                "logit": float(logits[number]),
            }
            for number in order
        ]

    def _name(self, number: int) -> str:
        known = self.outputs
        return known[number] if known and number < len(known) else f"class {number}"

    def _output(self, x: Tensor) -> Tensor:
        return torch.from_numpy(outputs_under(self.model, x, [], output=self.asked.output))[0]

    def _target(self, wish: Wish, output: Tensor) -> Target:
        if wish.target is None and wish.instead_of is None:
            return Predicted()
        size = output.shape[-1]
        first = int(output[0].argmax()) if wish.target is None else wish.target
        for number in (first, wish.instead_of):
            if number is not None and not 0 <= number < size:
                raise CodeclensError(f"There is no output {number}; there are 0 to {size - 1}.")
        if wish.instead_of is None:
            return Output(first)
        if wish.instead_of == first:
            raise CodeclensError("A class cannot be contrasted with itself; choose another one.")
        return Contrast(first, wish.instead_of)

    def _edited(self, trial: Trial, site: str, wanted: Sequence[Mapping[int, float]]) -> Tensor:
        """The activation of a site under several settings of its modes, along the first axis."""
        modes, here, shares = self.run.modes[site], trial.found[site], trial.shares[site]
        activation = trial.replays[site].activation
        departure = activation - trial.resting[site].to(activation)
        edited = []
        for factors in wanted:
            share = torch.zeros_like(activation)
            for mode, factor in factors.items():
                part = mode_share(modes, mode, here, shares=shares).to(activation)
                if part.ndim != activation.ndim:  # by unit: the same at every position
                    raise CodeclensError(f'The places of "{site}" are not known.')
                share = share + (1 - factor) * part
            edited.append(activation - share * departure)
        return torch.cat(edited)

    def _site(self, trial: Trial, site: str, change: float) -> dict[str, Any]:
        modes, here, shares = self.run.modes[site], trial.found[site], trial.shares[site]
        names = self.run.names(site)
        amounts, loadings, unexplained = amounts_of(modes, here, shares)
        order = list(amounts)
        effects = self._effects(trial, site, order[:MEASURED])
        places = place_maps(modes, {site: here}, order[:MAPPED]) if order else None
        terms = [
            {
                "mode": mode,
                "name": names[mode],
                "contribution": amounts[mode],
                "loading": float(loadings[mode]),
                "effect": effects.get(mode),
                "map": as_plane(places.of(0, mode)) if places and mode in places.modes else None,
            }
            for mode in order
        ]
        total = sum(amounts.values()) + unexplained
        return {"site": site, "cut": here.is_cut, "r2": modes.r2, "terms": terms,
                "unexplained": unexplained, "elsewhere": change - total}  # fmt: skip

    def _effects(self, trial: Trial, site: str, modes: Sequence[int]) -> dict[int, float]:
        """By how much the target falls when a mode is switched off."""
        if not modes:
            return {}
        with self._lock, torch.no_grad():
            after = trial.replays[site](self._edited(trial, site, [{m: 0.0} for m in modes]))
        before = float(trial.bound(trial.output)[0])
        return {
            mode: before - float(trial.bound(after[place : place + 1])[0])
            for place, mode in enumerate(modes)
        }


@contextmanager
def ticking(model: nn.Module, tick: Tick) -> Iterator[None]:
    """Call `tick` before each run of the model while the `with` lasts."""

    def before(module: nn.Module, given: Any) -> None:
        tick()

    handle = model.register_forward_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()


def erased(x: Tensor, grid: Sequence[Sequence[bool]]) -> Tensor:
    """An input `(C, H, W)` with the cells of a grid replaced by the mean colour of the rest.

    Raises CodeclensError for a grid that is empty, uneven or erases everything.

    >>> erased(torch.tensor([[[1.0, 5.0]]]), [[False, True]]).tolist()
    [[[1.0, 1.0]]]
    """
    lengths = {len(row) for row in grid}
    if len(lengths) != 1 or not 0 < len(grid) <= 256 or not 0 < max(lengths) <= 256:
        raise CodeclensError("The erased region is a grid of up to 256 rows of equal length.")
    mask = torch.tensor([[bool(cell) for cell in row] for row in grid])
    rows = torch.arange(x.shape[1]) * mask.shape[0] // x.shape[1]
    columns = torch.arange(x.shape[2]) * mask.shape[1] // x.shape[2]
    here = mask[rows][:, columns]
    if bool(here.all()):
        raise CodeclensError("The whole picture is erased; leave a part of it.")
    mean = x[:, ~here].mean(dim=1)
    return torch.where(here, mean[:, None, None], x)
