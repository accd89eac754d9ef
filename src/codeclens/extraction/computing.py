"""Computing: where and how a model computes during an extraction."""

from __future__ import annotations

import os
import resource
import sys
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from codeclens.attribution import Selector, Site
from codeclens.attribution.capture import frozen, run, same_randomness
from codeclens.errors import CodeclensError

Half = Literal["bfloat16", "float16"]
Batch = TypeVar("Batch")
_HALVES: dict[str, torch.dtype] = {"bfloat16": torch.bfloat16, "float16": torch.float16}
# Batches that are on their way to a GPU while it computes another.
IN_FLIGHT = 2


@dataclass(frozen=True)
class Computing:
    """Options that trade memory layout and precision for speed.

    `channels_last` lays images out pixel by pixel, which changes results by rounding alone; None
    does so where it helps. `fold_batchnorm` folds batch norms into convolutions in a private copy
    of the model (see `folded`). `autocast` computes matrix products in half precision, and sums
    contributions in single. Raises CodeclensError for a precision that is not known.
    """

    channels_last: bool | None = None
    fold_batchnorm: bool = False
    autocast: Half | None = None

    def __post_init__(self) -> None:
        if self.autocast is not None and self.autocast not in _HALVES:
            known = ", ".join(f'"{name}"' for name in _HALVES)
            raise CodeclensError(f"autocast={self.autocast!r} is not known; use one of {known}.")

    @property
    def settings(self) -> dict[str, Any] | None:
        """What numbers depend on beyond rounding; None where nothing is out of the ordinary."""
        if not self.fold_batchnorm and self.autocast is None:
            return None
        return {"fold_batchnorm": self.fold_batchnorm, "autocast": self.autocast}

    def on(self, model: nn.Module) -> Device:
        """The device of a model, and these options there."""
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                return Device(tensor.device, tensor.dtype, self._laid_out(model), self.autocast)
        return Device(torch.device("cpu"), None, False, self.autocast)

    def _laid_out(self, model: nn.Module) -> bool:
        if self.channels_last is not None:
            return self.channels_last
        return any(isinstance(module, nn.Conv2d) for module in model.modules())


@dataclass(frozen=True)
class Device:
    """Where a model computes: device and type of its values, and how images come to it."""

    device: torch.device
    dtype: torch.dtype | None
    channels_last: bool
    autocast: Half | None

    def precision(self) -> AbstractContextManager[Any]:
        """A `with` in which the model computes as precisely as was asked for."""
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(self.device.type, _HALVES[self.autocast])

    def stacked(self, images: Sequence[Tensor], pinned: bool = False) -> Tensor:
        """Images as one batch on the device; if `pinned`, the copy may still be on its way."""
        x = torch.stack(list(images))
        if self.dtype is not None:
            x = x.to(self.dtype)
        if self.channels_last and x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        if pinned:
            x = x.pin_memory()
        return x.to(self.device, non_blocking=pinned)

    def fed(
        self, batches: Iterable[Batch], images: Callable[[Batch], Sequence[Tensor]]
    ) -> Iterator[tuple[Batch, Tensor | None]]:
        """Every batch with its `images` on the device, None where there are none.

        On a GPU the next ones are copied from pinned memory, on a stream of their own, while one is
        computed.
        """
        if self.device.type != "cuda":
            for batch in batches:
                found = images(batch)
                yield batch, self.stacked(found) if found else None
            return
        stream = torch.cuda.Stream(self.device)
        waiting: deque[tuple[Batch, Tensor | None, torch.cuda.Event]] = deque()
        for batch in batches:
            found = images(batch)
            with torch.cuda.stream(stream):
                x = self.stacked(found, pinned=True) if found else None
                waiting.append((batch, x, stream.record_event()))
            if len(waiting) > IN_FLIGHT:
                yield self._arrived(*waiting.popleft())
        while waiting:
            yield self._arrived(*waiting.popleft())

    def _arrived(
        self, batch: Batch, x: Tensor | None, event: torch.cuda.Event
    ) -> tuple[Batch, Tensor | None]:
        here = torch.cuda.current_stream(self.device)
        here.wait_event(event)
        if x is not None:
            # Its memory was given out on the other stream, and must not be given away too early.
            x.record_stream(here)
        return batch, x


def usable_device(name: torch.device | str) -> torch.device:
    """The device of that name, tried by putting a number there.

    Raises CodeclensError where there is no such device, or none that can be used here.

    >>> usable_device("cpu")
    device(type='cpu')
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, ValueError) as error:  # whatever torch lacks for it
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise CodeclensError(
            f'The device "{name}" cannot be used here ({reason}); usable are '
            f"{', '.join(_usable())}."
        ) from error
    return device


def default_device(environment: Mapping[str, str] | None = None) -> torch.device:
    """The GPU of this process where there is one, else the processor.

    Where a launcher started several processes on a machine, each has its own GPU, in turns, by
    `LOCAL_RANK` or `SLURM_LOCALID`.

    >>> default_device().type in ("cpu", "cuda")
    True
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        return torch.device("cpu")
    given = os.environ if environment is None else environment
    place = given.get("LOCAL_RANK", given.get("SLURM_LOCALID", "0"))
    return torch.device("cuda", int(place) % count if place.isdigit() else 0)


def _usable() -> list[str]:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return ['"cpu"', *(f'"cuda:{number}"' for number in range(count))]


_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")
# The limit of a container, and what it uses, by the two generations of control groups.
_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def free_memory() -> int:
    """Bytes that programs can still take without swapping, as far as the system tells.

    >>> free_memory() > 0
    True
    """
    free = [_available()]
    for limit, used in _LIMITS:
        try:
            # Files that the system keeps in memory count as used, and give way.
            left = int(Path(limit).read_text()) - int(Path(used).read_text()) + _cached()
            free.append(max(0, left))
        except (OSError, ValueError):
            continue
    return min(free)


def peak_memory() -> int:
    """The most bytes of memory that this process has had so far."""
    # The kernel of Linux counts in kB, that of macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def in_words(size: float) -> str:
    """A size with three digits at most.

    >>> in_words(999), in_words(1_234_567), in_words(2.5e10)
    ('999 bytes', '1.23 MB', '25 GB')
    """
    for unit in _UNITS:
        if abs(size) < 999.5 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.3g} {unit}"


def counted(number: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "site"), counted(2000, "sample")
    ('1 site', '2,000 samples')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _available() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if "MemAvailable" in line))
    except (OSError, StopIteration):
        # No Linux: all that there is.
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _cached() -> int:
    try:
        lines = Path("/sys/fs/cgroup/memory.stat").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("inactive_file ")))
    except (OSError, StopIteration):
        return 0


_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# timm's: a convolution that pads by itself, and a batch norm with an activation of its own behind.
_TIMM_CONVOLUTION, _TIMM_NORM = "Conv2dSame", "BatchNormAct2d"
# Of the largest output, for a few samples.
MOST_CHANGED = 3e-3


def folded(
    model: nn.Module, x: Tensor, sites: Sequence[Site] = (), output: Selector = None
) -> nn.Module:
    """A copy of the model that computes the same with fewer operations, up to rounding.

    Where a batch norm takes what a convolution gives, as one forward of a few samples `x` shows,
    the convolution does both. Layers that `sites` look at stay. Raises CodeclensError where there
    is nothing to fold, and where the copy's output for `x` differs by more than 0.3 %.

    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    >>> folded(model, torch.randn(2, 3, 8, 8))[1]
    Identity()
    """
    with frozen(model), same_randomness(model), torch.no_grad(), _pairs(model, sites) as pairs:
        before = run(model, x, output)
    if not pairs:
        raise CodeclensError(
            "The model has no batch norm behind a convolution of its own; run without "
            "fold_batchnorm."
        )
    copy = deepcopy(model)
    with frozen(copy):
        for convolution, norm in pairs:
            layers: Any = copy.get_submodule(convolution), copy.get_submodule(norm)
            _set(copy, convolution, fuse_conv_bn_eval(*layers))
            _set(copy, norm, _behind(layers[1]))
        with same_randomness(model), torch.no_grad():
            after = run(copy, x, output)
    changed = float((after - before).abs().max() / before.abs().max().clamp(min=1e-12))
    if not changed <= MOST_CHANGED:
        raise CodeclensError(
            f"Folding batch norms changes the model's output by {changed:.1%}: a convolution's "
            "output is used elsewhere, too; run without fold_batchnorm."
        )
    return copy


@contextmanager
def _pairs(model: nn.Module, sites: Sequence[Site]) -> Iterator[list[tuple[str, str]]]:
    """Names of convolutions and of the batch norms that take their output, as forwards show them.

    The list is filled when the model has run and the `with` is left.
    """
    looked_at = {(site.name, site.port) for site in sites}
    calls: Counter[str] = Counter()
    given: dict[int, tuple[str, Tensor]] = {}
    met: list[tuple[str, str]] = []
    found: list[tuple[str, str]] = []

    def gives(name: str, output: Tensor) -> None:
        calls[name] += 1
        # The tensor is kept, so that its number is not given to another one.
        given[id(output)] = name, output

    def takes(name: str, values: tuple[Any, ...]) -> None:
        calls[name] += 1
        if values and id(values[0]) in given:
            met.append((given[id(values[0])][0], name))

    with ExitStack() as stack:
        for name, module in model.named_modules():
            if _is_convolution(module) and not module._forward_pre_hooks:
                hook = module.register_forward_hook(lambda _m, _i, o, n=name: gives(n, o))
                stack.callback(hook.remove)
            elif _is_norm(module) and module.running_mean is not None:
                before = module.register_forward_pre_hook(lambda _m, i, n=name: takes(n, i))
                stack.callback(before.remove)
        yield found
    found += [
        (convolution, norm)
        for convolution, norm in met
        if calls[convolution] == calls[norm] == 1
        and (convolution, "output") not in looked_at
        and (norm, "input") not in looked_at
    ]


def _is_convolution(module: nn.Module) -> bool:
    return type(module) in _CONVOLUTIONS or type(module).__name__ == _TIMM_CONVOLUTION


def _is_norm(module: nn.Module) -> bool:
    return type(module) in _NORMS or type(module).__name__ == _TIMM_NORM


def _behind(norm: nn.Module) -> nn.Module:
    """What is left of a norm that is folded: its own activation, if it has one."""
    own = OrderedDict(norm.named_children())
    return nn.Sequential(own) if own else nn.Identity()


def _set(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
