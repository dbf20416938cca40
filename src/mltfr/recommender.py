"""The public object: fit, evaluate, recommend, similar_items, explain, export, save, load, share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Event
from typing import Any, Self, get_args

import polars as pl

from mltfr.config import load_toml
from mltfr.errors import ConfigError, one_of
from mltfr.evaluation import Evaluation, SplitName, evaluate
from mltfr.hub import Shareable
from mltfr.inference import (
    IndexReport,
    RecommendationSpec,
    Retriever,
    Rules,
    UnknownUsers,
    answer,
    requests_of,
    similar_items,
)
from mltfr.inference.recommend import check_k
from mltfr.interactions import InteractionLog, PreparedSet
from mltfr.interactions.item_names import named
from mltfr.memory import TrainingMemory
from mltfr.pipeline import (
    RunConfig,
    estimate_fit,
    fit,
    open_run,
    read_new_rows,
    resolve,
    save_artifact,
    to_evaluate,
)
from mltfr.pipeline.inputs import check_files, read_log
from mltfr.pipeline.names import named_as
from mltfr.storage.progress import SILENT, Progress
from mltfr.training import Callback, Console


class Recommender(Shareable):
    """A sequential recommender that draws on token tables.

    Once fitted or loaded, any number of threads may ask it at a time, and each gets what it would get alone. While
    `fit` runs in one thread, the others go on with the model before; two fits at a time need two processes.

    Args:
        backbone: name of the sequence encoder, see `mltfr.backbones.BACKBONES`; or of a baseline without training,
            see `mltfr.baselines.BASELINES`.
        fusion: name of the fusion; "none" for the bare backbone, and always with a baseline.
        tokens: names of token tables, as a list or separated by commas; by default three that need no account.
        preset: "default", or "reference" for the published arithmetic and settings.
        seed: random seed.
        epochs: maximum number of epochs in all; of two rounds, the first one gets at most half of them, and each gets
            one at least.
        settings: further settings, as texts such as `"training.batch_size=128"` or as a dict, nested or with such keys.
        config: complete settings, or a dict or the path of a TOML file with some; the other arguments override
            these, and cannot be given beside complete settings.
        words: domain words, for the fusion "external".
        item_vectors: Parquet or safetensors file with a vector for every item, for the fusion "adapter".
        item_names: what the items are called: a file or table of item ids and words, texts by item id, or "ids".
        name_columns: its columns that are read, as a list or separated by commas; by default all that hold words.
        new_items: whether items among these names that training has not seen get vectors too.
        teacher: run folder of a teacher, from whose probabilities the model learns beside the targets.

    Raises:
        ConfigError: an unknown name or setting, a value out of range, or arguments beside complete settings.
    """

    def __init__(
        self,
        backbone: str | None = None,
        fusion: str | None = None,
        tokens: Iterable[str] | str | None = None,
        preset: str | None = None,
        seed: int | None = None,
        epochs: int | None = None,
        settings: Iterable[str] | Mapping[str, Any] | str = (),
        config: RunConfig | Mapping[str, Any] | str | Path | None = None,
        words: Iterable[str] | None = None,
        item_vectors: str | Path | None = None,
        item_names: Any = None,
        name_columns: Iterable[str] | str | None = None,
        new_items: bool | None = None,
        teacher: str | Path | None = None,
    ) -> None:
        flags: dict[str, Any] = {
            "preset": preset, "backbone": backbone, "fusion": fusion, "tokens": tokens,
            "seed": seed, "epochs": epochs, "words": words,
            "item_vectors": str(item_vectors) if item_vectors is not None else None,
            "item_names": named_as(item_names),
            "name_columns": name_columns,
            "new_items": new_items,
            "teacher": str(teacher) if teacher is not None else None,
        }
        if isinstance(config, RunConfig):
            given = [name for name, value in flags.items() if value is not None] + ["settings"] * bool(settings)
            if given:
                raise ConfigError(
                    f"config holds complete settings, so {', '.join(given)} cannot be given beside it. "
                    "Leave config out, give the path of a TOML file instead, or change the RunConfig itself."
                )
            self.config = config
        else:
            file = load_toml(Path(config)) if isinstance(config, str | Path) else config
            self.config = resolve(file=file, overrides=settings, **flags)
        self._names = item_names

    def __repr__(self) -> str:
        return f"Recommender({self._fitted[0] if self._fitted else f'{self.config.title}, not fitted'})"

    def fit(
        self,
        log: InteractionLog | PreparedSet | Any,
        out: str | Path | None = None,
        *,
        resume: bool = False,
        callback: Callback | None = None,
        stop: Event | None = None,
    ) -> Self:
        """Split the log, train on its training split, choose on validation, and score test once.

        Args:
            log: an `InteractionLog`, a `PreparedSet`, or whatever `load_interactions` takes.
            out: run folder to write, with checkpoints on the way; None keeps everything in memory.
            resume: continue an interrupted run in `out`; a finished one of the same settings and log is loaded.
            callback: called on progress; by default the console (stderr).
            stop: when set, training writes a checkpoint and raises `mltfr.training.Interrupted`.

        Raises:
            DataError: the log is not usable.
            TokenTableError: a table is unknown or cannot be had.
            RunError: `out` holds something else, or a checkpoint of other data or settings.
        """
        folder, told = Path(out) if out is not None else None, callback or Console()
        check_files(self.config, folder)
        log = read_log(self.config, log)
        fitted = fit(self.config, log, folder, resume=resume, callback=told, stop=stop, names=self._names)
        self._fitted = fitted, Retriever(fitted.scorer, folder)
        return self

    def estimate(self, log: InteractionLog | Any) -> TrainingMemory:
        """Return how much memory `fit` would take with this log, without fitting.

        Args:
            log: an `InteractionLog`, or whatever `load_interactions` takes.

        Raises:
            ConfigError: a baseline, of which nothing is known before.
        """
        return estimate_fit(self.config, read_log(self.config, log))

    def evaluate(
        self,
        split: SplitName = "test",
        *,
        log: InteractionLog | Any = None,
        details: bool = True,
        zero_branch: bool = False,
        progress: Progress = SILENT,
    ) -> Evaluation:
        """Rank the held-out targets of a split among all items that training knows.

        Args:
            split: "test" or "validation".
            log: rows that came after the log of the fit, scored instead of "test": each is predicted from all that
                its user did before. An `InteractionLog`, or whatever `load_interactions` takes.
            details: whether to look beyond accuracy and at slices too.
            zero_branch: score with the fusion's correction set to zero.
            progress: receives how many users are done.

        Raises:
            ConfigError: an unknown split, or a zero branch of a baseline.
            DataError: no row of `log` is later than the fit's, or none has anything of its user before it.
            RunError: nothing is fitted yet.
        """
        if split not in get_args(SplitName):
            raise ConfigError(f"Unknown split {split!r}. {one_of(str(split), get_args(SplitName))}")
        fitted = self.fitted
        if log is not None:
            fitted, new = to_evaluate(fitted, read_new_rows(fitted.config, log))
            new.warn()
        fitted = fitted.for_test() if split == "test" else fitted
        scorer = fitted.zero_branch() if zero_branch else fitted.scorer()
        if scorer is None:
            raise ConfigError(f"'{fitted.config.title}' has no fusion: leave out zero_branch.")
        return evaluate(scorer, fitted.split, split, fitted.protocol(), details=details, progress=progress)

    def recommend(
        self,
        users: Iterable[object] | None = None,
        histories: Mapping[Any, Iterable[object]] | Iterable[Iterable[object]] | Any = None,
        k: int = 10,
        *,
        include_seen: bool | None = None,
        allow: Iterable[object] | None = None,
        deny: Iterable[object] = (),
        index: str = "exact",
        unknown_users: UnknownUsers | None = None,
        names: Any = None,
        new_items: bool = False,
        progress: Progress = SILENT,
    ) -> pl.DataFrame:
        """Return the k best items of every user as rows `user_id, rank, item_id, score`, rank from 1.

        Users come in the order in which they are given, or else in that of their first interaction in the log.

        Ids are texts without white space around them; whole numbers of any type are their digits. Lists of ids may be
        lists, columns and arrays of any library, or generators. What was skipped or cannot be answered as asked is
        said by a warning: unknown users and items, users without a candidate, lists shorter than k.

        Args:
            users: ids of users of the log; everybody if neither users nor histories are given.
            histories: item ids, oldest first, by user id or as a plain list, whose places then serve as ids; or a
                table: one row a user with columns `user_id` and `items` (lists), or an interaction log. Users need
                not be known. Unknown items are skipped; a history of unknown items alone gets the most popular items.
            k: items a user gets; fewer where fewer are candidates.
            include_seen: whether items of the history may come again; by default as in evaluation.
            allow: item ids that may be recommended; all if not given.
            deny: item ids that may not. Items that training has not seen are skipped in both lists.
            index: "exact"; "dense", the same without the 8-bit item vectors that single requests against 50,000
                items or more are answered with; or "ivf", approximate, which needs the extra `ann` and keeps its
                index in the run folder. Rules hold exactly in each; see `index_report`.
            unknown_users: "skip" leaves out users whom the log does not have, "error" refuses them; by default they
                are left out, but refused where the log has none of them.
            names: names of items, for a column `name` behind `item_id`: a table with columns such as `item_id` and
                `title`, a CSV, Parquet or JSON Lines file of one, or names by item id.
            new_items: whether items of which the run has vectors, and which training has not seen, are known as well.
            progress: receives how many users are done.

        Raises:
            ConfigError: an unknown index, "ivf" for a baseline, a k that is no whole number above 0, or no new items.
            MissingExtraError: the extra `ann` is not installed.
            DataError: no user is known, or no item of `allow`; both users and histories are given; something else
                stands where ids are expected, or a history has no order.
            RunError: nothing is fitted yet.
        """
        fitted, retriever = self._asked(new_items)
        spec = RecommendationSpec(k, include_seen, allow, deny, index, names, new_items)
        requests = requests_of(fitted.split, users, histories, unknown_users)
        removed = fitted.config.evaluation.remove_seen
        return answer(retriever, fitted.split.vocabulary, requests, spec, removed, progress)

    def index_report(self, k: int = 10, sample: int = 200) -> IndexReport:
        """Return how much of the exact lists the approximate index finds, for users of the log.

        Args:
            k: length of the lists.
            sample: users compared at most, evenly spaced.

        Raises:
            ConfigError: a baseline is fitted.
            MissingExtraError: the extra `ann` is not installed.
            RunError: nothing is fitted yet.
        """
        fitted, retriever = self._of_fit()
        rules = Rules(fitted.config.evaluation.remove_seen)
        return retriever.index_report(requests_of(fitted.split).histories, check_k(k), rules, sample)

    def similar_items(
        self, items: Iterable[object] | object, k: int = 10, *, names: Any = None, new_items: bool = False
    ) -> pl.DataFrame:
        """Return the k items that are most similar to an item as rows `similar_to, rank, item_id, similarity`.

        A network's similarity is the cosine of the item vectors, that of name-knn, and with new items, the cosine of
        the names' words, a blend's the mean of these, and that of item-knn and the two EASE the weight; of baselines
        there may be fewer than k. Equally similar items come in the order in which training saw them first.

        Args:
            items: one item id, or a list of them, in whose order the rows come.
            k: similar items of each.
            names: as for `recommend`; `similar_to_name` and `name` stand behind the ids.
            new_items: as for `recommend`.

        Raises:
            ConfigError: a baseline without similarity of items, a k that is no whole number above 0, or no new items.
            DataError: training has seen none of the items, or something else stands where ids are expected.
        """
        fitted, _ = self._asked(new_items)
        vocabulary = fitted.split.vocabulary
        return named(similar_items(vocabulary, fitted.model.item_similarity, items, k), names, vocabulary)

    def save(self, path: str | Path) -> None:
        """Write the fitted recommender as a run folder.

        Raises:
            RunError: nothing is fitted yet, or `path` holds something else.
        """
        folder, (fitted, retriever) = Path(path), self._of_fit()
        with open_run(folder, resume=False):
            save_artifact(fitted, folder)
        retriever.keep_in(folder)
