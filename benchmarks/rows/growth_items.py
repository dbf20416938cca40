"""How a request, top lists, a training step and its memory grow with the catalogue."""

from __future__ import annotations

from functools import partial
from statistics import median

from harness.clock import measure, peak_megabytes
from harness.counts import Shapes, optimiser, request
from harness.data import made_up_split
from harness.floor import floor_seconds
from harness.models import configure, ready_model
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
    model, _ = train_epochs(config, split, 1, reporter=steps)
    memory = peak_megabytes()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    histories = [split.histories[user] for user in range(USERS)]
    shapes = Shapes.of(config, items)
    size = f"{items:,} items"

    def point(what: str, unit: str, values: list[float], wall: list[float], floor: float | None) -> Result:
        note = "moving the optimiser's numbers alone" if "step" in what else ""
        return Result(
            f"{what}: {size}", unit, values, wall=wall, floor=floor, note=note, series=f"{AXIS} / {what}", at=items
        )

    least = floor_seconds(settings, optimiser(parameters))
    results = [
        point("training step, sampled softmax", "ms", _ms(steps.times.cpu), steps.times.wall, least and 1000 * least),
        Result(
            f"memory of training, sampled softmax: {size}", "MB", [memory], "peak", series=f"{AXIS} / memory", at=items
        ),
    ]
    scorer = ModelScorer(ready_model(config, split))
    del model
    lists = measure(partial(top_k, scorer, histories, 20), settings.repeats)
    results.append(point("top 20, a user of 256", "ms", [1000 * t / USERS for t in lists.cpu], lists.wall, None))
    recommender = saved(config, split)
    named = [split.vocabulary.decode(history) for history in histories[:REQUESTS]]
    answers = measure(lambda: [recommender.recommend(histories=[history], k=10) for history in named], settings.repeats)
    length = int(median(len(history) for history in named))
    least = floor_seconds(settings, request(shapes, length))
    per_request = [1000 * time / REQUESTS for time in answers.cpu]
    results.append(point("one request, top 10", "ms", per_request, answers.wall, least and 1000 * least))
    return results


def _ms(seconds: list[float]) -> list[float]:
    return [1000 * time for time in seconds]
