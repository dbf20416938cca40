"""Folders of studies that never ran: results, users and logs drawn at random."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

METRICS = tuple(f"{name}@{k}" for name in ("hr", "ndcg", "mrr") for k in (5, 10, 20))
POPULARITY = ("head", "mid", "tail", "unknown")
THREE = ("smollm2-135m", "wordllama", "minilm-l6")


def write_study(
    folder: Path,
    *,
    data: Sequence[str] = ("beauty",),
    backbones: Sequence[str] = ("sasrec", "gru4rec"),
    fusions: Mapping[str, float] | None = None,
    tables: Mapping[str, Sequence[str]] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    users: int = 60,
    protocols: Sequence[str] = ("aaaa1111bbbb2222",),
    epochs: int = 6,
    study: bool = True,
) -> Path:
    """Write a folder as `mltfr study` leaves it; `fusions` gives each fusion's gain over a base score of 0.3."""
    gains = fusions or {"none": 0.0, "mltfr": 0.1, "random": -0.01}
    sets = tables or {"three": THREE}
    random = np.random.default_rng(7)
    results: list[dict[str, Any]] = []
    of_users: list[pl.DataFrame] = []
    folder.mkdir(parents=True, exist_ok=True)
    for name in data:
        for protocol in protocols:
            taste = random.random(users)
            labels = {"data": name, "data_fingerprint": f"{name}-print", "protocol": protocol}
            for backbone, fusion, table_set in [
                ("popularity", "", ""),
                *((b, f, t) for b in backbones for f in gains for t in ([""] if f in ("none", "capacity") else sets)),
            ]:
                for seed in seeds if fusion else seeds[:1]:
                    cell = f"{name}-{backbone}-{fusion}-{table_set}-{seed}-{protocol[:4]}"
                    row = {"cell": cell, **labels, "backbone": backbone, "fusion": fusion, "tables": table_set}
                    row["window"] = ""
                    counts = {"seed": seed, "parameters": 1000 + 200 * bool(table_set), "best_epoch": 3, "epochs": 6}
                    gain, of_seed = gains.get(fusion, -0.2), 0.005 * random.normal()
                    values = np.clip(taste * 0.4 + 0.1 + gain + of_seed + 0.1 * random.normal(size=users), 0, 1)
                    for part in ("test", "validation", "zero_branch")[: 3 if fusion else 2]:
                        results += [
                            {**row, "test_from": None, "test_until": None, **counts, "seconds": float(random.random()),
                             "part": part, "metric": metric,
                             "value": float(values.mean() * (0.9 if part == "zero_branch" else 1))}
                            for metric in METRICS
                        ]  # fmt: skip
                    of_users.append(
                        pl.DataFrame(
                            {
                                "user_id": [f"u{number}" for number in range(users)],
                                "history_length": [1 + number % 70 for number in range(users)],
                                "target_popularity": [POPULARITY[number % 4] for number in range(users)],
                                **{f"{metric}@10": values for metric in ("hr", "ndcg", "mrr")},
                            }
                        ).with_columns(
                            **{key: pl.lit(value) for key, value in row.items() if key != "data_fingerprint"},
                            seed=pl.lit(seed, pl.Int64),
                        )
                    )
                    if fusion:
                        tables_of = sets.get(table_set, ())
                        _write_log(folder / "cells" / cell, random, tables_of, epochs, float(values.mean()))
    pl.DataFrame(results).write_parquet(folder / "results.parquet")
    pl.concat(of_users).write_parquet(folder / "users.parquet")
    if study:
        lines = [f'title = "Made up"\nbaselines = ["popularity"]\nseeds = {list(seeds)}']
        lines += [f"[{kind}.{label}]" for kind, names in (("data", data), ("backbones", backbones), ("fusions", gains))
                  for label in names]  # fmt: skip
        lines += [f"[tables.{label}]\ntables = {json.dumps(list(names))}" for label, names in sets.items()]
        (folder / "study.toml").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def _write_log(folder: Path, random: np.random.Generator, tables: Sequence[str], epochs: int, score: float) -> None:
    folder.mkdir(parents=True)
    lines = []
    for number in (1, 2) if tables else (1,):
        for epoch in range(1, epochs + int(random.integers(3))):
            record = {"round": number, "epoch": epoch, "loss": 8 / epoch, "seconds": 1.0,
                      "validation": {"ndcg@10": score * (1 - 0.7**epoch) + 0.01 * random.random()}}  # fmt: skip
            if len(tables) > 1:
                share = random.dirichlet(np.full(len(tables), 5.0))
                record["router_share"] = dict(zip(tables, map(float, share), strict=True))
            lines.append(json.dumps(record))
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
