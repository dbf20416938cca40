"""A cell of a study, and the labels that tell it from others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from mltfr.pipeline import RunConfig
from mltfr.pipeline.config import BlendConfig


class Group(NamedTuple):
    """The labels of a cell without its seed; cells of one group are tuned together.

    The window is that of a rolling split, and "" where the data set has none. The draw is that of a control's random
    vectors; the first is 0.
    """

    data: str
    backbone: str
    fusion: str
    tables: str
    window: str = ""
    draw: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """Those that tell it from others: without a window where there is none, and without the first draw."""
        more = [self.window] * bool(self.window) + [f"draw-{self.draw}"] * bool(self.draw)
        return (self.data, self.backbone, self.fusion, self.tables, *more)

    @property
    def name(self) -> str:
        """Name of a file or folder: the labels and a hash, since labels may contain hyphens."""
        return slug(*self.labels)

    def __str__(self) -> str:
        return " / ".join(filter(None, self.labels))


@dataclass(frozen=True)
class Cell:
    """One run of the grid.

    Attributes:
        group: its labels; fusion and tables are "" for a baseline, tables also for a fusion that reads none.
        seed: its seed.
        config: its complete settings; the teacher of one that learns from another cell is that one's label.
        baseline: whether it is one of the untrained baselines.
        needs: the cells that it is made of, by their labels: the members of a blend, or the teacher.
    """

    group: Group
    seed: int
    config: RunConfig
    baseline: bool = False
    needs: Mapping[str, Cell] = field(default_factory=dict)

    @property
    def is_blend(self) -> bool:
        """Whether it is the blend of the cells that it needs."""
        return isinstance(self.config.backbone, BlendConfig)

    @property
    def is_trained(self) -> bool:
        """Whether it is a fit of a backbone: neither a baseline nor a blend."""
        return not self.baseline and not self.is_blend

    @property
    def label(self) -> str:
        """What the study calls its row: its fusion, blend or baseline."""
        return self.group.fusion or self.group.backbone

    @property
    def name(self) -> str:
        """Name of its folder."""
        return slug(*self.group.labels, f"s{self.seed}")

    def with_config(self, config: RunConfig) -> Cell:
        """Return the cell with other settings and its own seed."""
        return replace(self, config=config.model_copy(update={"seed": self.seed}))


def slug(*labels: str) -> str:
    """Return a readable name of labels that no other labels have."""
    digest = hashlib.sha256(json.dumps(labels).encode()).hexdigest()
    return "-".join([*filter(None, labels), digest[:6]])
