"""Section on several runs of one protocol side by side, with the paired test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mltfr.page.content import Column, Figure, Section, Table
from mltfr.page.svg import Interval, intervals
from mltfr.pipeline.compare import compare_runs


def compared(folder: Path, others: Sequence[Path], metric: str) -> Section:
    """Return a run beside others, scored again on test.

    Args:
        folder: the run folder.
        others: those of the runs beside it.
        metric: what is compared by.

    Raises:
        ConfigError: a run is given twice, or did not measure the metric.
        ProtocolError: they differ in protocol, users, targets or candidates.
        RunError: a folder holds no finished run, or a damaged one.
    """
    found = compare_runs([folder, *others], metric)
    names = list(next(iter(found.evaluations.values())).metrics)
    scores = Table(
        "compared-scores",
        "Test scores of the runs",
        (Column("run"), *(Column(name, ".4f") for name in names)),
        tuple((run, *(one.metrics[name] for name in names)) for run, one in found.evaluations.items()),
    )
    pairs = Table(
        "compared",
        f"{metric}: the first run of each pair minus the second",
        (
            Column("first"), Column("second"), Column("verdict"), Column("difference", "+.4f"),
            Column("95 % from", "+.4f"), Column("to", "+.4f"), Column("p", ".2g"),
        ),
        tuple(
            (one.first, one.second, one.verdict, one.test.difference, one.test.low, one.test.high, one.p)
            for one in found.pairs
        ),
        (str(found).split("\n\n")[-1].replace("\n  ", " "),),
    )  # fmt: skip
    drawn = [
        Interval(f"{one.first} minus {one.second}", one.test.difference, one.test.low, one.test.high)
        for one in found.pairs
    ]
    figure = Figure(intervals(pairs.title, drawn), pairs)
    return Section("compared", "Beside other runs", tuple(map(str, found.pairs)), figures=(figure,), tables=(scores,))
