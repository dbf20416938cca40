"""Where a run stands: against the best quick baseline and without its fusion, and how its training ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from mltfr.baselines import BASELINES
from mltfr.evaluation import Evaluation
from mltfr.interactions.splits.new_items import NEW_ITEMS
from mltfr.pipeline.branches import Branches
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.score_difference import ScoreDifference, compare_scores
from mltfr.pipeline.training_end import End
from mltfr.storage.adapter import adapter_of

TEST, VALIDATION = "test", "validation"
Scores = Mapping[str, Evaluation]
"""The evaluations of one scorer by the split."""


@dataclass(frozen=True)
class RunVerdict:
    """What the scores of a run say, in numbers; as a text, in words.

    Attributes:
        backbone: name of the backbone, or of the baseline that the run is.
        fusion: name of its fusion.
        metric: what is compared, `RunConfig.judged_by`.
        score: the run's test score.
        baseline: against the baseline with the best validation score; None without one, or with a single user.
        member: of a blend, against the member with the best validation score; None for other runs, or one user.
        branches: on validation, against the same model without its fusion, and with a constant in its place; None
            without a fusion, or a validation split.
        named: whether items have names, in a blend those of a member.
        skipped: baselines that would take long on this log, with their estimated seconds.
        end: how training ended; None for a baseline, and where an update trained nothing.
        users: users of the test split.
        examples: its examples; the scores are means over them.
        histories_only: whether it is one on the new rows of an update that trained nothing.
        new_items: whether the items to be found are none of training's, so that few baselines can rank them.
    """

    backbone: str
    fusion: str
    metric: str
    score: float
    baseline: ScoreDifference | None = None
    member: ScoreDifference | None = None
    branches: Branches | None = None
    named: bool = False
    skipped: dict[str, float] = field(default_factory=dict)
    end: End | None = None
    users: int = 0
    examples: int = 0
    histories_only: bool = False
    new_items: bool = False

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        return adapter_of(cls).validate_python(dict(document))

    def to_json(self) -> dict[str, Any]:
        """Return what stands in `metrics.json`."""
        document: dict[str, Any] = adapter_of(type(self)).dump_python(self, mode="json")
        return document

    def __str__(self) -> str:
        return "\n".join(filter(None, [*self._lines(self._may_help()), self._next()]))

    @property
    def standing(self) -> str:
        """The words without what to do and to try next."""
        return "\n".join(filter(None, self._lines()))

    def _lines(self, may_help: str = "") -> list[str]:
        fusion = self.branches.in_words(self.fusion, self.metric) if self.branches is not None else ""
        fusion = f"{fusion} {may_help}".strip()
        return [self._against_its_members(), self._against_baselines(), fusion, str(self.end or ""), self._skips()]

    def _against_its_members(self) -> str:
        other = self.member
        if other is None:
            return ""
        return f"{_standing(other)} {other.name}, its best member on validation: {self._numbers(other)}."

    def _against_baselines(self) -> str:
        other = self.baseline
        if other is None:
            return ""
        chosen = "the best quick baseline on validation"
        if self.histories_only:
            chosen = "the baseline that the run before was compared with"
        elif self.new_items:
            chosen = "the quick baseline that can rank these items"
        chosen = "" if other.name == "popularity" else f", {chosen}"
        return f"{_standing(other)} {other.name}{chosen}: {self._numbers(other)}."

    def _may_help(self) -> str:
        """Return what to do where the fusion brings nothing, or no more than a constant."""
        branches, blend = self.branches, self.backbone == "blend"
        if branches is None or branches.gains:
            return ""
        if branches.harms:
            return "Blend runs of --fusion none." if blend else "Use --fusion none."
        what = "What helps is a constant, not what is read in tables or histories." * branches.is_a_constant
        ways = []
        if not self.named:
            ways.append("members with item names" if blend else "item names (--item-names FILE)")
        if self.baseline is not None and self.baseline.name != "popularity" and not (blend or self.new_items):
            ways.append(f"a blend with {self.baseline.name} (mltfr blend)")
        return f"{what} What may help{' more' * branches.is_a_constant}: {', '.join(ways)}.".strip() if ways else what

    def _skips(self) -> str:
        return " ".join(
            f"{name} was not fitted: it would take about {seconds:,.0f} s here (mltfr baselines fits it)."
            for name, seconds in self.skipped.items()
        )

    def _next(self) -> str:
        """Return what to try next; what is cheapest to learn from comes first."""
        if self.histories_only:
            return "Only the histories were updated; with --epochs 5 the model learns from the new rows too."
        other, steps = self.baseline, []
        if self.end is not None and self.end.cut_off and not self.end.in_vain:
            steps.append(f"more epochs (--epochs {self.end.trained * 4})")
        if other is not None and other.worse and not self.new_items:  # which no baseline keeps
            steps.append(f"--backbone {other.name}, as long as nothing beats it")
        if self.member is not None and not self.member.better:
            alone = f"{self.member.name} alone" if self.backbone == "blend" else "training.keep_rounds = false"
            steps.append(f"{alone}, which costs no more")
        if steps:
            return f"Next, try {'; '.join(steps)}."
        if self.end is None and self.backbone != "blend":
            return "Next, try a backbone (--backbone sasrec --fusion none): it has to beat this."
        if other is not None and not other.better:
            take = f"Next, take --backbone {other.name}, which costs seconds, unless another backbone beats it."
            return "" if self.new_items else take
        if self.branches is not None and not self.branches.gains:
            return ""
        return "Next, see whether it holds for other seeds: mltfr study."

    def _numbers(self, other: ScoreDifference) -> str:
        several = self.examples > self.users
        examples = f" over {self.examples:,} examples" if several else ""
        each = f", each of {self.users:,} users counting once" if several else ""
        return (
            f"test {self.metric} {self.score:.4f} against {other.score:.4f}{examples}, difference "
            f"{other.difference:+.4f} a user{each} ({other})"
        )


def _standing(other: ScoreDifference) -> str:
    return "Better than" if other.better else "Worse than" if other.worse else "Undecided against"


def make_verdict(
    config: RunConfig,
    run: Scores,
    baselines: Mapping[str, Scores],
    branches: Branches | None,
    end: End | None,
    skipped: dict[str, float],
    chosen: str | None = None,
    member: tuple[str, Evaluation] | None = None,
) -> RunVerdict:
    """Return the verdict of a run; the baseline is chosen on validation, and compared on test.

    Of items that training does not have, only a baseline that reads names can find one.

    Args:
        config: the run's settings.
        run: its evaluations.
        baselines: those of the baselines beside it.
        branches: what its fusion brings.
        end: how its training ended.
        skipped: baselines that were left out, with their estimated seconds.
        chosen: the baseline to compare with of an update that trained nothing, which has no validation split.
        member: a blend's best member on validation, by name, and its evaluation on test.
    """
    metric, test = config.judged_by, run[TEST]
    new_items = config.split.method == NEW_ITEMS
    if new_items:
        baselines = {name: scores for name, scores in baselines.items() if BASELINES.get(name).cls.reads_names}
    known = {name: scores[VALIDATION].metrics[metric] for name, scores in baselines.items() if VALIDATION in scores}
    best = chosen if chosen in baselines else max(known, key=known.__getitem__, default=None)
    return RunVerdict(
        backbone=config.backbone.name,
        fusion=config.fusions,
        metric=metric,
        score=test.metrics[metric],
        baseline=compare_scores(best, test, baselines[best][TEST], metric) if best is not None else None,
        member=compare_scores(member[0], test, member[1], metric) if member is not None else None,
        branches=branches,
        named=any(each.names.are_used for each in config.singles),
        skipped=skipped,
        end=end,
        users=len(np.unique(test.user)),
        examples=len(test.user),
        histories_only=chosen is not None,
        new_items=new_items,
    )
