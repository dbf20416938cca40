"""A study's report: comparisons, tables and plots written into its folder."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from mltfr.errors import MissingExtraError, MltfrWarning
from mltfr.evaluation.crossed import TestName
from mltfr.report.blends import Members
from mltfr.report.contents import read_contents
from mltfr.report.contrasts import Contrast
from mltfr.report.frames import read_logs
from mltfr.report.latex import latex
from mltfr.report.markdown import escaped, markdown
from mltfr.report.plots import StudyFrames, draw_all
from mltfr.report.table import Table
from mltfr.report.windows import incomplete, pooled_logs
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
    contrasts: Sequence[Contrast] = (),
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
        contrasts: pairs of rows that are compared with each other besides.

    Raises:
        RunError: the results are missing or damaged.
        DataError: the results do not fit together.
        OutputError: something cannot be written.
    """
    found = read_contents(folder, metrics, compare_with, test, members, contrasts)
    with atomic_file(folder / COMPARISONS) as temporary:
        found.comparisons.write_parquet(temporary)
    written = [folder / COMPARISONS]
    for table in found.tables:
        written.append(_write(folder / TABLES / f"{table.name}.md", markdown(table)))
        written.append(_write(folder / TABLES / f"{table.name}.tex", latex(table)))
    logs = pooled_logs(read_logs(folder), found.rolled)
    results, users, comparisons = found.pooled, found.pooled_over, found.comparisons
    frames = StudyFrames(results, users, comparisons, logs, found.labels, metrics[0], compare_with)
    plots = _plots(frames, folder / PLOTS)
    summary = _write(folder / SUMMARY, _summary(title, [*notes, *incomplete(found.results)], found.tables, plots))
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
