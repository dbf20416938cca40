"""Numbered interactions in the order of time, each once, and their checksum."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.interactions.checks import ONCE, found_repeat, repeats_of
from mltfr.interactions.log import SLICE, update_digest
from mltfr.interactions.prepared.encode import Encoded, Tell
from mltfr.interactions.prepared.rows import Records, RowFile, bucket_count
from mltfr.interactions.prepared.source import Source
from mltfr.interactions.raw import ITEM, TIME, USER, invalid_row

_SAMPLE = 1 << 18
_PIECE = 1 << 15


def in_order_of_time(
    log: Encoded, source: Source, skip_invalid: bool, work: Path, memory: int, size: int, tell: Tell
) -> Encoded:
    """Sort by time, stably, and drop or refuse what repeats another interaction to the second.

    Times are cut into as many spans as keep one span within `memory` bytes; what shares one time stays together.

    Raises:
        DataError: a row repeats another one, and `skip_invalid` is off.
    """
    if TIME not in log.schema:
        return log
    total = len(log.rows)
    count = bucket_count(total, memory)
    sample = np.sort(np.memmap(log.rows.path, log.rows.dtype, "r")["time"][:: max(1, total // _SAMPLE)])
    edges = np.unique(sample[[len(sample) * number // count for number in range(1, count)]])
    spans = log.rows.buckets(work, len(edges) + 1, size, lambda r: np.searchsorted(edges, r["time"], "right"))
    path = work / "ordered.rows"
    repeated, first, done = 0, None, 0
    with path.open("wb") as file:
        for span in spans:
            records = span.read()
            span.path.unlink()
            if np.any(records["time"][1:] < records["time"][:-1]):
                records = records[np.argsort(records["time"], kind="stable")]
            bad = repeats_of(pl.DataFrame({name: records[name] for name in ("user", "item", "time")})).to_numpy()
            if bad.any():
                found = records[bad]
                earliest = found[np.argmin(found["row"])]
                if first is None or earliest["row"] < first[0]["row"]:
                    first = (earliest, int(records["row"][_same(records, earliest)].min()))
                repeated += len(found)
                records = records[~bad]
            records.tofile(file)
            done += len(records)
            tell("sorting", done, total)
    if first is not None and not skip_invalid:
        record, original = first
        user, item = log.users[int(record["user"])], log.items[int(record["item"])]
        found_text = found_repeat(source.place(original), user, item, record["time"].item())
        raise invalid_row(source.name, source.place(int(record["row"])), found_text, ONCE, repeated)
    return replace(log, rows=RowFile(path, log.rows.dtype), skipped=log.skipped + repeated)


def fingerprint(log: Encoded, tell: Tell) -> str:
    """Return what `InteractionLog.fingerprint` returns of the same log."""
    digest = hashlib.sha256()
    total = len(log.rows)
    update_digest(digest, "log", log.schema, total, ())
    ids = {USER: ("user", log.users), ITEM: ("item", log.items)}
    columns = [column for column in log.schema if column in ids]
    for start, records in log.rows.chunks(SLICE):
        if TIME in log.schema:
            digest.update(np.ascontiguousarray(records["time"]).tobytes())
        for first in range(0, len(records), _PIECE):
            piece = records[first : first + _PIECE]
            frame = pl.DataFrame({c: ids[c][1].gather(piece[ids[c][0]]).alias(c) for c in columns})
            digest.update(frame.write_csv(include_header=False).encode())
        tell("taking the checksum", start + len(records), total)
    return digest.hexdigest()


def _same(records: Records, one: np.void) -> npt.NDArray[np.bool_]:
    user, item, time = (np.asarray(records[name] == one[name]) for name in ("user", "item", "time"))
    return np.asarray(user & item & time)
