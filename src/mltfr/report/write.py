"""A study's report: comparisons, tables and plots written into its folder."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from mltfr.errors import MissingExtraError, MltfrWarning
from mltfr.evaluation.crossed import TestName
from mltfr.report.blends import Members, blend_table
from mltfr.report.comparisons import compare_all
from mltfr.report.draws import draw_table
from mltfr.report.frames import read_draws, read_labels, read_logs, read_results, read_users
from mltfr.report.latex import latex
from mltfr.report.markdown import escaped, markdown
from mltfr.report.names import groups_of
from mltfr.report.overview import overview
from mltfr.report.plots import StudyFrames, draw_all
from mltfr.report.result_table import result_tables
from mltfr.report.table import Table
from mltfr.report.window_table import window_tables
from mltfr.report.windows import incomplete, pooled_logs, pooled_results, pooled_users, rolled_cells
from mltfr.storage.files import atomic_file, read_json, sha256, write_json, write_text
from mltfr.storage.folder import is_intact
from mltfr.storage.sealed import sealed, unsealed

COMPARISONS, SUMMARY, TABLES, PLOTS = "comparisons.parquet", "summary.md", "tables", "plots"
WRITTEN = ".report.json"
"""Names and checksums of the tables and plots that the last report wrote; nothing else is ever removed."""


def write_report(
    folder: Path,
    title: str,
    metrics: Sequence[str],
    compare_with: str,
    test: TestName,
    notes: Sequence[str] = (),
    members: Members | None = None,
) -> list[Path]:
    """Write `comparisons.parquet`, `summary.md`, `tables/` and `plots/` of a study, and return their paths.

    Two calls on the same results write the same tables to the byte. Tables and plots that an earlier call wrote, and
    this one does not, are removed; every other file stays. Without matplotlib the plots are left out, with a warning.

    Args:
        folder: holds `results.parquet`, `users.parquet` and, for the plots of the training, `cells/*/log.jsonl`;
            `study.toml`, if there is one, decides the order of rows.
        title: the summary's heading.
        metrics: the columns of the tables; gains and tests are by the first.
        compare_with: the fusion that the others are compared with.
        test: how p is computed.
        notes: what the reader should know, one paragraph each, in Markdown.
        members: the rows that blends are made of.

    Raises:
        RunError: the results are missing or damaged.
        DataError: the results do not fit together.
        OutputError: something cannot be written.
    """
    results, users, labels = read_results(folder), read_users(folder), read_labels(folder)
    rolled = rolled_cells(results)
    pooled, pooled_over = pooled_results(results, rolled), pooled_users(users, rolled)
    comparisons = compare_all(pooled_over, compare_with, metrics, test)
    with atomic_file(folder / COMPARISONS) as temporary:
        comparisons.write_parquet(temporary)
    found = overview(comparisons, labels, metrics[0], compare_with)
    tables = [found] if found else []
    tables += result_tables(pooled, comparisons, labels, metrics, compare_with, test)
    blended = blend_table(pooled, pooled_over, members or {}, labels, metrics[0], test)
    tables += [blended] if blended else []
    ranked = draw_table(results, read_draws(folder), labels, metrics[0])
    tables += [ranked] if ranked else []
    tables += window_tables(results, users, rolled, groups_of(pooled, labels), labels, metrics[0], compare_with)
    written = [folder / COMPARISONS]
    for table in tables:
        written.append(_write(folder / TABLES / f"{table.name}.md", markdown(table)))
        written.append(_write(folder / TABLES / f"{table.name}.tex", latex(table)))
    logs = pooled_logs(read_logs(folder), rolled)
    frames = StudyFrames(pooled, pooled_over, comparisons, logs, labels, metrics[0], compare_with)
    plots = _plots(frames, folder / PLOTS)
    summary = _write(folder / SUMMARY, _summary(title, [*notes, *incomplete(results)], tables, plots))
    _remove_old(folder, [*written[1:], *plots])
    return [*written, *plots, summary]


def _remove_old(folder: Path, written: Sequence[Path]) -> None:
    """Remove what the last report wrote, this one did not, and nobody has changed since; record this one's files."""
    now = {str(path.relative_to(folder)): sha256(path) for path in written}
    try:
        before = dict(unsealed(read_json(folder / WRITTEN))["files"])
    except (OSError, ValueError, LookupError, TypeError):
        before = {}
    for name in before.keys() - now.keys():
        if str(Path(name).parent) in (TABLES, PLOTS) and is_intact(folder / name, before[name]):
            (folder / name).unlink()
    write_json(folder / WRITTEN, sealed({"files": now}))


def _plots(study: StudyFrames, folder: Path) -> list[Path]:
    try:
        return draw_all(study, folder)
    except MissingExtraError as error:
        warnings.warn(f"The plots are left out: {error}", MltfrWarning, stacklevel=3)
        return []


def _summary(title: str, notes: Sequence[str], tables: Sequence[Table], plots: Sequence[Path]) -> str:
    parts = [f"# {escaped(title)}\n", *(f"{note}\n" for note in notes), *map(markdown, tables)]
    if plots:
        images = [f"![{path.stem.replace('-', ' ')}]({PLOTS}/{path.name})\n" for path in plots]
        parts += ["## Plots\n", *images]
    return "\n".join(parts)


def _write(path: Path, text: str) -> Path:
    write_text(path, text)
    return path
