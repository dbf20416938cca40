"""How a training step and inference grow with the histories' length."""

from __future__ import annotations

from functools import partial

import numpy as np

from harness.clock import measure, peak_megabytes
from harness.counts import Shapes, inference, training
from harness.data import made_up_split
from harness.floor import floor_seconds
from harness.models import configure, ready_model
from harness.result import Result
from harness.settings import Settings
from harness.trainer import StepTimes, train_epochs
from mltfr.inference import ModelScorer, top_k

ITEMS, BATCH, STEPS, USERS, AXIS = 12_101, 32, 3, 64, "history length"


def grow(settings: Settings) -> list[Result]:
    """Histories that are all as long as the model reads."""
    length = settings.point
    split = made_up_split(ITEMS, (STEPS + 1) * BATCH, settings.seed, length + 3, length + 3)
    config = configure(settings, f"backbone.max_length={length}", f"training.batch_size={BATCH}")
    steps = StepTimes()
    model, _ = train_epochs(config, split, 1, callback=steps)
    memory = peak_megabytes()
    scorer = ModelScorer(ready_model(config, split))
    histories = [split.histories[user] for user in range(USERS)]
    lists = measure(partial(top_k, scorer, histories, 20), settings.repeats)
    shapes, same = Shapes.of(config, ITEMS), np.full(BATCH, length)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    step = floor_seconds(settings, training(shapes, same, same, "bce", 1, parameters, BATCH))
    user = floor_seconds(settings, inference(shapes, same[:1]))
    size = f"length {length}"

    def point(what: str, values: list[float], wall: list[float], floor: float | None) -> Result:
        milliseconds = [1000 * time for time in values]
        least = None if floor is None else 1000 * floor
        series = f"{AXIS} / {what}"
        return Result(f"{what}: {size}", "ms", milliseconds, wall=wall, floor=least, series=series, at=length)

    return [
        point(f"training step, bce, batch {BATCH}", steps.times.cpu, steps.times.wall, step),
        point(f"top 20, a user of {USERS}", [time / USERS for time in lists.cpu], lists.wall, user),
        Result(f"memory of training: {size}", "MB", [memory], "peak", series=f"{AXIS} / memory", at=length),
    ]
