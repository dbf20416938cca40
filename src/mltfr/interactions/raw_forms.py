"""The raw forms of public data, turned into tables with usual names of columns: texts, and one record a line."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import compress
from pathlib import Path
from typing import Any, BinaryIO, Literal

import polars as pl

from mltfr.config import Config
from mltfr.errors import DataError
from mltfr.interactions.raw import ITEM, TIME, USER
from mltfr.interactions.readers.literals import parse_literal
from mltfr.interactions.readers.unpack import unpacked
from mltfr.storage.archive import member_pieces
from mltfr.storage.parse import parse_json
from mltfr.storage.progress import SILENT, Progress

MEGABYTE = 1_000_000
LONGEST = 16 * MEGABYTE
"""Bytes of a line from which it is no record."""
DAMAGED = 0.01
"""Share of the lines that may be no records; with more, it is another file."""
KEYS = (USER, ITEM, TIME)


class RawForm(Config):
    """How a raw file is written, and what of it is counts."""

    limit: int
    """Megabytes of the file, unpacked, from which it is refused."""
    member: str | None = None
    """Path of the file in its archive; none for a file that is compressed alone, or not at all."""
    header: str | None = None
    """Line that names the columns of a text, put before it; none where the text has one."""
    skip: int = 0
    """Lines of the text that are left out before that."""
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    """Encoding of the text."""
    records: Literal["json", "python"] | None = None
    """How a line writes its record; none for a text that is kept as it stands."""
    columns: Mapping[str, str] = {}
    """Columns that are written, and the keys of the records that hold them."""
    once: bool = False
    """Whether an interaction that repeats another one with its time is left out: the reader refuses such."""


@dataclass
class RowCounts:
    """What became of the rows of a raw file.

    Attributes:
        rows: rows of the raw file.
        damaged: lines among them that are no records, and were left out.
        repeated: interactions that repeated another one with its time, and were left out.
    """

    rows: int = 0
    damaged: int = 0
    repeated: int = 0


def write_table(
    raw: Path, form: RawForm, target: Path, known: Path | None = None, progress: Progress = SILENT
) -> RowCounts:
    """Write the table that a raw file holds.

    Args:
        raw: the raw file, or the archive that it lies in.
        form: how it is written.
        target: the new file.
        known: a log; of records about items, those of its items are written.
        progress: receives the megabytes that were read.

    Raises:
        DataError: the raw file is damaged, larger than expected, or another one.
    """
    counts = RowCounts()
    pieces = _pieces(raw, form, progress)
    with target.open("wb") as file:
        if form.records is None:
            _copy(pieces, form, file, counts)
        else:
            _write_records(raw, pieces, form, file, _items(known), counts)
    if not counts.rows:
        raise DataError(f"{raw}: holds no rows. Get the file again.")
    if form.once:
        _keep_once(target, counts)
    return counts


def _pieces(raw: Path, form: RawForm, progress: Progress) -> Iterator[bytes]:
    """Yield the content of a raw file, unpacked."""
    limit, size = form.limit * MEGABYTE, 0
    progress.start(f"reading {raw.name} (MB)")
    for piece in unpacked(raw) if form.member is None else member_pieces(raw, form.member, DataError, limit):
        progress.advance((size + len(piece)) // MEGABYTE - size // MEGABYTE)
        size += len(piece)
        if size > limit:
            raise DataError(f"{raw}: holds more than the {limit:,} bytes that were expected. Get the file again.")
        yield piece


def _copy(pieces: Iterator[bytes], form: RawForm, file: BinaryIO, counts: RowCounts) -> None:
    """Copy a text behind its header, and count its rows."""
    skip, ended = form.skip, True
    decoder = codecs.getincrementaldecoder(form.encoding)() if form.encoding != "utf-8" else None
    if form.header is not None:
        file.write(form.header.encode() + b"\n")
    else:
        counts.rows -= 1  # its first line
    for piece in pieces:
        while skip and piece:
            _, newline, piece = piece.partition(b"\n")
            skip -= bool(newline)
        if piece:
            counts.rows += piece.count(b"\n")
            ended = piece.endswith(b"\n")
            file.write(decoder.decode(piece).encode() if decoder else piece)
    counts.rows += not ended


def _write_records(
    raw: Path, pieces: Iterator[bytes], form: RawForm, file: BinaryIO, known: set[str] | None, counts: RowCounts
) -> None:
    """Write the columns of one record a line."""
    parse = parse_json if form.records == "json" else parse_literal
    text = TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(form.columns)
        for line in _lines(raw, pieces):
            counts.rows += 1
            row = _row(line, form.columns, parse)
            if row is None:
                counts.damaged += 1
            elif known is None or row[ITEM] in known:
                writer.writerow(row.values())
    finally:
        text.detach()
    if counts.damaged > DAMAGED * counts.rows:
        raise DataError(
            f"{raw}: {counts.damaged:,} of its {counts.rows:,} lines are no records with "
            f"{', '.join(form.columns.values())}. It is another file, or damaged; get it again."
        )


def _lines(raw: Path, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines that are not blank."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > LONGEST:
            raise DataError(f"{raw}: has a line of more than {LONGEST:,} bytes, so it is no file of records.")
        yield from filter(bytes.strip, lines)
    if rest.strip():
        yield rest


def _row(line: bytes, columns: Mapping[str, str], parse: Callable[[str], Any]) -> dict[str, str] | None:
    """Return the values of a record by column; None if it is none, or lacks one that a log needs."""
    try:
        record = parse(line.decode("utf-8"))
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    row = {name: _shown(record.get(key)) for name, key in columns.items()}
    return row if all(row[name] for name in KEYS if name in row) else None


def _shown(value: Any) -> str:
    """Return a value as a field of one line; the elements of lists, however deep, once each, with commas between."""
    return ", ".join(dict.fromkeys(_leaves(value)))


def _leaves(value: Any) -> Iterator[str]:
    """Yield the texts of a value."""
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif value is not None and (text := " ".join(str(value).split())):
        yield text


def _items(log: Path | None) -> set[str] | None:
    """Return the items of a log that this module wrote."""
    if log is None:
        return None
    return set(pl.read_csv(log, columns=[ITEM], infer_schema=False)[ITEM])


def _keep_once(path: Path, counts: RowCounts) -> None:
    """Leave out the interactions of a table, one a line, that repeat another one with its time."""
    with path.open("rb") as file:
        delimiter = "\t" if b"\t" in file.readline() else ","
    table = pl.scan_csv(path, separator=delimiter, infer_schema=False, low_memory=True).select(KEYS)
    keys = table.collect()
    alike = keys.hash_rows().is_duplicated().arg_true()  # the few rows that may be equal
    first = pl.repeat(True, len(keys), eager=True).scatter(alike, keys[alike].to_struct().is_first_distinct())
    counts.repeated = len(first) - int(first.sum())
    if counts.repeated:
        shorter = path.with_name(f"{path.name}.once")
        with path.open("rb") as file, shorter.open("wb") as target:
            target.write(file.readline())
            target.writelines(compress(file, first))
        shorter.replace(path)
