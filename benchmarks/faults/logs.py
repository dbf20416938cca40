"""Logs: made in every format and dialect, then damaged or not, and read, with and without invalid rows dropped.

Tried: tables of text with commas, tabs, semicolons and bars, RecBole files, JSON Lines, Parquet, sequences, pairs;
plain, as gzip and zstd, as UTF-16 and with a byte order mark; whole, or with bytes flipped, lost and put in, quotes in
the wrong place, fields too many and too few, values that are none; and what is no log: devices, links, bombs. Some
are prepared too.

Found wrong: anything but a line that says what is wrong, or a log in which every row of the file is kept or reported.
What the rows are is said by what wrote the file, and by Python's `csv` in strict mode once it is damaged.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faults.cases import Case, Outcome, prepare_nothing
from faults.log_damage import CHANGES, strange_file
from faults.made_logs import KINDS, MadeLog, write_log

PACKING = ("plain", "plain", "plain", "gz", "zst", "utf-16", "mark")
TIMES = 50
SECONDS, MEMORY = 30.0, 1 << 30
prepare = prepare_nothing


def cases(scale: float) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield every format with every change, and what is no log."""
    for turn in range(max(1, round(scale * TIMES))):
        for kind in KINDS:
            yield kind, {"change": None}
            yield from ((kind, {"change": change}) for change in CHANGES)
        if turn % 5 == 0:
            yield from (("no log at all", {"number": number}) for number in range(12))


def attempt(case: Case) -> Outcome:
    """Make a file, read it, and count its rows."""
    case.scratch.mkdir(parents=True)
    random = case.random()
    skip = bool(random.integers(2))
    if "number" in case.given:
        path = strange_file(case.given["number"], case.scratch)
        log, refusal = read(path, skip_invalid=skip)
        return Outcome("refused, one line" if log is None else "read", "" if log is None else f"{path.name} was read")
    made = KINDS[case.kind](case.kind, random)
    content = made.content
    change = case.given["change"]
    if change is not None:
        content = CHANGES[change](content, made, random)
    packing = PACKING[int(random.integers(len(PACKING)))]
    if packing == "utf-16" and (change is not None or case.kind == "parquet"):
        packing = "plain"
    packing = "plain" if case.kind == "parquet" else packing
    path = write_log(made, content, packing, case.scratch)
    format = made.format if random.random() < 0.5 else None
    told = f"{change or 'whole'}, {packing}, format {format}, skip_invalid {skip}"
    log, refusal = read(path, skip_invalid=skip, format=format)
    wrong = ""
    if change is None:
        wrong = f"refused: {refusal}" if log is None else _other_rows(log, made)
    elif log is not None and made.delimiter:
        wrong = _lost_rows(log, content, made)
    elif log is not None and case.kind == "jsonl":
        wrong = _miscounted(log, [line for line in content.split(b"\n") if line.strip()], content.count(b"\r"))
    if not wrong and case.kind in ("csv", "tsv", "recbole", "parquet") and random.random() < 0.05:
        wrong = _prepared_differs(path, case.scratch / "set", log, format, skip)
    outcome = "refused, one line" if log is None else ("read, rows reported" if log.skipped else "read")
    return Outcome(outcome, f"{told}: {wrong}" if wrong else "")


def read(path: Path, **options: Any) -> tuple[Any, str]:
    """Return the log, or None and the line that refuses it."""
    from mltfr.errors import MltfrError
    from mltfr.interactions import load_interactions

    try:
        return load_interactions(path, **options), ""
    except MltfrError as error:
        return None, str(error)


def rows_in(log: Any) -> Counter[tuple[str, ...]]:
    """Return the rows of a log, times as texts."""
    columns = [name for name in ("user_id", "item_id", "timestamp") if name in log.frame.columns]
    return Counter(tuple(map(str, row)) for row in log.frame.select(columns).iter_rows())


def _other_rows(log: Any, made: MadeLog) -> str:
    timed = "timestamp" in log.frame.columns
    rows = ((user.strip(), item, str(time)) for user, item, time in made.rows)
    right = Counter(row if timed else row[:2] for row in rows)
    found = rows_in(log)
    missing, more = right - found, found - right
    return f"missing {list(missing)[:3]}, more {list(more)[:3]}" if missing or more else ""


def _lost_rows(log: Any, content: bytes, made: MadeLog) -> str:
    """Compare a log with what `csv` reads; where `csv` refuses, every line that is not blank is a row."""
    try:
        text = content.decode("utf-8-sig", "replace")
        if "\ufffd" in text and not log.skipped:
            return "text that is not UTF-8 was read"
        blank = sum(not line.strip() for line in text.split("\n"))
        csv.field_size_limit(1 << 30)
        quoting = csv.QUOTE_NONE if made.format == "recbole" else csv.QUOTE_MINIMAL
        found = csv.reader(io.StringIO(text, newline=""), delimiter=made.delimiter, strict=True, quoting=quoting)
        records = [record for record in found if record and (len(record) > 1 or record[0].strip())]
    except csv.Error:
        lines = [line for line in content.split(b"\n")[1:] if line.strip()]
        plain = content.replace(b'"', b"").replace(b"\\", b"")
        within = plain.count(b"two\n") + plain.count(b"two\r\n")  # line ends that stood in a title
        return _miscounted(log, lines[within:], blank + within)
    header, records = records[0], records[1:]
    if wrong := _miscounted(log, records, blank):
        return wrong
    names = [name.strip().partition(":")[0] for name in header]
    if "user_id" not in names or "item_id" not in names:
        return ""  # the usual names of other columns were taken
    user, item = names.index("user_id"), names.index("item_id")
    fields = [record for record in records if len(record) == len(header)]
    right = Counter((record[user].strip(), record[item].strip()) for record in fields)
    pairs = Counter(log.frame.select("user_id", "item_id").iter_rows())
    more = pairs - right
    return f"{list(more)[:3]} are in no row of the file" if more else ""


def _miscounted(log: Any, records: list[Any], blank: int = 0) -> str:
    kept, reported = len(log.frame), log.skipped
    if len(records) <= kept + reported <= len(records) + blank:  # blank lines may be passed over, or reported
        return ""
    return f"{len(records)} rows, {kept} kept, {reported} reported"


def _prepared_differs(path: Path, out: Path, log: Any, format: str | None, skip: bool) -> str:
    """Prepare the same file, and say how that ends otherwise than reading it did."""
    from mltfr.errors import MltfrError
    from mltfr.interactions import prepare as prepare_set

    try:
        prepared = prepare_set(path, out, format=format, skip_invalid=skip, memory=64 << 20)
    except MltfrError as error:
        few = ("no user has", "training", "split", "too short")  # too few interactions to be split
        return "" if log is None or any(word in str(error) for word in few) else f"read, but not prepared: {error}"
    if log is None:
        return "prepared, but not read"
    same = prepared.fingerprint() == log.fingerprint() and prepared.skipped == log.skipped
    return "" if same else f"prepared otherwise: {prepared.skipped} and {log.skipped} rows reported, or other rows"
