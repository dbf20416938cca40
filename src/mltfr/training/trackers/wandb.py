"""Weights & Biases."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from mltfr.training.trackers.tracker import PROJECT, Tracker

QUIET: dict[str, Any] = {
    "console": "off", "disable_git": True, "disable_code": True, "x_disable_meta": True, "x_disable_stats": True,
    "x_disable_machine_info": True, "x_save_requirements": False, "reinit": "create_new",
}  # fmt: skip
"""It sends what it is told, and not the terminal, the code, the machine or its use, which it does by default."""


class WandbTracker(Tracker):
    """Sends a fit to Weights & Biases, or with `WANDB_MODE=offline` to a folder here.

    `WANDB_PROJECT` names the project. The terminal's text, code, and facts about the machine are not sent.
    """

    extra: ClassVar[str] = "wandb"
    package: ClassVar[str] = "wandb"
    remedy: ClassVar[str] = "Log in with `wandb login`, keep it here with WANDB_MODE=offline, or leave the tracker out."

    def open(self, name: str, settings: Mapping[str, Any]) -> Any:
        """Open a run."""
        project = os.environ.get("WANDB_PROJECT") or PROJECT
        own = self.library.Settings
        quiet = own(**{key: value for key, value in QUIET.items() if key in own.model_fields})
        return self.library.init(project=project, name=name, config=dict(settings), settings=quiet)

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Send numbers of an optimisation step."""
        self.run.log(dict(numbers), step=step)

    def finish(self, complete: bool) -> None:
        """Close the run."""
        self.run.finish(exit_code=0 if complete else 1)
