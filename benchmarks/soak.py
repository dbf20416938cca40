"""Faults by the hundred: kill, starve, damage and lie to mltfr, and print what was tried and found.

    python benchmarks/soak.py [--only SECTION ...] [--seed 0] [--scale 1] [--case NUMBER]
                              [--workers 2] [--out FILE]

A full run takes about 25 minutes on two quiet cores, `--scale 0.1` a tenth of the cases. Every case that goes wrong is
printed with the command that tries it alone; `--case` keeps its folder. The exit code is 1 if one did.
The sections are the files of `faults/`: each says what it tries, and what counts as found.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS"), "1")  # before they are imported

from faults.cases import Case
from faults.jobs import make_material
from faults.report import Row, show, write
from faults.spread import spread
from harness.machine import ROOT, machine

SECTIONS = ("kills", "disks", "clock", "writers", "damage", "logs", "tables", "settings", "requests")


def main() -> int:
    """Run the sections, print and write what they found; return 1 if something was wrong."""
    given = _arguments()
    _import_libraries()
    rows: list[Row] = []
    base = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        make_material(base / "material")
        for section in given.only or SECTIONS:
            rows += _run(section, base, given)
    finally:
        if given.case is None:
            shutil.rmtree(base, ignore_errors=True)
        else:
            print(f"kept: {base}")
    show(rows)
    if given.case is None and given.out is not None:
        write(given.out, machine() | {"seed": given.seed, "scale": given.scale}, rows)
        print(f"Written to {given.out}")
    return int(any(row.wrong for row in rows))


def _run(section: str, base: Path, given: argparse.Namespace) -> list[Row]:
    begun, module = time.perf_counter(), import_module(f"faults.{section}")
    chosen = list(enumerate(module.cases(given.scale)))
    if given.case is not None:
        chosen = [chosen[given.case]]
    module.prepare(base / "material", base / f"{section}-right", {kind for _, (kind, _) in chosen})
    rows = {kind: Row(section, kind) for _, (kind, _) in chosen}
    cases = [Case(section, kind, number, given.seed, given.scale, base / section / str(number), more)
             for number, (kind, more) in chosen]  # fmt: skip
    (base / section).mkdir()
    for case, outcome in spread(cases, module.attempt, given.workers, module.SECONDS, module.MEMORY):
        rows[case.kind].add(case, outcome)
        if outcome.wrong:
            print(rows[case.kind].wrong[-1], file=sys.stderr, flush=True)
        if given.case is None:
            shutil.rmtree(case.scratch, ignore_errors=True)
    print(f"{section}: {len(cases)} cases in {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    return list(rows.values())


def _import_libraries() -> None:
    """Import what the cases need, and compute nothing: libraries make their threads on use, after the fork."""
    import duckdb  # noqa: F401
    import filelock  # noqa: F401
    import rich.console
    import rich.table  # noqa: F401
    import torch

    import mltfr.batch
    import mltfr.cli.main
    import mltfr.interactions.prepare
    import mltfr.report.write
    import mltfr.study  # noqa: F401

    torch.set_num_threads(1)
    gc.freeze()  # no child looks through them for garbage, nor copies their memory by it


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--case", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="benchmarks/results/soak.json for a run of all sections")
    given = parser.parse_args()
    if given.out is None and given.only is None and given.scale == 1:
        given.out = ROOT / "benchmarks" / "results" / "soak.json"
    return given


if __name__ == "__main__":
    sys.exit(main())
