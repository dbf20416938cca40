"""How long the default fit takes, before and after a change of the defaults, and what a busy machine costs.

    python benchmarks/first_hour.py [FILE ...] [--only defaults busy] [--fusions none mltfr]
                                    [--sides before after] [--before KEY=VALUE ...] [--after KEY=VALUE ...]
                                    [--epochs-measured N]
                                    [--repeats 3] [--cores 2] [--out benchmarks/results/first_hour.json]

`defaults` fits every log with the settings of --before and of --after (nothing: today's defaults), in turn, or on one
side alone (--sides). With --epochs-measured N a fit is stopped after N epochs, and its time reckoned for its maximum
number of epochs, which validation may cut; the table says so, and its score is that of the measured epochs.
`busy` fits the first log alone and twice at once on the same cores, with OpenMP's own waits and with mltfr's, in turn;
its ratios are held against what is asked. Without FILE the log is a synthetic one of MovieLens 100K's size.
Nothing else should run meanwhile; `load before` and `load after` show whether something did.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.clock import Times, alternate
from harness.command import FailedError, Fitted, fit, fit_command, together
from harness.machine import ROOT, load_average, machine
from harness.report import COLUMNS, lines
from harness.result import Budget, Result
from mltfr.interactions.synthetic import SyntheticConfig, synthetic
from mltfr.threads import usable_cores

PARTS = ("defaults", "busy")
BEFORE = ("training.samples=prefixes", "training.epochs=100", "training.first_round_epochs=10", "training.patience=5",
          "training.batch_size=256", "backbone.hidden=64", "backbone.max_length=50")  # fmt: skip
"""The defaults before they followed the log's size."""
WAITS = {
    "default": {"GOMP_SPINCOUNT": "300000", "KMP_BLOCKTIME": "200"},  # what the runtimes take by themselves
    "mltfr": {},
}
"""Environments of the busy part: how long threads spin before they sleep."""
BUSY = ("--fusion", "none", "--set", "training.samples=positions", "--epochs", "3")
"""A short fit with many waits: whole histories, bare SASRec."""
MOST_TOGETHER, MOST_ALONE = 2.3, 1.15
"""What is asked: two at once over one alone, and one alone over one alone with OpenMP's own waits."""
HEAD = ("log", "fusion", "settings", "s an epoch", "epochs", "total minutes", "over before", "validation", "remark")
SIZE = SyntheticConfig(users=943, items=1682, topics=20, mean_length=106)


def main() -> int:
    """Measure, print and write; return 1 if a fit failed."""
    given = _arguments()
    _keep_to(given.cores)
    about = machine() | {"cores used": usable_cores(), "repeats": given.repeats, "load before": load_average()}
    document: dict[str, Any] = {"about": about}
    pages: list[str] = []
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        logs = given.logs or [_made_up(place / "synthetic.csv")]
        if "defaults" in given.only:
            rows = list(_defaults(logs, place, given))
            failed |= any("failed" in row for row in rows)
            document["defaults"] = rows
            cells = [_cells(row, rows) for row in rows]
            pages += ["", "## The default fit", "", _told(given), "", *_table(HEAD, cells)]
        if "busy" in given.only:
            try:
                results = _busy(logs[0], place, given.repeats)
            except FailedError as error:
                results, failed = [], True
                print(f"busy: {error}", file=sys.stderr)
            document["busy"] = [result.to_json() for result in results]
            command = f"{_name(logs[0])}: `mltfr fit LOG {' '.join(BUSY)}`, the whole command."
            pages += ["", "## A busy machine", "", command, "", *_table(COLUMNS, lines("busy", results))]
    about["load after"] = load_average()
    text = "\n".join(["# The first hour", "", *(f"- {name}: {value}" for name, value in about.items()), *pages])
    print(text)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    given.out.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    return int(failed)


# --- the default fit --------------------------------------------------------------------------------------------------


def _defaults(logs: Sequence[Path], place: Path, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Fit every log with both settings, in turn; who begins changes."""
    sides = [side for side in (("before", given.before), ("after", given.after)) if side[0] in given.sides]
    for number, (log, fusion) in enumerate((log, fusion) for log in logs for fusion in given.fusions):
        for name, settings in sides if number % 2 == 0 else sides[::-1]:
            row = {"log": _name(log), "fusion": fusion, "settings": name}
            print(f"{_name(log)}, {fusion}, {name} ...", file=sys.stderr, flush=True)
            options = ["--fusion", fusion, *(word for setting in settings for word in ("--set", setting))]
            try:
                row |= fit(log, place / f"{number}-{name}", options, given.epochs_measured).to_json()
            except FailedError as error:
                row |= {"failed": str(error)}
            yield row


def _cells(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    where = (row["log"], row["fusion"], row["settings"])
    if "failed" in row:
        return (*where, *[""] * 5, row["failed"])
    fitted = Fitted(**{name: row[name] for name in Fitted.__dataclass_fields__})
    at_most = "" if fitted.whole else "at most "
    same = [each for each in rows if all(each[name] == row[name] for name in ("log", "fusion")) and "seconds" in each]
    before = [each["seconds"] for each in same if each["settings"] == "before" != row["settings"]]
    return (
        *where,
        f"{fitted.epoch_seconds:.2f}",
        at_most + " + ".join(map(str, fitted.epochs)),
        f"{at_most}{fitted.seconds / 60:.1f}",
        f"{fitted.seconds / before[0]:.2f} x" if before else "",
        f"{fitted.metric} {fitted.score:.4f}",
        "" if fitted.whole else f"reckoned from {fitted.measured} epochs; their score",
    )


def _told(given: argparse.Namespace) -> str:
    before, after = (f"`{' '.join(side)}`" if side else "the defaults" for side in (given.before, given.after))
    return f"Before: {before}. After: {after}."


# --- a busy machine ---------------------------------------------------------------------------------------------------


def _busy(log: Path, place: Path, repeats: int) -> list[Result]:
    """Fit alone and twice at once, with both environments, in turn."""
    fits = iter(range(10**6))

    def run(name: str, count: int) -> None:
        print(f"busy: {count} at once, waits {name} ...", file=sys.stderr, flush=True)
        commands = [fit_command(log, place / f"busy-{next(fits)}", BUSY) for _ in range(count)]
        together(commands, WAITS[name])

    sides = {(name, count): [lambda name=name, count=count: run(name, count)] for name in WAITS for count in (1, 2)}
    times = alternate(sides, repeats, warm_up=0)
    found = [
        Result(f"waits {name}: {'alone' if count == 1 else 'two at once'}", "s", each.wall, "wall")
        for (name, count), each in times.items()
    ]
    for name in WAITS:
        budget = Budget(now=MOST_TOGETHER if name == "mltfr" else None)
        values = _over(times[name, 2], times[name, 1])
        found.append(Result(f"waits {name}: two at once over alone", "x", values, "ratio of wall", budget=budget))
    values = _over(times["mltfr", 1], times["default", 1])
    found.append(Result("alone: mltfr over default", "x", values, "ratio of wall", budget=Budget(now=MOST_ALONE)))
    return found


def _over(times: Times, base: Times) -> list[float]:
    return [own / other for own, other in zip(times.wall, base.wall, strict=True)]


# --- what is measured on, and how it is shown -------------------------------------------------------------------------


def _name(log: Path) -> str:
    """Return a log's name: that of its folder, where the file's says nothing."""
    return log.resolve().parent.name if log.stem in ("ratings", "interactions") else log.stem


def _made_up(path: Path) -> Path:
    synthetic(SIZE, 0).log.frame.write_csv(path)
    return path


def _keep_to(cores: int) -> None:
    """Use so many cores, where the system can be told."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    texts = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in [head, *rows]]
    return [texts[0], "|" + "---|" * len(head), *texts[1:]]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="*", type=Path, metavar="FILE", help="interaction logs")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="what to measure; both by default")
    parser.add_argument("--fusions", nargs="+", default=["none", "mltfr"])
    parser.add_argument("--sides", nargs="+", choices=("before", "after"), default=("before", "after"))
    parser.add_argument("--before", nargs="*", default=BEFORE, metavar="KEY=VALUE", help="the earlier defaults")
    parser.add_argument("--after", nargs="*", default=(), metavar="KEY=VALUE", help="today's defaults if not given")
    parser.add_argument("--epochs-measured", type=int, metavar="N", help="stop fits after N epochs")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of the busy machine")
    parser.add_argument("--cores", type=int, default=2, help="cores that everything shares")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "first_hour.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
