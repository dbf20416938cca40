"""Section of examples: some users, what they did, what was recommended, and what they did next."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mltfr.errors import MltfrError, MltfrWarning
from mltfr.explain.explainable import names_by_id
from mltfr.inference import Rules, top_k
from mltfr.interactions import evenly_spaced
from mltfr.interactions.collate import has_known_item
from mltfr.interactions.item_names import ItemNames, item_names
from mltfr.page.content import Example, Section
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.models import REFIT
from mltfr.pipeline.names import FINGERPRINT, are_at_hand, read_names

TITLE, LIST, SHOWN = "Examples", 10, 12
"""Length of a list, and newest items of a history that are shown."""
UNSEEN = "an item that training has not seen"
LEFT_OUT = "Left out as asked (--no-examples): no user and no held-out item stands in this file."
NO_USERS = "The run was shared without its users and their histories, so there is nobody to show."
NOTHING_NEXT = "Nothing was held out, so there is no next choice to put beside a list: mltfr recommend writes lists."
BY_CHANCE = "Scores of the published arithmetic depend on chance and on the histories beside them: no list is shown."


def examples(fitted: FittedModel, count: int, names: ItemNames | None) -> Section:
    """Return examples of users, evenly spaced among those of the test split.

    Args:
        fitted: the run.
        count: how many; 0 for none.
        names: what items are called; None for what the run itself knows.
    """
    if not count:
        return Section("examples", TITLE, absent=(LEFT_OUT,))
    if not len(fitted.split.user_ids):
        return Section("examples", TITLE, absent=(NO_USERS,))
    if fitted.config.depends_on_batch:
        return Section("examples", TITLE, absent=(BY_CHANCE,))
    tested = fitted.for_test()
    split, asked = tested.split, tested.split.test
    if not len(asked):
        return Section(
            "examples", TITLE, absent=(NOTHING_NEXT if REFIT in fitted.facts else "There is no test example.",)
        )
    told, called = _names(fitted, names)
    _, first = np.unique(asked.user, return_index=True)
    rows = first[evenly_spaced(len(first), count)]
    histories = [split.histories[int(asked.user[row])][: int(asked.cut[row])] for row in rows]
    best = top_k(tested.scorer(), histories, LIST, Rules(tested.config.evaluation.remove_seen))
    targets, known = split.targets(asked)[rows], has_known_item(histories)
    ids = split.vocabulary.item_ids

    def name(code: int) -> str:
        if code <= 0:
            return UNSEEN
        item = ids[code - 1]
        return f"{called[item]} ({item})" if item in called else item

    found = []
    for number, row in enumerate(rows):
        history, target = histories[number], int(targets[number])
        recommended = best.codes[number, : best.counts[number]].tolist()
        hit = recommended.index(target) if target in recommended else None
        place = f"found at rank {hit + 1}" if hit is not None else f"not among the first {len(recommended)}"
        popular = "" if known[number] else "; no item of the history is known, so the list is the most popular items"
        found.append(
            Example(
                title=f"User {split.user_ids[int(asked.user[row])]}",
                history=tuple(name(int(code)) for code in history[-SHOWN:]),
                earlier=max(0, len(history) - SHOWN),
                target=name(target),
                verdict=place + popular,
                best=tuple(name(code) for code in recommended),
                hit=hit,
            )
        )
    chosen = f"{len(found)} users evenly spaced among those of the test split, not chosen for how well they came out."
    return Section("examples", TITLE, (chosen, *([told] if told else [])), examples=tuple(found))


def _names(fitted: FittedModel, given: ItemNames | None) -> tuple[str, Mapping[str, str]]:
    """Return what is to be said of the names, and names by item id: those given, or those that the run was fitted with.

    Raises:
        DataError: none of those given is of an item.
    """
    if given is not None:
        return f"Names: {Path(given.source).name}.", names_by_id(given, fitted.split)
    for single in fitted.config.singles:
        if not single.names.are_used or not are_at_hand(single, None) or single.names.file == "ids":
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MltfrWarning)  # told at the fit
            try:
                if not _are_the_same(fitted.facts, single, fitted):
                    continue
                found = item_names(single.names.file)
                return f"Names: {Path(found.source).name}.", names_by_id(found, fitted.split)
            except MltfrError:
                continue
    return "Items have the ids of the log: --add-names FILE names them.", {}


def _are_the_same(facts: Mapping[str, Any], config: Any, fitted: FittedModel) -> bool:
    """Return whether the file of names is the one that the run was fitted with."""
    texts = read_names(config, fitted.split.vocabulary)
    return texts is not None and (FINGERPRINT not in facts or texts.fingerprint() == facts[FINGERPRINT])
