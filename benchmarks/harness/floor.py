"""How fast this machine is, and the time that it needs at least for work that was counted."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

from harness.clock import Times, peak_megabytes
from harness.counts import Work
from harness.result import Result
from harness.settings import Settings

ITEMS, HIDDEN, TOKENS, CHUNK, USERS = 12_101, 64, 1024, 64, 256
SECONDS = 0.7
"""How long each rate is looked for; the best counts, since a floor is what the machine can do undisturbed."""


def rates(settings: Settings) -> list[Result]:
    """Measure what the machine does a second, on the threads that the rows use."""
    import mltfr.evaluation
    import mltfr.training  # noqa: F401
    from mltfr.training.device import make_device  # noqa: F401

    imports = peak_megabytes()
    import torch

    from mltfr.kernels.products import ROWS, large_products

    def large(action: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            with large_products(ROWS):
                action()

        return run

    torch.set_num_threads(settings.threads)
    torch.set_grad_enabled(False)
    make = torch.randn
    tokens = make(TOKENS, HIDDEN)
    layers = [make(HIDDEN, width * HIDDEN) for width in (1, 3, 4)]
    pairs = [(tokens, layer) for layer in layers] + [(tokens @ layer, layer.T) for layer in layers]
    items, positions, users = make(ITEMS, HIDDEN), make(HIDDEN, CHUNK), make(USERS, HIDDEN)
    wide, scores = make(ITEMS, CHUNK), make(USERS, ITEMS)
    big, other, vector = make(1 << 19, HIDDEN), make(1 << 19, HIDDEN), make(HIDDEN)
    numbers = make(1 << 15)
    one = 2.0 * ITEMS * HIDDEN
    products = sum(2.0 * left.numel() * right.shape[1] for left, right in pairs)
    size = big.numel() * 4.0
    return [
        Result(
            "matrix products of the blocks",
            "GFLOP/s",
            [products / _best(large(lambda: [left @ right for left, right in pairs])) / 1e9],
        ),
        Result(
            "matrix products with all items",
            "GFLOP/s",
            [
                one * CHUNK / _best(large(lambda: torch.mm(items, positions, out=wide))) / 1e9,
                one * USERS / _best(large(lambda: torch.mm(users, items.T, out=scores))) / 1e9,
            ],
        ),
        Result("exponentials", "G/s", [numbers.numel() / _best(lambda: numbers.clone().exp_()) / 1e9]),
        Result("memory copied, read and written", "GB/s", [2 * size / _best(lambda: other.copy_(big)) / 1e9]),
        Result("memory scanned", "GB/s", [size / _best(lambda: torch.mv(big, vector)) / 1e9]),
        Result("cache scanned", "GB/s", [items.numel() * 4 / _best(lambda: torch.mv(items, vector)) / 1e9]),
        Result("import of torch", "s", _import_torch(settings.repeats)),
        Result("memory after the imports", "MB", [imports], "peak"),
    ]


NAMES = ("products", "logits", "exponentials", "moved", "scanned", "cached", "import_seconds", "import_megabytes")


def by_name(results: list[Result]) -> dict[str, float]:
    """Return the rates under the names of `Work`'s fields: the best of each, per second."""
    figures = [max(result.values) * (1e9 if "/s" in result.unit else 1) for result in results]
    found = dict(zip(NAMES, figures, strict=True))
    return found | {"import_seconds": min(results[NAMES.index("import_seconds")].values)}


def floor_seconds(settings: Settings, work: Work) -> float | None:
    """Return the least time for some work; None where no rates were measured.

    The parts are added up: on one core nothing overlaps but loads with arithmetic, and bytes are counted only where
    there is no arithmetic.
    """
    if settings.rates is None:
        return None
    return sum(getattr(work, name) / settings.rates[name] for name in vars(work))


def floor_ratio(settings: Settings, added: Work, base: Times) -> float | None:
    """Return the least ratio that an addition leads to: its own floor over what it is added to, as measured."""
    more = floor_seconds(settings, added)
    return None if more is None else 1 + more / median(base.cpu)


def floor_megabytes(settings: Settings, parameters: int, interactions: int) -> float | None:
    """Return the least memory of training: the imports, weight, gradient and two moments of every parameter, the log.

    A code has four bytes, and so has each of its places in the samples.
    """
    if settings.rates is None:
        return None
    return settings.rates["import_megabytes"] + (16 * parameters + 8 * interactions) / 1e6


def _best(action: Callable[[], object]) -> float:
    """Return the shortest time that an action takes; CPU time, so that other processes do not count."""
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        begun = time.process_time()
        action()
        best = min(best, time.process_time() - begun)
    return best


def _import_torch(repeats: int) -> list[float]:
    """Return the CPU seconds of a process that does nothing but import torch."""
    child = "import time, torch; print(time.process_time())"
    return [
        float(subprocess.run([sys.executable, "-c", child], check=True, capture_output=True, text=True).stdout)
        for _ in range(max(2, repeats))
    ]
