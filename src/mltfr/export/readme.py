"""The README of an exported folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mltfr.export.formats import MODEL
from mltfr.export.graph import ExportGraph
from mltfr.export.parity import Parity
from mltfr.pipeline.fitted import FittedModel
from mltfr.storage.terminal import printable

NEEDS = {"onnx": "numpy onnxruntime", "torch": "torch"}
TEXT = """# {title}

A sequential recommender: the items of a history go in, the {k} best next items come out. It was exported by mltfr, and
needs none of it: `pip install {needs}`.

```bash
python example.py                    # a history of the most frequent items
python example.py ITEM ITEM ITEM     # a history, oldest first; see --help
```

The first one prints:

```text
{printed}```

From Python, in this folder:

```python
from example import ExportedModel

model = ExportedModel(".")
model.recommend([["ITEM", "ITEM"]], exclude=["ITEM"])  # a list of (item id, score) for every history
```

## The graph

`{file}` knows no ids, but codes: `items.json` is the list of all item ids, in which the id of code c stands at c, and
code 0 is no item. All sizes may change from call to call: B histories, L columns, E excluded codes.

| | shape and type | holds |
| --- | --- | --- |
| `histories` | `[B, L]` int64 | codes, oldest first from column 0 on; what stands behind a history's end is not read |
| `lengths` | `[B]` int64 | how many codes each history has |
| `excluded` | `[B, E]` int64 | codes that may not come; 0 excludes nothing |
| `items` | `[B, {k}]` int64 | codes of the best items, best first; 0 where there are fewer |
| `scores` | `[B, {k}]` float32 | their scores: {unit}; minus infinity where there are fewer |

- The last {window} codes of a history are read; giving more is no mistake. {pace}
- Items of the history come again unless they are excluded. In the run's evaluation they {seen}.
- Ids that `items.json` lacks have no code: leave them out, as `example.py` does. A history without any code (length 0)
  gets the items that were most frequent in training, whose scores are their counts.

## What was checked

{parity}: {users} held-out histories ({split}), in batches of 1, 2, 7 and 64, and {made_up} made-up ones. {metric}
`parity.json` has all figures, and `manifest.json` the checksum of every file.
"""


def readme(fitted: FittedModel, graph: ExportGraph, parity: Parity, facts: Mapping[str, Any], printed: str) -> str:
    """Return the text.

    Args:
        fitted: the run.
        graph: what was exported.
        parity: how its answers compare with the run's.
        facts: what `write_model` returned.
        printed: what the example prints.
    """
    name = parity.metric.replace("ndcg", "NDCG")
    removed = fitted.config.evaluation.remove_seen
    return TEXT.format(
        title=printable(fitted.config.title),
        k=graph.k,
        needs=NEEDS[facts["format"]],
        printed=printed,
        file=MODEL[facts["format"]],
        unit="logits, which compare within a list" if len(graph.networks) == 1 else "the mean of the blended "
        "networks' probabilities",
        window=graph.window,
        pace="Shorter ones are padded to that length, so they take as long."
        if graph.fixed
        else "A call reads as many as its longest history has: short ones are faster.",
        seen="were left out, which `example.py` does too" if removed else "were candidates, as in `example.py`",
        parity=str(parity)[0].upper() + str(parity)[1:],
        users=f"{parity.users:,}",
        split=parity.split,
        made_up=parity.made_up,
        metric=f"{name} of these lists is {parity.exported:.6f}, and that of the run's own {parity.run:.6f}."
        if parity.exported is not None
        else "Nothing is held out, so no metric tells how good they are.",
    )
