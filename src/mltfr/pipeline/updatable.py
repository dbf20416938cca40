"""The fitted model behind a recommender, and how later rows come into it."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any, Self

from mltfr.errors import RunError
from mltfr.inference import Retriever
from mltfr.interactions import InteractionLog
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.inputs import read_new_rows
from mltfr.pipeline.update import update
from mltfr.training import Callback, Console


class Updatable:
    """A recommender whose fitted model can be looked at, and updated with later rows.

    Attributes:
        config: every setting.
    """

    config: RunConfig
    _fitted: tuple[FittedModel, Retriever] | None = None  # replaced as a whole: other threads see one model
    _wider: tuple[FittedModel, FittedModel, Retriever] | None = None  # the first one with its new items

    @property
    def fitted(self) -> FittedModel:
        """The model with the data it was fitted to.

        Raises:
            RunError: nothing is fitted yet.
        """
        return self._of_fit()[0]

    @property
    def metrics(self) -> dict[str, Any]:
        """The document of `metrics.json`: test, validation, zero-branch and baseline scores, and the verdict."""
        return self.fitted.metrics

    def update(
        self,
        log: InteractionLog | Any,
        out: str | Path | None = None,
        *,
        epochs: int = 0,
        resume: bool = False,
        callback: Callback | None = None,
        stop: Event | None = None,
    ) -> Self:
        """Take rows that came after the log of the fit into the histories; with epochs, train on with them.

        Args:
            log: the new rows, of known and new users: an `InteractionLog`, or whatever `load_interactions` takes.
                Rows that are not later than the last one of the fit are left out.
            out: run folder to write; None keeps everything in memory.
            epochs: epochs, at most, that training goes on from the weights as they are; 0 trains nothing. The newest
                fifth of the new rows is not trained on: it chooses the epoch, and is scored.
            resume: see `fit`.
            callback: see `fit`.
            stop: see `fit`.

        Raises:
            DataError: the log is not usable, no row of it is later, or too few to train on.
            RunError: nothing is fitted yet, or `out` holds something else.
        """
        parent, retriever = self._of_fit()
        folder, new = Path(out) if out is not None else None, read_new_rows(parent.config, log)
        name = retriever.folder.resolve().name if retriever.folder is not None else None
        how: dict[str, Any] = {"epochs": epochs, "resume": resume, "callback": callback or Console(), "stop": stop}
        updated, rows = update(parent, new, folder, name, **how)
        rows.warn()
        self._fitted, self.config = (updated, Retriever(updated.scorer, folder)), updated.config
        return self

    def _asked(self, new_items: bool) -> tuple[FittedModel, Retriever]:
        """Return the fitted model and its retriever, or those that know the items too that training has not seen."""
        fitted, retriever = self._of_fit()
        if not new_items:
            return fitted, retriever
        if (made := self._wider) is None or made[0] is not fitted:
            wider = fitted.with_new_items()
            made = self._wider = fitted, wider, Retriever(wider.scorer)
        return made[1:]

    def _of_fit(self) -> tuple[FittedModel, Retriever]:
        if self._fitted is None:
            raise RunError("This recommender is not fitted yet. Call fit(log), or Recommender.load(folder).")
        return self._fitted
