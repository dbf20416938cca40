"""Write the results of studies: `python docs/results.py [FOLDER ...] [--check]`.

A FOLDER is what `mltfr study` wrote, without its cells and users: `results.parquet`, `comparisons.parquet`,
`study.toml`, `summary.md`, `tables/`, `plots/`. Without any, all of `benchmarks/results/studies/` are taken.

`docs/results.md` gets the summary of every study, and below them what is written by hand in `docs/results-notes/`.
The README gets, between `<!-- results:begin -->` and `<!-- results:end -->`, short tables of one study (`main`, if it
is among them, else the first) and what is written by hand in `docs/results-notes/readme.md`. With `--check` nothing is
written; the exit code is 1 if a file is out of date.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from mltfr.errors import MltfrError
from mltfr.report.frames import read_labels, read_results
from mltfr.report.markdown import markdown
from mltfr.report.result_table import result_tables
from mltfr.report.table import listed, metric_name

ROOT = Path(__file__).parents[1]
STUDIES, NOTES, PAGE, README = "benchmarks/results/studies", "docs/results-notes", "docs/results.md", "README.md"
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
TESTS = {
    "users-and-seeds": "users and seeds are both taken as random",
    "t": "paired t over users, the seeds taken as given",
    "wilcoxon": "Wilcoxon's signed ranks over users, the seeds taken as given",
}


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Write the files, or check them; return the exit code."""
    check = "--check" in arguments
    folders = [Path(name).resolve() for name in arguments if name != "--check"]
    folders = folders or sorted(path.parent for path in (root / STUDIES).glob("*/results.parquet"))
    wanted = {root / README: with_block((root / README).read_text("utf-8"), readme(folders, root))}
    if folders:
        wanted[root / PAGE] = page(folders, root)
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in stale:
        if not check:
            path.write_text(wanted[path], "utf-8")
        sys.stdout.write(f"{path.relative_to(root)}: {'is out of date' if check else 'written'}\n")
    return 1 if stale and check else 0


def with_block(text: str, block: str) -> str:
    """Return the README with its block of results replaced."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{README}: has no lines {BEGIN} and {END}. Add them where the results belong.")
    return f"{before}{begin}\n{block.strip()}\n{end}{after}"


def readme(folders: Sequence[Path], root: Path) -> str:
    """Return the README's block: short tables of one study, and the hand-written part."""
    chosen = next((folder for folder in folders if folder.name == "main"), folders[0] if folders else None)
    notes = root / NOTES / "readme.md"
    parts = [short(chosen, root)] if chosen else []
    if notes.is_file():
        parts.append(relinked(notes.read_text("utf-8"), notes.parent, root))
    return "\n".join(parts)


def short(folder: Path, root: Path) -> str:
    """Return one small table per data set of a study, and how it was measured."""
    study = tomllib.loads((folder / "study.toml").read_text("utf-8"))
    metrics, base = study.get("metrics", ["ndcg@10", "hr@10"])[:2], study.get("compare_with", "none")
    test = study.get("test", "users-and-seeds")
    results = read_results(folder)
    comparisons = pl.read_parquet(folder / "comparisons.parquet")
    found = result_tables(results, comparisons, read_labels(folder), metrics, base, test)
    columns = ("backbone", "fusion", "tables", *map(metric_name, metrics), "p (Holm)")
    several = results.filter(pl.col("tables") != "")["tables"].n_unique() > 1
    tables = [replace(table.only([name for name in columns if several or name != "tables"]), notes=())
              for table in found]  # fmt: skip
    seeds = [str(seed) for seed in results["seed"].unique().sort()]
    spread = "Mean ± standard deviation over them." if len(seeds) > 1 else "The spread over seeds is not known."
    alone = test == "users-and-seeds" and not comparisons["seeds_random"].all()
    mark = "\n† One seed only: variance over seeds is not in this p value." if alone else ""
    where = os.path.relpath(folder, root)
    return "\n".join(
        [
            f"Seed{'s' if len(seeds) > 1 else ''} {listed(seeds)}. {spread} Bold: the best of its backbone; "
            "the epoch was chosen on validation, test was scored once.",
            f"p is that of the difference to `{base}` in {metric_name(metrics[0])}: {TESTS[test]}, and corrected for "
            f"all comparisons of its table (Holm).{mark}",
            f"Gains with their intervals, parameters, zero-branch scores, plots: [docs/results.md]({PAGE}); "
            f"files: [{where}]({where}/summary.md).",
            f"\n{command(folder, root)}",
            *(markdown(table, level=3) for table in tables),
        ]
    )


def page(folders: Sequence[Path], root: Path) -> str:
    """Return `docs/results.md`."""
    target = (root / PAGE).parent
    parts = ["# Results\n\nWritten by `python docs/results.py` from the folders of the studies.\n"]
    for folder in folders:
        summary = relinked((folder / "summary.md").read_text("utf-8"), folder, target)
        title, _, rest = summary.partition("\n")
        parts.append("\n".join([f"#{title}", "", command(folder, root), re.sub(r"^##", "###", rest, flags=re.M)]))
    notes = [note for note in sorted((root / NOTES).glob("*.md")) if note.name != "readme.md"]
    parts += [relinked(note.read_text("utf-8"), note.parent, target) for note in notes]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def command(folder: Path, root: Path) -> str:
    """Return the command that repeats a study: of a ready one, that in its head."""
    ready = Path("studies") / f"{folder.name}.toml"
    file = ready if (root / ready).is_file() else Path(os.path.relpath(folder / "study.toml", root))
    told = re.search(r"^#\s+(mltfr study .*)$", (root / file).read_text("utf-8"), re.M) if file == ready else None
    text = told[1] if told else f"mltfr study {file.as_posix()} --out runs/{folder.name}"
    return f"```bash\n{text}\n```\n"


def relinked(text: str, source: Path, target: Path) -> str:
    """Return a text of the folder `source` with its relative links as they are seen from the folder `target`."""

    def link(match: re.Match[str]) -> str:
        return f"]({Path(os.path.relpath(source / match[1], target)).as_posix()}{match[2] or ''})"

    return re.sub(r"\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)", link, text)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except MltfrError as error:
        sys.exit(str(error))
