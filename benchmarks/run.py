"""Measure speed and memory, and print them beside their budgets.

    python benchmarks/run.py [--data FILE] [--rows NAME ...] [--repeats 3] [--threads 1] [--large]
                             [--peers [--peer-batches N]] [--out benchmarks/results/NAME.json]

Every row runs in a process of its own. Times are CPU seconds unless the table says otherwise, and medians;
what is compared is measured in turn. "floor" is the least that this machine, whose rates are measured first,
needs for the work that was counted (`harness/counts.py`). Rows that grow are drawn into a plot beside the results.
Without --data the log is Amazon Beauty if the folder beside the project has it, else a synthetic one of its size.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.floor import by_name
from harness.machine import ROOT, load_average, machine
from harness.plot import draw_growth
from harness.report import bare_line, lines, print_table, write
from harness.result import Result
from harness.settings import Settings
from harness.worker import run_row
from rows import ROWS, Row

BEAUTY = ROOT.parent / "shared" / "data" / "beauty.txt"
SHORT = 600.0
TITLE = "mltfr: speed and memory"


def main() -> int:
    """Measure, print and write; return 1 if a row failed."""
    given = _arguments()
    settings = Settings(
        data=str(_log(given.data)) if _log(given.data) else None,
        repeats=given.repeats,
        threads=given.threads,
        seed=given.seed,
        wheels=str(given.wheels or _wheels()),
        named=bool(given.rows),
        peer_batches=given.peer_batches,
    )
    chosen = given.rows or [name for name, row in ROWS.items() if _wanted(row, given)]
    about = machine() | {
        "data": _describe(settings),
        "threads": given.threads,
        "repeats": given.repeats,
        "seed": given.seed,
        "load before": load_average(),
    }
    rates = _answer("harness.floor", "rates", settings, "The machine's rates cannot be measured")
    settings = replace(settings, rates=by_name(rates))
    about |= {rate.what: f"{max(rate.values):.3g} {rate.unit}" for rate in rates}
    for name, value in about.items():
        print(f"{name}: {value}")
    cells, rows, failed = [], {}, False
    for name in chosen:
        begun = time.perf_counter()
        print(f"{name} ...", file=sys.stderr, flush=True)
        answers = _measure(ROWS[name], settings, given.large)
        results = [Result.from_json(result) for answer in answers for result in answer.get("results", [])]
        for answer in answers:
            cells += [bare_line(name, answer[kind], kind) for kind in ("skipped", "failed") if kind in answer]
            failed |= "failed" in answer
        rows[name] = answers[0] if len(answers) == 1 else {"points": answers}
        cells += lines(name, results)
        write(given.out, {"about": about, "rows": rows}, TITLE, cells)  # a run that is stopped keeps what it has
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    about["load after"] = load_average()
    print_table(TITLE, cells)
    write(given.out, {"about": about, "rows": rows}, TITLE, cells)
    print(f"Written to {given.out} and {given.out.with_suffix('.md').name}")
    plot = given.out.with_name(f"{given.out.stem}-growth.png")
    try:
        if draw_growth(rows, plot):
            print(f"Growth drawn into {plot.name}")
    except ModuleNotFoundError:
        print("Growth is not drawn without matplotlib; pip install 'mltfr[bench]'", file=sys.stderr)
    return int(failed)


def _wanted(row: Row, given: argparse.Namespace) -> bool:
    return (given.large or not row.large) and (given.peers or not row.peers)


def _measure(row: Row, settings: Settings, large: bool) -> list[dict[str, Any]]:
    """Measure a row, at all its points if it has some, each in a process of its own."""
    points = row.points + (row.large_points if large else ()) or (0,)
    return [
        run_row(row.module, row.function, replace(settings, point=point), row.threads or settings.threads, row.limit)
        for point in points
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure speed and memory, and print them beside their budgets.")
    parser.add_argument("--data", type=Path, help="interaction log; by default Beauty, or a synthetic log of its size")
    parser.add_argument("--rows", nargs="+", choices=ROWS, metavar="NAME", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--repeats", type=_positive, default=3, help="measurements of each figure")
    parser.add_argument("--threads", type=_positive, default=1, help="threads, where a budget names no other number")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--large", action="store_true", help="also measure what takes long")
    parser.add_argument("--peers", action="store_true", help="also measure RePlay, RecTools and RecBole")
    parser.add_argument("--peer-batches", type=_positive, help="batches of a peer's epoch to run; all if not given")
    parser.add_argument("--wheels", type=Path, help="folder that keeps downloaded wheels")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "speed.json")
    return parser.parse_args()


def _positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return int(text)


def _log(given: Path | None) -> Path | None:
    """Return the log's file, or None for the synthetic log."""
    if given is not None:
        return given.resolve()
    return BEAUTY if BEAUTY.is_file() else None


def _wheels() -> Path:
    from mltfr.storage.files import home

    return home() / "wheels"


def _describe(settings: Settings) -> str:
    return _answer("harness.data", "describe", settings, "The log cannot be read")[0].what


def _answer(module: str, function: str, settings: Settings, otherwise: str) -> list[Result]:
    answer = run_row(module, function, settings, settings.threads, SHORT)
    if "results" not in answer:
        sys.exit(f"{otherwise}: {answer['failed']}")
    return [Result.from_json(result) for result in answer["results"]]


if __name__ == "__main__":
    sys.exit(main())
