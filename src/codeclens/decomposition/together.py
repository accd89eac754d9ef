"""Together: several networks of one shape, trained in the same steps.

Small networks spend their time between products rather than in them. Their parameters are laid one
behind another, and every step goes through all of them at once; each keeps its own data, batches,
loss and random numbers, so each learns what it would learn alone, up to rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.optim import Adam

from codeclens.decomposition import sparse
from codeclens.decomposition.fitting import Preparation
from codeclens.decomposition.matrices import TensorTable
from codeclens.decomposition.networks import SparseAutoencoder
from codeclens.decomposition.trainer import Team, Training
from codeclens.decomposition.training import Cosine, Epoch, named

Told = Callable[[str, Epoch], object]

# More networks than this gain nothing over several such groups, and more data than this (64 MiB)
# need not lie in memory at once.
_MOST, _VALUES = 16, 1 << 24
# Entries of a dictionary up to which it pays on a processor, by `python -m benchmarks.training
# together`; products of larger ones take most of the time.
_SMALL = 25_000


def pays(modes: int, columns: int) -> bool:
    """Whether networks of `(modes, columns)` are faster trained together than one by one.

    >>> pays(96, 64), pays(1536, 512)
    (True, False)
    """
    return modes * columns <= _SMALL


def most(samples: int, columns: int) -> int:
    """How many networks are trained together at most, each on data of this shape.

    >>> most(1000, 64), most(1_000_000, 64)
    (16, 1)
    """
    return max(1, min(_MOST, _VALUES // max(1, samples * columns)))


def fits_together(ready: Sequence[Preparation]) -> bool:
    """Whether these trainings can share their steps: the same kind, shapes and recipe.

    Trainings that may end early, that lower their rate by their own loss, that are larger than
    memory, under autocast or shared by several processes go alone.
    """
    first = ready[0]
    return Team.gathered(first.table.device).size == 1 and all(
        type(one.network) is type(first.network)
        and one.network.stackable
        and isinstance(one.table, TensorTable)
        and isinstance(one.recipe.schedule, Cosine)
        and one.recipe == first.recipe
        and one.recipe.patience is None
        and one.recipe.precision == "float32"
        and one.network.non_negative == first.network.non_negative
        and one.table.shape == first.table.shape
        and [b.shape for b in one.network.buffers()] == [b.shape for b in first.network.buffers()]
        for one in ready
    )


def train_together(
    ready: Sequence[Preparation], sites: Sequence[str], progress: Told | None = None
) -> list[list[Epoch]]:
    """Train all networks in place and return what every epoch came to, for each of them.

    They must be such as `fits_together` allows. `progress(site, epoch)` is called after every epoch
    for each. Raises CodeclensError, naming the site, where a loss is no longer a finite number.
    """
    trainings = [
        Training(one.network, one.table, one.rows, one.held_out, one.recipe, one.generator)
        for one in ready
    ]
    stack = _Stack([one.network for one in ready], trainings)
    while not trainings[0].done:
        for site, training, losses, fired in zip(sites, trainings, *stack.epoch(), strict=True):
            with named(site):
                epoch = training.close(losses, fired)
            if progress is not None:
                progress(site, epoch)
    for training in trainings:
        training.finish()
    return [training.history for training in trainings]


class _Stack:
    """Networks of one shape; the parameters of each are a part of the stacked ones."""

    def __init__(
        self, networks: Sequence[SparseAutoencoder], trainings: Sequence[Training]
    ) -> None:
        self.trainings = trainings
        self.networks = networks
        # Does for stacked parameters what a network does for its own.
        self.model = copy.deepcopy(self.networks[0])
        for name in [name for name, _ in self.model.named_parameters()]:
            whole = nn.Parameter(torch.stack([_of(one, name).detach() for one in self.networks]))
            _put(self.model, name, whole)
            for one, part in zip(self.networks, whole.detach(), strict=True):
                _of(one, name).data = part
        self._gather()
        recipe = trainings[0].recipe
        self.recipe = recipe
        self.optimizer = Adam(self.model.parameters(), lr=recipe.learning_rate, fused=True)
        batches = -(-len(trainings[0].rows) // recipe.batch_size)
        self.scheduler = recipe.schedule.start(self.optimizer, recipe.epochs * batches)

    def epoch(self) -> tuple[Float[Tensor, " network"], Bool[Tensor, "network mode"]]:
        """Go once through the data of each: the summed losses, and which modes fired."""
        self.model.train()
        for training in self.trainings:
            training.rates.append(float(self.optimizer.param_groups[0]["lr"]))
        modes = self.model.dictionary.shape[:2]
        summed = torch.zeros(modes[0], dtype=torch.float64, device=self.model.dictionary.device)
        fired = torch.zeros(modes, dtype=torch.bool, device=summed.device)
        for parts in zip(*(training.batches() for training in self.trainings), strict=True):
            losses, codes = self._step(torch.stack(parts))
            self.scheduler.step()
            summed += losses.double() * len(parts[0])
            fired |= (codes > 0).any(dim=1)
        self._spread()
        return summed, fired

    def _step(self, x: Float[Tensor, "network batch unit"]) -> tuple[Tensor, Tensor]:
        """One step of all: the losses `(G,)` and the codes `(G, B, K)`."""
        model = self.model
        model.before_loss()
        buffers = dict(model.named_buffers())
        with sparse.plain():
            losses, codes, changed = vmap(self._loss)(dict(model.named_parameters()), buffers, x)
        for name, value in changed.items():
            _put(model, name, value)
        self.optimizer.zero_grad()
        losses.sum().backward()
        model.before_step()
        if self.recipe.clip is not None:
            self._clip(self.recipe.clip)
        self.optimizer.step()
        model.after_step()
        self._renew()
        return losses.detach(), codes.detach()

    def _loss(
        self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The loss of one network, its codes, and its buffers afterwards."""
        state = parameters | buffers
        loss, codes = functional_call(self.model, state, (x,))  # leaves new buffers in `state`
        return loss, codes, {name: state[name] for name in buffers}

    @torch.no_grad()
    def _clip(self, limit: float) -> None:
        """Limit the norm of each network's gradient, as torch does for one."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        squares = [gradient.flatten(1).square().sum(dim=1) for gradient in gradients]
        factor = (limit / (torch.stack(squares).sum(dim=0).sqrt() + 1e-6)).clamp(max=1)
        for gradient in gradients:
            gradient *= factor.view(-1, *[1] * (gradient.ndim - 1))

    def _renew(self) -> None:
        """What networks change now and then, each by itself."""
        if self.model.renews:
            self._spread()
            for network in self.networks:
                if network.renews:
                    network.renewal()
            self._gather()

    def _spread(self) -> None:
        """Give each network its own part of the buffers."""
        for name, whole in self.model.named_buffers():
            for one, part in zip(self.networks, whole, strict=True):
                _put(one, name, part)

    def _gather(self) -> None:
        """Take the buffers of all networks."""
        for name in [name for name, _ in self.networks[0].named_buffers()]:
            _put(self.model, name, torch.stack([_of(one, name) for one in self.networks]))


def _of(network: nn.Module, name: str) -> Tensor:
    """The parameter or buffer of that name."""
    place, _, last = name.rpartition(".")
    found: Tensor = getattr(network.get_submodule(place), last)
    return found


def _put(network: nn.Module, name: str, value: Tensor) -> None:
    """Replace the parameter or buffer of that name."""
    place, _, last = name.rpartition(".")
    setattr(network.get_submodule(place), last, value)
