"""The number of processors usable by this process."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_CGROUP_V1 = _CGROUPS / "cpu/cpu.cfs_quota_us", _CGROUPS / "cpu/cpu.cfs_period_us"


def usable_processors() -> int:
    """Processors that the scheduler lets this process use, less where a container's or service's quota is smaller.

    At least 1.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, _quota())))


def _quota() -> float:
    """Processors' worth of time that the control groups grant; infinite where they say nothing."""
    return min(map(_granted, _limits()), default=math.inf)


def _limits() -> Iterator[tuple[str, ...]]:
    """Quota and period of each group that this process is in; the smallest counts."""
    for folder in _folders():
        try:
            yield tuple((folder / "cpu.max").read_text().split())
        except OSError:  # the outermost group of a machine has none
            continue
    try:
        yield tuple(path.read_text().strip() for path in _CGROUP_V1)
    except OSError:
        return


def _folders() -> Iterator[Path]:
    """Our own group of the unified hierarchy, and those around it. In a container ours looks like the outermost."""
    try:
        found = re.search(r"^0::/(.*)$", _OWN.read_text(), re.MULTILINE)
    except OSError:
        found = None
    own = _CGROUPS / found[1] if found else _CGROUPS
    yield own
    yield from (folder for folder in own.parents if folder.is_relative_to(_CGROUPS))


def _granted(limit: tuple[str, ...]) -> float:
    try:
        quota, period = limit
        return math.inf if quota == "max" or int(quota) <= 0 else int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return math.inf
