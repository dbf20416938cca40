"""What is answered to interactions that are sent."""

from __future__ import annotations

from typing import Any

from mltfr.interactions.id_lists import id_list
from mltfr.interactions.ids import Strip
from mltfr.serve.schemas import InteractionsRequest
from mltfr.serve.service import Service


def accept(request: InteractionsRequest, service: Service) -> dict[str, Any]:
    """Take interactions, and return what became of them.

    Raises:
        DataError: an id is none.
    """
    users = _ids([each.user_id for each in request.interactions], "user")
    items = _ids([each.item_id for each in request.interactions], "item")
    dropped = service.interactions.add(zip(users, items, strict=True))
    service.metrics.dropped.inc(dropped)
    run = service.run
    part = run.wider if run.fitted.new_items is not None else run.own  # new items count where they are asked for
    codes = part.fitted.split.vocabulary.codes
    return {
        "run": run.fingerprint,
        "accepted": len(items),
        "held": len(service.interactions),
        "dropped": dropped,
        "unknown_items": [item for item in dict.fromkeys(items) if item not in codes],
    }


def _ids(values: list[Any], of: str) -> list[str]:
    return id_list(values, f"{of}_id of interactions", of, Strip(of))
