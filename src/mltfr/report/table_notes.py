"""Notes below a table of results: seeds, tests, parameters, protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mltfr.evaluation.crossed import TestName
from mltfr.report.frames import Row
from mltfr.report.names import TableKey
from mltfr.report.table import listed, metric_name, score

_TESTS: Mapping[TestName, str] = {
    "users-and-seeds": "p: two-sided, users and seeds random (crossed random effects, seeds of the two unpaired)",
    "t": "p: two-sided paired t-test over users; seeds are taken as given, so variance over seeds is not in it",
    "wilcoxon": "p: two-sided Wilcoxon signed-rank test over users; seeds are taken as given, so variance over "
    "seeds is not in it",
}


def notes_of(
    group: TableKey, rows: Sequence[Row], compared: Sequence[Row], metric: str, compare_with: str, test: TestName
) -> list[str]:
    """Return the notes of a table: scores, tests, parameters, protocol.

    Args:
        group: label, fingerprint and protocol of the data.
        rows: the table's rows, as `result_table.summarised` makes them.
        compared: their comparisons by the first metric.
        metric: that metric.
        compare_with: the fusion that the others are compared with.
        test: how p was computed.
    """
    seeds = sorted({seed for row in rows for seed in row["seeds"]})
    several = any(len(row["seeds"]) > 1 for row in rows)
    notes = [
        f"{'Seeds' if len(seeds) > 1 else 'Seed'} {listed([str(seed) for seed in seeds])}"
        + ("; mean ± standard deviation over the seeds. " if several else ". ")
        + "Bold: the best of its backbone. Zero branch: the same model with the fusion's correction set to zero."
    ]
    if compared:
        users = sorted({row["users"] for row in compared})
        notes.append(
            f"Gains and tests are by {metric_name(metric)} over {listed([f'{count:,}' for count in users])} users. "
            f"{_TESTS[test]}; Holm over the table's {_count(len(compared))} with {compare_with}. "
            "Interval: bootstrap over users and seeds, relative to the mean of what is compared with."
        )
        notes.append(_visible(compared))
        if test == "users-and-seeds" and not all(row["seeds_random"] for row in compared):
            notes.append("† One seed only: p is about these trainings alone, variance over seeds is not in it.")
    protocols = group[2].split()
    if len(protocols) > 1:
        notes.append(
            f"{len(protocols)} windows: a score is the mean of the windows' scores. In gains and tests a user counts "
            "once, by the mean over the windows in which the user is tested. The interval is for other users and "
            "seeds at these times; how far a gain differs between times is in the table by window."
        )
    notes += [f"Equally many trained parameters on every backbone: {names}." for names in equal_parameters(rows)]
    several_protocols = "s" if len(protocols) > 1 else ""
    return [*notes, f"Protocol{several_protocols} {listed(protocols)}, data {listed(group[1].split())}."]


def equal_parameters(rows: Sequence[Row]) -> list[str]:
    """Return phrases that name the fusions with equally many trained parameters on every backbone and table set."""
    by_fusion: dict[str, dict[tuple[str, str], int]] = {}
    for row in rows:
        if row["fusion"] and row["tables"] and row["parameters"]:
            by_fusion.setdefault(row["fusion"], {})[row["backbone"], row["tables"]] = row["parameters"]
    alike: dict[tuple[Any, ...], list[str]] = {}
    for fusion, counts in by_fusion.items():
        alike.setdefault(tuple(sorted(counts.items())), []).append(fusion)
    return [listed(fusions) for fusions in alike.values() if len(fusions) > 1]


def _visible(compared: Sequence[Row]) -> str:
    """Return the note on what a study of this size can see."""

    def between(values: Sequence[float], form: Callable[[float], str]) -> str:
        ends = list(dict.fromkeys(form(end) for end in (min(values), max(values))))
        return " to ".join(ends)

    shares = [100 * row["smallest_visible"] / row["other_mean"] for row in compared if row["other_mean"]]
    relative = f" ({between(shares, '{:.1f}'.format)} % of what is compared with)" if shares else ""
    return (
        f"Standard error of a gain: {between([row['standard_error'] for row in compared], score)}. The smallest gain "
        "that 80 % of studies of this size find, at p < .05 before Holm: "
        f"{between([row['smallest_visible'] for row in compared], score)}{relative}."
    )


def _count(number: int) -> str:
    return f"{number} comparison{'s' if number != 1 else ''}"
