"""Recommenders whose recommendations can be explained."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mltfr.errors import DataError, MltfrWarning, did_you_mean
from mltfr.explain.explainer import Explainer
from mltfr.explain.explanation import Explanation
from mltfr.explain.fidelity import Fidelity, measure_fidelity
from mltfr.inference import RecommendationSpec, Requests, Rules, Shortfalls, requests_of
from mltfr.inference.recommend import check_k
from mltfr.interactions import Split
from mltfr.interactions.id_lists import id_list
from mltfr.interactions.ids import Strip
from mltfr.interactions.item_names import ItemNames, named
from mltfr.interactions.load import say
from mltfr.pipeline.loadable import Loadable
from mltfr.storage.progress import SILENT, Progress


class Explainable(Loadable):
    """A recommender that says why an item stands where it stands."""

    def explain(
        self,
        users: Iterable[object] | None = None,
        histories: Mapping[Any, Iterable[object]] | Iterable[Iterable[object]] | Any = None,
        items: Iterable[object] | None = None,
        k: int = 5,
        *,
        include_seen: bool | None = None,
        allow: Iterable[object] | None = None,
        deny: Iterable[object] = (),
        names: Any = None,
    ) -> list[Explanation]:
        """Return why items stand where they stand: an explanation for every user and item, users in their order.

        Networks and blends are explained by leaving one item of the history out, exactly: all histories are scored
        again, with the exclusions of the whole history. Baselines are explained by the parts that their scores are
        sums of. An explanation with the same arguments is the same.

        Args:
            users: ids of users of the log.
            histories: item ids, oldest first, as for `recommend`.
            items: ids of the items to explain; the k best of every user if not given.
            k: length of the list that an item may drop out of.
            include_seen: as for `recommend`.
            allow: as for `recommend`.
            deny: as for `recommend`.
            names: as for `recommend`.

        Raises:
            ConfigError: the run is of the published arithmetic, whose scores depend on chance, or k is no whole number
                above 0.
            DataError: a user or an item is unknown, or there is neither a user nor a history.
            RunError: nothing is fitted yet.
        """
        fitted, retriever = self._of_fit()
        if users is None and histories is None:
            raise DataError("Give users or histories to explain recommendations of.")
        spec = RecommendationSpec(k, include_seen, allow, deny, names=names)
        vocabulary = fitted.split.vocabulary
        rules, unknown = spec.rules(vocabulary, fitted.config.evaluation.remove_seen)
        requests = requests_of(fitted.split, users, histories, "skip")
        require_users(fitted.split, requests)
        codes = None
        if items is not None:
            strip = Strip("ids")
            ids = dict.fromkeys(id_list(items, "items", "item", strip))
            codes = np.array([vocabulary.code_of(item) for item in ids], np.int64)
            say("items", strip.notes)
        skipped = Shortfalls(unknown_items=Counter(requests.unknown), stripped=requests.stripped)
        for text in skipped.sentences(spec.k, unknown):
            warnings.warn(text, MltfrWarning, stacklevel=2)
        explainer = Explainer(fitted, retriever.scorer, names_by_id(spec.names, fitted.split))
        pairs = zip(requests.user_ids, requests.histories, strict=True)
        return [each for user, history in pairs for each in explainer.explain(user, history, rules, spec.k, codes)]

    def fidelity(self, k: int = 10, users: int = 200, *, seed: int = 0, progress: Progress = SILENT) -> Fidelity:
        """Return how faithful explanations are: what removing the items that they name does to the list.

        The best item of every user is explained, and 1 to 5 items are removed: those of the largest contributions, and
        beside them random ones, the most recent and the most popular. An explanation is worth no more than what it
        does better than these.

        Args:
            k: length of the list.
            users: users at most, evenly spaced over the log, of those with more than 5 different items.
            seed: of the random order, and of the bootstrap over users.
            progress: receives how many users are done.

        Raises:
            ConfigError: the run is of the published arithmetic, or k is no whole number above 0.
            DataError: fewer than two users have enough items, or the run was shared without its users.
            RunError: nothing is fitted yet.
        """
        fitted, retriever = self._of_fit()
        fitted.split.require_users("Fidelity is measured over users: ask whoever shared it for a run with its users.")
        rules = Rules(fitted.config.evaluation.remove_seen)
        return measure_fidelity(Explainer(fitted, retriever.scorer), rules, check_k(k), users, seed, progress)


def require_users(split: Split, requests: Requests) -> None:
    """Refuse users whom the log does not have.

    Raises:
        DataError: there is one; the message names the closest that it has.
    """
    if requests.unknown_users:
        user = requests.unknown_users[0]
        near = "" if user.isdecimal() else did_you_mean(user, split.user_ids)
        raise DataError(f"User '{user}' is not in the training log.{near} Give a user of the log, or a history.")


def names_by_id(names: ItemNames | None, split: Split) -> dict[str, str]:
    """Return what items are called, by their ids, and warn of those without a name.

    Raises:
        DataError: none of the names is of an item.
    """
    if names is None:
        return {}
    table = named(split.vocabulary.ids.to_frame(), names, split.vocabulary)
    return {item: name for item, name in table.iter_rows() if name is not None}
