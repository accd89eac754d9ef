"""Computing: devices, memory, precision and folded batch norms of an extraction."""

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

from codeclens.attribution import Inputs, Selector, Site
from codeclens.attribution.capture import frozen, run, same_randomness
from codeclens.errors import CodeclensError, unknown

Half = Literal["bfloat16", "float16"]
Batch = TypeVar("Batch")
_HALVES: dict[str, torch.dtype] = {"bfloat16": torch.bfloat16, "float16": torch.float16}
# Batches copied to a GPU while it computes another.
IN_FLIGHT = 2


@dataclass(frozen=True)
class Computing:
    """Options that trade memory layout and precision for speed.

    `channels_last` stores the channels of each pixel together, which changes results only by
    rounding; by default it is used where it helps. `fold_batchnorm` folds batch norms into
    convolutions in a private copy of the model (see `folded`). `autocast` computes matrix products
    in half precision and sums contributions in single precision. Raises CodeclensError for an
    unknown precision.
    """

    channels_last: bool | None = None
    fold_batchnorm: bool = False
    autocast: Half | None = None

    def __post_init__(self) -> None:
        if self.autocast is not None and self.autocast not in _HALVES:
            raise unknown("autocast precision", self.autocast, _HALVES)

    @property
    def settings(self) -> dict[str, Any] | None:
        """The options that change numbers by more than rounding; None if they have the defaults."""
        if not self.fold_batchnorm and self.autocast is None:
            return None
        return {"fold_batchnorm": self.fold_batchnorm, "autocast": self.autocast}

    def on(self, model: nn.Module) -> Device:
        """The device of a model, with these options."""
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                last = self.channels_last
                if last is None:
                    last = any(isinstance(module, nn.Conv2d) for module in model.modules())
                return Device(tensor.device, tensor.dtype, last, self.autocast)
        return Device(torch.device("cpu"), None, False, self.autocast)


@dataclass(frozen=True)
class Device:
    """The device and data type of a model, and how images are copied to it."""

    device: torch.device
    dtype: torch.dtype | None
    channels_last: bool
    autocast: Half | None

    def precision(self) -> AbstractContextManager[Any]:
        """A context in which the model computes with the requested precision."""
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(self.device.type, _HALVES[self.autocast])

    def stacked(self, images: Sequence[Any], pinned: bool = False) -> Any:
        """Images as one batch on the device; with `pinned`, the copy may still be in progress."""
        if isinstance(images[0], Inputs):
            return Inputs.joined(images).to(self.device, self.dtype)
        x = torch.stack(list(images))
        if self.dtype is not None:
            x = x.to(self.dtype)
        if self.channels_last and x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        if pinned:
            x = x.pin_memory()
        return x.to(self.device, non_blocking=pinned)

    def fed(
        self, batches: Iterable[Batch], images: Callable[[Batch], Sequence[Any]]
    ) -> Iterator[tuple[Batch, Any]]:
        """Every batch with its `images` on the device, or None if it has no images.

        On a GPU, the next batches are copied from pinned memory on a separate stream while one is
        computed.
        """
        if self.device.type != "cuda":
            for batch in batches:
                found = images(batch)
                yield batch, self.stacked(found) if found else None
            return
        stream = torch.cuda.Stream(self.device)
        waiting: deque[tuple[Batch, Any, torch.cuda.Event]] = deque()
        for batch in batches:
            found = images(batch)
            with torch.cuda.stream(stream):
                x = self.stacked(found, pinned=True) if found else None
                waiting.append((batch, x, stream.record_event()))
            if len(waiting) > IN_FLIGHT:
                yield self._arrived(*waiting.popleft())
        while waiting:
            yield self._arrived(*waiting.popleft())

    def _arrived(self, batch: Batch, x: Any, event: torch.cuda.Event) -> tuple[Batch, Any]:
        here = torch.cuda.current_stream(self.device)
        here.wait_event(event)
        if isinstance(x, Tensor):
            # The other stream allocated its memory, and must not reuse it too early.
            x.record_stream(here)
        return batch, x


def usable_device(name: torch.device | str) -> torch.device:
    """The device of that name, after a test allocation.

    Raises CodeclensError if the device does not exist or cannot be used here.

    >>> usable_device("cpu")
    device(type='cpu')
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).tolist()  # the device "meta" has no values
    except (RuntimeError, AssertionError, ValueError) as error:  # all that torch raises here
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        usable = ['"cpu"', *(f'"cuda:{number}"' for number in range(_gpus()))]
        raise CodeclensError(
            f'The device "{str(name)[:80]}" cannot be used here ({reason[:200]}); usable devices: '
            f"{', '.join(usable)}."
        ) from error
    return device


def default_device(environment: Mapping[str, str] | None = None) -> torch.device:
    """The GPU of this process if there is one, else the CPU.

    If a launcher started several processes on a machine, `LOCAL_RANK` or `SLURM_LOCALID` assigns
    them to its GPUs in turn.

    >>> default_device().type in ("cpu", "cuda")
    True
    """
    if not (count := _gpus()):
        return torch.device("cpu")
    given = os.environ if environment is None else environment
    rank = given.get("LOCAL_RANK", given.get("SLURM_LOCALID", "0"))
    return torch.device("cuda", int(rank) % count if rank.isdigit() else 0)


def _gpus() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")
# Memory limit and usage of a container, in versions 2 and 1 of control groups.
_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def free_memory() -> int:
    """Bytes that programs can still allocate without swapping, as reported by the system.

    >>> free_memory() > 0
    True
    """
    free = [_available()]
    for limit, used in _LIMITS:
        try:
            # Cached files count as used, but the system frees them on demand.
            left = int(Path(limit).read_text()) - int(Path(used).read_text()) + _cached()
            free.append(max(0, left))
        except (OSError, ValueError):
            continue
    return min(free)


def peak_memory() -> int:
    """The peak memory of this process so far, in bytes."""
    # Linux counts in kB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def in_words(size: float) -> str:
    """A number of bytes with a unit and at most three digits.

    >>> in_words(999), in_words(1_234_567), in_words(2.5e10)
    ('999 bytes', '1.23 MB', '25 GB')
    """
    for unit in _UNITS:
        if abs(size) < 999.5 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.3g} {unit}"


def _available() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if "MemAvailable" in line))
    except (OSError, StopIteration):
        # Other systems: total memory.
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _cached() -> int:
    try:
        lines = Path("/sys/fs/cgroup/memory.stat").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("inactive_file ")))
    except (OSError, StopIteration):
        return 0


_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# timm's convolution with its own padding, and its batch norm followed by an activation.
_TIMM_CONVOLUTION, _TIMM_NORM = "Conv2dSame", "BatchNormAct2d"
# Relative to the largest output of a few samples.
MOST_CHANGED = 3e-3


def folded(
    model: nn.Module, x: Any, sites: Sequence[Site] = (), output: Selector = None
) -> nn.Module:
    """A copy of the model in which convolutions include the batch norms that follow them.

    One forward pass of a few samples `x` finds the pairs. Layers at `sites` are kept. The output
    is the same up to rounding. Raises CodeclensError if there is nothing to fold, and if the
    copy's output for `x` differs by more than 0.3 %.

    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    >>> folded(model, torch.randn(2, 3, 8, 8))[1]
    Identity()
    """
    with frozen(model), same_randomness(model), torch.no_grad(), _pairs(model, sites) as pairs:
        before = run(model, x, output)
    if not pairs:
        raise CodeclensError(
            "The model has no convolution followed by its own batch norm; run without "
            "fold_batchnorm."
        )
    copy = deepcopy(model)
    with frozen(copy):
        for convolution, norm in pairs:
            layers: Any = copy.get_submodule(convolution), copy.get_submodule(norm)
            _set(copy, convolution, fuse_conv_bn_eval(*layers))
            # What remains of timm's norm is its activation.
            rest = OrderedDict(layers[1].named_children())
            _set(copy, norm, nn.Sequential(rest) if rest else nn.Identity())
        with same_randomness(model), torch.no_grad():
            after = run(copy, x, output)
    changed = float((after - before).abs().max() / before.abs().max().clamp(min=1e-12))
    if not changed <= MOST_CHANGED:
        raise CodeclensError(
            f"Folding batch norms changes the model's output by {changed:.1%}: a convolution's "
            "output is also used elsewhere; run without fold_batchnorm."
        )
    return copy


@contextmanager
def _pairs(model: nn.Module, sites: Sequence[Site]) -> Iterator[list[tuple[str, str]]]:
    """Names of convolutions and of the batch norms that receive their output.

    The model must run inside the `with`; the list is filled when the `with` ends.
    """
    looked_at = {(site.name, site.port) for site in sites}
    calls: Counter[str] = Counter()
    given: dict[int, tuple[str, Tensor]] = {}
    met: list[tuple[str, str]] = []
    found: list[tuple[str, str]] = []

    def gives(name: str, output: Tensor) -> None:
        calls[name] += 1
        # Keep the tensor, so that no other tensor gets its id.
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


def _set(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
