"""Threads of a process: the cores there are for it, and how its threads wait for work without taking those of others.

Importing this loads no library: what it says must be known before torch is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

POLICY = "OMP_WAIT_POLICY"
"""The variable of the OpenMP standard that says how threads wait; who sets it has chosen."""
SHORT_WAITS = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"}
"""How long waiting threads spin before they sleep, in GCC's OpenMP (turns of a loop) and in LLVM's (milliseconds)."""


def short_waits(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what to add to the variables of a process so that its waiting threads soon sleep.

    OpenMP reads them when it is loaded, which `import torch` does. Nothing is added that is set already.

    Args:
        environment: variables of the process.
    """
    if POLICY in environment:
        return {}
    return {name: value for name, value in SHORT_WAITS.items() if name not in environment}


def waits(environment: Mapping[str, str]) -> dict[str, str]:
    """Return those of the variables of a process that say how its threads wait."""
    return {name: environment[name] for name in (POLICY, *SHORT_WAITS) if name in environment}


def usable_cores() -> int:
    """Return how many cores this process may use."""
    usable: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable is not None else os.cpu_count() or 1
