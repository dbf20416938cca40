"""The end of a search: a blend, the choice, the test score, the leaderboard and the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mltfr.evaluation import Evaluation, evaluate
from mltfr.evaluation.mixture import target_probabilities
from mltfr.pipeline import FittedModel, load_artifact
from mltfr.pipeline.artifact import open_run, remove_run, save_artifact
from mltfr.pipeline.blend import seconds_of_a_request
from mltfr.pipeline.report_metrics import score_and_judge
from mltfr.pipeline.score_difference import ScoreDifference, compare_scores
from mltfr.search.blends import CANDIDATES, Blended, find_blend
from mltfr.search.clock import Clock, at_the_end
from mltfr.search.folder import BEST, LEADERBOARD, REFITTED
from mltfr.search.rows import FLOOR, Row, in_order, write_board
from mltfr.storage.duration import duration
from mltfr.storage.progress import Progress
from mltfr.training import Callback

BLEND = "blend"
"""Name of the blend's row."""
CHEAPER = 3.0
"""Times that a run has to be cheaper than the best one to be recommended in its place."""
AFTER_A_BLEND = 0.3
"""Share of what is kept for the end that a blend leaves to the test and the report."""
UNTIMED = 0.05
"""Share of the time that has to be left for requests to be timed."""
FAR = 0.5
"""Share of the best score below which a run is not compared with it."""


@dataclass(frozen=True)
class Found:
    """What a search has found.

    Attributes:
        best: the row that was chosen on validation, with its test score.
        rows: everything that was tried, best first.
        metric: what decided.
        blended: the blend that was tried, whether it is kept or not; None where none was.
        cheap: a row that is far cheaper than the best and not worse but for noise; None where there is none. It may be
            better: trials are not chosen among baselines.
        difference: of the best and that row, user by user on validation.
        popularity: the test score of popularity.
    """

    best: Row
    rows: list[Row]
    metric: str
    blended: Blended | None
    cheap: Row | None
    difference: ScoreDifference | None
    popularity: float

    @property
    def lines(self) -> list[str]:
        """What there is to say, a sentence or two each; the first one is the verdict."""
        best, metric = self.best, self.metric
        said = [
            f"Best on validation: {best.name}, {metric} {best.value:.4f}; on test {best.test:.4f} "
            f"(popularity {self.popularity:.4f}), scored once, after it was chosen."
        ]
        if best.value is not None and best.test is not None:
            said.append(
                f"Validation minus test is {best.value - best.test:+.4f}: that much of the validation score is the "
                "choice among many, later interactions, or both. Count on the test score."
            )
        if self.cheap is not None and self.difference is not None:
            stands = "is better" if self.difference.worse else "is within noise of it"
            said.append(
                f"{self.cheap.name} {stands} (validation {metric} {self.cheap.value:.4f}, difference "
                f"{self.difference.difference:+.4f} a user, {self.difference}) and took "
                f"{duration(self.cheap.seconds)} instead of {duration(best.seconds)}. It is recommended."
            )
        if self.blended is not None:
            gain, kept = self.blended.gain, "is kept" if self.blended.fitted is not None else "is not kept"
            said.append(
                f"A blend of {', '.join(self.blended.members)} {kept}: it gains {gain.difference:+.4f} a user on "
                f"validation over the best single one (95 % interval {gain.low:+.4f} to {gain.high:+.4f})."
            )
        return said


def finish(
    folder: Path, rows: Sequence[Row], metric: str, clock: Clock, progress: Progress, kind: str | None = None
) -> Found:
    """Choose, score test once, and write the best run and the leaderboard.

    Args:
        folder: the search folder.
        rows: everything that was tried, best first; at least one is finished.
        metric: what decides.
        clock: the time of the search.
        progress: receives what takes time.
        kind: kind of the rows among which is chosen, without a blend; None for all, and a blend of them.
    """
    finished = [row for row in rows if row.state == "finished"]
    kept = [row for row in finished if kind in (None, row.kind) and (folder / row.run).exists()]
    best_row = kept[0]
    runs = {row.name: folder / row.run for row in kept[: CANDIDATES if kind is None else 1]}
    fitted = first = load_artifact(folder / best_row.run)
    evaluation = _validate(first, progress)
    timed: dict[str, float] = {}

    def time_request(name: str, each: FittedModel) -> None:
        if clock.left > UNTIMED * clock.seconds:
            timed[name] = round(1000 * seconds_of_a_request(each.scorer(), each), 3)

    def probabilities(name: str) -> npt.NDArray[np.float64]:
        """Time a run and return how probable the targets are; beside the best run it alone is loaded."""
        each = first if name == kept[0].name else load_artifact(runs[name])
        time_request(name, each)
        return target_probabilities([each.model.scorer()], each.split, each.protocol(), progress)[:, 0]

    blended = None
    if len(runs) > 1:
        progress.message("choosing a blend")
        reserve = AFTER_A_BLEND * at_the_end(clock.seconds)
        blended = find_blend(runs, first, evaluation, probabilities, metric, lambda: clock.left - reserve, progress)
    else:  # there is nothing to blend
        time_request(best_row.name, first)
    rows = [replace(row, milliseconds=timed.get(row.name)) for row in rows]
    if blended is not None and blended.fitted is not None:
        fitted, evaluation = blended.fitted, blended.evaluation
        parts = [row for row in finished if row.name in blended.members]
        best_row = Row(
            BLEND, "blend", "finished", evaluation.metrics[metric], BEST,
            seconds=sum(row.seconds for row in parts) + blended.seconds,
            milliseconds=fitted.facts[BLEND]["request"]["blend"],
        )  # fmt: skip
        rows = [best_row, *rows]
    best_row = next(row for row in rows if row.run == best_row.run)
    cheap, difference = _cheapest(folder, rows, best_row, evaluation, metric, clock, progress)
    document = _write_best(folder / BEST, fitted, progress)
    popularity = document["popularity"][metric]
    tested = {best_row.run: document["metrics"][metric]}
    tested |= {row.run: popularity for row in rows if row.name == FLOOR}
    rows = in_order(replace(row, test=tested.get(row.run)) for row in rows)
    best_row = next(row for row in rows if row.run == best_row.run)
    write_board(rows, folder / LEADERBOARD)
    return Found(best_row, rows, metric, blended, cheap, difference, popularity)


def _validate(fitted: FittedModel, progress: Progress) -> Evaluation:
    return evaluate(fitted.scorer(), fitted.split, "validation", fitted.protocol(), progress=progress)


def _cheapest(
    folder: Path,
    rows: Sequence[Row],
    best: Row,
    evaluation: Evaluation,
    metric: str,
    clock: Clock,
    progress: Progress,
) -> tuple[Row | None, ScoreDifference | None]:
    """Return the cheapest row that is not visibly worse than the best one, and far cheaper, with the difference."""
    least = FAR * (best.value or 0.0)
    for row in sorted(rows, key=lambda row: row.seconds):
        there = row.state == "finished" and (folder / row.run).exists()
        if not there or row.value is None or row.value < least or clock.left < 0:
            continue
        if row.seconds * CHEAPER > best.seconds:
            break
        validated = _validate(load_artifact(folder / row.run), progress)
        difference = compare_scores(row.name, evaluation, validated, metric)
        if difference is not None and not difference.better:
            return row, difference
    return None, None


def _write_best(folder: Path, fitted: FittedModel, progress: Progress) -> dict[str, dict[str, float]]:
    """Score test, once, and write the run; return the document of its scores."""
    for run in (folder, folder.parent / REFITTED):  # of a command that was killed here, or of an earlier choice
        remove_run(run)
    progress.message("scoring test, once")
    with open_run(folder, resume=False):
        document = score_and_judge(fitted, folder.name, Callback(), alone=True)
        save_artifact(replace(fitted, metrics={**fitted.metrics, **document}), folder)
    return document
