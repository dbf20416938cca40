"""The data of a run on disk: items, histories and held-out examples, as Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.interactions import UNKNOWN, Examples, Histories, Split, Vocabulary
from mltfr.interactions.consistency import check_consistent, check_ids
from mltfr.interactions.split import OtherItems
from mltfr.storage.files import atomic_file, partial_folder

ITEMS = "items.parquet"
"""The items in the order of their codes: `item_id`, `count`."""
HISTORIES = "histories.parquet"
"""Every user's history: `user_id`, `train_length`, and `items`, a list of codes; those behind the items are of
`new_items.parquet`, where a run has that."""
EXAMPLES = "examples.parquet"
"""Which interactions are held out to be predicted: `part` (the split), `user` (row in the histories), `cut`."""
SPLIT_FILES = (ITEMS, HISTORIES, EXAMPLES)
PIECE = 1 << 25
"""Interactions that are written at a time."""


def save_split(folder: Path, split: Split, new_items: Sequence[str] = ()) -> None:
    """Write `items.parquet`, `histories.parquet` and `examples.parquet`.

    Args:
        folder: where to.
        split: the split.
        new_items: ids of items that training has not seen, and that nevertheless have codes in the histories.
    """
    vocabulary = split.vocabulary
    items = pl.DataFrame({"item_id": list(vocabulary.item_ids), "count": vocabulary.counts[1:]})
    parts = {"validation": split.validation, "test": split.test}
    examples = pl.concat(
        pl.DataFrame({"user": part.user, "cut": part.cut}).select(part=pl.lit(name), user="user", cut="cut")
        for name, part in parts.items()
    )
    for name, frame in {ITEMS: items, EXAMPLES: examples}.items():
        with atomic_file(folder / name) as path:
            frame.write_parquet(path)
    with atomic_file(folder / HISTORIES) as path:
        _write_histories(split.with_items(new_items) if new_items else split, path)


def _write_histories(split: Split, path: Path) -> None:
    """Write everybody's history, no more than `PIECE` interactions at a time where there are more."""
    edges = _pieces(split.histories.offsets)
    if len(edges) == 2:
        _histories(split, 0, edges[1]).write_parquet(path)
        return
    with partial_folder(path) as place:
        files = []
        for number, (start, stop) in enumerate(pairwise(edges)):
            files.append(place / f"{number:06d}.parquet")
            _histories(split, start, stop).write_parquet(files[-1])
        pl.scan_parquet(files).sink_parquet(path)


def _pieces(offsets: npt.NDArray[np.int64]) -> list[int]:
    """Return the users at which pieces of about `PIECE` interactions begin, and the number of users."""
    users, edges = len(offsets) - 1, [0]
    while edges[-1] < users:
        stop = int(np.searchsorted(offsets, offsets[edges[-1]] + PIECE, "right")) - 1
        edges.append(min(users, max(stop, edges[-1] + 1)))
    return edges if users else [0, 0]


def _histories(split: Split, start: int, stop: int) -> pl.DataFrame:
    """Return the histories of the users `start` to `stop - 1`."""
    offsets = split.histories.offsets[start : stop + 1]
    flat = pl.Series("item", np.ascontiguousarray(split.histories.items[offsets[0] : offsets[-1]]), dtype=pl.Int32)
    users = pl.Series("user", np.repeat(np.arange(stop - start), np.diff(offsets)), dtype=pl.Int64)
    lists = pl.DataFrame([users, flat]).group_by("user", maintain_order=True).agg("item")
    ids = pl.Series("user_id", list(split.user_ids[start:stop]), dtype=pl.String)
    return pl.DataFrame([ids, pl.Series("train_length", split.train_length[start:stop]), lists["item"].alias("items")])


def load_vocabulary(folder: Path) -> Vocabulary:
    """Read the items of what `save_split` wrote."""
    items = pl.read_parquet(folder / ITEMS)
    counts = np.concatenate([np.zeros(1, np.int64), items["count"].to_numpy()])
    return Vocabulary(tuple(items["item_id"]), counts)


def check_split(folder: Path, method: str, left_out: dict[str, int]) -> None:
    """Look at the parts of a split that are not read, so that a damaged run is refused all the same.

    Raises:
        PolarsError: a file is no Parquet, or of other columns.
        TypeError: the manifest says something else of the split.
    """
    for name, columns in ((HISTORIES, {"user_id", "train_length", "items"}), (EXAMPLES, {"part", "user", "cut"})):
        missing = columns - set(pl.read_parquet_schema(folder / name))
        if missing:
            raise pl.exceptions.ColumnNotFoundError(f"{name} has no column {missing.pop()}")
    if not isinstance(method, str) or not isinstance(left_out, dict):
        raise TypeError("the split is not described")


def load_split(folder: Path, method: str, left_out: dict[str, int], new_items: Sequence[str] = ()) -> Split:
    """Read what `save_split` wrote; the manifest knows the method and who was left out.

    Args:
        folder: where from.
        method: how the split was made.
        left_out: users missing from a split, by reason.
        new_items: as for `save_split`.

    Raises:
        ValueError: what was read does not fit together.
        PolarsError: a file is no Parquet, or of other columns.
    """
    users = pl.read_parquet(folder / HISTORIES)
    examples = pl.read_parquet(folder / EXAMPLES)
    check_ids(users["user_id"], "a user")
    lengths = users["items"].list.len().to_numpy().astype(np.int64)
    flat = users["items"].explode(empty_as_null=False).to_numpy().astype(np.int32)
    vocabulary, others = load_vocabulary(folder), None
    if new_items:
        outside = flat[(flat == UNKNOWN) | (flat > len(vocabulary))] - len(vocabulary) - 1
        others = OtherItems(new_items, np.where(outside < 0, -1, outside))
        if outside.max(initial=-1) >= len(new_items):
            raise ValueError("an item code is out of range")
        flat[flat > len(vocabulary)] = UNKNOWN
    parts = {
        name: Examples(part["user"].to_numpy(), part["cut"].to_numpy())
        for name in ("validation", "test")
        for part in [examples.filter(pl.col("part") == name)]
    }
    split = Split(
        method=method,
        user_ids=tuple(users["user_id"]),
        vocabulary=vocabulary,
        histories=Histories(np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]), flat),
        train_length=users["train_length"].to_numpy(),
        validation=parts["validation"],
        test=parts["test"],
        left_out=left_out,
        others=others,
    )
    check_consistent(split)
    return split
