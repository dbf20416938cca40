"""What the fusion adds to a training step: the same batches, bare and fused, in turn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from harness.clock import alternate, measure, ratios
from harness.data import read_split
from harness.floor import floor_ratio, floor_seconds
from harness.models import added_to_epoch, configure, epoch_work
from harness.result import Budget, Result
from harness.settings import Settings
from harness.tables import get_tables
from harness.trainer import Stepper
from mltfr.training.batch import Batch

STEPS = 16
REFERENCE_STEPS = 2


def step_bce(settings: Settings) -> list[Result]:
    """With the loss whose bare step is cheapest."""
    return _steps(settings, "bce", "positions", Budget(2, 1.3))


def step_cross_entropy(settings: Settings) -> list[Result]:
    """With the loss over all items."""
    return _steps(settings, "cross_entropy", "positions", Budget(2, 1.3))


def step_cross_entropy_prefixes(settings: Settings) -> list[Result]:
    """The default way of training."""
    return _steps(settings, "cross_entropy", "prefixes", Budget(2, 1.3))


def step_reference(settings: Settings) -> list[Result]:
    """The published arithmetic, over the bare step of its own preset."""
    split = read_split(settings)
    bare = Stepper(configure(settings, preset="reference"), split)
    results = []
    for number in (1, 2, 3, 4):
        tables, origin = get_tables(settings, number, raw=True)
        fused = Stepper(configure(settings, fusion="mltfr", tables=tables, preset="reference"), split, tables)
        batches = bare.batches(REFERENCE_STEPS, settings.seed)
        times = alternate({"bare": _run(bare, batches), "fused": _run(fused, batches)}, min(2, settings.repeats))
        what = f"published arithmetic over bare step: bce, {number} table(s){_rows(number)}"
        results.append(Result(what, "x", ratios(times["fused"], times["bare"]), "ratio of CPU", note=origin))
    return results


def refresh(settings: Settings) -> list[Result]:
    """Choosing the shortlists, as a share of the epoch that follows."""
    split = read_split(settings)
    results = []
    for number in (3, 4):
        tables, origin = get_tables(settings, number)
        fused = Stepper(configure(settings, fusion="mltfr", tables=tables), split, tables)
        refreshed = measure(partial(fused.refresh, settings.seed), settings.repeats)
        run = _run(fused, fused.batches(STEPS, settings.seed))
        stepped = alternate({"": run}, settings.repeats)[""]
        epochs = [time / STEPS * fused.batches_of_an_epoch for time in stepped.cpu]
        shares = [100 * own / (own + epoch) for own, epoch in zip(refreshed.cpu, epochs, strict=True)]
        what = f"refresh of the shortlists, {number} tables{_rows(number)}"
        results += [
            Result(what, "s", refreshed.cpu, wall=refreshed.wall, note=origin),
            Result(f"{what}: share of an epoch, bce, samples = positions", "%", shares, "ratio of CPU"),
        ]
    return results


def _steps(settings: Settings, loss: str, samples: str, budget: Budget) -> list[Result]:
    split = read_split(settings)
    steppers = {0: Stepper(configure(settings, loss=loss, samples=samples), split)}
    origins = {}
    for number in (1, 2, 3, 4):
        tables, origins[number] = get_tables(settings, number)
        config = configure(settings, loss=loss, samples=samples, fusion="mltfr", tables=tables)
        steppers[number] = Stepper(config, split, tables)
        steppers[number].refresh(settings.seed)
    batches = steppers[0].batches(STEPS, settings.seed)
    times = alternate({n: _run(stepper, batches) for n, stepper in steppers.items()}, settings.repeats, warm_up=2)
    per_step = [1000 * time / STEPS for time in times[0].cpu]
    base = epoch_work(configure(settings, loss=loss, samples=samples), split, _trained(steppers[0]))
    epoch = floor_seconds(settings, base)
    bare = None if epoch is None else 1000 * epoch / steppers[0].batches_of_an_epoch
    results = [Result(f"bare step: {loss}, samples = {samples}", "ms", per_step, floor=bare)]
    for number, origin in origins.items():
        what = f"mltfr step over bare step: {loss}, samples = {samples}, {number} table(s){_rows(number)}"
        values = ratios(times[number], times[0])
        tables, _ = get_tables(settings, number)
        config = configure(settings, loss=loss, samples=samples, fusion="mltfr", tables=tables)
        parameters = _trained(steppers[number]) - _trained(steppers[0])
        more = added_to_epoch(config, split, parameters, tables) * (STEPS / steppers[0].batches_of_an_epoch)
        least = floor_ratio(settings, more, times[0])
        results.append(Result(what, "x", values, "ratio of CPU", budget=budget, note=origin, floor=least))
    return results


def _run(stepper: Stepper, batches: list[Batch]) -> list[Callable[[], object]]:
    return [partial(stepper.run, batch) for batch in batches]


def _trained(stepper: Stepper) -> int:
    return sum(parameter.numel() for parameter in stepper.model.parameters() if parameter.requires_grad)


def _rows(number: int) -> str:
    return ", one of 262,144 rows" if number == 4 else ""
