"""Answers: what a run says to requests, several of which may go through its model together."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from time import monotonic
from typing import Any

import numpy as np

from mltfr.errors import DataError, MltfrError
from mltfr.inference import Rules, similar_items
from mltfr.inference.rules import rules_of_ids
from mltfr.inference.top_k import TopK
from mltfr.interactions import UNKNOWN
from mltfr.interactions.collate import History
from mltfr.interactions.id_lists import id_list
from mltfr.interactions.ids import Strip
from mltfr.serve.interactions import NewInteractions
from mltfr.serve.loaded import LoadedRun, Part
from mltfr.serve.problems import Problem
from mltfr.serve.schemas import Id, RecommendRequest, SimilarRequest

SHARED_DENIALS = 100
"""Denied items up to which a request shares the model's search with others: so many items more are searched for."""
Encoder = Callable[[Any], str]
_dumps: Encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


@dataclass
class Row:
    """One history of a request.

    Attributes:
        user_id: the user, or the id or the place of the history.
        codes: item codes, oldest first.
        skipped: its unknown item ids, each once.
    """

    user_id: str
    codes: History
    skipped: list[str]


@dataclass
class Asked:
    """A request for recommendations, with the ids of one run looked up.

    Attributes:
        part: what of the run answers.
        rows: its histories.
        k: length of the lists.
        rules: which items are candidates, but for `drop`.
        drop: codes of denied items that are taken out of the lists that are found.
        group: what requests have in common that go through the model together.
        extra: further fields of the answer.
    """

    part: Part
    rows: list[Row]
    k: int
    rules: Rules
    drop: frozenset[int]
    group: Hashable
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def searched(self) -> int:
        """How many items have to be found."""
        return self.k + len(self.drop)


def asked_of(request: RecommendRequest, run: LoadedRun, newer: NewInteractions) -> Asked:
    """Look the ids of a request up in a run.

    Raises:
        Problem: a user is not known (404), or no item of `allow` (404); an id is none (422); or the run has no new
            items (409).
    """
    part = part_of(run, request.new_items)
    split = part.fitted.split
    with as_problems():
        users = ids_of(request.users, "users", "user")
        allow = None if request.allow is None else ids_of(request.allow, "allow", "item")
        deny = ids_of(request.deny, "deny", "item")
    unknown = [user for user in dict.fromkeys(users) if user not in split.rows and user not in newer]
    if unknown and request.unknown_users == "error":
        raise unknown_ids("user", unknown, "Send their histories instead, or unknown_users = skip.")
    rows = [user_row(user, part, newer) for user in users if user in split.rows or user in newer]
    with as_problems():
        rows += [_history(label, given, part) for label, given in _histories(request)]
    seen = part.fitted.config.evaluation.remove_seen if request.include_seen is None else not request.include_seen
    if allow and not any(item in split.vocabulary.codes for item in allow):
        raise unknown_ids("item", list(dict.fromkeys(allow)), "No item of `allow` is, so nothing can be recommended.")
    rules, skipped = rules_of_ids(split.vocabulary, seen, allow, deny)
    few = len(rules.deny) <= SHARED_DENIALS
    group = (request.new_items, seen, None if rules.allow is None else tuple(rules.allow), () if few else rules.deny)
    drop = frozenset(rules.deny if few else ())
    rules = Rules(rules.remove_seen, rules.allow, () if few else rules.deny)
    extra: dict[str, Any] = {"unknown_users": unknown} if unknown else {}
    if filters := {name: ids for name, ids in skipped.items() if ids}:
        extra["skipped_filters"] = filters
    return Asked(part, rows, request.k, rules, drop, _hashable(group), extra)


def find(asked: Sequence[Asked], alone: bool) -> list[TopK]:
    """Return the best items of every request; all are of one group and go through the model together.

    Args:
        asked: the requests.
        alone: whether every history has to go alone.
    """
    part, rules, k = asked[0].part, asked[0].rules, max(each.searched for each in asked)
    histories = [row.codes for each in asked for row in each.rows]
    if alone:
        single = [part.top_k([history], k, rules) for history in histories]
        best = _joined(single) if single else TopK.empty(0, 1)
    else:
        best = part.top_k(histories, k, rules)
    edges = np.cumsum([0, *(len(each.rows) for each in asked)]).tolist()
    return [
        TopK(best.codes[start:stop], best.scores[start:stop], best.counts[start:stop])
        for start, stop in pairwise(edges)
    ]


def recommend_body(asked: Asked, best: TopK, run: LoadedRun, arrived: float) -> bytes:
    """Return the body of the answer to a request for recommendations."""
    extra = dict(asked.extra)
    if run.alone:
        extra["note"] = run.notes[0]
    results = (_result(row, asked, best, number, run) for number, row in enumerate(asked.rows))
    return body(run, arrived, results, extra)


def similar_body(request: SimilarRequest, run: LoadedRun, arrived: float) -> bytes:
    """Return the body of the answer to a request for similar items.

    Raises:
        Problem: an item is not known (404), or the run has no similarity of items, or no new ones (409).
    """
    part = part_of(run, request.new_items)
    vocabulary = part.fitted.split.vocabulary
    with as_problems():
        items = ids_of(request.items, "items", "item")
    if unknown := [item for item in dict.fromkeys(items) if item not in vocabulary.codes]:
        raise unknown_ids("item", unknown, "Only items that training has seen have similar ones.")
    with as_problems(409):
        table = similar_items(vocabulary, part.fitted.model.item_similarity, list(dict.fromkeys(items)), request.k)
    found: dict[str, list[dict[str, Any]]] = {item: [] for item in items}
    for item, rank, other, similarity in table.iter_rows():
        found[item].append({"rank": rank, "item_id": other, "similarity": similarity, **named(other, run, part)})
    return body(run, arrived, ({"item_id": item, "items": found[item]} for item in items))


def body(
    run: LoadedRun, arrived: float, results: Iterator[dict[str, Any]], extra: Mapping[str, Any] | None = None
) -> bytes:
    """Return an answer as JSON, its results encoded one by one, so that a large one holds nobody up."""
    texts = ",".join(_dumps(result) for result in results)
    head = {"run": run.fingerprint, "took_ms": round((monotonic() - arrived) * 1000, 3), **(extra or {})}
    return f'{_dumps(head)[:-1]},"results":[{texts}]}}'.encode()


def part_of(run: LoadedRun, new_items: bool) -> Part:
    """Return what of a run answers: with the items that training has not seen, or without.

    Raises:
        Problem: it has no new items (409).
    """
    if not new_items:
        return run.own
    with as_problems(409):
        return run.wider


def unknown_ids(kind: str, ids: Sequence[str], remedy: str) -> Problem:
    """Return the problem of ids that are not known, all of which it lists (404)."""
    found = f"The {kind} is not known" if len(ids) == 1 else f"{len(ids)} {kind}s are not known"
    return Problem(404, f"{found}. {remedy}", [{"detail": f"unknown {kind}", "id": each} for each in ids])


@contextmanager
def as_problems(status: int = 422) -> Iterator[None]:
    """Turn an error that a caller can act on into a problem of this status."""
    try:
        yield
    except MltfrError as error:
        raise Problem(status, str(error)) from error


def _result(row: Row, asked: Asked, best: TopK, number: int, run: LoadedRun) -> dict[str, Any]:
    count = int(best.counts[number])
    pairs = zip(best.codes[number, :count].tolist(), best.scores[number, :count].tolist(), strict=True)
    kept = [(code, score) for code, score in pairs if code not in asked.drop][: asked.k]
    ids = asked.part.fitted.split.vocabulary.item_ids
    known = int((row.codes != UNKNOWN).sum())
    window = asked.part.window
    return {
        "user_id": row.user_id,
        "items": [
            {"rank": rank, "item_id": ids[code - 1], "score": score, **named(ids[code - 1], run, asked.part)}
            for rank, (code, score) in enumerate(kept, start=1)
        ],
        "fallback": None if known else "popular",
        "skipped": row.skipped,
        "truncated": window is not None and known > window,
    }


def named(item: str, run: LoadedRun, part: Part) -> dict[str, str | bool | None]:
    """Return as fields what an item is called, where the service was given names, and whether it is new, where asked.

    Args:
        item: its id.
        run: the run that answers.
        part: what of it does: with the items that training has not seen, every item says whether it is one.
    """
    fields: dict[str, str | bool | None] = {"name": run.names.get(item)} if run.names else {}
    if part is not run.own:
        fields["new"] = item not in run.fitted.split.vocabulary.codes
    return fields


def user_row(user: str, part: Part, newer: NewInteractions) -> Row:
    """Return a known user's history, with what was sent since the training."""
    split = part.fitted.split
    own = split.histories[split.rows[user]] if user in split.rows else np.zeros(0, np.int32)
    sent = newer.of(user)
    row = _coded(user, sent, part)
    return Row(user, np.concatenate([own, row.codes]) if sent else own, row.skipped)


def _history(label: str, given: Sequence[Id], part: Part) -> Row:
    return _coded(label, ids_of(given, f"The history of '{label}'", "item"), part)


def _coded(label: str, ids: Sequence[str], part: Part) -> Row:
    codes = part.fitted.split.vocabulary.encode(ids)
    skipped = dict.fromkeys(item for item, code in zip(ids, codes.tolist(), strict=True) if code == UNKNOWN)
    return Row(label, codes, list(skipped))


def _histories(request: RecommendRequest) -> Iterator[tuple[str, Sequence[Id]]]:
    if isinstance(request.histories, list):
        yield from ((str(place), ids) for place, ids in enumerate(request.histories))
        return
    labels = ids_of(list(request.histories), "histories", "user")
    if len(set(labels)) < len(labels):
        raise DataError("Two histories have the same id. Give every history an id of its own.")
    yield from zip(labels, request.histories.values(), strict=True)


def ids_of(values: Sequence[Id], what: str, of: str) -> list[str]:
    """Return ids without white space around them.

    Raises:
        DataError: one is no id.
    """
    return id_list(values, what, of, Strip(what), ordered=True)


def _joined(parts: Sequence[TopK]) -> TopK:
    return TopK(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("codes", "scores", "counts")))


def _hashable(group: tuple[Any, ...]) -> Hashable:
    return tuple(tuple(each) if isinstance(each, list) else each for each in group)
