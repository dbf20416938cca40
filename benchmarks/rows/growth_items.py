"""How a request, top lists, a training step and its memory grow with the catalogue."""

from __future__ import annotations

from functools import partial
from statistics import median

import numpy as np

from harness.clock import measure, peak_megabytes
from harness.counts import Shapes, inference, request
from harness.data import made_up_split
from harness.floor import floor_megabytes, floor_seconds
from harness.models import configure, epoch_work, ready_model
from harness.result import Result
from harness.settings import Settings
from harness.trainer import StepTimes, train_epochs
from mltfr.inference import ModelScorer, top_k
from rows.requests import saved

USERS, STEPS, REQUESTS, AXIS = 256, 8, 30, "items"


def grow(settings: Settings) -> list[Result]:
    """One size of the catalogue; memory is read after training, before anything else is built."""
    items = settings.point
    split = made_up_split(items, (STEPS + 1) * 128, settings.seed)
    config = configure(settings, loss="sampled_softmax")
    steps = StepTimes()
    model, _ = train_epochs(config, split, 1, callback=steps)
    memory = peak_megabytes()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    histories = [split.histories[user] for user in range(USERS)]
    shapes = Shapes.of(config, items)
    step = floor_seconds(settings, epoch_work(config, split, parameters) * (1 / steps.steps))
    lengths = np.array([len(history) for history in histories])
    lists_floor = floor_seconds(settings, inference(shapes, lengths) * (1 / USERS))
    answer = floor_seconds(settings, request(shapes, int(median(lengths[:REQUESTS]))))
    size = f"{items:,} items"

    def point(what: str, values: list[float], wall: list[float], floor: float | None) -> Result:
        milliseconds, series = [1000 * time for time in values], f"{AXIS} / {what}"
        least = None if floor is None else 1000 * floor
        return Result(f"{what}: {size}", "ms", milliseconds, wall=wall, floor=least, series=series, at=items)

    scorer = ModelScorer(ready_model(config, split))
    del model
    lists = measure(partial(top_k, scorer, histories, 20), settings.repeats)
    recommender = saved(config, split)
    named = [split.vocabulary.decode(history) for history in histories[:REQUESTS]]
    answers = measure(lambda: [recommender.recommend(histories=[history], k=10) for history in named], settings.repeats)
    return [
        point("training step, sampled softmax", steps.times.cpu, steps.times.wall, step),
        Result(
            f"memory of training, sampled softmax: {size}",
            "MB",
            [memory],
            "peak",
            floor=floor_megabytes(settings, parameters, len(split.histories.items)),
            series=f"{AXIS} / memory",
            at=items,
        ),
        point(f"top 20, a user of {USERS}", [time / USERS for time in lists.cpu], lists.wall, lists_floor),
        point("one request, top 10", [time / REQUESTS for time in answers.cpu], answers.wall, answer),
    ]
