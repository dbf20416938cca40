"""A log, written in every form that can be read."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl

from mltfr.interactions.synthetic import SyntheticConfig, synthetic


def shuffled_frame() -> pl.DataFrame:
    """Return a synthetic log, its rows in no order."""
    log = synthetic(SyntheticConfig(users=250, items=90, mean_length=9), seed=5).log.frame
    place = pl.int_range(pl.len()).over("user_id")
    start = pl.col("timestamp").first().over("user_id") % 10
    log = log.with_columns(timestamp=1_700_000_000 + place * 1_000_000 + start * 100_000)  # many share a time
    return log.unique(maintain_order=True).sample(fraction=1, shuffle=True, seed=2)


def write(frame: pl.DataFrame, path: Path, form: str) -> Path:
    """Write a log as text or Parquet, its times as the form says."""
    time = pl.col("timestamp")
    if form == "floats":
        frame = frame.with_columns(time + 0.25)
    elif form == "dates":
        moments = pl.from_epoch("timestamp", time_unit="s")
        frame = frame.with_columns(moments.dt.strftime("%Y-%m-%dT%H:%M:%S")).sort("timestamp", descending=True)
    elif form == "moments":
        frame = frame.with_columns(pl.from_epoch("timestamp", time_unit="s"))
    elif form == "no times":
        frame = frame.drop("timestamp")
    elif form == "another order":
        frame = frame.select("timestamp", pl.lit("x").alias("note"), "item_id", "user_id")
    elif form == "numbers":
        numbers = [pl.col(name).str.slice(1).cast(pl.Int32) for name in ("user_id", "item_id")]
        frame = frame.with_columns(numbers)
    if form in ("moments", "numbers"):
        frame.write_parquet(path, row_group_size=300)
    elif form == "gzip":
        path.write_bytes(gzip.compress(frame.write_csv(separator="\t").encode()))
    elif form == "recbole":
        names = {"user_id": "user_id:token", "item_id": "item_id:token", "timestamp": "timestamp:float"}
        frame.rename(names).write_csv(path, separator="\t")
    elif form == "blank lines":
        path.write_text(frame.write_csv().replace("\nu0007,", "\n\nu0007,") + "\n\n")
    else:
        frame.write_csv(path, quote_style="always" if form == "quoted" else "necessary")
    return path


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def walks(frame, path: Path, form: str) -> Path:
    """Write a log without times in a form that is read whole."""
    histories = frame.sort("timestamp", maintain_order=True).group_by("user_id", maintain_order=True).agg("item_id")
    lines = [(user, " ".join(items)) for user, items in histories.iter_rows()]
    if form == "jsonl":
        frame.write_ndjson(path)
    elif form == "zstd":
        path.write_bytes(zstandard(frame.write_csv().encode()))
    elif form == "pairs":
        path.write_text("".join(f"{user} {item}\n" for user, item, _ in frame.iter_rows()))
    elif form == "folder":
        path.mkdir()
        (path / "train.txt").write_text("a 1 2 3\nb 2 3\n")
        (path / "test.txt").write_text("a 4\nb 1\n")
    else:
        path.write_text("".join(f"{user}{' : ' if form == 'colon' else ' '}{items}\n" for user, items in lines))
    return path


def zstandard(content: bytes) -> bytes:
    import pyarrow

    return pyarrow.compress(content, "zstd", asbytes=True)
