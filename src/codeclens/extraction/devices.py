"""Devices: where to compute, by name."""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch

from codeclens.errors import CodeclensError


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
