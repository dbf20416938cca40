"""Recommenders that are made of finished runs: of one, or of several that are blended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from mltfr.errors import ConfigError, shown
from mltfr.inference import Retriever
from mltfr.pipeline.artifact import load_artifact
from mltfr.pipeline.blend import blend
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.updatable import Updatable
from mltfr.training import Callback, Console


class Loadable(Updatable):
    """A recommender that may be a finished run, or the blend of several."""

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a run folder, after checking every file.

        Raises:
            RunError: there is no finished run, it is damaged, or from another version.
        """
        return cls._of(load_artifact(Path(path)), Path(path))

    @classmethod
    def blend(
        cls,
        runs: Iterable[Updatable | str | Path],
        weights: Sequence[float] | None = None,
        out: str | Path | None = None,
        *,
        callback: Callback | None = None,
    ) -> Self:
        """Return the recommender whose scores are the weighted mean of the probabilities of several others.

        A network's probabilities are the softmax of its scores over all items. A baseline's scores are shared out:
        those of `popularity` and `markov` are probabilities but for a factor, `item-knn` and `ease` give every item
        its share of the squared scores above zero. A run that is a blend itself stands for its members; a blend of one
        run is that run.

        Args:
            runs: fitted recommenders or run folders, networks and baselines, of the same log, filters and split. The
                first one's settings say how scores are measured.
            weights: one for every run, in any unit; by default those under which the validation targets are most
                probable, drawn a little towards equal ones.
            out: run folder to write, which needs the members' folders no more; None keeps everything in memory.
            callback: called on progress; by default the console (stderr).

        Raises:
            DataError: the runs are of other data, filters, splits or items; the message says what differs.
            ConfigError: the weights are no weights of these runs, or there is no validation split to choose them on.
            RunError: one of them is not fitted, or `out` holds something else.
        """
        members = _named(runs)
        folder = Path(out) if out is not None else None
        return cls._of(blend(members, folder, weights, callback=callback or Console()), folder)

    @classmethod
    def _of(cls, fitted: FittedModel, folder: Path | None) -> Self:
        recommender = cls(config=fitted.config)  # type: ignore[call-arg]
        recommender._fitted = fitted, Retriever(fitted.scorer, folder)
        return recommender


def _named(runs: Iterable[Updatable | str | Path]) -> dict[str, FittedModel | Path]:
    """Return fitted models and run folders by name: that of the folder, or else of the backbone, with a number."""
    if isinstance(runs, str | Path | Updatable):
        raise ConfigError(f"runs is {shown(runs)}; expected a list of run folders or fitted recommenders.")
    folders: list[Path | None] = []
    found: list[FittedModel | Path] = []
    for run in runs:
        if isinstance(run, Updatable):
            fitted, retriever = run._of_fit()
            found.append(fitted)
            folders.append(retriever.folder)
        else:
            found.append(Path(run))
            folders.append(Path(run))
    titles = [run.config.title if isinstance(run, FittedModel) else "" for run in found]
    names = [title if folder is None else folder.resolve().name for folder, title in zip(folders, titles, strict=True)]
    twice = {name for name in names if names.count(name) > 1}
    numbered = [f"{name} ({number})" if name in twice else name for number, name in enumerate(names, start=1)]
    return dict(zip(numbered, found, strict=True))
