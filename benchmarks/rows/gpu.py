"""Training on a GPU: steps launched one operation at a time against captured ones, and cells that share the card."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch

from harness.clock import Stopwatch, Times, alternate
from harness.data import read_split
from harness.models import configure
from harness.result import Result
from harness.settings import Settings, Skipped
from harness.tables import get_tables
from harness.trainer import Stepper, train_epochs
from harness.worker import run_row
from mltfr.training.batch import Batch

BATCHES = 64
EPOCHS = 4
TOGETHER = (1, 2, 4)
ON_GPU = "training.device=cuda"


def steps_bce(settings: Settings) -> list[Result]:
    """With the loss whose step is cheapest."""
    return _steps(settings, "bce", "positions")


def steps_cross_entropy(settings: Settings) -> list[Result]:
    """With the loss over all items."""
    return _steps(settings, "cross_entropy", "positions")


def steps_cross_entropy_prefixes(settings: Settings) -> list[Result]:
    """The default way of training, in float32 and in bfloat16."""
    return _steps(settings, "cross_entropy", "prefixes") + _steps(
        settings, "cross_entropy", "prefixes", "training.precision=bf16"
    )


def epochs(settings: Settings) -> list[Result]:
    """Whole epochs by the training loop, the making of batches and the capture of steps included."""
    split = read_split(settings)
    name = _card()
    results = []
    for fusion in ("none", "mltfr"):
        tables, _ = get_tables(settings, 3) if fusion == "mltfr" else ([], "")
        config = configure(
            settings, ON_GPU, *ONE_ROUND[fusion], loss="cross_entropy", samples="prefixes", fusion=fusion, tables=tables
        )
        _, times = train_epochs(config, split, EPOCHS, tables)
        what = f"epoch on a GPU: cross_entropy, samples = prefixes, fusion {fusion}"
        results.append(Result(f"{what}, the first", "s", times.wall[:1], "wall", note=name))
        results.append(Result(f"{what}, later ones", "s", times.wall[1:], "wall", note=name))
    return results


ONE_ROUND = {"none": (), "mltfr": ("fusion.consensus_weight=0",)}


def sharing(settings: Settings) -> list[Result]:
    """Trainings in processes of their own at the same time, as the cells of a study: seconds for each."""
    name = _card()
    results = []
    for together in TOGETHER:
        watch = Stopwatch()
        train = partial(run_row, "rows.gpu", "epochs", settings, settings.threads, 600.0)
        with ThreadPoolExecutor(together) as pool:
            answers = [each.result() for each in [pool.submit(train) for _ in range(together)]]
        failed = [answer for answer in answers if "results" not in answer]
        if failed:
            raise RuntimeError(str(failed[0]))
        _, wall = watch.lap()
        what = f"{together} training(s) at a time on one GPU, process start included: seconds for each"
        results.append(Result(what, "s", [wall / together], "wall", note=name))
    return results


def _steps(settings: Settings, loss: str, samples: str, *more: str) -> list[Result]:
    split = read_split(settings)
    name = _card()
    steppers: dict[tuple[int, bool], Stepper] = {}
    for number in (0, 1, 3):
        tables, _ = get_tables(settings, number) if number else ([], "")
        for graphs in (False, True):
            fusion = "mltfr" if number else "none"
            captured = f"training.advanced.cuda_graphs={str(graphs).lower()}"
            config = configure(
                settings, ON_GPU, captured, *more, loss=loss, samples=samples, fusion=fusion, tables=tables
            )
            steppers[number, graphs] = stepper = Stepper(config, split, tables)
            stepper.refresh(settings.seed)
    batches = steppers[0, False].batches(BATCHES, settings.seed)
    sides = {key: [partial(_run, stepper, batches)] for key, stepper in steppers.items()}
    times = alternate(sides, settings.repeats, warm_up=2)
    results = []
    for (number, graphs), found in times.items():
        way = "captured" if graphs else "operation by operation"
        what = f"step on a GPU, {way}: {', '.join([loss, f'samples = {samples}', *more, f'{number} table(s)'])}"
        results.append(Result(what, "ms", [1000 * wall / BATCHES for wall in found.wall], "wall", note=name))
        if graphs:
            ratios = _ratios(times[number, False], found)
            results.append(Result(f"{what}: times as fast", "x", ratios, "ratio of wall"))
        if number and graphs:
            ratios = _ratios(found, times[0, True])
            results.append(Result(f"{what}: over the bare step", "x", ratios, "ratio of wall"))
    return results


def _run(stepper: Stepper, batches: list[Batch]) -> None:
    for batch in batches:
        stepper.run(batch)
    torch.cuda.synchronize()


def _ratios(times: Times, base: Times) -> list[float]:
    return [own / other for own, other in zip(times.wall, base.wall, strict=True)]


def _card() -> str:
    if not torch.cuda.is_available():
        raise Skipped("no CUDA device")
    return torch.cuda.get_device_name()
