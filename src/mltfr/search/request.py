"""What a search is asked for, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mltfr.search.rows import Row
from mltfr.study.config import DataConfig

PresetName = Literal["quick", "good", "best"]
OnError = Literal["continue", "abort"]


@dataclass(frozen=True)
class Request:
    """What is searched, and for how long.

    Attributes:
        data: the data set, with the names of its items among its settings.
        seconds: the time that it may take.
        settings: settings of all runs.
        preset: how much is tried: `quick`, `good` or `best`.
        trials: networks with drawn settings; None for as many as preset and time allow.
        metric: validation metric that decides.
        tokens: token tables that are tried.
        seed: seed of draws and trainings.
        threads: threads of a process.
        jobs: processes at once; None for as many as the cores allow.
        on_error: whether the search goes on after a failure, or ends.
        refit: whether what is chosen is fitted anew on all of the log at the end, behind the time.
    """

    data: DataConfig
    seconds: float
    settings: Mapping[str, Any] = field(default_factory=dict)
    preset: PresetName = "good"
    trials: int | None = None
    metric: str = "ndcg@10"
    tokens: tuple[str, ...] = ()
    seed: int = 0
    threads: int = 1
    jobs: int | None = None
    on_error: OnError = "continue"
    refit: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a search.

    Attributes:
        rows: everything that was tried, best first.
        lines: what there is to say, the verdict first; empty where it did not come to its end.
        failures: last errors by the names of rows.
        aborted: whether it ended because of one.
        recommended: the run folder, relative to the search's, of a run that is far cheaper than the best one and not
            worse but for noise; None where there is none.
        refitted: the run folder, likewise, of what was refitted; None where nothing was.
    """

    rows: list[Row]
    lines: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    aborted: bool = False
    recommended: str | None = None
    refitted: str | None = None
