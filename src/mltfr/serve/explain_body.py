"""Explanations, as the bodies of answers."""

from __future__ import annotations

import numpy as np

from mltfr.explain import Explainer
from mltfr.inference import Rules
from mltfr.serve.answers import as_problems, asked_of, body, ids_of, unknown_ids
from mltfr.serve.interactions import NewInteractions
from mltfr.serve.loaded import LoadedRun
from mltfr.serve.schemas import ExplainRequest


def explain_body(request: ExplainRequest, newer: NewInteractions, run: LoadedRun, arrived: float) -> bytes:
    """Return the body of the answer to a request for explanations.

    Raises:
        Problem: a user or an item is not known (404), an id is none (422), or the run cannot be explained (409).
    """
    asked = asked_of(request, run, newer)
    vocabulary = asked.part.fitted.split.vocabulary
    codes = None
    if request.items is not None:
        with as_problems():
            items = list(dict.fromkeys(ids_of(request.items, "items", "item")))
        if unknown := [item for item in items if item not in vocabulary.codes]:
            raise unknown_ids("item", unknown, "Only items that training has seen can be explained.")
        codes = vocabulary.encode(items).astype(np.int64)
    rules = Rules(asked.rules.remove_seen, asked.rules.allow, [*asked.rules.deny, *asked.drop])
    with as_problems(409):
        explainer = Explainer(asked.part.fitted, asked.part.retriever.scorer, run.names)
    found = (explainer.explain(row.user_id, row.codes, rules, asked.k, codes) for row in asked.rows)
    return body(run, arrived, (each.to_json() for some in found for each in some), asked.extra)
