"""Measure speed and memory, and print them beside their budgets.

    python benchmarks/run.py [--data FILE] [--rows NAME ...] [--repeats 3] [--threads 1] [--large]
                             [--out benchmarks/results/NAME.json]

Every row runs in a process of its own. Times are CPU seconds unless the table says otherwise, and medians;
what is compared is measured in turn in one process. Without --data the log is Amazon Beauty if the folder
beside the project has it, else a synthetic one of the same size.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from harness.machine import ROOT, load_average, machine
from harness.report import lines, print_table, write
from harness.result import Result
from harness.settings import Settings
from harness.worker import run_row
from rows import ROWS

BEAUTY = ROOT.parent / "shared" / "data" / "beauty.txt"
ROW_LIMIT = 1800.0
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
    )
    chosen = given.rows or [name for name, row in ROWS.items() if given.large or not row.large]
    about = machine() | {
        "data": _describe(settings),
        "threads": given.threads,
        "repeats": given.repeats,
        "seed": given.seed,
        "load before": load_average(),
    }
    for name, value in about.items():
        print(f"{name}: {value}")
    cells, rows, failed = [], {}, False
    for name in chosen:
        begun = time.perf_counter()
        row = ROWS[name]
        told = Settings(**{**vars(settings), "named": bool(given.rows)})
        answer = run_row(row.module, row.function, told, row.threads or given.threads, ROW_LIMIT)
        rows[name] = answer
        cells += [(name, answer[kind], kind, *[""] * 6) for kind in ("skipped", "failed") if kind in answer]
        failed |= "failed" in answer
        results = [Result.from_json(result) for result in answer.get("results", [])]
        cells += lines(name, results)
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    about["load after"] = load_average()
    print_table(TITLE, cells)
    write(given.out, {"about": about, "rows": rows}, TITLE, cells)
    print(f"Written to {given.out} and {given.out.with_suffix('.md').name}")
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure speed and memory, and print them beside their budgets.")
    parser.add_argument("--data", type=Path, help="interaction log; by default Beauty, or a synthetic log of its size")
    parser.add_argument("--rows", nargs="+", choices=ROWS, metavar="NAME", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--repeats", type=_positive, default=3, help="measurements of each figure")
    parser.add_argument("--threads", type=_positive, default=1, help="threads, where a budget names no other number")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random")
    parser.add_argument("--large", action="store_true", help="also measure what takes long")
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
    from mltfr.fetch import home

    return home() / "wheels"


def _describe(settings: Settings) -> str:
    answer = run_row("harness.data", "describe", settings, settings.threads, ROW_LIMIT)
    if "failed" in answer:
        sys.exit(f"The log cannot be read: {answer['failed']}")
    return str(answer["results"][0]["what"])


if __name__ == "__main__":
    sys.exit(main())
