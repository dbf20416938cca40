"""The split of numbered interactions: grouped by user and coded by the training part, a group of users at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mltfr.errors import DataError
from mltfr.interactions.histories import UNKNOWN
from mltfr.interactions.prepared.encode import Encoded, Tell
from mltfr.interactions.prepared.layout import (
    ITEMS,
    OFFSETS,
    TEST,
    TRAINING_ITEMS,
    TRAINING_LENGTHS,
    VALIDATION,
    write_array,
    write_ids,
)
from mltfr.interactions.prepared.moments import Moments
from mltfr.interactions.prepared.rows import Records, bucket_count
from mltfr.interactions.splitters import SplitConfig, name_of
from mltfr.interactions.splitters.leave_last import leave_last_parts
from mltfr.interactions.splitters.parts import Ints, require_parts

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Divided:
    """What the manifest says of a split that was written."""

    method: str
    left_out: dict[str, int]
    users: int
    items: int
    interactions: int


def divide(
    log: Encoded, config: SplitConfig, source: str, folder: Path, memory: int, size: int, tell: Tell
) -> Divided:
    """Split a log in the order of time as `split` does, and write all files but the manifest.

    In memory are some numbers of every user and item, `size` records, and one group of users, whose records take at
    most `memory` bytes, unless one user alone has more.

    Raises:
        DataError: the log is too small for the method, or lacks what it needs.
    """
    method = "leave-one-out" if config.method == "auto" else config.method
    if method == "given":
        raise DataError(f"{source}: has no given test part. Use a folder with train.txt and test.txt.")
    name, work = name_of(config, method), log.rows.path.parent
    moments = Moments.of(log, config, source, size) if method == "global-time" else None
    if moments is not None:
        log = moments.known_users_only(log, size)
    first, lengths = _appearances(log, size)                             # [all users] each
    order = np.argsort(first, kind="stable")[: int((lengths > 0).sum())]  # [U], users in order of first appearance
    rank = np.full(len(first), -1, np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    lengths = lengths[order]                                             # [U]
    if moments is None:
        train_length, validation, test, left_out = leave_last_parts(lengths, config.n)
        tests = len(test)
    else:
        train_length, left_out, tests = moments.parts(log, order, size)
    require_parts(name, len(order), bool(train_length.any()), tests, left_out)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    total = int(offsets[-1])
    groups = bucket_count(total, memory)
    group_of = offsets[:-1] * groups // max(1, total)                    # [U]

    def renumbered(start: int, records: Records) -> Records:
        records["user"] = rank[records["user"]]
        records["row"] = np.arange(start, start + len(records))          # the place in the order of time
        return records

    rows = log.rows.rewritten(work / "by-time.rows", size, renumbered)
    first_seen = np.full(len(log.items), _NEVER, np.int64)               # of every item, in training
    counts = np.zeros(len(log.items), np.int64)
    done = 0
    with (work / "all").open("wb") as everything, (work / "training").open("wb") as training:
        for group in rows.buckets(work, groups, size, lambda r: group_of[r["user"]]):
            records = group.read()
            group.path.unlink()
            records = records[np.argsort(records["user"], kind="stable")]
            user, item = records["user"], records["item"]
            position = np.arange(done, done + len(records)) - offsets[user]
            kept = position < train_length[user]
            np.minimum.at(first_seen, item[kept], records["row"][kept])
            counts += np.bincount(item[kept], minlength=len(counts))
            item.tofile(everything)
            item[kept].tofile(training)
            if moments is not None:
                moments.take(user, position, records["time"], work)
            done += len(records)
            tell("grouping by user", done, total)
    known = np.flatnonzero(counts)
    known = known[np.argsort(first_seen[known], kind="stable")]
    codes = np.full(len(counts), UNKNOWN, np.int32)
    codes[known] = np.arange(1, len(known) + 1, dtype=np.int32)
    write_array(folder / ITEMS, np.int32, (total,), _coded(work / "all", codes, size))
    write_array(folder / TRAINING_ITEMS, np.int32, (int(train_length.sum()),), _coded(work / "training", codes, size))
    write_array(folder / OFFSETS, np.int64, offsets.shape, [offsets])
    write_array(folder / TRAINING_LENGTHS, np.int64, train_length.shape, [train_length])
    for file, part in ((VALIDATION, "validation"), (TEST, "test")):
        if moments is not None:
            moments.write(folder / file, part, work)
        else:
            examples = validation if part == "validation" else test
            write_array(folder / file, np.int64, (2, len(examples)), [examples.user, examples.cut])
    write_ids(folder, log.users.gather(order), log.items.gather(known), counts[known])
    left_out = {reason: count for reason, count in left_out.items() if count}
    return Divided(name, left_out, len(order), len(known), total)


def _appearances(log: Encoded, size: int) -> tuple[Ints, Ints]:
    """Return where every user appears first, and how often."""
    first = np.full(len(log.users), _NEVER, np.int64)
    lengths = np.zeros(len(log.users), np.int64)
    for start, records in log.rows.chunks(size):
        users, place = np.unique(records["user"], return_index=True)
        first[users] = np.minimum(first[users], start + place)
        lengths += np.bincount(records["user"], minlength=len(lengths))
    return first, lengths


def _coded(path: Path, codes: npt.NDArray[np.int32], size: int) -> Iterator[npt.NDArray[Any]]:
    """Yield the codes of the items whose numbers a file holds."""
    total = path.stat().st_size // 4
    for start in range(0, total, size):
        yield codes[np.fromfile(path, np.int32, min(size, total - start), offset=4 * start)]
    path.unlink()
