"""Memory: how much of it is free; sizes and numbers in words."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

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
