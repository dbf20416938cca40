"""What all experiment trackers have in common: what is sent, in which words, and what happens when one fails."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from importlib import import_module
from typing import Any, ClassVar

from mltfr.errors import MissingExtraError, MltfrError, MltfrWarning
from mltfr.training.callbacks import Callback, Record, flatten

PROJECT = "mltfr"
"""Project, or experiment, that runs are put into where the tracker's own variables name none."""
OTHERS = ("zero_branch", "popularity", "baselines")
"""What `metrics.json` has scores of beside the run itself."""


class TrackerError(MltfrError):
    """An experiment tracker could not be started."""


class Tracker(Callback):
    """Sends the settings of a fit, every epoch and the final scores to an experiment tracker.

    Settings are named as on the command line (`training.batch_size`), numbers of an epoch as in `log.jsonl`
    (`validation/ndcg@10`), and the final scores `scores/test/ndcg@10`. Users, items and the log are not sent, nor
    what of the settings may tell of them or of this machine. Where it goes, under which account and project, is what
    the tracker's own variables and files say.

    A tracker that cannot be started stops the fit before it trains; one that fails later is left alone, with a warning.

    Attributes:
        extra: name of the tracker, of its extra and of the package that is imported.
        package: name of the package that is installed.
        remedy: what to do where it cannot be started.
    """

    extra: ClassVar[str]
    package: ClassVar[str]
    remedy: ClassVar[str]

    def __init__(self) -> None:
        try:
            with redirect_stdout(sys.stderr):
                self.library: Any = import_module(self.extra)
        except ImportError as error:
            raise MissingExtraError(self.package, self.extra) from error
        self.run: Any = None
        self.step = 0

    def on_fit_start(self, name: str, settings: Mapping[str, Any]) -> None:
        """Open a run with the settings.

        Raises:
            TrackerError: the tracker cannot be started.
        """
        self.step = 0
        try:
            with redirect_stdout(sys.stderr):
                self.run = self.open(name, settings)
        except Exception as error:  # trackers raise errors of many libraries
            raise TrackerError(f"{self.extra}: could not be started ({_reason(error)}). {self.remedy}") from error

    def on_resume(self, history: Sequence[Record]) -> None:
        """Send the epochs before: a fit that goes on is a new run of the tracker, with all epochs."""
        for record in history:
            self.on_epoch_end(record)

    def on_epoch_end(self, record: Record) -> None:
        """Send every number of the record, under its step."""
        numbers = flatten(record)
        self.step = int(numbers.pop("step"))
        self._send(self.log, numbers, self.step)

    def on_fit_end(self, metrics: Mapping[str, Any] | None) -> None:
        """Send the final scores, if there are any, and close the run: as failed where there are none."""
        if metrics is not None:
            found = {name: metrics[name] for name in OTHERS if name in metrics}
            found[metrics.get("split", "test")] = metrics.get("metrics", {})
            found |= {"validation": validation["metrics"]} if (validation := metrics.get("validation")) else {}
            self._send(self.log, flatten(found, "scores/"), self.step)
        self._send(self.finish, metrics is not None)
        self.run = None

    def open(self, name: str, settings: Mapping[str, Any]) -> Any:
        """Open a run and return it.

        Args:
            name: what the run is called.
            settings: every setting by its dotted key.
        """
        raise NotImplementedError

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Send numbers of an optimisation step."""
        raise NotImplementedError

    def finish(self, complete: bool) -> None:
        """Close the run; one that is not complete was stopped or has failed."""
        raise NotImplementedError

    def _send(self, send: Callable[..., None], *given: Any) -> None:
        """Send something where the run is open; after an error, warn, and leave the tracker alone."""
        if self.run is None:
            return
        try:
            with redirect_stdout(sys.stderr):
                send(*given)
        except Exception as error:  # see above
            self.run = None
            warnings.warn(
                f"{self.extra}: failed, and is told no more of this fit, which goes on ({_reason(error)}).",
                MltfrWarning,
                stacklevel=2,
            )


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
