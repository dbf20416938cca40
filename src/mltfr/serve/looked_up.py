"""What is looked up without the model: items by their names, and the histories of users."""

from __future__ import annotations

from mltfr.interactions import UNKNOWN
from mltfr.serve.answers import as_problems, body, ids_of, named, part_of, unknown_ids, user_row
from mltfr.serve.interactions import NewInteractions
from mltfr.serve.loaded import LoadedRun, Part
from mltfr.serve.looked_up_schemas import HistoriesRequest


def items_body(query: str, limit: int, new_items: bool, run: LoadedRun, arrived: float) -> bytes:
    """Return the body of the answer to a search for items.

    Raises:
        Problem: the run has no new items (409).
    """
    part = part_of(run, new_items)
    vocabulary = part.fitted.split.vocabulary
    found = part.search.find(query, limit + 1)
    results = (
        {**_item(vocabulary.item_ids[code - 1], run, part), "interactions": int(vocabulary.counts[code])}
        for code in found[:limit]
    )
    return body(run, arrived, results, {"more": len(found) > limit})


def histories_body(request: HistoriesRequest, newer: NewInteractions, run: LoadedRun, arrived: float) -> bytes:
    """Return the body of the answer to a request for the histories of users.

    Raises:
        Problem: a user is not known (404), an id is none (422), or the run has no new items (409).
    """
    part = part_of(run, request.new_items)
    with as_problems():
        users = ids_of(request.users, "users", "user")
    known = part.fitted.split.rows
    if unknown := [user for user in dict.fromkeys(users) if user not in known and user not in newer]:
        raise unknown_ids("user", unknown, "Ask for users of the log, or of /v1/interactions.")
    rows = (user_row(user, part, newer) for user in users)
    ids = part.fitted.split.vocabulary.item_ids
    histories = ((row.user_id, row.codes[row.codes != UNKNOWN]) for row in rows)
    results = (
        {
            "user_id": user,
            "length": len(codes),
            "items": [_item(ids[code - 1], run, part) for code in codes[-request.k :].tolist()],
        }
        for user, codes in histories
    )
    return body(run, arrived, results)


def _item(item: str, run: LoadedRun, part: Part) -> dict[str, str | bool | None]:
    return {"item_id": item, **named(item, run, part)}
