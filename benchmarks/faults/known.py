"""Inputs that went wrong once: what each is, what should come of it, and how it is made and used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

HEADER = "user_id,item_id,timestamp,title"
ROWS = [("u1", "i1", 1), ("u1", "i2", 2), ("u1", "i3", 3), ("u2", "i1", 4), ("u2", "i2", 5), ("u2", "i3", 6)]


def _write(folder: Path, titles: list[str], rows: list[tuple[Any, ...]] = ROWS, name: str = "log.csv") -> Path:
    path = folder / name
    lines = [",".join(map(str, row)) + (f",{title}" if titles else "") for row, title in
             zip(rows, titles or [""] * len(rows), strict=True)]  # fmt: skip
    path.write_text("\n".join([HEADER if titles else HEADER.rpartition(",")[0], *lines]) + "\n")
    return path


def _long(title: str) -> Callable[[Path], str]:
    def use(folder: Path) -> str:
        path = _write(folder, ["ok", title, "ok", "ok", "ok", "ok"])
        path.write_text(path.read_text() + "\n")
        return _interactions(path)

    return use


def _many(step: int = 1) -> list[tuple[str, str, int]]:
    return [(f"u{place // 9}", f"i{(3 * (place // 9) + place) % 30}", (1_700_000_000 + 7 * place) * step)
            for place in range(516)]  # fmt: skip


def _interactions(path: Path, **options: Any) -> str:
    from mltfr.interactions import load_interactions

    log = load_interactions(path, **options)
    return f"{len(log)} interactions"


def _titled(*titles: str) -> Callable[[Path], str]:
    return lambda folder: _interactions(_write(folder, list(titles)))


def _inch_marks(folder: Path) -> str:
    titles = ["lamp"] * 516
    titles[20] = titles[480] = '12" record'
    return _interactions(_write(folder, titles, _many()))


def _since(folder: Path) -> str:
    from mltfr.interactions import load_interactions
    from mltfr.interactions.filters import FilterConfig, apply_filters

    log = load_interactions(_write(folder, [], _many(1000)))
    kept, _ = apply_filters(log, FilterConfig.parse({"since": "2023-11-14T22:40:00"}))
    return f"{len(kept)} interactions"


def _given_validation(folder: Path) -> str:
    from mltfr.interactions import load_interactions, split

    for name, text in (("train", "u1 a b c\nu2 b c d\n"), ("valid", "u1 d\nu2 b\n"), ("test", "u1 b\nu2 a\n")):
        (folder / f"{name}.txt").write_text(text)
    found = split(load_interactions(folder))
    known = found.vocabulary.item_ids
    codes = [found.histories[user][cut] for user, cut in zip(found.validation.user, found.validation.cut, strict=True)]
    items = [known[code - 1] if code > 0 else "unknown" for code in codes]
    return f"validation items {', '.join(items)}"


def _mapping(folder: Path) -> str:
    import numpy as np
    from safetensors.numpy import save_file

    from mltfr.tokens.sources.base import source_for

    vectors = np.arange(20, dtype=np.float32).reshape(10, 2)
    save_file({"embeddings": vectors, "mapping": np.arange(10)[::-1].copy()}, folder / "model.safetensors")
    vocabulary = {f"word{number}": number for number in range(10)}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": vocabulary}}))
    with source_for(str(folder / "model.safetensors")).open() as table:
        right = np.array_equal(table.read(), vectors[::-1])
    return "every token has its vector" if right else "every token has another token's vector"


def _spaced(folder: Path) -> str:
    from mltfr import Recommender
    from mltfr.training import Callback

    rows = [(f"u{user}", f"i{(user + step) % 9} ", step) for user in range(9) for step in range(6)]
    run = Recommender(backbone="item-knn").fit(_write(folder, [], rows), callback=Callback())
    return f"{len(run.recommend(histories=[['i1', 'i2']], k=1, allow=['i7']))} list with the one item that is allowed"


def _huge_floats(folder: Path) -> str:
    import polars as pl

    table = pl.DataFrame(ROWS, schema=["user_id", "item_id", "timestamp"], orient="row")
    table = table.with_columns(pl.Series("user_id", [1.8e19] * 3 + [1.7e19] * 3))
    table.write_parquet(folder / "log.parquet")
    return _interactions(folder / "log.parquet")


def _before_header(text: str) -> Callable[[Path], str]:
    def use(folder: Path) -> str:
        path = _write(folder, [])
        path.write_text(text + path.read_text())
        return _interactions(path)

    return use


def _without_header(folder: Path) -> str:
    path = folder / "log.tsv"
    path.write_text("".join(f"{196 + n}\t{242 + n}\t3\t{881250949 + 7 * n}\n" for n in range(20)))
    return _interactions(path)


def _twice_a_day(folder: Path) -> str:
    from mltfr.interactions import load_interactions, prepare
    from mltfr.interactions.filters import FilterConfig

    days = (("u1", "i1", 1), ("u1", "i1", 1), ("u1", "i2", 2), ("u1", "i3", 3), ("u2", "i1", 1), ("u2", "i3", 2),
            ("u2", "i2", 3))  # fmt: skip
    path = _write(folder, [], [(user, item, f"2019-11-0{day}") for user, item, day in days])
    try:
        load_interactions(path)
    except Exception:
        kept = FilterConfig.parse({"same_time": "keep"})
        return f"{len(prepare(path, folder / 'set', filters=kept))} interactions with the setting"
    return _interactions(path)


def _utc(folder: Path) -> str:
    rows = [(user, item, f"2019-11-01 00:00:0{time} UTC") for user, item, time in ROWS]
    return _interactions(_write(folder, [], rows))


LONG = "x" * 140_000
KNOWN: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "two stray quote marks in a column that is not read": ("6 interactions", _titled(
        "lamp", '12" disc', "lamp", "lamp", '7" disc', "lamp")),
    "a quote mark in every row": ("6 interactions", _titled(*['12" disc'] * 6)),
    "two inch marks in 516 rows": ("516 interactions", _inch_marks),
    "a quote that is never closed": ("refused, with the line that opens it", _titled(
        "lamp", '"Weird', "lamp", "lamp", "lamp", "lamp")),
    "an unquoted comma in a title": ("refused, with the row", _titled(
        "a", "Toys, Games", "a", "a", "a", "a")),
    "a field of 140,000 characters, and a blank line": ("6 interactions", _long(LONG)),
    "the same in quotes": ("6 interactions", _long(f'"{LONG}"')),
    "`filters.since` as a date on milliseconds": ("287 interactions", _since),
    "a folder with `valid.txt`": ("validation items d, b", _given_validation),
    "a table with a mapping from tokens to rows": ("every token has its vector", _mapping),
    "ids with a space behind them": ("1 list with the one item that is allowed", _spaced),
    "user ids as floats of 20 digits": ("refused, with the column and the remedy", _huge_floats),
    "a comment line before the header": ("6 interactions", _before_header("# exported 2024\n")),
    "blank lines before the header": ("6 interactions", _before_header("\n\n")),
    "a table without a header": ("refused, with the option that names its columns", _without_header),
    "an item bought twice on one day": ("7 interactions, by a setting", _twice_a_day),
    "times that end in ` UTC`": ("6 interactions", _utc),
}  # fmt: skip
